//! Images that show no digit, to train with: a net that has only seen digits takes everything for one.
//!
//! They are what the reader makes of generated scenes without a digit. Their target is the uniform distribution over all
//! classes. Source: Hendrycks et al., "Deep Anomaly Detection with Outlier Exposure" (2019), section 3,
//! <https://arxiv.org/abs/1812.04606>.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus, seq::IteratorRandom};
use rayon::prelude::*;

use crate::{
    data::{ImageSet, PIXELS},
    picture::{candidates, normalize},
    scenes::{Kind, crowded, draw, kinds},
};

/// Training images for each scene that is drawn, and the most scenes.
const IMAGES_PER_SCENE: usize = 15;
const MAX_SCENES: usize = 4000;
/// Images taken of each scene, at most.
const PER_SCENE: usize = 6;
/// Crowded digits, for each scene.
const CROWDS_PER_SCENE: u64 = 2;

/// Draws images without a digit, of the kinds of scenes that are not held out: the more, the more digits there are to learn
/// from. Half digits are cut from these. The result depends on them and the seed alone.
#[must_use]
pub fn negatives(digits: &ImageSet, seed: u64) -> Vec<[u8; PIXELS]> {
    let kinds: Vec<&Kind> = kinds().iter().filter(|kind| !kind.shows_digit && !kind.held_out).collect();
    let of_scene = |number: u64| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(32) ^ number);
        let kind = kinds[random.random_range(0..kinds.len())];
        let digit = digits.image(random.random_range(0..digits.len()));
        let candidates = candidates(&draw(kind, digit, &mut random));
        candidates.into_iter().map(|candidate| candidate.image).sample(&mut random, PER_SCENE)
    };
    if digits.is_empty() || kinds.is_empty() {
        return Vec::new();
    }
    // A digit with something that does not belong to it, framed together.
    let of_crowd = |number: u64| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(32) ^ !number);
        let [digit, other] = [(); 2].map(|()| digits.image(random.random_range(0..digits.len())));
        normalize(&crowded(digit, other, &mut random)).ok()
    };
    let scenes = digits.len().div_ceil(IMAGES_PER_SCENE).min(MAX_SCENES) as u64;
    let mut images: Vec<_> = (0..scenes).into_par_iter().flat_map_iter(of_scene).collect();
    images.par_extend((0..CROWDS_PER_SCENE * scenes).into_par_iter().filter_map(of_crowd));
    images
}
