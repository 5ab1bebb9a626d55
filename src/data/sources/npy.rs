//! A reader of `NumPy`'s arrays of whole numbers, that trusts nothing in a header.
//!
//! Source of the format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::io::Read;

use super::MAX_ITEMS;
use crate::data::{IMAGE_SIDE, PIXELS};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Headers are a line of text.
const MAX_HEADER: usize = 1 << 16;

/// What an array holds, as far as its header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The type of the values, such as `|u1`.
    descr: String,
    fortran_order: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(reader: &mut impl Read) -> Result<Self, String> {
        let ended = |_| "ends within its header: copy or download it again".to_owned();
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(ended)?;
        let Some([major, _]) = start.strip_prefix(MAGIC) else { return Err("is not an array of NumPy's".into()) };
        let length = if *major == 1 {
            let mut bytes = [0; 2];
            reader.read_exact(&mut bytes).map_err(ended)?;
            usize::from(u16::from_le_bytes(bytes))
        } else {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes).map_err(ended)?;
            u32::from_le_bytes(bytes) as usize
        };
        if length > MAX_HEADER {
            return Err(format!("has a header of {length} bytes; it may be damaged"));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(ended)?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// From Python's text of a dictionary.
    fn parse(text: &str) -> Result<Self, String> {
        let after = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}':")).ok_or(format!("its header has no {key}"))?;
            Ok::<_, String>(rest.trim_start())
        };
        let descr = after("descr")?.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
        let shape = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inner, _)| inner);
        let sides = shape.ok_or("its header has no shape")?.split(',').map(str::trim).filter(|side| !side.is_empty());
        Ok(Self {
            descr: descr.ok_or("holds several values for each item, not one number")?.to_owned(),
            fortran_order: after("fortran_order")?.starts_with("True"),
            shape: sides
                .map(|side| side.parse().map_err(|_| format!("its header has the side {side:?}")))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The bytes of a value, and whether it has a sign, of whole numbers.
    fn whole_number(&self) -> Option<(usize, bool, bool)> {
        let [order, kind, size] = self.descr.as_bytes() else { return None };
        let bytes = usize::from(size.checked_sub(b'0')?);
        (matches!(kind, b'u' | b'i' | b'b') && matches!(bytes, 1 | 2 | 4 | 8)).then_some((
            bytes,
            *kind == b'i',
            *order == b'>',
        ))
    }

    /// What the values are, for messages.
    fn values(&self) -> String {
        match self.descr.as_bytes() {
            [_, b'f', bytes] => format!("floating-point numbers of {} bytes", char::from(*bytes)),
            _ => format!("values of the type {:?}", self.descr),
        }
    }

    /// Checks that these are images, and reads them: `[n * 784]`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn images(&self, reader: &mut impl Read) -> Result<Vec<u8>, String> {
        let (count, item) = self.shape.split_first().ok_or("holds a single number, not images")?;
        match item {
            [IMAGE_SIDE, IMAGE_SIDE] | [IMAGE_SIDE, IMAGE_SIDE, 1] | [1, IMAGE_SIDE, IMAGE_SIDE] | [PIXELS] => {}
            [rows, columns] | [rows, columns, 1] | [1, rows, columns] => {
                return Err(format!("its images are {columns} x {rows} pixels; 28 x 28 are needed. {AS_PICTURES}"));
            }
            [rows, columns, channels @ (3 | 4)] => {
                return Err(format!(
                    "its images are {columns} x {rows} pixels of {channels} colours; grey ones are needed. {AS_PICTURES}"
                ));
            }
            _ => return Err(format!("has the shape {:?}; images have (n, 28, 28)", self.shape)),
        }
        if self.descr.as_bytes().get(1..) != Some(b"u1") {
            return Err(format!(
                "holds {}; pixels are unsigned bytes, 0 to 255: save them with .astype(\"uint8\"), multiplied by 255 if they \
                 are 0 to 1",
                self.values()
            ));
        }
        if self.fortran_order {
            return Err("is in Fortran's order: save it after np.ascontiguousarray(...)".into());
        }
        payload(reader, *count, PIXELS)
    }

    /// Checks that these are labels, and reads them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn labels(&self, reader: &mut impl Read) -> Result<Vec<u8>, String> {
        let ([count] | [count, 1]) = self.shape[..] else {
            return Err(format!("has the shape {:?}; labels have (n,)", self.shape));
        };
        let Some((bytes, signed, big_endian)) = self.whole_number() else {
            return Err(format!("holds {}; labels are whole numbers", self.values()));
        };
        let payload = payload(reader, count, bytes)?;
        let label = |(i, bytes): (usize, &[u8])| {
            let most_significant_last: Vec<u8> =
                if big_endian { bytes.iter().rev().copied().collect() } else { bytes.to_vec() };
            match most_significant_last[..] {
                [label, ref rest @ ..]
                    if rest.iter().all(|byte| *byte == 0) && !(signed && rest.is_empty() && label > 127) =>
                {
                    Ok(label)
                }
                _ => Err(format!("label {i} is not 0 to 255")),
            }
        };
        payload.chunks_exact(bytes).enumerate().map(label).collect()
    }
}

/// So many items of so many bytes, which have to be all that follows.
fn payload(reader: &mut impl Read, count: usize, item: usize) -> Result<Vec<u8>, String> {
    if count > MAX_ITEMS {
        return Err(format!("claims {count} items; at most {MAX_ITEMS} are read"));
    }
    let length = count * item;
    let mut payload = Vec::new();
    reader.take(length as u64 + 1).read_to_end(&mut payload).map_err(|e| format!("is damaged ({e}): copy it again"))?;
    if payload.len() != length {
        let there = if payload.len() < length { format!("only {}", payload.len()) } else { "more".into() };
        return Err(format!("its header promises {length} bytes, but {there} follow: copy or download it again"));
    }
    Ok(payload)
}

const AS_PICTURES: &str = "Save them as pictures in a folder for each class instead: they may have any size";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn array(descr: &str, shape: &str, payload: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), payload].concat()
    }

    fn labels(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut reader = bytes;
        Header::read(&mut reader)?.labels(&mut reader)
    }

    fn images(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut reader = bytes;
        Header::read(&mut reader)?.images(&mut reader)
    }

    proptest! {
        #[test]
        fn labels_are_read_from_any_whole_numbers(labels in prop::collection::vec(0_u8..128, 0..9)) {
            let n = labels.len();
            let wide = |bytes: fn(u8) -> Vec<u8>| labels.iter().flat_map(|label| bytes(*label)).collect::<Vec<_>>();
            for (descr, payload) in [
                ("|u1", labels.clone()),
                ("|i1", labels.clone()),
                ("<i4", wide(|label| u32::from(label).to_le_bytes().to_vec())),
                (">i2", wide(|label| u16::from(label).to_be_bytes().to_vec())),
                ("<u8", wide(|label| u64::from(label).to_le_bytes().to_vec())),
            ] {
                prop_assert_eq!(super::tests::labels(&array(descr, &format!("{n},"), &payload)), Ok(labels.clone()));
                prop_assert_eq!(super::tests::labels(&array(descr, &format!("{n}, 1"), &payload)), Ok(labels.clone()));
            }
        }

        #[test]
        fn damage_gives_a_result_and_no_panic(at in 0_usize..200, byte in any::<u8>(), cut in any::<bool>()) {
            let mut bytes = array("|u1", "2, 28, 28", &[7; 2 * PIXELS]);
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            let _ = labels(&bytes);
            if let Ok(pixels) = images(&bytes) {
                prop_assert_eq!(pixels.len() % PIXELS, 0);
            }
        }

        #[test]
        fn any_bytes_give_a_result_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".{0,60}") {
            let _ = images(&bytes);
            let _ = labels(&[MAGIC, &bytes].concat());
            let _ = Header::parse(&text);
            let _ = Header::parse(&format!("{{'descr': {text}, 'fortran_order': {text}, 'shape': ({text})}}"));
        }
    }

    #[test]
    fn faults_are_told() {
        let complaint = |descr: &str, shape: &str| images(&array(descr, shape, b"few")).unwrap_err();
        insta::assert_snapshot!(complaint("|u1", "2, 28, 28"), @"its header promises 1568 bytes, but only 3 follow: copy or download it again");
        insta::assert_snapshot!(complaint("|u1", "99999999, 28, 28"), @"claims 99999999 items; at most 1000000 are read");
        insta::assert_snapshot!(complaint("|u1", "2, 32, 30"), @"its images are 30 x 32 pixels; 28 x 28 are needed. Save them as pictures in a folder for each class instead: they may have any size");
        insta::assert_snapshot!(complaint("|u1", "2, 28, 28, 3"), @"its images are 28 x 28 pixels of 3 colours; grey ones are needed. Save them as pictures in a folder for each class instead: they may have any size");
        insta::assert_snapshot!(complaint("<f4", "2, 28, 28"), @r#"holds floating-point numbers of 4 bytes; pixels are unsigned bytes, 0 to 255: save them with .astype("uint8"), multiplied by 255 if they are 0 to 1"#);
        insta::assert_snapshot!(labels(&array("<f4", "2,", b"few")).unwrap_err(), @"holds floating-point numbers of 4 bytes; labels are whole numbers");
        assert_eq!(labels(&array("<i2", "1,", &[0, 1])), Err("label 0 is not 0 to 255".into()));
        assert_eq!(labels(&array("|i1", "1,", &[200])), Err("label 0 is not 0 to 255".into()));
    }
}
