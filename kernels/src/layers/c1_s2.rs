//! C1, ReLU and S2: convolution with six kernels of 5x5, and the maximum of each 2x2.
//!
//! # The algorithm
//!
//! ```text
//! c1[o][y][x] = b[o] + Σᵢⱼ w[o][i][j] · image[y + i][x + j]             28x28
//! s2[o][r][c] = max(0, max over the four (y, x) of window (r, c) of c1)   14x14
//! ```
//!
//! Backward, the gradient `δ` of a nonzero unit of S2 goes to the unit of C1 that was the maximum of its window, at `(y, x)`:
//! `∂L/∂w[o][i][j] += δ · image[y + i][x + j]` and `∂L/∂b[o] += δ`.
//!
//! # The schedule
//!
//! 1. Forward, with `p` the shade of the background, each sum is `b[o] + p Σᵢⱼ w[o][i][j]`, the same everywhere, and the sum of
//!    `w[o][i][j] · (image[y + i][x + j] - p)`, in which background is zero ([`BackgroundMask`]): columns of an image that are
//!    background in all six rows that a row of windows sees are left out.
//! 2. A block of sixteen values is two units of C1, one below the other, by eight maps, of which two are zeros: the upper and the lower
//!    candidates of a window. A pixel is multiplied into the up to five units of each row in whose receptive fields it is. So are the
//!    assignment's patches (`im2col`), but each pixel is read in place.
//! 3. With AVX-512, half a row of units is in registers. The maximum of each window is taken there, and only it and its argmax are
//!    written.
//! 4. Backward, three in four of the assignment's products have a factor of zero: only the receptive field of a window's
//!    maximum is multiplied. Over background, where all pixels are alike, gradients are added up first.

mod backward;

use macerator::Simd;

pub use self::backward::{Backward, RoutedUnits};
use super::{
    argmax::{push_code, relu_max_pool, s2_offsets},
    background::{BackgroundMask, background_shade, foreground},
};
use crate::{
    pack::C1Packed,
    shapes::{C1_MAPS, INPUT_SIDE, Image, KERNEL, S2_PADDED_MAPS, S2_SIDE, S2Argmax, S2Units, WINDOW_FIELD},
    simd::{CacheAligned, F32x16, Kernel, LANES, unroll},
};

/// Blocks of S2 in a row: two windows each.
const BLOCKS: usize = S2_SIDE / 2;
/// Columns of C1 in such a block.
const BLOCK_COLUMNS: usize = 4;

/// An image without its background.
pub type Scratch = CacheAligned<Image>;

/// Scratch space; its content does not matter.
pub const SCRATCH: Scratch = CacheAligned([[0.0; INPUT_SIDE]; INPUT_SIDE]);

/// The forward pass over one image.
pub struct Forward<'a> {
    pub image: &'a Image,
    pub w: &'a C1Packed,
    pub s2: &'a mut S2Units,
    pub argmax: &'a mut S2Argmax,
    pub background: &'a mut BackgroundMask,
    pub scratch: &'a mut Scratch,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { image, w, s2, argmax, background, scratch: pixels } = self;
        let shade = background_shade(image);
        let mut on_background = F32x16::<S, N>::splat(shade).mul_add(F32x16::load(&w.sums), F32x16::load(&w.bias));
        let columns;
        if on_background.to_array()[..C1_MAPS].iter().all(|sum| sum.is_finite()) {
            columns = foreground::<S, N>(image, shade);
            *background = BackgroundMask::new(&columns, shade, on_background.relu().to_array());
            subtract(image, F32x16::<S, N>::splat(shade), pixels);
        } else {
            // There is no background.
            columns = [u32::MAX; S2_SIDE];
            *background = BackgroundMask::new(&columns, shade, [0.0; LANES]);
            on_background = F32x16::load(&w.bias);
            **pixels = *image;
        }
        let unit = on_background.relu();
        for y in 0..S2_SIDE {
            let row = &mut s2[y];
            // Over background all four candidates are alike: the first one wins, which is code 0.
            for block in 0..BLOCKS {
                unit.store(block_mut(row, block));
            }
            let mut codes = F32x16::<S, N>::splat(0.0);
            if columns[y] != 0 {
                let (pixels, row) = (&pixels[2 * y..], &mut Row { w, on_background, s2: row, codes: &mut codes });
                if F32x16::<S, N>::REGISTERS >= 32 {
                    row.compute::<16>(pixels, columns[y], 0);
                    row.compute::<12>(pixels, columns[y], 4);
                } else {
                    for block in 0..BLOCKS {
                        row.compute::<BLOCK_COLUMNS>(pixels, columns[y], block);
                    }
                }
            }
            codes.store(&mut argmax[y]);
        }
    }
}

/// The two units of S2 at a block of a row, by eight maps.
#[inline(always)]
fn block_mut(row: &mut [[f32; S2_PADDED_MAPS]; S2_SIDE], block: usize) -> &mut [f32; LANES] {
    &mut row.as_flattened_mut().as_chunks_mut().0[block]
}

#[inline(always)]
fn subtract<S: Simd, const N: usize>(image: &Image, shade: F32x16<S, N>, pixels: &mut Image) {
    let blocks = image.as_flattened().as_chunks().0;
    for (block, pixels) in blocks.iter().zip(pixels.as_flattened_mut().as_chunks_mut().0) {
        F32x16::load(block).sub(shade).store(pixels);
    }
}

/// A row of S2 that is computed.
struct Row<'a, S: Simd, const N: usize> {
    w: &'a C1Packed,
    on_background: F32x16<S, N>,
    s2: &'a mut [[f32; S2_PADDED_MAPS]; S2_SIDE],
    codes: &'a mut F32x16<S, N>,
}

impl<S: Simd, const N: usize> Row<'_, S, N> {
    /// Computes `COLUMNS` columns of C1, those of the blocks from `block` on, from the six rows of pixels that they see. Of the columns
    /// of pixels, those are background whose bit is zero.
    #[inline(always)]
    fn compute<const COLUMNS: usize>(&mut self, pixels: &[[f32; INPUT_SIDE]], columns: u32, block: usize) {
        let first = block * BLOCK_COLUMNS;
        assert!(pixels.len() >= WINDOW_FIELD && first + COLUMNS + KERNEL - 1 <= INPUT_SIDE);
        let columns = columns >> first & ((1 << (COLUMNS + KERNEL - 1)) - 1);
        if columns == 0 {
            return;
        }
        let mut units = [self.on_background; COLUMNS];
        // Column by column, so that whether it is background is asked only once.
        unroll!(long column < COLUMNS + KERNEL - 1, {
            if columns >> column & 1 != 0 {
                for row in 0..WINDOW_FIELD {
                    let pixel = F32x16::splat(pixels[row][first + column]);
                    unroll!(tap < KERNEL, {
                        if tap <= column && column - tap < COLUMNS {
                            let w = F32x16::load(&self.w.weight[row][tap]);
                            units[column - tap] = pixel.mul_add(w, units[column - tap]);
                        }
                    });
                }
            }
        });
        unroll!(b < COLUMNS / BLOCK_COLUMNS, {
            if columns >> (BLOCK_COLUMNS * b) & 0xFF != 0 {
                let [upper_left, lower_left] = F32x16::halves([units[4 * b], units[4 * b + 2]]);
                let [upper_right, lower_right] = F32x16::halves([units[4 * b + 1], units[4 * b + 3]]);
                let (max, code) = relu_max_pool([upper_left, upper_right, lower_left, lower_right]);
                *self.codes = push_code(*self.codes, code, block + b);
                max.store(block_mut(self.s2, block + b));
            }
        });
    }
}

/// The gradient of an image, for saliency maps; not optimized.
pub fn image_grad(s2_grad: &S2Units, argmax: &S2Argmax, weight: &[f32], image_grad: &mut Image) {
    let image_grad = image_grad.as_flattened_mut();
    image_grad.fill(0.0);
    let kernels = weight.as_chunks::<KERNEL>().0.as_chunks::<KERNEL>().0;
    for (y, row) in s2_grad.iter().enumerate() {
        let mut offsets = [[0; LANES]; C1_MAPS];
        for (map, offsets) in offsets.iter_mut().enumerate() {
            *offsets = s2_offsets(argmax, y, map);
        }
        for (x, grads) in row.iter().enumerate() {
            for (map, weight) in kernels.iter().enumerate() {
                let offset = offsets[map][x] as usize;
                for (row, weight) in weight.iter().enumerate() {
                    for (pixel, w) in image_grad[offset + row * INPUT_SIDE..].iter_mut().zip(weight) {
                        *pixel += grads[map] * w;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::{
        layers::{argmax::s2_argmax, background::ForegroundRow},
        pack::ForwardWeights,
        shapes::{C1Grad, INPUT, KERNEL_ROW_PADDED},
        simd::InstructionSet,
        testing::{Maps, Reference, assert_close, image_arrays, noise, parameters, positions},
    };

    /// A padded image: the values after it do not matter.
    fn padded(image: &Image) -> [f32; INPUT + KERNEL_ROW_PADDED] {
        let mut padded = [f32::NAN; INPUT + KERNEL_ROW_PADDED];
        padded[..INPUT].copy_from_slice(image.as_flattened());
        padded
    }

    #[test]
    fn forward_and_backward_are_those_of_the_plain_loops() {
        let parameters = parameters(10);
        let c1 = &parameters.c1;
        let packed = ForwardWeights::pack(InstructionSet::detect(), &parameters.as_ref().map(Vec::as_slice));
        let mut images = image_arrays(9);
        // A first pixel that is not background.
        images.push(images[5]);
        images[9][0][0] = 0.3;
        for (index, image) in images.iter().enumerate() {
            let input = Maps { values: image.as_flattened().iter().map(|v| f64::from(*v)).collect(), side: INPUT_SIDE };
            let reference =
                Reference { input: &input, inputs: 1, outputs: C1_MAPS, weight: &c1.weight, bias: &c1.bias };
            let (pooled, argmaxes) = reference.forward();
            // Gradients of some units, where the unit is not zero.
            let grad = noise(7, pooled.values.len()).into_iter().zip(&pooled.values);
            let grad: Vec<f64> = grad.map(|(g, unit)| if *unit > 0.0 { f64::from(g) } else { 0.0 }).collect();
            let grad = Maps { values: grad, side: S2_SIDE };
            let (weight, bias, input_grad) = reference.backward(&grad, &argmaxes);
            for set in InstructionSet::available() {
                let what = |of: &str| format!("{of} of image {index} with {}", set.name());
                let (mut s2, mut argmax) = (S2Units::zeroed(), S2Argmax::zeroed());
                let mut background = BackgroundMask::default();
                let (s2, argmax) = (&mut s2, &mut argmax);
                let (background, scratch) = (&mut background, &mut SCRATCH.clone());
                set.run(Forward { image, w: &packed.c1, s2, argmax, background, scratch });
                let units = positions(C1_MAPS, S2_SIDE).map(|(map, y, x)| s2[y][x][map]);
                assert_close(&what("S2"), units, pooled.values.iter().copied());
                assert!(s2.as_flattened().iter().all(|unit| unit[C1_MAPS..] == [0.0; 2]), "{}", what("zeros"));
                for ((map, y, x), (row, column)) in positions(C1_MAPS, S2_SIDE).zip(&argmaxes) {
                    let offset = s2_argmax(argmax, y * S2_SIDE + x, map);
                    assert_eq!(offset, row * INPUT_SIDE + column, "{}", what("argmax"));
                }
                let mut s2_grad = S2Units::zeroed();
                for (map, y, x) in positions(C1_MAPS, S2_SIDE) {
                    #[expect(clippy::cast_possible_truncation, reason = "it was f32")]
                    let grad = grad.at(map, y, x) as f32;
                    s2_grad[y][x][map] = grad;
                }
                let (mut weight_grad, mut bias_grad) = (C1Grad::zeroed(), [0.0; C1_MAPS]);
                let mut routed = RoutedUnits::SCRATCH;
                Backward {
                    image: &padded(image),
                    background,
                    s2_grad: &s2_grad,
                    argmax,
                    weight_grad: &mut weight_grad,
                    bias_grad: &mut bias_grad,
                    scratch: &mut routed,
                }
                .run(set);
                let weights = weight_grad.as_flattened().iter().flat_map(|row| row[..KERNEL].to_vec());
                assert_close(&what("weight gradient"), weights, weight.iter().copied());
                assert_close(&what("bias gradient"), bias_grad, bias.iter().copied());
                let mut pixels = Image::zeroed();
                image_grad(&s2_grad, argmax, &c1.weight, &mut pixels);
                assert_close(
                    &what("image gradient"),
                    pixels.as_flattened().to_vec(),
                    input_grad.values.iter().copied(),
                );
            }
        }
    }

    #[test]
    fn a_shade_that_is_not_finite_is_no_background() {
        let parameters = parameters(10);
        let packed = ForwardWeights::pack(InstructionSet::detect(), &parameters.as_ref().map(Vec::as_slice));
        for (shade, set) in [f32::NAN, f32::INFINITY]
            .into_iter()
            .flat_map(|s| InstructionSet::available().into_iter().map(move |set| (s, set)))
        {
            let mut background = BackgroundMask::default();
            set.run(Forward {
                image: &[[shade; INPUT_SIDE]; INPUT_SIDE],
                w: &packed.c1,
                s2: &mut S2Units::zeroed(),
                argmax: &mut S2Argmax::zeroed(),
                background: &mut background,
                scratch: &mut SCRATCH.clone(),
            });
            assert_eq!(background.foreground, [ForegroundRow::ALL; S2_SIDE], "{}", set.name());
        }
    }
}
