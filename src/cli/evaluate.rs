//! `lenet evaluate`.

use std::{fmt::Write, path::PathBuf};

use clap::ValueEnum;

use super::{load, print, print_json};
use crate::{
    Error, Result,
    artifacts::PRETRAINED,
    card::MNIST,
    config::AugmentationConfig,
    data::{Augmentation, CLASSES, IMAGE_SIDE, ImageSet, Splits},
    evaluation::{Evaluation, Miss, evaluate},
    inference::Origin,
    report::{percent, probability},
    terminal::say,
};

/// The seed of the variants that nets are measured on.
const AUGMENT_SEED: u64 = 1;

#[derive(Debug, clap::Args)]
pub(super) struct EvaluateArgs {
    /// The run's folder, a model.bpk, or the net that comes with lenet
    #[arg(default_value = PRETRAINED)]
    run: PathBuf,
    /// Which of the run's images to measure
    #[arg(long, value_enum, default_value_t)]
    split: Split,
    /// The folder of the images [default: where they were when it was trained]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Measure on random variants of the images, such as rotation=15 or shift=2; can be repeated
    #[arg(long = "augment", value_name = "KEY=RANGE")]
    augment: Vec<String>,
    /// The backend to compute on [default: the one it was trained on]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Split {
    /// The images it learned from
    Train,
    /// The images that the best epoch was chosen by
    Valid,
    /// The images that training never saw
    #[default]
    Test,
}

impl EvaluateArgs {
    pub(super) fn run(self) -> Result<()> {
        let trained = load(&self.run, self.backend.as_deref())?;
        let in_run = matches!(trained.origin, Origin::Run | Origin::Unfinished);
        if !in_run && !matches!(self.split, Split::Test) {
            return Err(Error::Run(format!(
                "{} is not in a run's folder, so it is unknown which images it learned from; give the run's \
                 folder instead",
                self.run.display()
            )));
        }
        let mut config = trained.config;
        if let Some(data) = &self.data {
            config.data.folder.clone_from(data);
            if matches!(self.split, Split::Test) {
                // There may be fewer training images than in the run's own data.
                (config.data.train, config.data.validation) = (0, 0);
            }
        } else if !in_run {
            let trained_on = trained.card.data.as_str();
            if ![MNIST, ""].contains(&trained_on) {
                return Err(Error::Usage(format!(
                    "{} was trained on images from a folder with the name \"{trained_on}\": say where they are with --data \
                     DIR",
                    self.run.display()
                )));
            }
            say(format!("{} is not in a run's folder: measuring it on MNIST's test set", self.run.display()));
        }
        let splits = Splits::load(&config)?;
        let (name, set) = match self.split {
            Split::Train => ("train", &splits.train),
            Split::Valid => ("valid", &splits.valid),
            Split::Test => ("test", &splits.test),
        };
        let set = &self.augmented(set)?;
        let evaluation = evaluate(&trained.net, set, &trained.device)?;
        if self.json { print_json(&evaluation) } else { print(&table(name, &evaluation, set)) }
    }

    /// The images, or their variants if there is anything to vary. They are the same ones for every net.
    fn augmented(&self, set: &ImageSet) -> Result<ImageSet> {
        let mut ranges = AugmentationConfig::default();
        for entry in &self.augment {
            ranges = ranges.with(entry).map_err(|what| Error::Config(format!("--augment {entry}: {what}")))?;
        }
        let augmentation = Augmentation::new(&ranges, AUGMENT_SEED);
        Ok(augmentation.map_or_else(|| set.clone(), |augmentation| set.variants(&augmentation, 1)))
    }
}

/// An evaluation as text: totals, classes, the confusion matrix, and the misses.
fn table(split: &str, evaluation: &Evaluation, set: &ImageSet) -> String {
    let mut text = format!(
        "{split} accuracy {}: {} misses of {} images, loss {:.4}\n\ndigit  images  precision  recall\n",
        percent(evaluation.accuracy),
        evaluation.misses,
        evaluation.images,
        evaluation.loss,
    );
    for class in &evaluation.classes {
        let [precision, recall] = [class.precision, class.recall].map(|s| s.map_or("-".into(), percent));
        let _ = writeln!(text, "{:>5}  {:>6}  {precision:>9}  {recall:>7}", class.class, class.images);
    }
    text += "\nlabel \\ answer";
    for prediction in 0..CLASSES {
        let _ = write!(text, "{prediction:>6}");
    }
    text.push('\n');
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let _ = write!(text, "{label:>14}");
        for count in row {
            // Dots for zeros make the misses stand out.
            let count = if *count == 0 { "\u{b7}".to_owned() } else { count.to_string() };
            let _ = write!(text, "{count:>6}");
        }
        text.push('\n');
    }
    text + &misses(&evaluation.worst, set)
}

/// How many misses are drawn.
const DRAWN: usize = 10;
/// How many of them are drawn in a row.
const PER_ROW: usize = 5;

/// The most confident misses, drawn.
fn misses(worst: &[Miss], set: &ImageSet) -> String {
    let mut text = String::new();
    if worst.is_empty() {
        return text;
    }
    text += "\nthe most confident misses: label \u{2192} answer, and its probability\n";
    for row in worst[..worst.len().min(DRAWN)].chunks(PER_ROW) {
        let drawn: Vec<[String; IMAGE_SIDE / 4]> = row.iter().map(|miss| braille(set.image(miss.index))).collect();
        for line in 0..IMAGE_SIDE / 4 {
            let line: Vec<&str> = drawn.iter().map(|image| image[line].as_str()).collect();
            let _ = writeln!(text, "  {}", line.join("  "));
        }
        let caption =
            |miss: &Miss| format!("{} \u{2192} {}  {}", miss.label, miss.answer, probability(miss.probability));
        let captions: Vec<String> = row.iter().map(|miss| format!("{:<14}", caption(miss))).collect();
        let _ = writeln!(text, "  {}\n", captions.join("  ").trim_end());
    }
    text.pop();
    text
}

/// An image as Braille characters of two by four dots each: 14 characters in 7 lines.
fn braille(pixels: &[u8]) -> [String; IMAGE_SIDE / 4] {
    /// The bit of each dot in a character from U+2800, row by row.
    const DOTS: [u32; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
    /// Pixels from this value on are drawn as dots.
    const THRESHOLD: u8 = 96;
    std::array::from_fn(|line| {
        let character = |column: usize| {
            let lit =
                (0..8).filter(|dot| pixels[(line * 4 + dot / 2) * IMAGE_SIDE + column * 2 + dot % 2] >= THRESHOLD);
            char::from_u32(0x2800 + lit.map(|dot| DOTS[dot]).sum::<u32>()).unwrap_or(' ')
        };
        (0..IMAGE_SIDE / 2).map(character).collect()
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::evaluation::ClassMetrics;

    #[test]
    fn columns_are_aligned() {
        let mut confusion = vec![vec![0; CLASSES]; CLASSES];
        (confusion[0][0], confusion[0][6], confusion[1][1]) = (978, 2, 1135);
        let class = |class, images, precision, recall| ClassMetrics { class, images, precision, recall };
        let evaluation = Evaluation {
            images: 2115,
            loss: 0.0248,
            accuracy: 2113.0 / 2115.0,
            misses: 2,
            classes: vec![
                class(0, 980, Some(0.9909), Some(0.998)),
                class(1, 1135, Some(0.9912), Some(0.9965)),
                class(2, 0, None, None),
            ],
            confusion,
            calibration: Vec::new(),
            calibration_error: 0.0,
            worst: Vec::new(),
        };
        let set = ImageSet::new(Vec::new(), Vec::new()).unwrap();
        assert_snapshot!(table("test", &evaluation, &set), @r"
        test accuracy 99.91 %: 2 misses of 2115 images, loss 0.0248

        digit  images  precision  recall
            0     980    99.09 %  99.80 %
            1    1135    99.12 %  99.65 %
            2       0          -        -

        label \ answer     0     1     2     3     4     5     6     7     8     9
                     0   978     ·     ·     ·     ·     ·     2     ·     ·     ·
                     1     ·  1135     ·     ·     ·     ·     ·     ·     ·     ·
                     2     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     3     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     4     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     5     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     6     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     7     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     8     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
                     9     ·     ·     ·     ·     ·     ·     ·     ·     ·     ·
        ");
    }
}
