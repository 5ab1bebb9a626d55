//! `lenet bench`.

use std::{fmt::Write, path::PathBuf};

use serde_json::json;

use super::{load, print, print_json};
use crate::{
    Error, Result,
    artifacts::PRETRAINED,
    backend::{BACKENDS, is_host},
    bench::{Speed, measure},
    config::Operators,
    data::{digits, listed, load_mnist},
    picture_bench::{Seen, SeenNumber, number_table, read_all, read_all_numbers, table},
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// The number of classes of the nets whose speed is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=256))]
    classes: u16,
    /// Measure instead how well a net reads pictures as people make them, of digits and of numbers: scenes drawn from
    /// MNIST's test digits
    #[arg(long)]
    pictures: bool,
    /// The net that reads them: a run's folder, a model.bpk, or the net that comes with lenet
    #[arg(long, value_name = "RUN", requires = "pictures", default_value = PRETRAINED)]
    run: PathBuf,
    /// How many pictures to draw of each kind
    #[arg(long, value_name = "N", requires = "pictures", default_value_t = 100)]
    per_kind: usize,
    /// The seed of the pictures
    #[arg(long, value_name = "N", requires = "pictures", default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl BenchArgs {
    pub(super) fn run(self) -> Result<()> {
        if self.pictures {
            return self.read_pictures();
        }
        let (images, _) = load_mnist()?;
        let mut speeds = Vec::new();
        for backend in BACKENDS {
            for found in backend.devices() {
                let fused = is_host(&found.device).then_some(Operators::Fused);
                for operators in fused.into_iter().chain([Operators::Composed]) {
                    say(format!("measuring {} {operators:?} …", found.name));
                    match measure(&found, operators, self.classes.into(), &images) {
                        Ok(speed) => speeds.push(speed),
                        Err(error) => say(format!("{}: {error}", found.name)),
                    }
                }
            }
        }
        if self.json { print_json(&speeds) } else { print(&table_of_speeds(&speeds)) }
    }

    fn read_pictures(&self) -> Result<()> {
        let (_, test) = load_mnist()?;
        let trained = load(&self.run, None)?;
        if trained.classes() != digits() {
            return Err(Error::Usage(format!(
                "--run {}: the pictures show digits, but this net tells apart {}",
                self.run.display(),
                listed(trained.classes()),
            )));
        }
        if !trained.card.framing.cuts_out() {
            let (run, framing) = (self.run.display(), trained.card.framing);
            return Err(Error::Usage(format!(
                "--run {run}: digits are to be found in the pictures, but this net takes them as they are (data.frame = \"{framing}\")"
            )));
        }
        let kinds = read_all(|picture| Seen::by(&trained, picture), &test, self.per_kind, self.seed)?;
        let numbers = read_all_numbers(|picture| SeenNumber::by(&trained, picture), &test, self.per_kind, self.seed)?;
        if self.json {
            print_json(&json!({ "kinds": kinds, "numbers": numbers }))
        } else {
            print(&format!("{}\n{}", table(&kinds), number_table(&numbers)))
        }
    }
}

/// The table of speeds.
fn table_of_speeds(speeds: &[Speed]) -> String {
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
