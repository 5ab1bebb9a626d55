//! Sixteen numbers at a time, whatever the processor's vectors are: one of AVX-512, two of AVX2, four of NEON.
//!
//! Only what is inlined into a kernel may use the processor's vectors, and a closure need not be: so there are loops here
//! where the rest of the program has iterators.

use macerator::{Scalar, Simd, Vector};

/// Writes a loop's body out for each number below a constant, at most eight or fourteen times: what it indexes can then stay in
/// registers, which the compiler does not manage for every loop of its own.
macro_rules! unroll {
    ($i:ident < $count:expr, $body:block) => {
        const { assert!($count <= 8) };
        unroll!(@ $i, $count, $body, 0 1 2 3 4 5 6 7)
    };
    // A long loop takes long to compile.
    (long $i:ident < $count:expr, $body:block) => {
        const { assert!($count <= 14) };
        unroll!(@ $i, $count, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $i:ident, $count:expr, $body:block, $($number:literal)*) => {
        $(if $number < $count {
            #[allow(non_upper_case_globals, reason = "it stands for a loop's variable")]
            const $i: usize = $number;
            $body
        })*
    };
}
pub(super) use unroll;

/// Whether a number is not zero; what is none is alive, too.
#[inline(always)]
pub(super) fn is_alive(number: f32) -> bool {
    number.to_bits() << 1 != 0
}

/// Numbers in a [`Block`].
pub(super) const BLOCK: usize = 16;

/// A line of the processor's cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; BLOCK]);

/// Numbers that begin with a line of the cache: a block at a multiple of sixteen is one line, and read at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    count: usize,
}

impl Lines {
    pub(super) fn zeros(count: usize) -> Self {
        let mut lines = Self::default();
        lines.resize(count);
        lines
    }

    /// What is new is zero; what was there stays.
    pub(super) fn resize(&mut self, count: usize) {
        self.lines.resize(count.div_ceil(BLOCK), Line([0.0; BLOCK]));
        self.count = count;
    }
}

impl std::ops::Deref for Lines {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is sixteen numbers without gaps, and there are as many lines as `count` takes.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.count) }
    }
}

impl std::ops::DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.count) }
    }
}

impl FromIterator<f32> for Lines {
    fn from_iter<I: IntoIterator<Item = f32>>(numbers: I) -> Self {
        let numbers: Vec<f32> = numbers.into_iter().collect();
        let mut lines = Self::zeros(numbers.len());
        lines.copy_from_slice(&numbers);
        lines
    }
}

/// Reads a vector's numbers. A plain read: the compiler does not inline macerator's everywhere.
///
/// # Safety
/// They lie in one allocation.
#[inline(always)]
pub(super) unsafe fn read<S: Simd>(from: *const f32) -> Vector<S, f32> {
    const { assert!(size_of::<Vector<S, f32>>().is_multiple_of(size_of::<f32>())) };
    // SAFETY: a vector is plain data, as many numbers as it is long.
    unsafe { from.cast::<Vector<S, f32>>().read_unaligned() }
}

/// Writes a vector's numbers.
///
/// # Safety
/// They lie in one allocation, which nobody else uses.
#[inline(always)]
pub(super) unsafe fn write<S: Simd>(to: *mut f32, vector: Vector<S, f32>) {
    // SAFETY: as in `read`.
    unsafe { to.cast::<Vector<S, f32>>().write_unaligned(vector) };
}

/// Sixteen `f32` in `N` vectors of the processor.
pub(super) struct Block<S: Simd, const N: usize>([Vector<S, f32>; N]);

impl<S: Simd, const N: usize> Clone for Block<S, N> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, const N: usize> Copy for Block<S, N> {}

impl<S: Simd, const N: usize> Block<S, N> {
    /// Numbers in one vector.
    const LANES: usize = BLOCK / N;

    #[inline(always)]
    pub(super) fn splat(value: f32) -> Self {
        Self([value.splat(); N])
    }

    /// Eight times the one number, eight times the other.
    #[inline(always)]
    pub(super) fn halves(left: f32, right: f32) -> Self {
        if N == 1 {
            let mut upper = [0.0; BLOCK];
            upper[BLOCK / 2..].fill(1.0);
            // SAFETY: the array is a block.
            let upper = unsafe { Self::load(upper.as_ptr()) };
            let zero = 0.0.splat();
            let mut both = Self::splat(left);
            for i in 0..N {
                both.0[i] = upper.0[i].gt(zero).select(right.splat(), both.0[i]);
            }
            return both;
        }
        let mut both = Self::splat(left);
        for i in N / 2..N {
            both.0[i] = right.splat();
        }
        both
    }

    /// Reads sixteen numbers.
    ///
    /// # Safety
    /// They lie in one allocation.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const f32) -> Self {
        let mut block = Self::splat(0.0);
        for i in 0..N {
            // SAFETY: N vectors of BLOCK / N lanes are the sixteen numbers that the caller vouches for.
            block.0[i] = unsafe { read(from.add(i * Self::LANES)) };
        }
        block
    }

    /// Reads `COUNT` blocks, each `step` numbers behind the one before.
    ///
    /// # Safety
    /// They lie in one allocation.
    #[inline(always)]
    pub(super) unsafe fn load_each<const COUNT: usize>(from: *const f32, step: usize) -> [Self; COUNT] {
        let mut blocks = [Self::splat(0.0); COUNT];
        unroll!(i < COUNT, {
            // SAFETY: the caller vouches for it.
            blocks[i] = unsafe { Self::load(from.add(i * step)) };
        });
        blocks
    }

    /// Writes sixteen numbers.
    ///
    /// # Safety
    /// They lie in one allocation, which nobody else uses.
    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut f32) {
        for i in 0..N {
            // SAFETY: as in `load`.
            unsafe { write(to.add(i * Self::LANES), self.0[i]) };
        }
    }

    /// `self + a * b`
    #[inline(always)]
    pub(super) fn add_product(mut self, a: Self, b: Self) -> Self {
        for i in 0..N {
            self.0[i] = a.0[i].mul_add(b.0[i], self.0[i]);
        }
        self
    }

    /// `self - other`
    #[inline(always)]
    pub(super) fn minus(mut self, other: Self) -> Self {
        for i in 0..N {
            self.0[i] -= other.0[i];
        }
        self
    }

    /// Per number: the larger one and its mark; of equals the first, and a NaN before any number, as Burn's pooling
    /// has it.
    #[inline(always)]
    pub(super) fn larger(mut self, mut mark: Self, other: Self, others_mark: Self) -> (Self, Self) {
        for i in 0..N {
            let (mine, others) = (self.0[i], other.0[i]);
            // Masks cannot be used twice; the compiler sees that both are one.
            self.0[i] = (others.gt(mine) | others.ne(others)).select(others, mine);
            mark.0[i] = (others.gt(mine) | others.ne(others)).select(others_mark.0[i], mark.0[i]);
        }
        (self, mark)
    }

    /// `ReLU`, which lets a NaN pass.
    #[inline(always)]
    pub(super) fn relu(self) -> Self {
        self.where_alive(self)
    }

    /// Per number: `self` where the unit's output is above zero (or NaN), else 0. The derivative of `ReLU`.
    #[inline(always)]
    pub(super) fn where_alive(mut self, output: Self) -> Self {
        let zero = 0.0.splat();
        for i in 0..N {
            let alive = output.0[i].gt(zero) | output.0[i].ne(output.0[i]);
            self.0[i] = alive.select(self.0[i], zero);
        }
        self
    }

    /// Per number: zero in the place of those that are smaller than normal ones.
    #[inline(always)]
    pub(super) fn or_zero_if_subnormal(mut self) -> Self {
        let (zero, least): (Vector<S, f32>, Vector<S, f32>) = (0.0.splat(), f32::MIN_POSITIVE.splat());
        let most: Vector<S, f32> = (-f32::MIN_POSITIVE).splat();
        for i in 0..N {
            let x = self.0[i];
            self.0[i] = (x.ge(least) | x.le(most) | x.ne(x)).select(x, zero);
        }
        self
    }

    /// The sum of the sixteen numbers.
    #[inline(always)]
    pub(super) fn sum(self) -> f32 {
        let mut numbers = [0.0; BLOCK];
        // SAFETY: the array holds sixteen.
        unsafe { self.store(numbers.as_mut_ptr()) };
        let mut quarter = [0.0; 4];
        for i in 0..4 {
            quarter[i] = (numbers[i] + numbers[i + 4]) + (numbers[i + 8] + numbers[i + 12]);
        }
        (quarter[0] + quarter[2]) + (quarter[1] + quarter[3])
    }
}
