//! Burn panics on devices and files that it does not expect: here those panics become messages.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    sync::{Mutex, PoisonError},
};

use crate::Error;

/// The messages of all panics, in any thread, since the last [`catch`] began.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn messages() -> std::sync::MutexGuard<'static, Vec<String>> {
    MESSAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops panics from being printed, for the whole program: [`catch`] and [`last`] return their messages instead.
pub fn keep_quiet() {
    set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let location = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        messages().push(format!("{message}{location}"));
    }));
}

/// The message of the last panic, if [`keep_quiet`] was called before it.
#[must_use]
pub fn last() -> Option<String> {
    messages().last().cloned()
}

/// The error that a panic stands for, if the system is to blame and not the program.
#[must_use]
pub fn of_the_system(panic: &str) -> Option<Error> {
    let no_threads = panic.contains("failed to spawn thread") || panic.contains("kind: WouldBlock");
    no_threads.then(|| Error::Threads("the system refuses more; RAYON_NUM_THREADS=1 asks for the fewest".into()))
}

/// Runs something that may panic.
///
/// The message is that of the first panic, since those that follow in other threads say less. Where two calls run at
/// the same time, one may return the other's message.
///
/// # Errors
/// It panicked: the message, with file and line if [`keep_quiet`] was called.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    messages().clear();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let own = payload.downcast_ref::<String>().map(String::as_str);
        let own = own.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
        messages().first().cloned().unwrap_or_else(|| own.to_owned())
    })
}
