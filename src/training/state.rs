//! The state of a training.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, report::Report};

/// What the learner, its logs and the recorder share.
#[derive(Debug)]
pub(super) struct TrainingState {
    pub(super) report: Report,
    /// Why the recorder or the logs stopped the training.
    pub(super) failure: Option<Error>,
    /// Why the learner was interrupted.
    pub(super) stopped: Option<String>,
}

/// A [`TrainingState`] that several threads use.
#[derive(Clone)]
pub(super) struct SharedState(Arc<Mutex<TrainingState>>);

impl SharedState {
    pub(super) fn new(report: Report) -> Self {
        Self(Arc::new(Mutex::new(TrainingState { report, failure: None, stopped: None })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, TrainingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
