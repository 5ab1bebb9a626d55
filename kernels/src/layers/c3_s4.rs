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
//!    computed at once, ten columns each: twenty sums in registers, a row of pooling windows, and the ten weights of one map
//!    that a row of S2 is multiplied with. From the cache, the weights could not be read as fast as they are used.
//! 2. With `p[m]` the units of S2 over plain background, each sum is `b[o] + Σₘ p[m] Σᵢⱼ w[o][m][i][j]`, the same everywhere,
//!    and the sum of `w[o][m][i][j] · (s2[m][y + i][x + j] - p[m])`, in which background is zero: half of the positions are
//!    left out.
//! 3. Backward, only the receptive fields of maxima with a nonzero gradient are touched, at most one unit of C3 in four. There
//!    eight values are the maps of S2 at one position; with AVX-512, sixteen are two positions of which the first is in an even
//!    column, a cache line.
//! 4. The gradient of S2 is summed up window by window, that of the weights map by map, for several images: both sums stay in
//!    registers. In one pass over the units, one of the two would have to be read and written for each.

mod backward;

use macerator::Simd;

pub use self::backward::{InputGrad, ParameterGrad};
use super::{
    argmax::{push_code, relu_max_pool},
    background::{BackgroundMask, ForegroundRow},
};
use crate::{
    pack::C3Packed,
    shapes::{
        C1_MAPS, C3_MAPS, C3ForwardWeights, KERNEL, S2_PADDED_MAPS, S2_SIDE, S2Units, S4_CELLS, S4_SIDE, S4Argmax,
        S4Row, WINDOW_FIELD,
    },
    simd::{CacheAligned, F32x16, Kernel, LANES, unroll},
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
    foreground: &'a [ForegroundRow; S2_SIDE],
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
    if F32x16::<S, N>::REGISTERS >= 32 {
        for row in 0..WINDOW_FIELD {
            let foreground = input.foreground[2 * y + row].from(2 * first);
            let s2 = &input.s2[2 * y + row][2 * first..];
            match row {
                0 => add_row::<S, N, COLUMNS, true, false>(&mut outputs, s2, foreground, input.weight, row),
                KERNEL => add_row::<S, N, COLUMNS, false, true>(&mut outputs, s2, foreground, input.weight, row),
                _ => add_row::<S, N, COLUMNS, true, true>(&mut outputs, s2, foreground, input.weight, row),
            }
        }
    } else {
        for row in 0..WINDOW_FIELD {
            let foreground = input.foreground[2 * y + row];
            let s2 = &input.s2[2 * y + row];
            unroll!(long column < COLUMNS + KERNEL - 1, {
                let x = 2 * first + column;
                if foreground.has(x) {
                    match row {
                        0 => add_position::<S, N, COLUMNS, column, true, false>(&mut outputs, &s2[x], input.weight, row),
                        KERNEL => add_position::<S, N, COLUMNS, column, false, true>(&mut outputs, &s2[x], input.weight, row),
                        _ => add_position::<S, N, COLUMNS, column, true, true>(&mut outputs, &s2[x], input.weight, row),
                    }
                }
            });
        }
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

/// Adds what a row of S2 contributes to two rows of C3. It is row `row` of the receptive field of their units; `UPPER` and `LOWER`
/// say which of the two rows' kernels reach it.
#[inline(always)]
fn add_row<S: Simd, const N: usize, const COLUMNS: usize, const UPPER: bool, const LOWER: bool>(
    outputs: &mut [[F32x16<S, N>; COLUMNS]; 2],
    s2: &[[f32; S2_PADDED_MAPS]],
    foreground: ForegroundRow,
    weight: &C3ForwardWeights,
    row: usize,
) {
    assert!(s2.len() >= COLUMNS + KERNEL - 1);
    for map in 0..C1_MAPS {
        let mut upper = [F32x16::splat(0.0); KERNEL];
        let mut lower = upper;
        unroll!(tap < KERNEL, {
            if UPPER {
                upper[tap] = F32x16::load(&weight[row][tap][map]);
            }
            if LOWER {
                lower[tap] = F32x16::load(&weight[row - 1][tap][map]);
            }
        });
        unroll!(long column < COLUMNS + KERNEL - 1, {
            if foreground.has(column) {
                let x = F32x16::splat(s2[column][map]);
                unroll!(long out < COLUMNS, {
                    if out <= column && column - out < KERNEL {
                        if UPPER {
                            outputs[0][out] = x.mul_add(upper[column - out], outputs[0][out]);
                        }
                        if LOWER {
                            outputs[1][out] = x.mul_add(lower[column - out], outputs[1][out]);
                        }
                    }
                });
            }
        });
    }
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

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::{
        layers::argmax::s4_argmax,
        pack::{BackwardWeights, ForwardWeights},
        shapes::C3Grad,
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
            let is_foreground = [true, false, values[0] > 0.0][kind];
            if is_foreground {
                background.foreground[y].insert(x);
            }
            for map in 0..C1_MAPS {
                let unit = if is_foreground { values[map].max(0.0) } else { background.s2[map] };
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
                InputGrad { s4_grad: &s4_grad, argmax: &argmax, s2: &s2, weight: &backward.c3, s2_grad: &mut s2_grad }
                    .run(set);
                let (mut weight_grad, mut bias_grad) = (C3Grad::zeroed(), [0.0; C3_MAPS]);
                ParameterGrad {
                    s4_grad: &[s4_grad],
                    argmax: &[argmax],
                    s2: &[s2],
                    weight_grad: &mut weight_grad,
                    bias_grad: &mut bias_grad,
                }
                .run(set);
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
