//! Results as a person reads them.

use std::{fmt::Write, path::Path};

use super::devices::{DeviceRow, Row};
use crate::{bench::Speed, data::CLASSES, evaluation::Evaluation, inference::Reading, report::Report};

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// The end of a training run.
pub(super) fn training(report: &Report, folder: &Path) -> String {
    let mut text = String::new();
    if let (Some(best), Some(test)) = (report.best_epoch, &report.test) {
        let by = if report.valid_images > 0 { "the best on the validation set" } else { "the last" };
        let _ = writeln!(
            text,
            "test accuracy {}: {} misses of {} pictures, loss {:.4} (epoch {best} of {}, {by})",
            percent(test.accuracy),
            test.misses,
            test.images,
            test.loss,
            report.epochs.len(),
        );
    }
    let per_epoch = report.seconds / report.epochs.len().max(1) as f64;
    let _ = writeln!(text, "trained in {:.1} s on {}, {per_epoch:.1} s an epoch", report.seconds, report.backend);
    let _ = writeln!(text, "the run is in {}", folder.display());
    text
}

/// An evaluation: the figures, each class, and which digits are taken for which.
pub(super) fn evaluation(split: &str, evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{split} accuracy {}: {} misses of {} pictures, loss {:.4}\n\ndigit  pictures  precision  recall\n",
        percent(evaluation.accuracy),
        evaluation.misses,
        evaluation.images,
        evaluation.loss,
    );
    for class in &evaluation.classes {
        let [precision, recall] = [class.precision, class.recall].map(|s| s.map_or("-".into(), percent));
        let _ = writeln!(text, "{:>5}  {:>8}  {precision:>9}  {recall:>7}", class.class, class.images);
    }
    text += "\nlabel \\ answer";
    for answer in 0..CLASSES {
        let _ = write!(text, "{answer:>6}");
    }
    text.push('\n');
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let _ = write!(text, "{label:>14}");
        for count in row {
            // Nothing where nothing happened: the eye finds the confusions.
            let count = if *count == 0 { "\u{b7}".to_owned() } else { count.to_string() };
            let _ = write!(text, "{count:>6}");
        }
        text.push('\n');
    }
    text
}

/// One picture in one line: its path, then each digit with its probability.
pub(super) fn reading(reading: &Reading) -> String {
    let guesses: Vec<String> =
        reading.ranking.iter().map(|g| format!("{} {}", g.digit, percent(g.probability.into()))).collect();
    format!("{}  {}\n", reading.path.display(), guesses.join("  "))
}

/// The table of speeds.
pub(super) fn speeds(speeds: &[Speed]) -> String {
    let mut text = String::from("backend   operators   train 64/step   train 256/step   evaluate 1000   one picture\n");
    for speed in speeds {
        let operators = format!("{:?}", speed.operators).to_lowercase();
        let _ = writeln!(
            text,
            "{:<8}  {operators:<9}  {:>11.0}/s    {:>11.0}/s   {:>11.0}/s   {:>8.1} µs",
            speed.backend,
            speed.train_64,
            speed.train_256,
            speed.evaluate_1000,
            speed.one_image_seconds * 1e6,
        );
    }
    text
}

/// The table of backends.
pub(super) fn backends(rows: &[Row]) -> String {
    let mut text = format!("{:<8}  compiled in  {:<33}  devices\n", "backend", "what it is");
    for Row { backend, devices } in rows {
        let compiled = if backend.compiled { "yes" } else { "no" };
        let shown: Vec<String> = devices.iter().map(device).collect();
        let shown = match (backend.compiled, shown.is_empty()) {
            (true, true) => format!("none: needs {}", backend.needs),
            (true, false) => shown.join("; "),
            (false, _) => format!("build with --features {}", backend.name),
        };
        let _ = writeln!(text, "{:<8}  {compiled:<11}  {:<33}  {shown}", backend.name, backend.about);
    }
    text
}

fn device(row: &DeviceRow) -> String {
    let index = row.name.split_once(':').map_or(String::new(), |(_, index)| format!(":{index} "));
    let speed = match (row.train_64, &row.error) {
        (Some(speed), _) => format!(", trains {speed:.0} images/s"),
        (None, Some(error)) => format!(", {error}"),
        (None, None) => String::new(),
    };
    format!("{index}{}{speed}", row.hardware)
}
