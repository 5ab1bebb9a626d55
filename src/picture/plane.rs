//! Grey pictures as numbers from 0 to 1.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are bounded, brightness is between 0 and 1"
)]

use image::{
    DynamicImage, ImageBuffer, Luma,
    imageops::{FilterType, resize},
};

/// A grey picture with values from 0 to 1: brightness, or how much a pixel belongs to the foreground.
pub(super) type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

/// Larger pictures are first reduced to this longer side, in pixels: finer detail is noise here.
const WORKING_SIDE: u32 = 400;

/// The brightness of a picture, 0 to 1, where `background` shows through transparent pixels.
pub(super) fn brightness(picture: &DynamicImage, background: f32) -> Plane {
    let picture = picture.to_luma_alpha32f();
    Plane::from_fn(picture.width(), picture.height(), |x, y| {
        // A floating-point picture may hold any value.
        let [luma, alpha] = picture.get_pixel(x, y).0.map(|v| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) });
        Luma([luma * alpha + background * (1.0 - alpha)])
    })
}

pub(super) fn shrink(plane: &Plane) -> Plane {
    let longer = plane.width().max(plane.height());
    if longer <= WORKING_SIDE {
        return plane.clone();
    }
    let side = |side: u32| (u64::from(side) * u64::from(WORKING_SIDE) / u64::from(longer)).max(1) as u32;
    resize(plane, side(plane.width()), side(plane.height()), FilterType::Triangle)
}

pub(super) fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f32::total_cmp).1 }
}
