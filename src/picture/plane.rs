//! Grey pictures as numbers from 0 to 1.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are bounded, values are between 0 and 1"
)]

use image::DynamicImage;
use serde::Serialize;

use super::resize::{RowResizer, resize, with_fewer_columns};

/// Larger pictures are first reduced to this longer side, in pixels: finer detail is noise here.
pub(super) const WORKING_SIDE: usize = 400;
/// Pixels that are converted at once.
const BAND_PIXELS: u32 = 1 << 18;
/// Values that are added, or compared, at once.
pub(super) const LANES: usize = 16;

/// A grey picture with values from 0 to 1, row by row: brightness, or how much a pixel belongs to the foreground.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Pixels to the left of it.
    pub left: usize,
    /// Pixels above it.
    pub top: usize,
    /// In pixels, at least 1.
    pub width: usize,
    /// In pixels, at least 1.
    pub height: usize,
}

impl Bounds {
    /// The longer side, in pixels.
    pub(super) fn longer(self) -> usize {
        self.width.max(self.height)
    }

    /// The smallest rectangle around both.
    pub(super) fn union(self, other: Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let right = (self.left + self.width).max(other.left + other.width);
        let bottom = (self.top + self.height).max(other.top + other.height);
        Self { left, top, width: right - left, height: bottom - top }
    }

    /// Whether the other lies in it.
    pub(super) fn encloses(self, other: Self) -> bool {
        self.union(other) == self
    }

    /// How far apart they are, in pixels along the axis where it is more; 0 if they overlap.
    pub(super) fn distance(self, other: Self) -> usize {
        let both = self.union(other);
        let gap = |whole: usize, a: usize, b: usize| whole.saturating_sub(a + b);
        gap(both.width, self.width, other.width).max(gap(both.height, self.height, other.height))
    }

    /// The same rectangle in a picture of this size, of which the plane is a copy: from `origin` in that picture, with
    /// `scale` of its pixels in one of the plane.
    pub(super) fn within(self, origin: (f32, f32), scale: f32, (width, height): (usize, usize)) -> Self {
        let span = |origin: f32, start: usize, length: usize, side: usize| {
            let first = ((origin + start as f32 * scale) as usize).min(side - 1);
            let end = ((origin + (start + length) as f32 * scale).round() as usize).clamp(first + 1, side);
            (first, end - first)
        };
        let (left, width) = span(origin.0, self.left, self.width, width);
        let (top, height) = span(origin.1, self.top, self.height, height);
        Self { left, top, width, height }
    }
}

impl Plane {
    /// All of it.
    pub fn bounds(&self) -> Bounds {
        Bounds { left: 0, top: 0, width: self.width, height: self.height }
    }

    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    pub fn crop(&self, bounds: Bounds) -> Self {
        let mut values = Vec::with_capacity(bounds.width * bounds.height);
        for row in self.rows().skip(bounds.top).take(bounds.height) {
            values.extend_from_slice(&row[bounds.left..bounds.left + bounds.width]);
        }
        Self { width: bounds.width, height: bounds.height, values }
    }

    pub fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        Self { values: self.values.iter().map(|v| f(*v)).collect(), ..*self }
    }

    /// Combines the values of two planes of one size.
    pub fn zip_map(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self { values: self.values.iter().zip(&other.values).map(|(a, b)| f(*a, *b)).collect(), ..*self }
    }

    /// The sum of `f` over all pixels.
    pub fn sum(&self, f: impl Fn(f32) -> f32) -> f32 {
        // In lanes, since the compiler may not reorder a sum of floats.
        let (chunks, rest) = self.values.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += f(*value);
            }
        }
        lanes.iter().sum::<f32>() + rest.iter().map(|v| f(*v)).sum::<f32>()
    }

    /// The largest value, or 0.
    pub fn max(&self) -> f32 {
        let (chunks, rest) = self.values.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane = if *value > *lane { *value } else { *lane };
            }
        }
        lanes.iter().chain(rest).copied().fold(0.0, f32::max)
    }

    /// What is above `floor`, stretched to 0 to 1.
    pub fn stretched(&self, floor: f32) -> Self {
        let scale = 1.0 / (1.0 - floor);
        self.map(|value| ((value - floor) * scale).max(0.0))
    }

    /// The plane, reduced to at most this longer side, in pixels.
    pub fn shrunk(&self, side: usize) -> Self {
        let longer = self.width.max(self.height);
        if longer <= side {
            return self.clone();
        }
        let reduced = |length: usize| (length * side / longer).max(1);
        resize(self, reduced(self.width), reduced(self.height))
    }
}

/// The brightness of a picture, where `background` shows through transparent pixels; reduced to 400 pixels.
pub(super) fn brightness(picture: &DynamicImage, background: f32) -> Plane {
    brightness_within(picture, background, WORKING_SIDE)
}

/// The same, reduced to at most this longer side, in pixels.
pub(super) fn brightness_within(picture: &DynamicImage, background: f32, longest: usize) -> Plane {
    let ranges = used_range(picture);
    let (width, height) = (picture.width(), picture.height());
    let longer = width.max(height) as usize;
    let reduced = |side: u32| match side as usize {
        side if longer <= longest => side,
        side => (side * longest / longer).max(1),
    };
    let mut rows = RowResizer::new(width as usize, height as usize, reduced(height));
    // In bands, since a large picture would take several times its memory as floating-point numbers.
    let band_height = (BAND_PIXELS / width).max(1);
    for top in (0..height).step_by(band_height as usize) {
        let band = picture.crop_imm(0, top, width, band_height.min(height - top)).to_luma_alpha32f();
        let values: Vec<f32> = band.pixels().map(|pixel| over(background, pixel.0, ranges)).collect();
        values.chunks_exact(width as usize).for_each(|row| rows.push(row));
    }
    let plane = rows.finish();
    if longer <= longest { plane } else { with_fewer_columns(&plane, reduced(width)) }
}

/// A pixel's brightness, out of the used range, over a background that shows through as far as it is transparent.
fn over(background: f32, [luma, alpha]: [f32; 2], [colour_range, alpha_range]: [f32; 2]) -> f32 {
    // A floating-point picture may hold any value.
    let [luma, alpha] =
        [luma / colour_range, alpha / alpha_range].map(|v| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) });
    luma * alpha + background * (1.0 - alpha)
}

/// The part of the range that colours and alpha use in a picture of 16 bits: cameras and scanners store 10 or 12 bits in
/// them. It is the smallest 2^k - 1 that holds all values, out of 65,535.
fn used_range(picture: &DynamicImage) -> [f32; 2] {
    let (samples, channels) = match picture {
        DynamicImage::ImageLuma16(image) => (image.as_raw(), 1),
        DynamicImage::ImageLumaA16(image) => (image.as_raw(), 2),
        DynamicImage::ImageRgb16(image) => (image.as_raw(), 3),
        DynamicImage::ImageRgba16(image) => (image.as_raw(), 4),
        _ => return [1.0; 2],
    };
    let colours = if picture.color().has_alpha() { channels - 1 } else { channels };
    let mut largest = [0; 2];
    for pixel in samples.chunks_exact(channels) {
        let (colour, alpha) = pixel.split_at(colours);
        largest[0] = colour.iter().copied().fold(largest[0], u16::max);
        largest[1] = alpha.iter().copied().fold(largest[1], u16::max);
    }
    // Below eight bits it is a dark picture rather than a narrow one.
    largest.map(|largest| f32::from(u16::MAX >> largest.max(0xff).leading_zeros()) / f32::from(u16::MAX))
}

pub(super) fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f32::total_cmp).1 }
}

#[cfg(test)]
mod tests {
    use image::{LumaA, Rgba, RgbaImage};

    use super::*;

    /// A picture of several bands.
    #[test]
    fn brightness_is_the_same_in_bands_as_at_once() {
        let value = |n: u32| u8::try_from(n % 256).unwrap();
        let picture =
            RgbaImage::from_fn(900, 700, |x, y| Rgba([value(x), value(y * 3), value(x * y), value(x / 3 + y)]));
        let picture = DynamicImage::ImageRgba8(picture);
        assert!(picture.width() * picture.height() > 2 * BAND_PIXELS);
        let values = picture.to_luma_alpha32f();
        let values = values.pixels().map(|LumaA([luma, alpha])| luma * alpha + 0.5 * (1.0 - alpha)).collect();
        let at_once = resize(&Plane { width: 900, height: 700, values }, 400, 311);
        assert_eq!(brightness(&picture, 0.5), at_once);
    }
}
