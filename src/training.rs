//! Burn's learner, wired: from a config to a run's folder.

mod logs;
mod metrics;
mod progress;
mod schedule;
mod sgd;
mod step;
mod tensorboard;

use std::{path::Path, sync::Arc};

use burn::{
    lr_scheduler::LrSchedulerRecord,
    optim::OptimizerRecord,
    tensor::Device,
    train::{
        EarlyStoppingStrategy, Interrupter, Learner, SupervisedTraining,
        checkpoint::{CheckpointingAction, CheckpointingStrategy},
        metric::{LearningRateMetric, store::EventStoreClient},
    },
};

pub(crate) use self::sgd::optimizer;
use self::{
    logs::Logs,
    metrics::{Figure, MeanOverPictures},
    progress::{Recorder, SharedJournal},
    schedule::Scheduler,
    tensorboard::EventFile,
};
pub use self::{
    progress::Progress,
    step::{Figures, OnDevice, Outcome},
};
use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    backend::{AUTO, Found, select},
    config::{Config, Schedule},
    data::{BatchLoader, ImageSet, Splits},
    evaluation::{dead_units, evaluate},
    model::LeNet5,
    page, panics, pool,
    report::{Report, Status},
    terminal::say,
};

/// How many of the latest epochs keep their checkpoint, beside the best: two, so that one is whole at any moment.
const KEPT_CHECKPOINTS: usize = 2;

/// Settings that may change when a run is resumed.
const CHANGEABLE: [&str; 4] = ["backend", "training.epochs", "training.patience", "logging.tensorboard"];

/// Trains as the config says, into a run's folder.
///
/// A run that is resumed continues after its last whole epoch; with the same settings the figures are then the same as
/// if it had never been interrupted. Another number of epochs stretches a schedule, whose rate then jumps. Training can
/// be stopped at any moment through `interrupter`.
///
/// Burn puts the optimizer's state of a resumed run on its default device first: where a GPU backend is compiled in and
/// none is there, a program has to set `BURN_DEVICE` as [`crate::backend::default_for_burn`] says.
///
/// # Errors
/// The backend or the data are not there, the folder cannot be written or holds a run of another config, the loss
/// diverges, the learner fails, or it was interrupted.
pub fn train(
    config: &Config,
    folder: &Path,
    existing: Existing,
    progress: Progress,
    interrupter: &Interrupter,
) -> Result<Report> {
    config.validate()?;
    let Found { name, hardware, device } = select(&config.backend)?;
    if config.backend == AUTO && progress != Progress::None {
        say(format!("the backend is {name}, {hardware}"));
    }
    let run = Arc::new(RunDir::prepare(folder, existing)?);
    let earlier = earlier_report(config, &run)?;
    if let Some(earlier) = &earlier
        && earlier.status == Status::Complete
        && earlier.epochs.len() >= config.training.epochs
        && run.check_model().is_ok()
    {
        return Ok(earlier.clone());
    }
    let splits = Splits::load(config)?;
    let done = match &earlier {
        Some(earlier) => last_whole_epoch(&run, earlier, config.training.epochs, &device)?,
        None => 0,
    };
    run.begin(config)?;

    let mut report = Report::new(config, splits.train.len(), splits.valid.len());
    (report.backend, report.hardware) = (name, hardware);
    let mut first = 1;
    if let Some(earlier) = earlier {
        if progress != Progress::None && done < earlier.epochs.len().min(config.training.epochs) {
            say(format!(
                "what is kept of epoch {} cannot be read: continuing after epoch {done}",
                earlier.epochs.len()
            ));
        }
        report.epochs = earlier.epochs;
        report.truncate(done);
        first = done + 1;
    }
    run.rewind(report.epochs.len())?;
    run.write_report(&report)?;

    let finished = first > config.training.epochs || exhausted(&report, config.training.patience);
    let mut report = if finished {
        report
    } else {
        // On one of the threads that share the work: any other would sleep and be woken in each step.
        pool::run(&device, || learn(config, &splits, &device, &run, report, progress, interrupter))?
    };

    // The best epoch meets the test set: the only time that anything does.
    if let Some(best) = report.best_epoch {
        report.model_sha256 = Some(run.choose_model(best)?);
        let net = LeNet5::load(&run.model(), &device)?.with_operators(config.operators);
        report.test = Some(evaluate(&net, &splits.test, &device)?);
        report.dead_units = Some(dead_units(&net, &splits.test, &device)?);
    }
    report.status = Status::Complete;
    run.write_report(&report)?;
    write_page(&run, &splits.test, progress);
    Ok(report)
}

/// The report of the run to continue, if the folder holds one and it was made with the same settings.
fn earlier_report(config: &Config, run: &RunDir) -> Result<Option<Report>> {
    if !run.resumes() {
        return Ok(None);
    }
    if !run.report().exists() {
        if run.checkpoints().is_empty() {
            return Ok(None);
        }
        return Err(Error::Run(format!(
            "{} is missing, so the run cannot be continued; start over with --force, or elsewhere with --out DIR",
            run.report().display()
        )));
    }
    let changed: Vec<_> = run
        .read_config()?
        .differences(config)?
        .into_iter()
        .filter(|(key, _)| !CHANGEABLE.contains(&key.as_str()))
        .map(|(key, values)| format!("{key} ({values})"))
        .collect();
    if changed.is_empty() {
        return run.read_report().map(Some);
    }
    Err(Error::Run(format!(
        "{} was trained with other settings: {}. Resume it with the same, or train elsewhere with --out DIR",
        run.path().display(),
        changed.join(", ")
    )))
}

/// The last epoch up to `most` from which a run can go on: its checkpoint can be read in full, and the best epoch up to
/// it is still there. 0 if none was kept so far.
///
/// # Errors
/// There are checkpoints, and none will do: going on would start anew and remove them.
fn last_whole_epoch(run: &RunDir, report: &Report, most: usize, device: &Device) -> Result<usize> {
    let most = most.min(report.epochs.len());
    let kept = run.checkpoints();
    let readable = |epoch: &usize| {
        let mut until = report.clone();
        until.truncate(*epoch);
        let [optimizer, schedule] = run.checkpoint_states(*epoch);
        LeNet5::load(&run.checkpoint(*epoch), device).is_ok()
            && OptimizerRecord::load(optimizer).is_ok()
            && LrSchedulerRecord::load(schedule).is_ok()
            && until.best_epoch.is_some_and(|best| LeNet5::load(&run.checkpoint(best), device).is_ok())
    };
    match kept.iter().rev().filter(|epoch| **epoch <= most).find(|epoch| readable(epoch)) {
        Some(epoch) => Ok(*epoch),
        None if kept.is_empty() || report.epochs.is_empty() => Ok(0),
        None => Err(Error::Run(format!(
            "{} cannot be continued up to epoch {most}: the checkpoints that are kept are of {}, and none of them will \
             do. Start over with --force, or elsewhere with --out DIR",
            run.path().display(),
            kept.iter().map(|epoch| format!("epoch {epoch}")).collect::<Vec<_>>().join(", "),
        ))),
    }
}

/// Runs the learner from the epoch after the report's last to the end.
fn learn(
    config: &Config,
    splits: &Splits,
    device: &Device,
    run: &Arc<RunDir>,
    report: Report,
    progress: Progress,
    interrupter: &Interrupter,
) -> Result<Report> {
    let training_device = device.clone().autodiff();
    let done = report.epochs.len();
    let batch_size = config.training.batch_size;
    let train =
        BatchLoader::new(splits.train.clone(), batch_size, training_device.clone()).shuffled(config.seed, done + 1);
    let valid = BatchLoader::new(splits.valid.clone(), batch_size.max(256), device.clone());
    let schedule = Schedule::new(config, splits.train.len());
    let net =
        LeNet5::seeded(config.seed, &training_device).with_loss(config.loss.clone()).with_operators(config.operators);

    let events =
        config.logging.tensorboard.then(|| EventFile::create(&run.tensorboard(), &report.epochs)).transpose()?;
    let journal = SharedJournal::new(report);
    let recorder = Recorder::new(progress, journal.clone(), run.clone(), events, schedule.clone(), interrupter.clone());
    let mut training = SupervisedTraining::new(run.path(), Arc::new(train), Arc::new(valid))
        .metrics((MeanOverPictures::new(Figure::Loss), MeanOverPictures::new(Figure::Accuracy)))
        .metric_train_numeric(LearningRateMetric::new())
        .with_metric_logger(Logs::new(run.clone(), journal.clone(), interrupter.clone()))
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLatestAndBest { journal: journal.clone(), kept: run.checkpoints() })
        .with_application_logger(None)
        .renderer(Box::new(recorder))
        .with_interrupter(interrupter.clone())
        .num_epochs(config.training.epochs);
    if config.training.patience > 0 {
        training = training.early_stopping(Patience { journal: journal.clone(), epochs: config.training.patience });
    }
    if done > 0 {
        training = training.checkpoint(done);
    }
    // Burn's threads panic on what they do not expect, and the dashboard on `k`.
    let optimizer = optimizer(&config.optimizer, config.operators, device);
    let outcome = panics::catch(|| training.launch(Learner::new(net, optimizer, Scheduler::new(schedule))));

    let mut journal = journal.lock();
    let report = journal.report.clone();
    let failure = match outcome {
        Err(message) => Some(panicked(&message)),
        Ok(result) => journal
            .failure
            .take()
            .or_else(|| result.error.map(|e| Error::Training(e.to_string())))
            .or_else(|| journal.stopped.take().map(|why| interrupted(&why, &report))),
    };
    let Some(failure) = failure else { return Ok(report) };
    let status = match failure {
        Error::Diverged { .. } => Status::Diverged,
        Error::Interrupted(_) => Status::Interrupted,
        _ => Status::Running,
    };
    // The first failure counts; a full disk, say, will not take this either.
    let _ = run.write_report(&Report { status, ..report });
    if status == Status::Diverged {
        write_page(run, &splits.test, progress);
    }
    Err(failure)
}

/// The run as a page. It can be made again, so a fault here does not spoil the run.
fn write_page(run: &RunDir, test: &ImageSet, progress: Progress) {
    let written = panics::catch(|| page::write_single(run, &run.page(), Some(test)))
        .unwrap_or_else(|panic| Err(Error::Page(panic)));
    if let Err(error) = written
        && progress != Progress::None
    {
        say(format!("the run is whole, but its page is not there: {error}. `lenet report` writes it anew"));
    }
}

fn interrupted(why: &str, report: &Report) -> Error {
    let kept = match report.epochs.len() {
        0 => "no epoch was finished; ".to_owned(),
        1 => "epoch 1 is kept; ".to_owned(),
        n => format!("epochs 1 to {n} are kept; "),
    };
    Error::Interrupted(format!("interrupted ({why}): {kept}the same command with --resume continues"))
}

fn panicked(message: &str) -> Error {
    if message.contains("from user input") {
        return Error::Interrupted("killed from the dashboard; the same command with --resume continues".into());
    }
    Error::Training(format!("Burn gave up: {message}"))
}

/// Keeps the checkpoints that can still be needed: the latest, to resume from, and the best.
struct KeepLatestAndBest {
    journal: SharedJournal,
    kept: Vec<usize>,
}

impl CheckpointingStrategy for KeepLatestAndBest {
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        let best = self.journal.lock().report.best_epoch;
        let (keep, drop): (Vec<_>, Vec<_>) =
            self.kept.iter().copied().partition(|e| e + KEPT_CHECKPOINTS > epoch || Some(*e) == best);
        self.kept = keep;
        self.kept.push(epoch);
        [CheckpointingAction::Save].into_iter().chain(drop.into_iter().map(CheckpointingAction::Delete)).collect()
    }
}

/// Early stopping from the run's figures, which a resumed run has too.
#[derive(Clone)]
struct Patience {
    journal: SharedJournal,
    epochs: usize,
}

impl EarlyStoppingStrategy for Patience {
    fn should_stop(&mut self, _: usize, _: &EventStoreClient) -> bool {
        exhausted(&self.journal.lock().report, self.epochs)
    }
}

/// Whether the last `patience` epochs brought no better one.
fn exhausted(report: &Report, patience: usize) -> bool {
    patience > 0 && report.best_epoch.is_some_and(|best| report.epochs.len() >= best + patience)
}
