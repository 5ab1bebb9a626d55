//! Small images inside the page, as PNG.

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, Rgb, RgbImage, codecs::png::PngEncoder};

use crate::{Error, Result};

/// How values become colours.
#[derive(Debug, Clone, Copy)]
pub(super) enum Palette {
    /// From white (0) to black (the largest value).
    Grey,
    /// From blue (negative) through white (0) to red (positive), scaled by the largest absolute value.
    Signed,
}

/// Draws square tiles into one image, with gaps between them, and returns it as a `data:` URL. All tiles share one
/// scale.
pub(super) fn sprite(tiles: &[f32], side: usize, columns: usize, palette: Palette) -> Result<String> {
    const GAP: usize = 1;
    let count = tiles.len() / (side * side);
    let step = side + GAP;
    let (width, height) = (columns.min(count) * step - GAP, count.div_ceil(columns) * step - GAP);
    let scale = tiles.iter().fold(1e-12_f32, |scale, v| scale.max(v.abs()));
    #[expect(clippy::cast_possible_truncation, reason = "a few hundred")]
    let mut image = RgbImage::from_pixel(width as u32, height as u32, Rgb([128; 3]));
    for (tile, values) in tiles.chunks_exact(side * side).enumerate() {
        for (pixel, value) in values.iter().enumerate() {
            let x = tile % columns * step + pixel % side;
            let y = tile / columns * step + pixel / side;
            #[expect(clippy::cast_possible_truncation, reason = "a few hundred")]
            image.put_pixel(x as u32, y as u32, colour(value / scale, palette));
        }
    }
    png_url(&image.into())
}

/// An image as a `data:` URL of a PNG file.
pub(super) fn png_url(image: &DynamicImage) -> Result<String> {
    let mut png = Vec::new();
    image
        .write_with_encoder(PngEncoder::new(&mut png))
        .map_err(|e| Error::Page(format!("an image cannot be encoded: {e}")))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

fn colour(value: f32, palette: Palette) -> Rgb<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let faded = |strength: f32| (255.0 * (1.0 - strength.clamp(0.0, 1.0))) as u8;
    match palette {
        Palette::Grey => Rgb([faded(value); 3]),
        Palette::Signed if value < 0.0 => Rgb([faded(-value), faded(-value * 0.6), 255]),
        Palette::Signed => Rgb([255, faded(value * 0.75), faded(value)]),
    }
}
