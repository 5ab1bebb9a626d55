//! Products of matrices whose rows are whole blocks of sixteen values.
//!
//! The letters are those of BLAS: `n` a matrix as it is, `t` its transpose. A micro-kernel holds a tile of the result in
//! registers, `IMAGES` rows by some columns, and runs along the dimension that is summed over. With the 32 registers of
//! AVX-512 ([`F32x16::REGISTERS`]) tiles are larger.
//!
//! ```text
//! matmul_nt: 4 x 4 sums           matmul_nn: 8 images x 3 blocks of columns
//!
//!            w0  w1  w2  w3                  w[n][0..16]  w[n][16..32]  w[n][32..48]
//!        x0   s   s   s   s           x0[n]      s             s             s
//!        x1   s   s   s   s           x1[n]      s             s             s
//!        x2   s   s   s   s            ⋮
//!        x3   s   s   s   s           x7[n]      s             s             s
//!
//! each s sixteen partial sums,     each s the sums of sixteen columns
//! added up at the end
//! ```

use std::mem::MaybeUninit;

use macerator::Simd;

use super::{F32x16, LANES, NonzeroList, Row, unroll};

/// `out[i][o] = Σₖ x[i][k] · w[o][k]`, in the first columns of `out`, one for each row of `w`.
#[inline(always)]
pub fn matmul_nt<S: Simd, const N: usize, const K: usize, const O: usize>(
    out: &mut [Row<O>],
    x: &[Row<K>],
    w: &[Row<K>],
) {
    assert!(x.len() == out.len() && w.len() <= O * LANES && w.len().is_multiple_of(4));
    // Four rows of `w` stay in the first-level cache while all of `x` passes by.
    for (group, w) in w.as_chunks().0.iter().enumerate() {
        let (mut x, mut out) = (x, &mut *out);
        if F32x16::<S, N>::REGISTERS >= 32 {
            let (x_tiles, out_tiles);
            (x_tiles, x) = x.as_chunks::<4>();
            (out_tiles, out) = out.as_chunks_mut::<4>();
            for (x, out) in x_tiles.iter().zip(out_tiles) {
                nt_tile::<S, N, 4, K, O>(out, group * 4, x, w);
            }
        }
        for (x, out) in x.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
            nt_tile::<S, N, 1, K, O>(out, group * 4, x, w);
        }
    }
}

#[inline(always)]
fn nt_tile<S: Simd, const N: usize, const IMAGES: usize, const K: usize, const O: usize>(
    out: &mut [Row<O>; IMAGES],
    column: usize,
    x: &[Row<K>; IMAGES],
    w: &[Row<K>; 4],
) {
    let mut sums = [[F32x16::<S, N>::splat(0.0); 4]; IMAGES];
    for k in 0..K {
        let mut xs = [F32x16::splat(0.0); IMAGES];
        unroll!(i < IMAGES, {
            xs[i] = F32x16::load(&x[i][k]);
        });
        unroll!(o < 4, {
            let w = F32x16::load(&w[o][k]);
            unroll!(i < IMAGES, {
                sums[i][o] = w.mul_add(xs[i], sums[i][o]);
            });
        });
    }
    let totals = F32x16::sums(&sums);
    unroll!(i < IMAGES, {
        out[i].as_flattened_mut()[column..column + 4].copy_from_slice(&totals[i]);
    });
}

/// `out[i][j] = Σₙ x[i][n] · w[n][j]`, over as many values of a row of `x` as `w` has rows.
#[inline(always)]
pub fn matmul_nn<S: Simd, const N: usize, const J: usize>(out: &mut [Row<J>], x: &[f32], w: &[Row<J>]) {
    let stride = x.len() / out.len().max(1);
    assert!(x.len() == out.len() * stride && (w.len() <= stride || out.is_empty()));
    let (mut x, mut out) = (x, out);
    if F32x16::<S, N>::REGISTERS >= 32 {
        let tiles;
        (tiles, out) = out.as_chunks_mut::<8>();
        nn_tiles::<S, N, 8, J, 3>(tiles, x, stride, w);
        x = &x[tiles.len() * 8 * stride..];
        nn_tiles::<S, N, 1, J, 6>(out.as_chunks_mut().0, x, stride, w);
    } else {
        let tiles;
        (tiles, out) = out.as_chunks_mut::<4>();
        nn_tiles::<S, N, 4, J, 1>(tiles, x, stride, w);
        x = &x[tiles.len() * 4 * stride..];
        nn_tiles::<S, N, 1, J, 4>(out.as_chunks_mut().0, x, stride, w);
    }
}

/// Tiles of `IMAGES` rows and `BLOCKS` blocks of columns, and what is left of the columns. These columns of `w` stay in the cache
/// for all rows.
#[inline(always)]
fn nn_tiles<S: Simd, const N: usize, const IMAGES: usize, const J: usize, const BLOCKS: usize>(
    out: &mut [[Row<J>; IMAGES]],
    x: &[f32],
    stride: usize,
    w: &[Row<J>],
) {
    let mut block = 0;
    while block < J {
        let blocks = match J - block {
            left if left >= BLOCKS => BLOCKS,
            1 => 1,
            _ => 2,
        };
        for (out, x) in out.iter_mut().zip(x.chunks_exact(IMAGES * stride)) {
            match blocks {
                1 => nn_tile::<S, N, IMAGES, J, 1>(out, x, stride, w, block),
                2 => nn_tile::<S, N, IMAGES, J, 2>(out, x, stride, w, block),
                _ => nn_tile::<S, N, IMAGES, J, BLOCKS>(out, x, stride, w, block),
            }
        }
        block += blocks;
    }
}

#[inline(always)]
fn nn_tile<S: Simd, const N: usize, const IMAGES: usize, const J: usize, const BLOCKS: usize>(
    out: &mut [Row<J>; IMAGES],
    x: &[f32],
    stride: usize,
    w: &[Row<J>],
    block: usize,
) {
    // Checked once: nothing in the loop below can be out of bounds.
    assert!(block + BLOCKS <= J && w.len() <= stride && x.len() == IMAGES * stride);
    let mut sums = [[F32x16::<S, N>::splat(0.0); BLOCKS]; IMAGES];
    for (n, w) in w.iter().enumerate() {
        let mut ws = [F32x16::splat(0.0); BLOCKS];
        unroll!(j < BLOCKS, {
            ws[j] = F32x16::load(&w[block + j]);
        });
        unroll!(i < IMAGES, {
            // SAFETY: `n` is below `stride`, as asserted.
            let x = F32x16::splat(unsafe { *x.get_unchecked(i * stride + n) });
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
    assert!(x.len() == out.len() && w.len() <= X * LANES && w.len() <= 128);
    let mut nonzeros = NonzeroList::<128>::new();
    for (x, out) in x.iter().zip(out) {
        nonzeros.collect(x.as_flattened()[..w.len()].iter().copied());
        // SAFETY: `out` is borrowed mutably, so it can be written.
        unsafe { sum_rows::<S, N, J, _, false>(out, &nonzeros, w) };
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
    /// Rows of the result whose lists of non-zero values are kept.
    const ROWS: usize = 20;
    assert!(first + out.len() <= A * LANES && a.len() == b.len() && !b.is_empty());
    let mut lists = [const { NonzeroList::<IMAGES_AT_ONCE>::new() }; ROWS];
    for (group, out) in out.chunks_mut(ROWS).enumerate() {
        let first = first + group * ROWS;
        for (chunk, (a, b)) in a.chunks(IMAGES_AT_ONCE).zip(b.chunks(IMAGES_AT_ONCE)).enumerate() {
            for (r, list) in lists[..out.len()].iter_mut().enumerate() {
                list.collect(a.iter().map(|row| row.as_flattened()[first + r]));
            }
            // Columns that the registers hold, of all images: they stay in the first-level cache for all rows.
            let mut block = 0;
            while block < B {
                let mut blocks = 0;
                for (list, out) in lists.iter().zip(&mut *out) {
                    // SAFETY: `out` can be written; the first chunk writes all of it, so later chunks may read it.
                    blocks = unsafe {
                        if chunk == 0 {
                            sum_some_columns::<S, N, B, _, false>(out.as_mut_ptr(), list, b, block)
                        } else {
                            sum_some_columns::<S, N, B, _, true>(out.as_mut_ptr(), list, b, block)
                        }
                    };
                }
                block += blocks;
            }
        }
    }
}

/// Images that [`matmul_tn`] sums over before it goes on to the next columns.
const IMAGES_AT_ONCE: usize = 64;

/// `out[c] = Σ value · w[row][c]` over some non-zero values, for all columns of `w`; with `ADD`, added to what `out` holds.
///
/// # Safety
/// `out` can be written, and with `ADD` it can be read.
#[inline(always)]
unsafe fn sum_rows<S: Simd, const N: usize, const B: usize, const CAPACITY: usize, const ADD: bool>(
    out: *mut Row<B>,
    nonzeros: &NonzeroList<CAPACITY>,
    w: &[Row<B>],
) {
    let mut block = 0;
    while block < B {
        // SAFETY: the caller lets us write the row, and read it with `ADD`.
        block += unsafe { sum_some_columns::<S, N, B, CAPACITY, ADD>(out, nonzeros, w, block) };
    }
}

/// As many columns from a block on as the registers hold. Gives how many blocks.
///
/// # Safety
/// As in [`sum_rows`].
#[inline(always)]
unsafe fn sum_some_columns<S: Simd, const N: usize, const B: usize, const CAPACITY: usize, const ADD: bool>(
    out: *mut Row<B>,
    nonzeros: &NonzeroList<CAPACITY>,
    w: &[Row<B>],
    block: usize,
) -> usize {
    let registers = F32x16::<S, N>::REGISTERS;
    // SAFETY: as the caller says.
    unsafe {
        match B - block {
            9.. if registers >= 32 => sum_columns::<S, N, B, 9, CAPACITY, ADD>(out, nonzeros, w, block),
            8 if registers >= 32 => sum_columns::<S, N, B, 8, CAPACITY, ADD>(out, nonzeros, w, block),
            6.. if registers >= 32 => sum_columns::<S, N, B, 6, CAPACITY, ADD>(out, nonzeros, w, block),
            5.. if registers >= 8 => sum_columns::<S, N, B, 5, CAPACITY, ADD>(out, nonzeros, w, block),
            _ => sum_columns::<S, N, B, 1, CAPACITY, ADD>(out, nonzeros, w, block),
        }
    }
}

/// The columns of `BLOCKS` blocks. Gives `BLOCKS`.
///
/// # Safety
/// As in [`sum_rows`].
#[inline(always)]
unsafe fn sum_columns<
    S: Simd,
    const N: usize,
    const B: usize,
    const BLOCKS: usize,
    const CAPACITY: usize,
    const ADD: bool,
>(
    out: *mut Row<B>,
    nonzeros: &NonzeroList<CAPACITY>,
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
    for (value, row) in nonzeros.iter() {
        let (value, row) = (F32x16::splat(value), &w[row as usize]);
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

            // Of rows with more values than are used, and of blocks of columns that tiles do not divide.
            let (x, w) = (matrix::<8>(3, images, 120, false), matrix::<6>(4, 120, 84, false));
            let mut out = vec![[[0.0; LANES]; 6]; images];
            matmul_nn::<S, N, _>(&mut out, x.as_flattened().as_flattened(), &w);
            let expected = product(images, 84, 120, |r, c, k| (at(&x, r, k), at(&w, k, c)));
            assert_close(&format!("nn, {what}"), columns(&out, 84), expected);
            let mut out = vec![[[0.0; LANES]; 25]; images];
            matmul_nn::<S, N, _>(&mut out, x.as_flattened().as_flattened(), &c5);
            let expected = product(images, 400, 120, |r, c, k| (at(&x, r, k), at(&c5, k, c)));
            assert_close(&format!("nn of 25 blocks, {what}"), columns(&out, 400), expected);

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
        for images in [1, 7, 2 * IMAGES_AT_ONCE + 13] {
            for set in InstructionSet::available() {
                set.run(Products { images, what: &format!("{images} images with {}", set.name()) });
            }
        }
    }
}
