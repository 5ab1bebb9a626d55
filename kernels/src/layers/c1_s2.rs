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
//! 1. Forward, the assignment stretches the image into patches (`im2col`) and multiplies them with the kernels. These are
//!    the same sums in another order: each pixel is read in place, and multiplied into the up to four candidates of one
//!    pooling window in whose receptive field it is. The maximum is taken while the four are in registers, and only it and
//!    its argmax are written.
//! 2. A block of sixteen values is two windows side by side by eight maps, of which two are zeros. So each pixel is needed
//!    eight times over: rows are replicated first, and each serves three rows of windows.
//! 3. Windows that cover nothing but background are computed once ([`BackgroundMask`]), the others in blocks of two, up to
//!    four blocks at a time.
//! 4. Backward, three in four of the assignment's products have a factor of zero: only the receptive field of a window's
//!    maximum is multiplied. Over background, where all pixels are alike, gradients are added up first.

mod backward;

use macerator::Simd;

pub use self::backward::{Backward, RoutedUnits};
use super::{
    argmax::{push_code, relu_max_pool, s2_offsets},
    background::{BackgroundMask, ForegroundRow, background_shade, foreground},
};
use crate::{
    pack::C1Packed,
    shapes::{C1_MAPS, C1Weights, INPUT_SIDE, Image, KERNEL, S2_PADDED_MAPS, S2_SIDE, S2Argmax, S2Units, WINDOW_FIELD},
    simd::{CacheAligned, F32x16, Kernel, LANES, unroll},
};

/// The even or the odd columns of an image's row, each pixel eight times.
type ParityRow = [f32; INPUT_SIDE / 2 * S2_PADDED_MAPS];

/// Blocks of S2 in a row: two windows each.
const BLOCKS: usize = S2_SIDE / 2;

/// The last eight rows, replicated, even and odd columns apart; row `y` is at `y % 8`.
pub type Scratch = CacheAligned<[[ParityRow; 2]; 8]>;

/// Scratch space; its content does not matter.
pub const SCRATCH: Scratch = CacheAligned([[[0.0; INPUT_SIDE / 2 * S2_PADDED_MAPS]; 2]; 8]);

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
        let Self { image, w, s2, argmax, background, scratch } = self;
        let shade = background_shade(image);
        let background_block = background_unit::<S, N>(shade, w);
        *background = background_mask(image, shade, background_block);
        let mut rows_ready = 0;
        for y in 0..S2_SIDE {
            let row = &mut s2[y];
            // Over background all four candidates are alike: the first one wins, which is code 0.
            for block in 0..BLOCKS {
                background_block.store(block_mut(row, block));
            }
            // The blocks of this row of windows with foreground.
            let (mut blocks, mut count, mut pairs) = ([0; BLOCKS], 0, background.foreground[y].pairs());
            while pairs != 0 {
                blocks[count] = pairs.trailing_zeros() as usize / 4;
                count += 1;
                pairs &= pairs - 1;
            }
            let mut codes = F32x16::<S, N>::splat(0.0);
            if count > 0 {
                rows_ready = rows_ready.max(2 * y);
                while rows_ready < 2 * y + WINDOW_FIELD {
                    replicate::<S, N>(&image[rows_ready], &mut scratch[rows_ready % 8]);
                    rows_ready += 1;
                }
                let scratch = &**scratch;
                let mut compute = Row { scratch, y, w, s2: row, codes: &mut codes };
                // As many blocks as the registers hold: four candidates for each, and four weights.
                if F32x16::<S, N>::REGISTERS >= 32 {
                    match count {
                        7 => {
                            compute.blocks::<4>(&blocks);
                            compute.blocks::<3>(&blocks[4..]);
                        }
                        6 => compute.blocks::<6>(&blocks),
                        5 => compute.blocks::<5>(&blocks),
                        4 => compute.blocks::<4>(&blocks),
                        3 => compute.blocks::<3>(&blocks),
                        2 => compute.blocks::<2>(&blocks),
                        _ => compute.blocks::<1>(&blocks),
                    }
                } else {
                    for block in 0..count {
                        compute.blocks::<1>(&blocks[block..]);
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

/// Two units of S2 over a single shade, by eight maps: the same sums in the same order.
#[inline(always)]
fn background_unit<S: Simd, const N: usize>(shade: f32, w: &C1Packed) -> F32x16<S, N> {
    let shade = F32x16::splat(shade);
    let mut sum = F32x16::load(&w.bias);
    for row in &*w.weight {
        for w in row {
            sum = shade.mul_add(F32x16::load(w), sum);
        }
    }
    relu_max_pool([sum; 4]).0
}

#[inline(always)]
fn background_mask<S: Simd, const N: usize>(image: &Image, shade: f32, unit: F32x16<S, N>) -> BackgroundMask {
    let mut twice = [0.0; LANES];
    unit.store(&mut twice);
    let mut s2 = [0.0; S2_PADDED_MAPS];
    s2.copy_from_slice(&twice[..S2_PADDED_MAPS]);
    if s2[..C1_MAPS].iter().all(|unit| unit.is_finite()) {
        BackgroundMask { foreground: foreground::<S, N>(image, shade), s2, shade }
    } else {
        BackgroundMask { foreground: [ForegroundRow::ALL; S2_SIDE], s2: [0.0; S2_PADDED_MAPS], shade }
    }
}

/// Writes each pixel of a row eight times, the even and the odd columns apart: what two windows side by side need of two
/// pixels is then one block.
#[inline(always)]
fn replicate<S: Simd, const N: usize>(row: &[f32; INPUT_SIDE], by_parity: &mut [ParityRow; 2]) {
    for block in 0..INPUT_SIDE / 4 {
        for half in 0..2 {
            let pixels = F32x16::<S, N>::from_halves(row[4 * block + half], row[4 * block + half + 2]);
            pixels.store(&mut by_parity[half].as_chunks_mut().0[block]);
        }
    }
}

/// A row of S2 that is computed.
struct Row<'a, S: Simd, const N: usize> {
    scratch: &'a [[ParityRow; 2]; 8],
    y: usize,
    w: &'a C1Packed,
    s2: &'a mut [[f32; S2_PADDED_MAPS]; S2_SIDE],
    codes: &'a mut F32x16<S, N>,
}

impl<S: Simd, const N: usize> Row<'_, S, N> {
    /// Computes the first `T` of some blocks.
    #[inline(always)]
    fn blocks<const T: usize>(&mut self, blocks: &[usize]) {
        let Self { scratch, y, w, s2, codes } = self;
        let mut candidates = [[F32x16::<S, N>::load(&w.bias); 4]; T];
        let mut offsets = [0; T];
        unroll!(t < T, {
            assert!(blocks[t] < BLOCKS);
            offsets[t] = blocks[t] * LANES;
        });
        // SAFETY: each offset is that of a block, as asserted above, hence at most `(BLOCKS - 1) * LANES`.
        unsafe {
            window_row::<S, N, T, true, false>(&mut candidates, &scratch[2 * *y % 8], &offsets, &w.weight, 0);
            for row in 1..KERNEL {
                let by_parity = &scratch[(2 * *y + row) % 8];
                window_row::<S, N, T, true, true>(&mut candidates, by_parity, &offsets, &w.weight, row);
            }
            let by_parity = &scratch[(2 * *y + KERNEL) % 8];
            window_row::<S, N, T, false, true>(&mut candidates, by_parity, &offsets, &w.weight, KERNEL);
        }
        unroll!(t < T, {
            let (max, code) = relu_max_pool(candidates[t]);
            **codes = push_code(**codes, code, blocks[t]);
            max.store(block_mut(s2, blocks[t]));
        });
    }
}

/// Adds one of the six rows of pixels in the receptive field of `T` blocks of windows to their candidates. `UPPER` and
/// `LOWER` say whether the kernels of the upper and of the lower candidates reach it.
///
/// # Safety
/// The offsets are those of blocks of the row: at most `(BLOCKS - 1) * LANES`.
#[inline(always)]
unsafe fn window_row<S: Simd, const N: usize, const T: usize, const UPPER: bool, const LOWER: bool>(
    candidates: &mut [[F32x16<S, N>; 4]; T],
    by_parity: &[ParityRow; 2],
    offsets: &[usize; T],
    weight: &C1Weights,
    row: usize,
) {
    // SAFETY: the caller passes offsets of blocks.
    unsafe {
        let taps = TapWeights::load::<UPPER, LOWER, true, false>(weight, row, 0);
        unroll!(t < T, {
            taps.add_to::<UPPER, LOWER, true, false>(&mut candidates[t], pixels(by_parity, 0, offsets[t]));
        });
        for column in 1..KERNEL {
            let taps = TapWeights::load::<UPPER, LOWER, true, true>(weight, row, column);
            unroll!(t < T, {
                taps.add_to::<UPPER, LOWER, true, true>(&mut candidates[t], pixels(by_parity, column, offsets[t]));
            });
        }
        let taps = TapWeights::load::<UPPER, LOWER, false, true>(weight, row, KERNEL);
        unroll!(t < T, {
            taps.add_to::<UPPER, LOWER, false, true>(&mut candidates[t], pixels(by_parity, KERNEL, offsets[t]));
        });
    }
}

/// The two pixels in a column of the receptive fields of two windows side by side, each eight times.
///
/// # Safety
/// `offset` is that of a block of the row: at most `(BLOCKS - 1) * LANES`.
#[inline(always)]
unsafe fn pixels<S: Simd, const N: usize>(by_parity: &[ParityRow; 2], column: usize, offset: usize) -> F32x16<S, N> {
    let row = &by_parity[column % 2];
    debug_assert!(offset + column / 2 * S2_PADDED_MAPS + LANES <= row.len());
    // SAFETY: from the last block on, two pixels further, eight times each, is the end of the row.
    unsafe { F32x16::load_from(row.as_ptr().add(offset + column / 2 * S2_PADDED_MAPS)) }
}

/// The weights of one pixel for the four candidates of a pooling window: upper left, upper right, lower left, lower right.
/// The pixel is in some row and column of the window's receptive field; `UPPER`, `LOWER`, `LEFT` and `RIGHT` say which
/// candidates' kernels reach it.
struct TapWeights<S: Simd, const N: usize>([F32x16<S, N>; 4]);

impl<S: Simd, const N: usize> TapWeights<S, N> {
    #[inline(always)]
    fn load<const UPPER: bool, const LOWER: bool, const LEFT: bool, const RIGHT: bool>(
        weight: &C1Weights,
        row: usize,
        column: usize,
    ) -> Self {
        let mut taps = [F32x16::splat(0.0); 4];
        if UPPER && LEFT {
            taps[0] = F32x16::load(&weight[row][column]);
        }
        if UPPER && RIGHT {
            taps[1] = F32x16::load(&weight[row][column - 1]);
        }
        if LOWER && LEFT {
            taps[2] = F32x16::load(&weight[row - 1][column]);
        }
        if LOWER && RIGHT {
            taps[3] = F32x16::load(&weight[row - 1][column - 1]);
        }
        Self(taps)
    }

    /// Adds what a pixel contributes to the candidates.
    #[inline(always)]
    fn add_to<const UPPER: bool, const LOWER: bool, const LEFT: bool, const RIGHT: bool>(
        &self,
        candidates: &mut [F32x16<S, N>; 4],
        pixel: F32x16<S, N>,
    ) {
        let reached = [UPPER && LEFT, UPPER && RIGHT, LOWER && LEFT, LOWER && RIGHT];
        unroll!(i < 4, {
            if reached[i] {
                candidates[i] = pixel.mul_add(self.0[i], candidates[i]);
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
        layers::argmax::s2_argmax,
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
        for (index, image) in image_arrays(9).iter().enumerate() {
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
}
