//! Rayon's pool of threads: how many it gets, and how they are kept awake during training.

use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use burn::tensor::Device;
use lenet_kernels::parallel::Waiting;
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::{Error, Result, backend::is_host, terminal::say};

/// More threads than this for each core only wait for each other.
const MOST_PER_CORE: usize = 4;
/// The threads beside Rayon's that training starts: one for signals, five of the learner, one of its dashboard.
pub(crate) const FOR_TRAINING: usize = 7;

/// Starts Rayon's pool with as many threads as there are cores or `RAYON_NUM_THREADS` says, but no more than are of use,
/// and no more than can be started beside `others`. Rayon itself would panic.
///
/// # Errors
/// Too few threads can be started.
pub(crate) fn start_pool(others: usize) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse().ok()).filter(|asked| *asked > 0);
    let wanted = asked.unwrap_or(cores).min(MOST_PER_CORE * cores);
    if let Some(asked) = asked
        && asked > wanted
    {
        say(format!("RAYON_NUM_THREADS={asked} is more than this machine has use for: going on with {wanted} threads"));
    }
    let mut waiting = waiting(wanted + others);
    let startable = waiting.len();
    if others > 0 && startable <= others {
        return Err(Error::Threads(format!(
            "training needs {} even with RAYON_NUM_THREADS=1, but only {startable} can be",
            others + 1
        )));
    }
    let size = wanted.min(startable - others);
    // The others only tried whether they can be started.
    waiting.truncate(size);
    let hand_over = |work: ThreadBuilder| {
        let thread = waiting.pop().ok_or_else(|| io::Error::other("too few"))?;
        thread.send(work).map_err(|_| io::Error::other("it has ended"))
    };
    let pool = ThreadPoolBuilder::new().num_threads(size.max(1)).spawn_handler(hand_over);
    // If none can be started, this one does all the work.
    let pool = if size == 0 { pool.use_current_thread() } else { pool };
    pool.build_global().map_err(|e| Error::Threads(e.to_string()))?;
    if size < wanted {
        let size = size.max(1);
        say(format!(
            "only {size} of {wanted} threads can be started here, because of a limit on processes or memory: the rest goes \
             more slowly. RAYON_NUM_THREADS={size} asks for no more"
        ));
    }
    Ok(())
}

/// Starts threads, `most` or as many as can be, that wait for work. One whose channel is closed ends.
fn waiting(most: usize) -> Vec<Sender<ThreadBuilder>> {
    let start = |_| {
        let (sender, receiver) = channel::<ThreadBuilder>();
        let run = move || {
            if let Ok(work) = receiver.recv() {
                work.run();
            }
        };
        thread::Builder::new().spawn(run).is_ok().then_some(sender)
    };
    (0..most).map_while(start).collect()
}

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

/// How long a thread sleeps that has found no work for some time, during a checkpoint for example.
const NAP: Duration = Duration::from_micros(50);

/// Runs whatever work there is until `done`.
fn stay_awake(done: &AtomicBool) {
    let mut waiting = Waiting::default();
    while !done.load(Ordering::Relaxed) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => waiting.over(),
            _ => waiting.pause(|| thread::sleep(NAP)),
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
