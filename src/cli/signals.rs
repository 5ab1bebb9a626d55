//! Ctrl-C and termination signals.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::train::Interrupter;
use tokio::sync::watch;

use crate::{
    Error, Result,
    terminal::{self, say},
    training::Progress,
};

/// Makes Ctrl-C or a termination signal stop training cleanly, and a second one immediately.
pub(super) fn stop_on_signal(progress: Progress) -> Result<Interrupter> {
    let interrupter = Interrupter::new();
    let handle = interrupter.clone();
    let dashboard = progress.resolve() == Progress::Dashboard;
    let speak = !dashboard && progress != Progress::None;
    let before = AtomicBool::new(false);
    on_signal(move || {
        if before.swap(true, Ordering::Relaxed) {
            // 130 is the shells' exit code for Ctrl-C.
            if dashboard {
                terminal::restore();
            }
            std::process::exit(130);
        }
        handle.stop(Some("by a signal"));
        if speak {
            say("stopping; press Ctrl-C again to quit immediately");
        }
    })?;
    Ok(interrupter)
}

/// Becomes true at the first Ctrl-C or termination signal; a second one ends the program immediately.
pub(super) fn stopped_by_signal() -> Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let before = AtomicBool::new(false);
    on_signal(move || {
        if before.swap(true, Ordering::Relaxed) {
            // 130 is the shells' exit code for Ctrl-C.
            std::process::exit(130);
        }
        say("ending; press Ctrl-C again to quit immediately");
        // Nobody listens if the service has ended already.
        let _ = stop.send(true);
    })?;
    Ok(stopped)
}

/// Does something at each Ctrl-C and termination signal.
fn on_signal(action: impl FnMut() + Send + 'static) -> Result<()> {
    unless_hangup_is_ignored(|| ctrlc::set_handler(action)).map_err(|e| Error::Signals(e.to_string()))
}

/// Sets a handler of all signals, but leaves SIGHUP ignored if it is: `nohup` runs a program so, which has to go on when
/// its terminal closes.
///
/// SIGINT is another matter: shells ignore it for whatever they start in the background, so that Ctrl-C reaches only the
/// foreground. Who sends it to such a process means it.
#[cfg(unix)]
fn unless_hangup_is_ignored<T>(set_handler: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigHandler, Signal, signal};
    let ignore = || {
        #[expect(unsafe_code, reason = "nix has no safe function for it")]
        // SAFETY: an ignored signal runs no code.
        unsafe {
            signal(Signal::SIGHUP, SigHandler::SigIgn)
        }
    };
    let before = ignore();
    let outcome = set_handler();
    if matches!(before, Ok(SigHandler::SigIgn)) {
        let _ = ignore();
    }
    outcome
}

#[cfg(not(unix))]
fn unless_hangup_is_ignored<T>(set_handler: impl FnOnce() -> T) -> T {
    set_handler()
}
