//! How sure is sure enough: the two limits of a reading's probability, chosen for a net on generated scenes.

use image::DynamicImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    config::Config,
    data::{ImageSet, digits},
    reading::Reading,
    scenes::{Kind, kinds, scene},
};

/// The pictures of each kind by which a net's thresholds are chosen: at most so many, and one for every two digits in all.
const PER_KIND: usize = 100;
/// How many of a thousand pictures with a digit are refused, and how many are refused or marked as not sure.
const REFUSED: usize = 2;
const NOT_SURE: usize = 60;

/// The limits that decide how an answer is given. Those by default are right for the net that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// Below this probability, 0 to 1, a picture shows no digit.
    pub no_digit: f32,
    /// From this probability on, 0 to 1, an answer is sure.
    pub sure: f32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { no_digit: 0.23, sure: 0.56 }
    }
}

/// What a reader says about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It shows this digit.
    Digit {
        /// The digit, 0 to 9.
        digit: usize,
        /// Whether the reader is sure.
        sure: bool,
    },
    /// It shows no digit.
    Refused,
}

impl Thresholds {
    /// The default for a net with these settings. Only digits are refused by default, if they are cut out of pictures: the
    /// limit was chosen for these.
    pub(crate) fn default_for(config: &Config) -> Self {
        let default = Self::default();
        let reads_digits = config.data.classes == digits() && config.data.frame.cuts_out();
        if reads_digits { default } else { Self { no_digit: 0.0, ..default } }
    }

    /// Chooses the thresholds of a net so that it refuses 0.2 % of the scenes that are drawn from these digits, and is not
    /// sure of 6 %. Kinds of scenes that are held out are not looked at.
    ///
    /// # Errors
    /// The device fails.
    pub fn choose(
        read: impl Fn(&DynamicImage) -> Result<Option<Reading>> + Sync,
        digits: &ImageSet,
        seed: u64,
    ) -> Result<Self> {
        let kinds: Vec<&Kind> = kinds().iter().filter(|kind| kind.shows_digit && !kind.held_out).collect();
        if digits.is_empty() || kinds.is_empty() {
            return Ok(Self::default());
        }
        let probability = |index: usize| {
            let (picture, _) = scene(kinds[index % kinds.len()], digits, seed, index / kinds.len());
            Ok(read(&picture)?.map_or(0.0, |reading| reading.probability))
        };
        let per_kind = (digits.len() / (2 * kinds.len())).clamp(1, PER_KIND);
        let mut probabilities: Vec<f32> =
            (0..per_kind * kinds.len()).into_par_iter().map(probability).collect::<Result<_>>()?;
        probabilities.sort_unstable_by(f32::total_cmp);
        let below = |per_thousand: usize| probabilities[probabilities.len() * per_thousand / 1000];
        Ok(Self { no_digit: below(REFUSED), sure: below(NOT_SURE) })
    }

    /// How an answer with this probability is given; `None` stands for a picture that shows nothing.
    #[must_use]
    pub fn verdict(self, reading: Option<&Reading>) -> Verdict {
        match reading {
            Some(reading) if reading.is_framed || reading.probability >= self.no_digit => {
                Verdict::Digit { digit: reading.class, sure: reading.probability >= self.sure }
            }
            _ => Verdict::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::PIXELS, picture::Bounds};

    fn reading(probability: f32) -> Reading {
        let bounds = Bounds { left: 0, top: 0, width: 1, height: 1 };
        let (probabilities, image) = (vec![0.1; 10], [0; PIXELS]);
        Reading { class: 4, probability, probabilities, energy: 9.0, image, bounds, is_framed: false, in_row: 0.0 }
    }

    #[test]
    fn the_chosen_fractions_stay_below() {
        let digit: Vec<u8> = (0..PIXELS).map(|i| if i % 28 == 14 && i > 140 && i < 640 { 255 } else { 0 }).collect();
        let count = 5000;
        let digits = ImageSet::new(digit.repeat(count), vec![1; count], digits()).unwrap();
        // A reader whose probability is different for each picture.
        let probability = |picture: &DynamicImage| {
            let sum: u64 = picture.as_bytes().iter().map(|byte| u64::from(*byte)).sum();
            (sum % 9973) as f32 / 9973.0
        };
        let chosen = Thresholds::choose(|picture| Ok(Some(reading(probability(picture)))), &digits, 1).unwrap();
        assert!((chosen.no_digit - 0.002).abs() < 0.004 && (chosen.sure - 0.06).abs() < 0.02, "{chosen:?}");
        assert_eq!(Thresholds::choose(|_| Ok(None), &digits.slice(0, 0), 1).unwrap(), Thresholds::default());
    }

    #[test]
    fn the_limits_belong_to_the_better_answer() {
        let thresholds = Thresholds { no_digit: 0.25, sure: 0.5 };
        let verdict = |probability| thresholds.verdict(Some(&reading(probability)));
        assert_eq!(verdict(0.5), Verdict::Digit { digit: 4, sure: true });
        assert_eq!(verdict(0.25), Verdict::Digit { digit: 4, sure: false });
        assert_eq!(verdict(0.24), Verdict::Refused);
        assert_eq!(thresholds.verdict(None), Verdict::Refused);
        let framed = Reading { is_framed: true, ..reading(0.24) };
        assert_eq!(thresholds.verdict(Some(&framed)), Verdict::Digit { digit: 4, sure: false });
    }
}
