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
    data::{IMAGE_SIDE, Images, PIXELS, images_tensor},
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
    /// The index of the most likely class.
    pub class: usize,
    /// Its share of the votes, 0 to 1.
    pub probability: f32,
    /// The share of each class, 0 to 1.
    pub probabilities: Vec<f32>,
    /// The energy of the candidate that votes most for the class: low if nothing looks like one of the classes.
    pub energy: f32,
    /// That candidate as the net saw it, in MNIST's format.
    pub image: [u8; PIXELS],
    /// Where it is in the picture, in the picture's pixels.
    pub bounds: Bounds,
    /// Whether the picture is an image in MNIST's format. It shows a digit, however unsure the net is.
    pub is_framed: bool,
    /// The share of the class's votes by candidates that may be one of several digits, 0 to 1.
    pub in_row: f32,
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
    let images = candidates.iter().map(|candidate| &candidate.image);
    let logits = rows(net.forward(images_tensor(images, scale, device)))?;
    Ok(decide(&candidates, &logits.iter().collect::<Vec<_>>()))
}

/// Reads images in MNIST's format as they are, in order.
///
/// # Errors
/// The device fails.
pub fn read_framed(net: &LeNet5, scale: Scale, device: &Device, images: &[[u8; PIXELS]]) -> Result<Vec<Reading>> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let logits = net.logits(&Images::of_pixels(images, scale), device)?;
    let bounds = Bounds { left: 0, top: 0, width: IMAGE_SIDE, height: IMAGE_SIDE };
    let reading = |(image, logits): (&[u8; PIXELS], _)| {
        let only = Candidate { image: *image, bounds, prior: 1.0, is_plain: true, is_framed: true, in_row: false };
        decide(&[only], &[logits])
    };
    Ok(images.iter().zip(logits.iter()).filter_map(reading).collect())
}

/// Reads an image that is framed already, and lies there in its picture.
///
/// # Errors
/// The device fails.
pub fn read_image(
    net: &LeNet5,
    scale: Scale,
    device: &Device,
    image: [u8; PIXELS],
    bounds: Bounds,
) -> Result<Option<Reading>> {
    let logits = rows(net.forward(images_tensor([&image].into_iter(), scale, device)))?;
    let whole = Candidate { image, bounds, prior: 1.0, is_plain: true, is_framed: false, in_row: false };
    Ok(decide(&[whole], &logits.iter().collect::<Vec<_>>()))
}

/// The vote; `None` without candidates.
fn decide(candidates: &[Candidate], logits: &[&[f32]]) -> Option<Reading> {
    let energies: Vec<f32> = logits.iter().copied().map(energy).collect();
    let believed = |energy: f32| 1.0 / (1.0 + ((MIDDLE_ENERGY - energy) / ENERGY_WIDTH).exp());
    let mut weights: Vec<f32> =
        candidates.iter().zip(&energies).map(|(candidate, e)| candidate.prior * believed(*e)).collect();
    match &mut weights[..] {
        // There is nothing to weigh it against.
        [only] => *only = 1.0,
        [plain, others @ ..] if candidates[0].is_plain => *plain *= PLAIN_SHARE * others.iter().sum::<f32>(),
        _ => {}
    }
    let votes: Vec<Vec<f32>> = logits
        .iter()
        .zip(&energies)
        .zip(&weights)
        .map(|((logits, energy), weight)| logits.iter().map(|logit| weight * (logit - energy).exp()).collect())
        .collect();
    let mut probabilities = vec![0.0; logits.first()?.len()];
    for vote in &votes {
        probabilities.iter_mut().zip(vote).for_each(|(sum, vote)| *sum += vote);
    }
    let total = probabilities.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    for sum in &mut probabilities {
        *sum /= total;
    }
    let class = argmax(&probabilities);
    let best = (0..candidates.len()).max_by(|a, b| votes[*a][class].total_cmp(&votes[*b][class]))?;
    let for_class = |in_row: bool| {
        let votes = candidates.iter().zip(&votes).filter(|(candidate, _)| candidate.in_row || !in_row);
        votes.map(|(_, vote)| vote[class]).sum::<f32>()
    };
    let in_row = for_class(true) / for_class(false).max(f32::MIN_POSITIVE);
    let Candidate { image, bounds, is_framed, .. } = candidates[best];
    let (probability, energy) = (probabilities[class], energies[best]);
    Some(Reading { class, probability, probabilities, energy, image, bounds, is_framed, in_row })
}

/// ln Σ exp(logit).
pub(crate) fn energy(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(is_plain: bool) -> Candidate {
        let bounds = Bounds { left: 0, top: 0, width: 1, height: 1 };
        Candidate { image: [0; PIXELS], bounds, prior: 1.0, is_plain, is_framed: false, in_row: false }
    }

    /// Logits for a digit that is `lead` ahead of the others.
    fn logits(digit: usize, lead: f32, others: f32) -> [f32; 10] {
        std::array::from_fn(|i| if i == digit { others + lead } else { others })
    }

    #[test]
    fn what_looks_like_a_digit_outvotes_what_is_only_sure() {
        let candidates = [candidate(true), candidate(false), candidate(false)];
        // Equally sure by softmax, but with little energy.
        let logits = [logits(1, 14.0, -12.0), logits(7, 14.0, -2.0), logits(1, 14.0, -10.0)];
        let reading = decide(&candidates, &logits.each_ref().map(|logits| &logits[..])).unwrap();
        assert!(reading.class == 7 && reading.probability > 0.8, "{reading:?}");
        assert!((reading.energy - 12.0).abs() < 1e-3);
        assert!((reading.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_single_candidate_is_read_by_softmax() {
        let logits = logits(3, 2.0, 0.5);
        let reading = decide(&[candidate(true)], &[&logits]).unwrap();
        let softmax = 2_f32.exp() / (2_f32.exp() + 9.0);
        assert!(reading.class == 3 && (reading.probability - softmax).abs() < 1e-5);
        assert_eq!(decide(&[], &[]), None);
    }
}
