//! Work that is under way or waits: bounded, so that what is more is refused at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{limits::MAX_BODIES, problem::Problem};
use crate::panics;

/// A share of memory, which ends when it is dropped.
pub(super) type Memory = OwnedSemaphorePermit;

/// What may be under way at a time.
pub(super) struct Queue {
    /// Bytes of bodies.
    bodies: Arc<Semaphore>,
    /// Images that are classified or wait for it.
    work: Arc<Semaphore>,
    /// Computations on threads of their own: more of them than cores would only wait for each other.
    cores: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new(max_work: usize, cores: usize) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        Self { bodies: semaphore(MAX_BODIES), work: semaphore(max_work), cores: semaphore(cores) }
    }

    /// A share of the memory for bodies.
    ///
    /// # Errors
    /// There is not enough.
    pub(super) fn memory(&self, bytes: u64) -> Result<Memory, Problem> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.bodies).try_acquire_many_owned(bytes).map_err(|_| Problem::busy())
    }

    /// Does some work that costs as much as so many images: at once if it is short, else on another thread.
    ///
    /// # Errors
    /// There is too much work already, or it panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        cost: usize,
        is_short: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let share = u32::try_from(cost).map_err(|_| Problem::busy())?;
        let share = Arc::clone(&self.work).try_acquire_many_owned(share).map_err(|_| Problem::busy())?;
        let work = move || {
            // Kept until the work is done, even if the client has gone.
            let _share = share;
            panics::catch(work)
        };
        let outcome = if is_short {
            work()
        } else {
            let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|e| Problem::internal(&e))?;
            let work = move || {
                let _core = core;
                work()
            };
            tokio::task::spawn_blocking(work).await.map_err(|e| Problem::internal(&e))?
        };
        outcome.map_err(|panic| Problem::internal(&panic))
    }
}
