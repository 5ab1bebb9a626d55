//! Everything that can go wrong, in messages that say what to do about it.

use std::path::{Path, PathBuf};

use crate::formats::{Format, head};

/// The result of a function that can fail with an [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An error. Its message names the file or value at fault and says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A config file or an override is not valid; the message shows where.
    #[error("{0}")]
    Config(String),

    /// The command line is not valid in a way that only its command knows.
    #[error("{0}")]
    Usage(String),

    /// The backend is unknown or not compiled in, or none of its devices works here.
    #[error("{0}")]
    Backend(String),

    /// A device failed while computing.
    #[error("the device failed: {0}. `lenet backends` lists the others")]
    Device(String),

    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(action, source))]
    Io {
        /// What was tried: "read", "write", "create the folder", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },

    /// A data set's files are missing or not valid.
    #[error("{0}")]
    Data(String),

    /// A run's folder is missing, incomplete, or already there.
    #[error("{0}")]
    Run(String),

    /// Another process, or another job of this one, is training into the run's folder.
    #[error("another process is training into {}; wait for it, or use --out", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },

    /// A checkpoint or model file is damaged or holds another net.
    #[error("{}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do about it.
        reason: String,
    },

    /// A picture file cannot be read, or shows nothing.
    #[error("{}: {reason}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// Some of several pictures could not be read; an error was printed for each.
    #[error("{failed} of {total} pictures could not be read")]
    SomePictures {
        /// How many could not.
        failed: usize,
        /// How many were given.
        total: usize,
    },

    /// Burn's learner ended with an error.
    #[error("training failed: {0}")]
    Training(String),

    /// The service could not be started, or one of its files not be written.
    #[error("{0}")]
    Serve(String),

    /// A page or one of its charts could not be made.
    #[error("{0}")]
    Page(String),

    /// A result could not be written as JSON.
    #[error("{what} cannot be written as JSON: {source}")]
    Json {
        /// What was to be written.
        what: String,
        /// The serializer's error.
        source: serde_json::Error,
    },

    /// The system starts too few threads.
    #[error(
        "threads cannot be started: {0}. Raise the limit on processes (`ulimit -u`, or a container's) or on memory \
         (`ulimit -v`)"
    )]
    Threads(String),

    /// Ctrl-C and termination signals cannot be handled.
    #[error("signals cannot be handled: {0}")]
    Signals(String),

    /// The loss is no longer a finite number.
    #[error(
        "training diverged: the loss is no longer a finite number in epoch {epoch}. \
         Lower optimizer.learning_rate, for a start to a tenth, or set schedule.warmup=0.1 or optimizer.clip_norm=1"
    )]
    Diverged {
        /// The first epoch without a finite loss, from 1.
        epoch: usize,
    },

    /// Ctrl-C, a termination signal, or `q` in the dashboard.
    #[error("{0}")]
    Interrupted(String),
}

impl Error {
    /// The exit code of the process: 2 if the command line, the config or the backend is not valid, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Backend(_) => 2,
            _ => 1,
        }
    }

    /// For `map_err`: adds to an I/O error what was tried, and on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A file is not a record of Burn's: it is something else, or damaged.
    pub(crate) fn unreadable_record(path: &Path, what: impl std::fmt::Display) -> Self {
        let format = head(path).map_or(Format::Unknown, |head| Format::of(&head));
        let damaged = || format!("is not a readable record ({what}); it may be damaged: train again");
        let reason = format.instead_of_a_record().unwrap_or_else(damaged);
        Self::Record { path: path.to_owned(), reason }
    }

    /// For `map_err`: adds to a serializer's error what was to be written.
    pub(crate) fn json(what: impl std::fmt::Display) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.to_string();
        move |source| Self::Json { what, source }
    }
}

/// What a person can do about a system error, if anything.
fn remedy(action: &str, error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied if action.starts_with("read") => ". Change its permissions",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ". Free some space, or choose another folder",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            ". Choose a folder that you may write to, or change its permissions"
        }
        _ => "",
    }
}
