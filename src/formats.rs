//! What a file is, told by its first bytes: for messages about files that are not what they should be.

mod signatures;

use std::{
    fmt::{self, Display, Formatter},
    fs::File,
    io::{self, Read},
    path::Path,
};

use file_format::{FileFormat, Kind};
use image::ImageFormat;

use self::signatures::{is_camera_raw, is_text, own};

/// So many bytes at a file's beginning are looked at.
const HEAD: usize = 4096;

/// What is said of nets that cannot be read.
const CONVERT: &str = "Such files are not read: save the net's parameters as a safetensors file or a state_dict of PyTorch, \
                       which `lenet import` reads";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// It has no bytes.
    Empty,
    /// A picture of a format that lenet reads.
    Readable(ImageFormat),
    /// A record that Burn wrote, as a run's `model.bpk` is.
    BurnRecord,
    /// Tensors by name, as Hugging Face's libraries write.
    Safetensors,
    /// What PyTorch writes, or could have written: its name with an article.
    Torch(&'static str),
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
        matches!(self, Self::BurnRecord | Self::Safetensors | Self::Torch(_) | Self::Model(_))
    }

    /// What a person does to get a picture from it that can be read, if there is a way.
    pub fn to_picture(self) -> Option<&'static str> {
        match self {
            Self::CameraRaw => Some("Export it as JPEG with the camera's or a photo program"),
            Self::Svg => Some("Export it as PNG"),
            Self::Idx => Some("`lenet evaluate` measures a net on such data"),
            _ if self.is_model() => Some("Name a net before the pictures: `lenet predict RUN PICTURE`"),
            Self::Known(format) => known_to_picture(format),
            _ => self.to_content(),
        }
    }

    /// What is said of a file that should be a run's record; `None` if it is one, or could be a damaged one.
    pub fn instead_of_a_record(self) -> Option<String> {
        let remedy = match self {
            Self::BurnRecord | Self::Unknown => return None,
            Self::Safetensors | Self::Torch(_) => {
                "If it holds a LeNet-5, `lenet import FILE --out RUN` makes a run of it"
            }
            Self::Model(_) => CONVERT,
            other => other.to_content().unwrap_or("Give the folder of a run, or the model.bpk in it"),
        };
        let not = if self == Self::Empty { "" } else { ", not a net that lenet trained" };
        Some(format!("is {self}{not}. {remedy}"))
    }

    /// What is said of a file that should hold parameters to import but is neither a safetensors file nor one of PyTorch's.
    pub fn instead_of_parameters(self, bytes: &[u8]) -> String {
        let remedy = match self {
            Self::BurnRecord => "It needs no import: name it, or its run's folder, in the place of a run",
            Self::Model(_) => CONVERT,
            other => other.to_content().unwrap_or("Give a .safetensors, .pt or .pth with the parameters"),
        };
        format!("is {}. {remedy}", self.told_of(bytes))
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
            Self::Safetensors => "a safetensors file",
            Self::Torch(name) | Self::Model(name) => name,
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
