//! How well a reader reads pictures as people make them: generated scenes, counted for each kind.

mod numbers;

use std::fmt::Write;

use image::DynamicImage;
use rayon::prelude::*;
use serde::Serialize;

pub use self::numbers::{NumberResult, SeenNumber, number_sums, number_table, read_all_numbers};
use crate::{
    Result,
    data::ImageSet,
    inference::Trained,
    scenes::{Kind, kinds, scene},
    thresholds::Verdict,
};

/// What a reader says about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The digit, or that there is none.
    pub verdict: Verdict,
    /// Whether it sees several digits.
    pub several: bool,
}

impl Seen {
    /// What a trained net says about a picture.
    ///
    /// # Errors
    /// The device fails.
    pub fn by(trained: &Trained, picture: &DynamicImage) -> Result<Self> {
        let reading = trained.read(picture)?;
        let verdict = trained.card.thresholds.verdict(reading.as_ref());
        Ok(Self { verdict, several: trained.shows_several(picture, reading.as_ref())? })
    }
}

/// How a reader did on the pictures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindResult {
    /// The kind's name.
    pub kind: &'static str,
    /// Whether pictures of this kind show a digit.
    pub shows_digit: bool,
    /// Whether the reader was not tuned on this kind.
    pub held_out: bool,
    /// The number of pictures.
    pub pictures: usize,
    /// The digit is right, whether sure or not. 0 where no digit is shown.
    pub right: usize,
    /// The answer is a digit, right or wrong, that the reader is not sure of.
    pub unsure: usize,
    /// The answer is that no digit is shown.
    pub refused: usize,
    /// The answer is a wrong digit that the reader is sure of, or any such digit where none is shown.
    pub wrong_and_sure: usize,
    /// Several digits are seen, where one is shown or none.
    pub several: usize,
}

impl KindResult {
    fn new(kind: &'static str, shows_digit: bool, held_out: bool) -> Self {
        Self {
            kind,
            shows_digit,
            held_out,
            pictures: 0,
            right: 0,
            unsure: 0,
            refused: 0,
            wrong_and_sure: 0,
            several: 0,
        }
    }

    fn count(&mut self, label: usize, seen: Seen) {
        self.pictures += 1;
        self.several += usize::from(seen.several);
        match seen.verdict {
            Verdict::Refused => self.refused += 1,
            Verdict::Digit { digit, sure } => {
                let right = self.shows_digit && digit == label;
                self.right += usize::from(right);
                self.unsure += usize::from(!sure);
                self.wrong_and_sure += usize::from(sure && !right);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.pictures += other.pictures;
        self.right += other.right;
        self.unsure += other.unsure;
        self.refused += other.refused;
        self.wrong_and_sure += other.wrong_and_sure;
        self.several += other.several;
    }
}

/// Draws `per_kind` pictures of each kind from randomly chosen images, and has them read on all threads.
///
/// # Errors
/// The reader fails.
pub fn read_all(
    reader: impl Fn(&DynamicImage) -> Result<Seen> + Sync,
    images: &ImageSet,
    per_kind: usize,
    seed: u64,
) -> Result<Vec<KindResult>> {
    let read = |kind: &Kind, number: usize| {
        let (picture, label) = scene(kind, images, seed, number);
        reader(&picture).map(|seen| (label, seen))
    };
    let per_kind = if images.is_empty() { 0 } else { per_kind };
    let result = |kind: &Kind| {
        let mut result = KindResult::new(kind.name, kind.shows_digit, kind.held_out);
        let readings = (0..per_kind).into_par_iter().map(|number| read(kind, number));
        for (label, answer) in readings.collect::<Result<Vec<_>>>()? {
            result.count(label, answer);
        }
        Ok(result)
    };
    kinds().iter().map(result).collect()
}

/// The sums over the kinds with a digit that a reader may be tuned on, over those that are held out, and over both
/// sorts of kinds without a digit.
#[must_use]
pub fn sums(results: &[KindResult]) -> [KindResult; 4] {
    [
        ("digits, tuned on", true, false),
        ("digits, held out", true, true),
        ("no digit, tuned on", false, false),
        ("no digit, held out", false, true),
    ]
    .map(|(name, shows_digit, held_out)| {
        let mut sum = KindResult::new(name, shows_digit, held_out);
        results.iter().filter(|r| r.shows_digit == shows_digit && r.held_out == held_out).for_each(|r| sum.add(r));
        sum
    })
}

/// The results as a table for people: each group's kinds and its sum, in percent.
#[must_use]
pub fn table(results: &[KindResult]) -> String {
    let mut text = format!("{:<22}  pictures   right   refused   unsure   wrong and sure   seen as several\n", "");
    for sum in sums(results) {
        let group = results.iter().filter(|r| r.shows_digit == sum.shows_digit && r.held_out == sum.held_out);
        text.push('\n');
        for result in group.chain([&sum]) {
            let percent = |count: usize| 100.0 * count as f64 / result.pictures.max(1) as f64;
            let right = if result.shows_digit { format!("{:.1} %", percent(result.right)) } else { String::new() };
            let _ = writeln!(
                text,
                "{:<22}  {:>8} {right:>8}  {:>6.1} %  {:>5.1} %  {:>13.1} %  {:>14.1} %",
                result.kind,
                result.pictures,
                percent(result.refused),
                percent(result.unsure),
                percent(result.wrong_and_sure),
                percent(result.several),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{PIXELS, digits};

    fn images() -> ImageSet {
        let stroke: Vec<u8> =
            (0..PIXELS).map(|i| if (12..16).contains(&(i % 28)) && i > 140 && i < 640 { 255 } else { 0 }).collect();
        ImageSet::new(stroke, vec![1], digits()).unwrap()
    }

    #[test]
    fn verdicts_are_counted() {
        let seen = |verdict| Seen { verdict, several: false };
        let mut result = KindResult::new("plain", true, false);
        result.count(1, seen(Verdict::Digit { digit: 1, sure: true }));
        result.count(1, seen(Verdict::Digit { digit: 1, sure: false }));
        result.count(1, seen(Verdict::Digit { digit: 7, sure: false }));
        result.count(1, seen(Verdict::Digit { digit: 7, sure: true }));
        result.count(1, Seen { verdict: Verdict::Refused, several: true });
        let counts = (result.pictures, result.right, result.unsure, result.refused, result.wrong_and_sure);
        assert_eq!((counts, result.several), ((5, 2, 2, 1, 1), 1));
        let mut result = KindResult::new("letter", false, false);
        result.count(1, seen(Verdict::Digit { digit: 1, sure: true }));
        assert_eq!((result.right, result.wrong_and_sure), (0, 1));
    }

    #[test]
    fn results_depend_on_the_seed_alone() {
        // A reader that tells pictures apart by their size.
        let reader = |picture: &DynamicImage| {
            let (digit, sure) = (picture.width() as usize % 10, picture.height().is_multiple_of(2));
            Ok(Seen { verdict: Verdict::Digit { digit, sure }, several: false })
        };
        let read = |seed| read_all(reader, &images(), 1, seed).unwrap();
        let first = read(5);
        assert_eq!(first, read(5));
        assert_ne!(first, read(6));
        assert_eq!(first.len(), kinds().len());
        assert!(first.iter().all(|result| result.pictures == 1));
    }

    #[test]
    fn the_table_has_a_line_for_each_kind_and_each_sum() {
        let results = read_all(|_| Ok(Seen { verdict: Verdict::Refused, several: false }), &images(), 1, 1).unwrap();
        let table = table(&results);
        assert_eq!(table.lines().filter(|line| line.contains('%')).count(), kinds().len() + 4);
        assert!(
            table.contains(
                "digits, held out              10    0.0 %   100.0 %    0.0 %            0.0 %             0.0 %"
            ),
            "{table}"
        );
    }
}
