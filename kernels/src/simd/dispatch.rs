//! The choice of an instruction set, at run time: each kernel is compiled once for every set.

use macerator::{Arch, Simd, Vector, WithSimd};

use super::f32x16::LANES;

/// A set of vector instructions that this processor has.
#[derive(Debug, Clone, Copy)]
pub struct InstructionSet(Arch);

impl InstructionSet {
    /// The widest one that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        Self(Arch::detect())
    }

    /// All that this processor has, from plain scalar code to the widest vectors.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        match Arch::detect() {
            Arch::V2 => sets.push(Arch::V2),
            Arch::V3 => sets.extend([Arch::V2, Arch::V3]),
            Arch::Scalar => {}
            widest => sets.extend([Arch::V2, Arch::V3, widest]),
        }
        #[cfg(not(target_arch = "x86_64"))]
        if !matches!(Arch::detect(), Arch::Scalar) {
            sets.push(Arch::detect());
        }
        sets.into_iter().map(Self).collect()
    }

    /// What it is called, such as `AVX-512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Arch::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Arch::V2 => "SSE 4.2",
            #[cfg(target_arch = "x86_64")]
            Arch::V3 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            _ => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            _ => "NEON",
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            #[allow(unreachable_patterns, reason = "some targets have no vectors")]
            _ => "vectors",
        }
    }

    /// Whether a vector holds sixteen values.
    pub(crate) fn is_wide(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let narrow = matches!(self.0, Arch::Scalar | Arch::V2 | Arch::V3);
        #[cfg(not(target_arch = "x86_64"))]
        let narrow = true;
        !narrow
    }

    /// Runs a kernel with this set, or with the widest narrower one that the kernel is written for.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        let arch = match self.0 {
            #[cfg(target_arch = "x86_64")]
            _ if K::MAX_LANES < 16 && self.is_wide() => Arch::V3,
            arch => arch,
        };
        // SAFETY: an `InstructionSet` is made only of what the processor has, and AVX-512 includes AVX2.
        unsafe { arch.dispatch(WithVectors(kernel)) }
    }
}

/// A computation written once for vectors of any width.
pub trait Kernel {
    /// The values that `N` vectors hold together; no wider vectors are used.
    const MAX_LANES: usize = LANES;

    /// Computes with the vectors `S`, of which `N` hold [`Kernel::MAX_LANES`] values. It has to be `#[inline(always)]`:
    /// only then is it compiled for the instruction set.
    fn run<S: Simd, const N: usize>(self);
}

struct WithVectors<K>(K);

impl<K: Kernel> WithSimd for WithVectors<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        // A constant, so that only one of the calls is compiled.
        match const { K::MAX_LANES / lanes::<S>() } {
            1 => self.0.run::<S, 1>(),
            2 => self.0.run::<S, 2>(),
            4 => self.0.run::<S, 4>(),
            8 => self.0.run::<S, 8>(),
            _ => unreachable!("vectors of {} values", lanes::<S>()),
        }
    }
}

/// Values in a vector.
const fn lanes<S: Simd>() -> usize {
    size_of::<Vector<S, f32>>() / size_of::<f32>()
}
