//! The runs of a sweep, shared among jobs: each takes the next run that nobody holds, in this process or in another one.
//!
//! A run is held by the lock on its folder, which the system releases when a process ends in whatever way. So whoever is
//! killed leaves a run that the next one resumes.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use burn::train::Interrupter;
use rayon::ThreadPoolBuilder;

use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    config::Config,
    page::Run,
    report::Status,
    run::train,
    training::Progress,
};

/// How often it is looked whether all jobs are to stop.
const PATIENCE: Duration = Duration::from_millis(20);

/// How the runs of a sweep are trained.
#[derive(Clone)]
pub struct Jobs {
    /// How many runs are trained at once in this process. They share its threads evenly.
    pub count: NonZeroUsize,
    /// How each run's progress is shown.
    pub progress: Progress,
    /// Stops them all.
    pub interrupter: Interrupter,
}

/// A run to be trained.
pub(super) struct Planned<'a> {
    pub name: String,
    pub path: PathBuf,
    pub config: &'a Config,
}

impl Planned<'_> {
    /// Whether nothing is left to do: it is complete, or would only diverge again.
    fn is_done(&self) -> bool {
        let Ok(there) = RunDir::open(&self.path).and_then(|run| Run::read(&run)) else { return false };
        let same = there.config == self.config.with_absolute_folder().with_classes(&there.config.data.classes);
        same && match there.report.status {
            Status::Complete => there.report.epochs.len() >= self.config.training.epochs,
            status => status == Status::Diverged,
        }
    }
}

/// What the jobs know in common.
struct Shared<'a> {
    runs: Vec<Planned<'a>>,
    /// For each run, whether a job of this process has taken it or found it done.
    taken: Mutex<Vec<bool>>,
    failure: Mutex<Option<Error>>,
}

impl Jobs {
    /// Trains all runs that are not done and that nobody else trains. Returns whether all are done now.
    pub(super) fn train(&self, runs: Vec<Planned<'_>>, tell: &(dyn Fn(&str) + Sync)) -> Result<bool> {
        let taken = Mutex::new(vec![false; runs.len()]);
        let shared = Shared { runs, taken, failure: Mutex::new(None) };
        let total = shared.runs.len();
        let jobs = self.count.get().min(total.max(1));
        if jobs == 1 {
            shared.work(&self.interrupter, self.progress, tell);
        } else {
            self.share_threads(&shared, jobs, tell)?;
        }
        match shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Error::Interrupted(_)) => Err(Error::Interrupted(format!(
                "interrupted: {} of {total} runs are done; run the same command to continue",
                shared.runs.iter().filter(|run| run.is_done()).count()
            ))),
            Some(error) => Err(error),
            None => Ok(shared.runs.iter().all(Planned::is_done)),
        }
    }

    /// Each job has threads of its own, and is stopped for itself: a run that diverges stops its own job's.
    fn share_threads(&self, shared: &Shared<'_>, jobs: usize, tell: &(dyn Fn(&str) + Sync)) -> Result<()> {
        let threads = (rayon::current_num_threads() / jobs).max(1);
        let pool = |_| ThreadPoolBuilder::new().num_threads(threads).build();
        let pools = (0..jobs).map(pool).collect::<std::result::Result<Vec<_>, _>>();
        let pools = pools.map_err(|e| Error::Threads(e.to_string()))?;
        let interrupters: Vec<Interrupter> = pools.iter().map(|_| Interrupter::new()).collect();
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let failed = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                    if failed || self.interrupter.should_stop() {
                        for job in &interrupters {
                            job.stop(Some("by a signal"));
                        }
                    }
                    thread::sleep(PATIENCE);
                }
            });
            let working: Vec<_> = pools
                .iter()
                .zip(&interrupters)
                .map(|(pool, job)| scope.spawn(|| pool.install(|| shared.work(job, self.progress, tell))))
                .collect();
            for job in working {
                if let Err(panic) = job.join() {
                    std::panic::resume_unwind(panic);
                }
            }
            ended.store(true, Ordering::Relaxed);
        });
        Ok(())
    }
}

impl Shared<'_> {
    /// Trains one run after the other until none is left that nobody holds.
    fn work(&self, interrupter: &Interrupter, progress: Progress, tell: &(dyn Fn(&str) + Sync)) {
        while let Some(outcome) = self.next(interrupter, progress, tell) {
            if let Err(error) = outcome {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
        }
    }

    /// Trains the first run that is not done and that nobody holds; `None` if there is none.
    fn next(&self, interrupter: &Interrupter, progress: Progress, tell: &(dyn Fn(&str) + Sync)) -> Option<Result<()>> {
        let total = self.runs.len();
        for (index, run) in self.runs.iter().enumerate() {
            if std::mem::replace(&mut self.taken()[index], true) || run.is_done() {
                continue;
            }
            let number = index + 1;
            tell(&format!("run {number} of {total}: {}", run.name));
            let outcome = train(run.config, &run.path, Existing::ResumeOrStart, progress, interrupter);
            return Some(match outcome {
                Ok(_) => Ok(()),
                Err(Error::Diverged { .. }) => {
                    // The diverging run was stopped through it; the next one must not be.
                    interrupter.reset();
                    Ok(())
                }
                Err(Error::InUse { .. }) => {
                    tell(&format!("run {number} of {total} is being trained by another process"));
                    self.taken()[index] = false;
                    continue;
                }
                Err(error) => Err(error),
            });
        }
        None
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Vec<bool>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
