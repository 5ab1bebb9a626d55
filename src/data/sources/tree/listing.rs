//! What is in folders.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::{
    Error, Result,
    picture::{has_suffix_of_picture, is_left_behind, is_picture},
};

/// A picture in a folder of a class, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Picture {
    pub path: PathBuf,
    /// The index of its class.
    pub class: u8,
    /// Of the file, in bytes.
    pub size: u64,
    /// When the file was changed, in nanoseconds since 1970.
    pub modified: u128,
}

/// What a folder holds, and all folders in it.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub folder: PathBuf,
    pub pictures: Vec<Picture>,
    /// Files that are no pictures.
    pub others: Vec<PathBuf>,
}

/// What is directly in a folder, without what systems leave behind.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub folders: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
}

/// What folders hold, by their names.
///
/// # Errors
/// One cannot be read, or its name is no text.
pub(super) fn contents(folders: &[PathBuf]) -> Result<BTreeMap<String, Content>> {
    let content = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Error::Data(format!("{}: the name of this folder is not UTF-8 text: rename it", folder.display()))
        })?;
        Ok((name.to_owned(), Content::of(folder)?))
    };
    folders.iter().map(content).collect()
}

impl Content {
    /// Lists a folder and all in it.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut content = Self { folder: folder.to_owned(), ..Self::default() };
        content.add(folder, &mut Vec::new())?;
        Ok(content)
    }

    /// Adds what is in a folder. `above` are the folders that it was reached through, without links.
    fn add(&mut self, folder: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        let Entries { folders, files } = Entries::of(folder)?;
        for path in files {
            self.add_file(path);
        }
        let here = real(folder);
        above.push(here.clone());
        for folder in folders {
            let there = real(&folder);
            // A link may lead back to where it is.
            if here.starts_with(&there) || above.contains(&there) {
                self.others.push(folder);
            } else {
                self.add(&folder, above)?;
            }
        }
        above.pop();
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf) {
        let metadata = fs::metadata(&path).ok();
        // A link that leads nowhere has the name of a picture, too. A pipe may have no end.
        let may_be_one = metadata.as_ref().is_none_or(fs::Metadata::is_file);
        if !may_be_one || !has_suffix_of_picture(&path) && !is_picture(&path) {
            self.others.push(path);
            return;
        }
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        let (size, modified) = (metadata.map_or(0, |it| it.len()), modified.map_or(0, |time| time.as_nanos()));
        self.pictures.push(Picture { path, class: 0, size, modified });
    }
}

fn real(folder: &Path) -> PathBuf {
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

impl Entries {
    /// Lists a folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let read = || Error::io("read the folder", folder);
        let mut entries = Self::default();
        for entry in fs::read_dir(folder).map_err(read())? {
            let entry = entry.map_err(read())?;
            let path = entry.path();
            if is_left_behind(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(read())?;
            // A link counts as what it leads to.
            if kind.is_dir() || kind.is_symlink() && path.is_dir() {
                entries.folders.push(path);
            } else {
                entries.files.push(path);
            }
        }
        entries.folders.sort();
        entries.files.sort();
        Ok(entries)
    }

    /// Whether any of the files is a picture.
    pub fn has_pictures(&self) -> bool {
        self.files.iter().any(|path| is_picture(path))
    }
}
