//! How much a group of pieces looks like a digit.

use crate::{picture::Group, reading::energy};

/// The classes are the digits, 0 to 9.
pub(super) const DIGITS: usize = 10;

/// What each property of a group adds to a path's score. Together they tell whether the group is one digit, and which.
///
/// Source: discriminative forward training (the same paper, section VI.D) on scenes of MNIST's training digits, with the
/// net that comes with the program.
struct Weights {
    /// For each digit.
    digit: f32,
    /// For energy, up to [`ENERGY_LIMIT`].
    energy: f32,
    /// For ln(1 + exp((8 - energy) / 2)): how far the group is from being believed.
    disbelief: f32,
    /// For the logarithm of the digit's probability.
    log_probability: f32,
    /// For the height as a fraction of the row's, up to [`HEIGHT_LIMIT`].
    height: f32,
    /// For the square of how many deviations a digit is wider than usual, up to [`WIDER_LIMIT`] deviations.
    wider: f32,
    /// For what is wider than the row is high.
    too_wide: f32,
    /// For what the cuts at both sides cross, in strokes, up to [`CROSSED_LIMIT`].
    crossed: f32,
    /// For each piece that is left out.
    skip: f32,
    /// For its share of the row's foreground, in tenths.
    skipped_mass: f32,
}

const WEIGHTS: Weights = Weights {
    digit: -1.72,
    energy: 0.08,
    disbelief: -1.99,
    log_probability: 0.83,
    height: 4.6,
    wider: -0.3,
    too_wide: -1.64,
    crossed: -1.98,
    skip: -3.57,
    skipped_mass: -1.95,
};
const ENERGY_LIMIT: f32 = 14.0;
const HEIGHT_LIMIT: f32 = 0.9;
const WIDER_LIMIT: f32 = 4.0;
const CROSSED_LIMIT: f32 = 4.0;
/// The mean and the deviation of ln(width / height) of each digit. Source: the same scenes.
const ASPECT: [(f32, f32); DIGITS] = [
    (-0.12, 0.20),
    (-0.90, 0.45),
    (-0.10, 0.24),
    (-0.28, 0.22),
    (-0.25, 0.23),
    (-0.11, 0.29),
    (-0.36, 0.24),
    (-0.29, 0.23),
    (-0.31, 0.24),
    (-0.42, 0.22),
];

/// What a piece adds to a path's score if it is left out; `mass` is its share of the row's foreground, 0 to 1.
pub(super) fn skipped(mass: f32) -> f32 {
    WEIGHTS.skip + WEIGHTS.skipped_mass * 10.0 * mass
}

/// What the net says about a group.
pub(super) struct Seen {
    energy: f32,
    /// The logarithms of the digits' probabilities.
    pub log_probabilities: [f32; DIGITS],
    /// Which of the group's images looks most like a digit.
    pub image: usize,
}

impl Seen {
    /// By the image of the highest energy.
    pub fn best<'a>(logits: impl Iterator<Item = &'a [f32]>) -> Option<Self> {
        let seen = logits.enumerate().filter_map(|(image, logits)| {
            let (energy, logits) = (energy(logits), <[f32; DIGITS]>::try_from(logits).ok()?);
            Some(Self { energy, log_probabilities: logits.map(|logit| logit - energy), image })
        });
        seen.max_by(|a, b| a.energy.total_cmp(&b.energy))
    }

    /// What a group adds to a path's score if it is this digit.
    pub fn score(&self, digit: usize, group: &Group) -> f32 {
        let w = WEIGHTS;
        let [width, height] = group.size;
        let (mean, deviation) = ASPECT[digit];
        let wider = (((width / height).ln() - mean) / deviation).clamp(0.0, WIDER_LIMIT);
        w.digit
            + w.energy * self.energy.min(ENERGY_LIMIT)
            + w.disbelief * ((8.0 - self.energy) / 2.0).exp().ln_1p()
            + w.log_probability * self.log_probabilities[digit]
            + w.height * height.min(HEIGHT_LIMIT)
            + w.wider * wider * wider
            + w.too_wide * (width - 1.0).max(0.0)
            + w.crossed * group.crossed.min(CROSSED_LIMIT)
    }
}
