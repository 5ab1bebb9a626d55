//! What the learner, its logs and the recorder share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, report::Report};

/// What the recorder and the rest of the training share.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) report: Report,
    /// What made the recorder stop the training.
    pub(super) failure: Option<Error>,
    /// Why the learner stopped before its time, as it was when it ended.
    pub(super) stopped: Option<String>,
}

/// A [`Journal`] in use by several threads.
#[derive(Clone)]
pub(super) struct SharedJournal(Arc<Mutex<Journal>>);

impl SharedJournal {
    pub(super) fn new(report: Report) -> Self {
        Self(Arc::new(Mutex::new(Journal { report, failure: None, stopped: None })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
