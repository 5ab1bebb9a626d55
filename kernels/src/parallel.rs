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
/// Each thread of the pool begins with a share of its own, the same one whenever a thread of the pool calls, and then helps the
/// others: where one call after the other goes over the same memory, most of it stays in the cache of one core.
///
/// # Panics
/// `work` panics.
pub fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let pool = rayon::current_num_threads();
    let threads = pool.min(items.len());
    if threads <= 1 {
        return items.into_iter().for_each(work);
    }
    let open = AtomicUsize::new(items.len());
    let end = |share: usize| items.len() * (share + 1) / threads;
    let shares: Vec<_> =
        (0..threads).map(|share| (AtomicUsize::new(items.len() * share / threads), end(share))).collect();
    let items: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let index = || rayon::current_thread_index().unwrap_or(0);
    let caller = index();
    let run = || {
        let own = (index() + pool - caller) % pool;
        for share in 0..threads {
            let (next, end) = &shares[(own + share) % threads];
            while let Some(item) = items[..*end].get(next.fetch_add(1, Ordering::Relaxed)) {
                let _done = CountDown(&open);
                if let Some(item) = item.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    work(item);
                }
            }
        }
    };
    rayon::scope(|scope| {
        for _ in 1..threads {
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
    fn any_pool_does_all_the_work_whoever_calls() {
        for threads in [2, 3, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            // A caller on each thread of the pool.
            pool.broadcast(|_| {
                for count in [2, 3, 7, 64] {
                    let sum = AtomicUsize::new(0);
                    for_each((1..=count).collect(), |item| {
                        sum.fetch_add(item, Ordering::Relaxed);
                    });
                    assert_eq!(sum.into_inner(), count * (count + 1) / 2);
                }
            });
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
