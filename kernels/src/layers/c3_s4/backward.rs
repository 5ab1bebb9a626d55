//! C3 backward, in two kernels: the gradient of S2, and those of weights and biases.

use macerator::Simd;

use crate::{
    layers::argmax::{s4_codes, s4_offset},
    shapes::{
        C3_MAPS, C3BackwardWeights, C3Grad, KERNEL, S2_PADDED_MAPS, S2_ROW_STRIDE, S2Units, S4_CELLS, S4Argmax, S4Row,
        WINDOW_FIELD,
    },
    simd::{F32Lanes, InstructionSet, Kernel, LANES, NonzeroList, unroll},
};

/// Values of two positions of S2: a cache line.
const PAIR: usize = 2 * S2_PADDED_MAPS;
/// Values of a row of a kernel: five columns and one of zeros.
const KERNEL_ROW: usize = (KERNEL + 1) * S2_PADDED_MAPS;

/// The gradient of S2 for one image.
pub struct InputGrad<'a> {
    /// Zero where a unit of S4 is zero.
    pub s4_grad: &'a S4Row,
    pub argmax: &'a S4Argmax,
    pub s2: &'a S2Units,
    pub weight: &'a C3BackwardWeights,
    /// It is overwritten.
    pub s2_grad: &'a mut S2Units,
}

impl InputGrad<'_> {
    /// Runs it with an instruction set: on two positions of S2 at a time if a vector holds them.
    pub fn run(self, set: InstructionSet) {
        if set.is_wide() {
            set.run(InputGradBy::<PAIR>(self));
        } else {
            set.run(InputGradBy::<S2_PADDED_MAPS>(self));
        }
    }
}

/// [`InputGrad`] on `L` values at a time.
struct InputGradBy<'a, const L: usize>(InputGrad<'a>);

impl<const L: usize> Kernel for InputGradBy<'_, L> {
    const MAX_LANES: usize = L;

    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let InputGrad { s4_grad, argmax, s2, weight, s2_grad } = self.0;
        let s2_grad = s2_grad.as_flattened_mut().as_flattened_mut();
        s2_grad.fill(0.0);
        // `[25][16]`: a window's sixteen maps side by side.
        let mut grads = [[0.0; LANES]; S4_CELLS];
        for (map, of_map) in s4_grad.as_flattened().as_chunks::<S4_CELLS>().0.iter().enumerate() {
            for (cell, grad) in of_map.iter().enumerate() {
                grads[cell][map] = *grad;
            }
        }
        for (cell, grads) in grads.iter().enumerate() {
            let codes = s4_codes(argmax, cell);
            if L == PAIR {
                window::<S, N, L>(cell, grads, &codes, weight, s2_grad);
            } else {
                for map in 0..C3_MAPS {
                    if grads[map] != 0.0 {
                        let at = s4_offset(cell, codes[map]);
                        receptive_field::<S, N, L>(grads[map], &weight.kernels[map][0], at, s2_grad);
                    }
                }
            }
        }
        for (grads, units) in s2_grad.as_chunks_mut().0.iter_mut().zip(s2.as_flattened().as_flattened().as_chunks().0) {
            F32Lanes::<S, N, L>::load(grads).relu_grad(F32Lanes::load(units)).store(grads);
        }
    }
}

/// Adds the gradients of the sixteen units of a window of S4: in registers, since all their receptive fields are in six rows and
/// columns, which begin in an even column.
#[inline(always)]
fn window<S: Simd, const N: usize, const L: usize>(
    cell: usize,
    grads: &[f32; LANES],
    codes: &[u32; LANES],
    weight: &C3BackwardWeights,
    s2_grad: &mut [f32],
) {
    /// Two columns each.
    const VECTORS: usize = WINDOW_FIELD / 2;
    let weights = weight.as_flat();
    // Where the rows begin that meet the window's: a row earlier if the unit's receptive field begins in the second row.
    let mut starts = [0; LANES];
    for map in 0..C3_MAPS {
        let (row, column) = (codes[map] / 2, codes[map] % 2);
        starts[map] = C3BackwardWeights::start(map, row, column);
    }
    let mut units = NonzeroList::<{ 2 * LANES }>::new();
    units.push::<S>(grads, &starts, 0);
    let mut sums = [[F32Lanes::<S, N, L>::splat(0.0); VECTORS]; WINDOW_FIELD];
    for (grad, start) in units.iter() {
        let (grad, start) = (F32Lanes::splat(grad), start as usize);
        debug_assert!(start + WINDOW_FIELD * KERNEL_ROW <= weights.len());
        unroll!(row < WINDOW_FIELD, {
            unroll!(v < VECTORS, {
                // SAFETY: six rows from where a kernel begins, or from a row before it, end in this kernel or in the zeros after it.
                let w = unsafe { F32Lanes::load_from(weights.as_ptr().add(start + row * KERNEL_ROW + v * L)) };
                sums[row][v] = grad.mul_add(w, sums[row][v]);
            });
        });
    }
    let start = s4_offset(cell, 0);
    assert!(start + KERNEL * S2_ROW_STRIDE + VECTORS * L <= s2_grad.len());
    unroll!(row < WINDOW_FIELD, {
        unroll!(v < VECTORS, {
            // SAFETY: as asserted.
            unsafe {
                let to = s2_grad.as_mut_ptr().add(start + row * S2_ROW_STRIDE + v * L);
                F32Lanes::load_from(to).add(sums[row][v]).store_to(to);
            }
        });
    });
}

/// Adds a unit's gradient to its receptive field, which begins at `start`.
#[inline(always)]
fn receptive_field<S: Simd, const N: usize, const L: usize>(
    grad: f32,
    weight: &[[[f32; S2_PADDED_MAPS]; KERNEL + 1]; KERNEL + 1],
    start: usize,
    s2_grad: &mut [f32],
) {
    let grad = F32Lanes::<S, N, L>::splat(grad);
    assert!(start + (KERNEL - 1) * S2_ROW_STRIDE + KERNEL * L <= s2_grad.len());
    for row in 0..KERNEL {
        unroll!(column < KERNEL, {
            // SAFETY: as asserted, and a position's weights are `L` values.
            unsafe {
                let to = s2_grad.as_mut_ptr().add(start + row * S2_ROW_STRIDE + column * L);
                let w = F32Lanes::load_from(weight[row][column].as_ptr());
                grad.mul_add(w, F32Lanes::load_from(to)).store_to(to);
            }
        });
    }
}

/// Adds to the gradients of weights and biases, for some images.
pub struct ParameterGrad<'a> {
    /// Zero where a unit of S4 is zero.
    pub s4_grad: &'a [S4Row],
    pub argmax: &'a [S4Argmax],
    pub s2: &'a [S2Units],
    pub weight_grad: &'a mut C3Grad,
    pub bias_grad: &'a mut [f32; C3_MAPS],
}

impl ParameterGrad<'_> {
    /// Runs it with an instruction set: on two positions of S2 at a time if a vector holds them.
    pub fn run(self, set: InstructionSet) {
        if set.is_wide() {
            set.run(ParameterGradBy::<PAIR>(self));
        } else {
            set.run(ParameterGradBy::<S2_PADDED_MAPS>(self));
        }
    }
}

/// [`ParameterGrad`] on `L` values at a time.
struct ParameterGradBy<'a, const L: usize>(ParameterGrad<'a>);

/// Images whose units are summed over in registers: so many of S2 stay in the first-level cache.
const IMAGES: usize = 4;
/// S4's positions, and zeros up to whole blocks.
const PADDED_CELLS: usize = S4_CELLS.next_multiple_of(LANES);

impl<const L: usize> Kernel for ParameterGradBy<'_, L> {
    const MAX_LANES: usize = L;

    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let ParameterGrad { s4_grad, argmax, s2, weight_grad, bias_grad } = self.0;
        let images = s4_grad.chunks(IMAGES).zip(argmax.chunks(IMAGES)).zip(s2.chunks(IMAGES));
        for ((s4_grad, argmax), s2) in images {
            let mut starts = [[[0; PADDED_CELLS]; C3_MAPS]; IMAGES];
            for (image, (starts, argmax)) in starts.iter_mut().zip(argmax).enumerate() {
                receptive_fields::<L>(image, argmax, starts);
            }
            let s2 = s2.as_flattened().as_flattened().as_flattened();
            // Units whose receptive fields begin in an even column, and in an odd one.
            let mut units = [const { NonzeroList::<{ IMAGES * PADDED_CELLS + LANES }>::new() }; 2];
            for map in 0..C3_MAPS {
                units.iter_mut().for_each(NonzeroList::clear);
                for (s4_grad, starts) in s4_grad.iter().zip(&starts) {
                    let mut grads = [0.0; PADDED_CELLS];
                    grads[..S4_CELLS].copy_from_slice(&s4_grad.as_flattened()[map * S4_CELLS..][..S4_CELLS]);
                    let blocks = grads.as_chunks().0.iter().zip(starts[map].as_chunks().0);
                    for (grads, starts) in blocks {
                        units[0].push::<S>(grads, starts, 0);
                        if L == PAIR {
                            units[1].push::<S>(grads, starts, 1);
                        }
                    }
                }
                let (sums, [even, odd]) = (&mut weight_grad[map], &units);
                if L == PAIR {
                    let (even, even_bias) = kernel_rows::<S, N, L, 3, KERNEL>(even, 0, s2);
                    let (odd, odd_bias) = kernel_rows::<S, N, L, 3, KERNEL>(odd, 0, s2);
                    for row in 0..KERNEL {
                        let odd = odd[row].as_flattened()[S2_PADDED_MAPS..].iter();
                        let sums = sums[row].as_flattened_mut().iter_mut();
                        for (sum, (even, odd)) in sums.zip(even[row].as_flattened().iter().zip(odd)) {
                            *sum += even + odd;
                        }
                    }
                    bias_grad[map] += even_bias + odd_bias;
                } else {
                    // As many rows of the kernel at once as registers hold: a row is five sums.
                    let (mut first, mut bias) = (0, 0.0);
                    while first < KERNEL {
                        if F32Lanes::<S, N, L>::REGISTERS >= 16 && first + 2 <= KERNEL {
                            bias = add_kernel_rows::<S, N, L, 2>(even, first, s2, sums);
                            first += 2;
                        } else {
                            bias = add_kernel_rows::<S, N, L, 1>(even, first, s2, sums);
                            first += 1;
                        }
                    }
                    bias_grad[map] += bias;
                }
            }
        }
    }
}

/// Where the receptive fields of an image's units begin in S2 of several images. With pairs of positions: where the pair begins,
/// and one more if the field begins in its second column.
#[inline(always)]
fn receptive_fields<const L: usize>(image: usize, argmax: &S4Argmax, starts: &mut [[u32; PADDED_CELLS]; C3_MAPS]) {
    const VALUES: usize = size_of::<S2Units>() / size_of::<f32>();
    for cell in 0..S4_CELLS {
        let codes = s4_codes(argmax, cell);
        let mut of_cell = [0; LANES];
        #[expect(clippy::cast_possible_truncation, reason = "below 10,000")]
        for map in 0..C3_MAPS {
            let at = image * VALUES + s4_offset(cell, codes[map]);
            let odd = at / S2_PADDED_MAPS % 2;
            of_cell[map] = if L == PAIR { at - odd * S2_PADDED_MAPS + odd } else { at } as u32;
        }
        for map in 0..C3_MAPS {
            starts[map][cell] = of_cell[map];
        }
    }
}

/// The gradients of `ROWS` rows of a kernel from `first` on, each in `V` vectors, and the sum of the units' gradients.
#[inline(always)]
fn kernel_rows<S: Simd, const N: usize, const L: usize, const V: usize, const ROWS: usize>(
    units: &NonzeroList<{ IMAGES * PADDED_CELLS + LANES }>,
    first: usize,
    s2: &[f32],
) -> ([[[f32; L]; V]; ROWS], f32) {
    let mut sums = [[F32Lanes::<S, N, L>::splat(0.0); V]; ROWS];
    let mut sum = 0.0;
    for (grad, start) in units.iter() {
        sum += grad;
        let grad = F32Lanes::splat(grad);
        // Without the bit for an odd column.
        let start = start as usize / S2_PADDED_MAPS * S2_PADDED_MAPS + first * S2_ROW_STRIDE;
        debug_assert!(start + (ROWS - 1) * S2_ROW_STRIDE + V * L <= s2.len());
        unroll!(row < ROWS, {
            unroll!(v < V, {
                // SAFETY: a receptive field begins in row and column 9 at most and has five of each, and a sixth column in
                // pairs of columns, of which the first is even: S2 has 14.
                let units = unsafe { F32Lanes::load_from(s2.as_ptr().add(start + row * S2_ROW_STRIDE + v * L)) };
                sums[row][v] = grad.mul_add(units, sums[row][v]);
            });
        });
    }
    let mut rows = [[[0.0; L]; V]; ROWS];
    unroll!(row < ROWS, {
        unroll!(v < V, {
            sums[row][v].store(&mut rows[row][v]);
        });
    });
    (rows, sum)
}

/// Adds the gradients of `ROWS` rows of a kernel from `first` on, a vector for each position, and gives the sum of the units'
/// gradients.
#[inline(always)]
fn add_kernel_rows<S: Simd, const N: usize, const L: usize, const ROWS: usize>(
    units: &NonzeroList<{ IMAGES * PADDED_CELLS + LANES }>,
    first: usize,
    s2: &[f32],
    weight_grad: &mut [[[f32; S2_PADDED_MAPS]; KERNEL]; KERNEL],
) -> f32 {
    let (rows, sum) = kernel_rows::<S, N, L, KERNEL, ROWS>(units, first, s2);
    for (sums, row) in weight_grad[first..].iter_mut().zip(&rows) {
        for (sum, value) in sums.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
            *sum += value;
        }
    }
    sum
}
