//! `lenet backends`.

use std::fmt::Write;

use serde::Serialize;

use super::{print, print_json};
use crate::{
    Result,
    backend::{BACKENDS, Backend, FoundDevice},
    bench::training_speed,
    data::{ImageSet, load_mnist},
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct BackendsArgs {
    /// Also measure the speed of training on each device
    #[arg(long)]
    measure: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A backend as `lenet backends` lists it.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    backend: Backend,
    devices: Vec<DeviceRow>,
}

/// A device of a backend.
#[derive(Serialize)]
struct DeviceRow {
    name: String,
    hardware: String,
    /// Images per second of training with mini-batches of 64, if measured.
    train_64: Option<f64>,
    /// Why it could not be measured.
    error: Option<String>,
}

impl BackendsArgs {
    pub(super) fn run(self) -> Result<()> {
        let images = if self.measure { Some(load_mnist()?.0) } else { None };
        let rows: Vec<Row> = BACKENDS
            .iter()
            .map(|b| Row {
                backend: *b,
                devices: b.devices().into_iter().map(|found| measured(found, images.as_ref())).collect(),
            })
            .collect();
        if self.json { print_json(&rows) } else { print(&table(&rows)) }
    }
}

fn measured(found: FoundDevice, images: Option<&ImageSet>) -> DeviceRow {
    let speed = images.map(|images| {
        say(format!("measuring {} …", found.name));
        training_speed(&found, images)
    });
    let (train_64, error) = match speed {
        None => (None, None),
        Some(Ok(speed)) => (Some(speed), None),
        Some(Err(error)) => (None, Some(error.to_string())),
    };
    DeviceRow { name: found.name, hardware: found.hardware, train_64, error }
}

/// The table of backends.
fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<8}  compiled in  {:<33}  devices\n", "backend", "what it is");
    for Row { backend, devices } in rows {
        let compiled = if backend.compiled { "yes" } else { "no" };
        let shown: Vec<String> = devices.iter().map(cell).collect();
        let shown = match (backend.compiled, shown.is_empty()) {
            (true, true) => format!("none: needs {}", backend.needs),
            (true, false) => shown.join("; "),
            (false, _) => format!("build with --features {}", backend.name),
        };
        let _ = writeln!(text, "{:<8}  {compiled:<11}  {:<33}  {shown}", backend.name, backend.about);
    }
    text
}

fn cell(row: &DeviceRow) -> String {
    let index = row.name.split_once(':').map_or(String::new(), |(_, index)| format!(":{index} "));
    let speed = match (row.train_64, &row.error) {
        (Some(speed), _) => format!(", trains {speed:.0} images/s"),
        (None, Some(error)) => format!(", {error}"),
        (None, None) => String::new(),
    };
    format!("{index}{}{speed}", row.hardware)
}
