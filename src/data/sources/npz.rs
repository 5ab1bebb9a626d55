//! Arrays of `NumPy`'s as Keras' `mnist.npz` has them (`x_train`, `y_train`, `x_test`, `y_test`), `MedMNIST` (`train_images`,
//! `train_labels`, `val_images`, …), or, in a file each, Kuzushiji-49 (`k49-train-imgs.npz`, `k49-train-labels.npz`, …).

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    path::{Path, PathBuf},
};

use zip::ZipArchive;

use super::{Labelled, Loaded, PARTS, npy::Header, part_of, with_classes};
use crate::{
    Error, Result,
    config::Frame,
    data::{PIXELS, problems::Problem},
};

/// More arrays in a file are not looked at.
const MAX_ARRAYS: usize = 100;

/// The files that images and labels of each part come from, and the arrays.
#[derive(Debug, Default)]
struct Arrays {
    /// The names of all arrays, with their shapes.
    found: Vec<String>,
    /// Those that are not taken.
    others: Vec<String>,
    images: [Option<(PathBuf, Vec<u8>)>; 3],
    labels: [Option<(PathBuf, Vec<u8>)>; 3],
}

/// Loads the arrays of one or more files.
///
/// # Errors
/// A file cannot be read, or training images or labels are missing or twice there.
pub(super) fn load(files: &[PathBuf], names: &[String]) -> Result<Loaded> {
    let mut arrays = Arrays::default();
    for file in files {
        arrays.add(file, files.len() == 1).map_err(|what| Error::Data(format!("{}: {what}", file.display())))?;
    }
    let Arrays { found, others, images, labels } = arrays;
    let mut parts = [None, None, None];
    for ((images, labels), (slot, part)) in images.into_iter().zip(labels).zip(parts.iter_mut().zip(PARTS)) {
        *slot = match (images, labels) {
            (Some(images), Some(labels)) => Some(together(images, labels)?),
            (None, None) => None,
            (Some((path, _)), None) | (None, Some((path, _))) => {
                return Err(Error::Data(format!(
                    "{}: {part} images and their labels are needed, and only one of the two is there; found: {}",
                    path.display(),
                    found.join(", ")
                )));
            }
        };
    }
    if parts[0].is_none() {
        let file = files.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Error::Data(format!(
            "{file}: there are no training images: arrays have names such as x_train and y_train; found: {}",
            found.join(", ")
        )));
    }
    let (classes, parts) = with_classes(parts, names, &|_| None)?;
    Ok(Loaded {
        form: "arrays of NumPy's".into(),
        frame: Frame::Auto,
        classes,
        parts,
        from_pictures: false,
        is_idx: false,
        is_emnist: false,
        problems: passed_over(&others).into_iter().collect(),
    })
}

fn passed_over(others: &[String]) -> Option<Problem> {
    let text = format!(
        "what is in these arrays is passed over, since their names tell neither images nor labels of a part: {}",
        others.join(", ")
    );
    (!others.is_empty()).then(|| Problem::note("passed over", others.len(), text))
}

fn together((file, pixels): (PathBuf, Vec<u8>), (of_labels, labels): (PathBuf, Vec<u8>)) -> Result<Labelled> {
    let images = pixels.len() / PIXELS;
    if images != labels.len() || images == 0 {
        return Err(Error::Data(format!(
            "{}: {images} images, but {} labels{}",
            file.display(),
            labels.len(),
            if file == of_labels { String::new() } else { format!(" in {}", of_labels.display()) }
        )));
    }
    Ok(Labelled { pixels, labels, file: Some(file), pictures: Vec::new() })
}

impl Arrays {
    /// Adds the arrays of a file: of an archive, or the only one of an npy file. What an array is, its name tells together
    /// with that of its file. `alone` says that without a word about it, they are for training.
    fn add(&mut self, path: &Path, alone: bool) -> std::result::Result<(), String> {
        let file = File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut reader = BufReader::new(file);
        let mut start = [0; 2];
        let is_archive = reader.read_exact(&mut start).is_ok() && start == *b"PK";
        reader.rewind().map_err(|e| format!("cannot be read: {e}"))?;
        if !is_archive {
            return self.add_array(path, &stem, alone, &mut reader);
        }
        let damaged = |e: &dyn std::fmt::Display| format!("is damaged ({e}): copy or download it again");
        let mut archive = ZipArchive::new(reader).map_err(|e| damaged(&e))?;
        for index in 0..archive.len().min(MAX_ARRAYS) {
            let mut array = archive.by_index(index).map_err(|e| damaged(&e))?;
            let name = array.name().map_err(|e| damaged(&e))?.strip_suffix(".npy").map(ToOwned::to_owned);
            let Some(name) = name else { continue };
            let name = if name.starts_with("arr_") { format!("{stem}_{name}") } else { name };
            self.add_array(path, &name, alone, &mut array)?;
        }
        Ok(())
    }

    fn add_array(
        &mut self,
        path: &Path,
        name: &str,
        alone: bool,
        reader: &mut impl Read,
    ) -> std::result::Result<(), String> {
        let of_array = |what: String| format!("the array {name}: {what}");
        let part = part_of(name).or(alone.then_some(0));
        let Some((is_labels, part)) = holds_labels(name).zip(part) else {
            self.found.push(name.to_owned());
            self.others.push(name.to_owned());
            return Ok(());
        };
        let header = Header::read(reader).map_err(of_array)?;
        self.found.push(format!("{name} {:?}", header.shape));
        let values = if is_labels { header.labels(reader) } else { header.images(reader) }.map_err(of_array)?;
        let slot = if is_labels { &mut self.labels[part] } else { &mut self.images[part] };
        if slot.is_some() {
            return Err(of_array(format!(
                "is the second one with {} {}",
                PARTS[part],
                if is_labels { "labels" } else { "images" }
            )));
        }
        *slot = Some((path.to_owned(), values));
        Ok(())
    }
}

/// Whether an array holds labels rather than images, by the words in its name; `None` if it is neither.
fn holds_labels(name: &str) -> Option<bool> {
    let name = name.to_lowercase();
    let kind = |word: &str| match word {
        "y" | "label" | "labels" | "target" | "targets" => Some(true),
        "x" | "image" | "images" | "imgs" | "data" => Some(false),
        _ => None,
    };
    name.split(|c: char| !c.is_alphanumeric()).find_map(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_an_array_holds() {
        for (name, expected) in [
            ("x_train", Some((0, false))),
            ("y_test", Some((2, true))),
            ("train_images", Some((0, false))),
            ("val_labels", Some((1, true))),
            ("k49-test-imgs_arr_0", Some((2, false))),
            ("kmnist-train-labels", Some((0, true))),
            ("weights", None),
        ] {
            assert_eq!(part_of(name).zip(holds_labels(name)), expected, "{name}");
        }
    }
}
