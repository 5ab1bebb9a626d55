//! The report's "Fully Connected Layer", forwards and backwards, for several images at once: three products of
//! matrices. C5 belongs here too: its 5x5 kernels cover the whole of S4's maps, so there is one patch and nothing to
//! slide.
//!
//! Each kernel holds a tile of the result in registers and runs along the dimension that is summed over.

use std::mem::MaybeUninit;

use macerator::Simd;

use super::block::{BLOCK, Block, is_alive, unroll};

/// Rows of a matrix, one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    /// Numbers from one row's beginning to the next one's: a multiple of sixteen.
    stride: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f32], stride: usize) -> Self {
        assert_eq!(stride % BLOCK, 0);
        Self { values, stride }
    }

    fn count(self) -> usize {
        self.values.len() / self.stride
    }

    /// # Safety
    /// There is such a row.
    #[inline(always)]
    unsafe fn row(self, index: usize) -> *const f32 {
        debug_assert!(index < self.count());
        // SAFETY: the caller vouches for the row.
        unsafe { self.values.as_ptr().add(index * self.stride) }
    }
}

/// The report's `zᵢ = Σⱼ wⱼᵢ xⱼ`, several images at once: `out[i][o] = Σₖ x[i][k] w[o][k]` for the first `outs` columns of `out`: the layer forwards where the weights lie in
/// rows of one output each, backwards where they lie in rows of one input each.
#[inline(always)]
pub(super) fn dots<S: Simd, const N: usize>(out: &mut [f32], stride: usize, outs: usize, x: Rows, w: Rows) {
    assert!(x.stride == w.stride && outs <= stride && outs <= w.count() && x.count() * stride <= out.len());
    assert_eq!(outs % 4, 0);
    // The weights of four outputs stay in the first-level cache while all images pass by.
    for o in (0..outs).step_by(4) {
        let mut image = 0;
        // Large tiles need the 32 registers of AVX-512.
        if N == 1 {
            while image + 4 <= x.count() {
                dots_tile::<S, N, 4, 4>(out, stride, o, x, w, image);
                image += 4;
            }
        }
        while image < x.count() {
            dots_tile::<S, N, 4, 1>(out, stride, o, x, w, image);
            image += 1;
        }
    }
}

#[inline(always)]
fn dots_tile<S: Simd, const N: usize, const O: usize, const I: usize>(
    out: &mut [f32],
    stride: usize,
    o: usize,
    x: Rows,
    w: Rows,
    image: usize,
) {
    let mut sums = [[Block::<S, N>::splat(0.0); I]; O];
    for k in (0..x.stride).step_by(BLOCK) {
        // SAFETY: `dots` has checked that there are rows up to `image + I` and `o + O`, all of the same length.
        unsafe {
            let xs: [Block<S, N>; I] = Block::load_each(x.row(image).add(k), x.stride);
            unroll!(a < O, {
                let w = Block::load(w.row(o + a).add(k));
                unroll!(i < I, {
                    sums[a][i] = sums[a][i].add_product(w, xs[i]);
                });
            });
        }
    }
    unroll!(a < O, {
        unroll!(i < I, {
            out[(image + i) * stride + o + a] = sums[a][i].sum();
        });
    });
}

/// `out[i][j] = Σₙ x[i][n] w[n][j]` over the first `inner` numbers of a row of `x`: the other direction of [`dots`].
#[inline(always)]
pub(super) fn product<S: Simd, const N: usize>(out: &mut [f32], inner: usize, x: Rows, w: Rows) {
    assert!(inner <= x.stride && inner <= w.count() && x.count() * w.stride <= out.len());
    let blocks = w.stride / BLOCK;
    let mut block = 0;
    if N == 1 {
        while block + 5 <= blocks {
            product_columns::<S, N, 5>(out, inner, x, w, block);
            block += 5;
        }
    }
    while block < blocks {
        product_columns::<S, N, 1>(out, inner, x, w, block);
        block += 1;
    }
}

/// The columns of `J` blocks, for all images: these columns of `w` stay in the cache.
#[inline(always)]
fn product_columns<S: Simd, const N: usize, const J: usize>(
    out: &mut [f32],
    inner: usize,
    x: Rows,
    w: Rows,
    block: usize,
) {
    let mut image = 0;
    while image + 4 <= x.count() {
        product_tile::<S, N, 4, J>(out, inner, x, w, image, block);
        image += 4;
    }
    while image < x.count() {
        product_tile::<S, N, 1, J>(out, inner, x, w, image, block);
        image += 1;
    }
}

#[inline(always)]
fn product_tile<S: Simd, const N: usize, const I: usize, const J: usize>(
    out: &mut [f32],
    inner: usize,
    x: Rows,
    w: Rows,
    image: usize,
    block: usize,
) {
    let column = block * BLOCK;
    let mut sums = [[Block::<S, N>::splat(0.0); J]; I];
    for n in 0..inner {
        // SAFETY: `product` has checked that there are rows up to `image + I` of `x` and of `out` and `inner` of `w`.
        unsafe {
            let ws: [Block<S, N>; J] = Block::load_each(w.row(n).add(column), BLOCK);
            unroll!(i < I, {
                let x = Block::splat(*x.row(image + i).add(n));
                unroll!(j < J, {
                    sums[i][j] = sums[i][j].add_product(x, ws[j]);
                });
            });
        }
    }
    unroll!(i < I, {
        unroll!(j < J, {
            // SAFETY: as above.
            unsafe { sums[i][j].store(out.as_mut_ptr().add((image + i) * w.stride + column + j * BLOCK)) };
        });
    });
}

/// `out[i][j] = Σₙ x[i][n] w[n][j]` as [`product`], where most numbers of `x` are zero: those are left out first.
#[inline(always)]
pub(super) fn sparse_product<S: Simd, const N: usize>(out: &mut [f32], inner: usize, x: Rows, w: Rows) {
    assert!(inner <= x.stride && inner <= w.count() && inner <= MOST && x.count() * w.stride <= out.len());
    let mut terms = [Term::default(); MOST];
    for image in 0..x.count() {
        // SAFETY: there are so many images in `x`, of so many numbers.
        let count = unsafe { Term::list(&mut terms, x.row(image), 1, inner) };
        let terms = &terms[..count];
        // SAFETY: a term's row is below `inner`, so it is in `w`; there are so many rows in `out`.
        unsafe { sum_rows::<S, N, false>(out.as_mut_ptr().add(image * w.stride), terms, w) };
    }
}

/// `out[r][c] = Σᵢ a[i][first + r] b[i][c]` for as many rows as `out` has: the report's `∂L/∂w`, the sum over the
/// mini-batch of what came in times the error that came back. Most numbers of `a`, outputs or errors of dead units, are
/// zero and left out first.
#[inline(always)]
pub(super) fn outer<S: Simd, const N: usize>(out: &mut [MaybeUninit<f32>], first: usize, a: Rows, b: Rows) {
    let rows = out.len() / b.stride;
    assert!(first + rows <= a.stride && a.count() == b.count() && b.count() > 0);
    assert_eq!(out.len() % b.stride, 0);
    let mut terms = [Term::default(); MOST];
    // Images in portions of which each row of the result has a list; the first one begins the sums.
    for portion in (0..b.count()).step_by(MOST) {
        let images = (b.count() - portion).min(MOST);
        let b = Rows { values: &b.values[portion * b.stride..], ..b };
        for r in 0..rows {
            // SAFETY: there are so many images in `a` and `b`, and so many columns in `a`; `out` has so many rows, which the
            // first portion writes before the next one reads them.
            unsafe {
                let column = a.row(portion).add(first + r);
                let count = Term::list(&mut terms, column, a.stride, images);
                let out = out.as_mut_ptr().cast::<f32>().add(r * b.stride);
                if portion == 0 {
                    sum_rows::<S, N, false>(out, &terms[..count], b);
                } else {
                    sum_rows::<S, N, true>(out, &terms[..count], b);
                }
            }
        }
    }
}

/// Numbers of which a list of [`Term`]s is made at most.
const MOST: usize = 128;

/// A factor that is not zero, and the row that it multiplies.
#[derive(Clone, Copy, Default)]
struct Term {
    factor: f32,
    row: u32,
}

impl Term {
    /// Lists the numbers that are not zero among `count` of them, each `step` behind the one before; gives how many.
    ///
    /// # Safety
    /// There are so many numbers, at most [`MOST`].
    #[inline(always)]
    unsafe fn list(terms: &mut [Self; MOST], numbers: *const f32, step: usize, count: usize) -> usize {
        let mut alive = 0;
        for row in 0..count {
            // SAFETY: the caller vouches for the number; `alive` is at most `row`.
            unsafe {
                let factor = *numbers.add(row * step);
                #[expect(clippy::cast_possible_truncation, reason = "at most MOST")]
                let term = Self { factor, row: row as u32 };
                *terms.get_unchecked_mut(alive) = term;
                alive += usize::from(is_alive(factor));
            }
        }
        alive
    }
}

/// `out[c] = Σ factor · w[row][c]` over some terms, for all columns of `w`; with `ADD`, added to what `out` holds.
///
/// # Safety
/// The rows are in `w`, a row fits into `out`, and with `ADD` `out` holds numbers.
#[inline(always)]
unsafe fn sum_rows<S: Simd, const N: usize, const ADD: bool>(out: *mut f32, terms: &[Term], w: Rows) {
    let blocks = w.stride / BLOCK;
    let mut block = 0;
    while block < blocks {
        // As many columns as the registers hold.
        // SAFETY: so many blocks are left of each row.
        block += unsafe {
            match (N, blocks - block) {
                (1, 13..) => columns::<S, N, 13, ADD>(out, terms, w, block),
                (1, 12) => columns::<S, N, 12, ADD>(out, terms, w, block),
                (1 | 2, 5..) => columns::<S, N, 5, ADD>(out, terms, w, block),
                _ => columns::<S, N, 1, ADD>(out, terms, w, block),
            }
        };
    }
}

/// `J` blocks of columns. Gives `J`.
#[inline(always)]
unsafe fn columns<S: Simd, const N: usize, const J: usize, const ADD: bool>(
    out: *mut f32,
    terms: &[Term],
    w: Rows,
    block: usize,
) -> usize {
    let column = block * BLOCK;
    let mut sums = [Block::<S, N>::splat(0.0); J];
    // SAFETY: the callers vouch for the rows and columns.
    unsafe {
        let out = out.add(column);
        if ADD {
            unroll!(long j < J, { sums[j] = Block::load(out.add(j * BLOCK)) });
        }
        for term in terms {
            let factor = Block::splat(term.factor);
            let row = w.values.as_ptr().add(term.row as usize * w.stride + column);
            unroll!(long j < J, { sums[j] = sums[j].add_product(factor, Block::load(row.add(j * BLOCK))) });
        }
        unroll!(long j < J, { sums[j].store(out.add(j * BLOCK)) });
    }
    J
}
