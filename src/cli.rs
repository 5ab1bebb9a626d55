//! The command line, with a file for each command. Results go to standard output, progress and errors to standard
//! error.

#![expect(clippy::doc_markdown, reason = "these comments are the help texts, which are not Markdown")]

mod augment;
mod backends;
mod bench;
mod data;
mod evaluate;
mod export;
mod import;
mod pictures;
mod predict;
mod report;
mod serve;
mod signals;
mod sweep;
mod train;
mod worker;

use std::{
    io::{ErrorKind, Write},
    path::Path,
};

use clap::{Parser, Subcommand};

use self::{
    augment::AugmentArgs, backends::BackendsArgs, bench::BenchArgs, data::DataArgs, evaluate::EvaluateArgs,
    export::ExportArgs, import::ImportArgs, predict::PredictArgs, report::ReportArgs, serve::ServeArgs,
    sweep::SweepArgs, train::TrainArgs, worker::WorkerArgs,
};
use crate::{
    Error, Result,
    inference::{Origin, Trained},
    terminal::say,
    threads,
};

/// LeNet-5 on MNIST: train it, evaluate it, classify pictures with it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a net with the settings of a config file
    Train(TrainArgs),
    /// Measure a trained net on labelled images
    Evaluate(EvaluateArgs),
    /// Classify pictures of digits with a trained net
    Predict(PredictArgs),
    /// Serve a net over HTTP, with its page
    Serve(ServeArgs),
    /// Write the page of a run, or a page that compares several runs
    Report(ReportArgs),
    /// Write a trained net as a page to draw on, or for other programs: HTML, ONNX, safetensors or PyTorch
    Export(ExportArgs),
    /// Make a run of a net that another program trained: safetensors or PyTorch
    Import(ImportArgs),
    /// Train with several seeds or all combinations of some hyperparameters, and compare the runs
    Sweep(SweepArgs),
    /// Look at a data set before training: what it is, and what is wrong with it
    Data(DataArgs),
    /// Write a page that shows training images beside the variants that a config's augmentation makes
    Augment(AugmentArgs),
    /// Measure the speed of training and inference on each device
    Bench(BenchArgs),
    /// List the backends and the devices on this machine
    Backends(BackendsArgs),
    /// Let other machines train on the devices of this one
    Worker(WorkerArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The command failed.
    pub fn run(self) -> Result<()> {
        threads::start_pool(match self.command {
            Command::Train(_) | Command::Sweep(_) => threads::FOR_TRAINING,
            _ => 0,
        })?;
        match self.command {
            Command::Train(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Predict(args) => args.run(),
            Command::Serve(args) => args.run(),
            Command::Data(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Sweep(args) => args.run(),
            Command::Augment(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Backends(args) => args.run(),
            Command::Worker(args) => args.run(),
        }
    }
}

/// Loads a trained net, and says so if training has not come to its end or if nothing is known about it.
fn load(run: &Path, backend: Option<&str>) -> Result<Trained> {
    let trained = Trained::load(run, backend)?;
    let run = run.display();
    match trained.origin {
        Origin::Run | Origin::Imported | Origin::Card => {}
        Origin::Unfinished => say(format!(
            "{run} is not trained to its end: this is its best epoch so far, epoch {}. `lenet train CONFIG --resume` goes on",
            trained.card.epoch.unwrap_or_default()
        )),
        Origin::Unknown => say(format!(
            "warning: {run} does not say how it was trained, as records of older versions do not: it is read as if \
             data.scale had been \"standard\". If it was not, the answers are wrong: give the run's folder instead, or \
             a copy of its model.bpk after `lenet train CONFIG --resume`, which adds what is missing"
        )),
    }
    Ok(trained)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(Error::json("the result"))?;
    print(&format!("{text}\n"))
}

/// Writes a result to standard output. A closed pipe is no error: the reader has seen enough.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("write to", Path::new("standard output"))(e)),
        _ => Ok(()),
    }
}
