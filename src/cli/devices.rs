//! `lenet bench` and `lenet backends`.

use serde::Serialize;

use super::{print, print_json, text};
use crate::{
    Result,
    backend::{BACKENDS, Backend, Found},
    bench::{measure, training_speed},
    config::Operators,
    data::{ImageSet, load_mnist},
    terminal::say,
};

pub(super) fn bench(as_json: bool) -> Result<()> {
    let (pictures, _) = load_mnist()?;
    let mut speeds = Vec::new();
    for backend in BACKENDS {
        let kinds: &[_] =
            if backend.is_host() { &[Operators::Fused, Operators::Composed] } else { &[Operators::Composed] };
        for found in backend.devices() {
            for operators in kinds {
                say(format!("measuring {} {operators:?} …", found.name));
                match measure(&found, *operators, &pictures) {
                    Ok(speed) => speeds.push(speed),
                    Err(error) => say(format!("{}: {error}", found.name)),
                }
            }
        }
    }
    if as_json { print_json(&speeds) } else { print(&text::speeds(&speeds)) }
}

/// A backend as `lenet backends` lists it.
#[derive(Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) backend: Backend,
    pub(super) devices: Vec<DeviceRow>,
}

/// A device of a backend.
#[derive(Serialize)]
pub(super) struct DeviceRow {
    pub(super) name: String,
    pub(super) hardware: String,
    /// Training with mini-batches of 64 in images per second, if it was measured.
    pub(super) train_64: Option<f64>,
    /// Why it could not be.
    pub(super) error: Option<String>,
}

pub(super) fn backends(with_speed: bool, as_json: bool) -> Result<()> {
    let pictures = if with_speed { Some(load_mnist()?.0) } else { None };
    let rows: Vec<Row> = BACKENDS
        .iter()
        .map(|b| Row {
            backend: *b,
            devices: b.devices().into_iter().map(|found| device(found, pictures.as_ref())).collect(),
        })
        .collect();
    if as_json { print_json(&rows) } else { print(&text::backends(&rows)) }
}

fn device(found: Found, pictures: Option<&ImageSet>) -> DeviceRow {
    let speed = pictures.map(|pictures| {
        say(format!("measuring {} …", found.name));
        training_speed(&found, pictures)
    });
    let (train_64, error) = match speed {
        None => (None, None),
        Some(Ok(speed)) => (Some(speed), None),
        Some(Err(error)) => (None, Some(error.to_string())),
    };
    DeviceRow { name: found.name, hardware: found.hardware, train_64, error }
}
