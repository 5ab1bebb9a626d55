//! Files in a run's folder that are nobody's work: what the system puts into every folder, and what a killed process left.

use std::{
    fs::{self, DirEntry},
    path::Path,
};

use super::{CHECKPOINTS, LOCK};
use crate::files::{is_temporary, remove_files};

/// Files and folders that systems and version control put into a folder.
const OF_THE_SYSTEM: [&str; 14] = [
    "lost+found",
    ".DS_Store",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".Trashes",
    ".fseventsd",
    "Thumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    ".directory",
    ".gitignore",
    ".gitkeep",
    ".keep",
];

/// Whether there is anything in a folder that a person may have put there.
pub(super) fn has_foreign_files(folder: &Path) -> bool {
    let is_foreign = |entry: DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let of_the_system = OF_THE_SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(&name));
        // `._name` is what a Mac adds to each file on a foreign disk, `.Trash-1000` a Linux desktop's bin.
        let of_the_system = of_the_system || name.starts_with("._") || name.starts_with(".Trash-");
        !of_the_system && name != LOCK && !is_temporary(&name)
    };
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_foreign))
}

/// Removes the temporary files that a killed process left in a run's folder: ours, and Burn's among the checkpoints. What
/// cannot be removed does no harm.
pub(super) fn clear(run: &Path) {
    remove_files(run, is_temporary);
    remove_files(&run.join(CHECKPOINTS), is_burns);
}

/// Whether a name is that of a temporary file of Burn's: `model-3.bpk.PROCESS-NUMBER.tmp`.
fn is_burns(name: &str) -> bool {
    let of = |rest: &str| {
        let (_, numbers) = rest.rsplit_once(".bpk.")?;
        let (process, number) = numbers.split_once('-')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Some(digits(process) && digits(number))
    };
    name.strip_suffix(".tmp").and_then(of).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_burns_temporary_files_are_taken_for_such() {
        assert!(is_burns("model-3.bpk.4711-0.tmp") && is_burns("optim-12.bpk.1-22.tmp"));
        for other in
            ["model-3.bpk", "notes.tmp", "model-3.bpk.tmp", "model-3.bpk.a-0.tmp", "model-3.bpk.1-.tmp", "1-1.tmp"]
        {
            assert!(!is_burns(other), "{other}");
        }
    }
}
