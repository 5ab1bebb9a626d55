//! Many runs of one config: all combinations of some hyperparameters, several seeds, and their comparison.

use std::{
    num::NonZeroU16,
    path::{Path, PathBuf},
};

use burn::train::Interrupter;
use serde::Serialize;

use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    config::Config,
    evaluation::DeadUnits,
    files::write_atomically,
    page::{Chart, Legend, Marks, Run, Series, write_comparison},
    report::{Report, Status},
    run::train,
    training::Progress,
};

/// A key of the config, and the values to try for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hyperparameter {
    /// The dotted key.
    pub key: String,
    /// Its values, written as for `--set`.
    pub values: Vec<String>,
}

impl Hyperparameter {
    /// Reads `KEY=VALUE,VALUE`.
    ///
    /// # Errors
    /// The key or a value is empty, or a value is given twice.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |what: &str| Error::Config(format!("--over {text}: {what}"));
        let (key, values) = text
            .split_once('=')
            .ok_or_else(|| fail("expected KEY=VALUE,VALUE, such as optimizer.learning_rate=0.01,0.1"))?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if key.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(fail("a key or a value is empty"));
        }
        if let Some(twice) = values.iter().enumerate().find(|(i, value)| values[..*i].contains(value)) {
            return Err(fail(&format!("the value {} is given twice", twice.1)));
        }
        Ok(Self { key: key.trim().to_owned(), values })
    }

    /// The key without its section.
    fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }
}

/// The runs with one combination of values.
#[derive(Debug, Clone)]
pub struct Point {
    /// A value for each hyperparameter.
    pub values: Vec<String>,
    /// A run for each seed.
    pub runs: Vec<Run>,
}

/// How a measurement is spread over several runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; 0 for a single value.
    pub deviation: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        let [min, max] = [f64::min, f64::max].map(|extreme| values.iter().copied().fold(f64::NAN, extreme));
        (!values.is_empty()).then_some(Self { mean, deviation, min, max })
    }
}

/// The results of a [`Point`]. Diverged runs are counted, and excluded from everything else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointSummary {
    /// A value for each hyperparameter.
    pub values: Vec<String>,
    /// The number of runs.
    pub runs: usize,
    /// The number of diverged runs.
    pub diverged: usize,
    /// The best epoch's accuracy on the validation set, 0 to 1.
    pub valid_accuracy: Option<Spread>,
    /// The accuracy on the test set, 0 to 1.
    pub test_accuracy: Option<Spread>,
    /// The training loss of the last epoch.
    pub train_loss: Option<Spread>,
    /// The fraction of C5's and F6's units that are dead, 0 to 1.
    pub dead_units: Option<Spread>,
    /// The time that training and validation took, in seconds.
    pub seconds: Option<Spread>,
}

impl Point {
    /// Summarizes the runs.
    #[must_use]
    pub fn summary(&self) -> PointSummary {
        let spread = |of: &dyn Fn(&Report) -> Option<f64>| {
            let whole = self.runs.iter().map(|run| &run.report).filter(|report| report.status == Status::Complete);
            Spread::of(&whole.filter_map(of).collect::<Vec<_>>())
        };
        PointSummary {
            values: self.values.clone(),
            runs: self.runs.len(),
            diverged: self.runs.iter().filter(|run| run.report.status == Status::Diverged).count(),
            valid_accuracy: spread(&|r| Some(r.epochs.get(r.best_epoch? - 1)?.valid?.accuracy)),
            test_accuracy: spread(&|r| Some(r.test.as_ref()?.accuracy)),
            train_loss: spread(&|r| Some(r.epochs.last()?.train.loss)),
            dead_units: spread(&|r| r.dead_units.map(DeadUnits::dense)),
            seconds: spread(&|r| Some(r.seconds)),
        }
    }
}

/// The runs of a sweep, to be trained.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The config file.
    pub config: PathBuf,
    /// Overrides for all runs, as `KEY=VALUE`.
    pub overrides: Vec<String>,
    /// The hyperparameters, to be tried in all combinations; with none, only the seeds differ.
    pub grid: Vec<Hyperparameter>,
    /// Train with the seeds from 1 to this number; `None` for the config's own seed.
    pub seeds: Option<NonZeroU16>,
    /// The folder that holds the runs' folders.
    pub folder: PathBuf,
}

/// The results of a sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// A point for each combination of values.
    pub points: Vec<Point>,
    /// The page that compares them.
    pub page: PathBuf,
}

/// The name of a run, and its config.
type Planned = (String, Config);

impl Plan {
    /// Trains a run for each combination of values and each seed, except those that are complete already, and writes
    /// `sweep.html` and `sweep.json`. `tell` is called with a message before each run.
    ///
    /// # Errors
    /// A value is not valid, a run fails in another way than by diverging, or the sweep was interrupted. The same call
    /// continues it.
    pub fn run(&self, progress: Progress, interrupter: &Interrupter, tell: &dyn Fn(&str)) -> Result<Sweep> {
        let plan = self.choices()?;
        let total: usize = plan.iter().map(|(_, runs)| runs.len()).sum();
        let mut done = 0;
        let mut points = Vec::new();
        for (values, planned) in plan {
            let mut runs = Vec::new();
            for (name, config) in planned {
                tell(&format!("run {} of {total}: {name}", done + 1));
                let path = self.folder.join(name.replace(['/', '\\'], "_"));
                run(&config, &path, progress, interrupter).map_err(|error| match error {
                    Error::Interrupted(_) => Error::Interrupted(format!(
                        "interrupted: {done} of {total} runs are done; run the same command to continue"
                    )),
                    other => other,
                })?;
                runs.push(Run { name, colour: points.len(), ..Run::read(&RunDir::open(&path)?)? });
                done += 1;
            }
            points.push(Point { values, runs });
        }
        let page = self.folder.join("sweep.html");
        // Runs that differ only in their seed share a colour.
        let all: Vec<Run> = points.iter().flat_map(|point| point.runs.clone()).collect();
        let keys = self.grid.iter().map(|parameter| parameter.key.as_str()).collect::<Vec<_>>().join(", ");
        let title = if keys.is_empty() { "seed".to_owned() } else { keys };
        write_comparison(&title, &all, &chart(&self.grid, &points).into_iter().collect::<Vec<_>>(), &page)?;
        let summaries: Vec<PointSummary> = points.iter().map(Point::summary).collect();
        let path = self.folder.join("sweep.json");
        let json = serde_json::to_string_pretty(&summaries).map_err(Error::json(path.display()))?;
        write_atomically(&path, json.as_bytes())?;
        Ok(Sweep { points, page })
    }

    /// All combinations of values with their runs. Every config is checked before the first run is trained.
    fn choices(&self) -> Result<Vec<(Vec<String>, Vec<Planned>)>> {
        let grid = &self.grid;
        let mut choices: Vec<Vec<String>> = vec![Vec::new()];
        for parameter in grid {
            choices = choices
                .iter()
                .flat_map(|choice| {
                    parameter.values.iter().map(|value| [&choice[..], std::slice::from_ref(value)].concat())
                })
                .collect();
        }
        let runs = |choice: Vec<String>| {
            let set = grid.iter().zip(&choice).map(|(parameter, value)| format!("{}={value}", parameter.key));
            let config = Config::load(&self.config, &self.overrides.iter().cloned().chain(set).collect::<Vec<_>>())?;
            let parts: Vec<String> =
                grid.iter().zip(&choice).map(|(parameter, value)| format!("{}={value}", parameter.name())).collect();
            let name = |seed: u64| [&parts[..], &[format!("seed={seed}")]].concat().join(",");
            let with_seed = |seed: u64| (name(seed), Config { seed, ..config.clone() });
            let planned = match self.seeds {
                None if parts.is_empty() => vec![with_seed(config.seed)],
                None => vec![(parts.join(","), config.clone())],
                Some(seeds) => (1..=seeds.get()).map(|seed| with_seed(seed.into())).collect(),
            };
            Ok((choice, planned))
        };
        choices.into_iter().map(runs).collect()
    }
}

/// Trains a run, unless it is complete already.
fn run(config: &Config, path: &Path, progress: Progress, interrupter: &Interrupter) -> Result<()> {
    let existing = if RunDir::open(path).is_ok() { Existing::Resume } else { Existing::Refuse };
    if existing == Existing::Resume {
        let there = Run::read(&RunDir::open(path)?);
        // It would only diverge again.
        let same = |run: &Run| run.config == config.with_absolute_folder().with_classes(&run.config.data.classes);
        if there.is_ok_and(|run| same(&run) && run.report.status == Status::Diverged) {
            return Ok(());
        }
    }
    match train(config, path, existing, progress, interrupter) {
        Ok(_) => Ok(()),
        Err(Error::Diverged { .. }) => {
            // The diverging run was stopped through it; the next one must not be.
            interrupter.reset();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The test error against the value of the hyperparameter, if there is only one and its values are numbers.
fn chart(grid: &[Hyperparameter], points: &[Point]) -> Option<Chart> {
    let [only] = grid else { return None };
    let values: Vec<f64> = only.values.iter().map(|value| value.parse().ok()).collect::<Option<_>>()?;
    let error = |accuracy: f64| 1.0 - accuracy;
    let line = |name: &str, colour, points| Series { name: name.into(), colour, points, marks: Marks::Line };
    let mut means = Vec::new();
    let mut each = Vec::new();
    for (value, point) in values.iter().zip(points) {
        means.extend(point.summary().test_accuracy.map(|spread| (*value, error(spread.mean))));
        each.extend(point.runs.iter().filter_map(|run| Some((*value, error(run.report.test.as_ref()?.accuracy)))));
    }
    let (min, max) = values.iter().fold((f64::INFINITY, 0.0_f64), |(min, max), v| (min.min(*v), max.max(*v)));
    let series = vec![line("mean", 0, means), Series { marks: Marks::Dots, ..line("each seed", 1, each) }];
    let log_x = min > 0.0 && max / min > 12.0;
    let y = "test error, mean and each seed";
    Some(Chart { log_x, legend: Legend::None, ..Chart::new("sweep", &only.key, y, true, series) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperparameters_are_read_and_wrong_ones_refused() {
        let parameter = Hyperparameter::parse("optimizer.learning_rate=1e-3, 0.1").unwrap();
        assert_eq!(
            (parameter.name(), &parameter.values[..]),
            ("learning_rate", &["1e-3".to_owned(), "0.1".to_owned()][..])
        );
        for wrong in ["seed", "seed=", "=1", "seed=1,,2", "seed=1,1"] {
            assert_eq!(Hyperparameter::parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn a_spread_has_the_sample_deviation() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0]), Some(Spread { mean: 2.0, deviation: 0.0, min: 2.0, max: 2.0 }));
        let two = Spread { mean: 2.0, deviation: 2.0_f64.sqrt(), min: 1.0, max: 3.0 };
        assert_eq!(Spread::of(&[1.0, 3.0]), Some(two));
    }
}
