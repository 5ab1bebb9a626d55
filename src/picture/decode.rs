//! From a file to a decoded picture, the right way up.

use std::{
    io::{Cursor, Read},
    path::Path,
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageResult, Limits,
    codecs::{bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder},
    error::{ImageFormatHint, LimitError, LimitErrorKind},
};

use crate::{Error, Result};

/// Larger files, in bytes, are refused.
const MAX_FILE_BYTES: u64 = 100 << 20;
/// Pictures with a longer side, in pixels, are refused.
const MAX_SIDE: u32 = 20_000;
/// Pictures with more pixels are refused: processing takes about thirty bytes of memory for each.
const MAX_PIXELS: u64 = 50_000_000;

/// Reads and decodes a picture file: PNG, JPEG, BMP, GIF or PNM, turned as its EXIF orientation says.
///
/// # Errors
/// The file cannot be read, is not such a picture, or is too large.
pub fn open(path: &Path) -> Result<DynamicImage> {
    let fault = |reason: String| Error::Picture { path: path.to_owned(), reason };
    let meta = std::fs::metadata(path).map_err(|e| fault(format!("cannot be read: {e}")))?;
    if meta.is_dir() {
        return Err(fault("is a folder; name the pictures in it".into()));
    }
    let mut bytes = Vec::new();
    // A device or a pipe has no length, and may have no end.
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|e| fault(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(fault(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    decode(&bytes)
        .map_err(|e| fault(format!("is not a picture that can be read ({e}); PNG, JPEG, BMP, GIF and PNM are")))
}

/// Decodes the supported formats only. `ImageReader` would compile in every format that any dependency enables.
fn decode(bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    let reader = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder + '_> = match image::guess_format(bytes)? {
        // Only this decoder needs its limits from the start.
        ImageFormat::Png => Box::new(PngDecoder::with_limits(reader, limits.clone())?),
        ImageFormat::Jpeg => Box::new(JpegDecoder::new(reader)?),
        ImageFormat::Bmp => Box::new(BmpDecoder::new(reader)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(reader)?),
        ImageFormat::Pnm => Box::new(PnmDecoder::new(reader)?),
        other => return Err(ImageError::Unsupported(ImageFormatHint::Exact(other).into())),
    };
    decoder.set_limits(limits)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::DimensionError)));
    }
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}
