//! A reader of IDX files, gzipped or not, that trusts nothing in a header.
//!
//! Source of the format: <http://yann.lecun.com/exdb/mnist/>, "FILE FORMATS FOR THE MNIST DATABASE".

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use super::{
    Labelled, Loaded, MAX_ITEMS,
    files::{find, prefix_of},
    is_emnist, mapping, with_classes,
};
use crate::{
    Error, Result,
    config::Frame,
    data::{IMAGE_SIDE, ImageSet, PIXELS},
    formats::Format,
};

/// A file is unpacked at most this many times: some servers pack what is packed already.
const MAX_UNPACKING: usize = 2;

/// Labels may have so many columns; QMNIST's have eight.
const MAX_COLUMNS: usize = 64;

/// What an IDX file has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// 28x28 pixels each, as unsigned bytes.
    Images,
    /// A number each; or several numbers each, of which the first one counts, as in QMNIST.
    Labels,
}

/// The type of an IDX file's values, by the third byte of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueType {
    UnsignedByte,
    Int,
}

/// Reads the training and the test set from a folder with the four IDX files, each gzipped or not, under any of their
/// usual names, as they are in the files. Of several sets in a folder, the path's last part may choose one: what its files'
/// names begin with. The classes are the labels of the training images, and their names are numbers, or those of EMNIST's
/// mapping, if it lies beside the files. If all `names` are numbers, these are labels as well.
///
/// # Errors
/// A file is missing, is not an IDX file of 28x28 images or of labels, or is shorter or longer than its header says; there
/// are more images than labels or fewer, or several sets; all training labels are the same, or a test image belongs to
/// none of the classes.
pub fn read_folder(folder: &Path, names: &[String]) -> Result<(ImageSet, ImageSet)> {
    let Loaded { classes, parts, .. } = load(folder, names)?;
    let [train, _, test] = parts.map(Option::unwrap_or_default);
    let set = |part: Labelled| ImageSet::new(part.pixels, part.labels, classes.clone());
    Ok((set(train)?, set(test)?))
}

/// The same as a [`Loaded`].
pub(super) fn load(folder: &Path, names: &[String]) -> Result<Loaded> {
    let [train_images, train_labels, test_images, test_labels] = find(folder)?;
    let (train, test) = (read_pair(&train_images, &train_labels)?, read_pair(&test_images, &test_labels)?);
    let mapping = mapping::beside(&train_labels, &prefix_of(&train_labels))?;
    let (classes, parts) = with_classes([Some(train), None, Some(test)], names, &|label| mapping.get(&label).cloned())?;
    let with_mapping = if mapping.is_empty() { "" } else { ", with the names of its mapping file" };
    Ok(Loaded {
        form: format!("IDX files{with_mapping}"),
        frame: Frame::Auto,
        classes,
        parts,
        from_pictures: false,
        is_idx: true,
        is_emnist: is_emnist(&train_images),
        problems: Vec::new(),
    })
}

/// The pixels and the labels of as many images.
fn read_pair(images_path: &Path, labels_path: &Path) -> Result<Labelled> {
    let pixels = read_file(images_path, Content::Images)?;
    let labels = read_file(labels_path, Content::Labels)?;
    let (count, images, labels_shown) = (pixels.len() / PIXELS, images_path.display(), labels_path.display());
    if count != labels.len() {
        return Err(Error::Data(format!(
            "{images} holds {count} images, but {labels_shown} holds {} labels: they do not belong together",
            labels.len()
        )));
    }
    if count == 0 {
        return Err(Error::Data(format!("{images}: holds no images")));
    }
    // Messages about labels name their file.
    Ok(Labelled { pixels, labels, file: Some(labels_path.to_owned()), pictures: Vec::new() })
}

fn read_file(path: &Path, content: Content) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let values = unpacked(BufReader::new(file)).and_then(|reader| parse(reader, content));
    values.map_err(|what| Error::Data(format!("{}: {what}", path.display())))
}

/// What is wrong with a file of [`super::files::FILES`], if anything, without a look at its checksum.
pub(super) fn complaint(path: &Path, role: usize) -> Option<Error> {
    read_file(path, if role.is_multiple_of(2) { Content::Images } else { Content::Labels }).err()
}

/// The content of a file that may be gzipped.
pub(super) fn unpacked(reader: impl BufRead + 'static) -> std::result::Result<Box<dyn BufRead>, String> {
    let mut reader: Box<dyn BufRead> = Box::new(reader);
    for _ in 0..MAX_UNPACKING {
        if !reader.fill_buf().map_err(|e| damaged(&e))?.starts_with(&[0x1f, 0x8b]) {
            break;
        }
        reader = Box::new(BufReader::new(MultiGzDecoder::new(reader)));
    }
    Ok(reader)
}

fn damaged(error: &std::io::Error) -> String {
    format!("is damaged ({error}): copy or download it again")
}

/// Reads the values of an IDX file: its pixels, or its labels.
fn parse(mut reader: impl BufRead, content: Content) -> std::result::Result<Vec<u8>, String> {
    let head = reader.fill_buf().map_err(|e| damaged(&e))?;
    let format = Format::of(head);
    if format != Format::Idx {
        let remedy = format.to_content().map(|remedy| format!(". {remedy}")).unwrap_or_default();
        let not = if format == Format::Empty { "" } else { ", not a data file in MNIST's IDX format" };
        return Err(format!("is {}{not}{remedy}", format.told_of(head)));
    }
    let (value_type, sides) = header(&mut reader)?;
    let [count, item @ ..] = &sides[..] else { return Err("its header names no items".into()) };
    check(content, value_type, item)?;
    if *count > MAX_ITEMS {
        return Err(format!("claims {count} items; at most {MAX_ITEMS} are read"));
    }
    let item_length = item.iter().product::<usize>() * if value_type == ValueType::Int { 4 } else { 1 };
    let length = count * item_length;
    let mut payload = Vec::new();
    // One byte more than the header says, so that a longer file is noticed.
    reader.take(length as u64 + 1).read_to_end(&mut payload).map_err(|e| damaged(&e))?;
    if payload.len() != length {
        let there = if payload.len() < length { format!("only {}", payload.len()) } else { "more".into() };
        let items = if content == Content::Images { "images" } else { "labels" };
        return Err(format!(
            "its header promises {count} {items}, which take {length} bytes, but {there} follow: copy or download it again"
        ));
    }
    match value_type {
        ValueType::UnsignedByte if content == Content::Images || item_length == 1 => Ok(payload),
        _ => first_column(&payload, value_type, item_length),
    }
}

/// The type of the values, and the number of items, rows and columns.
fn header(reader: &mut impl Read) -> std::result::Result<(ValueType, Vec<usize>), String> {
    let mut number = || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(|_| "ends within its header: copy or download it again".to_owned())?;
        Ok::<_, String>(bytes)
    };
    let [_, _, value_type, dimensions] = number()?;
    let value_type = match value_type {
        0x08 => ValueType::UnsignedByte,
        0x0c => ValueType::Int,
        0x09 => return Err(unread("signed bytes")),
        0x0b => return Err(unread("16-bit integers")),
        0x0d => return Err(unread("32-bit floating-point numbers")),
        0x0e => return Err(unread("64-bit floating-point numbers")),
        other => return Err(unread(&format!("values of an unknown type ({other:#04x})"))),
    };
    let sides = (0..dimensions).map(|_| number().map(|bytes| u32::from_be_bytes(bytes) as usize));
    Ok((value_type, sides.collect::<std::result::Result<_, _>>()?))
}

fn unread(values: &str) -> String {
    format!("holds {values}; unsigned bytes are read, and 32-bit integers as labels")
}

/// Checks that the file holds what it should: an item's sides tell images from labels.
fn check(content: Content, value_type: ValueType, item: &[usize]) -> std::result::Result<(), String> {
    match (content, item) {
        (Content::Images, [_, _]) if value_type != ValueType::UnsignedByte => {
            Err("holds images of 32-bit integers; images of unsigned bytes are read".into())
        }
        (Content::Images, [IMAGE_SIDE, IMAGE_SIDE]) | (Content::Labels, [] | [1..=MAX_COLUMNS]) => Ok(()),
        (Content::Images, [rows, columns]) => {
            Err(format!("its images are {columns} x {rows} pixels; {IMAGE_SIDE} x {IMAGE_SIDE} are needed"))
        }
        (Content::Images, [] | [_]) => Err("holds labels, not images: were the two files exchanged?".into()),
        (Content::Labels, [columns]) => Err(format!("its labels have {columns} columns; 1 to {MAX_COLUMNS} are read")),
        (Content::Labels, [_, _]) => Err("holds images, not labels: were the two files exchanged?".into()),
        (_, sides) => Err(format!("has {} dimensions: images have 3, labels 1 or 2", sides.len() + 1)),
    }
}

/// The first number of each item, as a label.
fn first_column(payload: &[u8], value_type: ValueType, item_length: usize) -> std::result::Result<Vec<u8>, String> {
    let label = |(i, item): (usize, &[u8])| match (value_type, item) {
        (ValueType::UnsignedByte, [first, ..]) => Ok(*first),
        (ValueType::Int, [a, b, c, d, ..]) => {
            let label = i32::from_be_bytes([*a, *b, *c, *d]);
            u8::try_from(label).map_err(|_| format!("label {label} of image {i} is not 0 to 255"))
        }
        _ => Err("ends within a label".into()),
    };
    payload.chunks(item_length).enumerate().map(label).collect()
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
            prop_assert_eq!(parse(&file(count, 28, 28, &payload)[..], Content::Images), Ok(payload));
        }

        #[test]
        fn labels_are_the_first_column(labels in prop::collection::vec(0_u8..10, 0..9), columns in 1_u32..9, int in any::<bool>()) {
            let number = |value: u8| if int { u32::from(value).to_be_bytes().to_vec() } else { vec![value] };
            let mut bytes = vec![0, 0, if int { 0x0c } else { 0x08 }, 2];
            bytes.extend(u32::try_from(labels.len()).unwrap().to_be_bytes());
            bytes.extend(columns.to_be_bytes());
            for label in &labels {
                bytes.extend((0..columns).flat_map(|column| number(if column == 0 { *label } else { 77 })));
            }
            prop_assert_eq!(parse(&bytes[..], Content::Labels), Ok(labels));
        }

        #[test]
        fn any_bytes_give_a_result_and_no_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..64), head in 0_usize..5) {
            bytes.splice(..0, [0, 0, 8, 3].into_iter().take(head));
            let _ = unpacked(std::io::Cursor::new(bytes.clone())).and_then(|reader| parse(reader, Content::Images));
            let _ = unpacked(std::io::Cursor::new(bytes)).and_then(|reader| parse(reader, Content::Labels));
        }

        #[test]
        fn a_wrong_header_or_length_is_refused(
            count in any::<u32>(), rows in any::<u32>(), columns in any::<u32>(), length in 0_usize..2000,
        ) {
            prop_assume!((count as usize * IMAGE_SIDE * IMAGE_SIDE, rows, columns) != (length, 28, 28));
            prop_assert!(parse(&file(count, rows, columns, &vec![0; length])[..], Content::Images).is_err());
        }
    }

    #[test]
    fn a_header_takes_no_memory_on_its_word() {
        let error = parse(&file(600_000, 28, 28, b"few")[..], Content::Images).unwrap_err();
        assert!(error.contains("only 3 follow"), "{error}");
        let error = parse(&file(u32::MAX, 28, 28, b"few")[..], Content::Images).unwrap_err();
        assert!(error.contains("claims 4294967295 items"), "{error}");
    }
}
