//! From any picture of a digit to images in MNIST's format.
//!
//! - `folder`: the pictures in a folder. `decode`: files.
//! - `plane`, `resize`, `filters`: grey pictures as numbers.
//! - `foreground`: how much each pixel belongs to the foreground, in several ways.
//! - `components`: connected components.
//! - `selection`: which of them may be the digit.
//! - `framing`: the digit in 28x28 pixels, as in MNIST. `whole`: the whole picture in as many.
//! - `candidates`: the ways to read a picture. [`crate::reading`] decides between them.
//! - `finding`: what there is in a picture without a digit.

mod candidates;
mod components;
mod decode;
mod filters;
mod finding;
mod folder;
mod foreground;
mod framing;
mod numbers;
mod plane;
mod resize;
mod selection;
mod whole;

use std::path::Path;

use image::DynamicImage;

pub(crate) use self::folder::{Listing, has_suffix_of_picture, is_left_behind, is_picture};
pub use self::{
    candidates::{Candidate, candidates},
    decode::{READABLE, STANDARD_INPUT, decode, open},
    finding::Finding,
    numbers::{Graph, Group, graphs},
    plane::Bounds,
};
use crate::{Error, Result, config::Frame};

/// Rows and columns of an image, in pixels.
pub const IMAGE_SIDE: usize = 28;
/// Pixels of an image, a byte each.
pub const PIXELS: usize = IMAGE_SIDE * IMAGE_SIDE;

/// Reads a picture file ([`READABLE`], of any size, in colour or grey, dark on light or light on dark) as
/// an image in MNIST's format: 784 pixels from 0 (background) to 255 (foreground), row by row.
///
/// # Errors
/// The file cannot be read, is not such a picture, is too large, or shows nothing.
pub fn read_picture(path: &Path) -> Result<[u8; PIXELS]> {
    normalize(&open(path)?).map_err(|finding| Error::Picture { path: path.to_owned(), reason: finding.to_string() })
}

/// Converts a picture of a digit to MNIST's format in the plain way: against the shade of its border. 784 pixels from 0
/// to 255, row by row.
///
/// # Errors
/// The picture shows nothing.
pub fn normalize(picture: &DynamicImage) -> std::result::Result<[u8; PIXELS], Finding> {
    candidates::plain(picture).map(|candidate| candidate.image).ok_or_else(|| Finding::of(picture))
}

/// A picture as an image of 784 pixels, as data sets of own pictures are framed; `Ok(None)` if it shows nothing.
///
/// # Errors
/// What is wrong with it: it has not 28x28 pixels, though [`Frame::None`] wants it.
pub fn framed(picture: &DynamicImage, frame: Frame) -> std::result::Result<Option<[u8; PIXELS]>, String> {
    if frame.cuts_out() {
        return Ok(normalize(picture).ok());
    }
    let (width, height) = (picture.width(), picture.height());
    if frame == Frame::None && [width, height].iter().any(|side| *side as usize != IMAGE_SIDE) {
        return Err(format!(
            "has {width} x {height} pixels, and with data.frame = \"none\" {IMAGE_SIDE} x {IMAGE_SIDE} are needed: resize it, \
             or train with data.frame = \"whole\""
        ));
    }
    let image = whole::whole(picture);
    let is_blank = image.iter().all(|pixel| *pixel == image[0]);
    Ok((!is_blank).then_some(image))
}
