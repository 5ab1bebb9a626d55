//! What is said of a picture in which no digit, or no number, was found.

use image::DynamicImage;

use crate::{
    card::Card,
    data::digits,
    number::NumberReading,
    picture::{Finding, framed},
    reading::Reading,
    report::probability,
};

/// Says what was looked for in a picture and what was found instead. `reading` is the net's best guess, if it had any.
pub(crate) fn refusal(picture: &DynamicImage, reading: Option<&Reading>, card: &Card) -> String {
    if reading.is_none() && !card.framing.cuts_out() {
        return framed(picture, card.framing).err().unwrap_or_else(|| Finding::OneShade.to_string());
    }
    match (Finding::of(picture), reading) {
        (Finding::Shapes, Some(reading)) => {
            let [sureness, needed] =
                [reading.probability, card.thresholds.no_digit].map(|limit| probability(limit.into()));
            let (bounds, guess) = (reading.bounds, &card.classes[reading.class]);
            let (nothing, guess, one) = if card.classes == digits() {
                ("no digit", format!("a {guess}"), "digit")
            } else {
                ("nothing", guess.clone(), "thing")
            };
            format!(
                "shows {nothing} that the net recognizes: its best guess is {guess} with {sureness}, where {needed} are needed, \
                 for the {} x {} pixels that begin {} from the left and {} from the top. Crop it to one {one}, upright and whole",
                bounds.width, bounds.height, bounds.left, bounds.top,
            )
        }
        (finding, _) => finding.to_string(),
    }
}

/// The same of a picture in which no number was found.
pub(crate) fn refusal_of_number(picture: &DynamicImage, reading: Option<&NumberReading>) -> String {
    match (Finding::of(picture), reading) {
        (Finding::Shapes, Some(reading)) => format!(
            "shows no number that the net recognizes: its best guess, {reading}, hardly looks like digits. Crop it to the \
             number: one row, from left to right"
        ),
        (finding, _) => finding.to_string(),
    }
}
