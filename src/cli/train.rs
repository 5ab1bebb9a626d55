//! `lenet train`.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use super::{print, signals::stop_on_signal};
use crate::{
    Error, Result,
    advice::advice,
    artifacts::{Existing, RunDir},
    config::Config,
    evaluation::Evaluation,
    report::{Report, percent},
    run::train,
    terminal::say,
    training::Progress,
};

#[derive(Debug, clap::Args)]
pub(super) struct TrainArgs {
    /// The config file, such as configs/lenet.toml
    config: PathBuf,
    /// Set a value of the config, such as optimizer.learning_rate=0.1; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Train on one device: short for --set backend=NAME --set devices=[]
    #[arg(long, value_name = "NAME", conflicts_with = "devices")]
    backend: Option<String>,
    /// Train on several devices, such as cuda:0,cuda:1, that share each mini-batch: short for --set devices=[…]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', overrides_with = "devices")]
    devices: Vec<String>,
    /// Short for --set data.folder=DIR; with --resume, where the run's images are now
    #[arg(long, value_name = "DIR", overrides_with = "data")]
    data: Option<PathBuf>,
    /// Begin with the parameters of a run, or of `pretrained`: short for --set training.from=RUN
    #[arg(long, value_name = "RUN")]
    from: Option<String>,
    /// The run's folder [default: artifacts/ followed by the config's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in the folder
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Replace the run in the folder
    #[arg(long)]
    force: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t)]
    progress: Progress,
    /// Show no progress and no summary
    #[arg(long, short, conflicts_with = "progress")]
    quiet: bool,
}

impl TrainArgs {
    pub(super) fn run(self) -> Result<()> {
        let backend = self.backend.map(|name| [format!("backend={name}"), "devices=[]".to_owned()]);
        let from = self.from.map(|run| format!("training.from={run}"));
        let overrides: Vec<String> =
            self.overrides.into_iter().chain(backend.into_iter().flatten()).chain(from).collect();
        let mut config = Config::load(&self.config, &overrides)?;
        if !self.devices.is_empty() {
            config.devices = self.devices;
            config.validate()?;
        }
        if let Some(data) = self.data {
            config.data.folder = data;
        }
        let folder = match (self.out, self.config.file_stem()) {
            (Some(out), _) => out,
            (None, Some(stem)) => Path::new("artifacts").join(stem),
            (None, None) => {
                return Err(Error::Run("no folder name can be derived from the config's name; use --out DIR".into()));
            }
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
            // The dashboard is gone, and what it showed with it.
            for epoch in &report.epochs {
                say(epoch.in_one_line(config.training.epochs));
            }
        }
        print(&summary(&report, &RunDir::open(&folder)?))?;
        if let Some(advice) = advice(&config, &report) {
            say(advice);
        }
        Ok(())
    }
}

/// A net's results on the test set in a few words.
pub(super) fn on_test_images(test: &Evaluation) -> String {
    format!(
        "test accuracy {}: {} misses of {} images, loss {:.4}",
        percent(test.accuracy),
        test.misses,
        test.images,
        test.loss
    )
}

/// The summary after training.
fn summary(report: &Report, run: &RunDir) -> String {
    let mut text = String::new();
    if let (Some(best), Some(test)) = (report.best_epoch, &report.test) {
        let by = if report.valid_images > 0 { "the best on the validation set" } else { "the last" };
        let _ = writeln!(text, "{} (epoch {best} of {}, {by})", on_test_images(test), report.epochs.len());
    }
    let per_epoch = report.seconds / report.epochs.len().max(1) as f64;
    let _ = writeln!(text, "trained in {:.1} s on {}, {per_epoch:.1} s per epoch", report.seconds, report.backend);
    let _ = write!(text, "the run is in {}", run.path().display());
    if run.page().exists() {
        let _ = write!(text, ", its page is {}", run.page().display());
    }
    text.push('\n');
    text
}
