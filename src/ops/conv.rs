//! The report's "Convolution layer" and "Max-Pooling layer", C1 with S2 and C3 with S4, forwards and backwards.
//!
//! Forwards, the report stretches the image into patches (`im2col`) and multiplies them with the filters. A product of
//! matrices is a set of sums, and these are the same sums in another order: each pixel is read where it lies and
//! multiplied into the up to four neighbouring outputs of one pooling window that it takes part in. The maximum is taken
//! while the four are still in registers, and only it and the place of the winner are written.
//!
//! Most of a picture is paper: where nothing but one shade lies below a pooling window of C1, its outcome is computed once
//! for all of them, by the same sums.
//!
//! Backwards, the error goes to the winning unit alone. The report spreads it over a map that is zero elsewhere, and
//! multiplies with patches again (`col2im` for the image). Three products in four have a factor of zero there: here the
//! winner's window alone is multiplied.

use std::mem::MaybeUninit;

use macerator::{Scalar, Simd, Vector};

use super::block::{BLOCK, Block, is_alive, read, unroll, write};

/// Rows and columns of the input.
pub(super) const SIDE: usize = 32;
/// Pixels of the input.
pub(super) const INPUT: usize = SIDE * SIDE;
/// Rows and columns of a kernel.
pub(super) const KERNEL: usize = 5;
/// Rows and columns that the outputs of a pooling window see.
const BELOW: usize = KERNEL + 1;
/// Maps of C1 and S2.
pub(super) const C1_MAPS: usize = 6;
/// Rows and columns of S2's maps.
pub(super) const S2_SIDE: usize = 14;
/// Units of one of S2's maps.
const S2_CELLS: usize = S2_SIDE * S2_SIDE;
/// Numbers of one place of S2: those of the six maps side by side, and two zeros.
const PLACE: usize = 8;
/// From one row of S2 to the next.
const S2_ROW: usize = S2_SIDE * PLACE;
/// S2's output of one image: `[14][14][8]`.
pub(super) const S2: usize = S2_CELLS * PLACE;
/// Maps of C3 and S4.
pub(super) const C3_MAPS: usize = 16;
/// Rows and columns of S4's maps.
pub(super) const S4_SIDE: usize = 5;
/// Units of one of S4's maps.
pub(super) const S4_CELLS: usize = S4_SIDE * S4_SIDE;
/// S4's output of one image: `[16][5][5]`, as Burn has it.
pub(super) const S4: usize = C3_MAPS * S4_CELLS;
/// A row of a kernel of C3 as it meets S2: five places.
const C3_ROW: usize = KERNEL * PLACE;
/// A kernel of C3 with such rows.
pub(super) const C3_KERNEL: usize = KERNEL * C3_ROW;
/// A row of a kernel of C1, with three zeros.
pub(super) const C1_ROW: usize = 8;

/// The four outputs that a pooling window compares: upper left, upper right, lower left, lower right; see
/// [`Block::larger`].
const MARKS: [f32; 4] = [0.0, 1.0, 2.0, 3.0];
/// How far they lie into the image, for C1.
#[expect(clippy::cast_possible_truncation, reason = "below INPUT")]
const C1_OFFSETS: [u32; 4] = [0, 1, SIDE as u32, SIDE as u32 + 1];
/// The same in S2's output, for C3.
#[expect(clippy::cast_possible_truncation, reason = "below S2")]
const C3_OFFSETS: [u32; 4] = [0, PLACE as u32, S2_ROW as u32, (S2_ROW + PLACE) as u32];

/// The winners of a row of pooling windows are one number for each map: digits in the base of four, the first window's
/// last. A number of 24 bits holds twelve exactly. Of S2, whose blocks are two windows: `[14][2][8]`.
pub(super) const S2_WINNERS: usize = S2_SIDE * BLOCK;
/// Of S4: `[5][16]`.
pub(super) const S4_WINNERS: usize = S4_SIDE * BLOCK;

/// What the mark of window `digit` of a row counts for in the row's number.
#[inline(always)]
fn weight_of(digit: usize) -> f32 {
    (1_u32 << (2 * digit)) as f32
}

/// A pooling window: where it begins in what is pooled, and where its winners are.
#[derive(Clone, Copy)]
struct Window {
    place: u32,
    /// The first map's number in the winners.
    row: usize,
    /// Bits behind its digit.
    shift: u32,
}

impl Window {
    /// Where the winner of a map lies, `offsets` being those of its layer.
    #[inline(always)]
    fn winner(self, winners: &[f32], map: usize, offsets: [u32; 4]) -> u32 {
        // SAFETY: a window's row has a block of winners, which is not less than maps.
        let row = unsafe { *winners.get_unchecked(self.row + map) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of 24 bits")]
        let digit = (row as u32 >> self.shift) as usize % MARKS.len();
        self.place + offsets[digit]
    }
}

/// S2's windows in the image, by cell.
static C1_WINDOWS: [Window; S2_CELLS] = {
    let mut windows = [Window { place: 0, row: 0, shift: 0 }; S2_CELLS];
    let mut cell = 0;
    while cell < S2_CELLS {
        let (y, x) = (cell / S2_SIDE, cell % S2_SIDE);
        #[expect(clippy::cast_possible_truncation, reason = "below INPUT")]
        let (place, shift) = (2 * (y * SIDE + x) as u32, x as u32 / 2 * 2);
        windows[cell] = Window { place, row: y * BLOCK + x % 2 * PLACE, shift };
        cell += 1;
    }
    windows
};

/// S4's windows in S2, by cell.
static C3_WINDOWS: [Window; S4_CELLS] = {
    let mut windows = [Window { place: 0, row: 0, shift: 0 }; S4_CELLS];
    let mut cell = 0;
    while cell < S4_CELLS {
        let (y, x) = (cell / S4_SIDE, cell % S4_SIDE);
        #[expect(clippy::cast_possible_truncation, reason = "below S2")]
        let (place, shift) = (2 * (y * S2_ROW + x * PLACE) as u32, 2 * x as u32);
        windows[cell] = Window { place, row: y * BLOCK, shift };
        cell += 1;
    }
    windows
};

/// The maximum of a pooling window after `ReLU`, and the mark of its winner: first row, then second, left before right.
#[inline(always)]
fn pool<S: Simd, const N: usize>(window: [Block<S, N>; 4]) -> (Block<S, N>, Block<S, N>) {
    let mut best = (window[0], Block::splat(MARKS[0]));
    unroll!(i < 3, {
        best = best.0.larger(best.1, window[i + 1], Block::splat(MARKS[i + 1]));
    });
    // The largest of four stays the largest when all negative ones become zero.
    (best.0.relu(), best.1)
}

/// The weights by which one pixel counts for the four outputs of a pooling window: upper left, upper right, lower left,
/// lower right. `UPPER`, `LOWER`, `LEFT` and `RIGHT` say which outputs' kernels reach the pixel; `row` and `column` are how
/// far the weight for the output a row below, and for the one a column to the right, lies before that of the upper left one.
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

/// What C1 sees of an image.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Whether there is ink below a pooling window, or nothing but paper, the shade of the first pixel.
    ink: [[bool; S2_SIDE]; S2_SIDE],
    /// S2's output of the maps at a place of mere paper; all zero if one of them is not finite.
    paper: [f32; PLACE],
}

/// Which pooling windows of C1 see something else than paper.
///
/// `image [32][32]` -> `[14][14]`
#[inline(always)]
fn ink(image: &[f32; INPUT]) -> [[bool; S2_SIDE]; S2_SIDE] {
    // Numbers that are none, or infinite, are never paper: what they bring about is computed where it is.
    let paper = if image[0].is_finite() { image[0] } else { f32::NAN };
    // A byte for each pixel, and eight bytes to a word.
    let mut bytes = [0_u8; INPUT];
    #[expect(clippy::float_cmp, reason = "paper is of one shade exactly")]
    for pixel in 0..INPUT {
        bytes[pixel] = u8::from(image[pixel] != paper);
    }
    let mut ink = [[false; S2_SIDE]; S2_SIDE];
    for y in 0..S2_SIDE {
        let mut words = [0_u64; SIDE / 8 + 1];
        for row in 2 * y..2 * y + BELOW {
            for word in 0..SIDE / 8 {
                // SAFETY: the eight bytes are in a row of the image.
                let eight = unsafe { bytes.as_ptr().add(row * SIDE + word * 8).cast::<u64>().read_unaligned() };
                words[word] |= eight.to_le();
            }
        }
        for x in 0..S2_SIDE {
            // Six pixels from column 2 x on: three pairs, of which the last may be in the next word.
            let (word, shift) = (x / 4, x % 4 * 16);
            let both = u128::from(words[word]) | u128::from(words[word + 1]) << 64;
            ink[y][x] = both >> shift & 0xFFFF_FFFF_FFFF != 0;
        }
    }
    ink
}

/// C1, `ReLU` and S2 of one image: the report's forward "Convolution layer" and "Max-Pooling layer" in one,
/// `s2[o][r][c] = max(0, max over the four (y, x) of window (r, c) of  b[o] + Σᵢⱼ w[o][i][j] · image[y + i][x + j])`.
///
/// `image [32][32]`, `weights [5][5][16]` (the eight numbers of a place, six of them maps, twice), `bias [16]` ->
/// `s2 [14][14][8]` and `winners [14][2][8]`. A block is two pooling windows side by side by eight maps.
#[inline(always)]
pub(super) fn c1_s2<S: Simd, const N: usize>(
    image: &[f32],
    weights: &[f32],
    bias: &[f32],
    s2: &mut [f32],
    winners: &mut [f32],
    seen: &mut Seen,
) {
    assert!(image.len() == INPUT && weights.len() == KERNEL * KERNEL * BLOCK && bias.len() == BLOCK);
    assert!(s2.len() == S2 && winners.len() == S2_WINNERS);
    // SAFETY: it has that length.
    let mut ink = ink(unsafe { &*image.as_ptr().cast() });
    let paper = c1_paper::<S, N>(image[0], weights, bias);
    let mut maps = [0.0; BLOCK];
    // SAFETY: the array is a block.
    unsafe { paper.store(maps.as_mut_ptr()) };
    seen.paper.copy_from_slice(&maps[..PLACE]);
    let mut finite = true;
    for map in 0..C1_MAPS {
        finite &= seen.paper[map].is_finite();
    }
    if !finite {
        (seen.paper, ink) = ([0.0; PLACE], [[true; S2_SIDE]; S2_SIDE]);
    }
    seen.ink = ink;
    // The eight rows spread last; a row's place is its number modulo eight. Nothing is read that was not written.
    let mut spread = MaybeUninit::<Spread>::uninit();
    let spread = spread.as_mut_ptr().cast::<f32>();
    let mut ready = 0;
    for y in 0..S2_SIDE {
        // The blocks of this row of windows with ink below them.
        let (mut inked, mut count) = ([0; S2_SIDE / 2], 0);
        for block in 0..S2_SIDE / 2 {
            let at = (y * S2_SIDE + 2 * block) * PLACE;
            // SAFETY: `at` is at most S2 - 16, and `count` at most `block`, as one is added for each.
            unsafe {
                paper.store(s2.as_mut_ptr().add(at));
                *inked.get_unchecked_mut(count) = block;
            }
            count += usize::from(ink[y][2 * block] | ink[y][2 * block + 1]);
        }
        // On paper all four are alike, and the first one wins.
        let mut marks = Block::<S, N>::splat(0.0);
        if count == 0 {
            // SAFETY: there is a block for each row.
            unsafe { marks.store(winners.as_mut_ptr().add(y * BLOCK)) };
            continue;
        }
        ready = ready.max(2 * y);
        while ready < 2 * y + BELOW {
            for pair in 0..SIDE / 2 {
                let (half, at) = (pair % 2, pair / 2 * 4 + pair % 2);
                // SAFETY: a half of a row is 16 pixels, and this is its block `pair / 2`; the last one ends it.
                unsafe {
                    let row = spread.add((ready % 8 * 2 + half) * SPREAD);
                    let pixels = Block::<S, N>::halves(image[ready * SIDE + at], image[ready * SIDE + at + 2]);
                    pixels.store(row.add(pair / 2 * BLOCK));
                }
            }
            ready += 1;
        }
        let mut first = 0;
        while first < count {
            // SAFETY: the rows up to 2 y + 5 are spread, and blocks are below seven.
            unsafe {
                // As many windows as 32 registers hold.
                first += match (N, count - first) {
                    (1, 4..) => c1_windows::<S, N, 4>(spread, y, &inked[first..], weights, bias, s2, &mut marks),
                    (1, 3) => c1_windows::<S, N, 3>(spread, y, &inked[first..], weights, bias, s2, &mut marks),
                    (1, 2) => c1_windows::<S, N, 2>(spread, y, &inked[first..], weights, bias, s2, &mut marks),
                    _ => c1_windows::<S, N, 1>(spread, y, &inked[first..], weights, bias, s2, &mut marks),
                };
            }
        }
        // SAFETY: there is a block for each row.
        unsafe { marks.store(winners.as_mut_ptr().add(y * BLOCK)) };
    }
}

/// What two pooling windows of C1 come to that see one shade: the same sums in the same order.
#[inline(always)]
fn c1_paper<S: Simd, const N: usize>(shade: f32, weights: &[f32], bias: &[f32]) -> Block<S, N> {
    let shade = Block::splat(shade);
    // SAFETY: `c1_s2` has checked that there are as many weights, and a block of biases.
    unsafe {
        let mut sum = Block::load(bias.as_ptr());
        for place in 0..KERNEL * KERNEL {
            sum = sum.add_product(shade, Block::load(weights.as_ptr().add(place * BLOCK)));
        }
        pool([sum; 4]).0
    }
}

/// Half a row of the image, its even or its odd columns, each pixel eight times.
const SPREAD: usize = SIDE / 2 * PLACE;

/// Eight rows in two halves each, beginning with a line of the processor's cache.
#[repr(align(64))]
struct Spread(#[expect(dead_code, reason = "it is room to write in")] [[[f32; SPREAD]; 2]; 8]);

/// The first `T` of some blocks of row `y` of S2. Gives `T`.
///
/// # Safety
/// There are `T` blocks, each below 7; the lengths are those that `c1_s2` has checked, and the rows of the image from
/// `2 y` to `2 y + 5` are in `spread`, which is one.
#[inline(always)]
unsafe fn c1_windows<S: Simd, const N: usize, const T: usize>(
    spread: *const f32,
    y: usize,
    blocks: &[usize],
    weights: &[f32],
    bias: &[f32],
    s2: &mut [f32],
    marks: &mut Block<S, N>,
) -> usize {
    // SAFETY: `bias` holds a block.
    let bias = unsafe { Block::<S, N>::load(bias.as_ptr()) };
    let mut windows = [[bias; 4]; T];
    let mut places = [0; T];
    // SAFETY: there are so many.
    unroll!(t < T, { places[t] = unsafe { *blocks.get_unchecked(t) } * BLOCK });
    // SAFETY: the rows are in `spread`, and the places those of windows in a row; see `c1_row`.
    unsafe {
        let row = |row: usize| spread.add((2 * y + row) % 8 * 2 * SPREAD);
        c1_row::<S, N, T, true, false>(&mut windows, row(0), &places, weights, 0);
        for i in 1..KERNEL {
            c1_row::<S, N, T, true, true>(&mut windows, row(i), &places, weights, i);
        }
        c1_row::<S, N, T, false, true>(&mut windows, row(KERNEL), &places, weights, KERNEL);
    }
    unroll!(t < T, {
        let (best, mark) = pool(windows[t]);
        *marks = marks.add_product(mark, Block::splat(weight_of(places[t] / BLOCK)));
        // SAFETY: there is a block: a row has seven.
        unsafe { best.store(s2.as_mut_ptr().add(y * S2_ROW + places[t])) };
    });
    T
}

/// Adds one of the six rows of pixels below `T` blocks of pooling windows of C1 to their outputs.
///
/// # Safety
/// `halves` are two halves of a row in a [`Spread`], the `places` at most 16 * 6; `row` is 0 to 4 where the upper outputs
/// are reached, 1 to 5 where the lower ones are.
#[inline(always)]
unsafe fn c1_row<S: Simd, const N: usize, const T: usize, const UPPER: bool, const LOWER: bool>(
    windows: &mut [[Block<S, N>; 4]; T],
    halves: *const f32,
    places: &[usize; T],
    weights: &[f32],
    row: usize,
) {
    // SAFETY: the last block read begins at 16 * 6 + 2 * 8 and ends at SPREAD. A kernel's row and column are below 5
    // where a weight is read.
    unsafe {
        let at = |column: usize| halves.add(column % 2 * SPREAD + column / 2 * PLACE);
        let w = |column: usize| weights.as_ptr().wrapping_add((row * KERNEL + column) * BLOCK);
        let (up, left) = (KERNEL * BLOCK, BLOCK);
        let reach = Reach::<S, N>::load::<UPPER, LOWER, true, false>(w(0), up, left);
        unroll!(t < T, {
            reach.add::<UPPER, LOWER, true, false>(&mut windows[t], Block::load(at(0).add(places[t])));
        });
        for column in 1..KERNEL {
            let reach = Reach::<S, N>::load::<UPPER, LOWER, true, true>(w(column), up, left);
            unroll!(t < T, {
                reach.add::<UPPER, LOWER, true, true>(&mut windows[t], Block::load(at(column).add(places[t])));
            });
        }
        let reach = Reach::<S, N>::load::<UPPER, LOWER, false, true>(w(KERNEL), up, left);
        unroll!(t < T, {
            reach.add::<UPPER, LOWER, false, true>(&mut windows[t], Block::load(at(KERNEL).add(places[t])));
        });
    }
}

/// C3, `ReLU` and S4 of one image: as [`c1_s2`], with a sum over the six maps of S2 as well,
/// `s4[o][r][c] = max(0, max over (y, x) of  b[o] + Σₘᵢⱼ w[o][m][i][j] · s2[m][y + i][x + j])`.
///
/// With `p[m]` what S2 has where there is mere paper, it is `b[o] + Σₘ p[m] Σᵢⱼ w[o][m][i][j]`, the same at all places, and
/// the sum of `w[o][m][i][j] · (s2[m][y + i][x + j] - p[m])` where there is ink: half of the places.
///
/// `s2 [14][14][8]`, `weights [5][5][6][16]`, `sums [6][16]` over the places of a kernel, `bias [16]` -> `s4 [16][5][5]` and
/// `winners [5][16]`. A block is the sixteen maps at one place.
#[inline(always)]
pub(super) fn c3_s4<S: Simd, const N: usize>(
    s2: &[f32],
    seen: &Seen,
    weights: &[f32],
    sums: &[f32],
    bias: &[f32],
    s4: &mut [f32],
    winners: &mut [f32],
) {
    assert!(s2.len() == S2 && weights.len() == KERNEL * KERNEL * C1_MAPS * BLOCK);
    assert!(sums.len() == C1_MAPS * BLOCK && bias.len() == BLOCK && s4.len() == S4 && winners.len() == S4_WINNERS);
    let mut twice = [0.0; BLOCK];
    twice[..PLACE].copy_from_slice(&seen.paper);
    twice[PLACE..].copy_from_slice(&seen.paper);
    let mut ink = MaybeUninit::<Ink>::uninit();
    let ink = ink.as_mut_ptr().cast::<f32>();
    // SAFETY: S2 is a multiple of a block, which `ink` has room for, and `twice` and `bias` are blocks; there are six of
    // `sums`.
    let paper = unsafe {
        let paper = Block::<S, N>::load(twice.as_ptr());
        for at in (0..S2).step_by(BLOCK) {
            Block::load(s2.as_ptr().add(at)).minus(paper).store(ink.add(at));
        }
        let mut sum = Block::<S, N>::load(bias.as_ptr());
        for map in 0..C1_MAPS {
            sum = sum.add_product(Block::splat(seen.paper[map]), Block::load(sums.as_ptr().add(map * BLOCK)));
        }
        sum
    };
    for y in 0..S4_SIDE {
        let mut marks = Block::splat(0.0);
        // SAFETY: `ink` is written, and the windows are in it; there is a block of winners for each row.
        unsafe {
            if N == 1 {
                // A whole row of windows takes twenty of 32 registers.
                c3_windows::<S, N, 10>(ink, seen, weights, paper, y, 0, s4, &mut marks);
            } else {
                for x in 0..S4_SIDE {
                    c3_windows::<S, N, 2>(ink, seen, weights, paper, y, x, s4, &mut marks);
                }
            }
            marks.store(winners.as_mut_ptr().add(y * BLOCK));
        }
    }
}

/// S2 without its paper.
#[repr(align(64))]
struct Ink(#[expect(dead_code, reason = "it is room to write in")] [f32; S2]);

/// The windows of S4 in row `y` from the one in column `first` on: `W` columns of C3's output, two of each window.
///
/// # Safety
/// `ink` holds S2's numbers, and there are so many windows.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a part of `c3_s4`")]
unsafe fn c3_windows<S: Simd, const N: usize, const W: usize>(
    ink: *const f32,
    seen: &Seen,
    weights: &[f32],
    paper: Block<S, N>,
    y: usize,
    first: usize,
    s4: &mut [f32],
    marks: &mut Block<S, N>,
) {
    let mut outputs = [[paper; W]; 2];
    for row in 0..BELOW {
        let inked = &seen.ink[2 * y + row];
        unroll!(long column < W + KERNEL - 1, {
            let x = 2 * first + column;
            if inked[x] {
                // SAFETY: `x` is a column of S2, as there are so many windows, and so is the row.
                unsafe {
                    let place = ink.add((2 * y + row) * S2_ROW + x * PLACE);
                    match row {
                        0 => c3_place::<S, N, W, column, true, false>(&mut outputs, place, weights, row),
                        KERNEL => c3_place::<S, N, W, column, false, true>(&mut outputs, place, weights, row),
                        _ => c3_place::<S, N, W, column, true, true>(&mut outputs, place, weights, row),
                    }
                }
            }
        });
    }
    unroll!(window < W / 2, {
        let [upper, lower] = outputs;
        let four = [upper[2 * window], upper[2 * window + 1], lower[2 * window], lower[2 * window + 1]];
        let (best, mark) = pool(four);
        *marks = marks.add_product(mark, Block::splat(weight_of(first + window)));
        let mut bests = [0.0; BLOCK];
        // SAFETY: the array is a block.
        unsafe { best.store(bests.as_mut_ptr()) };
        for map in 0..C3_MAPS {
            s4[map * S4_CELLS + y * S4_SIDE + first + window] = bests[map];
        }
    });
}

/// Adds what one place of S2 counts for in two rows of C3's output: it is in column `COLUMN` and row `row` below their first
/// ones. `UPPER` and `LOWER` say which of the two rows' kernels reach it.
///
/// # Safety
/// `place` are the numbers of six maps; `row` is 0 to 4 where the upper row is reached, 1 to 5 where the lower one is.
#[inline(always)]
unsafe fn c3_place<
    S: Simd,
    const N: usize,
    const W: usize,
    const COLUMN: usize,
    const UPPER: bool,
    const LOWER: bool,
>(
    outputs: &mut [[Block<S, N>; W]; 2],
    place: *const f32,
    weights: &[f32],
    row: usize,
) {
    /// Numbers of one place of the kernels.
    const STEP: usize = C1_MAPS * BLOCK;
    for map in 0..C1_MAPS {
        // SAFETY: a kernel's row and column are below 5 where a weight is read.
        unsafe {
            let x = Block::splat(*place.add(map));
            let w = weights.as_ptr().wrapping_add(row * KERNEL * STEP + map * BLOCK);
            unroll!(long out < W, {
                if out <= COLUMN && COLUMN - out < KERNEL {
                    let w = w.wrapping_add((COLUMN - out) * STEP);
                    if UPPER {
                        outputs[0][out] = outputs[0][out].add_product(x, Block::load(w));
                    }
                    if LOWER {
                        outputs[1][out] = outputs[1][out].add_product(x, Block::load(w.wrapping_sub(KERNEL * STEP)));
                    }
                }
            });
        }
    }
}

/// A unit of S4 that an error came back to: the error, and where its winner's window begins in S2.
#[derive(Clone, Copy, Default)]
struct Won {
    error: f32,
    place: u32,
}

/// S4 and C3 backwards, for one image: the report's backward "Max-Pooling layer" and "Convolution layer". The error
/// `δ` of each unit of S4 goes to its winner at `(y, x)` alone, and from there
/// `∂L/∂w[o][m][i][j] += δ · s2[m][y + i][x + j]`, `∂L/∂b[o] += δ`, `∂L/∂s2[m][y + i][x + j] += δ · w[o][m][i][j]`.
/// The last is the report's `col2im`: overlapping windows add up. Of the units one in four is alive, and the others are
/// left out first.
///
/// `errors [16][5][5]` (zero where the unit is dead), `winners [5][16]`, `s2 [14][14][8]`, `weights [16][5][5][8]` -> adds
/// to `s2_errors [14][14][8]`, `weight_gradient [16][5][5][8]` and `bias_gradient [16]`. `M` vectors are eight numbers, a place of S2.
#[inline(always)]
pub(super) fn c3_s4_backward<S: Simd, const M: usize>(
    errors: &[f32],
    winners: &[f32],
    s2: &[f32],
    weights: &[f32],
    s2_errors: &mut [f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    assert!(errors.len() == S4 && winners.len() == S4_WINNERS && s2.len() == S2 && s2_errors.len() == S2);
    assert!(weights.len() == C3_MAPS * C3_KERNEL && weight_gradient.len() == weights.len());
    assert!(bias_gradient.len() == C3_MAPS);
    for map in 0..C3_MAPS {
        let (mut cells, mut count) = ([0; S4_CELLS], 0);
        let first = map * S4_CELLS;
        for cell in 0..S4_CELLS {
            // SAFETY: `first + cell` is below S4, and `count` at most `cell`.
            unsafe {
                *cells.get_unchecked_mut(count) = cell;
                count += usize::from(is_alive(*errors.get_unchecked(first + cell)));
            }
        }
        let mut won = [Won::default(); S4_CELLS];
        for (won, cell) in won.iter_mut().zip(&cells[..count]) {
            // SAFETY: as above.
            let error = unsafe { *errors.get_unchecked(first + cell) };
            *won = Won { error, place: C3_WINDOWS[*cell].winner(winners, map, C3_OFFSETS) };
        }
        let won = &won[..count];
        let at = map * C3_KERNEL;
        // As many rows of the kernel at once as sixteen registers hold.
        // SAFETY: the winners' windows are in `s2`, and there are such rows of weights.
        unsafe {
            if M == 1 {
                c3_rows::<S, M, 2>(won, 0, s2, &weights[at..], s2_errors, &mut weight_gradient[at..]);
                c3_rows::<S, M, 2>(won, 2, s2, &weights[at..], s2_errors, &mut weight_gradient[at..]);
                c3_rows::<S, M, 1>(won, 4, s2, &weights[at..], s2_errors, &mut weight_gradient[at..]);
            } else {
                for row in 0..KERNEL {
                    c3_rows::<S, M, 1>(won, row, s2, &weights[at..], s2_errors, &mut weight_gradient[at..]);
                }
            }
        }
        for unit in won {
            bias_gradient[map] += unit.error;
        }
    }
}

/// `R` rows of the kernel from `first` on.
///
/// # Safety
/// The winners' windows are in `s2` and `s2_errors`, which are alike; `weights` and `weight_gradient` hold a kernel.
#[inline(always)]
unsafe fn c3_rows<S: Simd, const M: usize, const R: usize>(
    won: &[Won],
    first: usize,
    s2: &[f32],
    weights: &[f32],
    s2_errors: &mut [f32],
    weight_gradient: &mut [f32],
) {
    let lanes = PLACE / M;
    let mut gradient: [[[Vector<S, f32>; M]; KERNEL]; R] = [[[0.0.splat(); M]; KERNEL]; R];
    // SAFETY: a winner's window lies in its image's S2: its last row begins in row 9 + 4 at column 9, and its five places
    // end in column 13. A kernel has rows up to `first + R`.
    unsafe {
        let weights = weights.as_ptr().add(first * C3_ROW);
        for unit in won {
            let error: Vector<S, f32> = unit.error.splat();
            let place = unit.place as usize + first * S2_ROW;
            debug_assert!(place + (R - 1) * S2_ROW + C3_ROW <= s2.len());
            let (x, below) = (s2.as_ptr().add(place), s2_errors.as_mut_ptr().add(place));
            unroll!(row < R, {
                unroll!(column < KERNEL, {
                    unroll!(m < M, {
                        let (at, number) = (row * S2_ROW + column * PLACE + m * lanes, column * PLACE + m * lanes);
                        gradient[row][column][m] = error.mul_add(read(x.add(at)), gradient[row][column][m]);
                        let w = read(weights.add(row * C3_ROW + number));
                        write(below.add(at), error.mul_add(w, read(below.add(at))));
                    });
                });
            });
        }
        let sums = weight_gradient.as_mut_ptr().add(first * C3_ROW);
        unroll!(row < R, {
            unroll!(column < KERNEL, {
                unroll!(m < M, {
                    let sum = sums.add(row * C3_ROW + column * PLACE + m * lanes);
                    write(sum, read::<S>(sum) + gradient[row][column][m]);
                });
            });
        });
    }
}

/// S2 and C1 backwards, for one image: what the winners' windows add to the gradient of the weights, as in
/// [`c3_s4_backward`]: `∂L/∂w[o][i][j] += δ · image[y + i][x + j]`, `∂L/∂b[o] += δ`. Where there is mere paper, all pixels
/// are alike, and the errors are summed up first.
///
/// `errors [14][14][8]` (zero where the unit is dead), `winners [14][2][8]`, `image [32][32]` and eight numbers more ->
/// adds to `weight_gradient [6][5][8]` and `bias_gradient [6]`. `M` vectors are eight numbers.
#[inline(always)]
pub(super) fn c1_s2_backward<S: Simd, const M: usize>(
    errors: &[f32],
    winners: &[f32],
    seen: &Seen,
    image: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    const CHAINS: usize = 2;
    assert!(errors.len() == S2 && winners.len() == S2_WINNERS && image.len() == INPUT + C1_ROW);
    assert!(weight_gradient.len() == C1_MAPS * KERNEL * C1_ROW && bias_gradient.len() == C1_MAPS);
    let lanes = C1_ROW / M;
    let mut alive = [[0_u16; S2_CELLS]; C1_MAPS];
    let mut counts = [0; C1_MAPS];
    let mut on_paper: [Vector<S, f32>; M] = [0.0.splat(); M];
    for cell in 0..S2_CELLS {
        // SAFETY: `cell` is a place of S2, which has eight numbers; each count grows by at most one for each of them.
        unsafe {
            if *seen.ink.as_flattened().get_unchecked(cell) {
                for map in 0..C1_MAPS {
                    let count = counts.get_unchecked_mut(map);
                    #[expect(clippy::cast_possible_truncation, reason = "below 196")]
                    let number = cell as u16;
                    *alive.get_unchecked_mut(map).get_unchecked_mut(*count) = number;
                    *count += usize::from(is_alive(*errors.get_unchecked(cell * PLACE + map)));
                }
            } else {
                unroll!(m < M, {
                    on_paper[m] += read::<S>(errors.as_ptr().add(cell * PLACE + m * lanes));
                });
            }
        }
    }
    let mut paper = [0.0; PLACE];
    // SAFETY: the array has room for `M` vectors.
    unroll!(m < M, { unsafe { write(paper.as_mut_ptr().add(m * lanes), on_paper[m]) } });
    // One more, so that their number can be made even.
    let mut won = [Won::default(); S2_CELLS + 1];
    for map in 0..C1_MAPS {
        let count = counts[map];
        won[count] = Won::default();
        for (won, cell) in won.iter_mut().zip(&alive[map][..count]) {
            let cell = usize::from(*cell);
            // SAFETY: `cell` is a place of S2.
            let error = unsafe { *errors.get_unchecked(cell * PLACE + map) };
            *won = Won { error, place: C1_WINDOWS[cell].winner(winners, map, C1_OFFSETS) };
        }
        // Two sums, so that one need not wait for the other.
        let shade: Vector<S, f32> = (paper[map] * image[0]).splat();
        let mut gradient: [[[Vector<S, f32>; M]; KERNEL]; CHAINS] = [[[0.0.splat(); M]; KERNEL]; CHAINS];
        if paper[map] != 0.0 {
            gradient[0] = [[shade; M]; KERNEL];
        }
        let mut bias = paper[map];
        for two in won[..count.next_multiple_of(CHAINS)].chunks_exact(CHAINS) {
            unroll!(chain < CHAINS, {
                let Won { error, place } = two[chain];
                bias += error;
                let error: Vector<S, f32> = error.splat();
                let place = place as usize;
                debug_assert!(place + 4 * SIDE + C1_ROW <= image.len());
                unroll!(row < KERNEL, {
                    unroll!(m < M, {
                        // SAFETY: the window's last row begins in row 27 + 4 at column 27, and its eight numbers end at
                        // 31 * 32 + 35 <= INPUT + 8.
                        let pixels = unsafe { read(image.as_ptr().add(place + row * SIDE + m * lanes)) };
                        gradient[chain][row][m] = error.mul_add(pixels, gradient[chain][row][m]);
                    });
                });
            });
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
/// `errors [14][14][8]`, `winners [14][2][8]`, `weights [6][5][5]` -> `image_gradient [32][32]`
pub(super) fn c1_image_gradient(errors: &[f32], winners: &[f32], weights: &[f32], image_gradient: &mut [f32]) {
    assert!(errors.len() == S2 && winners.len() == S2_WINNERS);
    image_gradient.fill(0.0);
    for cell in 0..S2_CELLS {
        for map in 0..C1_MAPS {
            let error = errors[cell * PLACE + map];
            let place = C1_WINDOWS[cell].winner(winners, map, C1_OFFSETS) as usize;
            for (row, weights) in weights[map * KERNEL * KERNEL..].chunks_exact(KERNEL).take(KERNEL).enumerate() {
                for (pixel, w) in image_gradient[place + row * SIDE..].iter_mut().zip(weights) {
                    *pixel += error * w;
                }
            }
        }
    }
}
