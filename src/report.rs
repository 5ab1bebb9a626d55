//! The figures of a run, as `report.json` keeps them.

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    evaluation::{DeadUnits, Evaluation},
    model::PARAMETERS,
};

/// The version of Burn that this program is built on, as `Cargo.toml` pins it.
const BURN: &str = "0.22.1";

/// Everything that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How the run ended, or that it has not.
    pub status: Status,
    /// The backend it ran on last.
    pub backend: String,
    /// Its device, as the driver calls it.
    #[serde(default)]
    pub hardware: String,
    /// What drew the parameters and the order of the images.
    pub seed: u64,
    /// Of this program and of Burn.
    pub versions: Versions,
    /// Numbers that are learned.
    pub parameters: usize,
    /// Images learned from in each epoch.
    pub train_images: usize,
    /// Images that choose the best epoch.
    pub valid_images: usize,
    /// One entry an epoch, from epoch 1.
    pub epochs: Vec<EpochReport>,
    /// The epoch whose parameters are in `model.bpk`, from 1.
    pub best_epoch: Option<usize>,
    /// Training time of all epochs, validation included, in seconds.
    pub seconds: f64,
    /// The best epoch on the test set.
    pub test: Option<Evaluation>,
    /// The units of the best epoch that no image of the test set wakes.
    #[serde(default)]
    pub dead_units: Option<DeadUnits>,
    /// SHA-256 of `model.bpk`.
    pub model_sha256: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It has not, or its process was killed: resumable.
    Running,
    /// Stopped by a person: resumable.
    Interrupted,
    /// The loss became infinite or not a number.
    Diverged,
    /// Trained and tested.
    Complete,
}

/// What a run was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This crate.
    pub lenet: String,
    /// Burn.
    pub burn: String,
}

/// Loss and accuracy on one set of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SplitMetrics {
    /// Mean loss of an image: cross-entropy in nats, with label smoothing where the run has it.
    pub loss: f64,
    /// The share read rightly, 0 to 1.
    pub accuracy: f64,
}

/// One epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: usize,
    /// Over the epoch, while the parameters changed.
    pub train: SplitMetrics,
    /// After the epoch; none without a validation set.
    pub valid: Option<SplitMetrics>,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Training and validation, in seconds.
    pub seconds: f64,
    /// Images learned from in a second, validation left out.
    pub images_per_second: f64,
}

impl EpochReport {
    /// The epoch in one line, `epochs` being those of the whole run.
    #[must_use]
    pub fn in_one_line(&self, epochs: usize) -> String {
        let metrics = |m: &SplitMetrics| format!("loss {:.4} accuracy {:6.2} %", m.loss, m.accuracy * 100.0);
        let valid = self.valid.as_ref().map_or(String::new(), |v| format!(" | valid {}", metrics(v)));
        format!(
            "epoch {:>2}/{epochs} | train {}{valid} | {:.1} s, {:.0} images/s",
            self.epoch,
            metrics(&self.train),
            self.seconds,
            self.images_per_second,
        )
    }
}

impl Report {
    /// The report of a run that has not begun.
    #[must_use]
    pub fn new(config: &Config, train_images: usize, valid_images: usize) -> Self {
        Self {
            status: Status::Running,
            backend: config.backend.clone(),
            hardware: String::new(),
            seed: config.seed,
            versions: Versions { lenet: env!("CARGO_PKG_VERSION").into(), burn: BURN.into() },
            parameters: PARAMETERS,
            train_images,
            valid_images,
            epochs: Vec::new(),
            best_epoch: None,
            seconds: 0.0,
            test: None,
            dead_units: None,
            model_sha256: None,
        }
    }

    /// The figures of each epoch as CSV with a header; what there is not is left empty.
    #[must_use]
    pub fn metrics_csv(&self) -> String {
        let header =
            "epoch,train_loss,train_accuracy,valid_loss,valid_accuracy,learning_rate,seconds,images_per_second\n";
        let row = |e: &EpochReport| {
            let valid = e.valid.map_or(",".to_owned(), |v| format!("{},{}", v.loss, v.accuracy));
            let (loss, accuracy) = (e.train.loss, e.train.accuracy);
            format!("{},{loss},{accuracy},{valid},{},{},{}\n", e.epoch, e.learning_rate, e.seconds, e.images_per_second)
        };
        self.epochs.iter().fold(header.to_owned(), |csv, epoch| csv + &row(epoch))
    }

    /// Appends an epoch, and finds the best one anew.
    pub fn push(&mut self, epoch: EpochReport) {
        self.epochs.push(epoch);
        self.update();
    }

    /// Forgets what came after an epoch.
    pub fn truncate(&mut self, epochs: usize) {
        self.epochs.truncate(epochs);
        (self.test, self.dead_units) = (None, None);
        self.model_sha256 = None;
        self.update();
    }

    /// Whether the last `patience` epochs brought no better one; never with a patience of 0.
    #[must_use]
    pub fn stalled(&self, patience: usize) -> bool {
        patience > 0 && self.best_epoch.is_some_and(|best| self.epochs.len() >= best + patience)
    }

    /// The best epoch: the most accurate on the validation set, of equals the one with the lower loss, of equals the
    /// first; without a validation set the last.
    fn update(&mut self) {
        self.seconds = self.epochs.iter().map(|e| e.seconds).sum();
        let mut best: Option<&EpochReport> = None;
        for epoch in &self.epochs {
            let better = match (best.and_then(|b| b.valid), epoch.valid) {
                (Some(b), Some(e)) => (e.accuracy, -e.loss) > (b.accuracy, -b.loss),
                _ => true,
            };
            if better {
                best = Some(epoch);
            }
        }
        self.best_epoch = best.map(|b| b.epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(valid: &[Option<(f64, f64)>]) -> Report {
        let mut report = Report::new(&Config::default(), 1, 1);
        for (i, valid) in valid.iter().enumerate() {
            report.push(EpochReport {
                epoch: i + 1,
                train: SplitMetrics { loss: 1.0, accuracy: 0.5 },
                valid: valid.map(|(accuracy, loss)| SplitMetrics { loss, accuracy }),
                learning_rate: 0.1,
                seconds: 1.0,
                images_per_second: 1.0,
            });
        }
        report
    }

    #[test]
    fn the_best_epoch_is_the_most_accurate_then_the_surest_then_the_first() {
        assert_eq!(report(&[]).best_epoch, None);
        assert_eq!(report(&[Some((0.9, 0.3)), Some((0.8, 0.1))]).best_epoch, Some(1));
        assert_eq!(report(&[Some((0.9, 0.3)), Some((0.9, 0.2)), Some((0.9, 0.2))]).best_epoch, Some(2));
        assert_eq!(report(&[None, None]).best_epoch, Some(2));
    }

    #[test]
    fn a_shortened_report_forgets_the_test() {
        let mut report = report(&[Some((0.8, 0.3)), Some((0.9, 0.2))]);
        report.model_sha256 = Some("sum".into());
        report.truncate(1);
        assert_eq!((report.best_epoch, report.model_sha256, report.seconds), (Some(1), None, 1.0));
    }
}
