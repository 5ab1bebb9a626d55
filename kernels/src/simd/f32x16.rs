//! Sixteen or eight values at a time: one vector of AVX-512, two of AVX2, four of SSE or NEON.
//!
//! Only what is inlined into a kernel may use the processor's vectors, and a closure need not be: so there are loops here
//! where the rest of the program has iterators.

use macerator::{Scalar, Simd, Vector};

use super::unroll;

/// Values in a [`F32x16`].
pub const LANES: usize = 16;

/// Sixteen `f32` in `N` vectors of the processor.
pub type F32x16<S, const N: usize> = F32Lanes<S, N, LANES>;
/// Eight `f32` in `N` vectors of the processor.
pub type F32x8<S, const N: usize> = F32Lanes<S, N, 8>;

/// `L` values in `N` vectors of the processor.
pub struct F32Lanes<S: Simd, const N: usize, const L: usize>([Vector<S, f32>; N]);

impl<S: Simd, const N: usize, const L: usize> Clone for F32Lanes<S, N, L> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, const N: usize, const L: usize> Copy for F32Lanes<S, N, L> {}

impl<S: Simd, const N: usize, const L: usize> F32Lanes<S, N, L> {
    /// Values in one vector.
    const VECTOR_LANES: usize = L / N;

    /// How many of these the processor's registers hold, by which tiles are sized: of sixteen values 32 with AVX-512, 8
    /// with AVX2, 4 with SSE.
    pub const REGISTERS: usize = (if Self::VECTOR_LANES == 16 { 32 } else { 16 }) / N;

    /// `N` vectors hold `L` values, in every kernel; the compiler removes the check.
    #[inline(always)]
    fn check_size() {
        assert!(N * size_of::<Vector<S, f32>>() == L * size_of::<f32>());
    }

    /// The same value in all lanes.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([value.splat(); N])
    }

    /// Reads the values.
    #[inline(always)]
    pub fn load(values: &[f32; L]) -> Self {
        // SAFETY: there are `L` of them.
        unsafe { Self::load_from(values.as_ptr()) }
    }

    /// Reads `L` values.
    ///
    /// # Safety
    /// `values` points to `L` values that may be read.
    #[inline(always)]
    pub unsafe fn load_from(values: *const f32) -> Self {
        Self::check_size();
        let mut loaded = Self::splat(0.0);
        for i in 0..N {
            // A plain read: macerator's is not always inlined.
            // SAFETY: a vector is plain data, `VECTOR_LANES` values long, and the caller vouches for `N` of them.
            loaded.0[i] = unsafe { values.add(i * Self::VECTOR_LANES).cast::<Vector<S, f32>>().read_unaligned() };
        }
        loaded
    }

    /// Writes the values.
    #[inline(always)]
    pub fn store(self, to: &mut [f32; L]) {
        // SAFETY: there is room for `L` values, which nobody else uses.
        unsafe { self.store_to(to.as_mut_ptr()) }
    }

    /// Writes `L` values.
    ///
    /// # Safety
    /// `to` points to room for `L` values that may be written.
    #[inline(always)]
    pub unsafe fn store_to(self, to: *mut f32) {
        Self::check_size();
        for i in 0..N {
            // SAFETY: as in `load_from`.
            unsafe { to.add(i * Self::VECTOR_LANES).cast::<Vector<S, f32>>().write_unaligned(self.0[i]) };
        }
    }

    /// `self * factor + summand`, rounded once where the processor can.
    #[inline(always)]
    pub fn mul_add(self, factor: Self, mut summand: Self) -> Self {
        for i in 0..N {
            summand.0[i] = self.0[i].mul_add(factor.0[i], summand.0[i]);
        }
        summand
    }

    /// `self * factor`
    #[inline(always)]
    pub fn mul(mut self, factor: Self) -> Self {
        for i in 0..N {
            self.0[i] *= factor.0[i];
        }
        self
    }

    /// `self + other`
    #[inline(always)]
    pub fn add(mut self, other: Self) -> Self {
        for i in 0..N {
            self.0[i] += other.0[i];
        }
        self
    }

    /// `self - other`
    #[inline(always)]
    pub fn sub(mut self, other: Self) -> Self {
        for i in 0..N {
            self.0[i] -= other.0[i];
        }
        self
    }

    /// In each lane the larger value with its index; of equals the first, and a NaN before any number, as Burn's pooling
    /// has it.
    #[inline(always)]
    pub fn max_with_index(mut self, mut index: Self, other: Self, other_index: Self) -> (Self, Self) {
        for i in 0..N {
            let (mine, others) = (self.0[i], other.0[i]);
            // Masks cannot be used twice; the compiler sees that both are one.
            self.0[i] = (others.gt(mine) | others.ne(others)).select(others, mine);
            index.0[i] = (others.gt(mine) | others.ne(others)).select(other_index.0[i], index.0[i]);
        }
        (self, index)
    }

    /// `max(0, self)`, which lets a NaN pass.
    #[inline(always)]
    pub fn relu(self) -> Self {
        self.relu_grad(self)
    }

    /// The derivative of ReLU: in each lane `self` where the unit's output is above zero or NaN, else 0.
    #[inline(always)]
    pub fn relu_grad(mut self, output: Self) -> Self {
        let zero = 0.0.splat();
        for i in 0..N {
            let passes = output.0[i].gt(zero) | output.0[i].ne(output.0[i]);
            self.0[i] = passes.select(self.0[i], zero);
        }
        self
    }

    /// In each lane 0 where the value is subnormal.
    #[inline(always)]
    pub fn flush_subnormal(mut self) -> Self {
        let (zero, least): (Vector<S, f32>, Vector<S, f32>) = (0.0.splat(), f32::MIN_POSITIVE.splat());
        let most: Vector<S, f32> = (-f32::MIN_POSITIVE).splat();
        for i in 0..N {
            let x = self.0[i];
            self.0[i] = (x.ge(least) | x.le(most) | x.ne(x)).select(x, zero);
        }
        self
    }
}

impl<S: Simd, const N: usize> F32x16<S, N> {
    /// The values.
    #[inline(always)]
    pub fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        self.store(&mut values);
        values
    }

    /// The lower halves of two blocks, and the upper halves.
    #[inline(always)]
    pub fn halves([a, b]: [Self; 2]) -> [Self; 2] {
        let (mut lower, mut upper) = (a, b);
        #[cfg(target_arch = "x86_64")]
        if Self::VECTOR_LANES == LANES {
            // SAFETY: vectors of sixteen values are those of AVX-512, one in each block.
            unsafe {
                let [l, u] = super::avx512::halves(a.0.as_ptr().cast(), b.0.as_ptr().cast());
                lower.0.as_mut_ptr().cast::<std::arch::x86_64::__m512>().write(l);
                upper.0.as_mut_ptr().cast::<std::arch::x86_64::__m512>().write(u);
            }
            return [lower, upper];
        }
        for i in 0..N / 2 {
            lower.0[N / 2 + i] = b.0[i];
            upper.0[i] = a.0[N / 2 + i];
        }
        [lower, upper]
    }

    /// The sum of the sixteen values.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let values = self.to_array();
        let mut quarter = [0.0; 4];
        unroll!(i < 4, {
            quarter[i] = (values[i] + values[i + 8]) + (values[i + 4] + values[i + 12]);
        });
        (quarter[0] + quarter[2]) + (quarter[1] + quarter[3])
    }

    /// The sum of the sixteen values of each.
    #[inline(always)]
    pub fn sums<const COUNT: usize>(vectors: &[[Self; 4]; COUNT]) -> [[f32; 4]; COUNT] {
        let mut sums = [[0.0; 4]; COUNT];
        #[cfg(target_arch = "x86_64")]
        if Self::VECTOR_LANES == LANES && COUNT == 4 {
            // SAFETY: vectors of sixteen values are those of AVX-512, and there are four times four of them.
            let all = unsafe { super::avx512::sums(vectors.as_ptr().cast()) };
            unroll!(i < 4, {
                sums[i] = all[i];
            });
            return sums;
        }
        unroll!(i < COUNT, {
            unroll!(j < 4, {
                sums[i][j] = vectors[i][j].sum();
            });
        });
        sums
    }

    /// A bit for each of sixteen values that is not the other one, the first one's lowest. All differ from a NaN.
    #[inline(always)]
    pub fn differing(values: &[f32; LANES], others: &[f32; LANES]) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if Self::VECTOR_LANES == LANES {
            // SAFETY: vectors of sixteen values are those of AVX-512.
            return unsafe { super::avx512::differing(values, others) };
        }
        let mut bits = 0;
        for lane in 0..LANES {
            #[expect(clippy::float_cmp, reason = "what differs at all")]
            let differs = values[lane] != others[lane];
            bits |= u32::from(differs) << lane;
        }
        bits
    }
}

/// Whether a value is not zero. NaN counts as non-zero.
#[inline(always)]
pub fn is_nonzero(value: f32) -> bool {
    value.to_bits() << 1 != 0
}
