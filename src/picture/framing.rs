//! From the foreground to an image in MNIST's format.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>: the digit is fitted into 20x20 pixels, keeping its aspect ratio, with
//! anti-aliasing; then its centre of mass is moved to the centre of 28x28 pixels.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are bounded, brightness is between 0 and 1"
)]

use image::imageops::{FilterType, crop_imm, resize};

use super::{components::components, plane::Plane};
use crate::data::{IMAGE_SIDE, PIXELS};

/// The longer side of a digit in MNIST, in pixels.
const DIGIT_SIDE: u32 = 20;
/// A component whose mass is less than this fraction of the largest one's is a speck, not part of the digit.
const MIN_COMPONENT: f32 = 0.05;

/// The digit without specks, cropped and fitted into 20x20.
pub(super) fn digit(foreground: &Plane) -> Plane {
    let (components, count) = components(foreground);
    let mut mass = vec![0.0_f32; count + 1];
    for (component, pixel) in components.iter().zip(foreground.pixels()) {
        mass[*component] += pixel[0];
    }
    mass[0] = 0.0;
    let min_mass = MIN_COMPONENT * mass.iter().copied().fold(0.0, f32::max);
    let (w, h) = foreground.dimensions();
    let (mut left, mut top, mut right, mut bottom) = (w, h, 0, 0);
    for ((x, y, _), component) in foreground.enumerate_pixels().zip(&components) {
        if *component > 0 && mass[*component] >= min_mass {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
        }
    }
    let (width, height) = (right - left + 1, bottom - top + 1);
    let cut = crop_imm(foreground, left, top, width, height).to_image();
    let longer = width.max(height);
    let side = |side: u32| ((side * DIGIT_SIDE + longer / 2) / longer).clamp(1, DIGIT_SIDE);
    let mut fitted = resize(&cut, side(width), side(height), FilterType::Triangle);
    // Resizing makes thin strokes paler, but MNIST's digits reach 255.
    let strongest = fitted.pixels().map(|p| p[0]).fold(f32::MIN_POSITIVE, f32::max);
    for pixel in fitted.pixels_mut() {
        pixel[0] /= strongest;
    }
    fitted
}

/// Places a digit in 28x28 pixels with its centre of mass in the centre, or as near as its edges allow.
pub(super) fn centre(digit: &Plane) -> [u8; PIXELS] {
    let (mut sum, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in digit.enumerate_pixels() {
        sum += pixel[0];
        sum_x += pixel[0] * x as f32;
        sum_y += pixel[0] * y as f32;
    }
    let middle = IMAGE_SIDE as f32 / 2.0;
    let offset = |moment: f32, side: u32| {
        (middle - moment / sum.max(f32::MIN_POSITIVE)).round().clamp(0.0, (IMAGE_SIDE as u32 - side) as f32) as usize
    };
    let (left, top) = (offset(sum_x, digit.width()), offset(sum_y, digit.height()));
    let mut field = [0; PIXELS];
    for (x, y, pixel) in digit.enumerate_pixels() {
        field[(top + y as usize) * IMAGE_SIDE + left + x as usize] = (pixel[0].clamp(0.0, 1.0) * 255.0).round() as u8;
    }
    field
}
