//! From any picture of a digit to an image in MNIST's format.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>: the digit is fitted into 20x20 pixels, keeping its aspect ratio, with
//! anti-aliasing; then its centre of mass is moved to the centre of 28x28 pixels.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are bounded, brightness is between 0 and 1"
)]

use std::{
    io::{Cursor, Read},
    path::Path,
};

use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageResult, Limits, Luma,
    codecs::{bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder},
    error::{ImageFormatHint, LimitError, LimitErrorKind},
    imageops::{FilterType, crop_imm, resize},
};

use crate::{
    Error, Result,
    data::{IMAGE_SIDE, PIXELS},
};

/// A grey picture with values from 0 to 1: brightness, or how much a pixel belongs to the foreground.
type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

/// The longer side of a digit in MNIST, in pixels.
const DIGIT_SIDE: u32 = 20;
/// Larger pictures are first reduced to this longer side, in pixels: finer detail is noise here.
const WORKING_SIDE: u32 = 400;
/// Larger files, in bytes, are refused.
const MAX_FILE_BYTES: u64 = 100 << 20;
/// Pictures with a longer side, in pixels, are refused.
const MAX_SIDE: u32 = 20_000;
/// Pictures with more pixels are refused: processing takes about thirty bytes of memory for each.
const MAX_PIXELS: u64 = 50_000_000;
/// The foreground must differ from the background by this fraction of the full range.
const MIN_CONTRAST: f32 = 0.06;
/// Pixels with at least this much foreground, out of 1, belong to a connected component.
const FOREGROUND_THRESHOLD: f32 = 0.3;
/// A component whose mass is less than this fraction of the largest one's is a speck, not part of the digit.
const MIN_COMPONENT: f32 = 0.05;

/// Reads a picture file (PNG, JPEG, BMP, GIF or PNM, of any size, in colour or grey, dark on light or light on dark) as
/// an image in MNIST's format: 784 pixels from 0 (background) to 255 (foreground), row by row.
///
/// # Errors
/// The file cannot be read, is not such a picture, is too large, or shows nothing.
pub fn read_picture(path: &Path) -> Result<[u8; PIXELS]> {
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
    let picture = decode(&bytes)
        .map_err(|e| fault(format!("is not a picture that can be read ({e}); PNG, JPEG, BMP, GIF and PNM are")))?;
    normalize(&picture).map_err(|reason| fault(reason.into()))
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

/// Converts a picture of a digit to MNIST's format: 784 pixels from 0 to 255, row by row.
///
/// # Errors
/// The picture shows nothing.
pub fn normalize(picture: &DynamicImage) -> std::result::Result<[u8; PIXELS], &'static str> {
    // A drawing on a transparent background is seen on white or, if it is itself white, on black.
    let backgrounds: &[f32] = if picture.color().has_alpha() { &[1.0, 0.0] } else { &[1.0] };
    let foreground = backgrounds
        .iter()
        .find_map(|background| foreground(&shrink(&brightness(picture, *background))))
        .ok_or("shows nothing: it is a single shade all over")?;
    Ok(centre(&digit(&foreground)))
}

/// The brightness of a picture, 0 to 1, where `background` shows through transparent pixels.
fn brightness(picture: &DynamicImage, background: f32) -> Plane {
    let picture = picture.to_luma_alpha32f();
    Plane::from_fn(picture.width(), picture.height(), |x, y| {
        // A floating-point picture may hold any value.
        let [luma, alpha] = picture.get_pixel(x, y).0.map(|v| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) });
        Luma([luma * alpha + background * (1.0 - alpha)])
    })
}

fn shrink(plane: &Plane) -> Plane {
    let longer = plane.width().max(plane.height());
    if longer <= WORKING_SIDE {
        return plane.clone();
    }
    let side = |side: u32| (u64::from(side) * u64::from(WORKING_SIDE) / u64::from(longer)).max(1) as u32;
    resize(plane, side(plane.width()), side(plane.height()), FilterType::Triangle)
}

/// How much each pixel differs from the background, 0 to 1; `None` if nothing does. The background's shade is the median
/// of the border. The foreground is what is darker, or what is lighter, whichever differs more in total.
fn foreground(plane: &Plane) -> Option<Plane> {
    let (w, h) = plane.dimensions();
    let mut border: Vec<f32> = plane
        .enumerate_pixels()
        .filter(|(x, y, _)| *x == 0 || *y == 0 || *x + 1 == w || *y + 1 == h)
        .map(|(.., pixel)| pixel[0])
        .collect();
    let background = median(&mut border);
    let mut noise: Vec<f32> = border.iter().map(|value| (value - background).abs()).collect();
    // Grain and shadows stay below three times the median deviation.
    let floor = 3.0 * median(&mut noise);

    let [darker, lighter] = [-1.0, 1.0].map(|sign: f32| {
        plane.pixels().map(|p| ((p[0] - background) * sign - floor).max(0.0)).map(f64::from).map(|v| v * v).sum::<f64>()
    });
    let sign = if darker >= lighter { -1.0 } else { 1.0 };
    let strongest = plane.pixels().map(|p| (p[0] - background) * sign).fold(0.0, f32::max);
    if strongest - floor < MIN_CONTRAST {
        return None;
    }
    let scale = 1.0 / (strongest - floor);
    Some(Plane::from_fn(w, h, |x, y| {
        Luma([(((plane.get_pixel(x, y)[0] - background) * sign - floor) * scale).max(0.0)])
    }))
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f32::total_cmp).1 }
}

/// The digit without specks, cropped and fitted into 20x20.
fn digit(foreground: &Plane) -> Plane {
    let (components, count) = components(foreground);
    let mut mass = vec![0.0_f32; count + 1];
    for (component, pixel) in components.iter().zip(foreground.pixels()) {
        mass[*component] += pixel[0];
    }
    mass[0] = 0.0;
    let min_mass = MIN_COMPONENT * mass.iter().copied().fold(0.0, f32::max);
    let (w, h) = foreground.dimensions();
    let (mut left, mut top, mut right, mut bottom) = (w, h, 0, 0);
    for ((x, y, _), component) in foreground.enumerate_pixels().zip(&components) {
        if *component > 0 && mass[*component] >= min_mass {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
        }
    }
    let (width, height) = (right - left + 1, bottom - top + 1);
    let cut = crop_imm(foreground, left, top, width, height).to_image();
    let longer = width.max(height);
    let side = |side: u32| ((side * DIGIT_SIDE + longer / 2) / longer).clamp(1, DIGIT_SIDE);
    let mut fitted = resize(&cut, side(width), side(height), FilterType::Triangle);
    // Resizing makes thin strokes paler, but MNIST's digits reach 255.
    let strongest = fitted.pixels().map(|p| p[0]).fold(f32::MIN_POSITIVE, f32::max);
    for pixel in fitted.pixels_mut() {
        pixel[0] /= strongest;
    }
    fitted
}

/// Labels the connected components of the foreground from 1 (0 is background): each pixel's label, and how many there
/// are.
fn components(foreground: &Plane) -> (Vec<usize>, usize) {
    let (w, h) = (foreground.width() as usize, foreground.height() as usize);
    let is_foreground: Vec<bool> = foreground.pixels().map(|p| p[0] >= FOREGROUND_THRESHOLD).collect();
    let (mut labels, mut count) = (vec![0; w * h], 0);
    let mut open = Vec::new();
    for start in 0..w * h {
        if !is_foreground[start] || labels[start] > 0 {
            continue;
        }
        count += 1;
        labels[start] = count;
        open.push(start);
        while let Some(at) = open.pop() {
            let (x, y) = (at % w, at / w);
            for ny in y.saturating_sub(1)..=(y + 1).min(h - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(w - 1) {
                    let next = ny * w + nx;
                    if is_foreground[next] && labels[next] == 0 {
                        labels[next] = count;
                        open.push(next);
                    }
                }
            }
        }
    }
    (labels, count)
}

/// Places a digit in 28x28 pixels with its centre of mass in the centre, or as near as its edges allow.
fn centre(digit: &Plane) -> [u8; PIXELS] {
    let (mut sum, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in digit.enumerate_pixels() {
        sum += pixel[0];
        sum_x += pixel[0] * x as f32;
        sum_y += pixel[0] * y as f32;
    }
    let middle = IMAGE_SIDE as f32 / 2.0;
    let offset = |moment: f32, side: u32| {
        (middle - moment / sum.max(f32::MIN_POSITIVE)).round().clamp(0.0, (IMAGE_SIDE as u32 - side) as f32) as usize
    };
    let (left, top) = (offset(sum_x, digit.width()), offset(sum_y, digit.height()));
    let mut field = [0; PIXELS];
    for (x, y, pixel) in digit.enumerate_pixels() {
        field[(top + y as usize) * IMAGE_SIDE + left + x as usize] = (pixel[0].clamp(0.0, 1.0) * 255.0).round() as u8;
    }
    field
}
