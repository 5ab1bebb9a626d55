//! The same for pictures of numbers.

use image::DynamicImage;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Result,
    data::ImageSet,
    inference::Trained,
    number::{NumberDigit, NumberReading},
    scenes::{NumberKind, number_kinds, number_scene},
};

/// What a reader says about a picture of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNumber {
    /// The digits, from left to right; `None` if it sees no number.
    pub digits: Option<Vec<usize>>,
    /// Whether it is sure of all of them.
    pub sure: bool,
    /// Whether it sees several digits when it is asked for one.
    pub noticed: bool,
}

impl SeenNumber {
    /// What a trained net says about a picture.
    ///
    /// # Errors
    /// The device fails.
    pub fn by(trained: &Trained, picture: &DynamicImage) -> Result<Self> {
        let noticed = trained.shows_several(picture, trained.read(picture)?.as_ref())?;
        let number = trained.read_number(picture)?.filter(NumberReading::is_number);
        let is_sure = |digit: &NumberDigit| digit.probability >= trained.card.thresholds.sure;
        let sure = number.as_ref().is_some_and(|number| number.digits.iter().all(is_sure));
        Ok(Self { digits: number.map(|number| number.digits.iter().map(|d| d.digit).collect()), sure, noticed })
    }
}

/// How a reader did on the pictures of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NumberResult {
    /// The kind's name.
    pub kind: &'static str,
    /// Whether the reader was not tuned on this kind.
    pub held_out: bool,
    /// The number of pictures.
    pub numbers: usize,
    /// The number of digits on them.
    pub digits: usize,
    /// Digits but for the edit distance between what is shown and what was read.
    pub digits_right: usize,
    /// All digits are right, whether sure or not.
    pub numbers_right: usize,
    /// The answer is a number, right or wrong, that the reader is not sure of.
    pub unsure: usize,
    /// The answer is that no number is shown.
    pub refused: usize,
    /// The answer is a wrong number that the reader is sure of.
    pub wrong_and_sure: usize,
    /// Asked for one digit, the reader sees that there are several.
    pub noticed: usize,
}

impl NumberResult {
    fn new(kind: &'static str, held_out: bool) -> Self {
        Self { kind, held_out, ..Self::default() }
    }

    fn count(&mut self, labels: &[usize], seen: &SeenNumber) {
        let right = seen.digits.as_deref() == Some(labels);
        let read = seen.digits.as_deref().unwrap_or_default();
        self.numbers += 1;
        self.digits += labels.len();
        self.digits_right += labels.len().saturating_sub(edit_distance(labels, read));
        self.numbers_right += usize::from(right);
        self.refused += usize::from(seen.digits.is_none());
        self.unsure += usize::from(seen.digits.is_some() && !seen.sure);
        self.wrong_and_sure += usize::from(seen.digits.is_some() && seen.sure && !right);
        self.noticed += usize::from(seen.noticed);
    }

    fn add(&mut self, other: &Self) {
        self.numbers += other.numbers;
        self.digits += other.digits;
        self.digits_right += other.digits_right;
        self.numbers_right += other.numbers_right;
        self.unsure += other.unsure;
        self.refused += other.refused;
        self.wrong_and_sure += other.wrong_and_sure;
        self.noticed += other.noticed;
    }
}

/// The least number of digits to insert, to drop or to replace, so that one number becomes the other.
///
/// Source: Wagner and Fischer, "The string-to-string correction problem", Journal of the ACM 21 (1974).
fn edit_distance(from: &[usize], to: &[usize]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = before + usize::from(a != b);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

/// Draws `per_kind` pictures of numbers of each kind from randomly chosen images, and has them read on all threads. The last
/// result is that of the pictures on which digits may touch: they are counted with their kinds, too.
///
/// # Errors
/// The reader fails.
pub fn read_all_numbers(
    reader: impl Fn(&DynamicImage) -> Result<SeenNumber> + Sync,
    images: &ImageSet,
    per_kind: usize,
    seed: u64,
) -> Result<Vec<NumberResult>> {
    let per_kind = if images.is_empty() { 0 } else { per_kind };
    let read = |kind: &NumberKind, number: usize| {
        let (scene, labels) = number_scene(kind, images, seed, number);
        reader(&scene.picture).map(|seen| (scene.touching, labels, seen))
    };
    let mut touching = NumberResult::new(TOUCHING, false);
    let mut results = Vec::new();
    for kind in number_kinds() {
        let mut result = NumberResult::new(kind.name, kind.held_out);
        let readings = (0..per_kind).into_par_iter().map(|number| read(kind, number));
        for (touches, labels, answer) in readings.collect::<Result<Vec<_>>>()? {
            result.count(&labels, &answer);
            if touches {
                touching.count(&labels, &answer);
            }
        }
        results.push(result);
    }
    results.push(touching);
    Ok(results)
}

/// The name of the result of all pictures on which digits may touch.
const TOUCHING: &str = "digits that may touch";

/// The sums over the kinds that a reader may be tuned on, and over those that are held out.
#[must_use]
pub fn number_sums(results: &[NumberResult]) -> [NumberResult; 2] {
    [("numbers, tuned on", false), ("numbers, held out", true)].map(|(name, held_out)| {
        let mut sum = NumberResult::new(name, held_out);
        results.iter().filter(|r| r.held_out == held_out && r.kind != TOUCHING).for_each(|r| sum.add(r));
        sum
    })
}

/// The results as a table for people: each group's kinds and its sum, in percent.
#[must_use]
pub fn number_table(results: &[NumberResult]) -> String {
    let mut text = format!(
        "{:<22}  pictures  digits right  numbers right   refused   unsure   wrong and sure   seen as several\n",
        ""
    );
    for sum in number_sums(results) {
        let group = results.iter().filter(|r| r.held_out == sum.held_out && r.kind != TOUCHING);
        text.push('\n');
        text.extend(group.chain([&sum]).map(line));
    }
    text.push('\n');
    text.extend(results.iter().filter(|r| r.kind == TOUCHING).map(line));
    text
}

fn line(result: &NumberResult) -> String {
    let percent = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
    let of_numbers = |count: usize| percent(count, result.numbers);
    format!(
        "{:<22}  {:>8}  {:>10.1} %  {:>11.1} %  {:>6.1} %  {:>5.1} %  {:>13.1} %  {:>14.1} %\n",
        result.kind,
        result.numbers,
        percent(result.digits_right, result.digits),
        of_numbers(result.numbers_right),
        of_numbers(result.refused),
        of_numbers(result.unsure),
        of_numbers(result.wrong_and_sure),
        of_numbers(result.noticed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{PIXELS, digits};

    #[test]
    fn the_edit_distance_counts_changes() {
        for (from, to, distance) in [
            (&[1, 2, 3][..], &[1, 2, 3][..], 0),
            (&[1, 2, 3], &[1, 3], 1),
            (&[1, 2], &[1, 7, 2], 1),
            (&[4, 2, 9], &[4, 1, 9], 1),
            (&[1, 2, 3, 4], &[2, 3, 4, 5], 2),
            (&[], &[7, 7], 2),
            (&[7, 7], &[], 2),
        ] {
            assert_eq!(edit_distance(from, to), distance, "{from:?} {to:?}");
        }
    }

    #[test]
    fn readings_are_counted() {
        let mut result = NumberResult::new("plain", false);
        let seen = |digits: &[usize], sure| SeenNumber { digits: Some(digits.to_vec()), sure, noticed: true };
        result.count(&[1, 2, 3], &seen(&[1, 2, 3], true));
        result.count(&[1, 2, 3], &seen(&[1, 3], true));
        result.count(&[1, 2, 3], &seen(&[4; 9], false));
        result.count(&[1, 2, 3], &SeenNumber { digits: None, sure: false, noticed: false });
        assert_eq!((result.numbers, result.digits, result.digits_right, result.numbers_right), (4, 12, 5, 1));
        assert_eq!((result.unsure, result.refused, result.wrong_and_sure, result.noticed), (1, 1, 1, 3));
    }

    #[test]
    fn the_table_has_a_line_for_each_kind_and_each_sum() {
        let stroke = (0..PIXELS).map(|i| if (12..16).contains(&(i % 28)) && i > 140 && i < 640 { 255 } else { 0 });
        let images = ImageSet::new(stroke.collect(), vec![1], digits()).unwrap();
        let reader = |_: &DynamicImage| Ok(SeenNumber { digits: Some(vec![1, 1]), sure: true, noticed: true });
        let results = read_all_numbers(reader, &images, 1, 1).unwrap();
        assert_eq!(results.len(), number_kinds().len() + 1);
        assert!(results.iter().all(|r| r.numbers == 1 || r.kind == TOUCHING));
        let table = number_table(&results);
        assert_eq!(table.lines().filter(|line| line.contains('%')).count(), number_kinds().len() + 3, "{table}");
        assert_eq!(number_sums(&results).map(|sum| sum.numbers), [8, 6]);
    }
}
