//! Resizing by a triangle filter: linear interpolation, widened to the size of an output pixel when reducing.
//!
//! The `image` crate's filter of that name gives the same; this one runs over whole rows, which is several times faster,
//! and a picture is resized a hundred times while it is read.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides are bounded")]

use super::plane::{Bounds, Plane};

/// The input pixels that make an output pixel: the first, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Resizes a part of a plane.
pub(super) fn resize(plane: &Plane, part: Bounds, width: usize, height: usize) -> Plane {
    let rows: Vec<&[f32]> = (0..part.height).map(|y| plane.row_within(part, y)).collect();
    // The order that leaves less to do.
    if height <= part.height {
        let values = down(&rows, part.width, height);
        let rows: Vec<&[f32]> = values.chunks_exact(part.width).collect();
        Plane { width, height, values: across(&rows, width) }
    } else {
        let values = across(&rows, width);
        let rows: Vec<&[f32]> = values.chunks_exact(width).collect();
        Plane { width, height, values: down(&rows, width, height) }
    }
}

/// Changes the number of rows.
fn down(rows: &[&[f32]], width: usize, height: usize) -> Vec<f32> {
    let mut values = vec![0.0; width * height];
    for (line, taps) in values.chunks_exact_mut(width).zip(taps(rows.len(), height)) {
        for (row, weight) in rows[taps.first..].iter().zip(taps.weights) {
            for (out, value) in line.iter_mut().zip(*row) {
                *out += weight * value;
            }
        }
    }
    values
}

/// Changes the length of the rows.
fn across(rows: &[&[f32]], width: usize) -> Vec<f32> {
    let Some(row) = rows.first() else { return Vec::new() };
    let taps = taps(row.len(), width);
    let dot = |row: &[f32], taps: &Taps| row[taps.first..].iter().zip(&taps.weights).map(|(v, w)| v * w).sum();
    rows.iter().flat_map(|row| taps.iter().map(|taps| dot(row, taps))).collect()
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
