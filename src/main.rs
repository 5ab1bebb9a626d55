//! The binary: parse, act, print one error, exit.

use std::process::ExitCode;

use clap::Parser;
use lenet::{backend, cli::Cli, panics, terminal::say};

/// A step of training takes and frees some megabytes; glibc gives them back to the system and asks for them anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(name) = backend::default_for_burn() {
        // Burn puts the optimizer's state of a resumed run on its default device, which may not be there.
        #[expect(unsafe_code, reason = "the environment may be changed while there is only one thread, and there is")]
        // SAFETY: nothing has run before this.
        unsafe {
            std::env::set_var("BURN_DEVICE", name);
        }
    }
    let cli = Cli::parse();
    panics::keep_quiet();
    match panics::catch(|| cli.run()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            say(format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
        Err(panic) => {
            let panic = panics::last().unwrap_or(panic);
            say(format!("error: this is a fault of lenet, please report it with the command: {panic}"));
            ExitCode::FAILURE
        }
    }
}
