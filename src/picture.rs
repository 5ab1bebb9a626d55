//! From any picture of a digit to an image in MNIST's format.
//!
//! - `decode`: files.
//! - `plane`: grey pictures as numbers.
//! - `foreground`: how much each pixel belongs to the foreground.
//! - `components`: connected components.
//! - `framing`: the digit in 28x28 pixels, as in MNIST.

mod components;
mod decode;
mod foreground;
mod framing;
mod plane;

use std::path::Path;

use image::DynamicImage;

pub use self::decode::open;
use self::{
    foreground::foreground,
    framing::{centre, digit},
    plane::{brightness, shrink},
};
use crate::{Error, Result, data::PIXELS};

/// Reads a picture file (PNG, JPEG, BMP, GIF or PNM, of any size, in colour or grey, dark on light or light on dark) as
/// an image in MNIST's format: 784 pixels from 0 (background) to 255 (foreground), row by row.
///
/// # Errors
/// The file cannot be read, is not such a picture, is too large, or shows nothing.
pub fn read_picture(path: &Path) -> Result<[u8; PIXELS]> {
    normalize(&open(path)?).map_err(|reason| Error::Picture { path: path.to_owned(), reason: reason.into() })
}

/// Converts a picture of a digit to MNIST's format: 784 pixels from 0 to 255, row by row.
///
/// # Errors
/// The picture shows nothing.
pub fn normalize(picture: &DynamicImage) -> std::result::Result<[u8; PIXELS], &'static str> {
    // A drawing on a transparent background is seen on white or, if it is itself white, on black.
    let backgrounds: &[f32] = if picture.color().has_alpha() { &[1.0, 0.0] } else { &[1.0] };
    let foreground = backgrounds
        .iter()
        .find_map(|background| foreground(&shrink(&brightness(picture, *background))))
        .ok_or("shows nothing: it is a single shade all over")?;
    Ok(centre(&digit(&foreground)))
}
