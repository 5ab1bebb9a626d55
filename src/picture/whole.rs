//! A whole picture in 28x28 pixels, without cutting anything out of it.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "brightness is between 0 and 1")]

use image::DynamicImage;

use super::{
    IMAGE_SIDE, PIXELS,
    foreground::MIN_CONTRAST,
    plane::{Plane, brightness, median},
    resize::resize,
};

/// The picture's brightness, fitted into 28x28 pixels with its aspect kept; what is left at two sides has the median shade
/// of its edges. A picture of 28x28 grey pixels stays as it is.
pub(super) fn whole(picture: &DynamicImage) -> [u8; PIXELS] {
    let plane = opaque(picture);
    let longer = plane.bounds().longer();
    let fitted = |length: usize| ((length * IMAGE_SIDE + longer / 2) / longer).clamp(1, IMAGE_SIDE);
    let (width, height) = (fitted(plane.width), fitted(plane.height));
    let fits = (plane.width, plane.height) == (width, height);
    let plane = if fits { plane } else { resize(&plane, width, height) };
    let mut image = [if fits && width == height { 0 } else { byte(edge_shade(&plane)) }; PIXELS];
    let (left, top) = ((IMAGE_SIDE - width) / 2, (IMAGE_SIDE - height) / 2);
    for (row, line) in plane.rows().zip(image.chunks_exact_mut(IMAGE_SIDE).skip(top)) {
        for (value, pixel) in row.iter().zip(&mut line[left..]) {
            *pixel = byte(*value);
        }
    }
    image
}

/// The picture's brightness. What is transparent counts as white or, if all the rest is white as well, as black.
fn opaque(picture: &DynamicImage) -> Plane {
    let on_white = brightness(picture, 1.0);
    let darkest = on_white.values.iter().copied().fold(1.0, f32::min);
    if picture.color().has_alpha() && on_white.max() - darkest < MIN_CONTRAST {
        return brightness(picture, 0.0);
    }
    on_white
}

fn edge_shade(plane: &Plane) -> f32 {
    let (width, height) = (plane.width, plane.height);
    let at_edge = |i: &usize| {
        let (row, column) = (i / width, i % width);
        row == 0 || column == 0 || row + 1 == height || column + 1 == width
    };
    let mut values: Vec<f32> = (0..plane.values.len()).filter(at_edge).map(|i| plane.values[i]).collect();
    median(&mut values)
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage, Luma, LumaA};

    use super::*;

    #[test]
    fn an_image_stays_as_it_is() {
        let image = GrayImage::from_fn(28, 28, |x, y| Luma([(x * 9 + y * 31) as u8]));
        let expected = image.clone().into_raw();
        assert_eq!(whole(&image.clone().into())[..], expected);
        assert_eq!(whole(&DynamicImage::from(image).to_rgba8().into())[..], expected);
    }

    #[test]
    fn the_aspect_is_kept_on_a_ground_of_the_edges_shade() {
        let image =
            GrayImage::from_fn(200, 100, |x, y| Luma([if x < 100 && (20..80).contains(&y) { 250 } else { 90 }]));
        let whole = whole(&image.into());
        let at = |x: usize, y: usize| whole[y * IMAGE_SIDE + x];
        assert_eq!([at(0, 0), at(14, 3), at(27, 27), at(24, 14)], [90; 4]);
        assert_eq!(at(5, 14), 250);
        // A white drawing on nothing is seen on black.
        let drawn = image::GrayAlphaImage::from_fn(28, 28, |x, _| LumaA([255, if x < 5 { 255 } else { 0 }]));
        let drawn = super::whole(&drawn.into());
        assert_eq!([drawn[0], drawn[20]], [255, 0]);
    }
}
