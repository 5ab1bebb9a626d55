//! The config file: its TOML schema, the defaults, and the checks that run before anything is loaded.

mod schedule;
mod source;
mod values;

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use self::{
    schedule::Schedule,
    values::{Frame, Portion, Switch},
};
use crate::{Error, Result, backend, files::text};

/// How many classes a net may have; labels are bytes.
pub const CLASSES: RangeInclusive<usize> = 2..=256;

/// All settings of a run. Every key has a default; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to compute: a name that `lenet backends` lists, optionally with a device index as in `cuda:1`, or `auto`.
    pub backend: String,
    /// The devices that share each mini-batch, such as `["cuda:0", "cuda:1"]`; empty for the one of `backend`.
    pub devices: Vec<String>,
    /// The random seed of the parameters, the validation split and the order of the images.
    pub seed: u64,
    /// Which operators compute the net.
    pub operators: Operators,
    /// `[data]`
    pub data: DataConfig,
    /// `[augmentation]`
    pub augmentation: AugmentationConfig,
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
            devices: Vec::new(),
            seed: 1,
            operators: Operators::Fused,
            data: DataConfig::default(),
            augmentation: AugmentationConfig::default(),
            training: TrainingConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            loss: LossConfig::default(),
            logging: LoggingConfig::default(),
        }
    }
}

/// Which operators compute the net; results differ only by rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operators {
    /// One operator for the whole net on the CPU backends; elsewhere the same as [`Operators::Composed`].
    #[default]
    Fused,
    /// Burn's own operators, one for each layer.
    Composed,
}

/// `[data]`: the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A folder with a folder of pictures for each class, or with IDX, CSV or npz files, of 2 to 256 classes; or such a file;
    /// empty for MNIST. Of IDX files, the last part may be what their names begin with.
    pub folder: PathBuf,
    /// How pictures become images of 28x28 pixels, in training and later. The images of IDX, CSV and npz files are framed
    /// already.
    pub frame: Frame,
    /// Whether rows and columns of the images are exchanged, as EMNIST needs it. Pictures in class folders are upright.
    pub transpose: Switch,
    /// Whether dark and light are exchanged: the net expects a light foreground on a dark background. Pictures that are
    /// framed as digits have it in any case.
    pub invert: Switch,
    /// The names of the classes; empty for those of the data. The config of a run has them in any case.
    pub classes: Vec<String>,
    /// How many of all images are held back for testing, if the data have no test images of their own.
    pub test: Portion,
    /// How many of the other images are held back to choose the best epoch, if the data have no validation images of their
    /// own; with 0, the last epoch is taken.
    pub validation: Portion,
    /// How many of the remaining images to train on; 0 for all.
    pub train: usize,
    /// How pixels are scaled.
    pub scale: Scale,
    /// Generated images without a digit that are added to each mini-batch, as a fraction of its size; 0 for none.
    pub negatives: f64,
}

/// How a pixel, 0 to 255, is scaled for the net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// MNIST standardized to mean 0 and standard deviation 1: `(byte / 255 - 0.1307) / 0.3081`.
    #[default]
    Standard,
    /// From 0 to 1: `byte / 255`.
    Unit,
    /// From 0 to 255: the byte itself.
    Byte,
}

impl Scale {
    /// Its name in a config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Unit => "unit",
            Self::Byte => "byte",
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            frame: Frame::Auto,
            transpose: Switch::Auto,
            invert: Switch::Auto,
            classes: Vec::new(),
            test: Portion::Share(0.15),
            validation: Portion::Count(5000),
            train: 0,
            scale: Scale::Standard,
            negatives: 0.0,
        }
    }
}

/// `[augmentation]`: each training image is shown as another variant in each epoch. Each value is drawn evenly from its
/// range, of which the largest value is given here; 0 turns it off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentationConfig {
    /// The largest rotation in either direction, in degrees.
    pub rotation: f64,
    /// The natural logarithm of the largest factor by which an image grows or shrinks: about the largest relative change.
    pub scale: f64,
    /// The natural logarithm of the largest factor by which it is stretched in width and compressed in height, or the
    /// other way round.
    pub aspect: f64,
    /// The largest slant to either side: columns for each row.
    pub shear: f64,
    /// The largest shift in each direction, in pixels.
    pub shift: f64,
    /// The largest standard deviation of each pixel's displacement by elastic distortion, in pixels.
    pub elastic: f64,
    /// How far strokes get thicker and thinner: at most to their dilation and erosion by a cross of 3x3 pixels (1).
    pub thickness: f64,
    /// The fraction of 1s, 7s and 9s that are written as in Europe: with an upstroke, crossed, hooked.
    pub styles: f64,
}

impl AugmentationConfig {
    /// Each range: its dotted key, its largest allowed value, and itself.
    fn ranges(&mut self) -> [(&'static str, f64, &mut f64); 8] {
        let Self { rotation, scale, aspect, shear, shift, elastic, thickness, styles } = self;
        [
            ("augmentation.rotation", 180.0, rotation),
            ("augmentation.scale", 1.0, scale),
            ("augmentation.aspect", 1.0, aspect),
            ("augmentation.shear", 2.0, shear),
            ("augmentation.shift", 28.0, shift),
            ("augmentation.elastic", 10.0, elastic),
            ("augmentation.thickness", 1.0, thickness),
            ("augmentation.styles", 1.0, styles),
        ]
    }

    /// The same with one range, given as `KEY=RANGE`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn with(mut self, entry: &str) -> std::result::Result<Self, String> {
        let (key, range) = entry.split_once('=').ok_or("expected KEY=RANGE, such as rotation=15")?;
        let name = |key: &'static str| key.trim_start_matches("augmentation.");
        let names = self.ranges().map(|(key, ..)| name(key)).join(", ");
        let Some((_, max, slot)) = self.ranges().into_iter().find(|(known, ..)| name(known) == key.trim()) else {
            return Err(format!("there is no range `{}`; there are: {names}", key.trim()));
        };
        let range = range.trim().parse().map_err(|_| format!("`{}` is not a number", range.trim()))?;
        *slot = range;
        above(max, range).map_or(Ok(self), Err)
    }
}

/// `[training]`: how long to train, in mini-batches of what size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in a mini-batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Early stopping: stop after this many epochs without a better one on the validation set; 0 for never.
    pub patience: usize,
    /// The run whose parameters training begins with: its folder, its `model.bpk` or `pretrained`; empty for random ones.
    pub from: PathBuf,
    /// How much an image of a class counts in the loss.
    pub class_weights: ClassWeights,
}

/// How much an image of a class counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// The same for all classes.
    #[default]
    None,
    /// The less, the more images the class has, so that each class counts the same.
    Balanced,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self { epochs: 5, batch_size: 64, patience: 0, from: PathBuf::new(), class_weights: ClassWeights::None }
    }
}

/// `[optimizer]`: stochastic gradient descent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The highest learning rate of the schedule.
    pub learning_rate: f64,
    /// The fraction of the previous step's velocity that is kept, from 0 to below 1; without dampening.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// The factor of the L2 penalty on weights and biases.
    pub weight_decay: f64,
    /// The largest Euclidean norm of a gradient, for each parameter tensor by itself; 0 for no clipping.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { learning_rate: 0.05, momentum: 0.9, nesterov: false, weight_decay: 0.0, clip_norm: 0.0 }
    }
}

/// `[schedule]`: how the learning rate changes during training.
///
/// Source of one-cycle: <https://arxiv.org/abs/1708.07120>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The shape of the schedule.
    pub kind: ScheduleKind,
    /// The fraction of the run, 0 to 1, during which the rate rises linearly from 0.
    pub warmup: f64,
    /// The rate at the end, as a fraction of `optimizer.learning_rate`; for `cosine` and `one-cycle`.
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
    /// Stays the same.
    Constant,
    /// Falls along half a cosine.
    Cosine,
    /// Falls linearly.
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
    /// The fraction of the target that is spread evenly over all classes, from 0 to below 1.
    pub label_smoothing: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { reduction: Reduction::Mean, label_smoothing: 0.0 }
    }
}

/// How the losses of a mini-batch are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean, so that the step does not depend on the batch size.
    Mean,
    /// Their sum.
    Sum,
}

/// `[logging]`: what is written in addition to a run's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// Whether to write each epoch's metrics to an event file for TensorBoard.
    pub tensorboard: bool,
}

/// The largest batch size accepted.
const MAX_BATCH_SIZE: usize = 1_000_000;
/// The most epochs accepted, so that step counts cannot overflow.
const MAX_EPOCHS: usize = 1_000_000;

/// A value that is out of range: its dotted key, and what is wrong with it.
type Fault = (&'static str, String);

impl Config {
    /// Reads a config file in UTF-8 or UTF-16, and applies overrides of the form `section.key=value` in their order.
    ///
    /// # Errors
    /// The file cannot be read or is not valid TOML, or there is an unknown key or a wrong value in it or in an
    /// override.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::Config(source::complaint_about_folder(path)));
        }
        let bytes = std::fs::read(path).map_err(Error::io("read the config", path))?;
        let text = text(bytes).map_err(|what| Error::Config(format!("{}: {what}", path.display())))?;
        Self::parse(&text, path, overrides)
    }

    /// Reads the text of a config file, and applies overrides as [`Config::load`] does.
    ///
    /// # Errors
    /// The same.
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Self> {
        source::parse(text, path, overrides)
    }

    /// The name of the device that the net is on: the first of `devices`, or else `backend`.
    #[must_use]
    pub fn main_device(&self) -> &str {
        self.devices.first().unwrap_or(&self.backend)
    }

    /// The name of the device to use a trained net on: the main one, or whichever is here if that is another machine's.
    pub(crate) fn own_device(&self) -> &str {
        let main = self.main_device();
        if backend::base_name(main) == backend::REMOTE { backend::AUTO } else { main }
    }

    /// The config as TOML with every key written out; reading that back gives the same config.
    ///
    /// # Errors
    /// A path in it is not valid UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(format!("the config cannot be written as TOML: {e}")))
    }

    /// The same config with an absolute `data.folder`, so that a run finds its images from anywhere.
    #[must_use]
    pub fn with_absolute_folder(&self) -> Self {
        let mut config = self.clone();
        // A path that is not UTF-8 could not be written as TOML.
        if let Ok(folder) = std::path::absolute(&self.data.folder)
            && folder.to_str().is_some()
        {
            config.data.folder = folder;
        }
        config
    }

    /// The text of a run's `config.toml`.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub(crate) fn to_file(&self) -> Result<String> {
        Ok(format!("# The settings of this run, including the defaults.\n\n{}", self.to_toml()?))
    }

    /// The dotted keys in which two configs differ, each with both values as `ours -> theirs`.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn differences(&self, other: &Self) -> Result<Vec<(String, String)>> {
        source::differences(self, other)
    }

    /// The same config with what another one on the same data says about them, where this one leaves it open.
    #[must_use]
    pub fn with_found(mut self, found: &DataConfig) -> Self {
        let data = &mut self.data;
        data.frame = data.frame.or(found.frame);
        for (ours, theirs) in [(&mut data.transpose, found.transpose), (&mut data.invert, found.invert)] {
            if *ours == Switch::Auto {
                *ours = theirs;
            }
        }
        self.with_classes(&found.classes)
    }

    /// The same config with the names of the classes that it leaves open, and without what versions did not do that left
    /// `data.frame`, `data.transpose` and `data.invert` open.
    #[must_use]
    pub(crate) fn of_older_run(self, names: &[String]) -> Self {
        if self.data.folder == Path::new("") {
            return self.with_classes(names);
        }
        let (transpose, invert) = (Switch::Off, Switch::Off);
        self.with_found(&DataConfig {
            frame: Frame::Digit,
            transpose,
            invert,
            classes: names.to_vec(),
            ..DataConfig::default()
        })
    }

    /// The same config with names for the classes, unless it has some.
    #[must_use]
    pub fn with_classes(mut self, names: &[String]) -> Self {
        if self.data.classes.is_empty() {
            self.data.classes = names.to_vec();
        }
        self
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// A value is out of range: the message names the first one's key.
    pub fn validate(&self) -> Result<()> {
        self.fault().map_or(Ok(()), |(key, what)| Err(Error::Config(format!("{key} {what}"))))
    }

    /// The first value that is out of range.
    fn fault(&self) -> Option<Fault> {
        let Self { devices, data, augmentation, training, optimizer, schedule, loss, .. } = self;
        let above_0 = |value: f64| value > 0.0 && value.is_finite();
        let from_0 = |value: f64| value >= 0.0 && value.is_finite();
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        let below_1 = |value: f64| (0.0..1.0).contains(&value);
        let checks = [
            ("backend", backend::check_name(&self.backend).err()),
            ("devices", fault_of_devices(devices)),
            ("data.classes", fault_of_names(&data.classes)),
            ("data.negatives", unless(fraction(data.negatives), "is a fraction of the mini-batch: 0 to 1")),
            (
                "data.negatives",
                unless(data.negatives == 0.0 || self.operators == Operators::Fused, "needs operators = \"fused\""),
            ),
            (
                "training.class_weights",
                unless(
                    data.negatives == 0.0 || training.class_weights == ClassWeights::None,
                    "cannot be set together with data.negatives, whose images have no class",
                ),
            ),
            ("data.negatives", unless(data.negatives == 0.0 || devices.len() < 2, "needs a single device")),
            ("training.epochs", out_of(1..=MAX_EPOCHS, training.epochs)),
            ("training.patience", out_of(0..=MAX_EPOCHS, training.patience)),
            ("training.batch_size", out_of(1..=MAX_BATCH_SIZE, training.batch_size)),
            (
                "training.batch_size",
                unless(
                    training.batch_size >= devices.len(),
                    "must be at least 1 for each of the devices that share it",
                ),
            ),
            (
                "training.patience",
                unless(
                    training.patience == 0 || !data.validation.is_zero(),
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
            ("schedule.step_epochs", out_of(1..=MAX_EPOCHS, schedule.step_epochs)),
            ("schedule.step_factor", unless(above_0(schedule.step_factor), "must be above 0")),
            ("loss.label_smoothing", unless(below_1(loss.label_smoothing), "must be at least 0 and below 1")),
        ];
        let mut augmentation = *augmentation;
        let ranges = augmentation.ranges().map(|(key, max, range)| (key, above(max, *range)));
        checks.into_iter().chain(ranges).find_map(|(key, what)| Some((key, what?)))
    }
}

/// What is wrong with the names of classes, if there are any.
pub(crate) fn fault_of_names(names: &[String]) -> Option<String> {
    let (min, max) = (CLASSES.start(), CLASSES.end());
    if !names.is_empty() && !CLASSES.contains(&names.len()) {
        return Some(format!("must be {min} to {max} names, or [] for those of the data; these are {}", names.len()));
    }
    if let Some(name) = names.iter().find(|name| name.trim() != name.as_str() || name.is_empty()) {
        return Some(format!("has the name {name:?}, which is empty or has spaces at an end"));
    }
    if let Some(name) = names.iter().find(|name| name.chars().any(char::is_control)) {
        return Some(format!("has the name {name:?}, which has a control character"));
    }
    let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
    twice.map(|(_, name)| format!("has the name {name:?} twice"))
}

/// What is wrong with the names of devices, if there are any.
fn fault_of_devices(names: &[String]) -> Option<String> {
    names.iter().find_map(|name| match name.as_str() {
        backend::AUTO => {
            Some(format!("has \"{name}\"; name each device, such as \"cuda:0\", as `lenet backends` lists them"))
        }
        name => backend::check_name(name).err(),
    })
}

/// What is wrong with a number, if it is out of range.
fn out_of(range: RangeInclusive<usize>, value: usize) -> Option<String> {
    let (min, max) = (range.start(), range.end());
    (!range.contains(&value)).then(|| match min {
        0 => format!("must be at most {max}"),
        _ => format!("must be {min} to {max}"),
    })
}

/// What is wrong with a range of augmentation, if it is not from 0 to `max`.
fn above(max: f64, range: f64) -> Option<String> {
    (!(0.0..=max).contains(&range)).then(|| format!("must be 0 (off) to {max}"))
}

fn unless(holds: bool, what: &str) -> Option<String> {
    (!holds).then(|| what.to_owned())
}
