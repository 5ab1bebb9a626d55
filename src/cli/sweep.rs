//! `lenet sweep`.

use std::{
    fmt::Write,
    num::{NonZeroU16, NonZeroUsize},
    path::{Path, PathBuf},
};

use super::{print, print_json, signals::stop_on_signal};
use crate::{
    Error, Result,
    backend::{is_host, select},
    config::Config,
    report::percent,
    sweep::{Hyperparameter, Jobs, Plan, Point, PointSummary, Spread},
    terminal::say,
    training::Progress,
};

#[derive(Debug, clap::Args)]
pub(super) struct SweepArgs {
    /// The config file, such as configs/assignment.toml
    config: PathBuf,
    /// A key and its values, such as optimizer.learning_rate=1e-5,1e-4,1e-3; can be repeated, for all combinations
    #[arg(long, required_unless_present = "seeds", value_name = "KEY=VALUE,VALUE")]
    over: Vec<String>,
    /// Train each combination with the seeds 1 to N [default: the config's seed alone]
    #[arg(long, value_name = "N")]
    seeds: Option<NonZeroU16>,
    /// Set a value of the config for all runs; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder for all runs [default: artifacts/ followed by the config's name and -sweep]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Train so many runs at once, each with its share of the cores [default: as many as there are cores, or 1 on a GPU,
    /// on several devices or with --progress]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// How to show each run's progress
    #[arg(long, value_enum, default_value = "none")]
    progress: Progress,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl SweepArgs {
    pub(super) fn run(self) -> Result<()> {
        let grid = self.over.iter().map(|over| Hyperparameter::parse(over)).collect::<Result<Vec<_>>>()?;
        let stem = self.config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let count = self.jobs()?;
        let folder = self.out.unwrap_or_else(|| Path::new("artifacts").join(format!("{stem}-sweep")));
        let interrupter = stop_on_signal(self.progress)?;
        let (config, overrides, seeds, progress) = (self.config, self.overrides, self.seeds, self.progress);
        let plan = Plan { config, overrides, grid, seeds, folder };
        let Some(sweep) = plan.run(&Jobs { count, progress, interrupter }, &|line| say(line))? else {
            say(
                "other processes still train some of the runs: the last one to end prints the table. If one is stopped, run the \
                 same command again",
            );
            return Ok(());
        };
        let summaries: Vec<_> = sweep.points.iter().map(Point::summary).collect();
        if self.json { print_json(&summaries) } else { print(&table(&plan.grid, &summaries, &sweep.page)) }
    }
}

impl SweepArgs {
    /// How many runs to train at once.
    fn jobs(&self) -> Result<NonZeroUsize> {
        let one = NonZeroUsize::MIN;
        match self.jobs {
            Some(jobs) if jobs > one && self.progress != Progress::None => {
                Err(Error::Usage("--progress shows one run at a time: leave it out, or set --jobs 1".into()))
            }
            Some(jobs) => Ok(jobs),
            None if self.progress != Progress::None => Ok(one),
            None => {
                let config = Config::load(&self.config, &self.overrides)?;
                let device = select(config.main_device())?.device;
                let cores = NonZeroUsize::new(rayon::current_num_threads()).unwrap_or(one);
                Ok(if is_host(&device) && config.devices.len() < 2 { cores } else { one })
            }
        }
    }
}

/// The table of a sweep.
fn table(grid: &[Hyperparameter], points: &[PointSummary], page: &Path) -> String {
    let spread = |spread: Option<Spread>, runs: usize| match spread {
        None => "-".to_owned(),
        // A single run has no deviation.
        Some(s) if runs < 2 => percent(s.mean),
        Some(s) => format!("{} \u{b1} {:.2}", percent(s.mean), s.deviation * 100.0),
    };
    let widths: Vec<usize> = grid
        .iter()
        .map(|parameter| {
            parameter.values.iter().map(String::len).chain([parameter.key.len()]).max().unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for (parameter, width) in grid.iter().zip(&widths) {
        let _ = write!(text, "{:<width$}  ", parameter.key);
    }
    text +=
        "runs  diverged        validation              test    lowest to highest  train loss  dead units  seconds\n";
    for point in points {
        for (value, width) in point.values.iter().zip(&widths) {
            let _ = write!(text, "{value:<width$}  ");
        }
        let loss = point.train_loss.map_or("-".to_owned(), |loss| format!("{:.4}", loss.mean));
        let range = point.test_accuracy.map_or("-".to_owned(), |s| format!("{} to {}", percent(s.min), percent(s.max)));
        let seconds = point.seconds.map_or("-".to_owned(), |seconds| format!("{:.1}", seconds.mean));
        let dead = point.dead_units.map_or("-".to_owned(), |dead| format!("{:.0} %", dead.mean * 100.0));
        let _ = writeln!(
            text,
            "{:>4}  {:>8}  {:>16}  {:>16}  {range:>19}  {loss:>10}  {dead:>10}  {seconds:>7}",
            point.runs,
            point.diverged,
            spread(point.valid_accuracy, point.runs - point.diverged),
            spread(point.test_accuracy, point.runs - point.diverged),
        );
    }
    let _ = writeln!(text, "the comparison is at {}", page.display());
    text
}
