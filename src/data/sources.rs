//! What people have as a data set: which of these forms `data.folder` holds is told by its content.
//!
//! - `mnist`: MNIST itself. `files`, `idx`: data in its format. `mapping`: the names of EMNIST's classes.
//! - `csv`: a row of numbers for each image. `npz`, `npy`: `NumPy`'s arrays.
//! - `tree`, `pictures`, `cache`: a folder of pictures for each class.

mod cache;
mod csv;
mod files;
mod idx;
mod mapping;
mod mnist;
mod npy;
mod npz;
mod pictures;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::tree::Tree;
pub use self::{idx::read_folder, mnist::load_mnist};
use super::{
    classes::Occurring,
    problems::{Problem, counted, listed_paths},
};
use crate::{
    Error, Result,
    config::{DataConfig, Frame},
    formats::{Format, head},
    picture::is_left_behind,
};

/// More images than this are refused: sixteen times MNIST.
const MAX_ITEMS: usize = 1_000_000;

/// The pixels of images, `[n * 784]`, and their labels, `[n]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labelled {
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
    /// The file that holds them all, if one does.
    pub file: Option<PathBuf>,
    /// The picture that each image was made from, if they were.
    pub pictures: Vec<PathBuf>,
}

/// A data set as its files have it.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What it is, as after "holds".
    pub form: String,
    /// Names of classes, by their labels.
    pub classes: Vec<String>,
    /// To learn from, to validate, to test; the last two may be missing. Labels are indices of classes.
    pub parts: [Option<Labelled>; 3],
    /// How the images were framed; [`Frame::Auto`] if that has to be seen in them.
    pub frame: Frame,
    /// Whether the images were made from pictures, which are upright.
    pub from_pictures: bool,
    /// Whether the parts are split at random rather than evenly over the classes, as all data in MNIST's format are.
    pub is_idx: bool,
    /// Whether a name says that the images are EMNIST's.
    pub is_emnist: bool,
    /// What was left out, and why.
    pub problems: Vec<Problem>,
}

/// What a part is called in messages.
pub(super) const PARTS: [&str; 3] = ["training", "validation", "test"];

/// Loads the data set that the config names.
///
/// # Errors
/// The folder holds no data set, or one that cannot be read.
pub(super) fn load(data: &DataConfig) -> Result<Loaded> {
    let (form, beside) = recognize(&data.folder)?;
    let mut loaded = match form {
        Form::Idx => idx::load(&data.folder, &data.classes),
        Form::Csv(files) => csv::load(&files, &data.classes),
        Form::Npz(files) => npz::load(&files, &data.classes),
        Form::Tree(tree) => pictures::load(*tree, data.frame),
    }?;
    loaded.problems.extend(passed_over(&beside));
    Ok(loaded)
}

/// The forms of data sets, with where they are.
enum Form {
    Idx,
    Csv(Vec<PathBuf>),
    Npz(Vec<PathBuf>),
    Tree(Box<Tree>),
}

/// Which form of data is there, and what lies beside it and is not taken.
fn recognize(path: &Path) -> Result<(Form, Vec<PathBuf>)> {
    if path.is_file() {
        let form = match kind(path) {
            Some(Kind::Csv) => Form::Csv(vec![path.to_owned()]),
            Some(Kind::Npz) => Form::Npz(vec![path.to_owned()]),
            None => Form::Idx,
        };
        return Ok((form, Vec::new()));
    }
    if !path.is_dir() || files::has_data_files(path) {
        return Ok((Form::Idx, Vec::new()));
    }
    let entries = fs::read_dir(path).map_err(Error::io("read the folder", path))?.flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| !is_left_behind(path)).collect();
    paths.sort();
    for wanted in [Kind::Npz, Kind::Csv] {
        let is_wanted = |path: &PathBuf| has_suffix(path) && path.is_file() && kind(path) == Some(wanted);
        let (files, mut beside): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(is_wanted);
        if !files.is_empty() {
            beside.retain(|path| !mapping::is_mapping(path));
            return Ok((if wanted == Kind::Npz { Form::Npz(files) } else { Form::Csv(files) }, beside));
        }
    }
    Tree::of(path).map(|tree| (Form::Tree(Box::new(tree)), Vec::new()))
}

/// What is said of files and folders that are not taken.
fn passed_over(beside: &[PathBuf]) -> Option<Problem> {
    let count = beside.len();
    let are = if count == 1 { "is" } else { "are" };
    let text = format!("{} beside the data {are} passed over: {}", counted(count, "other file"), listed_paths(beside));
    (count > 0).then(|| Problem::note("passed over", count, text))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Npz,
}

/// Whether a name promises a table or arrays.
fn has_suffix(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    [".csv", ".csv.gz", ".tsv", ".npz", ".npy"].iter().any(|suffix| name.ends_with(suffix))
}

/// What a file holds by its content, if it is a table of pixels or arrays.
fn kind(path: &Path) -> Option<Kind> {
    let head = head(path).ok()?;
    match head[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Kind::Npz),
        [b'P', b'K', 3, 4, ..] if head.windows(4).any(|window| window == b".npy") => Some(Kind::Npz),
        _ => (matches!(Format::of(&head), Format::Text | Format::Known(_)) && csv::is_table(path)).then_some(Kind::Csv),
    }
}

/// The part of a data set that a file or folder holds, by the words in its name.
fn part_of(name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_alphanumeric());
    let part = |word: &str| match word {
        "train" | "training" => Some(0),
        "valid" | "validation" | "val" | "dev" => Some(1),
        "test" | "testing" | "t10k" => Some(2),
        _ => None,
    };
    words.filter_map(part).next_back()
}

/// Whether a path is that of EMNIST, whose files have rows and columns exchanged.
///
/// Source: Cohen et al. 2017, <https://www.nist.gov/itl/products-and-services/emnist-dataset>: its files are converted from
/// Matlab's, in which columns come first.
fn is_emnist(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().starts_with("emnist"))
}

/// Labelled numbers as classes: those that occur in the training images, in ascending order, named by `names_of_labels` or
/// else by the numbers. If all `names` are numbers, these occur as well.
fn with_classes(
    mut parts: [Option<Labelled>; 3],
    names: &[String],
    names_of_labels: &dyn Fn(u8) -> Option<String>,
) -> Result<(Vec<String>, [Option<Labelled>; 3])> {
    let in_file = |part: &Labelled, error: &Error| {
        let file = part.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        Error::Data(format!("{file}: {error}"))
    };
    let [Some(train), ..] = &parts else { return Err(Error::Data("there are no training images".into())) };
    let occurring = Occurring::new(&train.labels, names).map_err(|e| in_file(train, &e))?;
    for part in parts.iter_mut().flatten() {
        part.labels = occurring.indices(&part.labels).map_err(|e| in_file(part, &e))?;
    }
    let known: Option<Vec<String>> = occurring.labels().iter().map(|label| names_of_labels(*label)).collect();
    let unique = |names: &Vec<String>| names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    Ok((known.filter(unique).unwrap_or_else(|| occurring.names()), parts))
}
