//! Files written so that no reader sees half of one, text in the encodings that editors write, and SHA-256.

use std::{
    io::{self, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{Error, Result, formats::Format};

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
    hexadecimal(parts.iter().fold(Sha256::new(), Digest::chain_update))
}

/// The SHA-256 of what is read, in hexadecimal. It is never all in memory.
pub(crate) fn sha256_of_file(mut file: impl Read) -> io::Result<String> {
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(hexadecimal(hash)),
            Ok(count) => hash.update(&part[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A SHA-256 in hexadecimal.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |sum, byte| sum + &format!("{byte:02x}"))
}

/// The text in a file's bytes: UTF-8 or, as some editors on Windows write, UTF-16; with or without a byte order mark.
///
/// # Errors
/// What else it is, and what to do about it.
pub(crate) fn text(bytes: Vec<u8>) -> std::result::Result<String, String> {
    let utf_16 = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks().0.iter().map(|unit| number(*unit));
        char::decode_utf16(units)
            .collect::<std::result::Result<String, _>>()
            .map_err(|_| "is damaged UTF-16 text: save it as UTF-8 in an editor".to_owned())
    };
    match &bytes[..] {
        [0xff, 0xfe, rest @ ..] => return utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf_16(rest, u16::from_be_bytes),
        // Without a mark: the first character of a config is one of ASCII.
        [1..=0x7f, 0, ..] => return utf_16(&bytes, u16::from_le_bytes),
        [0, 1..=0x7f, ..] => return utf_16(&bytes, u16::from_be_bytes),
        _ => {}
    }
    let text =
        String::from_utf8(bytes).map_err(|error| no_utf_8(error.as_bytes(), error.utf8_error().valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text))
}

/// What is said of bytes that are not UTF-8 from `at` on.
fn no_utf_8(bytes: &[u8], at: usize) -> String {
    match Format::of(bytes) {
        Format::Unknown | Format::Text => {
            let line = 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
            let byte = bytes.get(at).copied().unwrap_or_default();
            format!("is not text in UTF-8: line {line} holds the byte {byte:#04x}. Save it as UTF-8 in an editor")
        }
        other => format!("is {other}, not text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_the_encodings_that_editors_write() {
        let written = "seed = 7 # Größe\n";
        let units = |bytes: fn(u16) -> [u8; 2]| written.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
        for bytes in [
            written.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf], written.as_bytes()].concat(),
            [&[0xff, 0xfe], &little[..]].concat(),
            [&[0xfe, 0xff], &big[..]].concat(),
            little,
            big,
        ] {
            assert_eq!(text(bytes.clone()).as_deref(), Ok(written), "{bytes:?}");
        }
        insta::assert_snapshot!(text(b"seed = 7\n# Gr\xf6\xdfe".to_vec()).unwrap_err(), @"is not text in UTF-8: line 2 holds the byte 0xf6. Save it as UTF-8 in an editor");
        insta::assert_snapshot!(text(b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec()).unwrap_err(), @"is a picture in JPEG format, not text");
        insta::assert_snapshot!(text(b"\xff\xfe\0\xd8\0\0".to_vec()).unwrap_err(), @"is damaged UTF-16 text: save it as UTF-8 in an editor");
        assert_eq!(text(Vec::new()).as_deref(), Ok(""));
    }
}
