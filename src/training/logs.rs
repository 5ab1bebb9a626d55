//! The learner's metric logs, in the format of Burn's own logger: a line for the mini-batches of some milliseconds, or for each
//! 32 that are read from a GPU together.
//!
//! Burn's logger has a thread for each metric and makes system calls for each line, which takes CPU time from training.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use burn::train::{
    Interrupter,
    logger::{FileMetricLogger, MetricLogger},
    metric::{
        MetricDefinition, MetricId, NumericEntry,
        store::{EpochSummary, MetricsUpdate, Split},
    },
};

use super::state::SharedState;
use crate::{Error, Result, artifacts::RunDir};

/// Writes metric logs through a buffer.
pub(super) struct MetricLogs {
    run: Arc<RunDir>,
    state: SharedState,
    interrupter: Interrupter,
    names: HashMap<MetricId, Arc<String>>,
    /// The epoch and the split of the open files.
    current: (usize, Split),
    files: HashMap<MetricId, (PathBuf, BufWriter<File>)>,
}

impl MetricLogs {
    pub(super) fn new(run: Arc<RunDir>, state: SharedState, interrupter: Interrupter) -> Self {
        Self { run, state, interrupter, names: HashMap::new(), current: (0, Split::Train), files: HashMap::new() }
    }

    /// Flushes and closes the files.
    fn finish(&mut self) -> Result<()> {
        self.files.drain().try_for_each(|(_, (path, mut file))| file.flush().map_err(Error::io("write", &path)))
    }

    fn write(&mut self, update: &MetricsUpdate, epoch: usize, split: &Split) -> Result<()> {
        if self.current != (epoch, split.clone()) {
            self.finish()?;
            self.current = (epoch, split.clone());
        }
        let numeric = update.entries_numeric.iter().map(|numeric| &numeric.entry);
        for entry in update.entries.iter().chain(numeric).filter(|entry| !entry.serialized_entry.is_not_available()) {
            let Some(name) = self.names.get(&entry.metric_id) else { continue };
            if !self.files.contains_key(&entry.metric_id) {
                let path = self.run.metric_log(&split.to_string(), epoch, name);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
                }
                let file = File::create(&path).map_err(Error::io("create", &path))?;
                self.files.insert(entry.metric_id.clone(), (path, BufWriter::new(file)));
            }
            if let Some((path, file)) = self.files.get_mut(&entry.metric_id) {
                writeln!(file, "{}", entry.serialized_entry.serialized).map_err(Error::io("write", path))?;
            }
        }
        Ok(())
    }

    fn note(&self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.state.lock().failure.get_or_insert(error);
            self.interrupter.stop(Some("the metric logs could not be written"));
        }
    }
}

impl MetricLogger for MetricLogs {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        let outcome = self.write(&update, epoch, split);
        self.note(outcome);
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> std::result::Result<Vec<NumericEntry>, String> {
        let flushed =
            self.files.values_mut().try_for_each(|(path, file)| file.flush().map_err(Error::io("write", path)));
        self.note(flushed);
        FileMetricLogger::new(self.run.path()).read_numeric(name, epoch, split)
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id.clone(), definition.name.clone());
    }

    fn log_epoch_summary(&mut self, _: EpochSummary) {
        let outcome = self.finish();
        self.note(outcome);
    }
}
