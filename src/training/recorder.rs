//! The learner's renderer: it records the metrics of each epoch and updates the display.

use std::{sync::Arc, time::Instant};

use burn::train::{
    Interrupter, LearnerSummary,
    logger::{EvaluationProgressLogger, TrainingProgressLogger},
    metric::MetricDefinition,
    renderer::{
        EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
        tui::TuiMetricsRendererWrapper,
    },
};

use super::{
    display::{Display, Progress, listen_for_ctrl_c},
    metrics::{SharedTotals, Totals},
    state::SharedState,
    tensorboard::EventFile,
};
use crate::{
    Error,
    artifacts::RunDir,
    config::Schedule,
    report::{EpochReport, SplitMetrics},
    terminal::say,
};

/// The last pass over a split.
#[derive(Default, Clone, Copy)]
struct Pass {
    totals: Totals,
    seconds: f64,
}

impl Pass {
    /// Loss and accuracy; `None` if a metric could not be read.
    fn metrics(self) -> Option<SplitMetrics> {
        let (correct, images) = self.totals.correct?;
        Some(SplitMetrics { loss: self.totals.loss?, accuracy: correct as f64 / images as f64 })
    }
}

/// Records each epoch in the report, and updates the display.
pub(super) struct Recorder {
    state: SharedState,
    run: Arc<RunDir>,
    events: Option<EventFile>,
    schedule: Schedule,
    interrupter: Interrupter,
    display: Display,
    epochs: usize,
    in_training: bool,
    began: Instant,
    /// Where the metrics of the training and the validation split put their results.
    totals: [SharedTotals; 2],
    train: Pass,
    valid: Pass,
}

impl Recorder {
    pub(super) fn new(
        progress: Progress,
        state: SharedState,
        run: Arc<RunDir>,
        events: Option<EventFile>,
        schedule: Schedule,
        interrupter: Interrupter,
        totals: [SharedTotals; 2],
    ) -> Self {
        let done = state.lock().report.epochs.len();
        let display = Display::new(progress, done, &interrupter);
        Self {
            state,
            run,
            events,
            schedule,
            interrupter,
            display,
            epochs: 0,
            in_training: true,
            began: Instant::now(),
            totals,
            train: Pass::default(),
            valid: Pass::default(),
        }
    }

    fn dashboard(&mut self) -> Option<&mut TuiMetricsRendererWrapper> {
        if let Display::Dashboard(dashboard) = &mut self.display { Some(dashboard) } else { None }
    }

    fn finish_epoch(&mut self, epoch: usize) {
        // After a stop in the middle of a split, its metrics cover only a part of it.
        if self.interrupter.should_stop() {
            return;
        }
        let mut state = self.state.lock();
        let report = &mut state.report;
        let valid = if report.valid_images > 0 { self.valid.metrics() } else { None };
        let Some(train) = self.train.metrics() else { return };
        if !train.loss.is_finite() || valid.is_some_and(|valid| !valid.loss.is_finite()) {
            state.failure = Some(Error::Diverged { epoch });
            self.interrupter.stop(Some("the loss is no longer a finite number"));
            return;
        }
        let entry = EpochReport {
            epoch,
            train,
            valid,
            learning_rate: self.schedule.rate_after(epoch as f64),
            seconds: self.train.seconds + self.valid.seconds,
            images_per_second: report.train_images as f64 / self.train.seconds.max(1e-9),
        };
        report.push(entry);
        let written = self.run.write_report(report);
        let written = written.and_then(|()| self.events.as_ref().map_or(Ok(()), |events| events.append(&entry)));
        if let Err(error) = written {
            state.failure = Some(error);
            self.interrupter.stop(Some("the report could not be written"));
        }
        drop(state);
        let line = entry.in_one_line(self.epochs);
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| say(&line)),
            Display::Lines => say(&line),
            Display::Dashboard(_) | Display::None => {}
        }
    }
}

impl TrainingProgressLogger for Recorder {
    fn start(&mut self, epochs: usize, first: usize, items: Option<usize>, label: Option<&str>) {
        self.epochs = epochs;
        if let Some(dashboard) = self.dashboard() {
            dashboard.start(epochs, first, items, label);
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.finish_epoch(epoch);
        if let Some(dashboard) = self.dashboard() {
            dashboard.update_epoch(epoch);
        }
    }

    fn start_split(&mut self, split: &str, items: usize) {
        self.in_training = split == "train";
        self.began = Instant::now();
        let epoch = self.state.lock().report.epochs.len() + 1;
        match &mut self.display {
            Display::Dashboard(dashboard) => dashboard.start_split(split, items),
            Display::Bar(bar) => {
                bar.reset();
                bar.set_length(items as u64);
                bar.set_message(format!("epoch {epoch}/{} {split}", self.epochs));
            }
            Display::Lines | Display::None => {}
        }
    }

    fn update_split(&mut self, items: usize) {
        match &mut self.display {
            Display::Dashboard(dashboard) => {
                listen_for_ctrl_c();
                dashboard.update_split(items);
            }
            Display::Bar(bar) => bar.set_position(items as u64),
            Display::Lines | Display::None => {}
        }
    }

    fn end_split(&mut self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let [train, valid] = &self.totals;
        if self.in_training {
            self.train = Pass { totals: train.take(), seconds };
        } else {
            self.valid = Pass { totals: valid.take(), seconds };
        }
        if let Some(dashboard) = self.dashboard() {
            dashboard.end_split();
        }
    }

    fn end(&mut self) {
        match &mut self.display {
            Display::Dashboard(dashboard) => dashboard.end(),
            Display::Bar(bar) => bar.finish_and_clear(),
            Display::Lines | Display::None => {}
        }
    }

    fn log_event_training(&mut self, event: String) {
        if let Some(dashboard) = self.dashboard() {
            dashboard.log_event_training(event);
        }
    }
}

impl MetricsRendererTraining for Recorder {
    fn update_train(&mut self, state: MetricState) {
        if let Some(dashboard) = self.dashboard() {
            dashboard.update_train(state);
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if let Some(dashboard) = self.dashboard() {
            dashboard.update_valid(state);
        }
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn std::error::Error>> {
        {
            // Burn's dashboard loses both when it closes.
            let mut state = self.state.lock();
            if let Some(error) = self.interrupter.error() {
                state.failure.get_or_insert(Error::Training(error.to_string()));
            }
            if let Some(stop) = self.interrupter.interruption() {
                state.stopped = Some(stop.reason.unwrap_or_else(|| "stopped".into()));
            }
        }
        self.dashboard().map_or(Ok(()), |dashboard| dashboard.on_train_end(summary))
    }
}

impl MetricsRenderer for Recorder {
    fn manual_close(&mut self) {
        if let Some(dashboard) = self.dashboard() {
            dashboard.manual_close();
        }
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        if let Some(dashboard) = self.dashboard() {
            dashboard.register_metric(definition);
        }
    }
}

// The learner's renderer has to implement evaluation too, which this program does without the learner.
impl MetricsRendererEvaluation for Recorder {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for Recorder {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}
