//! The binary: parse, act, print one error, exit.

use std::{
    panic::catch_unwind,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use clap::Parser;
use lenet::cli::Cli;

/// A step of training takes and frees some megabytes; glibc gives them back to the system and asks for them anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where and why the program last panicked. Burn panics in places that its errors are made of: only a panic that
/// nobody caught is shown.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let cli = Cli::parse();
    std::panic::set_hook(Box::new(|panic| {
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    match catch_unwind(|| cli.run()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
        Err(_) => {
            let panic = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("error: this is a fault of lenet, please report it with the command: {panic}");
            ExitCode::FAILURE
        }
    }
}
