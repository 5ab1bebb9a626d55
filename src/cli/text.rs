//! Results as a person reads them.

use std::{fmt::Write, path::Path};

use super::devices::{DeviceRow, Row};
use crate::{
    bench::Speed,
    data::{CLASSES, ImageSet, SIDE},
    evaluation::{Evaluation, Miss},
    inference::Reading,
    report::Report,
    sweep::{Axis, PointSummary, Spread},
};

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
    let _ = writeln!(text, "the run is in {}, its page is {}", folder.display(), folder.join("report.html").display());
    text
}

/// An evaluation: the figures, each class, and which digits are taken for which.
pub(super) fn evaluation(split: &str, evaluation: &Evaluation, set: &ImageSet) -> String {
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
    text + &misses(&evaluation.worst, set)
}

/// How many misses are drawn, and how many side by side.
const DRAWN: usize = 10;
const BESIDE: usize = 5;

/// The misses that the net was surest of, drawn.
fn misses(worst: &[Miss], set: &ImageSet) -> String {
    let mut text = String::new();
    if worst.is_empty() {
        return text;
    }
    text += "\nthe misses it was surest of: label \u{2192} answer, and how sure\n";
    for row in worst[..worst.len().min(DRAWN)].chunks(BESIDE) {
        let drawn: Vec<[String; SIDE / 4]> = row.iter().map(|miss| braille(set.image(miss.index))).collect();
        for line in 0..SIDE / 4 {
            let line: Vec<&str> = drawn.iter().map(|picture| picture[line].as_str()).collect();
            let _ = writeln!(text, "  {}", line.join("  "));
        }
        let caption = |miss: &Miss| format!("{} \u{2192} {}  {}", miss.label, miss.answer, percent(miss.probability));
        let captions: Vec<String> = row.iter().map(|miss| format!("{:<14}", caption(miss))).collect();
        let _ = writeln!(text, "  {}\n", captions.join("  ").trim_end());
    }
    text.pop();
    text
}

/// A picture in dots, two by four to a character: 14 characters in 7 lines.
fn braille(pixels: &[u8]) -> [String; SIDE / 4] {
    /// The bit of each dot in a character from U+2800 on, row by row.
    const DOTS: [u32; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
    /// From this brightness on there is a dot.
    const INK: u8 = 96;
    std::array::from_fn(|line| {
        let character = |column: usize| {
            let lit = (0..8).filter(|dot| pixels[(line * 4 + dot / 2) * SIDE + column * 2 + dot % 2] >= INK);
            char::from_u32(0x2800 + lit.map(|dot| DOTS[dot]).sum::<u32>()).unwrap_or(' ')
        };
        (0..SIDE / 2).map(character).collect()
    })
}

/// The table of a sweep.
pub(super) fn sweep(axes: &[Axis], points: &[PointSummary], page: &Path) -> String {
    let spread = |spread: Option<Spread>, runs: usize| match spread {
        None => "-".to_owned(),
        // A single run deviates from nothing.
        Some(s) if runs < 2 => percent(s.mean),
        Some(s) => format!("{} \u{b1} {:.2}", percent(s.mean), s.deviation * 100.0),
    };
    let widths: Vec<usize> = axes
        .iter()
        .map(|axis| axis.values.iter().map(String::len).chain([axis.key.len()]).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for (axis, width) in axes.iter().zip(&widths) {
        let _ = write!(text, "{:<width$}  ", axis.key);
    }
    text += "runs  diverged        validation              test  train loss  dead units\n";
    for point in points {
        for (value, width) in point.values.iter().zip(&widths) {
            let _ = write!(text, "{value:<width$}  ");
        }
        let loss = point.train_loss.map_or("-".to_owned(), |loss| format!("{:.4}", loss.mean));
        let dead = point.dead_units.map_or("-".to_owned(), |dead| format!("{:.0} %", dead.mean * 100.0));
        let _ = writeln!(
            text,
            "{:>4}  {:>8}  {:>16}  {:>16}  {loss:>10}  {dead:>10}",
            point.runs,
            point.diverged,
            spread(point.valid_accuracy, point.runs - point.diverged),
            spread(point.test_accuracy, point.runs - point.diverged),
        );
    }
    let _ = writeln!(text, "the comparison is in {}", page.display());
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
