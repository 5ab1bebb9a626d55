//! What is said of a picture: the digit or the number that it shows, or why there is none.

use std::path::Path;

use image::DynamicImage;
use serde::Serialize;

use crate::{
    Error, Result,
    card::Card,
    data::PIXELS,
    number::{NumberDigit, NumberReading},
    picture::Bounds,
    reading::Reading,
    refusal::{refusal, refusal_of_number},
    thresholds::Verdict,
};

/// What came of looking at a picture.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The picture, if its file can be read.
    pub picture: Option<DynamicImage>,
    /// What was found in it, even if that is not taken for a digit.
    pub found: Vec<Found>,
    /// What it shows, or why that cannot be told.
    pub answer: Result<T>,
}

/// A digit, or a thing of another class, that was found in a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// The name of its class.
    pub class: String,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// Whether the probability is at least [`Thresholds::sure`](crate::thresholds::Thresholds::sure).
    pub sure: bool,
    /// Where it is in the picture, in its pixels.
    pub bounds: Bounds,
    /// Whether there is a space before it.
    #[serde(skip)]
    pub after_space: bool,
    /// As the net saw it, in MNIST's format.
    #[serde(skip)]
    pub image: [u8; PIXELS],
}

/// What the net predicts for a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The name of the most likely class.
    pub class: String,
    /// Its index.
    pub index: usize,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// Whether the probability is at least [`Thresholds::sure`](crate::thresholds::Thresholds::sure), and the picture does
    /// not show several digits.
    pub sure: bool,
    /// Whether the picture shows several digits. The answer is one of them at most.
    pub several: bool,
    /// How much of any class the net sees, whichever it is: ln Σ exp(logit).
    pub energy: f32,
    /// Where it is in the picture, in the picture's pixels.
    pub bounds: Bounds,
    /// All classes, the most likely first.
    pub ranking: Vec<RankedClass>,
}

/// One class and its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedClass {
    /// Its name.
    pub class: String,
    /// Its index.
    pub index: usize,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

/// The number that the net reads in a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberPrediction {
    /// The digits, with a space where there is a clear gap.
    pub number: String,
    /// The probability that they are all right, 0 to 1.
    pub probability: f32,
    /// Whether all of them are sure.
    pub sure: bool,
    /// From left to right.
    pub digits: Vec<Found>,
}

impl<T> Outcome<T> {
    /// Of a file that cannot be read.
    pub(super) fn failed(error: Error) -> Self {
        Self { picture: None, found: Vec::new(), answer: Err(error) }
    }
}

/// What is predicted for a picture, or why nothing is.
pub(super) fn judge(
    picture: &DynamicImage,
    reading: Option<&Reading>,
    several: bool,
    card: &Card,
) -> std::result::Result<Prediction, String> {
    match reading {
        Some(reading) if card.thresholds.verdict(Some(reading)) != Verdict::Refused => {
            Ok(Prediction::new(reading, several, card))
        }
        _ if several => Err("shows several digits, not one; --number reads them".to_owned()),
        _ => Err(refusal(picture, reading, card)),
    }
}

impl Outcome<Prediction> {
    pub(super) fn for_digit(
        path: &Path,
        picture: DynamicImage,
        reading: Option<&Reading>,
        several: bool,
        card: &Card,
    ) -> Self {
        let found = reading.map(|reading| Found::new(reading, card)).into_iter().collect();
        let answer = judge(&picture, reading, several, card);
        let answer = answer.map_err(|reason| Error::Picture { path: path.to_owned(), reason });
        Self { picture: Some(picture), found, answer }
    }
}

impl Outcome<NumberPrediction> {
    pub(super) fn for_number(path: &Path, picture: DynamicImage, reading: Option<&NumberReading>, card: &Card) -> Self {
        let digits = reading.iter().flat_map(|reading| &reading.digits);
        let found: Vec<_> = digits.map(|digit| Found::of_number(digit, card)).collect();
        let answer = match reading {
            Some(reading) if reading.is_number() => Ok(NumberPrediction {
                number: reading.to_string(),
                probability: reading.probability,
                sure: found.iter().all(|digit| digit.sure),
                digits: found.clone(),
            }),
            _ => Err(Error::Picture { path: path.to_owned(), reason: refusal_of_number(&picture, reading) }),
        };
        Self { picture: Some(picture), found, answer }
    }
}

impl Found {
    fn new(reading: &Reading, card: &Card) -> Self {
        let Reading { class, probability, bounds, image, .. } = *reading;
        let (class, sure) = (card.classes[class].clone(), probability >= card.thresholds.sure);
        Self { class, probability, sure, bounds, after_space: false, image }
    }

    fn of_number(digit: &NumberDigit, card: &Card) -> Self {
        let NumberDigit { digit, probability, bounds, after_space, image } = *digit;
        let (class, sure) = (card.classes[digit].clone(), probability >= card.thresholds.sure);
        Self { class, probability, sure, bounds, after_space, image }
    }
}

impl Prediction {
    pub(crate) fn new(reading: &Reading, several: bool, card: &Card) -> Self {
        Self::with_top(reading, several, card, card.classes.len())
    }

    /// The same, with no more classes in the ranking than `top`.
    pub(crate) fn with_top(reading: &Reading, several: bool, card: &Card, top: usize) -> Self {
        let probability_of = |index: usize| reading.probabilities[index];
        let mut indices: Vec<usize> = (0..reading.probabilities.len()).collect();
        indices.sort_by(|a, b| probability_of(*b).total_cmp(&probability_of(*a)));
        let ranked = |index: usize| RankedClass {
            class: card.classes[index].clone(),
            index,
            probability: probability_of(index),
        };
        let ranking = indices.into_iter().take(top).map(ranked).collect();
        let Reading { class: index, probability, energy, bounds, .. } = *reading;
        let class = card.classes[index].clone();
        let sure = probability >= card.thresholds.sure && !several;
        Self { class, index, probability, sure, several, energy, bounds, ranking }
    }
}
