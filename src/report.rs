//! What a run measured, as `report.json` stores it.

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    evaluation::{DeadUnits, Evaluation},
    model::LeNet5Config,
    thresholds::Thresholds,
};

/// The version of Burn that this program is built on, as `Cargo.toml` pins it.
const BURN: &str = "0.22.1";

/// Everything that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the run has ended, and how.
    pub status: Status,
    /// The backend that it last ran on.
    pub backend: String,
    /// The backend's device, as the driver names it.
    #[serde(default)]
    pub hardware: String,
    /// The random seed of the parameters, the validation split and the order of the images.
    pub seed: u64,
    /// The versions of this program and of Burn.
    pub versions: Versions,
    /// The names of the classes, by their index; empty in reports of older versions, for the ten digits.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The number of parameters of the net.
    pub parameters: usize,
    /// The number of training images.
    pub train_images: usize,
    /// The number of validation images.
    pub valid_images: usize,
    /// An entry for each epoch, from epoch 1.
    pub epochs: Vec<EpochReport>,
    /// The epoch, from 1, whose parameters are in `model.bpk`.
    pub best_epoch: Option<usize>,
    /// The time that training and validation took, in seconds.
    pub seconds: f64,
    /// The results of the best epoch on the test set.
    pub test: Option<Evaluation>,
    /// The dead units after the best epoch: those that none of the first 1,000 test images activates.
    #[serde(default)]
    pub dead_units: Option<DeadUnits>,
    /// The thresholds that were chosen for this net; `None` if it has not learned what shows no digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
    /// SHA-256 of `model.bpk`.
    pub model_sha256: Option<String>,
    /// SHA-256 of all pixels and labels, if they are not MNIST's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<String>,
    /// The file of another program that the parameters are from, if they were not trained here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<Source>,
    /// The run whose parameters training began with, if they were not random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<Source>,
}

/// Where parameters come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file or the run, as it was named.
    pub path: String,
    /// SHA-256 of the file, or of the run's `model.bpk`.
    pub sha256: String,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not finished: it is running, or its process was killed and it can be resumed.
    Running,
    /// Stopped by a person; it can be resumed.
    Interrupted,
    /// Its loss became infinite or NaN.
    Diverged,
    /// Trained and tested.
    Complete,
}

/// The versions that a run was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This crate.
    pub lenet: String,
    /// Burn.
    pub burn: String,
}

/// Loss and accuracy on a set of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SplitMetrics {
    /// The mean loss of an image: cross-entropy in nats, with the run's label smoothing.
    pub loss: f64,
    /// The fraction of correctly classified images, 0 to 1.
    pub accuracy: f64,
}

/// What was measured in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: usize,
    /// On the training set, during the epoch, while the parameters changed.
    pub train: SplitMetrics,
    /// On the validation set, after the epoch; `None` without a validation set.
    pub valid: Option<SplitMetrics>,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// The time that training and validation took, in seconds.
    pub seconds: f64,
    /// Training images per second, without validation.
    pub images_per_second: f64,
}

impl EpochReport {
    /// The epoch as a line of text; `epochs` is the number of epochs of the whole run.
    #[must_use]
    pub fn in_one_line(&self, epochs: usize) -> String {
        let metrics = |m: &SplitMetrics| format!("loss {:.4} accuracy {:>8}", m.loss, percent(m.accuracy));
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
    /// The report of a run before its first epoch; the config names the classes.
    #[must_use]
    pub fn new(config: &Config, train_images: usize, valid_images: usize) -> Self {
        Self {
            status: Status::Running,
            backend: config.backend.clone(),
            hardware: String::new(),
            seed: config.seed,
            versions: Versions { lenet: env!("CARGO_PKG_VERSION").into(), burn: BURN.into() },
            classes: config.data.classes.clone(),
            parameters: LeNet5Config::new(config.data.classes.len()).parameter_count(),
            train_images,
            valid_images,
            epochs: Vec::new(),
            best_epoch: None,
            seconds: 0.0,
            test: None,
            dead_units: None,
            thresholds: None,
            model_sha256: None,
            data_sha256: None,
            imported_from: None,
            started_from: None,
        }
    }

    /// The metrics of each epoch as CSV with a header. Cells of validation are empty without a validation set.
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

    /// Appends an epoch, and updates which one is the best.
    pub fn push(&mut self, epoch: EpochReport) {
        self.epochs.push(epoch);
        self.update();
    }

    /// Removes the epochs after the first `epochs`, and the results of the test.
    pub fn truncate(&mut self, epochs: usize) {
        self.epochs.truncate(epochs);
        (self.test, self.dead_units, self.thresholds) = (None, None, None);
        self.model_sha256 = None;
        self.update();
    }

    /// Whether none of the last `patience` epochs is the best one; false if `patience` is 0.
    #[must_use]
    pub fn stalled(&self, patience: usize) -> bool {
        patience > 0 && self.best_epoch.is_some_and(|best| self.epochs.len() >= best + patience)
    }

    /// Finds the best epoch: the most accurate one on the validation set; among equals, the one with the lowest loss,
    /// and then the first. Without a validation set it is the last epoch.
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

/// A fraction in percent, for a person to read.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A probability in percent. One that is nearly 0 or 1 is not shown as if it were.
pub(crate) fn probability(probability: f64) -> String {
    match probability {
        p if p > 0.999 => ">99.9 %".into(),
        p if p < 0.001 => "<0.1 %".into(),
        p => format!("{:.1} %", p * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_probability_is_shown_as_certain() {
        let shown = [1.0, 0.9991, 0.999, 0.5, 0.001, 0.0001].map(probability);
        assert_eq!(shown, [">99.9 %", ">99.9 %", "99.9 %", "50.0 %", "0.1 %", "<0.1 %"].map(String::from));
    }

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
    fn the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_then_is_the_first() {
        assert_eq!(report(&[]).best_epoch, None);
        assert_eq!(report(&[Some((0.9, 0.3)), Some((0.8, 0.1))]).best_epoch, Some(1));
        assert_eq!(report(&[Some((0.9, 0.3)), Some((0.9, 0.2)), Some((0.9, 0.2))]).best_epoch, Some(2));
        assert_eq!(report(&[None, None]).best_epoch, Some(2));
    }

    #[test]
    fn the_version_of_burn_is_the_pinned_one() {
        assert!(include_str!("../Cargo.toml").contains(&format!("\nburn = {{ version = \"={BURN}\"")));
    }

    #[test]
    fn a_truncated_report_has_no_test_results() {
        let mut report = report(&[Some((0.8, 0.3)), Some((0.9, 0.2))]);
        report.model_sha256 = Some("sum".into());
        report.truncate(1);
        assert_eq!((report.best_epoch, report.model_sha256, report.seconds), (Some(1), None, 1.0));
    }
}
