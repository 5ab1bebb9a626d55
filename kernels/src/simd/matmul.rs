//! Products of matrices whose rows are whole blocks of sixteen values.
//!
//! The letters are those of BLAS: `n` a matrix as it is, `t` its transpose. A micro-kernel holds a tile of the result in
//! registers, `IMAGES` rows by some columns, and runs along the dimension that is summed over. With the 32 registers of
//! AVX-512 ([`F32x16::REGISTERS`]) tiles are larger.
//!
//! ```text
//! matmul_nt: 4 x 4 sums           matmul_nn: 4 images x 5 blocks of columns
//!
//!            w0  w1  w2  w3                  w[n][0..16]  w[n][16..32] ... w[n][64..80]
//!        x0   s   s   s   s           x0[n]      s             s                s
//!        x1   s   s   s   s           x1[n]      s             s                s
//!        x2   s   s   s   s           x2[n]      s             s                s
//!        x3   s   s   s   s           x3[n]      s             s                s
//!
//! each s sixteen partial sums,     each s the sums of sixteen columns
//! added up at the end
//! ```

use std::mem::MaybeUninit;

use macerator::Simd;

use super::{F32x16, LANES, Row, is_nonzero, unroll};

/// `out[i][o] = Σₖ x[i][k] · w[o][k]`, in the first columns of `out`, one for each row of `w`.
#[inline(always)]
pub fn matmul_nt<S: Simd, const N: usize, const K: usize, const O: usize>(
    out: &mut [Row<O>],
    x: &[Row<K>],
    w: &[Row<K>],
) {
    sum_of_matmul_nt::<S, N, K, O>(out, w.len(), &std::iter::once((x, w)));
}

/// The sum of [`matmul_nt`] over pairs of `x` and `w`, of which each has a row in `w` for each of the `outputs`.
#[inline(always)]
pub fn sum_of_matmul_nt<'a, S: Simd, const N: usize, const K: usize, const O: usize>(
    out: &mut [Row<O>],
    outputs: usize,
    pairs: &(impl Iterator<Item = (&'a [Row<K>], &'a [Row<K>])> + Clone),
) {
    assert!(outputs <= O * LANES && outputs.is_multiple_of(4));
    // Four rows of `w` stay in the first-level cache while all of `x` passes by.
    for group in 0..outputs / 4 {
        let (mut out, mut done) = (&mut *out, 0);
        if F32x16::<S, N>::REGISTERS >= 32 {
            let tiles;
            (tiles, out) = out.as_chunks_mut::<4>();
            done = tiles.len() * 4;
            for (tile, out) in tiles.iter_mut().enumerate() {
                let pairs = pairs.clone().map(|(x, w)| (&x.as_chunks().0[tile], &w.as_chunks().0[group]));
                nt_tile::<S, N, 4, K, O>(out, group * 4, pairs);
            }
        }
        for (image, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
            let image = done + image;
            let pairs = pairs.clone().map(|(x, w)| (&x.as_chunks().0[image], &w.as_chunks().0[group]));
            nt_tile::<S, N, 1, K, O>(out, group * 4, pairs);
        }
    }
}

#[inline(always)]
fn nt_tile<'a, S: Simd, const N: usize, const IMAGES: usize, const K: usize, const O: usize>(
    out: &mut [Row<O>; IMAGES],
    column: usize,
    pairs: impl Iterator<Item = (&'a [Row<K>; IMAGES], &'a [Row<K>; 4])>,
) {
    let mut sums = [[F32x16::<S, N>::splat(0.0); IMAGES]; 4];
    for (x, w) in pairs {
        for k in 0..K {
            let mut xs = [F32x16::splat(0.0); IMAGES];
            unroll!(i < IMAGES, {
                xs[i] = F32x16::load(&x[i][k]);
            });
            unroll!(o < 4, {
                let w = F32x16::load(&w[o][k]);
                unroll!(i < IMAGES, {
                    sums[o][i] = w.mul_add(xs[i], sums[o][i]);
                });
            });
        }
    }
    unroll!(i < IMAGES, {
        let row = out[i].as_flattened_mut();
        unroll!(o < 4, {
            row[column + o] = sums[o][i].sum();
        });
    });
}

/// `out[i][j] = Σₙ x[i][n] · w[n][j]`, over as many values of a row of `x` as `w` has rows.
#[inline(always)]
pub fn matmul_nn<S: Simd, const N: usize, const X: usize, const J: usize>(
    out: &mut [Row<J>],
    x: &[Row<X>],
    w: &[Row<J>],
) {
    assert!(x.len() == out.len() && w.len() <= X * LANES);
    let mut block = 0;
    if F32x16::<S, N>::REGISTERS >= 32 {
        while block + 5 <= J {
            nn_columns::<S, N, X, J, 5>(out, x, w, block);
            block += 5;
        }
    }
    while block < J {
        nn_columns::<S, N, X, J, 1>(out, x, w, block);
        block += 1;
    }
}

/// The columns of some blocks, for all rows of `x`: these columns of `w` stay in the cache.
#[inline(always)]
fn nn_columns<S: Simd, const N: usize, const X: usize, const J: usize, const BLOCKS: usize>(
    out: &mut [Row<J>],
    x: &[Row<X>],
    w: &[Row<J>],
    block: usize,
) {
    let (tiles, rest) = x.as_chunks::<4>();
    let (out_tiles, out_rest) = out.as_chunks_mut::<4>();
    for (x, out) in tiles.iter().zip(out_tiles) {
        nn_tile::<S, N, 4, X, J, BLOCKS>(out, x, w, block);
    }
    for (x, out) in rest.as_chunks::<1>().0.iter().zip(out_rest.as_chunks_mut::<1>().0) {
        nn_tile::<S, N, 1, X, J, BLOCKS>(out, x, w, block);
    }
}

#[inline(always)]
fn nn_tile<S: Simd, const N: usize, const IMAGES: usize, const X: usize, const J: usize, const BLOCKS: usize>(
    out: &mut [Row<J>; IMAGES],
    x: &[Row<X>; IMAGES],
    w: &[Row<J>],
    block: usize,
) {
    // Checked once: nothing in the loop below can be out of bounds.
    assert!(block + BLOCKS <= J && w.len() <= X * LANES);
    let mut sums = [[F32x16::<S, N>::splat(0.0); BLOCKS]; IMAGES];
    for (n, w) in w.iter().enumerate() {
        let mut ws = [F32x16::splat(0.0); BLOCKS];
        unroll!(j < BLOCKS, {
            ws[j] = F32x16::load(&w[block + j]);
        });
        unroll!(i < IMAGES, {
            let x = F32x16::splat(x[i].as_flattened()[n]);
            unroll!(j < BLOCKS, {
                sums[i][j] = x.mul_add(ws[j], sums[i][j]);
            });
        });
    }
    unroll!(i < IMAGES, {
        unroll!(j < BLOCKS, {
            sums[i][j].store(&mut out[i][block + j]);
        });
    });
}

/// [`matmul_nn`] that skips the zeros of `x`.
#[inline(always)]
pub fn matmul_nn_sparse<S: Simd, const N: usize, const X: usize, const J: usize>(
    out: &mut [Row<J>],
    x: &[Row<X>],
    w: &[Row<J>],
) {
    assert!(x.len() == out.len() && w.len() <= X * LANES && w.len() <= NonzeroList::CAPACITY);
    let mut nonzeros = NonzeroList::new();
    for (x, out) in x.iter().zip(out) {
        nonzeros.collect(x.as_flattened()[..w.len()].iter().copied());
        // SAFETY: `out` is borrowed mutably, so it can be written.
        unsafe { sum_rows::<S, N, J, false>(out, nonzeros.as_slice(), w) };
    }
}

/// `out[r][c] = Σᵢ a[i][first + r] · b[i][c]` for as many rows as `out` has; it is written in full. The zeros of
/// `a`, which are most of its values, are skipped.
#[inline(always)]
pub fn matmul_tn<S: Simd, const N: usize, const A: usize, const B: usize>(
    out: &mut [MaybeUninit<Row<B>>],
    first: usize,
    a: &[Row<A>],
    b: &[Row<B>],
) {
    assert!(first + out.len() <= A * LANES && a.len() == b.len() && !b.is_empty());
    let mut nonzeros = NonzeroList::new();
    // `b` in chunks that fit the list; the first chunk initializes the sums.
    let chunks = a.chunks(NonzeroList::CAPACITY).zip(b.chunks(NonzeroList::CAPACITY));
    for (chunk, (a, b)) in chunks.enumerate() {
        for (r, out) in out.iter_mut().enumerate() {
            nonzeros.collect(a.iter().map(|row| row.as_flattened()[first + r]));
            // SAFETY: `out` can be written; the first chunk writes all of it, so later chunks may read it.
            unsafe {
                if chunk == 0 {
                    sum_rows::<S, N, B, false>(out.as_mut_ptr(), nonzeros.as_slice(), b);
                } else {
                    sum_rows::<S, N, B, true>(out.as_mut_ptr(), nonzeros.as_slice(), b);
                }
            }
        }
    }
}

/// A value that is not zero, and the row that it multiplies.
#[derive(Clone, Copy, Default)]
struct Nonzero {
    value: f32,
    row: u32,
}

/// The non-zero values of a list.
struct NonzeroList {
    items: [Nonzero; Self::CAPACITY],
    count: usize,
}

impl NonzeroList {
    const CAPACITY: usize = 128;

    #[inline(always)]
    fn new() -> Self {
        Self { items: [Nonzero::default(); Self::CAPACITY], count: 0 }
    }

    /// Replaces the list by the non-zero ones of at most [`NonzeroList::CAPACITY`] values, each with its position.
    #[inline(always)]
    fn collect(&mut self, values: impl Iterator<Item = f32>) {
        self.count = 0;
        for (row, value) in values.enumerate() {
            // Branch-free: every value is written, but the count advances only past nonzero ones.
            #[expect(clippy::cast_possible_truncation, reason = "at most CAPACITY")]
            let item = Nonzero { value, row: row as u32 };
            self.items[self.count % Self::CAPACITY] = item;
            self.count += usize::from(is_nonzero(value));
        }
    }

    #[inline(always)]
    fn as_slice(&self) -> &[Nonzero] {
        &self.items[..self.count]
    }
}

/// `out[c] = Σ value · w[row][c]` over some non-zero values, for all columns of `w`; with `ADD`, added to what `out` holds.
///
/// # Safety
/// `out` can be written, and with `ADD` it can be read.
#[inline(always)]
unsafe fn sum_rows<S: Simd, const N: usize, const B: usize, const ADD: bool>(
    out: *mut Row<B>,
    nonzeros: &[Nonzero],
    w: &[Row<B>],
) {
    let registers = F32x16::<S, N>::REGISTERS;
    let mut block = 0;
    while block < B {
        // As many columns as the registers hold.
        // SAFETY: the caller lets us write the row, and read it with `ADD`.
        block += unsafe {
            match B - block {
                13.. if registers >= 32 => sum_columns::<S, N, B, 13, ADD>(out, nonzeros, w, block),
                12 if registers >= 32 => sum_columns::<S, N, B, 12, ADD>(out, nonzeros, w, block),
                5.. if registers >= 8 => sum_columns::<S, N, B, 5, ADD>(out, nonzeros, w, block),
                _ => sum_columns::<S, N, B, 1, ADD>(out, nonzeros, w, block),
            }
        };
    }
}

/// The columns of `BLOCKS` blocks. Gives `BLOCKS`.
///
/// # Safety
/// As in [`sum_rows`].
#[inline(always)]
unsafe fn sum_columns<S: Simd, const N: usize, const B: usize, const BLOCKS: usize, const ADD: bool>(
    out: *mut Row<B>,
    nonzeros: &[Nonzero],
    w: &[Row<B>],
    block: usize,
) -> usize {
    assert!(block + BLOCKS <= B);
    // SAFETY: these columns are within the row.
    let out = unsafe { out.cast::<[f32; LANES]>().add(block) };
    let mut sums = [F32x16::<S, N>::splat(0.0); BLOCKS];
    if ADD {
        unroll!(long j < BLOCKS, {
            // SAFETY: `out + j` is within the row, as asserted, and the caller lets us read it with `ADD`.
            sums[j] = unsafe { F32x16::load_from(out.add(j).cast()) };
        });
    }
    for nonzero in nonzeros {
        let value = F32x16::splat(nonzero.value);
        let row = &w[nonzero.row as usize];
        unroll!(long j < BLOCKS, {
            sums[j] = value.mul_add(F32x16::load(&row[block + j]), sums[j]);
        });
    }
    unroll!(long j < BLOCKS, {
        // SAFETY: `out + j` is within the row, as asserted, and the caller lets us write it.
        unsafe { sums[j].store_to(out.add(j).cast()) };
    });
    BLOCKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        simd::{InstructionSet, Kernel},
        testing::{assert_close, noise},
    };

    /// Rows of `columns` values, most of them zero if `sparse`, and zeros.
    fn matrix<const B: usize>(seed: usize, rows: usize, columns: usize, sparse: bool) -> Vec<Row<B>> {
        let mut matrix = vec![[[0.0; LANES]; B]; rows];
        for (r, row) in matrix.iter_mut().enumerate() {
            row.as_flattened_mut()[..columns].copy_from_slice(&noise(seed + r, columns));
            if sparse {
                row.as_flattened_mut().iter_mut().for_each(|value| *value = (*value - 0.3).max(0.0));
            }
        }
        matrix
    }

    fn product(
        rows: usize,
        columns: usize,
        inner: usize,
        factors: impl Fn(usize, usize, usize) -> (f32, f32),
    ) -> Vec<f64> {
        let sum = |r, c| (0..inner).map(|k| factors(r, c, k)).map(|(a, b)| f64::from(a) * f64::from(b)).sum();
        (0..rows * columns).map(|i| sum(i / columns, i % columns)).collect()
    }

    fn at<const B: usize>(matrix: &[Row<B>], row: usize, column: usize) -> f32 {
        matrix[row].as_flattened()[column]
    }

    fn columns<const B: usize>(matrix: &[Row<B>], columns: usize) -> Vec<f32> {
        matrix.iter().flat_map(|row| row.as_flattened()[..columns].to_vec()).collect()
    }

    /// All products of the sizes of C5 and F6, over so many images.
    struct Products<'a> {
        images: usize,
        what: &'a str,
    }

    impl Kernel for Products<'_> {
        #[inline(always)]
        fn run<S: Simd, const N: usize>(self) {
            let Self { images, what } = self;
            let (s4, c5) = (matrix::<25>(1, images, 400, false), matrix::<25>(2, 120, 400, false));
            let mut out = vec![[[0.0; LANES]; 8]; images];
            matmul_nt::<S, N, _, _>(&mut out, &s4, &c5);
            let expected = product(images, 120, 400, |r, c, k| (at(&s4, r, k), at(&c5, c, k)));
            assert_close(&format!("nt, {what}"), columns(&out, 120), expected);

            // Pairs of different values.
            let [x, w] =
                [6, 7].map(|seed| [seed, seed + 2, seed + 4].map(|seed| matrix::<1>(seed, 84.max(images), 16, false)));
            let mut out = vec![[[0.0; LANES]; 6]; images];
            let pairs = x.iter().zip(&w).map(|(x, w)| (&x[..images], &w[..84]));
            sum_of_matmul_nt::<S, N, _, _>(&mut out, 84, &pairs);
            let expected = product(images, 84, 48, |r, c, k| (at(&x[k / 16], r, k % 16), at(&w[k / 16], c, k % 16)));
            assert_close(&format!("sum of nt, {what}"), columns(&out, 84), expected);

            let (x, w) = (matrix::<8>(3, images, 120, false), matrix::<6>(4, 120, 84, false));
            let mut out = vec![[[0.0; LANES]; 6]; images];
            matmul_nn::<S, N, _, _>(&mut out, &x, &w);
            let expected = product(images, 84, 120, |r, c, k| (at(&x, r, k), at(&w, k, c)));
            assert_close(&format!("nn, {what}"), columns(&out, 84), expected);

            let x = matrix::<8>(5, images, 120, true);
            let mut out = vec![[[0.0; LANES]; 25]; images];
            matmul_nn_sparse::<S, N, _, _>(&mut out, &x, &c5);
            let expected = product(images, 400, 120, |r, c, k| (at(&x, r, k), at(&c5, k, c)));
            assert_close(&format!("sparse nn, {what}"), columns(&out, 400), expected);

            let mut out = vec![MaybeUninit::uninit(); 20];
            matmul_tn::<S, N, _, _>(&mut out, 40, &x, &s4);
            // SAFETY: the product writes all rows.
            let out: Vec<Row<25>> = out.into_iter().map(|row| unsafe { row.assume_init() }).collect();
            let expected = product(20, 400, images, |r, c, k| (at(&x, k, 40 + r), at(&s4, k, c)));
            assert_close(&format!("tn, {what}"), columns(&out, 400), expected);
        }
    }

    #[test]
    fn products_are_those_of_the_plain_loops() {
        // One, a tile and a rest, and more than a list of non-zero values holds.
        for images in [1, 7, NonzeroList::CAPACITY + 3] {
            for set in InstructionSet::available() {
                set.run(Products { images, what: &format!("{images} images with {}", set.name()) });
            }
        }
    }
}
