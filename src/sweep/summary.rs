//! The results of the runs of a sweep, summarized.

use serde::Serialize;

use super::Point;
use crate::{
    evaluation::DeadUnits,
    report::{Report, Status},
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_sample_deviation() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0]), Some(Spread { mean: 2.0, deviation: 0.0, min: 2.0, max: 2.0 }));
        let two = Spread { mean: 2.0, deviation: 2.0_f64.sqrt(), min: 1.0, max: 3.0 };
        assert_eq!(Spread::of(&[1.0, 3.0]), Some(two));
    }
}
