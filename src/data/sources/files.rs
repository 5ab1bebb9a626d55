//! Where the four files of a data set are, under the names that they come with: `train-images-idx3-ubyte`,
//! `train-images.idx3-ubyte`, `emnist-digits-test-labels-idx1-ubyte.gz` and so on, in any case.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirEntry},
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    formats::{Format, head},
};

/// The files of a data set: training images, their labels, test images, their labels.
pub(super) const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
/// What they hold, in the same order.
const ROLES: [&str; 4] = ["training images", "training labels", "test images", "test labels"];
/// Files are looked for this many folders deep: torchvision writes to `MNIST/raw`.
const DEPTH: usize = 2;

/// A file whose name tells that it belongs to a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DataFile {
    path: PathBuf,
    /// What the name begins with, such as `emnist-digits`; usually nothing.
    prefix: String,
    /// An index of [`FILES`].
    role: usize,
}

/// A data set: where its files are, what their names begin with, and the files found.
type Sets = BTreeMap<(PathBuf, String), [Option<PathBuf>; 4]>;

/// The four files of the data set in a folder, or in the folders below it. If there are several, the path's last part
/// chooses one: what its files' names begin with.
///
/// # Errors
/// There are none, some are missing, or there are several sets.
pub(super) fn find(folder: &Path) -> Result<[PathBuf; 4]> {
    let (folder, prefix) = split(folder)?;
    let mut folders = vec![folder.clone()];
    let mut all = Vec::new();
    for _ in 0..=DEPTH {
        let mut files: Vec<DataFile> = folders.iter().flat_map(|folder| data_files(folder)).collect();
        files.retain(|file| prefix.as_ref().is_none_or(|prefix| file.prefix == *prefix));
        if let Some(set) = choose(&by_set(&files, Path::parent))? {
            return Ok(set);
        }
        all.extend(files);
        folders = folders.iter().flat_map(|folder| subfolders(folder)).collect();
    }
    // Also files that are spread over folders, as in Burn's cache.
    let sets = by_set(&all, |_| Some(folder.as_path()));
    choose(&sets)?.ok_or_else(|| incomplete(&folder, prefix.as_deref(), &sets))
}

/// A file of MNIST, which has no prefix, directly in a folder.
pub(super) fn file_of_mnist(folder: &Path, role: usize) -> Option<PathBuf> {
    let files = data_files(folder).into_iter().filter(|file| file.prefix.is_empty() && file.role == role);
    files.map(|file| file.path).next()
}

/// Separates a folder from the prefix of its files, if the path ends in one, or in one of the files.
fn split(path: &Path) -> Result<(PathBuf, Option<String>)> {
    if path.is_dir() {
        return Ok((path.to_owned(), None));
    }
    let missing = || {
        Error::Data(format!(
            "the images are not in {}, as data.folder says: there is no such folder. Say where they are with --data DIR, or \
             --set data.folder=DIR where a command has no --data",
            path.display()
        ))
    };
    let parent = path.parent().map(|parent| if parent == Path::new("") { Path::new(".") } else { parent });
    let parent = parent.filter(|parent| parent.is_dir()).ok_or_else(missing)?;
    let prefix = match data_file(path) {
        Some(file) => file.prefix,
        None if path.exists() => {
            let format = head(path).map_or(Format::Unknown, |head| Format::of(&head));
            let remedy = format.to_content().map(|remedy| format!(". {remedy}")).unwrap_or_default();
            return Err(Error::Data(format!(
                "{}: is {format}; set data.folder to the folder of the data set's files{remedy}",
                path.display()
            )));
        }
        None => path.file_name().map(|name| normal(&name.to_string_lossy())).unwrap_or_default(),
    };
    let prefixes: BTreeSet<String> = data_files_below(parent).into_iter().map(|file| file.prefix).collect();
    if prefixes.contains(&prefix) {
        return Ok((parent.to_owned(), Some(prefix)));
    }
    let others: Vec<String> = prefixes.into_iter().filter(|prefix| !prefix.is_empty()).collect();
    if others.is_empty() {
        return Err(missing());
    }
    Err(Error::Data(format!(
        "{}: there is no such folder, and no data files in {} begin with {prefix}; they begin with {}. \
         Say where they are with --data DIR, or --set data.folder=DIR where a command has no --data",
        path.display(),
        parent.display(),
        others.join(", ")
    )))
}

/// Whether a folder, or one below it, holds any of the four files.
pub(super) fn has_data_files(folder: &Path) -> bool {
    !data_files_below(folder).is_empty()
}

/// What the names of a data set's files begin with, such as `emnist-letters`; usually nothing.
pub(super) fn prefix_of(file: &Path) -> String {
    data_file(file).map(|file| file.prefix).unwrap_or_default()
}

fn data_files_below(folder: &Path) -> Vec<DataFile> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    for _ in 0..=DEPTH {
        files.extend(folders.iter().flat_map(|folder| data_files(folder)));
        folders = folders.iter().flat_map(|folder| subfolders(folder)).collect();
    }
    files
}

/// The data files in a folder; of two names for the same, the unpacked and shorter one comes first.
fn data_files(folder: &Path) -> Vec<DataFile> {
    let is_packed = |path: &Path| path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("gz"));
    // Names first: there may be many other files, and each look at one takes a while.
    let named = entries(folder).into_iter().filter_map(|entry| data_file(&entry.path()));
    let mut files: Vec<DataFile> = named.filter(|file| file.path.is_file()).collect();
    files.sort_by_key(|file| (is_packed(&file.path), file.path.as_os_str().len(), file.path.clone()));
    files
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
    let is_folder = |entry: &DirEntry| match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
        _ => entry.path().is_dir(),
    };
    let mut folders: Vec<PathBuf> = entries(folder)
        .into_iter()
        .filter(is_folder)
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path))
        .collect();
    folders.sort();
    folders
}

fn entries(folder: &Path) -> Vec<DirEntry> {
    fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_default()
}

/// What a file's name tells of it; `None` if it does not belong to a data set.
fn data_file(path: &Path) -> Option<DataFile> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let words: Vec<&str> = name.split(SEPARATORS).collect();
    let at = (0..words.len().checked_sub(1)?).find(|i| role(words[*i], words[*i + 1]).is_some())?;
    let role = role(words[at], words[at + 1])?;
    let is_copy = |word: &str| word.starts_with('(') && word.ends_with(')');
    let known = ["idx", "idx1", "idx2", "idx3", "ubyte", "int", "bin", "gz"];
    words[at + 2..].iter().all(|word| known.contains(word) || is_copy(word)).then(|| {
        let prefix = words[..at].join("-");
        DataFile { path: path.to_owned(), prefix, role }
    })
}

const SEPARATORS: [char; 4] = ['-', '.', '_', ' '];

/// A prefix as it is compared: in lower case, and with one kind of separator.
fn normal(prefix: &str) -> String {
    prefix.to_lowercase().trim_end_matches(SEPARATORS).replace(SEPARATORS, "-")
}

fn role(split: &str, content: &str) -> Option<usize> {
    let split = ["train", "t10k", "test"].iter().position(|word| *word == split)?.min(1);
    let content = ["images", "labels", "image", "label"].iter().position(|word| *word == content)? % 2;
    Some(2 * split + content)
}

/// Groups files into sets by their prefix and by a folder.
fn by_set<'a>(files: &'a [DataFile], folder: impl Fn(&'a Path) -> Option<&'a Path>) -> Sets {
    let mut sets = Sets::new();
    for file in files {
        let place = folder(&file.path).unwrap_or(Path::new("")).to_owned();
        let set = sets.entry((place, file.prefix.clone())).or_default();
        set[file.role].get_or_insert_with(|| file.path.clone());
    }
    sets
}

/// The complete set, if there is one; of several in a folder, the one without a prefix.
fn choose(sets: &Sets) -> Result<Option<[PathBuf; 4]>> {
    let complete = sets.iter().filter_map(|(key, files)| match files {
        [Some(a), Some(b), Some(c), Some(d)] => Some((key, [a, b, c, d].map(Clone::clone))),
        _ => None,
    });
    let mut complete: Vec<_> = complete.collect();
    if complete.iter().filter(|((_, prefix), _)| prefix.is_empty()).count() == 1 {
        complete.retain(|((_, prefix), _)| prefix.is_empty());
    }
    if complete.len() > 1 {
        let name = |folder: &Path, prefix: &str| match prefix {
            "" => folder.display().to_string(),
            prefix => folder.join(prefix).display().to_string(),
        };
        let names: Vec<String> = complete.iter().map(|((folder, prefix), _)| name(folder, prefix)).collect();
        return Err(Error::Data(format!(
            "there are {} data sets: set data.folder to one of them: {}",
            names.len(),
            names.join(", ")
        )));
    }
    Ok(complete.pop().map(|(_, files)| files))
}

/// What is said where no set is complete.
fn incomplete(folder: &Path, prefix: Option<&str>, sets: &Sets) -> Error {
    let shown = folder.display();
    let most = sets.iter().max_by_key(|(_, files)| files.iter().flatten().count());
    let Some(((_, found_prefix), files)) = most else {
        return Error::Data(format!(
            "{shown}: there are no data files in it or in the folders below it; data.folder must hold {}, each gzipped or \
             not. Names may also have a dot, another case or a prefix",
            FILES.join(", ")
        ));
    };
    let prefix = prefix.unwrap_or(found_prefix);
    let name =
        |role: usize| if prefix.is_empty() { FILES[role].to_owned() } else { format!("{prefix}-{}", FILES[role]) };
    let missing: Vec<String> = (0..FILES.len())
        .filter(|role| files[*role].is_none())
        .map(|role| format!("{} ({})", ROLES[role], name(role)))
        .collect();
    let found: Vec<String> = files.iter().flatten().map(|path| path.display().to_string()).collect();
    Error::Data(format!(
        "{shown}: a data set has four files, and these are missing: {}; found: {}",
        missing.join(", "),
        found.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_file_holds() {
        for (name, expected) in [
            ("train-images-idx3-ubyte", Some(("", 0))),
            ("train-labels.idx1-ubyte", Some(("", 1))),
            ("T10K-IMAGES-IDX3-UBYTE.GZ", Some(("", 2))),
            ("t10k-labels-idx1-ubyte (1).gz", Some(("", 3))),
            ("emnist-digits-test-images-idx3-ubyte.gz", Some(("emnist-digits", 2))),
            ("qmnist-train-labels-idx2-int.gz", Some(("qmnist", 1))),
            ("mnist_train_images.idx", Some(("mnist", 0))),
            ("qmnist-train-labels.tsv.gz", None),
            ("emnist-digits-mapping.txt", None),
            ("train-images.zip", None),
            ("train", None),
            ("", None),
        ] {
            let file = data_file(Path::new(name)).map(|file| (file.prefix, file.role));
            assert_eq!(file, expected.map(|(prefix, role)| (prefix.to_owned(), role)), "{name}");
        }
    }
}
