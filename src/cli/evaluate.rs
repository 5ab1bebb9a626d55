//! `lenet evaluate`.

mod tables;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{load, print, print_json};
use crate::{
    Error, Result,
    artifacts::{PRETRAINED, RunDir},
    card::MNIST,
    config::AugmentationConfig,
    data::{Augmentation, IMAGE_SIDE, ImageSet, Splits},
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
        if trained.origin == Origin::Imported && !matches!(self.split, Split::Test) {
            return Err(Error::Run(format!(
                "{} was imported, so it is unknown which images it learned from; measure it without --split, on the test set",
                self.run.display()
            )));
        }
        let in_run = trained.origin.is_run();
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
                (config.data.train, config.data.validation) = (0, 0.into());
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
            Split::Train => ("train", splits.train),
            Split::Valid => ("valid", splits.valid),
            // Of other data than the run's own, none have been learned from.
            Split::Test if self.data.is_some() && !(in_run && is_own_data(&self.run, &splits)) => {
                ("test", splits.all_or_test())
            }
            Split::Test => ("test", splits.test),
        };
        let set = &self.augmented(&set)?;
        let evaluation = evaluate(&trained.net, set, &trained.device)?;
        if self.json { print_json(&evaluation) } else { print(&table(name, &evaluation, set)) }
    }

    /// The images, or their variants if there is anything to vary. They are the same ones for every net.
    fn augmented(&self, set: &ImageSet) -> Result<ImageSet> {
        let mut ranges = AugmentationConfig::default();
        for entry in &self.augment {
            ranges = ranges.with(entry).map_err(|what| Error::Config(format!("--augment {entry}: {what}")))?;
        }
        if ranges.styles > 0.0 && !set.shows_digits() {
            return Err(Error::Config("--augment styles: it is for digits, but the classes are others".into()));
        }
        let augmentation = Augmentation::new(&ranges, AUGMENT_SEED);
        Ok(augmentation.map_or_else(|| set.clone(), |augmentation| set.variants(&augmentation, 1)))
    }
}

/// Whether a run was trained on these data.
fn is_own_data(run: &Path, splits: &Splits) -> bool {
    let folder = if run.is_file() { run.parent().unwrap_or(Path::new("")) } else { run };
    let report = RunDir::open(folder).and_then(|dir| dir.read_report());
    report.is_ok_and(|report| report.data_sha256 == Some(splits.sha256()))
}

/// An evaluation as text: totals, classes, the confusion matrix, and the misses.
fn table(split: &str, evaluation: &Evaluation, set: &ImageSet) -> String {
    let balanced = evaluation.balanced_accuracy.map_or("-".into(), percent);
    let mut text = format!(
        "{split} accuracy {}: {} misses of {} images, balanced accuracy {balanced}, loss {:.4}\n\n",
        percent(evaluation.accuracy),
        evaluation.misses,
        evaluation.images,
        evaluation.loss,
    );
    text += &tables::classes(evaluation);
    text.push('\n');
    text += &tables::confusion(evaluation);
    text + &misses(&evaluation.worst, set)
}

/// How many misses are drawn.
const DRAWN: usize = 10;
/// The columns of a terminal that a row of them may take.
const ROW_WIDTH: usize = 80;

/// The most confident misses, drawn.
fn misses(worst: &[Miss], set: &ImageSet) -> String {
    let mut text = String::new();
    if worst.is_empty() {
        return text;
    }
    text += "\nthe most confident misses: label \u{2192} answer, and its probability\n";
    let class = |class: usize| set.classes().get(class).map_or("", String::as_str);
    let caption = |miss: &Miss| {
        format!("{} \u{2192} {}  {}", class(miss.label), class(miss.answer), probability(miss.probability))
    };
    let drawn: Vec<(String, [String; IMAGE_SIDE / 4])> =
        worst.iter().take(DRAWN).map(|miss| (caption(miss), braille(set.image(miss.index)))).collect();
    let width = tables::widest(drawn.iter().map(|(caption, _)| caption.as_str())).max(IMAGE_SIDE / 2);
    for row in drawn.chunks((ROW_WIDTH / (width + 2)).max(1)) {
        for line in 0..IMAGE_SIDE / 4 {
            text += &in_columns(row.iter().map(|(_, image)| image[line].as_str()), width);
        }
        text += &in_columns(row.iter().map(|(caption, _)| caption.as_str()), width);
        text.push('\n');
    }
    text.pop();
    text
}

/// Texts side by side, indented.
fn in_columns<'a>(texts: impl Iterator<Item = &'a str>, width: usize) -> String {
    let columns: Vec<String> = texts.map(|text| tables::left(text, width)).collect();
    format!("  {}\n", columns.join("  ").trim_end())
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
    use crate::data::digits;

    #[test]
    fn columns_are_aligned() {
        let mut confusion = vec![vec![0; 10]; 10];
        (confusion[0][0], confusion[0][6], confusion[1][1]) = (978, 2, 1135);
        let evaluation = Evaluation { loss: 0.0248, ..Evaluation::of(confusion, &digits()) };
        let set = ImageSet::new(Vec::new(), Vec::new(), digits()).unwrap();
        assert_snapshot!(table("test", &evaluation, &set), @r"
        test accuracy 99.91 %: 2 misses of 2115 images, balanced accuracy 99.90 %, loss 0.0248

        class  images  precision  recall
            0     980   100.00 %  99.80 %
            1    1135   100.00 %  100.00 %
            2       0          -        -
            3       0          -        -
            4       0          -        -
            5       0          -        -
            6       0     0.00 %        -
            7       0          -        -
            8       0          -        -
            9       0          -        -

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
