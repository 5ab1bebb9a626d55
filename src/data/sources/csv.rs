//! A table with a row for each image: its label and 784 pixels, as Kaggle's `train.csv` and `mnist_train.csv` have them.
//!
//! Numbers need no quotes, so a row is split at its separators; a general reader of CSV takes ten times as long.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{Labelled, Loaded, MAX_ITEMS, PARTS, idx::unpacked, is_emnist, mapping, part_of, with_classes};
use crate::{
    Error, Result,
    config::Frame,
    data::{PIXELS, problems::Problem},
};

/// A line of 785 numbers has at most 5 kB.
const MAX_LINE: u64 = 1 << 16;
/// Columns that may hold the label, by their names.
const LABEL_NAMES: [&str; 6] = ["label", "labels", "class", "target", "digit", "y"];
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// A table of fewer columns is not one of pixels.
const MIN_COLUMNS: usize = 50;

/// Where things are in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    separator: u8,
    columns: usize,
    /// The column of the label; `None` if there are only pixels.
    label: Option<usize>,
    has_header: bool,
}

/// Whether a text is a table that has pixels in it.
pub(super) fn is_table(path: &Path) -> bool {
    let Ok(mut reader) = open(path) else { return false };
    matches!(first_line(&mut reader), Ok(line) if Layout::of(&line).is_some())
}

/// Loads one file, or several for training, validation and testing, which their names tell.
///
/// # Errors
/// A file cannot be read, is no such table, or there are several for the same purpose.
pub(super) fn load(files: &[PathBuf], names: &[String]) -> Result<Loaded> {
    let mut parts = [None, None, None];
    let mut problems = Vec::new();
    for file in files {
        let table = read(file)?;
        if !table.has_labels {
            let images = table.pixels.len() / PIXELS;
            let what = format!("{}: its {images} images have no labels", file.display());
            problems.push(Problem::note("unlabelled", images, what));
            continue;
        }
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let part = if files.len() == 1 { 0 } else { part_of(&name).unwrap_or(0) };
        let Table { pixels, labels, .. } = table;
        let labelled = Labelled { pixels, labels, file: Some(file.clone()), pictures: Vec::new() };
        if let Some(Labelled { file: other, .. }) = &parts[part] {
            let other = other.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            return Err(Error::Data(format!(
                "{other} and {} both hold {} images: set data.folder to one of the two, or put them into folders of their own",
                file.display(),
                PARTS[part]
            )));
        }
        parts[part] = Some(labelled);
    }
    if parts[0].is_none() {
        let found: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::Data(format!(
            "{}: no table of training images with labels; a row has the label and 784 pixels, or a header names the column \
             of the label",
            found.join(", ")
        )));
    }
    let mapping = files.first().map(|file| mapping::beside(file, &set_of(file))).transpose()?.unwrap_or_default();
    let (classes, parts) = with_classes(parts, names, &|label| mapping.get(&label).cloned())?;
    Ok(Loaded {
        form: if files.len() == 1 { "a CSV table".into() } else { "CSV tables".into() },
        frame: Frame::Auto,
        classes,
        parts,
        from_pictures: false,
        is_idx: false,
        is_emnist: files.iter().any(|path| is_emnist(path)),
        problems,
    })
}

/// What the name of a table begins with, such as `emnist-letters` of `emnist-letters-train.csv`.
fn set_of(file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.rsplit_once('-').map(|(set, _)| set.to_owned()).unwrap_or_default()
}

/// What a table holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    has_labels: bool,
}

fn open(path: &Path) -> std::result::Result<Box<dyn BufRead>, String> {
    unpacked(BufReader::with_capacity(1 << 16, File::open(path).map_err(|e| format!("cannot be read: {e}"))?))
}

fn read(path: &Path) -> Result<Table> {
    let table = open(path).and_then(parse);
    let table = table.map_err(|what| Error::Data(format!("{}: {what}", path.display())))?;
    if table.pixels.is_empty() {
        return Err(Error::Data(format!("{}: holds no images", path.display())));
    }
    Ok(table)
}

fn parse(mut reader: impl BufRead) -> std::result::Result<Table, String> {
    let first = first_line(&mut reader)?;
    let layout = Layout::of(&first).ok_or("is no table of pixels: a row has a label and 784 numbers")?;
    let pixels = layout.columns - usize::from(layout.label.is_some());
    if pixels != PIXELS {
        let side = (1..=1024).find(|side| side * side == pixels);
        let such_as = side.map(|side| format!(", such as {side} x {side}")).unwrap_or_default();
        return Err(format!(
            "its images have {pixels} pixels{such_as}; 28 x 28 are needed, which are {PIXELS}. Save them as pictures in a folder \
             for each class instead: they may have any size"
        ));
    }
    let mut table = Table { has_labels: layout.label.is_some(), ..Table::default() };
    let mut line = first;
    let mut number = 1;
    if layout.has_header {
        number += 1;
        read_line(&mut reader, &mut line)?;
    }
    while !line.is_empty() {
        let row = line.trim_ascii();
        if !row.is_empty() {
            if table.pixels.len() / PIXELS >= MAX_ITEMS {
                return Err(format!("holds more than {MAX_ITEMS} images, which is the most that is read"));
            }
            layout.row(row, &mut table).map_err(|what| format!("line {number}: {what}"))?;
        }
        number += 1;
        read_line(&mut reader, &mut line)?;
    }
    Ok(table)
}

/// The first line, without a byte order mark.
fn first_line(reader: &mut impl BufRead) -> std::result::Result<Vec<u8>, String> {
    let mut line = Vec::new();
    read_line(reader, &mut line)?;
    Ok(line.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(line))
}

/// Reads a line with its end; none at the end of the file.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::result::Result<(), String> {
    line.clear();
    let length =
        reader.take(MAX_LINE).read_until(b'\n', line).map_err(|e| format!("is damaged ({e}): copy it again"))?;
    if length as u64 == MAX_LINE { Err(format!("has a line of more than {MAX_LINE} bytes")) } else { Ok(()) }
}

/// A field without spaces and quotes around it.
fn bare(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field).trim_ascii()
}

impl Layout {
    /// By the first line; `None` if it is not one of a table of pixels.
    fn of(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        let count = |separator: u8| line.split(|byte| *byte == separator).count();
        let separator = SEPARATORS.into_iter().max_by_key(|separator| count(*separator))?;
        let fields: Vec<&[u8]> = line.split(|byte| *byte == separator).map(bare).collect();
        let columns = fields.len();
        if columns < MIN_COLUMNS {
            return None;
        }
        let is_number = |field: &&&[u8]| str::from_utf8(field).is_ok_and(|text| text.parse::<f64>().is_ok());
        let numbers = fields.iter().filter(is_number).count();
        let has_header = numbers * 2 < columns;
        let named = |field: &&[u8]| LABEL_NAMES.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()));
        let label = match fields.iter().position(named) {
            Some(column) if has_header => Some(column),
            // One number more than a square of pixels.
            _ => (!is_square(columns)).then_some(0),
        };
        Some(Self { separator, columns, label, has_header })
    }

    fn row(self, row: &[u8], table: &mut Table) -> std::result::Result<(), String> {
        let before = table.pixels.len();
        let mut columns = 0;
        for (column, field) in row.split(|byte| *byte == self.separator).enumerate() {
            columns += 1;
            if Some(column) == self.label {
                let label = number(field);
                let shown = || String::from_utf8_lossy(bare(field)).into_owned();
                table
                    .labels
                    .push(label.ok_or_else(|| format!("the label {:?} is not a whole number 0 to 255", shown()))?);
            } else if column < self.columns {
                table.pixels.push(number(field).ok_or_else(|| wrong_pixel(field))?);
            }
        }
        if columns == self.columns && table.pixels.len() == before + PIXELS {
            return Ok(());
        }
        Err(format!("has {columns} columns, but the first line {}: copy or download the file again", self.columns))
    }
}

fn is_square(columns: usize) -> bool {
    columns.isqrt().pow(2) == columns
}

/// A whole number 0 to 255, perhaps written as 7.0.
fn number(field: &[u8]) -> Option<u8> {
    let digits = |field: &[u8]| {
        let number = field.iter().try_fold(0_u16, |sum, byte| match byte {
            b'0'..=b'9' if sum <= 255 => Some(sum * 10 + u16::from(byte - b'0')),
            _ => None,
        });
        number.filter(|_| !field.is_empty()).and_then(|number| u8::try_from(number).ok())
    };
    digits(field).or_else(|| {
        let field = bare(field);
        let whole = field.iter().position(|byte| *byte == b'.').map_or(field, |dot| {
            let zeros = field[dot + 1..].iter().all(|byte| *byte == b'0');
            if zeros { &field[..dot] } else { field }
        });
        digits(whole)
    })
}

fn wrong_pixel(field: &[u8]) -> String {
    let shown = String::from_utf8_lossy(bare(field)).into_owned();
    let fraction = shown.parse().is_ok_and(|value: f64| (0.0..1.0).contains(&value));
    let remedy = if fraction { ": multiply the pixels by 255 and round them" } else { "" };
    format!("the pixel {shown:?} is not a whole number 0 to 255{remedy}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(header: &str, rows: &[(u8, u8)], separator: &str, end: &str) -> String {
        let row = |(label, pixel): &(u8, u8)| {
            let pixels = vec![pixel.to_string(); PIXELS].join(separator);
            format!("{label}{separator}{pixels}{end}")
        };
        header.to_owned() + &rows.iter().map(row).collect::<String>()
    }

    fn header(label: &str) -> String {
        let pixels: Vec<String> = (0..PIXELS).map(|i| format!("pixel{i}")).collect();
        format!("{label},{}\n", pixels.join(","))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_written_is_read(
            rows in prop::collection::vec(any::<(u8, u8)>(), 1..4),
            with_header in any::<bool>(), crlf in any::<bool>(), separator in prop::sample::select(vec![",", ";", "\t"]),
        ) {
            let head = if with_header { header("label").replace(',', separator) } else { String::new() };
            let text = table(&head, &rows, separator, if crlf { "\r\n" } else { "\n" });
            let read = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(read.labels, rows.iter().map(|row| row.0).collect::<Vec<_>>());
            prop_assert_eq!(read.pixels, rows.iter().flat_map(|row| [row.1; PIXELS]).collect::<Vec<_>>());
        }

        #[test]
        fn damage_gives_a_result_and_no_panic(at in 0_usize..6000, byte in any::<u8>(), cut in any::<bool>()) {
            let mut bytes = table(&header("label"), &[(3, 200), (255, 7)], ",", "\n").into_bytes();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(table) = parse(&bytes[..]) {
                prop_assert_eq!(table.pixels.len() % PIXELS, 0);
                prop_assert!(!table.has_labels || table.labels.len() == table.pixels.len() / PIXELS);
            }
        }

        #[test]
        fn any_bytes_give_a_result_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), commas in 0_usize..900) {
            let _ = parse(&bytes[..]);
            let _ = parse(&[&bytes[..], &b",".repeat(commas), &bytes[..]].concat()[..]);
        }
    }

    #[test]
    fn labels_may_come_last_or_not_at_all() {
        let pixels: Vec<String> = vec!["\"7\"".into(); PIXELS];
        let names: Vec<String> = (1..=PIXELS).map(|i| format!("\"pixel{i}\"")).collect();
        let last = format!("\u{feff}{},\"class\"\n{},\"5.0\"\n\n", names.join(","), pixels.join(","));
        let read = parse(last.as_bytes()).unwrap();
        assert_eq!((read.labels, read.pixels.len(), read.pixels[783]), (vec![5], PIXELS, 7));
        let without = parse(format!("{}\n{}\n", names.join(","), pixels.join(",")).as_bytes()).unwrap();
        assert_eq!((without.has_labels, without.labels.len(), without.pixels.len()), (false, 0, PIXELS));
    }

    #[test]
    fn faults_are_told_with_their_line() {
        let complaint = |text: &str| parse(text.as_bytes()).unwrap_err();
        let good = table("", &[(1, 2)], ",", "\n");
        insta::assert_snapshot!(complaint(&(good.clone() + "1,2\n")), @"line 2: has 2 columns, but the first line 785: copy or download the file again");
        insta::assert_snapshot!(complaint(&(good.clone() + &good.replacen('1', "256", 1))), @r#"line 2: the label "256" is not a whole number 0 to 255"#);
        insta::assert_snapshot!(complaint(&(good.clone() + &good.replacen(",2", ",0.25", 1))), @r#"line 2: the pixel "0.25" is not a whole number 0 to 255: multiply the pixels by 255 and round them"#);
        insta::assert_snapshot!(complaint(&format!("3{}\n", ",9".repeat(1024))), @"its images have 1024 pixels, such as 32 x 32; 28 x 28 are needed, which are 784. Save them as pictures in a folder for each class instead: they may have any size");
        insta::assert_snapshot!(complaint("id,name\n1,2\n"), @"is no table of pixels: a row has a label and 784 numbers");
    }
}
