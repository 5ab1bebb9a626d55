//! Local maxima, minima and medians: what the background would be without the strokes on it.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are between 0 and 1")]

use super::plane::Plane;

/// Levels of grey that the local median tells apart.
const LEVELS: usize = 256;
/// Levels that are skipped at once when looking for the median.
const COARSE: usize = 16;

/// Grey closing with a square: the maximum over it, then the minimum. Dark strokes that are narrower than the square
/// disappear.
///
/// Source: Serra, Image Analysis and Mathematical Morphology (1982), chapter XII. Both are separable.
pub(super) fn closing(plane: &Plane, radius: usize) -> Plane {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let smaller = |a: f32, b: f32| if a < b { a } else { b };
    extreme(&extreme(plane, radius, larger), radius, smaller)
}

/// Grey dilation with a square.
pub(super) fn dilation(plane: &Plane, radius: usize) -> Plane {
    extreme(plane, radius, |a, b| if a > b { a } else { b })
}

fn extreme(plane: &Plane, radius: usize, pick: impl Fn(f32, f32) -> f32) -> Plane {
    let (w, h) = (plane.width, plane.height);
    let mut values = plane.values.clone();
    let mut wide = vec![0.0; w + 2 * radius];
    for row in values.chunks_exact_mut(w) {
        wide[..radius].fill(row[0]);
        wide[radius..radius + w].copy_from_slice(row);
        wide[radius + w..].fill(row[w - 1]);
        let mut span = 1;
        // Windows of twice the length are two windows, one behind the other.
        while span * 2 <= 2 * radius + 1 {
            for i in 0..wide.len() - span {
                wide[i] = pick(wide[i], wide[i + span]);
            }
            span *= 2;
        }
        let rest = 2 * radius + 1 - span;
        for (i, out) in row.iter_mut().enumerate() {
            *out = pick(wide[i], wide[i + rest]);
        }
    }
    let rows: Vec<&[f32]> = values.chunks_exact(w).collect();
    let mut out = Vec::with_capacity(w * h);
    for y in 0..h {
        let (first, last) = (y.saturating_sub(radius), (y + radius).min(h - 1));
        let start = out.len();
        out.extend_from_slice(rows[first]);
        for row in &rows[first + 1..=last] {
            for (out, value) in out[start..].iter_mut().zip(*row) {
                *out = pick(*out, *value);
            }
        }
    }
    Plane { values: out, ..*plane }
}

/// The median over a square around each pixel, as far as it lies in the plane; in 256 levels.
///
/// Source: a histogram for each column, and one for the window that adds and drops whole columns: Perreault and Hébert,
/// "Median filtering in constant time", IEEE Transactions on Image Processing 16 (2007), section III.
pub(super) fn local_median(plane: &Plane, radius: usize) -> Plane {
    type Histogram = [u16; LEVELS];
    let add = |to: &mut Histogram, from: &Histogram| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
    let drop = |to: &mut Histogram, from: &Histogram| to.iter_mut().zip(from).for_each(|(a, b)| *a -= b);

    let (w, h) = (plane.width, plane.height);
    let levels: Vec<u8> = plane.values.iter().map(|v| (v.clamp(0.0, 1.0) * (LEVELS - 1) as f32) as u8).collect();
    let rows: Vec<&[u8]> = levels.chunks_exact(w).collect();
    let mut columns = vec![[0; LEVELS]; w];
    for row in &rows[..radius.min(h)] {
        for (column, level) in columns.iter_mut().zip(*row) {
            column[usize::from(*level)] += 1;
        }
    }
    let mut values = Vec::with_capacity(w * h);
    for y in 0..h {
        if let Some(row) = rows.get(y + radius) {
            columns.iter_mut().zip(*row).for_each(|(column, level)| column[usize::from(*level)] += 1);
        }
        if let Some(row) = y.checked_sub(radius + 1).map(|y| rows[y]) {
            columns.iter_mut().zip(row).for_each(|(column, level)| column[usize::from(*level)] -= 1);
        }
        let window_rows = (y + radius).min(h - 1) + 1 - y.saturating_sub(radius);
        let mut window: Histogram = [0; LEVELS];
        columns[..radius.min(w)].iter().for_each(|column| add(&mut window, column));
        for x in 0..w {
            if let Some(column) = columns.get(x + radius) {
                add(&mut window, column);
            }
            if let Some(column) = x.checked_sub(radius + 1) {
                drop(&mut window, &columns[column]);
            }
            let window_columns = (x + radius).min(w - 1) + 1 - x.saturating_sub(radius);
            values.push(median_level(&window, window_rows * window_columns / 2) as f32 / (LEVELS - 1) as f32);
        }
    }
    Plane { values, ..*plane }
}

/// The level of the value that `rank` others precede.
fn median_level(histogram: &[u16; LEVELS], rank: usize) -> usize {
    let mut before = 0;
    for (coarse, counts) in histogram.as_chunks::<COARSE>().0.iter().enumerate() {
        let count = usize::from(counts.iter().sum::<u16>());
        if before + count > rank {
            for (level, count) in counts.iter().enumerate() {
                before += usize::from(*count);
                if before > rank {
                    return coarse * COARSE + level;
                }
            }
        }
        before += count;
    }
    LEVELS - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plane of all kinds of values, taller than wide or wider than tall.
    fn noise(width: usize, height: usize) -> Plane {
        let values = (0..width * height).map(|i| (i * 7919 % 251) as f32 / 250.0).collect();
        Plane { width, height, values }
    }

    fn by_definition(plane: &Plane, radius: usize, pick: impl Fn(Vec<f32>) -> f32) -> Plane {
        let (w, h) = (plane.width, plane.height);
        let around = |at: usize, side: usize| at.saturating_sub(radius)..=(at + radius).min(side - 1);
        let square = |x, y| around(y, h).flat_map(|y| around(x, w).map(move |x| plane.values[y * w + x])).collect();
        let values = (0..w * h).map(|i| pick(square(i % w, i / w))).collect();
        Plane { width: w, height: h, values }
    }

    #[test]
    fn filters_are_what_their_definitions_say() {
        for (width, height, radius) in [(1, 1, 3), (17, 5, 2), (9, 23, 4), (30, 30, 1), (12, 8, 20), (6, 6, 0)] {
            let plane = noise(width, height);
            let maximum = |values: Vec<f32>| values.into_iter().fold(0.0, f32::max);
            let minimum = |values: Vec<f32>| values.into_iter().fold(1.0, f32::min);
            let dilated = by_definition(&plane, radius, maximum);
            assert_eq!(dilation(&plane, radius), dilated);
            assert_eq!(closing(&plane, radius), by_definition(&dilated, radius, minimum));
            let medians = by_definition(&plane, radius, |mut values| crate::picture::plane::median(&mut values));
            let worst = local_median(&plane, radius).zip_map(&medians, |a, b| (a - b).abs()).max();
            assert!(worst <= 1.0 / 255.0, "{width} x {height}, {radius}: {worst}");
        }
    }
}
