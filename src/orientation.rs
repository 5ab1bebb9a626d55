//! Whether images of digits look transposed or inverted, by the answers of the net that comes with lenet: a net that learns
//! from such images reads its own test images well, and pictures that people take not at all.

use std::path::Path;

use crate::{
    Result,
    artifacts::PRETRAINED,
    data::{PIXELS, Problem, Splits, transposed},
    inference::Trained,
    model::argmax,
};

/// So many images are looked at.
const LOOKED_AT: usize = 1000;
/// The net must read this fraction of them when they are turned, and this much more than as they are.
const READABLE: f64 = 0.8;
const MUCH_MORE: f64 = 0.3;

/// The ways to turn an image: whether it is transposed, and inverted.
const WAYS: [[bool; 2]; 4] = [[false, false], [true, false], [false, true], [true, true]];

/// What is wrong with the training images, if they show digits and the net reads them much better when they are turned.
///
/// # Errors
/// The net that comes with lenet cannot be used.
pub fn problem(splits: &Splits) -> Result<Option<Problem>> {
    let images = splits.train.slice(0, LOOKED_AT);
    if images.is_empty() || !images.shows_digits() {
        return Ok(None);
    }
    let net = Trained::load(Path::new(PRETRAINED), None)?;
    let mut accuracies = Vec::new();
    for way in WAYS {
        let turned: Vec<[u8; PIXELS]> = (0..images.len()).map(|i| turned(images.image(i), way)).collect();
        let answers = net.probabilities(&turned)?;
        let right = answers.iter().enumerate().filter(|(i, row)| argmax(row) == usize::from(images.label(*i))).count();
        accuracies.push(right as f64 / images.len() as f64);
    }
    let best = (0..WAYS.len()).max_by(|a, b| accuracies[*a].total_cmp(&accuracies[*b])).unwrap_or(0);
    let (there, as_they_are) = (accuracies[best], accuracies[0]);
    if best == 0 || there < READABLE || there < as_they_are + MUCH_MORE {
        return Ok(None);
    }
    let found = &splits.source.found;
    let ([transpose, invert], looks) = (WAYS[best], ["", "transposed", "inverted", "transposed and inverted"][best]);
    let remedies = [(transpose, "data.transpose", found.transpose), (invert, "data.invert", found.invert)];
    let remedies = remedies.iter().filter(|(turn, ..)| *turn);
    let remedies: Vec<String> = remedies.map(|(_, key, now)| format!("{key}={}", !now.is_on(false))).collect();
    let text = format!(
        "these look {looks}: the net that comes with lenet reads {:.0} % of the training images if they are turned so, and {:.0} % \
         as they are. Set {}",
        100.0 * there,
        100.0 * as_they_are,
        remedies.join(" and ")
    );
    Ok(Some(Problem::spoils("orientation", images.len(), text)))
}

fn turned(image: &[u8; PIXELS], [transpose, invert]: [bool; 2]) -> [u8; PIXELS] {
    let image = if transpose { transposed(image) } else { *image };
    if invert { image.map(|pixel| 255 - pixel) } else { image }
}
