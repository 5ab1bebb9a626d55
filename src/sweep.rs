//! Many runs of one config: all combinations of some hyperparameters, several seeds, and their comparison.

mod jobs;
mod summary;

use std::{num::NonZeroU16, path::PathBuf};

use self::jobs::Planned;
pub use self::{
    jobs::Jobs,
    summary::{PointSummary, Spread},
};
use crate::{
    Error, Result,
    artifacts::RunDir,
    config::Config,
    files::write_atomically,
    page::{Chart, Legend, Marks, Run, Series, write_comparison},
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

/// A combination of values, and the names and configs of its runs.
type Choice = (Vec<String>, Vec<(String, Config)>);

impl Plan {
    /// Trains a run for each combination of values and each seed, except those that are complete already or that another
    /// process trains, and writes `sweep.html` and `sweep.json`. Several processes may do so at the same time, on machines
    /// that share the folder. `tell` is called with a message before each run.
    ///
    /// `None` if other processes still train some of the runs: the last of them to end writes the files.
    ///
    /// # Errors
    /// A value is not valid, a run fails in another way than by diverging, or the sweep was interrupted. The same call
    /// continues it.
    pub fn run(&self, jobs: &Jobs, tell: &(dyn Fn(&str) + Sync)) -> Result<Option<Sweep>> {
        let choices = self.choices()?;
        let path = |name: &str| self.folder.join(name.replace(['/', '\\'], "_"));
        let planned = choices.iter().flat_map(|(_, runs)| runs);
        let runs = planned.map(|(name, config)| Planned { name: name.clone(), path: path(name), config }).collect();
        if !jobs.train(runs, tell)? {
            return Ok(None);
        }
        let mut points: Vec<Point> = Vec::new();
        for (values, named) in &choices {
            // Runs that differ only in their seed share a colour.
            let colour = points.len();
            let read = |(name, _): &(String, Config)| {
                Ok(Run { name: name.clone(), colour, ..Run::read(&RunDir::open(&path(name))?)? })
            };
            points.push(Point { values: values.clone(), runs: named.iter().map(read).collect::<Result<_>>()? });
        }
        self.write(points).map(Some)
    }

    /// Writes the files that compare the runs.
    fn write(&self, points: Vec<Point>) -> Result<Sweep> {
        let page = self.folder.join("sweep.html");
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
    fn choices(&self) -> Result<Vec<Choice>> {
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
}
