//! Burn's learner, set up for LeNet-5: the epochs of a run.

mod display;
mod logs;
mod metrics;
mod recorder;
mod scheduler;
mod sgd;
mod state;
mod step;
mod strategy;
mod tensorboard;

use std::sync::Arc;

use burn::{
    module::Module,
    train::{
        EarlyStoppingStrategy, Interrupter, Learner, SupervisedTraining, TrainingError, TrainingStrategy,
        checkpoint::{CheckpointingAction, CheckpointingStrategy},
        metric::{LearningRateMetric, store::EventStoreClient},
    },
};

pub(crate) use self::sgd::optimizer;
pub use self::{
    display::Progress,
    step::{BatchMetrics, BatchOutput, BatchOutputs, OnDevice},
};
use self::{
    logs::MetricLogs,
    metrics::{MeanOverImages, Metric, SharedTotals},
    recorder::Recorder,
    scheduler::Scheduler,
    state::SharedState,
    strategy::OnHost,
    tensorboard::EventFile,
};
use crate::{
    Error, Result,
    artifacts::RunDir,
    backend::is_host,
    config::{ClassWeights, Config, Operators, Schedule},
    data::{Augmentation, BatchLoader, ImageSet, Splits},
    devices::Devices,
    model::{LeNet5, LeNet5Config},
    negatives::negatives,
    panics,
    report::{Report, Status},
};

/// The checkpoints of this many latest epochs are kept, and the best one's: with two, one is complete at any moment.
const KEPT_CHECKPOINTS: usize = 2;

/// Where training starts.
pub(crate) struct Start {
    /// The epochs so far.
    pub report: Report,
    /// The net to begin the first epoch with; `None` for one with random parameters.
    pub net: Option<LeNet5>,
}

/// Trains from the epoch after the report's last one to the end, and returns the report with the new epochs. After each
/// epoch the run's folder holds its metrics and its checkpoint.
///
/// # Errors
/// The folder cannot be written, the loss diverges, the learner fails, or training was interrupted.
pub(crate) fn learn(
    config: &Config,
    splits: &Splits,
    devices: &Devices,
    run: &Arc<RunDir>,
    Start { report, net }: Start,
    progress: Progress,
    interrupter: &Interrupter,
) -> Result<Report> {
    let device = devices.main();
    let training_device = device.clone().autodiff();
    let done = report.epochs.len();
    let batch_size = config.training.batch_size;
    let negatives = if config.data.negatives > 0.0 { negatives(&splits.train, config.seed) } else { Vec::new() };
    let train = BatchLoader::new(splits.train.clone(), batch_size, training_device.clone())
        .shuffled(config.seed, done + 1)
        .augmented(Augmentation::new(&config.augmentation, config.seed))
        .with_negatives(negatives, config.data.negatives, config.seed);
    let valid = BatchLoader::new(splits.valid.clone(), batch_size.max(256), device.clone());
    let schedule = Schedule::new(config, splits.train.len());
    let classes = splits.train.classes().len();
    let net = net.map_or_else(|| LeNet5Config::new(classes).init_seeded(config.seed, &training_device), Module::train);
    let net = net
        .with_loss(config.loss.clone())
        .with_class_weights(class_weights(config.training.class_weights, &splits.train))
        .with_operators(config.operators);
    // The fused step needs no tape. Burn would begin one for each new value of a parameter, and drop it only in a backward pass of
    // its own: memory would grow with each step.
    let net = if config.operators == Operators::Fused && is_host(device) { net.no_grad() } else { net };

    let events =
        config.logging.tensorboard.then(|| EventFile::create(&run.tensorboard(), &report.epochs)).transpose()?;
    let state = SharedState::new(report);
    let totals @ [in_train, in_valid] = &<[SharedTotals; 2]>::default();
    let recorder = Recorder::new(
        progress,
        state.clone(),
        run.clone(),
        events,
        schedule.clone(),
        interrupter.clone(),
        totals.clone(),
    );
    let mut training = SupervisedTraining::new(run.path(), devices.loader(train)?, Arc::new(valid))
        .metric_train_numeric(MeanOverImages::new(Metric::Loss, in_train))
        .metric_train_numeric(MeanOverImages::new(Metric::Accuracy, in_train))
        .metric_valid_numeric(MeanOverImages::new(Metric::Loss, in_valid))
        .metric_valid_numeric(MeanOverImages::new(Metric::Accuracy, in_valid))
        .metric_train_numeric(LearningRateMetric::new())
        .with_metric_logger(MetricLogs::new(run.clone(), state.clone(), interrupter.clone()))
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLatestAndBest { state: state.clone(), kept: run.checkpoints() })
        .with_application_logger(None)
        .renderer(Box::new(recorder))
        .with_interrupter(interrupter.clone())
        .num_epochs(config.training.epochs);
    if let Some(strategy) = strategy(devices) {
        training = training.with_training_strategy(strategy);
    }
    if config.training.patience > 0 {
        training = training.early_stopping(Patience { state: state.clone(), epochs: config.training.patience });
    }
    if done > 0 {
        training = training.checkpoint(done);
    }
    // Burn's threads panic on anything unexpected, and its dashboard when `k` is pressed.
    let optimizer = optimizer(&config.optimizer, config.operators, device);
    let outcome = panics::catch(|| training.launch(Learner::new(net, optimizer, Scheduler::new(schedule))));

    let mut state = state.lock();
    let report = state.report.clone();
    let failure = match outcome {
        Err(message) => Some(panicked(&message)),
        Ok(result) => match result.error.as_deref() {
            Some(TrainingError::Workers(failures)) => Some(devices.failed(failures)),
            _ => None,
        }
        .or_else(|| state.failure.take())
        .or_else(|| result.error.map(|e| Error::Training(e.to_string())))
        .or_else(|| state.stopped.take().map(|why| interrupted(&why, run))),
    };
    let Some(failure) = failure.map(|failure| devices.explain(failure)) else { return Ok(report) };
    let status = match failure {
        Error::Diverged { .. } => Status::Diverged,
        Error::Interrupted(_) => Status::Interrupted,
        _ => Status::Running,
    };
    // If this fails too, on a full disk for example, the first failure is the one to return.
    let _ = run.write_report(&Report { status, ..report });
    Err(failure)
}

/// How much an image of each class counts: all the same, or so much that each class counts the same. On average it is 1.
fn class_weights(weights: ClassWeights, train: &ImageSet) -> Vec<f32> {
    if weights == ClassWeights::None {
        return Vec::new();
    }
    let counts = train.class_counts();
    let there = counts.iter().filter(|count| **count > 0).count();
    counts.iter().map(|count| train.len() as f32 / (there * count).max(1) as f32).collect()
}

/// How the learner goes through the epochs; `None` for its own way on one device.
fn strategy(devices: &Devices) -> Option<TrainingStrategy<LeNet5>> {
    let device = devices.main();
    match devices.strategy() {
        Some(several) => Some(several.into()),
        None if is_host(device) => {
            Some(TrainingStrategy::Custom(Arc::new(OnHost { device: device.clone().autodiff() })))
        }
        None => None,
    }
}

fn interrupted(why: &str, run: &RunDir) -> Error {
    // An epoch without a checkpoint has to be done again.
    let kept = match run.checkpoints().last().copied().unwrap_or(0) {
        0 => "no epoch was finished; ".to_owned(),
        1 => "epoch 1 is kept; ".to_owned(),
        n => format!("epochs 1 to {n} are kept; "),
    };
    Error::Interrupted(format!("interrupted ({why}): {kept}run the same command with --resume to continue"))
}

fn panicked(message: &str) -> Error {
    if message.contains("from user input") {
        return Error::Interrupted("killed from the dashboard; run the same command with --resume to continue".into());
    }
    panics::of_the_system(message).unwrap_or_else(|| Error::Training(format!("Burn panicked: {message}")))
}

/// Keeps the checkpoints that may still be needed: the latest to resume from, and the best.
struct KeepLatestAndBest {
    state: SharedState,
    kept: Vec<usize>,
}

impl CheckpointingStrategy for KeepLatestAndBest {
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        let best = self.state.lock().report.best_epoch;
        let (keep, drop): (Vec<_>, Vec<_>) =
            self.kept.iter().copied().partition(|e| e + KEPT_CHECKPOINTS > epoch || Some(*e) == best);
        self.kept = keep;
        self.kept.push(epoch);
        [CheckpointingAction::Save].into_iter().chain(drop.into_iter().map(CheckpointingAction::Delete)).collect()
    }
}

/// Early stopping by the report, which covers the epochs before a resume as well.
#[derive(Clone)]
struct Patience {
    state: SharedState,
    epochs: usize,
}

impl EarlyStoppingStrategy for Patience {
    fn should_stop(&mut self, _: usize, _: &EventStoreClient) -> bool {
        self.state.lock().report.stalled(self.epochs)
    }
}
