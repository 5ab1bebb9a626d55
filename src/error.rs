//! What can go wrong, in words that name the remedy.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong. Each message names the file or value at fault and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A config file or an override does not hold up; the message shows where.
    #[error("{0}")]
    Config(String),

    /// The backend is unknown, not compiled in, or has no device here that works.
    #[error("{0}")]
    Backend(String),

    /// A device failed at its work.
    #[error("the device failed: {0}. `lenet backends` shows the others")]
    Device(String),

    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried: "read", "write", "create the folder", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A data set's files are missing or are not what they should be.
    #[error("{0}")]
    Data(String),

    /// A run's folder is in the way, missing, incomplete or in use.
    #[error("{0}")]
    Run(String),

    /// A checkpoint or model file is damaged or belongs to another net.
    #[error("{}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        reason: String,
    },

    /// A picture cannot be read as a digit.
    #[error("{}: {reason}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// Some of several pictures could not be read; each was reported by itself.
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

    /// A page or a figure could not be made.
    #[error("{0}")]
    Page(String),

    /// The loss is no longer a number.
    #[error(
        "training diverged: the loss is no longer a finite number in epoch {epoch}. \
         Lower optimizer.learning_rate, or set optimizer.clip_norm"
    )]
    Diverged {
        /// The first epoch without a finite loss, counted from 1.
        epoch: usize,
    },

    /// Ctrl-C, a termination signal, or `q` in the dashboard.
    #[error("{0}")]
    Interrupted(String),
}

impl Error {
    /// The process's exit code: 2 where the command or config has to be changed, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Backend(_) => 2,
            _ => 1,
        }
    }

    /// For `map_err`: an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// What a person can do about a system's error, where there is something to say.
fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ". Free some space, or choose another folder",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            ". Choose a folder that you may write to, or change its permissions"
        }
        _ => "",
    }
}
