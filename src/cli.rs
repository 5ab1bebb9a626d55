//! The commands. Results go to standard output, progress and errors to standard error.

#![expect(clippy::doc_markdown, reason = "these comments are the help texts, which are not Markdown")]

mod devices;
mod text;

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use burn::train::Interrupter;
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    config::Config,
    data::Splits,
    evaluation::evaluate,
    files::write_atomically,
    inference::Trained,
    page::{self, Run},
    run::train,
    sweep::{Axis, Plan, Point},
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
    /// Measure a trained net on labelled pictures
    Evaluate(EvaluateArgs),
    /// Read pictures of digits with a trained net
    Predict(PredictArgs),
    /// Write a run as a page, or several beside one another
    Report(ReportArgs),
    /// Train a config with other values of some keys, and compare
    Sweep(SweepArgs),
    /// Measure the speed of training and reading on each device
    Bench {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the backends and the devices that are there
    Backends {
        /// Measure the speed of training on each device
        #[arg(long)]
        measure: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct TrainArgs {
    /// The config file, such as configs/lenet.toml
    config: PathBuf,
    /// Set a value of the config, such as optimizer.learning_rate=0.1; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Short for --set backend=NAME
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// The run's folder [default: artifacts/ and the config's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run that is in the folder
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Replace the run that is in the folder
    #[arg(long)]
    force: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t)]
    progress: Progress,
    /// Show no progress and no summary
    #[arg(long, short, conflicts_with = "progress")]
    quiet: bool,
}

#[derive(Debug, clap::Args)]
struct EvaluateArgs {
    /// The run's folder, or a model.bpk
    run: PathBuf,
    /// Which of the run's pictures
    #[arg(long, value_enum, default_value_t)]
    split: Split,
    /// Where to compute [default: where it was trained]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct PredictArgs {
    /// The run's folder, or a model.bpk
    run: PathBuf,
    /// PNG, JPEG, BMP, GIF or PNM files, each of one digit
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// How many digits to name for each picture, the likeliest first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    top: u8,
    /// Where to compute [default: where it was trained]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// The runs' folders
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page [default: report.html in the run's folder; comparison.html here for several]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the charts as SVG files into a folder as well
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct SweepArgs {
    /// The config file, such as configs/report.toml
    config: PathBuf,
    /// A key and its values, such as optimizer.learning_rate=1e-5,1e-4,1e-3; may be repeated for all combinations
    #[arg(long, required = true, value_name = "KEY=VALUE,VALUE")]
    over: Vec<String>,
    /// Train each with so many seeds, from 1 on [default: the config's seed]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    seeds: u16,
    /// Set a value of the config for all runs; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder of all runs [default: artifacts/, the config's name and -sweep]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to show each run's progress
    #[arg(long, value_enum, default_value = "none")]
    progress: Progress,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Split {
    /// Learned from
    Train,
    /// Held back to choose the best epoch
    Valid,
    /// Never seen in training
    #[default]
    Test,
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
            Command::Bench { json } => devices::bench(json),
            Command::Backends { measure, json } => devices::backends(measure, json),
        }
    }
}

impl TrainArgs {
    fn run(self) -> Result<()> {
        let overrides: Vec<String> =
            self.overrides.into_iter().chain(self.backend.map(|name| format!("backend={name}"))).collect();
        let config = Config::load(&self.config, &overrides)?;
        let folder = match (self.out, self.config.file_stem()) {
            (Some(out), _) => out,
            (None, Some(stem)) => Path::new("artifacts").join(stem),
            (None, None) => return Err(Error::Run("the config's name gives no folder name; use --out DIR".into())),
        };
        let existing = match (self.resume, self.force) {
            (true, _) => Existing::Resume,
            (_, true) => Existing::Replace,
            _ => Existing::Refuse,
        };
        let progress = if self.quiet { Progress::None } else { self.progress };
        let report = train(&config, &folder, existing, progress, &stop_on_signal(progress)?)?;
        if self.quiet {
            return Ok(());
        }
        if progress.resolve() == Progress::Dashboard {
            // The dashboard took its figures with it.
            for epoch in &report.epochs {
                say(epoch.in_one_line(config.training.epochs));
            }
        }
        print(&text::training(&report, &folder))
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

impl EvaluateArgs {
    fn run(self) -> Result<()> {
        let trained = Trained::load(&self.run, self.backend.as_deref())?;
        if !trained.of_a_run && !matches!(self.split, Split::Test) {
            return Err(Error::Run(format!(
                "{} is not in a run's folder, so nobody knows which pictures it learned from; name the run's folder",
                self.run.display()
            )));
        }
        if !trained.of_a_run {
            say(format!("{} is not in a run's folder: it is measured on MNIST", self.run.display()));
        }
        let splits = Splits::load(&trained.config)?;
        let (name, set) = match self.split {
            Split::Train => ("train", &splits.train),
            Split::Valid => ("valid", &splits.valid),
            Split::Test => ("test", &splits.test),
        };
        let evaluation = evaluate(&trained.net, set, &trained.device)?;
        if self.json { print_json(&evaluation) } else { print(&text::evaluation(name, &evaluation, set)) }
    }
}

impl PredictArgs {
    fn run(self) -> Result<()> {
        let trained = Trained::load(&self.run, self.backend.as_deref())?;
        let results = trained.read(&self.pictures)?;
        let failed = results.iter().filter(|result| result.is_err()).count();
        let mut lines = String::new();
        let mut entries = Vec::new();
        for (path, result) in self.pictures.iter().zip(results) {
            match result {
                Ok(mut reading) => {
                    reading.ranking.truncate(self.top.into());
                    lines += &text::reading(&reading);
                    entries.push(json!(reading));
                }
                Err(error) => {
                    say(format!("error: {error}"));
                    entries.push(json!({ "path": path.to_string_lossy(), "error": error.to_string() }));
                }
            }
        }
        if self.json {
            print_json(&entries)?;
        } else {
            print(&lines)?;
        }
        if failed == 0 { Ok(()) } else { Err(Error::SomePictures { failed, total: self.pictures.len() }) }
    }
}

impl ReportArgs {
    fn run(self) -> Result<()> {
        let dirs = self.runs.iter().map(|path| RunDir::open(path)).collect::<Result<Vec<_>>>()?;
        let read = |(colour, dir)| Ok(Run { colour, ..Run::read(dir)? });
        let runs = dirs.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let (charts, path) = if let ([dir], [run]) = (&dirs[..], &runs[..]) {
            let path = self.out.unwrap_or_else(|| dir.page());
            page::write_single(dir, &path, None)?;
            (run.charts(), path)
        } else {
            let path = self.out.unwrap_or_else(|| "comparison.html".into());
            page::write_comparison("Comparison", &runs, &[], &path)?;
            (page::comparison_charts(&runs), path)
        };
        let mut written = format!("{}\n", path.display());
        if let Some(folder) = self.svg {
            std::fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
            for chart in charts {
                let path = folder.join(format!("{}.svg", chart.name));
                write_atomically(&path, chart.standalone()?.as_bytes())?;
                written = written + &path.display().to_string() + "\n";
            }
        }
        print(&written)
    }
}

impl SweepArgs {
    fn run(self) -> Result<()> {
        let axes = self.over.iter().map(|over| Axis::parse(over)).collect::<Result<Vec<_>>>()?;
        let stem = self.config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = self.out.unwrap_or_else(|| Path::new("artifacts").join(format!("{stem}-sweep")));
        let interrupter = stop_on_signal(self.progress)?;
        let (config, overrides, seeds) = (self.config, self.overrides, self.seeds.into());
        let plan = Plan { config, overrides, axes, seeds, folder };
        let sweep = plan.run(self.progress, &interrupter, &|line| say(line))?;
        let summaries: Vec<_> = sweep.points.iter().map(Point::summary).collect();
        if self.json { print_json(&summaries) } else { print(&text::sweep(&plan.axes, &summaries, &sweep.page)) }
    }
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
