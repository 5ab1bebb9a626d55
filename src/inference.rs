//! From a trained run to a net, and from pictures to digits.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::DynamicImage;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Error, Result,
    artifacts::{PRETRAINED, RunDir},
    backend::select,
    card::Card,
    config::Config,
    data::{PIXELS, images_tensor},
    model::{LeNet5, rows},
    picture::{Bounds, open},
    reading::{Reading, read},
    refusal::refusal,
    report::Status,
    thresholds::Thresholds,
};

/// A trained net, and the settings that it was trained with.
#[derive(Debug)]
pub struct Trained {
    /// The net, on `device`.
    pub net: LeNet5,
    /// The device that it computes on.
    pub device: Device,
    /// What its record, or else its run, says about it.
    pub card: Card,
    /// The run's settings; for a model file outside a run's folder, the defaults with what its card says.
    pub config: Config,
    /// Where all this is known from.
    pub origin: Origin,
}

/// Where it is known from how a net was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From its run's folder.
    Run,
    /// From its run's folder, where training has not come to its end; the net is that of the best epoch so far.
    Unfinished,
    /// From its record's card.
    Card,
    /// Nowhere: the record is alone, and older than cards. The defaults are taken.
    Unknown,
}

impl Trained {
    /// Loads a net from a run's folder, a `model.bpk` or [`PRETRAINED`], onto the named backend or else the one that it was trained on.
    ///
    /// # Errors
    /// There is no run or model file, it is damaged, or the backend is not available.
    pub fn load(run: &Path, backend: Option<&str>) -> Result<Self> {
        // The model file of a run stands for the run.
        let is_file = run != Path::new(PRETRAINED) && run.is_file();
        let folder = if is_file { run.parent().unwrap_or(Path::new("")) } else { run };
        match RunDir::open(folder) {
            Ok(dir) if !is_file || run.file_name() == dir.model().file_name() => Self::load_run(&dir, backend),
            Err(error) if !is_file => Err(error),
            _ => Self::load_record(run, backend),
        }
    }

    fn load_run(dir: &RunDir, backend: Option<&str>) -> Result<Self> {
        let (config, report) = (dir.read_config()?, dir.read_report()?);
        if report.status != Status::Complete
            && let Some((path, until)) = dir.best_checkpoint(&report)
        {
            let record = read_file(&path)?;
            return Self::new(record, &path, Card::new(&config, &until)?, config, Origin::Unfinished, backend);
        }
        let (record, path) = (dir.read_model()?, dir.model());
        let card = match Card::read(&record, &path)? {
            Some(card) => card,
            None => Card::new(&config, &report)?,
        };
        Self::new(record, &path, card, config, Origin::Run, backend)
    }

    fn load_record(path: &Path, backend: Option<&str>) -> Result<Self> {
        let record = read_file(path)?;
        let card = Card::read(&record, path)?;
        if card.is_none()
            && let Some((run, epoch)) = RunDir::of_checkpoint(path)
        {
            let (config, mut report) = (run.read_config()?, run.read_report()?);
            report.truncate(epoch);
            let card = Card { epoch: Some(epoch), valid_accuracy: None, ..Card::new(&config, &report)? };
            return Self::new(record, path, card, config, Origin::Run, backend);
        }
        let origin = if card.is_some() { Origin::Card } else { Origin::Unknown };
        let card = card.unwrap_or_default();
        let mut config = Config::default();
        config.data.scale = card.scale;
        // It is unknown which images it learned from.
        config.data.validation = 0;
        Self::new(record, path, card, config, origin, backend)
    }

    fn new(
        record: Vec<u8>,
        path: &Path,
        card: Card,
        config: Config,
        origin: Origin,
        backend: Option<&str>,
    ) -> Result<Self> {
        let device = select(backend.unwrap_or(&config.backend))?.device;
        let net = LeNet5::from_record(record, path, &device)?.with_operators(config.operators);
        Ok(Self { net, device, card, config, origin })
    }

    /// The probability of each digit, 0 to 1, for images in MNIST's format.
    ///
    /// # Shapes
    /// `n` arrays of 784 pixels, 0 to 255 -> `n` rows of a probability for each class
    ///
    /// # Errors
    /// The device fails.
    pub fn probabilities(&self, images: &[[u8; PIXELS]]) -> Result<Vec<Vec<f32>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let images = images_tensor(images.iter(), self.card.scale, &self.device);
        Ok(rows(self.net.probabilities(images))?.iter().map(<[f32]>::to_vec).collect())
    }

    /// Classifies picture files, several at a time; each has its own result.
    ///
    /// # Errors
    /// The device fails.
    pub fn predict(&self, paths: &[PathBuf]) -> Result<Vec<Result<Prediction>>> {
        paths.par_iter().map(|path| self.predict_one(path)).collect()
    }

    /// What a picture shows; `None` if it shows nothing.
    ///
    /// # Errors
    /// The device fails.
    pub fn read(&self, picture: &DynamicImage) -> Result<Option<Reading>> {
        read(&self.net, self.card.scale, &self.device, picture)
    }

    fn predict_one(&self, path: &Path) -> Result<Result<Prediction>> {
        let picture = match open(path) {
            Ok(picture) => picture,
            Err(error) => return Ok(Err(error)),
        };
        let reading = self.read(&picture)?;
        let (path, thresholds) = (path.to_owned(), self.card.thresholds);
        Ok(match reading {
            Some(reading) if reading.probability >= thresholds.no_digit => {
                Ok(Prediction::new(path, &reading, thresholds))
            }
            other => Err(Error::Picture { path, reason: refusal(&picture, other.as_ref(), thresholds.no_digit) }),
        })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io("read", path))
}

/// What the net predicts for a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The picture's file.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// The most likely digit.
    pub digit: usize,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// Whether the probability is at least [`Thresholds::sure`].
    pub sure: bool,
    /// How much of a digit the net sees, whichever it is: ln Σ exp(logit).
    pub energy: f32,
    /// Where the digit is in the picture, in its pixels.
    pub bounds: Bounds,
    /// All digits, the most likely first.
    pub ranking: Vec<RankedDigit>,
}

/// A path need not be valid UTF-8, but JSON must be.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// One digit and its probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankedDigit {
    /// The digit, 0 to 9.
    pub digit: usize,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

impl Prediction {
    fn new(path: PathBuf, reading: &Reading, thresholds: Thresholds) -> Self {
        let mut ranking: Vec<RankedDigit> =
            reading.probabilities.iter().enumerate().map(|(digit, p)| RankedDigit { digit, probability: *p }).collect();
        ranking.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let Reading { digit, probability, energy, bounds, .. } = *reading;
        Self { path, digit, probability, sure: probability >= thresholds.sure, energy, bounds, ranking }
    }
}
