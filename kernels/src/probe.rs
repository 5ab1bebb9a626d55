//! Where the time of a pass goes, layer by layer, measured in the pass itself.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::shapes::{C1_MAPS, C3_MAPS, C5, F6, S4, TAPS};

/// A layer in one direction; a backward stage computes the gradients of inputs, weights and biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// C1, ReLU and S2, forward.
    C1S2Forward,
    /// C3, ReLU and S4, forward.
    C3S4Forward,
    /// C5 and ReLU, forward.
    C5Forward,
    /// F6 and ReLU, forward.
    F6Forward,
    /// The output, forward.
    OutputForward,
    /// The output, backward.
    OutputBackward,
    /// F6 and ReLU, backward.
    F6Backward,
    /// C5 and ReLU, backward.
    C5Backward,
    /// C3, ReLU and S4, backward.
    C3S4Backward,
    /// C1, ReLU and S2, backward.
    C1S2Backward,
}

impl Stage {
    /// All stages, in the order of a step of training.
    pub const ALL: [Self; 10] = [
        Self::C1S2Forward,
        Self::C3S4Forward,
        Self::C5Forward,
        Self::F6Forward,
        Self::OutputForward,
        Self::OutputBackward,
        Self::F6Backward,
        Self::C5Backward,
        Self::C3S4Backward,
        Self::C1S2Backward,
    ];

    /// The layers and the direction.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::C1S2Forward => "C1 + S2 forward",
            Self::C3S4Forward => "C3 + S4 forward",
            Self::C5Forward => "C5 forward",
            Self::F6Forward => "F6 forward",
            Self::OutputForward => "output forward",
            Self::OutputBackward => "output backward",
            Self::F6Backward => "F6 backward",
            Self::C5Backward => "C5 backward",
            Self::C3S4Backward => "C3 + S4 backward",
            Self::C1S2Backward => "C1 + S2 backward",
        }
    }

    /// The multiply-adds of the stage's textbook form for an image, whatever is left out here, in a net with so many
    /// classes. C1 has no gradient of its input.
    #[must_use]
    pub fn multiply_adds(self, classes: usize) -> usize {
        const C1_WORK: usize = 28 * 28 * C1_MAPS * TAPS;
        const C3_WORK: usize = 10 * 10 * C3_MAPS * C1_MAPS * TAPS;
        match self {
            Self::C1S2Forward | Self::C1S2Backward => C1_WORK,
            Self::C3S4Forward => C3_WORK,
            Self::C5Forward => S4 * C5,
            Self::F6Forward => C5 * F6,
            Self::OutputForward => F6 * classes,
            Self::OutputBackward => 2 * F6 * classes,
            Self::F6Backward => 2 * C5 * F6,
            Self::C5Backward => 2 * S4 * C5,
            Self::C3S4Backward => 2 * C3_WORK,
        }
    }
}

/// Observes each stage as it runs.
pub trait Probe: Sync {
    /// Runs a part of a stage and returns its result. That there is no other way to get a `T` is what memory safety of the
    /// backward pass relies on.
    fn stage<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T;
}

/// No probe: stages just run.
impl Probe for () {
    #[inline(always)]
    fn stage<T>(&self, _: Stage, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// Adds up the time that each stage takes, over all threads.
#[derive(Debug, Default)]
pub struct StageTimer {
    nanoseconds: [AtomicU64; Stage::ALL.len()],
}

impl StageTimer {
    /// The time that a stage has taken since the last call.
    pub fn take(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.nanoseconds[stage as usize].swap(0, Ordering::Relaxed))
    }
}

impl Probe for &StageTimer {
    fn stage<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds[stage as usize].fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }
}
