//! What the kernels are written with: sixteen values at a time, whatever the processor's vectors are.

mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
mod f32x16;
pub mod matmul;
mod nonzero;
mod prefetch;

pub use self::{
    aligned::{AlignedVec, CacheAligned},
    dispatch::{InstructionSet, Kernel},
    f32x16::{F32Lanes, F32x8, F32x16, LANES, is_nonzero},
    nonzero::NonzeroList,
    prefetch::prefetch,
};

/// A row of a matrix in blocks of sixteen values.
pub type Row<const BLOCKS: usize> = [[f32; LANES]; BLOCKS];

/// Unrolls a loop over a constant count, at most eight (or twenty) times, so that arrays indexed by the variable stay in
/// registers.
macro_rules! unroll {
    ($i:ident < $count:expr, $body:block) => {
        const { assert!($count <= 8) };
        $crate::simd::unroll!(@ $i, $count, $body, 0 1 2 3 4 5 6 7)
    };
    // Separate, because long loops are slow to compile.
    (long $i:ident < $count:expr, $body:block) => {
        const { assert!($count <= 20) };
        $crate::simd::unroll!(@ $i, $count, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19)
    };
    (@ $i:ident, $count:expr, $body:block, $($number:literal)*) => {
        $(if $number < $count {
            #[allow(non_upper_case_globals, reason = "it stands for a loop's variable")]
            const $i: usize = $number;
            $body
        })*
    };
}
pub(crate) use unroll;
