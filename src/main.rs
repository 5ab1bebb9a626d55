//! The binary: parse, act, print one error, exit.

use std::process::ExitCode;

use clap::Parser;
use lenet::{backend, cli::Cli, memory::Allocator, panics, terminal::say};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    if let Some(name) = backend::default_for_burn() {
        // Burn loads the optimizer's state of a resumed run onto its default device, which may not exist here.
        #[expect(unsafe_code, reason = "setting the environment is sound while there is only one thread")]
        // SAFETY: `main` has just begun: no other thread can be reading the environment.
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
            if let Some(error) = panics::of_the_system(&panic) {
                say(format!("error: {error}"));
                return ExitCode::from(error.exit_code());
            }
            let panic = panics::last().unwrap_or(panic);
            say(format!(
                "error: this is a bug in lenet; please report it together with the command that you ran: {panic}"
            ));
            ExitCode::FAILURE
        }
    }
}
