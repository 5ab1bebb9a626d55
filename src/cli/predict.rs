//! `lenet predict`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{print, print_json};
use crate::{
    Error, Result,
    artifacts::PRETRAINED,
    inference::{Prediction, Trained},
    report::percent,
    terminal::say,
};

#[derive(Debug, clap::Args)]
#[command(override_usage = "lenet predict [OPTIONS] [RUN] <PICTURE>...")]
pub(super) struct PredictArgs {
    /// PNG, JPEG, BMP, GIF or PNM files, each with one digit; before them, the run's folder or a model.bpk, if it shall
    /// not be the net that comes with lenet
    #[arg(required = true, value_name = "[RUN] PICTURE")]
    paths: Vec<PathBuf>,
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
        let (run, pictures) = run_and_pictures(&self.paths)?;
        let trained = Trained::load(run, self.backend.as_deref())?;
        let results = trained.predict(pictures)?;
        let failed = results.iter().filter(|result| result.is_err()).count();
        let mut lines = String::new();
        let mut entries = Vec::new();
        for (path, result) in pictures.iter().zip(results) {
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
        if failed == 0 { Ok(()) } else { Err(Error::SomePictures { failed, total: pictures.len() }) }
    }
}

/// Separates a leading run, if there is one, from the pictures.
fn run_and_pictures(paths: &[PathBuf]) -> Result<(&Path, &[PathBuf])> {
    let pretrained = Path::new(PRETRAINED);
    let [first, pictures @ ..] = paths else { return Ok((pretrained, paths)) };
    let is_run = first == pretrained || first.is_dir() || first.extension().is_some_and(|extension| extension == "bpk");
    if is_run && pictures.is_empty() {
        return Err(Error::Usage(format!("{}: there is no picture to read behind this run", first.display())));
    }
    // A misspelt run, most likely.
    if !is_run && !pictures.is_empty() && first.extension().is_none() && !first.exists() {
        return Err(Error::Run(format!("{} is neither a run nor a picture: it does not exist", first.display())));
    }
    Ok(if is_run { (first, pictures) } else { (pretrained, paths) })
}

/// A picture in a line: its path, then digits with their probabilities.
fn line(prediction: &Prediction) -> String {
    let ranking: Vec<String> =
        prediction.ranking.iter().map(|g| format!("{} {}", g.digit, percent(g.probability.into()))).collect();
    format!("{}  {}\n", prediction.path.display(), ranking.join("  "))
}
