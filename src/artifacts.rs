//! A run's folder. Only this module knows the names of the files in it.

mod leftovers;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    card::Card,
    config::Config,
    data::digits,
    files::{sha256, text, write_atomically},
    formats::Format,
    report::Report,
};

const CONFIG: &str = "config.toml";
const REPORT: &str = "report.json";
const METRICS_CSV: &str = "metrics.csv";
const PAGE: &str = "report.html";
/// The folder of TensorBoard's event files.
const TENSORBOARD: &str = "tensorboard";
const MODEL: &str = "model.bpk";
const LOCK: &str = ".lock";
/// Burn's folder of checkpoints, and the three files of each.
const CHECKPOINTS: &str = "checkpoint";
const CHECKPOINT_PARTS: [&str; 3] = ["model", "optim", "scheduler"];
/// Burn's folders of metric logs, with a subfolder for each epoch.
const METRICS: [&str; 2] = ["train", "valid"];
const EPOCH: &str = "epoch-";

/// The name that stands for the net that comes with the program, wherever a run is asked for.
pub const PRETRAINED: &str = "pretrained";
/// Its run: the files that are read of one.
const PRETRAINED_FILES: [(&str, &[u8]); 3] = [
    (CONFIG, include_bytes!("../pretrained/config.toml")),
    (REPORT, include_bytes!("../pretrained/report.json")),
    (MODEL, include_bytes!("../pretrained/model.bpk")),
];

/// What to do if the folder already holds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Fail and leave it alone.
    Refuse,
    /// Remove it.
    Replace,
    /// Continue it.
    Resume,
    /// Continue it; without one, start.
    ResumeOrStart,
}

/// A run's folder: the resolved `config.toml`, `report.json`, the best epoch's `model.bpk`, and the learner's
/// `checkpoint/`, `train/` and `valid/`.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    existing: Existing,
    /// Whether it is the run that comes with the program, which is not in a folder.
    pretrained: bool,
    /// Locked while training writes here.
    lock: Option<File>,
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // If training fails before it begins, nothing is left behind.
        if self.lock.is_some() && !self.path.join(CONFIG).exists() {
            let _ = fs::remove_file(self.path.join(LOCK));
            let _ = fs::remove_dir(&self.path);
        }
    }
}

impl RunDir {
    /// Prepares a folder for training and locks it against other processes. Its content does not change yet, except that
    /// temporary files are removed which a killed process left.
    ///
    /// # Errors
    /// There is already a run (or none to resume), the folder holds other files, another process is training into it,
    /// or it cannot be written.
    pub fn prepare(path: &Path, existing: Existing) -> Result<Self> {
        let is_run = path.join(CONFIG).is_file();
        let shown = path.display();
        if path == Path::new(PRETRAINED) {
            return Err(Error::Run(format!(
                "{shown} stands for the net that comes with lenet; choose another folder with --out"
            )));
        }
        if existing == Existing::Resume && !is_run {
            return Err(Error::Run(format!("{shown} holds no run to resume; train without --resume first")));
        }
        if existing == Existing::Refuse && is_run {
            return Err(Error::Run(format!(
                "{shown} already holds a run: add --resume to continue it, --force to replace it, or --out DIR to \
                 write elsewhere"
            )));
        }
        if !is_run && leftovers::has_foreign_files(path) {
            return Err(Error::Run(format!(
                "{shown} is not empty and does not hold a run; choose another folder with --out"
            )));
        }
        fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse { path: path.to_owned() });
            }
            Ok(()) => leftovers::clear(path),
            // Some network file systems have no locks: the folder stays unguarded there.
            Err(TryLockError::Error(_)) => {}
        }
        let existing = match existing {
            // Another process may have begun it before the lock.
            Existing::ResumeOrStart if path.join(CONFIG).is_file() => Existing::Resume,
            Existing::ResumeOrStart => Existing::Refuse,
            certain => certain,
        };
        Ok(Self { path: path.to_owned(), existing, pretrained: false, lock: Some(lock) })
    }

    /// Opens a finished or unfinished run for reading; [`PRETRAINED`] is the one that comes with the program.
    ///
    /// # Errors
    /// The folder holds no run.
    pub fn open(path: &Path) -> Result<Self> {
        let pretrained = path == Path::new(PRETRAINED);
        if pretrained || path.join(CONFIG).is_file() {
            return Ok(Self { path: path.to_owned(), existing: Existing::Refuse, pretrained, lock: None });
        }
        Err(Error::Run(format!(
            "{} is not a run: expected the folder of a run, such as artifacts/lenet, or its model.bpk, or `{PRETRAINED}` \
             for the net that comes with lenet. `lenet train configs/lenet.toml` creates a run",
            path.display()
        )))
    }

    /// Whether this is the run that comes with the program: it has no folder to write to.
    #[must_use]
    pub fn is_pretrained(&self) -> bool {
        self.pretrained
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `model.bpk`: the best epoch's parameters.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// `report.json`: everything that the run measured.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// `report.html`: the run as a page.
    #[must_use]
    pub fn page(&self) -> PathBuf {
        self.path.join(PAGE)
    }

    /// The folder of TensorBoard's event files.
    #[must_use]
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join(TENSORBOARD)
    }

    /// The learner's log of a metric in an epoch; `split` is `train` or `valid`.
    #[must_use]
    pub fn metric_log(&self, split: &str, epoch: usize, metric: &str) -> PathBuf {
        self.path.join(split).join(format!("{EPOCH}{epoch}")).join(format!("{}.log", metric.replace(' ', "_")))
    }

    /// The parameters after an epoch, as long as its checkpoint is kept.
    #[must_use]
    pub fn checkpoint(&self, epoch: usize) -> PathBuf {
        self.checkpoint_part("model", epoch)
    }

    /// Reads the settings of the run, in which the classes have their names.
    ///
    /// # Errors
    /// The file cannot be read or is not valid.
    pub fn read_config(&self) -> Result<Config> {
        let config = Config::parse(&self.read_text(CONFIG)?, &self.path.join(CONFIG), &[])?;
        // Runs that name no classes are older than names, when there were only digits.
        Ok(config.of_older_run(&digits()))
    }

    /// Whether training continues the run in the folder.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.existing == Existing::Resume
    }

    /// Begins training: removes the run to be replaced, and writes the settings.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(&self, config: &Config) -> Result<()> {
        if self.existing == Existing::Replace {
            self.clear()?;
        }
        write_atomically(&self.path.join(CONFIG), config.to_file()?.as_bytes())
    }

    /// Reads the report of the run so far.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn read_report(&self) -> Result<Report> {
        if !self.pretrained && !self.report().exists() {
            return Err(Error::Run(format!(
                "{} is missing: training was stopped before it began. Go on with `lenet train CONFIG --resume`",
                self.report().display()
            )));
        }
        serde_json::from_str(&self.read_text(REPORT)?)
            .map_err(|e| Error::Run(format!("{} is damaged ({e}); train again with --force", self.report().display())))
    }

    /// Writes the report, and the metrics of its epochs as CSV.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_report(&self, report: &Report) -> Result<()> {
        let path = self.report();
        let mut text = serde_json::to_string_pretty(report).map_err(Error::json(path.display()))?;
        text.push('\n');
        write_atomically(&path, text.as_bytes())?;
        write_atomically(&self.path.join(METRICS_CSV), report.metrics_csv().as_bytes())
    }

    /// Makes a record the run's model, with a card, and returns the SHA-256 of the file.
    ///
    /// # Errors
    /// It is not a record, or the model cannot be written.
    pub fn write_model(&self, record: Vec<u8>, card: &Card) -> Result<String> {
        let path = self.model();
        let bytes = card.write(record, &path)?;
        write_atomically(&path, &bytes)?;
        Ok(sha256(&bytes))
    }

    /// Reads the model file and compares it with the SHA-256 in the report, since Burn's records carry no checksum.
    ///
    /// # Errors
    /// The run is not finished, or the file is not the one that training wrote.
    pub fn read_model(&self) -> Result<Vec<u8>> {
        let path = self.model();
        if !self.pretrained && !path.exists() {
            return Err(Error::Run(format!(
                "{} has no model yet, since no epoch of it is complete: go on with `lenet train CONFIG --resume`",
                self.path.display()
            )));
        }
        let bytes = self.read(MODEL)?;
        match self.read_report()?.model_sha256 {
            Some(sum) if sum != sha256(&bytes) && Format::of(&bytes).instead_of_a_record().is_some() => {
                Err(Error::unreadable_record(&path, "its SHA-256 differs"))
            }
            Some(sum) if sum != sha256(&bytes) => Err(Error::Record {
                path,
                reason: format!(
                    "is not the file that training wrote (its SHA-256 differs from {REPORT}); it may be damaged: train \
                     again with --force"
                ),
            }),
            _ => Ok(bytes),
        }
    }

    /// The checkpoint of the best epoch so far and the report until then, for a run that is not complete. If a checkpoint is
    /// not there, as when training was killed while writing it, earlier epochs are considered.
    #[must_use]
    pub fn best_checkpoint(&self, report: &Report) -> Option<(PathBuf, Report)> {
        let kept = self.checkpoints();
        (1..=report.epochs.len()).rev().find_map(|epochs| {
            let mut until = report.clone();
            until.truncate(epochs);
            let best = until.best_epoch.filter(|best| kept.contains(best))?;
            Some((self.checkpoint(best), until))
        })
    }

    /// The run and the epoch that a checkpoint of parameters belongs to, if it lies in a run's folder.
    #[must_use]
    pub fn of_checkpoint(path: &Path) -> Option<(Self, usize)> {
        let path = path.canonicalize().ok()?;
        let epoch = epoch_of(path.file_name()?.to_str()?)?;
        let folder = path.parent().filter(|folder| folder.ends_with(CHECKPOINTS))?;
        Some((Self::open(folder.parent()?).ok()?, epoch))
    }

    /// Reads one of the run's files.
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        if self.pretrained
            && let Some((_, bytes)) = PRETRAINED_FILES.iter().find(|(file, _)| *file == name)
        {
            return Ok(bytes.to_vec());
        }
        let path = self.path.join(name);
        fs::read(&path).map_err(Error::io("read", &path))
    }

    fn read_text(&self, name: &str) -> Result<String> {
        text(self.read(name)?).map_err(|what| Error::Run(format!("{} {what}", self.path.join(name).display())))
    }

    /// The epochs with a complete checkpoint, in ascending order.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<usize> {
        let Ok(entries) = fs::read_dir(self.path.join(CHECKPOINTS)) else { return Vec::new() };
        let mut epochs: Vec<usize> = entries
            .flatten()
            .filter_map(|entry| epoch_of(entry.file_name().to_str()?))
            .filter(|epoch| CHECKPOINT_PARTS.iter().all(|part| self.checkpoint_part(part, *epoch).is_file()))
            .collect();
        epochs.sort_unstable();
        epochs
    }

    /// The states of the optimizer and of the learning rate scheduler after an epoch.
    pub(crate) fn checkpoint_states(&self, epoch: usize) -> [PathBuf; 2] {
        [self.checkpoint_part("optim", epoch), self.checkpoint_part("scheduler", epoch)]
    }

    /// Removes the checkpoints and logs of all epochs after `epoch`: Burn would take such logs for this run's.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn rewind(&self, epoch: usize) -> Result<()> {
        let later =
            |name: &str| name.rsplit('-').next().and_then(|n| n.parse::<usize>().ok()).is_some_and(|n| n > epoch);
        for folder in METRICS {
            remove_where(&self.path.join(folder), |name| name.starts_with(EPOCH) && later(name))?;
        }
        remove_where(&self.path.join(CHECKPOINTS), |name| name.strip_suffix(".bpk").is_some_and(later))
    }

    fn checkpoint_part(&self, part: &str, epoch: usize) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("{part}-{epoch}.bpk"))
    }

    /// Removes a run's files and nothing else. The config goes last, since a folder without it no longer counts as a
    /// run.
    fn clear(&self) -> Result<()> {
        self.rewind(0)?;
        remove_where(&self.tensorboard(), |name| name.starts_with("events.out.tfevents."))?;
        for folder in METRICS.into_iter().chain([CHECKPOINTS, TENSORBOARD]) {
            // Not removed if it still holds anything: that is not ours.
            let _ = fs::remove_dir(self.path.join(folder));
        }
        for name in [MODEL, REPORT, METRICS_CSV, PAGE, CONFIG] {
            let path = self.path.join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// The epoch of a checkpoint of parameters, by the name of its file.
fn epoch_of(name: &str) -> Option<usize> {
    name.strip_prefix("model-")?.strip_suffix(".bpk")?.parse().ok()
}

fn remove_where(folder: &Path, condition: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(&condition) {
            continue;
        }
        let path = entry.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(())
}
