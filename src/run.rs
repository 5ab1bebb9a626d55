//! A whole run: prepare its folder, resume what is there, load the data, train, test, and write the page.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::{lr_scheduler::LrSchedulerRecord, optim::OptimizerRecord, tensor::Device, train::Interrupter};
use image::DynamicImage;

use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    backend::{self, AUTO, is_host},
    card::Card,
    config::{Config, Scale},
    data::{ImageSet, Inspection, Splits},
    devices::Devices,
    evaluation::{dead_units, evaluate},
    inference::Trained,
    model::LeNet5,
    orientation, page, panics,
    reading::read,
    report::{Report, Source, Status},
    terminal::say,
    threads,
    thresholds::Thresholds,
    training::{Progress, Start, learn},
};

/// The settings that may change when a run is resumed.
const CHANGEABLE: [&str; 5] = ["backend", "devices", "training.epochs", "training.patience", "logging.tensorboard"];

/// Trains and tests a net as the config says, and writes everything into a run's folder.
///
/// A resumed run continues after its last complete epoch; with the same settings its results are the same as if it had
/// never been interrupted. With another number of epochs the schedule is stretched, and the learning rate jumps.
/// Training can be stopped at any moment through `interrupter`.
///
/// Burn loads the optimizer's state of a resumed run onto its default device first. If that may be a GPU that is not
/// there, the program has to set `BURN_DEVICE` to [`crate::backend::default_for_burn`].
///
/// # Errors
/// The backend or the data are not available, the folder cannot be written or holds a run with other settings, the loss
/// diverges, the learner fails, or training was interrupted.
pub fn train(
    config: &Config,
    folder: &Path,
    existing: Existing,
    progress: Progress,
    interrupter: &Interrupter,
) -> Result<Report> {
    config.validate()?;
    let config = &config.with_absolute_folder();
    let devices = Devices::select(config)?;
    let (name, hardware, device) = (devices.names(), devices.hardware(), devices.main());
    if config.main_device() == AUTO && progress != Progress::None {
        say(format!("using backend {name} on {hardware}"));
    }
    if config.data.negatives > 0.0 && !is_host(device) {
        return Err(Error::Config(format!(
            "data.negatives needs a CPU backend, such as flex, but the backend is {name}"
        )));
    }
    let run = Arc::new(RunDir::prepare(folder, existing)?);
    let earlier = earlier_report(config, &run)?;
    let before = earlier.as_ref().map(|_| run.read_config()).transpose()?;
    let moved = before.as_ref().is_some_and(|it| it.with_absolute_folder().data.folder != config.data.folder);
    let config = &before.map_or_else(|| config.clone(), |before| config.clone().with_found(&before.data));
    if let Some(earlier) = &earlier
        && !moved
        && earlier.status == Status::Complete
        && earlier.epochs.len() >= config.training.epochs
        && let Ok(record) = run.read_model()
    {
        return refresh_card(&run, earlier, record);
    }
    let splits = load(config)?;
    let data_sha256 = (config.data.folder != Path::new("")).then(|| splits.sha256());
    if let Some(earlier) = &earlier
        && (moved || earlier.data_sha256.is_some())
        && earlier.data_sha256 != data_sha256
    {
        return Err(other_images(config, &run));
    }
    if config.data.folder != Path::new("") && progress != Progress::None {
        for line in about_data(config, &splits)? {
            say(line);
        }
    }
    let config = &settled(config, &splits);
    let classes = config.data.classes.len();
    let done = match &earlier {
        Some(earlier) => last_complete_epoch(&run, earlier, config.training.epochs, classes, device)?,
        None => 0,
    };
    // Before the folder's run is removed: it may be the one to begin with.
    let beginning = if done == 0 { beginning(config)? } else { None };
    run.begin(config)?;

    let mut report = Report::new(config, splits.train.len(), splits.valid.len());
    (report.backend, report.hardware, report.data_sha256) = (name, hardware, data_sha256);
    let (net, started_from) = beginning.unzip();
    report.started_from = started_from;
    let mut first = 1;
    if let Some(earlier) = earlier {
        if progress != Progress::None && done < earlier.epochs.len().min(config.training.epochs) {
            say(format!(
                "the checkpoint of epoch {} cannot be read: continuing after epoch {done}",
                earlier.epochs.len()
            ));
        }
        report.epochs = earlier.epochs;
        report.started_from = report.started_from.or(earlier.started_from);
        report.truncate(done);
        first = done + 1;
    }
    run.rewind(report.epochs.len())?;
    run.write_report(&report)?;

    let finished = first > config.training.epochs || report.stalled(config.training.patience);
    let mut report = if finished {
        report
    } else {
        let learning = || learn(config, &splits, &devices, &run, Start { report, net }, progress, interrupter);
        // On a thread of the pool: any other thread would sleep during each step and have to be woken.
        let learned = if devices.share_the_pool() { learning() } else { threads::run(device, learning) };
        if let Err(Error::Diverged { .. }) = learned {
            write_page(&run, &splits.test, progress);
        }
        learned?
    };

    // Only the best epoch is tested, and only here.
    if let Some(best) = report.best_epoch {
        let path = run.checkpoint(best);
        let record = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let testing = || test(&mut report, record.clone(), &path, config, &splits, device);
        let tested = panics::catch(testing)
            .unwrap_or_else(|panic| Err(panics::of_the_system(&panic).unwrap_or(Error::Device(panic))));
        tested.map_err(|error| devices.explain(error))?;
        report.model_sha256 = Some(run.write_model(record, &Card::new(config, &report)?)?);
    }
    report.status = Status::Complete;
    run.write_report(&report)?;
    write_page(&run, &splits.test, progress);
    Ok(report)
}

/// Measures the net of a checkpoint, for the report.
fn test(
    report: &mut Report,
    record: Vec<u8>,
    path: &Path,
    config: &Config,
    splits: &Splits,
    device: &Device,
) -> Result<()> {
    let net = LeNet5::from_record(record, path, device)?.with_operators(config.operators);
    report.test = Some(evaluate(&net, &splits.test, device)?);
    // Layer by layer, for which `flex` is the fastest of the CPU's backends.
    report.dead_units = Some(match backend::host() {
        Some(flex) if is_host(device) && flex != *device => {
            dead_units(&LeNet5::load(path, &flex)?, &splits.test, &flex)?
        }
        _ => dead_units(&net, &splits.test, device)?,
    });
    if config.data.negatives > 0.0 {
        let digits = if splits.valid.is_empty() { &splits.train } else { &splits.valid };
        let reader = |picture: &DynamicImage| read(&net, config.data.scale, device, picture);
        report.thresholds = Some(Thresholds::choose(reader, digits, config.seed)?);
    }
    Ok(())
}

/// The images of a run, of which some have to be left to test with.
fn load(config: &Config) -> Result<Splits> {
    let splits = Splits::load(config)?;
    if splits.test.is_empty() {
        let test = config.data.test;
        return Err(Error::Data(format!(
            "data.test = {test} leaves no images to test with; raise it, or add test images"
        )));
    }
    Ok(splits)
}

/// The net of the run that training begins with, with an output for each class that the config names, and where it is from;
/// `None` to begin with random parameters.
///
/// # Errors
/// There is no such run, it is damaged, or its pixels are scaled in another way.
fn beginning(config: &Config) -> Result<Option<(LeNet5, Source)>> {
    let (from, data) = (&config.training.from, &config.data);
    if from == Path::new("") {
        return Ok(None);
    }
    let Trained { net, card, model_sha256, .. } = Trained::load(from, Some(config.main_device()))?;
    let shown = from.display();
    if card.scale != data.scale {
        let [its, ours] = [card.scale, data.scale].map(Scale::name);
        return Err(Error::Config(format!(
            "training.from: the pixels of {shown} are scaled as \"{its}\", but data.scale is \"{ours}\": its parameters fit \
             only its own scale. Add --set data.scale={its}"
        )));
    }
    let net = net.for_classes(&card.classes, &data.classes, config.seed)?;
    Ok(Some((net, Source { path: from.display().to_string(), sha256: model_sha256 })))
}

/// The config with what was found about the data, where it left that open.
fn settled(config: &Config, splits: &Splits) -> Config {
    let config = config.clone().with_classes(splits.train.classes());
    // MNIST is always the same.
    if config.data.folder == Path::new("") { config } else { config.with_found(&splits.source.found) }
}

/// What the data are, and what is wrong with them.
fn about_data(config: &Config, splits: &Splits) -> Result<Vec<String>> {
    let problems = Inspection::of(splits).problems.into_iter().filter(|problem| problem.kind != "repeated");
    let problems = problems.chain(orientation::problem(splits)?);
    let mut lines = vec![splits.in_one_line(config)];
    lines.extend(
        problems.map(|problem| format!("{}: {}", if problem.spoils { "warning" } else { "note" }, problem.text)),
    );
    if lines.len() > 1 {
        lines.push(format!("`lenet data {}` shows more", config.data.folder.display()));
    }
    Ok(lines)
}

/// Gives the model of a complete run the card that it would get today: older versions of this program wrote none.
fn refresh_card(run: &RunDir, report: &Report, record: Vec<u8>) -> Result<Report> {
    let card = Card::new(&run.read_config()?, report)?;
    if Card::read(&record, &run.model()).ok().flatten().as_ref() == Some(&card) {
        return Ok(report.clone());
    }
    let report = Report { model_sha256: Some(run.write_model(record, &card)?), ..report.clone() };
    run.write_report(&report)?;
    Ok(report)
}

/// The report of the run to resume; `None` if there is nothing to resume.
///
/// # Errors
/// The run has other settings, or it has checkpoints but no readable report.
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
    let report = run.read_report()?;
    if report.imported_from.is_some() {
        return Err(Error::Run(format!(
            "{shown} was imported, so there is no training to resume; train it further with --from {shown} --out DIR",
            shown = run.path().display()
        )));
    }
    let before = run.read_config()?;
    let changed: Vec<_> = before
        .differences(&config.clone().with_found(&before.data))?
        .into_iter()
        // Where the images are does not matter, as long as they are the same, which is known when they are loaded.
        .filter(|(key, _)| !CHANGEABLE.contains(&key.as_str()) && key != "data.folder")
        .map(|(key, values)| format!("{key} ({values})"))
        .collect();
    if changed.is_empty() {
        return Ok(Some(report));
    }
    Err(Error::Run(format!(
        "{} was trained with other settings: {}. Resume it with the same settings, or train elsewhere with --out DIR",
        run.path().display(),
        changed.join(", ")
    )))
}

/// The error for a run that cannot be resumed with these images.
fn other_images(config: &Config, run: &RunDir) -> Error {
    let folder = &config.data.folder;
    let given = if folder == Path::new("") { "MNIST".to_owned() } else { format!("in {}", folder.display()) };
    Error::Run(format!(
        "{} was trained on other images than {given}. Resume it with the same ones: --data DIR says where they are now. Or \
         train elsewhere with --out DIR",
        run.path().display()
    ))
}

/// The last epoch, up to `max_epoch`, from which a run can be resumed: its checkpoint and that of the best epoch until then
/// can be read. 0 if there are no checkpoints yet.
///
/// # Errors
/// There are checkpoints but none can be used: continuing would start over and remove them.
fn last_complete_epoch(
    run: &RunDir,
    report: &Report,
    max_epoch: usize,
    classes: usize,
    device: &Device,
) -> Result<usize> {
    let max_epoch = max_epoch.min(report.epochs.len());
    let kept = run.checkpoints();
    // Here, so that a device that cannot be reached is not taken for a damaged checkpoint.
    let here = backend::host().unwrap_or_else(|| device.clone());
    let is_net = |path: PathBuf| LeNet5::load(&path, &here).is_ok_and(|net| net.classes() == classes);
    let readable = |epoch: &usize| {
        let mut until = report.clone();
        until.truncate(*epoch);
        let [optimizer, schedule] = run.checkpoint_states(*epoch);
        is_net(run.checkpoint(*epoch))
            && OptimizerRecord::load(optimizer).is_ok()
            && LrSchedulerRecord::load(schedule).is_ok()
            && until.best_epoch.is_some_and(|best| is_net(run.checkpoint(best)))
    };
    match kept.iter().rev().filter(|epoch| **epoch <= max_epoch).find(|epoch| readable(epoch)) {
        Some(epoch) => Ok(*epoch),
        None if kept.is_empty() || report.epochs.is_empty() => Ok(0),
        None => Err(Error::Run(format!(
            "{} cannot be continued up to epoch {max_epoch}: it has checkpoints of {}, and none of them can be used. Start \
             over with --force, or elsewhere with --out DIR",
            run.path().display(),
            kept.iter().map(|epoch| format!("epoch {epoch}")).collect::<Vec<_>>().join(", "),
        ))),
    }
}

/// Writes the page. It can be written again, so an error is only reported.
fn write_page(run: &RunDir, test: &ImageSet, progress: Progress) {
    let written = panics::catch(|| page::write_single(run, &run.page(), Some(test)))
        .unwrap_or_else(|panic| Err(Error::Page(panic)));
    if let Err(error) = written
        && progress != Progress::None
    {
        say(format!("the page could not be written: {error}. `lenet report` writes it again"));
    }
}
