//! Which digit a picture shows: the net reads all candidates in one batch, and they vote.
//!
//! A candidate that shows no digit still has a largest probability, often near 1, because softmax compares digits only
//! with each other. The energy E = ln Σ exp(logit) tells how much of any digit the net sees. Source: Liu et al.,
//! "Energy-based Out-of-distribution Detection" (2020), section 3, <https://arxiv.org/abs/2010.03759>; there, energy has
//! the other sign.

use burn::tensor::Device;
use image::DynamicImage;

use crate::{
    Result,
    config::Scale,
    data::{CLASSES, PIXELS, images_tensor},
    model::{LeNet5, argmax, rows},
    picture::{Bounds, Candidate, candidates},
};

/// A candidate of this energy counts half. Source: measured on scenes, as the next two.
const MIDDLE_ENERGY: f32 = 8.0;
/// How far from it, in energy, a candidate counts 0.73 or 0.27.
const ENERGY_WIDTH: f32 = 2.0;
/// What the plain candidate counts, as a fraction of all others together.
const PLAIN_SHARE: f32 = 0.3;

/// What a picture shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The most likely digit.
    pub digit: usize,
    /// Its share of the votes, 0 to 1.
    pub probability: f32,
    /// The share of each digit, 0 to 1.
    pub probabilities: [f32; CLASSES],
    /// The energy of the candidate that votes most for the digit: low if nothing looks like a digit.
    pub energy: f32,
    /// That candidate as the net saw it, in MNIST's format.
    pub image: [u8; PIXELS],
    /// Where it is in the picture, in the picture's pixels.
    pub bounds: Bounds,
}

/// Reads a picture; `None` if it shows nothing.
///
/// # Errors
/// The device fails.
pub fn read(net: &LeNet5, scale: Scale, device: &Device, picture: &DynamicImage) -> Result<Option<Reading>> {
    let candidates = candidates(picture);
    if candidates.is_empty() {
        return Ok(None);
    }
    let images = candidates.iter().map(|candidate| candidate.image.as_slice());
    let logits = rows(net.forward(images_tensor(images, scale, device)))?;
    Ok(decide(&candidates, &logits))
}

/// The vote; `None` without candidates.
fn decide(candidates: &[Candidate], logits: &[[f32; CLASSES]]) -> Option<Reading> {
    let energies: Vec<f32> = logits.iter().map(energy).collect();
    let believed = |energy: f32| 1.0 / (1.0 + ((MIDDLE_ENERGY - energy) / ENERGY_WIDTH).exp());
    let mut weights: Vec<f32> =
        candidates.iter().zip(&energies).map(|(candidate, e)| candidate.prior * believed(*e)).collect();
    if candidates.len() > 1 && candidates[0].is_plain {
        weights[0] *= PLAIN_SHARE * weights[1..].iter().sum::<f32>();
    }
    let votes: Vec<[f32; CLASSES]> = logits
        .iter()
        .zip(&energies)
        .zip(&weights)
        .map(|((logits, energy), weight)| logits.map(|logit| weight * (logit - energy).exp()))
        .collect();
    let mut probabilities = [0.0; CLASSES];
    for vote in &votes {
        probabilities.iter_mut().zip(vote).for_each(|(sum, vote)| *sum += vote);
    }
    let total = probabilities.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    let probabilities = probabilities.map(|sum| sum / total);
    let digit = argmax(&probabilities);
    let best = (0..candidates.len()).max_by(|a, b| votes[*a][digit].total_cmp(&votes[*b][digit]))?;
    let Candidate { image, bounds, .. } = candidates[best];
    Some(Reading { digit, probability: probabilities[digit], probabilities, energy: energies[best], image, bounds })
}

/// ln Σ exp(logit).
fn energy(logits: &[f32; CLASSES]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}
