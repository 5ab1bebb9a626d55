//! The report's "Convolution layer" and "Max-Pooling layer", C1 with S2 and C3 with S4, forwards and backwards.
//!
//! Forwards, the report stretches the image into patches (`im2col`) and multiplies them with the filters. A product of
//! matrices is a set of sums, and these are the same sums in another order: each pixel is read where it lies and
//! multiplied into the up to four neighbouring outputs of one pooling window that it takes part in. The maximum is taken
//! while the four are still in registers, and only it and the place of the winner are written.
//!
//! Backwards, the error goes to the winning unit alone. The report spreads it over a map that is zero elsewhere, and
//! multiplies with patches again (`col2im` for the image). Three products in four have a factor of zero there: here the
//! winner's window alone is multiplied.

use macerator::{Scalar, Simd, Vector};

use super::block::{BLOCK, Block, read, unroll, write};

/// Rows and columns of the input.
pub(super) const SIDE: usize = 32;
/// Pixels of the input.
pub(super) const INPUT: usize = SIDE * SIDE;
/// Rows and columns of a kernel.
pub(super) const KERNEL: usize = 5;
/// Maps of C1 and S2.
pub(super) const C1_MAPS: usize = 6;
/// Rows and columns of S2's maps.
pub(super) const S2_SIDE: usize = 14;
/// Units of one of S2's maps.
const S2_CELLS: usize = S2_SIDE * S2_SIDE;
/// From one row of S2 to the next; the six maps' numbers of one place lie side by side.
const S2_ROW: usize = S2_SIDE * C1_MAPS;
/// S2's output of one image: `[14][14][6]`, and room to read a whole block at its end.
pub(super) const S2: usize = 1184;
/// The winners of S2: `[14][14][8]`.
pub(super) const S2_WINNERS: usize = S2_CELLS * 8;
/// Maps of C3 and S4.
pub(super) const C3_MAPS: usize = 16;
/// Rows and columns of S4's maps.
pub(super) const S4_SIDE: usize = 5;
/// Units of one of S4's maps.
pub(super) const S4_CELLS: usize = S4_SIDE * S4_SIDE;
/// S4's output of one image: `[16][5][5]`, as Burn has it.
pub(super) const S4: usize = C3_MAPS * S4_CELLS;
/// A row of a kernel of C3: five places of six maps, and two zeros.
const C3_ROW: usize = 32;
/// A kernel of C3 with its rows so long.
pub(super) const C3_KERNEL: usize = KERNEL * C3_ROW;
/// A row of a kernel of C1, with three zeros.
pub(super) const C1_ROW: usize = 8;

/// The outputs of C1 that a pooling window compares, by how far into the image they lie; see [`Block::larger`].
const S2_MARKS: [f32; 4] = [0.0, 1.0, SIDE as f32, SIDE as f32 + 1.0];
/// The same for C3, in S2's output.
const S4_MARKS: [f32; 4] = [0.0, C1_MAPS as f32, S2_ROW as f32, (S2_ROW + C1_MAPS) as f32];

/// The maximum of a pooling window after `ReLU`, and the mark of its winner: first row, then second, left before right.
#[inline(always)]
fn pool<S: Simd, const N: usize>(window: [Block<S, N>; 4], marks: [f32; 4]) -> (Block<S, N>, Block<S, N>) {
    let mut best = (window[0], Block::splat(marks[0]));
    unroll!(i < 3, {
        best = best.0.larger(best.1, window[i + 1], Block::splat(marks[i + 1]));
    });
    // The largest of four stays the largest when all negative ones become zero.
    (best.0.relu(), best.1)
}

/// The weights by which one pixel counts for the four outputs of a pooling window: upper left, upper right, lower left,
/// lower right. `UPPER`, `LOWER`, `LEFT` and `RIGHT` say which outputs' kernels reach the pixel; `above` and `right` are
/// how far the weight for the output above, and for the one to the right, lies before that for the lower left one.
struct Reach<S: Simd, const N: usize>([Block<S, N>; 4]);

impl<S: Simd, const N: usize> Reach<S, N> {
    /// # Safety
    /// `weights` are those of the upper left output; where an output is reached, its weights are there.
    #[inline(always)]
    unsafe fn load<const UPPER: bool, const LOWER: bool, const LEFT: bool, const RIGHT: bool>(
        weights: *const f32,
        row: usize,
        column: usize,
    ) -> Self {
        let mut reach = [Block::splat(0.0); 4];
        // SAFETY: only the weights of outputs that are reached are read.
        unsafe {
            if UPPER && LEFT {
                reach[0] = Block::load(weights);
            }
            if UPPER && RIGHT {
                reach[1] = Block::load(weights.wrapping_sub(column));
            }
            if LOWER && LEFT {
                reach[2] = Block::load(weights.wrapping_sub(row));
            }
            if LOWER && RIGHT {
                reach[3] = Block::load(weights.wrapping_sub(row + column));
            }
        }
        Self(reach)
    }

    /// What a pixel adds to the window's outputs.
    #[inline(always)]
    fn add<const UPPER: bool, const LOWER: bool, const LEFT: bool, const RIGHT: bool>(
        &self,
        window: &mut [Block<S, N>; 4],
        x: Block<S, N>,
    ) {
        let reached = [UPPER && LEFT, UPPER && RIGHT, LOWER && LEFT, LOWER && RIGHT];
        unroll!(i < 4, {
            if reached[i] {
                window[i] = window[i].add_product(x, self.0[i]);
            }
        });
    }
}

/// C1, `ReLU` and S2 of one image: the report's forward "Convolution layer" and "Max-Pooling layer" in one,
/// `s2[o][r][c] = max(0, max over the four (y, x) of window (r, c) of  b[o] + Σᵢⱼ w[o][i][j] · image[y + i][x + j])`.
///
/// `image [32][32]`, `weights [5][5][16]` (the eight numbers of a place, six of them maps, twice), `bias [16]` ->
/// `s2 [14][14][6]` and `winners [14][14][8]`. A block is two pooling windows side by side by eight maps.
#[inline(always)]
pub(super) fn c1_s2<S: Simd, const N: usize>(
    image: &[f32],
    weights: &[f32],
    bias: &[f32],
    s2: &mut [f32],
    winners: &mut [f32],
) {
    assert!(image.len() == INPUT && weights.len() == KERNEL * KERNEL * BLOCK && bias.len() == BLOCK);
    assert!(s2.len() == S2 && winners.len() == S2_WINNERS);
    // The eight rows spread last; a row's place is its number modulo eight.
    let mut spread = Aligned([[[0.0_f32; SPREAD]; 2]; 8]);
    let spread = &mut spread.0;
    let mut ready = 0;
    for y in 0..S2_SIDE {
        while ready < 2 * y + KERNEL + 1 {
            let halves = &mut spread[ready % 8];
            for column in 0..SIDE {
                let half = &mut halves[column % 2];
                // SAFETY: column / 2 <= 15, so the block ends at 15 * 8 + 16 <= SPREAD.
                unsafe {
                    let pixel = Block::<S, N>::splat(image[ready * SIDE + column]);
                    pixel.store(half.as_mut_ptr().add(column / 2 * 8));
                }
            }
            ready += 1;
        }
        // SAFETY: seven blocks are a row of pooling windows; rows up to 2 y + 5 are spread.
        unsafe {
            if N == 1 {
                // As many windows as 32 registers hold.
                c1_windows::<S, N, 4>(spread, y, 0, weights, bias, s2, winners);
                c1_windows::<S, N, 3>(spread, y, 4, weights, bias, s2, winners);
            } else {
                for first in 0..S2_SIDE / 2 {
                    c1_windows::<S, N, 1>(spread, y, first, weights, bias, s2, winners);
                }
            }
        }
    }
}

/// Half a row of the image, its even or its odd columns, each pixel eight times; and as much more as a block is written beyond.
const SPREAD: usize = SIDE / 2 * 8 + BLOCK;

/// Rows that begin with a line of the processor's cache.
#[repr(align(64))]
struct Aligned([[[f32; SPREAD]; 2]; 8]);

/// Row `y` of S2 from block `first` on, `T` blocks of pooling windows.
///
/// # Safety
/// `first + T <= 7`, the lengths are those that `c1_s2` has checked, and the rows of the image from `2 y` to `2 y + 5` are
/// spread.
#[inline(always)]
unsafe fn c1_windows<S: Simd, const N: usize, const T: usize>(
    spread: &[[[f32; SPREAD]; 2]; 8],
    y: usize,
    first: usize,
    weights: &[f32],
    bias: &[f32],
    s2: &mut [f32],
    winners: &mut [f32],
) {
    // SAFETY: `bias` holds a block.
    let bias = unsafe { Block::<S, N>::load(bias.as_ptr()) };
    let mut windows = [[bias; 4]; T];
    let place = 2 * first * 8;
    // SAFETY: `place` is that of a window in `spread`; see `c1_row`.
    unsafe {
        c1_row::<S, N, T, true, false>(&mut windows, &spread[2 * y % 8], place, weights, 0);
        for row in 1..KERNEL {
            c1_row::<S, N, T, true, true>(&mut windows, &spread[(2 * y + row) % 8], place, weights, row);
        }
        c1_row::<S, N, T, false, true>(&mut windows, &spread[(2 * y + KERNEL) % 8], place, weights, KERNEL);
    }
    unroll!(t < T, {
        let (best, winner) = pool(windows[t], S2_MARKS);
        let cell = y * S2_SIDE + 2 * (first + t);
        let mut both = [0.0; BLOCK];
        // SAFETY: the array is a block, and `winners` holds eight numbers for each of the two cells.
        unsafe {
            best.store(both.as_mut_ptr());
            winner.store(winners.as_mut_ptr().add(cell * 8));
        }
        // Two of eight are no maps; the next cell overwrites them.
        s2[cell * C1_MAPS..][..8].copy_from_slice(&both[..8]);
        s2[(cell + 1) * C1_MAPS..][..8].copy_from_slice(&both[8..]);
    });
}

/// Adds one of the six rows of pixels below `T` pooling windows of C1 to their outputs.
///
/// # Safety
/// `place + 16 (T - 1)` is at most 16 * 6; `row` is 0 to 4 where the upper outputs are reached, 1 to 5 where the lower
/// ones are.
#[inline(always)]
unsafe fn c1_row<S: Simd, const N: usize, const T: usize, const UPPER: bool, const LOWER: bool>(
    windows: &mut [[Block<S, N>; 4]; T],
    halves: &[[f32; SPREAD]; 2],
    place: usize,
    weights: &[f32],
    row: usize,
) {
    // SAFETY: the last place read is 16 * 6 + 2 * 8, so that block ends before SPREAD. A kernel's row and column are
    // below 5 where a weight is read.
    unsafe {
        let at = |column: usize| halves[column % 2].as_ptr().add(place + column / 2 * 8);
        let w = |column: usize| weights.as_ptr().wrapping_add((row * KERNEL + column) * BLOCK);
        let (up, left) = (KERNEL * BLOCK, BLOCK);
        let reach = Reach::<S, N>::load::<UPPER, LOWER, true, false>(w(0), up, left);
        unroll!(t < T, {
            reach.add::<UPPER, LOWER, true, false>(&mut windows[t], Block::load(at(0).add(t * BLOCK)));
        });
        for column in 1..KERNEL {
            let reach = Reach::<S, N>::load::<UPPER, LOWER, true, true>(w(column), up, left);
            unroll!(t < T, {
                reach.add::<UPPER, LOWER, true, true>(&mut windows[t], Block::load(at(column).add(t * BLOCK)));
            });
        }
        let reach = Reach::<S, N>::load::<UPPER, LOWER, false, true>(w(KERNEL), up, left);
        unroll!(t < T, {
            reach.add::<UPPER, LOWER, false, true>(&mut windows[t], Block::load(at(KERNEL).add(t * BLOCK)));
        });
    }
}

/// C3, `ReLU` and S4 of one image: as [`c1_s2`], with a sum over the six maps of S2 as well,
/// `s4[o][r][c] = max(0, max over (y, x) of  b[o] + Σₘᵢⱼ w[o][m][i][j] · s2[m][y + i][x + j])`.
///
/// `s2 [14][14][6]`, `weights [5][5][6][16]`, `bias [16]` -> `s4 [16][5][5]` and `winners [16][5][5]`. A block is the
/// sixteen maps at one place.
#[inline(always)]
pub(super) fn c3_s4<S: Simd, const N: usize>(
    s2: &[f32],
    weights: &[f32],
    bias: &[f32],
    s4: &mut [f32],
    winners: &mut [f32],
) {
    match N {
        1 => c3_s4_tiled::<S, N, 5>(s2, weights, bias, s4, winners),
        _ => c3_s4_tiled::<S, N, 1>(s2, weights, bias, s4, winners),
    }
}

#[inline(always)]
fn c3_s4_tiled<S: Simd, const N: usize, const T: usize>(
    s2: &[f32],
    weights: &[f32],
    bias: &[f32],
    s4: &mut [f32],
    winners: &mut [f32],
) {
    assert!(s2.len() == S2 && weights.len() == KERNEL * KERNEL * C1_MAPS * BLOCK && bias.len() == BLOCK);
    assert!(s4.len() == S4 && winners.len() == S4);
    for y in 0..S4_SIDE {
        for first in (0..S4_SIDE).step_by(T) {
            // SAFETY: `bias` holds a block.
            let bias = unsafe { Block::<S, N>::load(bias.as_ptr()) };
            let mut windows = [[bias; 4]; T];
            let place = 2 * y * S2_ROW + 2 * first * C1_MAPS;
            // SAFETY: `place` is that of a window in `s2`; see `c3_row`.
            unsafe {
                c3_row::<S, N, T, true, false>(&mut windows, s2, place, weights, 0);
                for row in 1..KERNEL {
                    c3_row::<S, N, T, true, true>(&mut windows, s2, place, weights, row);
                }
                c3_row::<S, N, T, false, true>(&mut windows, s2, place, weights, KERNEL);
            }
            unroll!(t < T, {
                let (best, winner) = pool(windows[t], S4_MARKS);
                let cell = y * S4_SIDE + first + t;
                let (mut bests, mut marks) = ([0.0; BLOCK], [0.0; BLOCK]);
                // SAFETY: both arrays are blocks.
                unsafe {
                    best.store(bests.as_mut_ptr());
                    winner.store(marks.as_mut_ptr());
                }
                for map in 0..C3_MAPS {
                    s4[map * S4_CELLS + cell] = bests[map];
                    winners[map * S4_CELLS + cell] = marks[map];
                }
            });
        }
    }
}

/// Adds one of the six rows of units below `T` pooling windows of C3 to their outputs.
///
/// # Safety
/// The window at `place` and the `T - 1` to its right are in `s2`; `row` is 0 to 4 where the upper outputs are reached,
/// 1 to 5 where the lower ones are.
#[inline(always)]
unsafe fn c3_row<S: Simd, const N: usize, const T: usize, const UPPER: bool, const LOWER: bool>(
    windows: &mut [[Block<S, N>; 4]; T],
    s2: &[f32],
    place: usize,
    weights: &[f32],
    row: usize,
) {
    /// Numbers in a row of a kernel: five places of six maps.
    const ROW: usize = KERNEL * C1_MAPS;
    debug_assert!(place + row * S2_ROW + 2 * (T - 1) * C1_MAPS + ROW + C1_MAPS <= S2);
    // SAFETY: the six places below each window are in `s2`. A kernel's row is below 5 and the number in it below 30
    // where a weight is read.
    unsafe {
        let x = s2.as_ptr().add(place + row * S2_ROW);
        let w = weights.as_ptr().wrapping_add(row * ROW * BLOCK);
        let (up, left) = (ROW * BLOCK, C1_MAPS * BLOCK);
        for at in 0..C1_MAPS {
            let reach = Reach::<S, N>::load::<UPPER, LOWER, true, false>(w.wrapping_add(at * BLOCK), up, left);
            unroll!(t < T, {
                let x = Block::splat(*x.add(at + 2 * t * C1_MAPS));
                reach.add::<UPPER, LOWER, true, false>(&mut windows[t], x);
            });
        }
        for at in C1_MAPS..ROW {
            let reach = Reach::<S, N>::load::<UPPER, LOWER, true, true>(w.wrapping_add(at * BLOCK), up, left);
            unroll!(t < T, {
                let x = Block::splat(*x.add(at + 2 * t * C1_MAPS));
                reach.add::<UPPER, LOWER, true, true>(&mut windows[t], x);
            });
        }
        for at in ROW..ROW + C1_MAPS {
            let reach = Reach::<S, N>::load::<UPPER, LOWER, false, true>(w.wrapping_add(at * BLOCK), up, left);
            unroll!(t < T, {
                let x = Block::splat(*x.add(at + 2 * t * C1_MAPS));
                reach.add::<UPPER, LOWER, false, true>(&mut windows[t], x);
            });
        }
    }
}

/// S4 and C3 backwards, for several images: the report's backward "Max-Pooling layer" and "Convolution layer". The error
/// `δ` of each unit of S4 goes to its winner at `(y, x)` alone, and from there
/// `∂L/∂w[o][m][i][j] += δ · s2[m][y + i][x + j]`, `∂L/∂b[o] += δ`, `∂L/∂s2[m][y + i][x + j] += δ · w[o][m][i][j]`.
/// The last is the report's `col2im`: overlapping windows add up.
///
/// `errors [images][16][5][5]` (zero where the unit is dead), `winners` likewise, `s2 [images][14][14][6]`,
/// `weights [16][5][32]` -> adds to `s2_errors [images][14][14][6]`, `weight_gradient [16][5][32]` and
/// `bias_gradient [16]`.
#[inline(always)]
pub(super) fn c3_s4_backward<S: Simd, const N: usize>(
    errors: &[f32],
    winners: &[f32],
    s2: &[f32],
    weights: &[f32],
    s2_errors: &mut [f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    let images = errors.len() / S4;
    assert!(winners.len() == errors.len() && s2.len() == images * S2 && s2_errors.len() == images * S2);
    assert!(weights.len() == C3_MAPS * C3_KERNEL && weight_gradient.len() == weights.len());
    assert!(bias_gradient.len() == C3_MAPS);
    for map in 0..C3_MAPS {
        // As many rows of the kernel at once as the registers hold.
        match N {
            1 => c3_rows::<S, N, 5>(map, 0, errors, winners, s2, weights, s2_errors, weight_gradient),
            2 => {
                c3_rows::<S, N, 3>(map, 0, errors, winners, s2, weights, s2_errors, weight_gradient);
                c3_rows::<S, N, 2>(map, 3, errors, winners, s2, weights, s2_errors, weight_gradient);
            }
            _ => {
                for row in 0..KERNEL {
                    c3_rows::<S, N, 1>(map, row, errors, winners, s2, weights, s2_errors, weight_gradient);
                }
            }
        }
        let mine = errors.chunks_exact(S4).flat_map(|image| &image[map * S4_CELLS..][..S4_CELLS]);
        bias_gradient[map] += mine.sum::<f32>();
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a part of `c3_s4_backward`")]
fn c3_rows<S: Simd, const N: usize, const R: usize>(
    map: usize,
    first: usize,
    errors: &[f32],
    winners: &[f32],
    s2: &[f32],
    weights: &[f32],
    s2_errors: &mut [f32],
    weight_gradient: &mut [f32],
) {
    let at = map * C3_KERNEL + first * C3_ROW;
    let mut gradient = [[Block::<S, N>::splat(0.0); 2]; R];
    let images = errors.len() / S4;
    for cell in 0..S4_CELLS {
        let window = (cell / S4_SIDE * S2_ROW + cell % S4_SIDE * C1_MAPS) * 2 + first * S2_ROW;
        // One image after the other: what a window adds to is not read again at once.
        for image in 0..images {
            let unit = image * S4 + map * S4_CELLS + cell;
            // SAFETY: `unit` is below images * S4, the length of both. A window's last row begins in row 9 + 4 at
            // column 9, at (13 * 14 + 9) * 6 = 1146, and its two blocks end at 1178 < S2. Weights and gradient hold
            // R * 32 numbers from `at`.
            unsafe {
                let error = *errors.get_unchecked(unit);
                if error == 0.0 {
                    continue;
                }
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of S4_MARKS")]
                let winner = *winners.get_unchecked(unit) as u32 as usize;
                let place = image * S2 + window + winner;
                debug_assert!(place + (R - 1) * S2_ROW + 2 * BLOCK <= (image + 1) * S2);
                let error = Block::splat(error);
                unroll!(row < R, {
                    unroll!(half < 2, {
                        let shift = row * S2_ROW + half * BLOCK;
                        let w = Block::load(weights.as_ptr().add(at + row * C3_ROW + half * BLOCK));
                        let x = Block::load(s2.as_ptr().add(place + shift));
                        gradient[row][half] = gradient[row][half].add_product(error, x);
                        let below = s2_errors.as_mut_ptr().add(place + shift);
                        Block::load(below).add_product(error, w).store(below);
                    });
                });
            }
        }
    }
    unroll!(row < R, {
        unroll!(half < 2, {
            // SAFETY: as above.
            unsafe {
                let sum = weight_gradient.as_mut_ptr().add(at + row * C3_ROW + half * BLOCK);
                Block::load(sum).plus(gradient[row][half]).store(sum);
            }
        });
    });
}

/// S2 and C1 backwards, for one image: what the winners' windows add to the gradient of the weights, as in
/// [`c3_s4_backward`]: `∂L/∂w[o][i][j] += δ · image[y + i][x + j]`, `∂L/∂b[o] += δ`.
///
/// `errors [14][14][6]` (zero where the unit is dead), `winners [14][14][8]`, `image [32][32]` and eight numbers more ->
/// adds to `weight_gradient [6][5][8]` and `bias_gradient [6]`. `M` vectors are eight numbers.
#[inline(always)]
pub(super) fn c1_s2_backward<S: Simd, const M: usize>(
    errors: &[f32],
    winners: &[f32],
    image: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    const CHAINS: usize = 2;
    assert!(errors.len() == S2 && winners.len() == S2_WINNERS && image.len() == INPUT + C1_ROW);
    assert!(weight_gradient.len() == C1_MAPS * KERNEL * C1_ROW && bias_gradient.len() == C1_MAPS);
    let lanes = C1_ROW / M;
    for map in 0..C1_MAPS {
        // Two sums, so that one need not wait for the other.
        let mut gradient: [[[Vector<S, f32>; M]; KERNEL]; CHAINS] = [[[0.0.splat(); M]; KERNEL]; CHAINS];
        let mut bias = 0.0;
        for y in 0..S2_SIDE {
            for pair in 0..S2_SIDE / CHAINS {
                unroll!(chain < CHAINS, {
                    let x = pair * CHAINS + chain;
                    let cell = y * S2_SIDE + x;
                    // SAFETY: `cell` is below 196. The window's last row begins in row 27 + 4 at column 27, and its
                    // eight numbers end at 31 * 32 + 35 <= INPUT + 8.
                    unsafe {
                        let error = *errors.get_unchecked(cell * C1_MAPS + map);
                        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of S2_MARKS")]
                        let winner = *winners.get_unchecked(cell * 8 + map) as u32 as usize;
                        bias += error;
                        let error: Vector<S, f32> = error.splat();
                        let place = 2 * (y * SIDE + x) + winner;
                        debug_assert!(place + 4 * SIDE + C1_ROW <= image.len());
                        unroll!(row < KERNEL, {
                            unroll!(m < M, {
                                let pixels = read(image.as_ptr().add(place + row * SIDE + m * lanes));
                                gradient[chain][row][m] = error.mul_add(pixels, gradient[chain][row][m]);
                            });
                        });
                    }
                });
            }
        }
        bias_gradient[map] += bias;
        unroll!(row < KERNEL, {
            unroll!(m < M, {
                // SAFETY: the row's eight numbers are within `weight_gradient`.
                unsafe {
                    let sum = weight_gradient.as_mut_ptr().add((map * KERNEL + row) * C1_ROW + m * lanes);
                    let sums = read::<S>(sum) + (gradient[0][row][m] + gradient[1][row][m]);
                    write(sum, sums);
                }
            });
        });
    }
}

/// C1's gradient with respect to the image, wanted only by those who ask what the net looks at: not made to be fast.
///
/// `errors [14][14][6]`, `winners [14][14][8]`, `weights [6][5][5]` -> `image_gradient [32][32]`
pub(super) fn c1_image_gradient(errors: &[f32], winners: &[f32], weights: &[f32], image_gradient: &mut [f32]) {
    image_gradient.fill(0.0);
    for cell in 0..S2_CELLS {
        for map in 0..C1_MAPS {
            let error = errors[cell * C1_MAPS + map];
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of S2_MARKS")]
            let place = 2 * (cell / S2_SIDE * SIDE + cell % S2_SIDE) + winners[cell * 8 + map] as usize;
            for (row, weights) in weights[map * KERNEL * KERNEL..].chunks_exact(KERNEL).take(KERNEL).enumerate() {
                for (pixel, w) in image_gradient[place + row * SIDE..].iter_mut().zip(weights) {
                    *pixel += error * w;
                }
            }
        }
    }
}
