//! What a record says about itself: how pictures are read with its net, and where the net comes from.
//!
//! It lies in the metadata of Burn's format, so that a record outside its run's folder is read as in it. Burn skips it.

use std::path::Path;

use burn_pack::{Bytes, Reader, Writer};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    config::{Config, Frame, Scale, fault_of_names},
    data::digits,
    files::sha256,
    report::Report,
    thresholds::Thresholds,
};

/// The key of the card, as JSON, in a record's metadata.
pub(crate) const KEY: &str = "lenet";
/// The name of the data set if `data.folder` names none.
pub const MNIST: &str = "MNIST";

/// What reading with a net needs, and where the net comes from. Keys that an older record lacks have defaults, and those of
/// newer ones are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// The version of this program that trained the net; empty if unknown.
    pub lenet: String,
    /// How pixels are scaled for the net.
    pub scale: Scale,
    /// How what a picture shows is framed.
    pub framing: Frame,
    /// Whether dark and light are exchanged in pictures that are not framed as digits.
    pub invert: bool,
    /// The name of each class.
    pub classes: Vec<String>,
    /// When an answer is given, and when it is sure.
    pub thresholds: Thresholds,
    /// What the net was trained on: [`MNIST`], or the name of the data's folder; empty if unknown.
    pub data: String,
    /// SHA-256 of the run's `config.toml`, with the name of the data's folder for its path; empty if unknown.
    pub config_sha256: String,
    /// The random seed of the run.
    pub seed: Option<u64>,
    /// The epoch, from 1, after which the net had these parameters.
    pub epoch: Option<usize>,
    /// The fraction of correctly classified test images, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// The fraction of correctly classified validation images after this epoch, 0 to 1.
    pub valid_accuracy: Option<f64>,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            lenet: String::new(),
            scale: Scale::default(),
            framing: Frame::Digit,
            invert: false,
            classes: digits(),
            thresholds: Thresholds::default(),
            data: String::new(),
            config_sha256: String::new(),
            seed: None,
            epoch: None,
            test_accuracy: None,
            valid_accuracy: None,
        }
    }
}

impl Card {
    /// The card of a run's best epoch; the config names the classes. It depends on the config and on what was measured, not
    /// on where or when.
    ///
    /// # Errors
    /// The config cannot be written as TOML.
    pub fn new(config: &Config, report: &Report) -> Result<Self> {
        let mut portable = config.clone();
        let data = if config.data.folder == Path::new("") {
            MNIST.to_owned()
        } else {
            // The root has no name.
            let name = config.data.folder.file_name().unwrap_or("data".as_ref()).to_string_lossy().into_owned();
            portable.data.folder = name.clone().into();
            name
        };
        let best = report.best_epoch.and_then(|best| report.epochs.iter().find(|epoch| epoch.epoch == best));
        Ok(Self {
            lenet: report.versions.lenet.clone(),
            scale: config.data.scale,
            framing: config.data.frame.or(Frame::Digit),
            invert: config.data.invert.is_on(false),
            data,
            classes: config.data.classes.clone(),
            thresholds: report.thresholds.unwrap_or_else(|| Thresholds::default_for(config)),
            config_sha256: sha256(portable.to_file()?.as_bytes()),
            seed: Some(config.seed),
            epoch: report.best_epoch,
            test_accuracy: report.test.as_ref().map(|test| test.accuracy),
            valid_accuracy: best.and_then(|epoch| epoch.valid).map(|valid| valid.accuracy),
        })
    }

    /// Reads the card of a record; `None` if it has none. Messages name the record by `path`.
    ///
    /// # Errors
    /// It is not a record, or its card cannot be understood.
    pub fn read(record: &[u8], path: &Path) -> Result<Option<Self>> {
        let reader = open(record.to_vec(), path)?;
        reader.metadata().get(KEY).map(|text| Self::parse(text, path)).transpose()
    }

    /// The card that a text in a file says, as JSON. Messages name the file by `path`.
    ///
    /// # Errors
    /// It cannot be understood.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        let fault = |what: String| Error::Record {
            path: path.to_owned(),
            reason: format!("says what this version of lenet does not understand ({what}); read it with a newer one"),
        };
        let card: Self = serde_json::from_str(text).map_err(|e| fault(e.to_string()))?;
        let Thresholds { sure, no_digit } = card.thresholds;
        if let Some(what) = fault_of_names(&card.classes) {
            return Err(fault(format!("classes {what}")));
        }
        if ![sure, no_digit].iter().all(|limit| (0.0..=1.0).contains(limit)) {
            return Err(fault(format!("thresholds {sure} and {no_digit}, which are not 0 to 1")));
        }
        Ok(card)
    }

    /// The same record with this card. Equal parameters and equal cards give equal bytes: Burn's parameter ids, which are
    /// random and of use only to the optimizer, are left out.
    ///
    /// # Errors
    /// It is not a record.
    pub fn write(&self, record: Vec<u8>, path: &Path) -> Result<Vec<u8>> {
        let text = serde_json::to_string(self).map_err(Error::json("the record's metadata"))?;
        let written = open(record, path)?.into_tensors().and_then(|mut tensors| {
            for tensor in &mut tensors {
                tensor.param_id = None;
            }
            Writer::new(tensors).with_metadata(KEY, &text).into_bytes()
        });
        written.map(|bytes| bytes.to_vec()).map_err(|e| unreadable(path, &e))
    }
}

fn open(record: Vec<u8>, path: &Path) -> Result<Reader> {
    Reader::from_bytes(Bytes::from_bytes_vec(record)).map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, error: &burn_pack::Error) -> Error {
    Error::unreadable_record(path, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LeNet5, LeNet5Config};
    use burn::prelude::*;

    fn record() -> Vec<u8> {
        LeNet5Config::new(10).init_seeded(1, &Device::flex()).into_record().into_bytes().unwrap().to_vec()
    }

    /// The record with this text for its card.
    fn with_text(text: &str) -> Vec<u8> {
        let tensors = open(record(), Path::new("x")).unwrap().into_tensors().unwrap();
        Writer::new(tensors).with_metadata(KEY, text).into_bytes().unwrap().to_vec()
    }

    #[test]
    fn a_card_comes_back_and_equal_parameters_give_equal_bytes() {
        let path = Path::new("model.bpk");
        let card = Card { scale: Scale::Byte, epoch: Some(3), test_accuracy: Some(0.99), ..Card::default() };
        assert_ne!(record(), record(), "Burn draws ids");
        let written = card.write(record(), path).unwrap();
        assert_eq!(written, card.write(record(), path).unwrap());
        assert_eq!(Card::read(&written, path).unwrap(), Some(card));
        assert_eq!(Card::read(&record(), path).unwrap(), None);
        LeNet5::from_record(written, path, &Device::flex()).unwrap();
    }

    #[test]
    fn older_and_newer_cards_are_read_as_far_as_they_can_be() {
        let read = |text: &str| Card::read(&with_text(text), Path::new("x.bpk"));
        assert_eq!(read("{}").unwrap(), Some(Card::default()));
        let newer = read(r#"{"scale": "unit", "mood": "sunny", "thresholds": {"sure": 0.5, "doubt": 1}}"#).unwrap();
        let newer = newer.unwrap();
        assert_eq!((newer.scale, newer.thresholds), (Scale::Unit, Thresholds { sure: 0.5, ..Thresholds::default() }));
        for wrong in [
            r#"{"scale": "octal"}"#,
            r#"{"framing": "page"}"#,
            r#"{"classes": ["a"]}"#,
            r#"{"thresholds": {"sure": 2}}"#,
            "not JSON",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.starts_with("x.bpk: says what this version of lenet does not understand"), "{error}");
        }
        let error = Card::read(b"no record", Path::new("x.bpk")).unwrap_err().to_string();
        assert!(error.contains("x.bpk: is not a readable record"), "{error}");
    }
}
