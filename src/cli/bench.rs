//! `lenet bench`.

use std::fmt::Write;

use super::{print, print_json};
use crate::{
    Result,
    backend::{BACKENDS, is_host},
    bench::{Speed, measure},
    config::Operators,
    data::load_mnist,
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl BenchArgs {
    pub(super) fn run(self) -> Result<()> {
        let (images, _) = load_mnist()?;
        let mut speeds = Vec::new();
        for backend in BACKENDS {
            for found in backend.devices() {
                let fused = is_host(&found.device).then_some(Operators::Fused);
                for operators in fused.into_iter().chain([Operators::Composed]) {
                    say(format!("measuring {} {operators:?} …", found.name));
                    match measure(&found, operators, &images) {
                        Ok(speed) => speeds.push(speed),
                        Err(error) => say(format!("{}: {error}", found.name)),
                    }
                }
            }
        }
        if self.json { print_json(&speeds) } else { print(&table(&speeds)) }
    }
}

/// The table of speeds.
fn table(speeds: &[Speed]) -> String {
    let mut text =
        String::from("backend   operators   train, batch 64   train, batch 256   evaluate 1000     one image\n");
    for speed in speeds {
        let operators = format!("{:?}", speed.operators).to_lowercase();
        let _ = writeln!(
            text,
            "{:<8}  {operators:<9}   {:>13.0}/s   {:>14.0}/s   {:>11.0}/s   {:>8.1} µs",
            speed.backend,
            speed.train_64,
            speed.train_256,
            speed.evaluate_1000,
            speed.one_image_seconds * 1e6,
        );
    }
    text
}
