//! A reader of IDX files, gzipped or not, that trusts nothing in a header.
//!
//! Source of the format: <http://yann.lecun.com/exdb/mnist/>, "FILE FORMATS FOR THE MNIST DATABASE".

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::{IMAGE_SIDE, ImageSet};
use crate::{Error, Result};

/// The files of a data set: training images, their labels, test images, their labels.
pub(super) const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Larger data sets are refused: this is ten times MNIST.
const MAX_ITEMS: usize = 600_000;

/// Reads the training and the test set from a folder with the four IDX files, each gzipped (`.gz`) or not.
///
/// # Errors
/// A file is missing, is not an IDX file of 28x28 images or of labels, is shorter or longer than its header says, holds
/// a label above 9, or there are more images than labels or fewer.
pub fn read_folder(folder: &Path) -> Result<(ImageSet, ImageSet)> {
    let read = |images: &str, labels: &str| {
        let images = find(folder, images)?;
        let pixels = read_file(&images, &[IMAGE_SIDE, IMAGE_SIDE])?;
        let labels = read_file(&find(folder, labels)?, &[])?;
        let set = ImageSet::new(pixels, labels).map_err(|e| Error::Data(format!("{}: {e}", images.display())))?;
        if set.is_empty() {
            return Err(Error::Data(format!("{}: holds no images", images.display())));
        }
        Ok(set)
    };
    Ok((read(FILES[0], FILES[1])?, read(FILES[2], FILES[3])?))
}

/// The path of a data file in a folder, plain or gzipped.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let plain = folder.join(name);
    let packed = folder.join(format!("{name}.gz"));
    [plain, packed].into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::Data(format!(
            "{}: there is no {name} or {name}.gz; data.folder must hold {}, each gzipped or not",
            folder.display(),
            FILES.join(", ")
        ))
    })
}

fn read_file(path: &Path, item: &[usize]) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let reader = BufReader::new(file);
    let fault = |what: String| Error::Data(format!("{}: {what}", path.display()));
    if path.extension().is_some_and(|e| e == "gz") {
        parse(MultiGzDecoder::new(reader), item).map_err(fault)
    } else {
        parse(reader, item).map_err(fault)
    }
}

/// Reads the payload of an IDX file of unsigned bytes whose items have the dimensions `item`.
pub(super) fn parse(mut reader: impl Read, item: &[usize]) -> std::result::Result<Vec<u8>, String> {
    let mut number = || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(|e| format!("its header cannot be read: {e}"))?;
        Ok::<_, String>(u32::from_be_bytes(bytes))
    };
    // Two zero bytes, 8 for "unsigned byte", the number of dimensions.
    let expected = 0x0800 + 1 + u32::try_from(item.len()).unwrap_or(u32::MAX - 0x0801);
    let magic = number()?;
    if magic != expected {
        return Err(format!("is not the expected IDX file: it begins with {magic:#010x} instead of {expected:#010x}"));
    }
    let count = number()? as usize;
    for want in item {
        let got = number()? as usize;
        if got != *want {
            return Err(format!("its images have sides of {got} pixels instead of {want}"));
        }
    }
    if count > MAX_ITEMS {
        return Err(format!("claims {count} items; at most {MAX_ITEMS} are read"));
    }
    let length = count * item.iter().product::<usize>();
    let mut payload = Vec::new();
    // One byte more than the header says, so that a longer file is noticed.
    reader.take(length as u64 + 1).read_to_end(&mut payload).map_err(|e| format!("is damaged: {e}"))?;
    if payload.len() != length {
        let than = if payload.len() < length { "shorter" } else { "longer" };
        return Err(format!("is {than} than its header says: {count} items need {length} bytes"));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(count: u32, rows: u32, columns: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = 0x0803_u32.to_be_bytes().to_vec();
        for number in [count, rows, columns] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(payload);
        bytes
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(payload in prop::collection::vec(any::<u8>(), 0..4)) {
            let payload: Vec<u8> = payload.iter().flat_map(|p| [*p; IMAGE_SIDE * IMAGE_SIDE]).collect();
            let count = u32::try_from(payload.len() / (IMAGE_SIDE * IMAGE_SIDE)).unwrap();
            prop_assert_eq!(parse(&file(count, 28, 28, &payload)[..], &[IMAGE_SIDE, IMAGE_SIDE]), Ok(payload));
        }

        #[test]
        fn any_bytes_give_a_result_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes[..], &[IMAGE_SIDE, IMAGE_SIDE]);
        }

        #[test]
        fn a_wrong_header_or_length_is_refused(
            count in any::<u32>(), rows in any::<u32>(), columns in any::<u32>(), length in 0_usize..2000,
        ) {
            prop_assume!((count as usize * IMAGE_SIDE * IMAGE_SIDE, rows, columns) != (length, 28, 28));
            prop_assert!(parse(&file(count, rows, columns, &vec![0; length])[..], &[IMAGE_SIDE, IMAGE_SIDE]).is_err());
        }
    }

    #[test]
    fn a_header_takes_no_memory_on_its_word() {
        let error = parse(&file(600_000, 28, 28, b"few")[..], &[IMAGE_SIDE, IMAGE_SIDE]).unwrap_err();
        assert!(error.contains("shorter than its header says"), "{error}");
        let error = parse(&file(u32::MAX, 28, 28, b"few")[..], &[IMAGE_SIDE, IMAGE_SIDE]).unwrap_err();
        assert!(error.contains("claims 4294967295 items"), "{error}");
    }
}
