//! `lenet predict`.

use std::path::PathBuf;

use serde_json::json;

use super::{print, print_json};
use crate::{
    Error, Result,
    inference::{Prediction, Trained},
    report::percent,
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct PredictArgs {
    /// The run's folder, or a model.bpk
    run: PathBuf,
    /// PNG, JPEG, BMP, GIF or PNM files, each with one digit
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// How many digits to print for each picture, the most likely first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    top: u8,
    /// The backend to compute on [default: the one it was trained on]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PredictArgs {
    pub(super) fn run(self) -> Result<()> {
        let trained = Trained::load(&self.run, self.backend.as_deref())?;
        let results = trained.predict(&self.pictures)?;
        let failed = results.iter().filter(|result| result.is_err()).count();
        let mut lines = String::new();
        let mut entries = Vec::new();
        for (path, result) in self.pictures.iter().zip(results) {
            match result {
                Ok(mut prediction) => {
                    prediction.ranking.truncate(self.top.into());
                    lines += &line(&prediction);
                    entries.push(json!(prediction));
                }
                Err(error) => {
                    say(format!("error: {error}"));
                    entries.push(json!({ "path": path.to_string_lossy(), "error": error.to_string() }));
                }
            }
        }
        if self.json {
            print_json(&entries)?;
        } else {
            print(&lines)?;
        }
        if failed == 0 { Ok(()) } else { Err(Error::SomePictures { failed, total: self.pictures.len() }) }
    }
}

/// A picture in a line: its path, then digits with their probabilities.
fn line(prediction: &Prediction) -> String {
    let ranking: Vec<String> =
        prediction.ranking.iter().map(|g| format!("{} {}", g.digit, percent(g.probability.into()))).collect();
    format!("{}  {}\n", prediction.path.display(), ranking.join("  "))
}
