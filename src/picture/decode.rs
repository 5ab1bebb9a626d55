//! From a file to a decoded picture, the right way up.

use std::{
    fmt::Display,
    fs::File,
    io::{Cursor, IsTerminal, Read, stdin},
    path::Path,
    sync::Mutex,
};

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageResult, Limits,
    codecs::{
        bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder, tiff::TiffDecoder,
        webp::WebPDecoder,
    },
};
use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};

use super::folder::complaint;
use crate::{Error, Result, formats::Format};

/// The formats that are read, for messages.
pub const READABLE: &str = "PNG, JPEG, TIFF, WebP, BMP, GIF and PNM";
/// The name that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Larger files, in bytes, are refused.
const MAX_FILE_BYTES: u64 = 100 << 20;
/// Pictures with a longer side, in pixels, are refused: no JPEG file has one.
const MAX_SIDE: u32 = 65_535;
/// Pictures with more pixels are refused: the largest phones take 200 million.
const MAX_PIXELS: u64 = 250_000_000;
/// Pictures that take more bytes when they are decoded are refused. While one is turned as its EXIF orientation says, it
/// takes twice as many.
const MAX_BYTES: u64 = 400_000_000;
/// Larger JPEG files, in pixels, are decoded without their colours: a byte for each pixel instead of three.
const MAX_COLOUR_PIXELS: u64 = 50_000_000;
/// Pictures that take more bytes when they are decoded, are decoded one after the other.
const LARGE_BYTES: u64 = 150_000_000;

/// What to do about a file that cannot be decoded.
const DAMAGED: &str = "It may be damaged: copy or save it again";

/// Reads and decodes a picture file: PNG, JPEG, TIFF, WebP, BMP, GIF or PNM, turned as its EXIF orientation says. `-` is
/// standard input.
///
/// # Errors
/// The file cannot be read, is not such a picture, or is too large.
pub fn open(path: &Path) -> Result<DynamicImage> {
    let path = if path == Path::new(STANDARD_INPUT) { Path::new("standard input") } else { path };
    let bytes = if path == Path::new("standard input") { read_standard_input() } else { read_file(path) };
    bytes
        .and_then(|bytes| decode(&bytes, MAX_PIXELS))
        .map_err(|reason| Error::Picture { path: path.to_owned(), reason })
}

fn read_standard_input() -> std::result::Result<Vec<u8>, String> {
    let stdin = stdin();
    if stdin.is_terminal() {
        return Err("is a terminal: send a picture into it, as in `lenet predict - < picture.png`".into());
    }
    read(stdin.lock())
}

fn read_file(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let is_address = ["http://", "https://"].iter().any(|scheme| path.to_string_lossy().starts_with(scheme));
    if is_address {
        return Err("is a web address: download the picture first, as in `curl -L ADDRESS | lenet predict -`".into());
    }
    if path.is_dir() {
        return Err(complaint(path));
    }
    read(File::open(path).map_err(|e| format!("cannot be read: {e}"))?)
}

/// Reads to the end, which a device or a pipe may not have.
fn read(from: impl Read) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES >> 20;
        return Err(format!(
            "is larger than {limit} MiB; reduce the picture, save it as JPEG, or crop it to the digit"
        ));
    }
    Ok(bytes)
}

/// Decodes the bytes of a picture file of at most `max_pixels`.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8], max_pixels: u64) -> std::result::Result<DynamicImage, String> {
    static LARGE: Mutex<()> = Mutex::new(());
    let format = match Format::of(bytes) {
        Format::Readable(format) => format,
        other => return Err(other_format(other, bytes)),
    };
    let damaged = |error: &dyn Display, remedy: &str| {
        format!("is {} that cannot be decoded ({error}). {remedy}", Format::Readable(format))
    };
    let fault = |error: ImageError| match &error {
        ImageError::Unsupported(_) => damaged(&error, "Save it as PNG"),
        _ => damaged(&error, DAMAGED),
    };
    let mut decoder = decoder(format, bytes).map_err(fault)?;
    let pixels = u64::from(decoder.dimensions().0) * u64::from(decoder.dimensions().1);
    let without_colours = format == ImageFormat::Jpeg && pixels > MAX_COLOUR_PIXELS && has_brightness(bytes);
    let memory = if without_colours { pixels } else { decoder.total_bytes() };
    check_size(decoder.dimensions(), memory, max_pixels)?;
    let orientation = decoder.orientation().map_err(fault)?;
    let _one_at_a_time = (memory > LARGE_BYTES).then(|| LARGE.lock());
    let mut picture = if without_colours {
        decode_brightness(bytes).map_err(|e| damaged(&e, DAMAGED))?
    } else {
        DynamicImage::from_decoder(decoder).map_err(fault)?
    };
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// What is said of a file that is no picture, or none that is read.
fn other_format(format: Format, bytes: &[u8]) -> String {
    let what = match format {
        Format::Empty => "is empty".to_owned(),
        other if other.is_picture() => format!("is {other}, which lenet does not read"),
        other => format!("is {}, not a picture", other.told_of(bytes)),
    };
    let remedy = format.to_picture().map_or_else(|| format!("Pictures are {READABLE} files"), ToOwned::to_owned);
    format!("{what}. {remedy}")
}

fn check_size((width, height): (u32, u32), memory: u64, max_pixels: u64) -> std::result::Result<(), String> {
    let pixels = (u64::from(width) * u64::from(height)).max(1);
    let limit = max_pixels.min(MAX_BYTES / memory.div_ceil(pixels).max(1));
    let remedy = "Reduce it, for example with `magick PICTURE -resize 4000x4000 SMALLER.jpg`, or crop it to the digit";
    if width.min(height) == 0 {
        return Err(format!("has {width} x {height} pixels: it shows nothing"));
    }
    if width.max(height) > MAX_SIDE {
        return Err(format!("has {width} x {height} pixels; sides of at most {MAX_SIDE} are read. {remedy}"));
    }
    if pixels > limit {
        let [pixels, limit] = [pixels, limit].map(|n| (n + 500_000) / 1_000_000);
        return Err(format!(
            "has {width} x {height} pixels, {pixels} megapixels; at most {limit} of this kind are read. {remedy}"
        ));
    }
    Ok(())
}

/// Decoders of the formats that are read. `ImageReader` would compile in every format that any dependency enables.
fn decoder(format: ImageFormat, bytes: &[u8]) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    let reader = Cursor::new(bytes);
    let mut limits = Limits::no_limits();
    // Twice, since some decoders count what they need besides the pixels.
    limits.max_alloc = Some(2 * MAX_BYTES);
    let mut decoder: Box<dyn ImageDecoder + '_> = match format {
        // Only this decoder needs its limits from the start.
        ImageFormat::Png => Box::new(PngDecoder::with_limits(reader, limits.clone())?),
        ImageFormat::Jpeg => Box::new(JpegDecoder::new(reader)?),
        ImageFormat::Tiff => Box::new(TiffDecoder::new(reader)?),
        ImageFormat::WebP => Box::new(WebPDecoder::new(reader)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(reader)?),
        ImageFormat::Bmp => Box::new(BmpDecoder::new(reader)?),
        _ => Box::new(PnmDecoder::new(reader)?),
    };
    decoder.set_limits(limits)?;
    Ok(decoder)
}

fn brightness_decoder(bytes: &[u8]) -> zune_jpeg::JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::Luma)
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize);
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

/// Whether a JPEG file holds its brightness apart from its colours, as nearly all do.
fn has_brightness(bytes: &[u8]) -> bool {
    let mut decoder = brightness_decoder(bytes);
    decoder.decode_headers().is_ok() && decoder.input_colorspace() == Some(ColorSpace::YCbCr)
}

/// A JPEG file's brightness alone.
fn decode_brightness(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    let mut decoder = brightness_decoder(bytes);
    let values = decoder.decode().map_err(|e| e.to_string())?;
    let sides = decoder.dimensions().and_then(|(w, h)| Some((u32::try_from(w).ok()?, u32::try_from(h).ok()?)));
    let picture = sides.and_then(|(width, height)| GrayImage::from_raw(width, height, values));
    picture.map(DynamicImage::ImageLuma8).ok_or_else(|| "its size is not what it says".into())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_jpeg_without_its_colours_is_as_bright_as_with_them() {
        let picture =
            RgbImage::from_fn(93, 61, |x, y| Rgb([x * 2, y * 4, 90].map(|value| u8::try_from(value).unwrap())));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert!(has_brightness(&bytes));
        let grey = decode_brightness(&bytes).unwrap().to_luma8();
        let colours = decode(&bytes, MAX_PIXELS).unwrap().to_rgb8();
        assert_eq!(grey.dimensions(), colours.dimensions());
        for (grey, Rgb(colours)) in grey.pixels().zip(colours.pixels()) {
            // The weights of JPEG's brightness: ITU-R BT.601.
            let expected: f32 =
                colours.iter().zip([0.299, 0.587, 0.114]).map(|(c, weight)| f32::from(*c) * weight).sum();
            assert!((f32::from(grey.0[0]) - expected).abs() < 3.0, "{grey:?} {colours:?}");
        }
    }

    #[test]
    fn limits_are_told_with_the_remedy() {
        let complaint = |width, height, bytes: u64| {
            check_size((width, height), u64::from(width) * u64::from(height) * bytes, MAX_PIXELS).unwrap_err()
        };
        assert_eq!(check_size((12_000, 9_000), 12_000 * 9_000, MAX_PIXELS), Ok(()));
        assert_eq!(check_size((16_320, 12_240), 16_320 * 12_240, MAX_PIXELS), Ok(()));
        insta::assert_snapshot!(complaint(16_320, 12_240, 3), @"has 16320 x 12240 pixels, 200 megapixels; at most 133 of this kind are read. Reduce it, for example with `magick PICTURE -resize 4000x4000 SMALLER.jpg`, or crop it to the digit");
        insta::assert_snapshot!(complaint(20_000, 20_000, 1), @"has 20000 x 20000 pixels, 400 megapixels; at most 250 of this kind are read. Reduce it, for example with `magick PICTURE -resize 4000x4000 SMALLER.jpg`, or crop it to the digit");
        insta::assert_snapshot!(complaint(70_000, 10, 1), @"has 70000 x 10 pixels; sides of at most 65535 are read. Reduce it, for example with `magick PICTURE -resize 4000x4000 SMALLER.jpg`, or crop it to the digit");
    }
}
