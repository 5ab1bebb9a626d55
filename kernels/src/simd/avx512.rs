//! What macerator has no operation for, with the instructions of AVX-512.

use std::arch::x86_64::{
    __m512, _CMP_NEQ_UQ, _mm512_add_ps, _mm512_and_si512, _mm512_cmp_ps_mask, _mm512_cmpeq_epi32_mask, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_maskz_compress_epi32, _mm512_maskz_compress_ps, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::{LANES, unroll};

/// Adds what two shuffles of a pair of vectors take from it.
macro_rules! add {
    ($shuffle:ident, $first:literal, $second:literal, $a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        _mm512_add_ps($shuffle::<$first>(a, b), $shuffle::<$second>(a, b))
    }};
}

/// The sums of sixteen vectors' values, with the additions in the order of [`F32x16::sum`](super::F32x16::sum). Each round adds
/// the halves of two vectors and so makes one of them.
///
/// # Safety
/// The processor has AVX-512, and there are sixteen vectors.
#[inline(always)]
pub unsafe fn sums(vectors: *const __m512) -> [[f32; 4]; 4] {
    let mut sums = [[0.0; 4]; 4];
    // SAFETY: as the caller says.
    unsafe {
        let mut rows = [_mm512_setzero_ps(); 4];
        unroll!(i < 4, {
            let (a, b) = (vectors.add(i).read(), vectors.add(4 + i).read());
            let (c, d) = (vectors.add(8 + i).read(), vectors.add(12 + i).read());
            let ab = add!(_mm512_shuffle_f32x4, 0x44, 0xEE, a, b);
            let cd = add!(_mm512_shuffle_f32x4, 0x44, 0xEE, c, d);
            rows[i] = add!(_mm512_shuffle_f32x4, 0x88, 0xDD, ab, cd);
        });
        let ab = add!(_mm512_shuffle_ps, 0x44, 0xEE, rows[0], rows[1]);
        let cd = add!(_mm512_shuffle_ps, 0x44, 0xEE, rows[2], rows[3]);
        let all = add!(_mm512_shuffle_ps, 0x88, 0xDD, ab, cd);
        _mm512_storeu_ps(sums.as_mut_ptr().cast(), all);
    }
    sums
}

/// Writes those of sixteen values that are not zero and whose tags have this parity, and their tags, and gives their number.
///
/// # Safety
/// The processor has AVX-512, and there is room for sixteen values and tags.
#[inline(always)]
pub unsafe fn compress(
    values: &[f32; LANES],
    tags: &[u32; LANES],
    parity: u32,
    to_values: *mut f32,
    to_tags: *mut u32,
) -> usize {
    // SAFETY: as the caller says.
    unsafe {
        let (values, tags) = (_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_si512(tags.as_ptr().cast()));
        let lowest = _mm512_and_si512(tags, _mm512_set1_epi32(1));
        let kept = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(values, _mm512_setzero_ps())
            & _mm512_cmpeq_epi32_mask(lowest, _mm512_set1_epi32(parity.cast_signed()));
        _mm512_storeu_ps(to_values, _mm512_maskz_compress_ps(kept, values));
        _mm512_storeu_si512(to_tags.cast(), _mm512_maskz_compress_epi32(kept, tags));
        kept.count_ones() as usize
    }
}

/// The lower halves of two vectors, and the upper halves.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
pub unsafe fn halves(a: *const __m512, b: *const __m512) -> [__m512; 2] {
    // SAFETY: as the caller says.
    unsafe {
        let (a, b) = (a.read(), b.read());
        [_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xEE>(a, b)]
    }
}

/// A bit for each of sixteen values that is not the other one.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
pub unsafe fn differing(values: &[f32; LANES], others: &[f32; LANES]) -> u32 {
    // SAFETY: as the caller says.
    unsafe {
        _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(others.as_ptr())).into()
    }
}
