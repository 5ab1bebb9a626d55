//! The pictures in a folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::formats::{Format, head};

/// Files that are read as pictures whatever is in them, so that damaged ones are named.
const SUFFIXES: [&str; 16] = [
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp",
];
/// What systems and programs leave in folders; and all that begins with a dot.
const LEFT_BEHIND: [&str; 8] = [
    "$recycle.bin",
    "@eadir",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "system volume information",
    "thumbs.db",
];

/// What is in a folder, but not in the folders in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The pictures, in natural order: 2 before 10.
    pub pictures: Vec<PathBuf>,
    /// The number of other files, without those that systems leave behind.
    pub others: usize,
    /// The number of folders in it, likewise.
    pub folders: usize,
}

impl Listing {
    /// Lists a folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_left_behind(&path) {
                continue;
            }
            if path.is_dir() {
                listing.folders += 1;
            } else if is_picture(&path) {
                listing.pictures.push(path);
            } else {
                listing.others += 1;
            }
        }
        alphanumeric_sort::sort_path_slice(&mut listing.pictures);
        Ok(listing)
    }

    /// What is in it besides pictures, such as "3 other files and 2 folders"; `None` if that is nothing.
    pub fn rest(&self) -> Option<String> {
        let count =
            |n: usize, one: &str, many: &str| (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { many }));
        let parts = [count(self.others, "other file", "other files"), count(self.folders, "folder", "folders")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

/// What is said of a folder where a picture was expected.
pub(super) fn complaint(folder: &Path) -> String {
    match Listing::of(folder) {
        Err(e) => format!("is a folder that cannot be read: {e}"),
        Ok(listing) if !listing.pictures.is_empty() => "is a folder; name the pictures in it".into(),
        Ok(listing) => match listing.rest() {
            Some(rest) => format!("is a folder without pictures: it holds {rest}"),
            None => "is an empty folder".into(),
        },
    }
}

/// Whether a file or folder is hidden, or what systems and programs leave behind.
pub(crate) fn is_left_behind(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.starts_with('.') || LEFT_BEHIND.contains(&name.as_str())
}

/// Whether a path has the suffix of a picture that lenet reads.
pub(crate) fn has_suffix_of_picture(path: &Path) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix.as_str()))
}

/// Whether a file is a picture, also one of a format that is not read: it is named then, rather than passed over.
pub(crate) fn is_picture(path: &Path) -> bool {
    // A pipe or a device in a folder may have no end.
    path.is_file() && (has_suffix_of_picture(path) || head(path).is_ok_and(|head| Format::of(&head).is_picture()))
}
