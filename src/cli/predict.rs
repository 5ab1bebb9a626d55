//! `lenet predict`.

use std::path::PathBuf;

use serde_json::json;

use super::{load, pictures::Request, print, print_json};
use crate::{
    Error, Result,
    inference::{Prediction, RankedClass},
    report::probability,
    terminal::say,
    thresholds::Thresholds,
};

#[derive(Debug, clap::Args)]
#[command(override_usage = "lenet predict [OPTIONS] [RUN] <PICTURE>...")]
pub(super) struct PredictArgs {
    /// Pictures with one digit each (PNG, JPEG, TIFF, WebP, BMP, GIF or PNM), folders of them, or - for standard input;
    /// before them, the run's folder or a model.bpk, if it shall not be the net that comes with lenet
    #[arg(required = true, value_name = "[RUN] PICTURE")]
    paths: Vec<PathBuf>,
    /// How many classes to print for each picture, the most likely first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    top: u16,
    /// The probability, 0 to 1, from which an answer is sure [default: the one that was chosen for the net]
    #[arg(long, value_name = "P", value_parser = parse_threshold)]
    threshold: Option<f32>,
    /// The probability, 0 to 1, below which a picture shows no digit [default: the one that was chosen for the net]
    #[arg(long, value_name = "P", value_parser = parse_threshold)]
    no_digit: Option<f32>,
    /// The backend to compute on [default: the one it was trained on]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PredictArgs {
    pub(super) fn run(self) -> Result<()> {
        let Request { run, pictures } = Request::new(&self.paths)?;
        let mut trained = load(&run, self.backend.as_deref())?;
        let Thresholds { sure, no_digit } = trained.card.thresholds;
        trained.card.thresholds =
            Thresholds { sure: self.threshold.unwrap_or(sure), no_digit: self.no_digit.unwrap_or(no_digit) };
        let results = trained.predict(&pictures)?;
        let failed = results.iter().filter(|result| result.is_err()).count();
        let mut lines = String::new();
        let mut entries = Vec::new();
        for (path, result) in pictures.iter().zip(results) {
            match result {
                Ok(mut prediction) => {
                    let line = line(&prediction, self.top.into());
                    prediction.ranking.truncate(self.top.into());
                    lines += &line;
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

fn parse_threshold(text: &str) -> std::result::Result<f32, String> {
    let threshold: f32 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.0..=1.0).contains(&threshold) { Ok(threshold) } else { Err("it must be 0 to 1".into()) }
}

/// A picture in a line: its path, then classes with their probabilities. An answer that is not sure has a question mark and
/// names the second most likely class.
fn line(prediction: &Prediction, top: usize) -> String {
    let shown = |ranked: &RankedClass| format!("{} {}", ranked.class, probability(ranked.probability.into()));
    let answer = match &prediction.ranking[..] {
        [first, second, ..] if !prediction.sure && top == 1 => {
            format!("? {} (or {}) {}", first.class, second.class, probability(first.probability.into()))
        }
        ranking => {
            let ranking: Vec<String> = ranking.iter().take(top).map(shown).collect();
            format!("{}{}", if prediction.sure { "" } else { "? " }, ranking.join("  "))
        }
    };
    format!("{}  {answer}\n", prediction.path.display())
}
