//! What a file is, told by its first bytes: for messages about files that are not what they should be.

use std::{
    fmt::{self, Display, Formatter},
    fs::File,
    io::{self, Read},
    path::Path,
};

use file_format::{FileFormat, Kind};
use image::ImageFormat;

/// So many bytes at a file's beginning are looked at.
const HEAD: usize = 4096;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// It has no bytes.
    Empty,
    /// A picture of a format that lenet reads.
    Readable(ImageFormat),
    /// A record that Burn wrote, as a run's `model.bpk` is.
    BurnRecord,
    /// A net, or a file that usually holds one, of another framework: its name with an article.
    Model(&'static str),
    /// A data file in MNIST's format.
    Idx,
    /// What Git keeps in the place of a large file.
    LfsPointer,
    /// HTML.
    WebPage,
    /// SVG.
    Svg,
    /// A photo as the sensor saw it, in a TIFF file.
    CameraRaw,
    /// Any other text.
    Text,
    /// One of the many other formats.
    Known(FileFormat),
    /// None of these.
    Unknown,
}

impl Format {
    /// Recognizes a file by its content, of which the first 4096 bytes are enough.
    pub fn of(bytes: &[u8]) -> Self {
        let head = &bytes[..bytes.len().min(HEAD)];
        if head.is_empty() {
            return Self::Empty;
        }
        own(head).or_else(|| readable(bytes)).unwrap_or_else(|| match FileFormat::from_bytes(head) {
            FileFormat::ArbitraryBinaryData | FileFormat::Empty | FileFormat::PlainText if is_text(head) => Self::Text,
            FileFormat::ArbitraryBinaryData | FileFormat::Empty | FileFormat::PlainText => Self::Unknown,
            // A cursor file without cursors is another kind of file with the same first bytes, such as TGA.
            FileFormat::WindowsCursor | FileFormat::WindowsIcon if head.get(4..6) == Some(&[0, 0]) => Self::Unknown,
            known => Self::Known(known),
        })
    }

    /// What it is, with an article, as after "is"; of an unknown kind, its first bytes.
    pub fn told_of(self, bytes: &[u8]) -> String {
        let first = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        if self == Self::Unknown { format!("of an unknown kind (it begins with {first})") } else { self.to_string() }
    }

    /// Whether it is a picture, whether lenet reads that kind or not.
    pub fn is_picture(self) -> bool {
        match self {
            Self::Readable(_) | Self::CameraRaw => true,
            Self::Known(format) => format.kind() == Kind::Image,
            _ => false,
        }
    }

    /// Whether it is a net, lenet's own or another's.
    pub fn is_model(self) -> bool {
        matches!(self, Self::BurnRecord | Self::Model(_))
    }

    /// What a person does to get a picture from it that can be read, if there is a way.
    pub fn to_picture(self) -> Option<&'static str> {
        match self {
            Self::CameraRaw => Some("Export it as JPEG with the camera's or a photo program"),
            Self::Svg => Some("Export it as PNG"),
            Self::Idx => Some("`lenet evaluate` measures a net on such data"),
            Self::BurnRecord | Self::Model(_) => Some("Name a net before the pictures: `lenet predict RUN PICTURE`"),
            Self::Known(format) => known_to_picture(format),
            _ => self.to_content(),
        }
    }

    /// What is said of a file that should be a run's record; `None` if it is one, or could be a damaged one.
    pub fn instead_of_a_record(self) -> Option<String> {
        let remedy = match self {
            Self::BurnRecord | Self::Unknown => return None,
            Self::Model(_) => "Nets of other frameworks are not read: train one with `lenet train`",
            other => other.to_content().unwrap_or("Give the folder of a run, or the model.bpk in it"),
        };
        let not = if self == Self::Empty { "" } else { ", not a net that lenet trained" };
        Some(format!("is {self}{not}. {remedy}"))
    }

    /// What a person does to get the file that was meant, if this one only stands in its place.
    pub fn to_content(self) -> Option<&'static str> {
        match self {
            Self::Empty => Some("Copy or download it again"),
            Self::LfsPointer => Some("`git lfs pull` fetches the file itself"),
            Self::WebPage => Some(
                "The download was answered with a page, such as an error or a sign-in: open the address in a browser, and \
                 save the file itself",
            ),
            Self::Known(format) if matches!(format.kind(), Kind::Archive | Kind::Compressed) => Some("Unpack it first"),
            _ => None,
        }
    }
}

/// A file's first bytes, enough for [`Format::of`].
///
/// # Errors
/// The file cannot be read.
pub(crate) fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// With an article, as after "is".
impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Empty => "empty",
            Self::BurnRecord => "a record of Burn, as lenet's model.bpk is",
            Self::Model(name) => name,
            Self::Idx => "a data file in MNIST's IDX format",
            Self::LfsPointer => "a pointer of Git LFS",
            Self::WebPage => "a web page (HTML)",
            Self::Svg => "a drawing in SVG format",
            Self::CameraRaw => "a camera's raw photo (DNG or a relative of it)",
            Self::Text => "text",
            Self::Readable(format) => return write!(f, "a picture in {} format", format!("{format:?}").to_uppercase()),
            Self::Known(format) => return known(*format, f),
            Self::Unknown => "of an unknown kind",
        };
        f.write_str(name)
    }
}

fn readable(bytes: &[u8]) -> Option<Format> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
    match image::guess_format(bytes).ok()? {
        Tiff if is_camera_raw(bytes) => Some(Format::CameraRaw),
        format @ (Bmp | Gif | Jpeg | Png | Pnm | Tiff | WebP) => Some(Format::Readable(format)),
        _ => None,
    }
}

fn known(format: FileFormat, f: &mut Formatter<'_>) -> fmt::Result {
    let noun = match format.kind() {
        Kind::Image => "a picture",
        Kind::Video => "a video",
        Kind::Audio => "a recording",
        Kind::Archive => "an archive",
        Kind::Compressed => "a compressed file",
        Kind::Document => "a document",
        Kind::Executable => "a program",
        _ if format == FileFormat::Mpeg4Part14 => "a video",
        _ => "a file",
    };
    match format.short_name() {
        Some(short) if short != format.name() => write!(f, "{noun} in {short} format ({})", format.name()),
        _ => write!(f, "{noun} in {} format", format.name()),
    }
}

fn known_to_picture(format: FileFormat) -> Option<&'static str> {
    use FileFormat::{
        CanonRaw, CanonRaw2, CanonRaw3, FujifilmRaw, HighEfficiencyImageCoding, HighEfficiencyImageFileFormat,
        NikonElectronicFile, OlympusRawFormat, PanasonicRaw, SonyAlphaRaw,
    };
    match format {
        HighEfficiencyImageCoding | HighEfficiencyImageFileFormat => Some(
            "Convert it to JPEG, for example with `magick PHOTO.heic PHOTO.jpg`; an iPhone takes JPEG itself with Settings > \
             Camera > Formats > Most Compatible",
        ),
        CanonRaw | CanonRaw2 | CanonRaw3 | FujifilmRaw | NikonElectronicFile | OlympusRawFormat | PanasonicRaw
        | SonyAlphaRaw => Format::CameraRaw.to_picture(),
        _ => match format.kind() {
            Kind::Image => Some("Convert it to PNG or JPEG, for example with `magick PICTURE PICTURE.png`"),
            _ if format == FileFormat::Mpeg4Part14 => Some("Save the frame with the digit as PNG"),
            Kind::Video => Some("Save the frame with the digit as PNG"),
            Kind::Document => Some("Export the page with the digit as PNG"),
            Kind::Archive | Kind::Compressed => Some("Unpack it first"),
            _ => None,
        },
    }
}

/// The formats that are of interest here and that `FileFormat` does not tell apart.
fn own(head: &[u8]) -> Option<Format> {
    let has = |what: &[u8]| head.windows(what.len()).any(|window| window == what);
    let model = match head {
        [b'P', b'K', 3, 4, ..] if has(b"data.pkl") => "a PyTorch file",
        // The magic number of torch.save before version 1.6, pickled.
        [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, ..] => "a PyTorch file of the old kind",
        [b'P', b'K', 3, 4, ..] if has(b"keras_version") || has(b"model.weights.h5") => "a Keras file",
        [b'P', b'K', 3, 4, ..] if has(b".npy") => "a NumPy archive (npz)",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array (npy)",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file, as Keras writes",
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite file",
        [b'G', b'G', b'U', b'F', ..] => "a GGUF file",
        [0x80, 2..=5, ..] => "a Python pickle, as PyTorch and scikit-learn write",
        _ if is_safetensors(head) => "a safetensors file",
        _ if is_onnx(head) => "an ONNX file",
        _ => "",
    };
    let text = || String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    match head {
        _ if !model.is_empty() => Some(Format::Model(model)),
        // Burn's magic number, 0x4255524E, in little endian.
        [b'N', b'R', b'U', b'B', ..] => Some(Format::BurnRecord),
        [0, 0, 0x08..=0x0e, 1..=4, ..] => Some(Format::Idx),
        _ if head.starts_with(b"version https://git-lfs.github.com/") => Some(Format::LfsPointer),
        _ if !is_text(head) => None,
        _ if text().starts_with("<!doctype html") || text().starts_with('<') && text().contains("<html") => {
            Some(Format::WebPage)
        }
        _ if text().starts_with('<') && text().contains("<svg") => Some(Format::Svg),
        _ => None,
    }
}

/// A header's length, below 100 MB, and the header: JSON. Source: <https://huggingface.co/docs/safetensors>.
fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk() else { return false };
    (2..100_000_000).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// Field 1, a small version, and field 2, the producer's name. Source: `onnx.proto`, message `ModelProto`,
/// <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
fn is_onnx(head: &[u8]) -> bool {
    match head {
        [0x08, 1..=0x20, 0x12, length @ 1..=0x7f, rest @ ..] => {
            rest.get(..usize::from(*length)).is_some_and(|name| name.iter().all(u8::is_ascii_graphic))
        }
        _ => false,
    }
}

/// UTF-8, perhaps cut in its last character, without control characters.
fn is_text(head: &[u8]) -> bool {
    let valid = match str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// Whether a TIFF file's first directory says that it is a raw photo. Source: Adobe, Digital Negative Specification 1.7
/// (2023), "`DNGVersion`"; TIFF 6.0 (1992), section 2.
fn is_camera_raw(bytes: &[u8]) -> bool {
    /// `DNGVersion`; and, in the raw files of others, the maker beside folders of further pictures.
    const TAGS: [u16; 3] = [0xc612, 0x010f, 0x014a];
    let little = bytes.starts_with(b"II");
    let short = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let Some(directory) = long(4).and_then(|at| usize::try_from(at).ok()) else { return false };
    let entries = usize::from(short(directory).unwrap_or(0));
    let tags: Vec<u16> = (0..entries).map_while(|i| short(directory + 2 + 12 * i)).collect();
    let [dng, maker, others] = TAGS.map(|tag| tags.contains(&tag));
    dng || maker && others
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let heif = |brand: &[u8; 4]| [b"\0\0\0\x18ftyp", &brand[..], b"\0\0\0\0mif1heic"].concat();
        let dng = b"II*\0\x08\0\0\0\x01\0\x12\xc6\x01\0\x04\0\0\0\x01\x04\0\0\0\0\0\0";
        for (bytes, name, is_picture) in [
            (&b""[..], "empty", false),
            (b"\0\0\x08\x03\0\0\xea\x60", "a data file in MNIST's IDX format", false),
            (b"NRUB\x01\0", "a record of Burn, as lenet's model.bpk is", false),
            (
                b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0archive/data.pkl",
                "a PyTorch file",
                false,
            ),
            (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file of the old kind", false),
            (b"\x80\x04\x95\0\0", "a Python pickle, as PyTorch and scikit-learn write", false),
            (b"\x40\0\0\0\0\0\0\0{\"weight\":{}}", "a safetensors file", false),
            (b"\x08\x08\x12\x07pytorch\x1a\x05", "an ONNX file", false),
            (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", false),
            (
                b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0conv1.npy",
                "a NumPy archive (npz)",
                false,
            ),
            (b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a", "an archive in ZIP format", false),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d", "a pointer of Git LFS", false),
            (b"\xef\xbb\xbf\n <!DOCTYPE HTML><title>404", "a web page (HTML)", false),
            (b"<?xml version=\"1.0\"?><html>", "a web page (HTML)", false),
            (b"<?xml version=\"1.0\"?>\n<svg width=\"9\">", "a drawing in SVG format", false),
            (b"epochs = 3\n", "text", false),
            ("Größe".as_bytes().split_last().unwrap().1, "text", false),
            (b"\xfe\xdc\xba\x98", "of an unknown kind", false),
            (&heif(b"heic"), "a picture in HEIC format (High Efficiency Image Coding)", true),
            (&heif(b"mif1"), "a picture in HEIF format (High Efficiency Image File Format)", true),
            (&heif(b"avif"), "a picture in AVIF format (AV1 Image File Format)", true),
            (dng, "a camera's raw photo (DNG or a relative of it)", true),
            (b"BM\x46\0\0\0", "a picture in BMP format", true),
            (b"MM\0*\0\0\0\x08\0\0", "a picture in TIFF format", true),
            (b"%PDF-1.7\n", "a document in PDF format (Portable Document Format)", false),
            (b"8BPS\0\x01", "a picture in PSD format (Adobe Photoshop Document)", true),
            (b"\xff\x0a\xfa\x7f", "a picture in JXL format (JPEG XL)", true),
            (b"\x1f\x8b\x08\0", "a compressed file in GZ format (gzip)", false),
        ] {
            let format = Format::of(bytes);
            assert_eq!((format.to_string().as_str(), format.is_picture()), (name, is_picture), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(mut bytes in prop::collection::vec(any::<u8>(), 0..64), tiff in any::<bool>()) {
            if tiff {
                bytes.splice(..0, *b"II*\0");
            }
            let format = Format::of(&bytes);
            prop_assert!(!format.to_string().is_empty());
        }
    }
}
