//! What is said of a picture in which no digit was found.

use image::DynamicImage;

use crate::{picture::Finding, reading::Reading, report::probability};

/// Says what was looked for in a picture and what was found instead. `reading` is the net's best guess, if it had any;
/// `needed` is the probability, 0 to 1, from which it would have been a digit.
pub(crate) fn refusal(picture: &DynamicImage, reading: Option<&Reading>, needed: f32) -> String {
    match (Finding::of(picture), reading) {
        (Finding::Shapes, Some(reading)) => {
            let [guess, needed] = [reading.probability, needed].map(|p| probability(p.into()));
            let bounds = reading.bounds;
            format!(
                "shows no digit that the net recognizes: its best guess is a {} with {guess}, where {needed} are needed, for \
                 the {} x {} pixels that begin {} from the left and {} from the top. Crop it to one digit, upright and whole",
                reading.digit, bounds.width, bounds.height, bounds.left, bounds.top,
            )
        }
        (finding, _) => finding.to_string(),
    }
}
