//! The report's "Fully Connected Layer", forwards and backwards, for several images at once: three products of
//! matrices. C5 belongs here too: its 5x5 kernels cover the whole of S4's maps, so there is one patch and nothing to
//! slide.
//!
//! Each kernel holds a tile of the result in registers and runs along the dimension that is summed over.

use macerator::Simd;

use super::block::{BLOCK, Block, unroll};

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

/// `out[r][c] = Σᵢ a[i][first + r] b[i][c]` for as many rows as `out` has: the report's `∂L/∂w`, the sum over the
/// mini-batch of what came in times the error that came back.
#[inline(always)]
pub(super) fn outer<S: Simd, const N: usize>(out: &mut [f32], first: usize, a: Rows, b: Rows) {
    let rows = out.len() / b.stride;
    assert!(first + rows <= a.stride && a.count() == b.count());
    assert_eq!(rows % 4, 0);
    let blocks = b.stride / BLOCK;
    let mut block = 0;
    if N == 1 {
        while block + 5 <= blocks {
            outer_column::<S, N, 5>(out, first, a, b, block);
            block += 5;
        }
    }
    while block < blocks {
        outer_column::<S, N, 1>(out, first, a, b, block);
        block += 1;
    }
}

#[inline(always)]
fn outer_column<S: Simd, const N: usize, const J: usize>(
    out: &mut [f32],
    first: usize,
    a: Rows,
    b: Rows,
    block: usize,
) {
    const R: usize = 4;
    let column = block * BLOCK;
    for (group, out) in out.chunks_exact_mut(R * b.stride).enumerate() {
        let mut sums = [[Block::<S, N>::splat(0.0); J]; R];
        for image in 0..b.count() {
            // SAFETY: `outer` has checked that `a` and `b` have the same number of rows, and `a` so many columns.
            unsafe {
                let bs: [Block<S, N>; J] = Block::load_each(b.row(image).add(column), BLOCK);
                let a = a.row(image).add(first + group * R);
                unroll!(r < R, {
                    let a = Block::splat(*a.add(r));
                    unroll!(j < J, {
                        sums[r][j] = sums[r][j].add_product(a, bs[j]);
                    });
                });
            }
        }
        unroll!(r < R, {
            unroll!(j < J, {
                // SAFETY: the chunk has R rows.
                unsafe { sums[r][j].store(out.as_mut_ptr().add(r * b.stride + column + j * BLOCK)) };
            });
        });
    }
}
