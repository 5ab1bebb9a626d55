//! A whole run: its folder, what is resumed, the data, training, the test set, and the page.

use std::{path::Path, sync::Arc};

use burn::{lr_scheduler::LrSchedulerRecord, optim::OptimizerRecord, tensor::Device, train::Interrupter};

use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    backend::{AUTO, FoundDevice, select},
    config::Config,
    data::{ImageSet, Splits},
    evaluation::{dead_units, evaluate},
    model::LeNet5,
    page, panics, pool,
    report::{Report, Status},
    terminal::say,
    training::{Progress, learn},
};

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
    let FoundDevice { name, hardware, device } = select(&config.backend)?;
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

    let finished = first > config.training.epochs || report.stalled(config.training.patience);
    let mut report = if finished {
        report
    } else {
        // On one of the threads that share the work: any other would sleep and be woken in each step.
        let learned = pool::run(&device, || learn(config, &splits, &device, &run, report, progress, interrupter));
        if let Err(Error::Diverged { .. }) = learned {
            write_page(&run, &splits.test, progress);
        }
        learned?
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
