//! A picture in the making: colours from 0 to 1, drawn on with anti-aliased shapes.

use image::{ImageBuffer, Luma, Rgb, Rgb32FImage, imageops};
use rand::RngExt;

use super::Random;
pub(super) use crate::geometry::distance;

/// Red, green and blue, 0 to 1.
pub(super) type Colour = [f32; 3];
/// A point in pixels, x to the right and y down; the first pixel's centre is at 0.5.
pub(super) type Point = [f32; 2];
/// How much of each pixel a shape covers, 0 to 1.
pub(super) type Coverage = ImageBuffer<Luma<f32>, Vec<f32>>;

/// What has been drawn so far.
pub(super) struct Canvas(pub(super) Rgb32FImage);

impl Canvas {
    pub(super) fn new(width: u32, height: u32, colour: Colour) -> Self {
        Self(Rgb32FImage::from_pixel(width, height, Rgb(colour)))
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> Point {
        [self.0.width() as f32, self.0.height() as f32]
    }

    pub(super) fn shorter(&self) -> f32 {
        self.0.width().min(self.0.height()) as f32
    }

    /// Draws a shape that is given by its coverage, 0 to 1, at each point.
    pub(super) fn paint(&mut self, colour: Colour, coverage: impl Fn(Point) -> f32) {
        for (x, y, pixel) in self.0.enumerate_pixels_mut() {
            blend(pixel, colour, coverage([x as f32 + 0.5, y as f32 + 0.5]));
        }
    }

    /// Draws a shape with its upper left corner at a pixel; what lies outside is cut off.
    pub(super) fn stamp(&mut self, shape: &Coverage, [left, top]: [u32; 2], colour: Colour) {
        for (x, y, coverage) in shape.enumerate_pixels() {
            if let Some(pixel) = self.0.get_pixel_mut_checked(left + x, top + y) {
                blend(pixel, colour, coverage[0]);
            }
        }
    }

    /// Draws a straight line.
    pub(super) fn line(&mut self, from: Point, to: Point, width: f32, colour: Colour, opacity: f32) {
        let [columns, rows] = [0, 1].map(|axis| {
            let (low, high) = (from[axis].min(to[axis]), from[axis].max(to[axis]));
            reach(low - width - 1.0, high + width + 1.0, self.size()[axis])
        });
        for y in rows {
            for x in columns.clone() {
                let covered = line_coverage([x as f32 + 0.5, y as f32 + 0.5], from, to, width);
                blend(self.0.get_pixel_mut(x, y), colour, covered * opacity);
            }
        }
    }

    /// Multiplies each point with the light that falls on it.
    pub(super) fn light(&mut self, light: impl Fn(Point) -> f32) {
        for (x, y, pixel) in self.0.enumerate_pixels_mut() {
            let factor = light([x as f32 + 0.5, y as f32 + 0.5]);
            pixel.0 = pixel.0.map(|value| (value * factor).min(1.0));
        }
    }

    /// Adds grey noise with this standard deviation.
    pub(super) fn grain(&mut self, deviation: f32, random: &mut Random) {
        for pixel in self.0.pixels_mut() {
            let noise = deviation * gaussian(random);
            pixel.0 = pixel.0.map(|value| (value + noise).clamp(0.0, 1.0));
        }
    }

    /// Blurs with a Gaussian of this standard deviation, in pixels.
    pub(super) fn blur(&mut self, deviation: f32) {
        self.0 = imageops::blur(&self.0, deviation);
    }
}

fn blend(pixel: &mut Rgb<f32>, colour: Colour, coverage: f32) {
    for (value, colour) in pixel.0.iter_mut().zip(colour) {
        *value += (colour - *value) * coverage;
    }
}

/// The pixels between two positions, within a side's length.
pub(super) fn reach(low: f32, high: f32, side: f32) -> std::ops::Range<u32> {
    low.clamp(0.0, side) as u32..high.clamp(0.0, side).ceil() as u32
}

/// How much of the pixel at a point a line covers, 0 to 1. A line thinner than a pixel is pale.
pub(super) fn line_coverage(point: Point, from: Point, to: Point, width: f32) -> f32 {
    (width / 2.0 + 0.5 - distance(point, from, to)).clamp(0.0, width.min(1.0))
}

/// A point turned by an angle, in radians, around a centre.
pub(super) fn turned(point: Point, centre: Point, angle: f32) -> Point {
    let ([x, y], (sin, cos)) = ([point[0] - centre[0], point[1] - centre[1]], angle.sin_cos());
    [centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos]
}

/// From 0 to 1 without a corner, as `value` goes from `low` to `high`.
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A number of nearly Gaussian distribution with mean 0 and deviation 1: a sum of four uniform ones.
pub(super) fn gaussian(random: &mut Random) -> f32 {
    let bits: u64 = random.random();
    let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xffff).sum();
    (sum as f32 / 65_535.0 - 2.0) * 3.0_f32.sqrt()
}

/// Side of the lattice of [`Noise`], in cells, after which it repeats.
const LATTICE: usize = 64;

/// Smooth noise: random values on a lattice, interpolated.
pub(super) struct Noise {
    values: Vec<f32>,
    cell: f32,
}

impl Noise {
    /// Makes noise whose features are about `cell` pixels large.
    pub(super) fn new(cell: f32, random: &mut Random) -> Self {
        Self { values: (0..LATTICE * LATTICE).map(|_| random.random()).collect(), cell }
    }

    /// The noise at a point, 0 to 1.
    pub(super) fn at(&self, [x, y]: Point) -> f32 {
        let [x, y] = [x, y].map(|v| (v / self.cell).rem_euclid(LATTICE as f32));
        let [column, row] = [x, y].map(|v| v as usize % LATTICE);
        let [tx, ty] = [x, y].map(|v| smoothstep(0.0, 1.0, v.fract()));
        let value = |dx: usize, dy: usize| self.values[(row + dy) % LATTICE * LATTICE + (column + dx) % LATTICE];
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        mix(mix(value(0, 0), value(1, 0), tx), mix(value(0, 1), value(1, 1), tx), ty)
    }
}
