//! The commands, a file for each. Results go to standard output, progress and errors to standard error.

#![expect(clippy::doc_markdown, reason = "these comments are the help texts, which are not Markdown")]

mod backends;
mod bench;
mod evaluate;
mod predict;
mod report;
mod sweep;
mod train;

use std::{
    io::{ErrorKind, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::train::Interrupter;
use clap::{Parser, Subcommand};

use self::{
    backends::BackendsArgs, bench::BenchArgs, evaluate::EvaluateArgs, predict::PredictArgs, report::ReportArgs,
    sweep::SweepArgs, train::TrainArgs,
};
use crate::{
    Error, Result,
    terminal::{self, say},
    training::Progress,
};

/// LeNet-5 on MNIST: train it, evaluate it, read pictures with it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a net as a config file says
    Train(TrainArgs),
    /// Measure a trained net on labelled images
    Evaluate(EvaluateArgs),
    /// Read pictures of digits with a trained net
    Predict(PredictArgs),
    /// Write a run as a page, or several beside one another
    Report(ReportArgs),
    /// Train a config with other values of some keys, and compare
    Sweep(SweepArgs),
    /// Measure the speed of training and reading on each device
    Bench(BenchArgs),
    /// List the backends and the devices that are there
    Backends(BackendsArgs),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Whatever went wrong, in words for a person.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Train(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Predict(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Sweep(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Backends(args) => args.run(),
        }
    }
}

/// Ctrl-C or a termination signal stops training cleanly, the second one at once.
fn stop_on_signal(progress: Progress) -> Result<Interrupter> {
    let interrupter = Interrupter::new();
    let handle = interrupter.clone();
    let dashboard = progress.resolve() == Progress::Dashboard;
    let speak = !dashboard && progress != Progress::None;
    let before = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if before.swap(true, Ordering::Relaxed) {
            // 130: ended by a signal, as shells have it.
            if dashboard {
                terminal::restore();
            }
            std::process::exit(130);
        }
        handle.stop(Some("by a signal"));
        if speak {
            say("stopping; once more to quit at once");
        }
    })
    .map_err(|e| Error::Training(format!("signals cannot be caught: {e}")))?;
    Ok(interrupter)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Run(format!("the result is no JSON: {e}")))?;
    print(&format!("{text}\n"))
}

/// Writes a result. Whoever closes the pipe has read enough.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("write to", Path::new("standard output"))(e)),
        _ => Ok(()),
    }
}
