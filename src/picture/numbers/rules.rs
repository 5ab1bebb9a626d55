//! Long straight lines: rules of the paper, and the sides of boxes.
//!
//! Source: thin pieces of foreground vote for the lines that they may belong to: Hough's transform, Duda and Hart, "Use of
//! the Hough transformation to detect lines and curves in pictures", Communications of the ACM 15 (1972).

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides are bounded")]

use super::super::{components::FOREGROUND_THRESHOLD, plane::Plane};

/// Lines are at most this thick, as a fraction of the picture's shorter side, ...
const MAX_THICKNESS: f32 = 0.035;
/// ... or in pixels, whichever is more.
const MIN_THICKNESS: f32 = 3.0;
/// Lines are at most this far from level, or upright: the tangent of the angle.
const MAX_SLOPE: f32 = 0.08;
/// Lines go through at least this fraction of the columns.
const MIN_LENGTH: f32 = 0.35;
/// Two lines are at least this far apart at both ends of the picture, in pixels: else they are one.
const MIN_DISTANCE: f32 = 4.0;
/// A line's foreground is at most this far from it, in pixels.
const REACH: f32 = 2.5;
/// There are at most so many lines in a direction.
const MAX_LINES: usize = 60;

/// A plane without its long lines; `None` if there are none.
pub(super) fn without_rules(plane: &Plane) -> Option<Plane> {
    let thickness = (plane.width.min(plane.height) as f32 * MAX_THICKNESS).max(MIN_THICKNESS);
    let level = without_level(plane, thickness);
    let upright =
        without_level(&transposed(level.as_ref().unwrap_or(plane)), thickness).map(|plane| transposed(&plane));
    upright.or(level)
}

fn transposed(plane: &Plane) -> Plane {
    let values = (0..plane.width).flat_map(|x| (0..plane.height).map(move |y| plane.values[y * plane.width + x]));
    Plane { width: plane.height, height: plane.width, values: values.collect() }
}

/// A nearly level line.
#[derive(Clone, Copy)]
struct Line {
    /// The tangent of its angle.
    slope: f32,
    /// Its row in the middle of the picture.
    row: usize,
}

/// A plane without its nearly level lines.
fn without_level(plane: &Plane, thickness: f32) -> Option<Plane> {
    let runs: Vec<Vec<[usize; 2]>> = (0..plane.width).map(|x| thin_runs(plane, x, thickness)).collect();
    let lines = distinct(votes(plane, &runs), plane.width);
    if lines.is_empty() {
        return None;
    }
    let mut clean = plane.clone();
    for line in lines {
        for (x, runs) in runs.iter().enumerate() {
            let expected = line.row as f32 + 0.5 + line.slope * (x as f32 - plane.width as f32 / 2.0);
            let is_near = |[top, end]: &&[usize; 2]| expected > *top as f32 - REACH && expected < *end as f32 + REACH;
            for [top, end] in runs.iter().filter(is_near) {
                // Its soft edges too.
                for y in top.saturating_sub(1)..(end + 1).min(plane.height) {
                    clean.values[y * plane.width + x] = 0.0;
                }
            }
        }
    }
    Some(clean)
}

/// The foreground's runs in a column that are no longer than this, from their top to before their end.
fn thin_runs(plane: &Plane, x: usize, thickness: f32) -> Vec<[usize; 2]> {
    let mut runs = Vec::new();
    let mut start = None;
    for y in 0..=plane.height {
        let is_foreground = y < plane.height && plane.values[y * plane.width + x] >= FOREGROUND_THRESHOLD;
        match start {
            None if is_foreground => start = Some(y),
            Some(top) if !is_foreground => {
                if (y - top) as f32 <= thickness {
                    runs.push([top, y]);
                }
                start = None;
            }
            _ => {}
        }
    }
    runs
}

/// The lines on which there are enough runs, those with the most first.
fn votes(plane: &Plane, runs: &[Vec<[usize; 2]>]) -> Vec<Line> {
    let (middle, height) = (plane.width as f32 / 2.0, plane.height);
    let thin: Vec<(f32, f32)> = runs
        .iter()
        .enumerate()
        .flat_map(|(x, runs)| runs.iter().map(move |[top, end]| (x as f32 - middle, (top + end) as f32 / 2.0)))
        .collect();
    // From one slope to the next, the ends of a line move by a pixel.
    let steps = ((MAX_SLOPE * middle).ceil() as i16).max(1);
    let mut lines: Vec<(u32, Line)> = Vec::new();
    for step in -steps..=steps {
        let slope = f32::from(step) / f32::from(steps) * MAX_SLOPE;
        let mut bins = vec![0_u32; height + 2];
        for row in thin.iter().map(|(x, y)| y - slope * x).filter(|row| (0.0..height as f32).contains(row)) {
            bins[row as usize + 1] += 1;
        }
        for (row, bins) in bins.windows(3).enumerate() {
            let count = bins.iter().sum();
            if f64::from(count) >= f64::from(MIN_LENGTH) * plane.width as f64 {
                lines.push((count, Line { slope, row }));
            }
        }
    }
    lines.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The lines without those that are too near to an earlier one.
fn distinct(lines: Vec<Line>, width: usize) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    for line in lines {
        let is_near = |other: &Line| {
            let apart = line.row.abs_diff(other.row) as f32;
            apart - ((line.slope - other.slope) * width as f32 / 2.0).abs() < MIN_DISTANCE
        };
        if found.len() < MAX_LINES && !found.iter().any(is_near) {
            found.push(line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_disappear_and_strokes_stay() {
        let (width, height) = (200, 120);
        let stroke = |x: usize, y: usize| (90..98).contains(&x) && (30..100).contains(&y);
        // A level line that falls a little, an upright one, and a stroke across the first.
        let line = |x: usize, y: usize| y.abs_diff(60 + x / 40) < 2 || x == 20;
        let values = (0..width * height)
            .map(|i| f32::from(u8::from(stroke(i % width, i / width) || line(i % width, i / width))));
        let plane = Plane { width, height, values: values.collect() };
        let clean = without_rules(&plane).unwrap();
        let left = |of: &dyn Fn(usize, usize) -> bool| {
            (0..width * height).filter(|i| of(i % width, i / width) && clean.values[*i] > 0.5).count()
        };
        assert_eq!(left(&|x, y| line(x, y) && !(85..103).contains(&x)), 0);
        assert_eq!(left(&stroke), 8 * 70);
        let only = Plane {
            values: (0..width * height).map(|i| f32::from(u8::from(stroke(i % width, i / width)))).collect(),
            ..plane
        };
        assert!(without_rules(&only).is_none());
    }
}
