//! `lenet predict`.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::{load, pictures::Request, print, print_json};
use crate::{
    Error, Result,
    data::{digits, listed},
    inference::{NumberPrediction, Outcome, Prediction, RankedClass},
    page::{Entry, Sheet, State},
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
    /// Read a whole number in each picture, from left to right
    #[arg(long, conflicts_with_all = ["top", "no_digit"])]
    number: bool,
    /// Also write a page into this folder, predictions.html, with each picture, the box around what was found, and what
    /// the net saw of it
    #[arg(long, value_name = "FOLDER")]
    show: Option<PathBuf>,
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
        if self.number && trained.classes() != digits() {
            return Err(Error::Usage(format!(
                "--number reads digits, but {} tells apart {}",
                run.display(),
                listed(trained.classes())
            )));
        }
        if self.number && !trained.card.framing.cuts_out() {
            let (run, framing) = (run.display(), trained.card.framing);
            return Err(Error::Usage(format!(
                "--number cuts digits out of a picture, but {run} takes pictures as they are (data.frame = \"{framing}\")"
            )));
        }
        let sheet = self.show.as_deref().map(|folder| Sheet::prepare(folder, pictures.len())).transpose()?;
        let read = |path: &PathBuf| {
            if self.number {
                let outcome = trained.look_for_number(path)?;
                Shown::new(path, &outcome, sheet.as_ref(), said_of_number)
            } else {
                let outcome = trained.look_for_digit(path)?;
                Shown::new(path, &outcome, sheet.as_ref(), |prediction| said_of_digit(prediction, self.top.into()))
            }
        };
        let shown: Vec<Shown> = pictures.par_iter().map(read).collect::<Result<_>>()?;
        shown.iter().filter_map(|shown| shown.error.as_ref()).for_each(|error| say(format!("error: {error}")));
        if self.json {
            print_json(&shown.iter().map(|shown| &shown.record).collect::<Vec<_>>())?;
        } else {
            print(&shown.iter().map(|shown| shown.line.as_str()).collect::<String>())?;
        }
        let failed = shown.iter().filter(|shown| shown.error.is_some()).count();
        if let Some(sheet) = sheet {
            let entries: Vec<Entry> = shown.into_iter().filter_map(|shown| shown.entry).collect();
            say(sheet.write(&run, &entries)?.display().to_string());
        }
        if failed == 0 { Ok(()) } else { Err(Error::SomePictures { failed, total: pictures.len() }) }
    }
}

/// A picture in the JSON. A path need not be valid UTF-8, but JSON must be.
#[derive(Serialize)]
struct Record {
    path: String,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Digit(Prediction),
    Number(NumberPrediction),
    Failed { error: String },
}

/// What is printed of a picture, and what the contact sheet shows of it.
struct Shown {
    /// For standard output; empty if there is no answer.
    line: String,
    /// For standard error.
    error: Option<String>,
    record: Record,
    entry: Option<Entry>,
}

/// What is said of an answer.
struct Said {
    sure: bool,
    /// The answer as the contact sheet has it, where each digit of a number is shown with its probability.
    title: String,
    /// The answer with all probabilities.
    text: String,
    /// May be empty.
    remark: &'static str,
    answer: Answer,
}

impl Shown {
    fn new<T>(path: &Path, outcome: &Outcome<T>, sheet: Option<&Sheet>, said: impl Fn(&T) -> Said) -> Result<Self> {
        let entry = sheet.map(|sheet| sheet.entry(path, outcome.picture.as_ref(), &outcome.found)).transpose()?;
        let record = |answer| Record { path: path.to_string_lossy().into_owned(), answer };
        Ok(match &outcome.answer {
            Ok(answer) => {
                let Said { sure, title, text, remark, answer } = said(answer);
                let notice = if remark.is_empty() { String::new() } else { format!("  ({remark})") };
                let state = if sure { State::Sure } else { State::Unsure };
                Self {
                    line: format!("{}  {text}{notice}\n", path.display()),
                    error: None,
                    record: record(answer),
                    entry: entry.map(|entry| entry.saying(state, &title, remark)),
                }
            }
            Err(error) => {
                let reason = if let Error::Picture { reason, .. } = error { reason.clone() } else { error.to_string() };
                Self {
                    line: String::new(),
                    error: Some(error.to_string()),
                    record: record(Answer::Failed { error: error.to_string() }),
                    entry: entry.map(|entry| entry.saying(State::Refused, "", &reason)),
                }
            }
        })
    }
}

fn parse_threshold(text: &str) -> std::result::Result<f32, String> {
    let threshold: f32 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.0..=1.0).contains(&threshold) { Ok(threshold) } else { Err("it must be 0 to 1".into()) }
}

/// The likeliest classes with their probabilities. An answer that is not sure has a question mark, and names the second most
/// likely class if that is the reason.
fn said_of_digit(prediction: &Prediction, top: usize) -> Said {
    let mark = if prediction.sure { "" } else { "? " };
    let text = match &prediction.ranking[..] {
        [first, second, ..] if !prediction.sure && !prediction.several && top == 1 => {
            format!("? {} (or {}) {}", first.class, second.class, probability(first.probability.into()))
        }
        ranking => {
            let shown = |ranked: &RankedClass| format!("{} {}", ranked.class, probability(ranked.probability.into()));
            format!("{mark}{}", ranking.iter().take(top).map(shown).collect::<Vec<_>>().join("  "))
        }
    };
    let remark = if prediction.several { "sees several digits; --number reads them" } else { "" };
    let mut shortened = prediction.clone();
    shortened.ranking.truncate(top);
    Said { sure: prediction.sure, title: text.clone(), text, remark, answer: Answer::Digit(shortened) }
}

/// The number, then each digit with its probability. What is not sure has a question mark.
fn said_of_number(prediction: &NumberPrediction) -> Said {
    let mark = |sure: bool| if sure { "" } else { "? " };
    let digits = prediction.digits.iter();
    let digits =
        digits.map(|digit| format!("  {}{} {}", mark(digit.sure), digit.class, probability(digit.probability.into())));
    let title = format!("{}{}", mark(prediction.sure), prediction.number);
    let text = format!("{title}{}", digits.collect::<String>());
    Said { sure: prediction.sure, title, text, remark: "", answer: Answer::Number(prediction.clone()) }
}
