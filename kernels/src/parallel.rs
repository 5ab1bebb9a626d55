//! Work spread over the threads of Rayon's pool by threads that wait awake.
//!
//! A step of training has a few parallel parts of some hundred microseconds. A thread that falls asleep before each of them has
//! to be woken by the system, which takes a tenth of that; Rayon's own waiting calls the system several times before it sleeps.

use std::{
    hint::spin_loop,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a thread waits without giving the core away: longer than the serial parts of a step.
const AWAKE: Duration = Duration::from_micros(200);
/// Pauses of the processor between two looks: some microseconds, in which a waiting thread leaves memory alone.
const PAUSES: usize = 16;

/// A thread's wait for something that comes soon.
#[derive(Debug, Default)]
pub struct Waiting {
    since: Option<Instant>,
}

impl Waiting {
    /// Pauses. If this wait has been long, `otherwise` is called instead, which should give the core to others.
    pub fn pause(&mut self, otherwise: impl FnOnce()) {
        if self.since.get_or_insert_with(Instant::now).elapsed() > AWAKE {
            return otherwise();
        }
        for _ in 0..PAUSES {
            spin_loop();
        }
    }

    /// What was waited for has come.
    pub fn over(&mut self) {
        self.since = None;
    }
}

/// Does `work` on each item, on as many threads as there are, in any order.
///
/// # Panics
/// `work` panics.
pub fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let others = rayon::current_num_threads().min(items.len()).saturating_sub(1);
    if others == 0 {
        return items.into_iter().for_each(work);
    }
    let open = AtomicUsize::new(items.len());
    let next = AtomicUsize::new(0);
    let items: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let _done = CountDown(&open);
            if let Some(item) = item.lock().unwrap_or_else(PoisonError::into_inner).take() {
                work(item);
            }
        }
    };
    rayon::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|_| run());
        }
        run();
        // The scope waits as well, but by falling asleep.
        let mut waiting = Waiting::default();
        while open.load(Ordering::Acquire) > 0 {
            waiting.pause(std::thread::yield_now);
        }
    });
}

/// Counts down even if the work panics, since others wait for it.
struct CountDown<'a>(&'a AtomicUsize);

impl Drop for CountDown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn each_item_has_its_turn_once() {
        for count in [0, 1, 2, 100] {
            let turns: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            for_each(turns.iter().collect(), |turns| {
                turns.fetch_add(1, Ordering::Relaxed);
            });
            assert!(turns.iter().all(|turns| turns.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_panic_comes_back_after_the_others_are_done() {
        let done = AtomicUsize::new(0);
        let work = |item: usize| {
            assert!(item != 3, "the third");
            done.fetch_add(1, Ordering::Relaxed);
        };
        assert!(catch_unwind(AssertUnwindSafe(|| for_each((0..50).collect(), work))).is_err());
        // A thread that panics takes no further item.
        assert!(done.load(Ordering::Relaxed) >= 3);
    }
}
