//! Burn panics where a device or a file is not what it expects: here panics become messages.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    sync::{Mutex, PoisonError},
};

/// What was panicked about, in any thread, since the last [`catch`] began.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn seen() -> std::sync::MutexGuard<'static, Vec<String>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps panics from being printed as they happen, for the whole program; [`catch`] and [`last`] tell of them.
pub fn keep_quiet() {
    set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("for an unknown reason");
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        seen().push(format!("{message}{place}"));
    }));
}

/// The last panic that [`keep_quiet`] kept quiet.
#[must_use]
pub fn last() -> Option<String> {
    seen().last().cloned()
}

/// Runs something that may panic, and tells what the first panic was about: those that follow in other threads say
/// less. Of several calls at once, one may tell of another's.
///
/// # Errors
/// It panicked.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    seen().clear();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let own = payload.downcast_ref::<String>().map(String::as_str);
        let own = own.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("for an unknown reason");
        seen().first().cloned().unwrap_or_else(|| own.to_owned())
    })
}
