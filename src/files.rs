//! Files written so that no reader sees half of one, and their SHA-256.

use std::{io::Write, path::Path};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// How the names of temporary files begin and end.
const TEMPORARY: (&str, &str) = (".lenet-", ".tmp");

/// Whether a name is that of one of our temporary files, which are left where a process was killed while writing.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// Removes the files in a folder whose names fulfil a condition. What cannot be removed stays.
pub(crate) fn remove_files(folder: &Path, condition: fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(condition) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes a file atomically, so that no reader finds half of it: to a temporary file in the same folder, which is then
/// renamed.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    // Temporary files are private by default; a result is to be as readable as the user's other files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(Error::io("write into", folder))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    Ok(())
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    sha256_of(&[bytes])
}

/// The SHA-256 of some parts one after the other, in hexadecimal.
pub(crate) fn sha256_of(parts: &[&[u8]]) -> String {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update);
    hash.finalize().iter().fold(String::new(), |sum, byte| sum + &format!("{byte:02x}"))
}
