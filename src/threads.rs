//! Keeps the threads of Rayon's pool awake during training.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use crate::backend::is_host;

/// Runs `work` on one of the pool's threads, and keeps the others awake meanwhile if the work is theirs: on a GPU it is not.
///
/// A step of training has serial parts of tens of microseconds between parallel ones. A thread that falls asleep in
/// them has to be woken by the system each time, which takes as long again.
pub(crate) fn run<T: Send>(device: &Device, work: impl FnOnce() -> T + Send) -> T {
    let others = if is_host(device) { rayon::current_num_threads() - 1 } else { 0 };
    let done = AtomicBool::new(false);
    rayon::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|_| stay_awake(&done));
        }
        let _guard = SetOnDrop(&done);
        work()
    })
}

/// Runs whatever work there is until `done`.
fn stay_awake(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            // The system may have other use for the core.
            std::thread::yield_now();
        }
    }
}

/// Sets the flag even if the work panics, since the scope waits for all threads.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
