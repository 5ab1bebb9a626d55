//! The metrics of each epoch in an event file for TensorBoard.
//!
//! Source: the messages are those of <https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto>
//! (`event.proto`, `summary.proto`), each framed as a TFRecord: length, checksum of the length, message, checksum of
//! the message.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message;

use crate::{Error, Result, report::EpochReport};

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file, to which an epoch is appended at a time.
#[derive(Debug)]
pub(super) struct EventFile(PathBuf);

impl EventFile {
    /// Creates a file in a folder, with the epochs that are done.
    pub(super) fn create(folder: &Path, done: &[EpochReport]) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        for entry in fs::read_dir(folder).map_err(Error::io("read the folder", folder))?.flatten() {
            // TensorBoard would show the events of an earlier start of this run as well.
            if entry.file_name().to_string_lossy().starts_with("events.out.tfevents.") {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        let path = folder.join(format!("events.out.tfevents.{:010.0}.lenet", now()));
        let version = Event { wall_time: now(), file_version: Some("brain.Event:2".into()), ..Event::default() };
        fs::write(&path, frame(&version)).map_err(Error::io("write", &path))?;
        let file = Self(path);
        done.iter().try_for_each(|epoch| file.append(epoch))?;
        Ok(file)
    }

    /// Appends an epoch's metrics.
    pub(super) fn append(&self, epoch: &EpochReport) -> Result<()> {
        let mut scalars = vec![
            ("train/loss", epoch.train.loss),
            ("train/accuracy", epoch.train.accuracy),
            ("learning_rate", epoch.learning_rate),
            ("images_per_second", epoch.images_per_second),
        ];
        if let Some(valid) = epoch.valid {
            scalars.extend([("valid/loss", valid.loss), ("valid/accuracy", valid.accuracy)]);
        }
        #[expect(clippy::cast_possible_truncation, reason = "TensorBoard's scalars are f32")]
        let scalar = |(tag, value): (&str, f64)| Scalar { tag: tag.to_owned(), simple_value: value as f32 };
        let summary = Summary { value: scalars.into_iter().map(scalar).collect() };
        let step = i64::try_from(epoch.epoch).unwrap_or(i64::MAX);
        let event = Event { wall_time: now(), step, summary: Some(summary), file_version: None };
        let mut file = OpenOptions::new().append(true).open(&self.0).map_err(Error::io("open", &self.0))?;
        file.write_all(&frame(&event)).map_err(Error::io("write", &self.0))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Frames a message as a TFRecord.
fn frame(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), &message, &masked_crc(&message)].concat()
}

/// The checksum of a TFRecord: CRC-32C, masked so that the checksum of data with checksums in it stays sound.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
