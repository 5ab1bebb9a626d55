//! C3, ReLU and S4: convolution with sixteen kernels of 6x5x5, every map of S2 into every map of C3, and the maximum of
//! each 2x2.
//!
//! # The algorithm
//!
//! ```text
//! c3[o][y][x] = b[o] + Σₘᵢⱼ w[o][m][i][j] · s2[m][y + i][x + j]           10x10
//! s4[o][r][c] = max(0, max over the four (y, x) of window (r, c) of c3)     5x5
//! ```
//!
//! Backward, the gradient `δ` of a nonzero unit of S4 goes to the unit of C3 that was the maximum of its window, at `(y, x)`:
//! `∂L/∂w[o][m][i][j] += δ · s2[m][y + i][x + j]`, `∂L/∂b[o] += δ`, and `∂L/∂s2[m][y + i][x + j] += δ · w[o][m][i][j]`. The
//! last is the assignment's `col2im`: where receptive fields overlap, gradients add up.
//!
//! # The schedule
//!
//! 1. Forward, a block of sixteen values is the sixteen maps of C3 at one position. With AVX-512, two rows of C3 are
//!    computed at once, ten columns each: twenty sums in registers, a row of pooling windows.
//! 2. With `p[m]` the units of S2 over plain background, each sum is `b[o] + Σₘ p[m] Σᵢⱼ w[o][m][i][j]`, the same everywhere,
//!    and the sum of `w[o][m][i][j] · (s2[m][y + i][x + j] - p[m])`, in which background is zero: half of the positions are
//!    left out.
//! 3. Backward, only the receptive fields of maxima with a nonzero gradient are touched, at most one unit of C3 in four. There
//!    eight values are the maps of S2 at one position.

use macerator::Simd;

use super::{
    argmax::{RoutedGrad, push_code, relu_max_pool, s4_argmax},
    background::BackgroundMask,
};
use crate::{
    pack::C3Packed,
    shapes::{
        C1_MAPS, C3_MAPS, C3BackwardWeights, C3ForwardWeights, KERNEL, S2_PADDED_MAPS, S2_ROW_STRIDE, S2_SIDE, S2Units,
        S4_CELLS, S4_SIDE, S4Argmax, S4Row, WINDOW_FIELD,
    },
    simd::{CacheAligned, F32x8, F32x16, Kernel, LANES, is_nonzero, unroll},
};

/// S2 without its background.
pub type Scratch = CacheAligned<S2Units>;

/// Scratch space; its content does not matter.
pub const SCRATCH: Scratch = CacheAligned([[[0.0; S2_PADDED_MAPS]; S2_SIDE]; S2_SIDE]);

/// The forward pass over one image.
pub struct Forward<'a> {
    pub s2: &'a S2Units,
    pub background: &'a BackgroundMask,
    pub w: &'a C3Packed<'a>,
    pub s4: &'a mut S4Row,
    pub argmax: &'a mut S4Argmax,
    pub scratch: &'a mut Scratch,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { s2, background, w, s4, argmax, scratch } = self;
        subtract_background::<S, N>(s2, background, scratch);
        let mut on_background = F32x16::<S, N>::load(w.bias);
        for map in 0..C1_MAPS {
            on_background = F32x16::splat(background.s2[map]).mul_add(F32x16::load(&w.sums[map]), on_background);
        }
        let input = Input { s2: scratch, foreground: &background.foreground, weight: &w.weight };
        for y in 0..S4_SIDE {
            let mut codes = F32x16::splat(0.0);
            if F32x16::<S, N>::REGISTERS >= 32 {
                compute_windows::<S, N, 10>(&input, on_background, y, 0, s4, &mut codes);
            } else {
                for x in 0..S4_SIDE {
                    compute_windows::<S, N, 2>(&input, on_background, y, x, s4, &mut codes);
                }
            }
            codes.store(&mut argmax[y]);
        }
    }
}

/// What windows are computed from.
struct Input<'a> {
    /// Without its background.
    s2: &'a S2Units,
    foreground: &'a [[bool; S2_SIDE]; S2_SIDE],
    weight: &'a C3ForwardWeights,
}

#[inline(always)]
fn subtract_background<S: Simd, const N: usize>(s2: &S2Units, background: &BackgroundMask, out: &mut S2Units) {
    let mut twice = [0.0; LANES];
    twice[..S2_PADDED_MAPS].copy_from_slice(&background.s2);
    twice[S2_PADDED_MAPS..].copy_from_slice(&background.s2);
    let background = F32x16::<S, N>::load(&twice);
    let blocks = s2.as_flattened().as_flattened().as_chunks().0;
    let out = out.as_flattened_mut().as_flattened_mut().as_chunks_mut().0;
    for (block, out) in blocks.iter().zip(out) {
        F32x16::load(block).sub(background).store(out);
    }
}

/// The windows of S4 in row `y` from the one in column `first` on: `COLUMNS` columns of C3, two for each window.
#[inline(always)]
fn compute_windows<S: Simd, const N: usize, const COLUMNS: usize>(
    input: &Input,
    on_background: F32x16<S, N>,
    y: usize,
    first: usize,
    s4: &mut S4Row,
    codes: &mut F32x16<S, N>,
) {
    let mut outputs = [[on_background; COLUMNS]; 2];
    for row in 0..WINDOW_FIELD {
        let foreground = &input.foreground[2 * y + row];
        let s2 = &input.s2[2 * y + row];
        unroll!(long column < COLUMNS + KERNEL - 1, {
            let x = 2 * first + column;
            if foreground[x] {
                match row {
                    0 => add_position::<S, N, COLUMNS, column, true, false>(&mut outputs, &s2[x], input.weight, row),
                    KERNEL => add_position::<S, N, COLUMNS, column, false, true>(&mut outputs, &s2[x], input.weight, row),
                    _ => add_position::<S, N, COLUMNS, column, true, true>(&mut outputs, &s2[x], input.weight, row),
                }
            }
        });
    }
    let s4 = s4.as_flattened_mut();
    unroll!(window < COLUMNS / 2, {
        let [upper, lower] = outputs;
        let candidates = [upper[2 * window], upper[2 * window + 1], lower[2 * window], lower[2 * window + 1]];
        let (max, code) = relu_max_pool(candidates);
        *codes = push_code(*codes, code, first + window);
        let mut units = [0.0; LANES];
        max.store(&mut units);
        for map in 0..C3_MAPS {
            s4[map * S4_CELLS + y * S4_SIDE + first + window] = units[map];
        }
    });
}

/// Adds what one position of S2 contributes to two rows of C3. It is in column `COLUMN` and row `row` of the receptive field
/// of their first units; `UPPER` and `LOWER` say which of the two rows' kernels reach it.
#[inline(always)]
fn add_position<
    S: Simd,
    const N: usize,
    const COLUMNS: usize,
    const COLUMN: usize,
    const UPPER: bool,
    const LOWER: bool,
>(
    outputs: &mut [[F32x16<S, N>; COLUMNS]; 2],
    units: &[f32; S2_PADDED_MAPS],
    weight: &C3ForwardWeights,
    row: usize,
) {
    for map in 0..C1_MAPS {
        let x = F32x16::splat(units[map]);
        unroll!(long out < COLUMNS, {
            if out <= COLUMN && COLUMN - out < KERNEL {
                if UPPER {
                    outputs[0][out] = x.mul_add(F32x16::load(&weight[row][COLUMN - out][map]), outputs[0][out]);
                }
                if LOWER {
                    outputs[1][out] = x.mul_add(F32x16::load(&weight[row - 1][COLUMN - out][map]), outputs[1][out]);
                }
            }
        });
    }
}

/// The backward pass over one image: adds to the gradients of weights and biases.
pub struct Backward<'a> {
    /// Zero where a unit of S4 is zero.
    pub s4_grad: &'a S4Row,
    pub argmax: &'a S4Argmax,
    pub s2: &'a S2Units,
    pub weight: &'a C3BackwardWeights,
    /// It is overwritten.
    pub s2_grad: &'a mut S2Units,
    pub weight_grad: &'a mut C3BackwardWeights,
    pub bias_grad: &'a mut [f32; C3_MAPS],
}

impl Kernel for Backward<'_> {
    /// A position of S2 is eight values.
    const MAX_LANES: usize = S2_PADDED_MAPS;

    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { s4_grad, argmax, s2, weight, s2_grad, weight_grad, bias_grad } = self;
        let s4_grad = s4_grad.as_flattened();
        s2_grad.as_flattened_mut().as_flattened_mut().fill(0.0);
        for map in 0..C3_MAPS {
            let grads = &s4_grad[map * S4_CELLS..][..S4_CELLS];
            let (mut cells, mut count) = ([0_u8; 32], 0);
            for (cell, grad) in (0..).zip(grads) {
                // Branch-free: every cell is written, but the count advances only past nonzero ones.
                cells[count % 32] = cell;
                count += usize::from(is_nonzero(*grad));
            }
            let mut routed = [RoutedGrad::default(); S4_CELLS];
            for (routed, cell) in routed.iter_mut().zip(&cells[..count]) {
                let cell = usize::from(*cell);
                *routed = RoutedGrad::new(grads[cell], s4_argmax(argmax, cell, map));
            }
            let routed = &routed[..count.min(S4_CELLS)];
            let (weight, weight_grad) = (&weight[map], &mut weight_grad[map]);
            // As many rows of the kernel at once as registers hold: a row is five sums.
            if F32x8::<S, N>::REGISTERS >= 16 {
                kernel_rows::<S, N, 2>(routed, 0, s2, weight, s2_grad, weight_grad);
                kernel_rows::<S, N, 2>(routed, 2, s2, weight, s2_grad, weight_grad);
                kernel_rows::<S, N, 1>(routed, 4, s2, weight, s2_grad, weight_grad);
            } else {
                for row in 0..KERNEL {
                    kernel_rows::<S, N, 1>(routed, row, s2, weight, s2_grad, weight_grad);
                }
            }
            for unit in routed {
                bias_grad[map] += unit.grad;
            }
        }
        let grads = s2_grad.as_flattened_mut().iter_mut();
        for (grads, units) in grads.zip(s2.as_flattened()) {
            F32x8::<S, N>::load(grads).relu_grad(F32x8::load(units)).store(grads);
        }
    }
}

/// `ROWS` rows of a kernel from `first` on.
#[inline(always)]
fn kernel_rows<S: Simd, const N: usize, const ROWS: usize>(
    routed: &[RoutedGrad],
    first: usize,
    s2: &S2Units,
    weight: &[[[f32; S2_PADDED_MAPS]; KERNEL]; KERNEL],
    s2_grad: &mut S2Units,
    weight_grad: &mut [[[f32; S2_PADDED_MAPS]; KERNEL]; KERNEL],
) {
    let (s2, s2_grad) = (s2.as_flattened().as_flattened(), s2_grad.as_flattened_mut().as_flattened_mut());
    let mut sums = [[F32x8::<S, N>::splat(0.0); KERNEL]; ROWS];
    for unit in routed {
        let grad = F32x8::splat(unit.grad);
        let start = unit.offset as usize + first * S2_ROW_STRIDE;
        debug_assert!(start + (ROWS - 1) * S2_ROW_STRIDE + KERNEL * S2_PADDED_MAPS <= s2.len());
        unroll!(row < ROWS, {
            unroll!(column < KERNEL, {
                let at = start + row * S2_ROW_STRIDE + column * S2_PADDED_MAPS;
                // SAFETY: a receptive field begins in row and column 9 at most and has five of each: S2 has 14.
                unsafe {
                    sums[row][column] = grad.mul_add(F32x8::load_from(s2.as_ptr().add(at)), sums[row][column]);
                    let input_grad = s2_grad.as_mut_ptr().add(at);
                    let w = F32x8::load(&weight[first + row][column]);
                    grad.mul_add(w, F32x8::load_from(input_grad)).store_to(input_grad);
                }
            });
        });
    }
    unroll!(row < ROWS, {
        unroll!(column < KERNEL, {
            let sum = &mut weight_grad[first + row][column];
            F32x8::load(sum).add(sums[row][column]).store(sum);
        });
    });
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::{
        pack::{BackwardWeights, ForwardWeights},
        simd::InstructionSet,
        testing::{Maps, Reference, assert_close, noise, parameters, positions},
    };

    /// Units as S2 has them, and what is background of them: nothing, everything, or about half.
    fn s2(kind: usize) -> (S2Units, BackgroundMask) {
        let mut background = BackgroundMask::default();
        for (unit, value) in background.s2[..C1_MAPS].iter_mut().zip(noise(3, C1_MAPS)) {
            *unit = value.max(0.0);
        }
        let mut s2 = S2Units::zeroed();
        let values = noise(4 + kind, S2_SIDE * S2_SIDE * C1_MAPS);
        for (index, values) in values.chunks_exact(C1_MAPS).enumerate() {
            let (y, x) = (index / S2_SIDE, index % S2_SIDE);
            background.foreground[y][x] = [true, false, values[0] > 0.0][kind];
            for map in 0..C1_MAPS {
                let unit = if background.foreground[y][x] { values[map].max(0.0) } else { background.s2[map] };
                s2[y][x][map] = unit;
            }
        }
        if kind == 0 {
            background.s2 = [0.0; S2_PADDED_MAPS];
        }
        (s2, background)
    }

    #[test]
    fn forward_and_backward_are_those_of_the_plain_loops() {
        let parameters = parameters(10);
        let c3 = &parameters.c3;
        let slices = parameters.as_ref().map(Vec::as_slice);
        let (forward, backward) = (ForwardWeights::pack(&slices), BackwardWeights::pack(&slices));
        for kind in 0..3 {
            let (s2, background) = s2(kind);
            let values = positions(C1_MAPS, S2_SIDE).map(|(map, y, x)| f64::from(s2[y][x][map])).collect();
            let input = Maps { values, side: S2_SIDE };
            let reference =
                Reference { input: &input, inputs: C1_MAPS, outputs: C3_MAPS, weight: &c3.weight, bias: &c3.bias };
            let (pooled, argmaxes) = reference.forward();
            let grad = noise(8, pooled.values.len()).into_iter().zip(&pooled.values);
            let grad: Vec<f32> = grad.map(|(g, unit)| if *unit > 0.0 { g } else { 0.0 }).collect();
            let grads = Maps { values: grad.iter().map(|g| f64::from(*g)).collect(), side: S4_SIDE };
            let (weight, bias, input_grad) = reference.backward(&grads, &argmaxes);
            for set in InstructionSet::available() {
                let what = |of: &str| format!("{of} of kind {kind} with {}", set.name());
                let (mut s4, mut argmax) = (S4Row::zeroed(), S4Argmax::zeroed());
                set.run(Forward {
                    s2: &s2,
                    background: &background,
                    w: &forward.c3,
                    s4: &mut s4,
                    argmax: &mut argmax,
                    scratch: &mut SCRATCH.clone(),
                });
                assert_close(&what("S4"), s4.as_flattened().to_vec(), pooled.values.iter().copied());
                // Over plain background all candidates are equal but for rounding.
                if kind != 1 {
                    for ((map, y, x), (row, column)) in positions(C3_MAPS, S4_SIDE).zip(&argmaxes) {
                        let offset = s4_argmax(&argmax, y * S4_SIDE + x, map);
                        assert_eq!(offset, (row * S2_SIDE + column) * S2_PADDED_MAPS, "{}", what("argmax"));
                    }
                }
                let mut s4_grad = S4Row::zeroed();
                s4_grad.as_flattened_mut().copy_from_slice(&grad);
                let mut s2_grad = [[[f32::NAN; S2_PADDED_MAPS]; S2_SIDE]; S2_SIDE];
                let (mut weight_grad, mut bias_grad) = (C3BackwardWeights::zeroed(), [0.0; C3_MAPS]);
                set.run(Backward {
                    s4_grad: &s4_grad,
                    argmax: &argmax,
                    s2: &s2,
                    weight: &backward.c3,
                    s2_grad: &mut s2_grad,
                    weight_grad: &mut weight_grad,
                    bias_grad: &mut bias_grad,
                });
                let taps = weight_grad
                    .iter()
                    .flat_map(|output| positions(C1_MAPS, KERNEL).map(|(map, row, column)| output[row][column][map]));
                assert_close(&what("bias gradient"), bias_grad, bias.iter().copied());
                assert_close(&what("weight gradient"), taps, weight.iter().copied());
                // The derivative of ReLU, which S2 is the output of.
                let expected =
                    input_grad.values.iter().zip(&input.values).map(|(g, u)| if *u > 0.0 { *g } else { 0.0 });
                let got = positions(C1_MAPS, S2_SIDE).map(|(map, y, x)| s2_grad[y][x][map]);
                if kind != 1 {
                    assert_close(&what("S2 gradient"), got, expected);
                }
            }
        }
    }
}
