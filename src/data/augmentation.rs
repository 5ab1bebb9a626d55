//! Variants of training images: turned, scaled, stretched, sheared, shifted, distorted, with other strokes.
//!
//! Affine and elastic distortion of handwriting: Simard et al. 2003, "Best practices for convolutional neural networks
//! applied to visual document analysis", section 2. Both are one map from each pixel of the variant to a place in the
//! original, which is read by bilinear interpolation. Outside of the original there is background, which is 0 and stays
//! exactly 0.

#![expect(
    clippy::inline_always,
    reason = "a function may use the processor's vectors only where it is inlined into the one that enables them"
)]

use pulp::{Arch, Simd, WithSimd};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{IMAGE_SIDE, PIXELS, Style};
use crate::config::AugmentationConfig;

/// Bytes in a row of a [`Grid`].
const STRIDE: usize = 32;
/// Where a grid holds the image's first pixel: behind a row and a column of background.
const ORIGIN: usize = STRIDE + 1;
/// The image's pixels in a grid and those between its rows, which are background.
const LENGTH: usize = IMAGE_SIDE * STRIDE;
/// An image with background around it. The last row is never read, but lets each pixel have all its neighbours.
type Grid = [u8; STRIDE * STRIDE];

/// Rows and columns of the field of noise, which continues at the opposite side.
const NOISE_SIDE: usize = 256;
/// The same with a margin, so that a window of the image's size may begin anywhere.
const NOISE_STRIDE: usize = NOISE_SIDE + 32;
/// Standard deviation of the Gaussian that smooths the noise, in pixels.
const SMOOTHNESS: f32 = 5.0;
/// Where the smoothing Gaussian is cut off, in pixels.
const REACH: usize = 15;

/// Draws variants of images.
#[derive(Debug)]
pub struct Augmentation {
    ranges: AugmentationConfig,
    seed: u64,
    /// `[256][288]` smooth noise of standard deviation 1 in 284 rows; empty where nothing is elastic.
    noise: Vec<f32>,
}

/// What is done to an image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Variation {
    /// Clockwise, in degrees.
    pub rotation: f32,
    /// The natural logarithm of the factor by which the image grows.
    pub scale: f32,
    /// The natural logarithm of the factor by which it grows in width and shrinks in height.
    pub aspect: f32,
    /// How far a row moves to the left for each row that it is below the centre.
    pub shear: f32,
    /// To the right and downwards, in pixels.
    pub shift: [f32; 2],
    /// Standard deviation of each pixel's displacement, in pixels.
    pub elastic: f32,
    /// Where the displacements begin in the field of noise: two places, each a column and a row below 256.
    pub windows: [[u8; 2]; 2],
    /// From the original to its dilation (1) or its erosion (-1) by a cross of 3x3.
    pub thickness: f32,
    /// A stroke that is added first.
    pub style: Option<Style>,
}

impl Augmentation {
    /// Variants within ranges; `None` if all of them are 0.
    #[must_use]
    pub fn new(ranges: &AugmentationConfig, seed: u64) -> Option<Self> {
        let noise = if ranges.elastic > 0.0 { smooth_noise(seed) } else { Vec::new() };
        (*ranges != AugmentationConfig::default()).then_some(Self { ranges: *ranges, seed, noise })
    }

    /// What is done in an epoch to an image with a label, or of no class. It depends on nothing else, so the order of the
    /// images, the threads and an interruption make no difference.
    #[must_use]
    pub fn draw(&self, epoch: usize, index: usize, label: Option<u8>) -> Variation {
        // Odd factors, so that neighbouring images and epochs do not share a seed; from Steele et al. 2014, "Fast
        // splittable pseudorandom number generators".
        let seed = (self.seed ^ (epoch as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9))
            .wrapping_add((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        #[expect(clippy::cast_possible_truncation, reason = "these need no more precision")]
        let mut within = |range: f64| (range * (2.0 * random.random::<f64>() - 1.0)) as f32;
        let ranges = &self.ranges;
        Variation {
            rotation: within(ranges.rotation),
            scale: within(ranges.scale),
            aspect: within(ranges.aspect),
            shear: within(ranges.shear),
            shift: [within(ranges.shift), within(ranges.shift)],
            elastic: within(ranges.elastic).abs(),
            thickness: within(ranges.thickness),
            windows: random.random(),
            style: label
                .filter(|_| random.random_bool(ranges.styles))
                .and_then(|label| Style::draw(label, &mut random)),
        }
    }

    /// An image's variant: pixels from 0 to 255, not rounded.
    pub fn render(&self, image: &[u8; PIXELS], variation: &Variation, variant: &mut [f32; PIXELS]) {
        let mut image = *image;
        let mut variation = *variation;
        if let Some(style) = variation.style {
            let moved;
            (image, moved) = style.apply(&image);
            // MNIST has its digits' centres of mass in the middle.
            variation.shift = [variation.shift[0] - moved[0], variation.shift[1] - moved[1]];
        }
        Arch::new().dispatch(Render { augmentation: self, image: &image, variation: &variation, variant });
    }

    /// For each pixel of the variant, the column and the row in the original where it comes from.
    #[inline(always)]
    fn places(&self, variation: &Variation) -> [[f32; PIXELS]; 2] {
        let centre = (IMAGE_SIDE - 1) as f32 / 2.0;
        let (sin, cos) = variation.rotation.to_radians().sin_cos();
        // From the variant to the original, each the other way round: shift, then scale, then shear, then rotation.
        let [wide, high] = [-variation.scale - variation.aspect, -variation.scale + variation.aspect].map(f32::exp);
        let x_by = [cos * wide, (cos * variation.shear + sin) * high];
        let y_by = [-sin * wide, (-sin * variation.shear + cos) * high];
        let [dx, dy] = variation.shift;
        let mut places = [[0.0; PIXELS]; 2];
        let [xs, ys] = &mut places;
        for row in 0..IMAGE_SIDE {
            let down = row as f32 - centre - dy;
            for column in 0..IMAGE_SIDE {
                let right = column as f32 - centre - dx;
                xs[row * IMAGE_SIDE + column] = x_by[0] * right + x_by[1] * down + centre;
                ys[row * IMAGE_SIDE + column] = y_by[0] * right + y_by[1] * down + centre;
            }
        }
        if variation.elastic > 0.0 && !self.noise.is_empty() {
            for (places, [column, row]) in
                places.iter_mut().zip(variation.windows.map(|window| window.map(usize::from)))
            {
                for (line, places) in places.as_chunks_mut::<IMAGE_SIDE>().0.iter_mut().enumerate() {
                    let noise = &self.noise[(row + line) * NOISE_STRIDE + column..].as_chunks::<IMAGE_SIDE>().0[0];
                    for i in 0..IMAGE_SIDE {
                        places[i] += variation.elastic * noise[i];
                    }
                }
            }
        }
        places
    }
}

/// An image's variant on its way. All that it calls is inlined, so that it is compiled for the processor's vectors.
struct Render<'a> {
    augmentation: &'a Augmentation,
    image: &'a [u8; PIXELS],
    variation: &'a Variation,
    variant: &'a mut [f32; PIXELS],
}

impl WithSimd for Render<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let grid = with_thickness(&framed(self.image), self.variation.thickness);
        interpolate(&grid, &self.augmentation.places(self.variation), self.variant);
    }
}

/// An image in a grid.
#[inline(always)]
fn framed(image: &[u8; PIXELS]) -> Grid {
    let mut grid = [0; STRIDE * STRIDE];
    for (row, line) in image.as_chunks::<IMAGE_SIDE>().0.iter().zip(grid[ORIGIN..].chunks_mut(STRIDE)) {
        line[..IMAGE_SIDE].copy_from_slice(row);
    }
    grid
}

/// The same with other strokes: on the way to its dilation (1) or erosion (-1) by a cross of 3x3.
#[inline(always)]
fn with_thickness(grid: &Grid, thickness: f32) -> Grid {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 256")]
    let weight = (thickness.abs().min(1.0) * 256.0).round() as u16;
    let mut blended = *grid;
    if weight == 0 {
        return blended;
    }
    let around = |offset: usize| &grid[offset..].as_chunks::<LENGTH>().0[0];
    let [centre, left, right] = [around(ORIGIN), around(ORIGIN - 1), around(ORIGIN + 1)];
    let [above, below] = [around(ORIGIN - STRIDE), around(ORIGIN + STRIDE)];
    let blended_pixels = &mut blended[ORIGIN..ORIGIN + LENGTH];
    for (i, pixel) in blended_pixels.iter_mut().enumerate() {
        let extreme = if thickness > 0.0 {
            centre[i].max(left[i]).max(right[i]).max(above[i]).max(below[i])
        } else {
            centre[i].min(left[i]).min(right[i]).min(above[i]).min(below[i])
        };
        let sum = u16::from(centre[i]) * (256 - weight) + u16::from(extreme) * weight;
        *pixel = (sum >> 8) as u8;
    }
    // What was dilated into the frame would be read as part of the image.
    for line in blended.chunks_exact_mut(STRIDE) {
        line[0] = 0;
        line[IMAGE_SIDE + 1..].fill(0);
    }
    blended
}

/// Reads the original at each place, by bilinear interpolation.
#[inline(always)]
fn interpolate(grid: &Grid, [xs, ys]: &[[f32; PIXELS]; 2], variant: &mut [f32; PIXELS]) {
    // With its right, lower and lower right neighbour, each pixel is one word: a single read for each place.
    const READ: usize = STRIDE * (IMAGE_SIDE + 2);
    let mut pairs = [0; READ + STRIDE];
    for i in 0..pairs.len() - 1 {
        pairs[i] = u16::from(grid[i]) | u16::from(grid[i + 1]) << 8;
    }
    let mut words = [0; STRIDE * STRIDE];
    for i in 0..READ {
        words[i] = u32::from(pairs[i]) | u32::from(pairs[i + STRIDE]) << 16;
    }
    let (mut indices, mut fractions) = ([0; PIXELS], [[0.0; PIXELS]; 2]);
    for i in 0..PIXELS {
        // In the grid's own coordinates, and not further out than its frame.
        let [x, y] = [xs[i], ys[i]].map(|place| (place + 1.0).max(0.0).min((IMAGE_SIDE + 1) as f32));
        // From 128 to below 256, the last 16 bits of an `f32` are its fraction, and the 7 bits before them the rest.
        let [x, y] = [x, y].map(|place| (place + 128.0).to_bits());
        let [column, row] = [x, y].map(|place| place >> 16 & 0x7F);
        indices[i] = (row << STRIDE.trailing_zeros()) + column;
        #[expect(clippy::cast_possible_wrap, reason = "16 bits; only signed ones are converted by vectors everywhere")]
        let fraction = |place: u32| (place & 0xFFFF) as i32 as f32 / 65536.0;
        [fractions[0][i], fractions[1][i]] = [x, y].map(fraction);
    }
    for i in 0..PIXELS {
        let word = words[indices[i] as usize % words.len()];
        let [here, right, below, across] = word.to_le_bytes().map(f32::from);
        let [x, y] = [fractions[0][i], fractions[1][i]];
        let upper = here + x * (right - here);
        let lower = below + x * (across - below);
        variant[i] = upper + y * (lower - upper);
    }
}

/// A field of noise with standard deviation 1, smoothed by a Gaussian, that continues at the opposite side, with a margin
/// in which it does.
fn smooth_noise(seed: u64) -> Vec<f32> {
    let weights: Vec<f32> =
        (0..=2 * REACH).map(|i| (-((i as f32 - REACH as f32) / SMOOTHNESS).powi(2) / 2.0).exp()).collect();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    // Sums of so many uniform values are as good as normal.
    let white: Vec<f32> = (0..NOISE_SIDE * NOISE_SIDE).map(|_| random.random_range(-1.0..1.0)).collect();
    // Smooths each row and turns the field over its diagonal: twice, and all is smooth and upright again.
    let smooth = |field: &[f32]| {
        let mut turned = vec![0.0; NOISE_SIDE * NOISE_SIDE];
        for (row, line) in field.chunks_exact(NOISE_SIDE).enumerate() {
            for column in 0..NOISE_SIDE {
                let near = |i: usize| line[(column + NOISE_SIDE + i - REACH) % NOISE_SIDE];
                turned[column * NOISE_SIDE + row] =
                    weights.iter().enumerate().map(|(i, weight)| weight * near(i)).sum();
            }
        }
        turned
    };
    let field = smooth(&smooth(&white));
    let deviation = (field.iter().map(|value| value * value).sum::<f32>() / field.len() as f32).sqrt();
    let repeated = |i: usize| (i / NOISE_STRIDE % NOISE_SIDE) * NOISE_SIDE + i % NOISE_STRIDE % NOISE_SIDE;
    (0..NOISE_STRIDE * NOISE_STRIDE).map(|i| field[repeated(i)] / deviation).collect()
}
