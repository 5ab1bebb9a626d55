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
use super::{IMAGE_SIDE, PIXELS, classes::Occurring, problems::Problem};
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
    /// How pictures are to be framed, as far as the form tells.
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
/// There is none, or it cannot be read.
pub(super) fn load(data: &DataConfig) -> Result<Loaded> {
    match recognize(&data.folder)? {
        Form::Idx => idx::load(&data.folder, &data.classes),
        Form::Csv(files) => csv::load(&files, &data.classes),
        Form::Npz(files) => npz::load(&files, &data.classes),
        Form::Tree(tree) => pictures::load(*tree, data.frame),
    }
}

/// The forms of data sets, with where they are.
enum Form {
    Idx,
    Csv(Vec<PathBuf>),
    Npz(Vec<PathBuf>),
    Tree(Box<Tree>),
}

fn recognize(path: &Path) -> Result<Form> {
    if path.is_file() {
        return Ok(match kind(path) {
            Some(Kind::Csv) => Form::Csv(vec![path.to_owned()]),
            Some(Kind::Npz) => Form::Npz(vec![path.to_owned()]),
            None => Form::Idx,
        });
    }
    if !path.is_dir() || files::has_data_files(path) {
        return Ok(Form::Idx);
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(path)
        .map_err(Error::io("read the folder", path))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !is_left_behind(path) && has_suffix(path) && path.is_file())
        .collect();
    paths.sort();
    let of_kind = |wanted| paths.iter().filter(|path| kind(path) == Some(wanted)).cloned().collect::<Vec<_>>();
    let (npz, csv) = (of_kind(Kind::Npz), of_kind(Kind::Csv));
    if !npz.is_empty() {
        return Ok(Form::Npz(npz));
    }
    if !csv.is_empty() {
        return Ok(Form::Csv(csv));
    }
    Tree::of(path).map(|tree| Form::Tree(Box::new(tree)))
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

/// How images that are framed already were framed: writing has a margin of background around it, other things fill the
/// image.
fn framing_of(parts: &[Option<Labelled>; 3]) -> Frame {
    /// The fraction of images that may lack it: of MNIST's 1 % do, since it has centres of mass in the middle.
    const WITHOUT: f64 = 0.2;
    let images = parts[0].as_ref().map_or(&[][..], |part| part.pixels.as_chunks::<PIXELS>().0);
    let without = images.iter().filter(|image| !has_margin(image)).count();
    if without as f64 <= WITHOUT * images.len() as f64 { Frame::Digit } else { Frame::Whole }
}

/// Whether the outermost pixels are background.
fn has_margin(image: &[u8; PIXELS]) -> bool {
    /// What resizing and rounding leave of background.
    const NOISE: u8 = 16;
    let inside = 1..IMAGE_SIDE - 1;
    image
        .iter()
        .enumerate()
        .all(|(i, pixel)| *pixel < NOISE || inside.contains(&(i / IMAGE_SIDE)) && inside.contains(&(i % IMAGE_SIDE)))
}
