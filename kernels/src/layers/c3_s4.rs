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
//! 1. Forward, with `p[m]` the units of S2 over plain background, each sum is `b[o] + Σₘ p[m] Σᵢⱼ w[o][m][i][j]`, the same everywhere,
//!    and the sum of `w[o][m][i][j] · (s2[m][y + i][x + j] - p[m])`, in which background is zero.
//! 2. A column of a kernel is a filter of five taps along a column of S2: five rows of C3 are computed at once, with nine products
//!    for each column of a kernel instead of twenty-five ([`winograd`](crate::winograd)). Of the nine, each is a convolution along the
//!    rows, with kernels of 1x5. Columns of S2 that are background all along are left out.
//! 3. There, a block of sixteen values is the sixteen maps of C3 at one position. With AVX-512, both halves of C3 are computed at once,
//!    ten columns each: twenty sums in registers.
//! 4. Backward, only the receptive fields of maxima with a nonzero gradient are touched, at most one unit of C3 in four. There
//!    eight values are the maps of S2 at one position; with AVX-512, sixteen are two positions of which the first is in an even
//!    column, a cache line.
//! 5. The gradient of S2 is summed up window by window, that of the weights map by map, for several images: both sums stay in
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
        C1_MAPS, C3_MAPS, C3_SIDE, C3ForwardWeights, KERNEL, PRODUCTS, S2_PADDED_MAPS, S2_SIDE, S2Units, S4_CELLS,
        S4_SIDE, S4Argmax, S4Row,
    },
    simd::{CacheAligned, F32x16, Kernel, LANES, unroll},
    winograd::{OUTPUTS, transform_input, transform_output},
};

/// C3 is computed in two halves of five rows.
const HALVES: usize = C3_SIDE / OUTPUTS;

/// S2's side of the products of each half.
type Inputs = [[[[f32; S2_PADDED_MAPS]; S2_SIDE]; PRODUCTS]; HALVES];
/// The products of each half, summed over maps and columns of the kernels.
type Sums = [[[[f32; LANES]; C3_SIDE]; PRODUCTS]; HALVES];

/// Room to work in.
#[derive(Clone)]
pub struct Scratch {
    inputs: CacheAligned<Inputs>,
    sums: CacheAligned<Sums>,
}

/// Scratch space; its content does not matter.
pub const SCRATCH: Scratch = Scratch {
    inputs: CacheAligned([[[[0.0; S2_PADDED_MAPS]; S2_SIDE]; PRODUCTS]; HALVES]),
    sums: CacheAligned([[[[0.0; LANES]; C3_SIDE]; PRODUCTS]; HALVES]),
};

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
        let Self { s2, background, w, s4, argmax, scratch: Scratch { inputs, sums } } = self;
        let foreground = transform_s2::<S, N>(s2, background, inputs);
        let columns = ForegroundRow::any(&foreground);
        for product in 0..PRODUCTS {
            if F32x16::<S, N>::REGISTERS >= 32 {
                sum_up::<S, N, HALVES, 10>(inputs, columns, &w.weight, sums, product, 0, 0);
            } else if F32x16::<S, N>::REGISTERS >= 8 {
                for (half, column) in (0..HALVES).flat_map(|half| [0, 5].map(|column| (half, column))) {
                    sum_up::<S, N, 1, 5>(inputs, columns, &w.weight, sums, product, half, column);
                }
            } else {
                for (half, column) in (0..HALVES).flat_map(|half| [0, 2, 4, 6, 8].map(|column| (half, column))) {
                    sum_up::<S, N, 1, 2>(inputs, columns, &w.weight, sums, product, half, column);
                }
            }
        }
        let mut on_background = F32x16::<S, N>::load(w.bias);
        for map in 0..C1_MAPS {
            on_background = F32x16::splat(background.s2[map]).mul_add(F32x16::load(&w.sums[map]), on_background);
        }
        pool(sums, &units_over_foreground(&foreground), on_background, s4, argmax);
    }
}

/// S2's side of the products, without background, and what is not background of S2: a unit over foreground may still have its value.
/// Columns that are background all along are not written.
#[inline(always)]
fn transform_s2<S: Simd, const N: usize>(
    s2: &S2Units,
    background: &BackgroundMask,
    inputs: &mut Inputs,
) -> [ForegroundRow; S2_SIDE] {
    let mut twice = [0.0; LANES];
    twice[..S2_PADDED_MAPS].copy_from_slice(&background.s2);
    twice[S2_PADDED_MAPS..].copy_from_slice(&background.s2);
    let on_background = F32x16::<S, N>::load(&twice);
    let columns = ForegroundRow::any(&background.foreground);
    let mut foreground = [ForegroundRow::default(); S2_SIDE];
    for pair in 0..S2_SIDE / 2 {
        if !columns.has(2 * pair) && !columns.has(2 * pair + 1) {
            continue;
        }
        let mut rows = [on_background; S2_SIDE];
        for y in 0..S2_SIDE {
            let units = &s2[y].as_flattened().as_chunks().0[pair];
            rows[y] = F32x16::load(units).sub(on_background);
            foreground[y].insert_pair(pair, F32x16::<S, N>::differing(units, &twice));
        }
        for (half, inputs) in inputs.iter_mut().enumerate() {
            let mut taps = [on_background; PRODUCTS];
            for row in 0..PRODUCTS {
                taps[row] = rows[half * OUTPUTS + row];
            }
            let transformed = transform_input(taps);
            for product in 0..PRODUCTS {
                transformed[product].store(&mut inputs[product].as_flattened_mut().as_chunks_mut().0[pair]);
            }
        }
    }
    foreground
}

/// Of one of the products, and some halves and columns of C3 from `half` and `first` on, the sums over maps and columns of the
/// kernels.
#[inline(always)]
fn sum_up<S: Simd, const N: usize, const H: usize, const COLUMNS: usize>(
    inputs: &Inputs,
    columns: ForegroundRow,
    weight: &C3ForwardWeights,
    sums: &mut Sums,
    product: usize,
    half: usize,
    first: usize,
) {
    assert!(half + H <= HALVES && first + COLUMNS <= C3_SIDE);
    let weight = &weight[product];
    let columns = columns.from(first);
    let mut outputs = [[F32x16::<S, N>::splat(0.0); COLUMNS]; H];
    if F32x16::<S, N>::REGISTERS >= 32 {
        // The five weights of a map stay in registers.
        for map in 0..C1_MAPS {
            let w = load_taps(&weight[map]);
            unroll!(long column < COLUMNS + KERNEL - 1, {
                if columns.has(column) {
                    unroll!(h < H, {
                        let unit = inputs[half + h][product][first + column][map];
                        add_unit::<S, N, COLUMNS, column>(&mut outputs[h], unit, &w);
                    });
                }
            });
        }
    } else {
        unroll!(long column < COLUMNS + KERNEL - 1, {
            if columns.has(column) {
                for map in 0..C1_MAPS {
                    let w = load_taps(&weight[map]);
                    unroll!(h < H, {
                        let unit = inputs[half + h][product][first + column][map];
                        add_unit::<S, N, COLUMNS, column>(&mut outputs[h], unit, &w);
                    });
                }
            }
        });
    }
    unroll!(h < H, {
        unroll!(long column < COLUMNS, {
            outputs[h][column].store(&mut sums[half + h][product][first + column]);
        });
    });
}

/// The units of C3 whose receptive fields cover anything but background, row by row.
#[inline(always)]
fn units_over_foreground(foreground: &[ForegroundRow; S2_SIDE]) -> [ForegroundRow; C3_SIDE] {
    let mut units = [ForegroundRow::default(); C3_SIDE];
    for y in 0..C3_SIDE {
        let columns = ForegroundRow::any(&foreground[y..y + KERNEL]);
        units[y] = columns;
        for column in 1..KERNEL {
            units[y] = units[y].or(columns.from(column));
        }
    }
    units
}

/// A row of a map's kernels.
#[inline(always)]
fn load_taps<S: Simd, const N: usize>(weight: &[[f32; LANES]; KERNEL]) -> [F32x16<S, N>; KERNEL] {
    let mut taps = [F32x16::splat(0.0); KERNEL];
    unroll!(tap < KERNEL, {
        taps[tap] = F32x16::load(&weight[tap]);
    });
    taps
}

/// Adds what a unit in column `COLUMN` contributes to the sums of a row.
#[inline(always)]
fn add_unit<S: Simd, const N: usize, const COLUMNS: usize, const COLUMN: usize>(
    sums: &mut [F32x16<S, N>; COLUMNS],
    unit: f32,
    w: &[F32x16<S, N>; KERNEL],
) {
    let unit = F32x16::splat(unit);
    unroll!(tap < KERNEL, {
        if tap <= COLUMN && COLUMN - tap < COLUMNS {
            sums[COLUMN - tap] = unit.mul_add(w[tap], sums[COLUMN - tap]);
        }
    });
}

/// From sums of products to C3, and to S4.
#[inline(always)]
fn pool<S: Simd, const N: usize>(
    sums: &Sums,
    over_foreground: &[ForegroundRow; C3_SIDE],
    on_background: F32x16<S, N>,
    s4: &mut S4Row,
    argmax: &mut S4Argmax,
) {
    let s4 = s4.as_flattened_mut();
    let mut codes = [F32x16::<S, N>::splat(0.0); S4_SIDE];
    for window in 0..S4_SIDE {
        // Two columns of C3.
        let mut units = [[on_background; C3_SIDE]; 2];
        for (side, units) in units.iter_mut().enumerate() {
            for (sums, units) in sums.iter().zip(units.as_chunks_mut::<OUTPUTS>().0) {
                let mut products = [on_background; PRODUCTS];
                for product in 0..PRODUCTS {
                    products[product] = F32x16::load(&sums[product][2 * window + side]);
                }
                *units = transform_output(products, on_background);
            }
            // Units over background are equal, not just nearly: of equals the first is the maximum. Of others that see the same pattern,
            // as along a straight bar, any may be: their sums are rounded in different ways.
            for y in 0..C3_SIDE {
                if !over_foreground[y].has(2 * window + side) {
                    units[y] = on_background;
                }
            }
        }
        unroll!(y < S4_SIDE, {
            let [left, right] = &units;
            let (max, code) = relu_max_pool([left[2 * y], right[2 * y], left[2 * y + 1], right[2 * y + 1]]);
            codes[y] = push_code(codes[y], code, window);
            let units = max.to_array();
            for map in 0..C3_MAPS {
                s4[map * S4_CELLS + y * S4_SIDE + window] = units[map];
            }
        });
    }
    unroll!(y < S4_SIDE, {
        codes[y].store(&mut argmax[y]);
    });
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

    /// Units as S2 has them, and what is background of them: nothing, everything, about half, or all but a block.
    fn s2(kind: usize) -> (S2Units, BackgroundMask) {
        let mut background = BackgroundMask::default();
        for (unit, value) in background.s2[..C1_MAPS].iter_mut().zip(noise(3, C1_MAPS)) {
            *unit = value.max(0.0);
        }
        let mut s2 = S2Units::zeroed();
        let values = noise(4 + kind, S2_SIDE * S2_SIDE * C1_MAPS);
        for (index, values) in values.chunks_exact(C1_MAPS).enumerate() {
            let (y, x) = (index / S2_SIDE, index % S2_SIDE);
            let is_foreground = [true, false, values[0] > 0.0, (5..9).contains(&y) && (3..7).contains(&x)][kind];
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
        let (forward, backward) =
            (ForwardWeights::pack(InstructionSet::detect(), &slices), BackwardWeights::pack(&slices));
        for kind in 0..4 {
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
                for ((map, y, x), (row, column)) in positions(C3_MAPS, S4_SIDE).zip(&argmaxes) {
                    let offset = s4_argmax(&argmax, y * S4_SIDE + x, map);
                    assert_eq!(offset, (row * S2_SIDE + column) * S2_PADDED_MAPS, "{}", what("argmax"));
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
                assert_close(&what("S2 gradient"), got, expected);
            }
        }
    }
}
