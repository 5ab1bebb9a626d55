//! From the foreground to an image in MNIST's format.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>: the digit is fitted into 20x20 pixels, keeping its aspect ratio, with
//! anti-aliasing; then its centre of mass is moved to the centre of 28x28 pixels.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are bounded, brightness is between 0 and 1"
)]

use super::{
    IMAGE_SIDE, PIXELS,
    components::FOREGROUND_THRESHOLD,
    filters::dilation,
    plane::{Bounds, Plane},
    resize::resize,
};

/// The longer side of a digit in MNIST, in pixels.
const DIGIT_SIDE: usize = 20;
/// Strokes thinner than this, in pixels of a digit of 20, grow pale in MNIST's format: there they are two to three wide.
const STROKE: f32 = 2.0;
/// Strokes are measured and thickened on this many times MNIST's size.
const FINE: usize = 4;

/// A foreground that is in MNIST's format already, as MNIST's own images are: it would lose a little if it were framed
/// again.
pub(super) fn framed_already(foreground: &Plane) -> Option<[u8; PIXELS]> {
    let mut image = [0; PIXELS];
    if (foreground.width, foreground.height) != (IMAGE_SIDE, IMAGE_SIDE) {
        return None;
    }
    let all = (0..PIXELS).filter(|i| foreground.values[*i] > 0.0);
    let pixels = all.map(|i| Bounds { left: i % IMAGE_SIDE, top: i / IMAGE_SIDE, width: 1, height: 1 });
    let fits = pixels.reduce(Bounds::union).is_some_and(|bounds| bounds.longer() == DIGIT_SIDE);
    let (x, y) = centre_of_mass(foreground);
    let is_centred = [x, y].iter().all(|at| (at - IMAGE_SIDE as f32 / 2.0).abs() <= 0.5);
    for (pixel, value) in image.iter_mut().zip(&foreground.values) {
        *pixel = (value * 255.0).round() as u8;
    }
    (fits && is_centred).then_some(image)
}

/// A digit, cut out, in MNIST's format.
pub(super) fn frame(digit: &Plane) -> [u8; PIXELS] {
    let mut fitted = fit(digit, DIGIT_SIDE);
    // Resizing makes thin strokes paler, but MNIST's digits reach 255.
    let strongest = fitted.max().max(f32::MIN_POSITIVE);
    fitted.values.iter_mut().for_each(|value| *value /= strongest);
    centre(&fitted)
}

/// The same with strokes of two pixels; `None` where they are as wide already.
pub(super) fn frame_thickened(digit: &Plane) -> Option<[u8; PIXELS]> {
    let fine = fit(digit, DIGIT_SIDE * FINE);
    let strongest = fine.max().max(f32::MIN_POSITIVE);
    let missing = STROKE * FINE as f32 - stroke_width(&fine, FOREGROUND_THRESHOLD * strongest);
    let radius = (missing / 2.0).round();
    if radius < 1.0 {
        return None;
    }
    let radius = radius as usize;
    let mut wide = Plane { width: fine.width + 2 * radius, height: fine.height + 2 * radius, values: Vec::new() };
    wide.values = vec![0.0; wide.width * wide.height];
    for (y, row) in fine.rows().enumerate() {
        let start = (y + radius) * wide.width + radius;
        for (out, value) in wide.values[start..start + fine.width].iter_mut().zip(row) {
            *out = value / strongest;
        }
    }
    Some(frame(&dilation(&wide, radius)))
}

/// The mean width of strokes, in pixels: twice the area over the perimeter.
fn stroke_width(plane: &Plane, threshold: f32) -> f32 {
    let is_stroke = |value: &f32| *value >= threshold;
    let (mut area, mut edges) = (0_u32, 0_u32);
    let mut above: &[f32] = &[];
    for row in plane.rows() {
        area += row.iter().filter(|v| is_stroke(v)).count() as u32;
        edges += row.windows(2).filter(|pair| is_stroke(&pair[0]) != is_stroke(&pair[1])).count() as u32;
        edges += row.first().into_iter().chain(row.last()).filter(|v| is_stroke(v)).count() as u32;
        edges += if above.is_empty() {
            row.iter().filter(|v| is_stroke(v)).count() as u32
        } else {
            row.iter().zip(above).filter(|(a, b)| is_stroke(a) != is_stroke(b)).count() as u32
        };
        above = row;
    }
    edges += above.iter().filter(|v| is_stroke(v)).count() as u32;
    // A staircase of pixels is 4/π times as long as the line that it follows, on average over all directions.
    2.0 * area as f32 / (edges as f32 * std::f32::consts::FRAC_PI_4).max(1.0)
}

/// Resizes to a longer side of `side` pixels.
fn fit(plane: &Plane, side: usize) -> Plane {
    let longer = plane.bounds().longer();
    let fitted = |length: usize| ((length * side + longer / 2) / longer).clamp(1, side);
    resize(plane, fitted(plane.width), fitted(plane.height))
}

/// Places a digit in 28x28 pixels with its centre of mass in the centre, or as near as its edges allow.
fn centre(digit: &Plane) -> [u8; PIXELS] {
    let middle = IMAGE_SIDE as f32 / 2.0;
    let offset = |centre: f32, side: usize| (middle - centre).round().clamp(0.0, (IMAGE_SIDE - side) as f32) as usize;
    let (x, y) = centre_of_mass(digit);
    let (left, top) = (offset(x, digit.width), offset(y, digit.height));
    let mut field = [0; PIXELS];
    for (row, line) in digit.rows().zip(field.chunks_exact_mut(IMAGE_SIDE).skip(top)) {
        for (value, pixel) in row.iter().zip(&mut line[left..]) {
            *pixel = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
    field
}

/// In pixels from the left and from the top.
fn centre_of_mass(plane: &Plane) -> (f32, f32) {
    let (mut sum, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (y, row) in plane.rows().enumerate() {
        for (x, value) in row.iter().enumerate() {
            sum += value;
            sum_x += value * x as f32;
            sum_y += value * y as f32;
        }
    }
    let sum = sum.max(f32::MIN_POSITIVE);
    (sum_x / sum, sum_y / sum)
}
