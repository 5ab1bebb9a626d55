//! The config file: a TOML schema with every default written down, checked in full before anything is loaded.

mod schedule;
mod source;

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use self::schedule::Schedule;
use crate::{Error, Result, backend};

/// All settings of a run. Every key has a default; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where tensors live and are computed: a name that `lenet backends` lists, perhaps with a device's index as in
    /// `cuda:1`, or `auto`.
    pub backend: String,
    /// Draws the parameters, the validation split and the order of the images.
    pub seed: u64,
    /// What computes the net.
    pub operators: Operators,
    /// `[data]`
    pub data: DataConfig,
    /// `[training]`
    pub training: TrainingConfig,
    /// `[optimizer]`
    pub optimizer: OptimizerConfig,
    /// `[schedule]`
    pub schedule: ScheduleConfig,
    /// `[loss]`
    pub loss: LossConfig,
    /// `[logging]`
    pub logging: LoggingConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: "flex".into(),
            seed: 1,
            operators: Operators::Fused,
            data: DataConfig::default(),
            training: TrainingConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            loss: LossConfig::default(),
            logging: LoggingConfig::default(),
        }
    }
}

/// What computes the net; the results are the same but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operators {
    /// One operator for the whole net, on the CPU backends; elsewhere as [`Operators::Composed`].
    #[default]
    Fused,
    /// Burn's own operators, one for each layer.
    Composed,
}

/// `[data]`: the images to learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A folder with four IDX files, packed or not, of 28x28 images in ten classes; empty: MNIST itself.
    pub folder: PathBuf,
    /// How many images of the training set are held back to choose the best epoch by; 0: the last epoch is taken.
    pub validation: usize,
    /// How many of the remaining images are trained on; 0: all.
    pub train: usize,
    /// How pixels become numbers.
    pub scale: Scale,
}

/// How a pixel's byte becomes the number that the net sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// With MNIST's mean 0 and its standard deviation 1: `(byte / 255 - 0.1307) / 0.3081`.
    #[default]
    Standard,
    /// 0 to 1: `byte / 255`.
    Unit,
    /// 0 to 255: the byte itself.
    Byte,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { folder: PathBuf::new(), validation: 5000, train: 0, scale: Scale::Standard }
    }
}

/// `[training]`: how long, in which portions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// How often every image is seen.
    pub epochs: usize,
    /// Images in a mini-batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Early stopping: end after this many epochs without a better one on the validation set; 0: never.
    pub patience: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self { epochs: 5, batch_size: 64, patience: 0 }
    }
}

/// `[optimizer]`: stochastic gradient descent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// The share of the last step's velocity that is kept, 0 to 1 exclusive; without dampening.
    pub momentum: f64,
    /// Nesterov's variant of momentum.
    pub nesterov: bool,
    /// The factor of the L2 penalty, on weights and biases.
    pub weight_decay: f64,
    /// The largest Euclidean norm of a parameter's gradient, each parameter by itself; 0: no clipping.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { learning_rate: 0.05, momentum: 0.9, nesterov: false, weight_decay: 0.0, clip_norm: 0.0 }
    }
}

/// `[schedule]`: the learning rate from step to step. Source of one-cycle: <https://arxiv.org/abs/1708.07120>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The shape.
    pub kind: ScheduleKind,
    /// The share of the run, 0 to 1, in which the rate first rises in a straight line from 0.
    pub warmup: f64,
    /// The rate at the end as a share of `optimizer.learning_rate`; for `cosine` and `one-cycle`.
    pub end: f64,
    /// Epochs between two drops; for `step`.
    pub step_epochs: usize,
    /// What each drop multiplies the rate by; for `step`.
    pub step_factor: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { kind: ScheduleKind::Constant, warmup: 0.0, end: 0.0, step_epochs: 1, step_factor: 0.1 }
    }
}

/// The shape of the learning rate after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Stays.
    Constant,
    /// Falls as half a cosine.
    Cosine,
    /// Falls in a straight line.
    OneCycle,
    /// Drops by a factor every few epochs.
    Step,
}

/// `[loss]`: softmax with cross-entropy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Whether a mini-batch's gradients are averaged, or summed as in the assignment.
    pub reduction: Reduction,
    /// The share of the target spread evenly over all classes, 0 to 1 exclusive.
    pub label_smoothing: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { reduction: Reduction::Mean, label_smoothing: 0.0 }
    }
}

/// How the losses of a mini-batch become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean: the step does not depend on the batch size.
    Mean,
    /// Their sum.
    Sum,
}

/// `[logging]`: what is written beside a run's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// Each epoch's figures as an event file for TensorBoard.
    pub tensorboard: bool,
}

/// More images than a mini-batch has.
const MOST_IMAGES: usize = 1_000_000;
/// More epochs than anyone trains: steps can then be counted without overflow.
const MOST_EPOCHS: usize = 1_000_000;

/// A value out of its range: the dotted key and what is wrong.
type Fault = (&'static str, String);

impl Config {
    /// Reads a config file, then applies overrides of the form `section.key=value` in their order.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has an unknown key or a wrong value; an override likewise.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        source::load(path, overrides)
    }

    /// The config as TOML with every key written out; reading it back gives the same config.
    ///
    /// # Errors
    /// A path in it is not valid UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(format!("the config cannot be written as TOML: {e}")))
    }

    /// The dotted keys in which two configs differ, with both values: `key: ours -> theirs`.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn differences(&self, other: &Self) -> Result<Vec<(String, String)>> {
        source::differences(self, other)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// The first value out of its range, with its key.
    pub fn validate(&self) -> Result<()> {
        self.fault().map_or(Ok(()), |(key, what)| Err(Error::Config(format!("{key} {what}"))))
    }

    /// The first value out of its range.
    fn fault(&self) -> Option<Fault> {
        let Self { data, training, optimizer, schedule, loss, .. } = self;
        let above_0 = |value: f64| value > 0.0 && value.is_finite();
        let from_0 = |value: f64| value >= 0.0 && value.is_finite();
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        let below_1 = |value: f64| (0.0..1.0).contains(&value);
        let checks = [
            ("backend", backend::check_name(&self.backend).err()),
            ("training.epochs", out_of(1..=MOST_EPOCHS, training.epochs)),
            ("training.patience", out_of(0..=MOST_EPOCHS, training.patience)),
            ("training.batch_size", out_of(1..=MOST_IMAGES, training.batch_size)),
            (
                "training.patience",
                unless(
                    training.patience == 0 || data.validation > 0,
                    "needs a validation set: set data.validation above 0",
                ),
            ),
            ("optimizer.learning_rate", unless(above_0(optimizer.learning_rate), "must be a number above 0")),
            ("optimizer.momentum", unless(below_1(optimizer.momentum), "must be at least 0 and below 1")),
            (
                "optimizer.nesterov",
                unless(
                    !optimizer.nesterov || optimizer.momentum > 0.0,
                    "needs momentum: set optimizer.momentum above 0",
                ),
            ),
            ("optimizer.weight_decay", unless(from_0(optimizer.weight_decay), "must be 0 or above")),
            ("optimizer.clip_norm", unless(from_0(optimizer.clip_norm), "must be 0 (off) or above")),
            ("schedule.warmup", unless(fraction(schedule.warmup), "is a fraction of the run: 0 to 1")),
            ("schedule.end", unless(fraction(schedule.end), "is a fraction of the learning rate: 0 to 1")),
            ("schedule.step_epochs", out_of(1..=MOST_EPOCHS, schedule.step_epochs)),
            ("schedule.step_factor", unless(above_0(schedule.step_factor), "must be above 0")),
            ("loss.label_smoothing", unless(below_1(loss.label_smoothing), "must be at least 0 and below 1")),
        ];
        checks.into_iter().find_map(|(key, what)| Some((key, what?)))
    }
}

/// What is wrong with a number that is outside its range.
fn out_of(range: RangeInclusive<usize>, value: usize) -> Option<String> {
    let (least, most) = (range.start(), range.end());
    (!range.contains(&value)).then(|| match least {
        0 => format!("must be at most {most}"),
        _ => format!("must be {least} to {most}"),
    })
}

fn unless(holds: bool, what: &str) -> Option<String> {
    (!holds).then(|| what.to_owned())
}
