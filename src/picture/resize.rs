//! Resizing by a triangle filter: linear interpolation, widened to the size of an output pixel when reducing.
//!
//! The `image` crate's filter of that name gives the same; this one runs over whole rows, which is several times faster,
//! and a picture is resized a hundred times while it is read.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides are bounded")]

use super::plane::Plane;

/// The input pixels that make an output pixel: the first, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

pub(super) fn resize(plane: &Plane, width: usize, height: usize) -> Plane {
    // The order that leaves less to do. Whole rows are added, which the compiler vectorizes; columns become rows for it.
    if height <= plane.height {
        transposed(&with_rows(&transposed(&with_rows(plane, height)), width))
    } else {
        with_rows(&transposed(&with_rows(&transposed(plane), width)), height)
    }
}

/// Changes the number of rows.
fn with_rows(plane: &Plane, height: usize) -> Plane {
    let mut resized = RowResizer::new(plane.width, plane.height, height);
    plane.rows().for_each(|row| resized.push(row));
    resized.finish()
}

/// Changes the number of columns, to fewer.
pub(super) fn with_fewer_columns(plane: &Plane, width: usize) -> Plane {
    transposed(&with_rows(&transposed(plane), width))
}

/// Changes the number of rows of a plane that need not be in memory: its rows are given one after the other.
pub(super) struct RowResizer {
    resized: Plane,
    taps: Vec<Taps>,
    /// How many rows were given.
    given: usize,
    /// The first resized row that is not complete.
    open: usize,
}

impl RowResizer {
    pub fn new(width: usize, from_height: usize, height: usize) -> Self {
        let resized = Plane { width, height, values: vec![0.0; width * height] };
        Self { resized, taps: taps(from_height, height), given: 0, open: 0 }
    }

    pub fn push(&mut self, row: &[f32]) {
        let (width, given) = (self.resized.width, self.given);
        let lines = self.resized.values.chunks_exact_mut(width).zip(&self.taps).skip(self.open);
        for (line, taps) in lines.take_while(|(_, taps)| taps.first <= given) {
            // A row that is complete may be followed by one that is not, and the other way round.
            if let Some(weight) = taps.weights.get(given - taps.first) {
                for (out, value) in line.iter_mut().zip(row) {
                    *out += weight * value;
                }
            }
        }
        self.given += 1;
        let complete = |taps: &Taps| taps.first + taps.weights.len() <= self.given;
        self.open += self.taps[self.open..].iter().take_while(|taps| complete(taps)).count();
    }

    pub fn finish(self) -> Plane {
        self.resized
    }
}

fn transposed(plane: &Plane) -> Plane {
    let mut values = vec![0.0; plane.values.len()];
    for (y, row) in plane.rows().enumerate() {
        for (out, value) in values[y..].iter_mut().step_by(plane.height).zip(row) {
            *out = *value;
        }
    }
    Plane { width: plane.height, height: plane.width, values }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let ratio = from as f32 / to as f32;
    let reach = ratio.max(1.0);
    let taps = |i: usize| {
        let centre = (i as f32 + 0.5) * ratio;
        let first = ((centre - reach).floor().max(0.0) as usize).min(from - 1);
        let end = ((centre + reach).ceil() as usize).clamp(first + 1, from);
        let weight = |k: usize| (1.0 - ((k as f32 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f32 = (first..end).map(weight).sum();
        Taps { first, weights: (first..end).map(|k| weight(k) / sum).collect() }
    };
    (0..to).map(taps).collect()
}

#[cfg(test)]
mod tests {
    use image::{
        ImageBuffer, Luma,
        imageops::{self, FilterType},
    };

    use super::*;

    #[test]
    fn planes_are_resized_as_the_image_crate_does() {
        for ((from_width, from_height), (width, height)) in
            [((40, 30), (20, 15)), ((7, 50), (3, 20)), ((5, 4), (23, 17)), ((9, 9), (9, 9)), ((30, 3), (10, 6))]
        {
            let values: Vec<f32> = (0..from_width * from_height).map(|i| (i * 37 % 101) as f32 / 100.0).collect();
            let image: ImageBuffer<Luma<f32>, _> =
                ImageBuffer::from_raw(from_width as u32, from_height as u32, values.clone()).unwrap();
            let expected = imageops::resize(&image, width as u32, height as u32, FilterType::Triangle).into_raw();
            let resized = resize(&Plane { width: from_width, height: from_height, values }, width, height);
            assert!(resized.values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }
}
