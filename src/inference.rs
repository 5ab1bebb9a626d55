//! From a trained run to a net, and from pictures to digits.

mod answer;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::DynamicImage;
use rayon::prelude::*;

pub use self::answer::{Found, NumberPrediction, Outcome, Prediction, RankedClass};
use crate::{
    Error, Result,
    artifacts::{PRETRAINED, RunDir},
    backend::select,
    card::Card,
    config::Config,
    data::{PIXELS, digits, images_tensor, listed, numbered},
    files::sha256,
    model::{LeNet5, recorded_classes, rows},
    number::{NumberReading, read_number},
    picture::{Bounds, framed, open},
    reading::{Reading, read, read_framed, read_image},
    report::Status,
};

/// A picture shows one digit if a smaller share of its votes, 0 to 1, is by candidates that may be one of several. Source:
/// measured on scenes.
const MIN_IN_ROW: f32 = 0.3;

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
    /// SHA-256 of the record.
    pub model_sha256: String,
}

/// Where it is known from how a net was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From its run's folder.
    Run,
    /// From its run's folder, where training has not come to its end; the net is that of the best epoch so far.
    Unfinished,
    /// From its run's folder too, but it was imported, so its training is unknown.
    Imported,
    /// From its record's card.
    Card,
    /// Nowhere: the record is alone, and older than cards. The defaults are taken.
    Unknown,
}

impl Origin {
    /// Whether it is a run's folder.
    pub(crate) fn is_run(self) -> bool {
        matches!(self, Self::Run | Self::Unfinished | Self::Imported)
    }
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
        let origin = if report.imported_from.is_some() { Origin::Imported } else { Origin::Run };
        Self::new(record, &path, card, config, origin, backend)
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
        let card = match card {
            Some(card) => card,
            None => Card { classes: numbered(recorded_classes(&record, path)?), ..Card::default() },
        };
        let mut config = Config::default();
        (config.data.scale, config.data.frame, config.data.invert) = (card.scale, card.framing, card.invert.into());
        // It is unknown which images it learned from.
        config.data.validation = 0.into();
        config.data.classes.clone_from(&card.classes);
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
        let device = select(backend.unwrap_or(config.own_device()))?.device;
        let model_sha256 = sha256(&record);
        let net = LeNet5::from_record(record, path, &device)?.with_operators(config.operators);
        let fault = |reason: String| Err(Error::Record { path: path.to_owned(), reason });
        let (found, named) = (&card.classes, &config.data.classes);
        if found != named {
            return fault(format!(
                "tells apart {} classes ({}), but the config.toml of its run names {} ({}): one of the two files is of another \
                 run",
                found.len(),
                listed(found),
                named.len(),
                listed(named),
            ));
        }
        if net.classes() != found.len() {
            return fault(format!(
                "holds a net for {} classes, but names {}: {}. It is damaged, or of another run",
                net.classes(),
                found.len(),
                listed(found)
            ));
        }
        Ok(Self { net, device, card, config, origin, model_sha256 })
    }

    /// The names of the classes, by their index.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// The probability of each class, 0 to 1, for images in MNIST's format.
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
        paths.par_iter().map(|path| Ok(self.look_for_digit(path)?.answer)).collect()
    }

    /// What a picture shows, framed as the training images were; `None` if it shows nothing.
    ///
    /// # Errors
    /// The device fails.
    pub fn read(&self, picture: &DynamicImage) -> Result<Option<Reading>> {
        let (net, card, device) = (&self.net, &self.card, &self.device);
        if card.framing.cuts_out() {
            return read(net, card.scale, device, picture);
        }
        // What else is wrong with it, a refusal says.
        let Ok(Some(mut image)) = framed(picture, card.framing) else { return Ok(None) };
        if card.invert {
            image = image.map(|pixel| 255 - pixel);
        }
        let bounds = Bounds { left: 0, top: 0, width: picture.width() as usize, height: picture.height() as usize };
        read_image(net, card.scale, device, image, bounds)
    }

    /// What images in MNIST's format show, in order.
    ///
    /// # Errors
    /// The device fails.
    pub fn read_framed(&self, images: &[[u8; PIXELS]]) -> Result<Vec<Reading>> {
        read_framed(&self.net, self.card.scale, &self.device, images)
    }

    /// What a picture shows, and how the net saw it; or why it recognizes nothing in it.
    pub(crate) fn recognize(
        &self,
        picture: &DynamicImage,
    ) -> Result<std::result::Result<(Prediction, Reading), String>> {
        let reading = self.read(picture)?;
        let several = self.shows_several(picture, reading.as_ref())?;
        let prediction = answer::judge(picture, reading.as_ref(), several, &self.card);
        Ok(prediction.and_then(|prediction| Ok((prediction, reading.ok_or("shows nothing")?))))
    }

    /// Which number a picture shows; `None` if no part of it may be a digit, or the net's classes are not the digits, or it
    /// takes pictures whole.
    ///
    /// # Errors
    /// The device fails.
    pub fn read_number(&self, picture: &DynamicImage) -> Result<Option<NumberReading>> {
        if self.classes() != digits() || !self.card.framing.cuts_out() {
            return Ok(None);
        }
        read_number(&self.net, self.card.scale, &self.device, picture)
    }

    /// Whether a picture shows several digits; `reading` is what [`Self::read`] made of it.
    ///
    /// # Errors
    /// The device fails.
    pub fn shows_several(&self, picture: &DynamicImage, reading: Option<&Reading>) -> Result<bool> {
        if reading.is_none_or(|reading| reading.in_row < MIN_IN_ROW) {
            return Ok(false);
        }
        Ok(self.read_number(picture)?.is_some_and(|number| number.is_several()))
    }

    /// Looks for a digit in a picture file.
    ///
    /// # Errors
    /// The device fails.
    pub fn look_for_digit(&self, path: &Path) -> Result<Outcome<Prediction>> {
        let picture = match open(path) {
            Ok(picture) => picture,
            Err(error) => return Ok(Outcome::failed(error)),
        };
        let reading = self.read(&picture)?;
        let several = self.shows_several(&picture, reading.as_ref())?;
        Ok(Outcome::for_digit(path, picture, reading.as_ref(), several, &self.card))
    }

    /// Looks for a number in a picture file.
    ///
    /// # Errors
    /// The device fails.
    pub fn look_for_number(&self, path: &Path) -> Result<Outcome<NumberPrediction>> {
        let picture = match open(path) {
            Ok(picture) => picture,
            Err(error) => return Ok(Outcome::failed(error)),
        };
        let reading = self.read_number(&picture)?;
        Ok(Outcome::for_number(path, picture, reading.as_ref(), &self.card))
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io("read", path))
}
