//! How much each pixel belongs to the foreground, in several ways: no single one is right in every light and on every
//! sheet.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are between 0 and 1")]

use std::ops::RangeInclusive;

use super::{
    filters::{closing, local_median},
    plane::{Plane, median},
    resize::resize,
};

/// The foreground must differ from the background by this fraction of the full range.
pub(super) const MIN_CONTRAST: f32 = 0.06;
/// The background is smooth: it is estimated on a copy of a quarter of the size, with a longer side between these, in
/// pixels.
const BACKGROUND_SIDE: RangeInclusive<usize> = 50..=100;
/// Half the side of the local median's window, as a fraction of the longer side: no stroke fills half of the window.
const MEDIAN_RADIUS: f32 = 0.2;
/// Half the side of the closing's square, likewise: it closes strokes that are narrower than a sixth of the longer side.
const CLOSING_RADIUS: f32 = 1.0 / 12.0;
/// A background is taken to be at least this bright, so that noise in the dark is not amplified.
const MIN_BACKGROUND: f32 = 0.1;
/// Bins of Otsu's histogram.
const BINS: usize = 256;

/// Which of the two is the foreground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polarity {
    DarkOnLight,
    LightOnDark,
}

impl Polarity {
    const BOTH: [Self; 2] = [Self::DarkOnLight, Self::LightOnDark];

    fn sign(self) -> f32 {
        match self {
            Self::DarkOnLight => -1.0,
            Self::LightOnDark => 1.0,
        }
    }
}

/// All ways but [`by_border`], on a plane of brightness.
pub(super) fn by_local_background(brightness: &Plane) -> Vec<Plane> {
    let quarter = brightness.bounds().longer() / 4;
    let small = brightness.shrunk(quarter.clamp(*BACKGROUND_SIDE.start(), *BACKGROUND_SIDE.end()));
    let radius = |fraction: f32| (small.bounds().longer() as f32 * fraction).round() as usize;
    let enlarged = |plane: &Plane| resize(plane, brightness.width, brightness.height);

    let mut planes = Vec::new();
    let local = local_median(&small, radius(MEDIAN_RADIUS));
    let mut deviations = small.zip_map(&local, |value, background| (value - background).abs()).values;
    let floor = 3.0 * median(&mut deviations);
    let difference = brightness.zip_map(&enlarged(&local), |value, background| value - background);
    for polarity in Polarity::BOTH {
        if let Some(plane) = above_floor(&difference, polarity, 0.0, floor) {
            planes.push(plane.stretched(0.45));
            planes.push(plane);
        }
    }
    for polarity in Polarity::BOTH {
        // A closing fills what is dark.
        let upright = |value: f32| if polarity == Polarity::DarkOnLight { value } else { 1.0 - value };
        let background = enlarged(&closing(&small.map(upright), radius(CLOSING_RADIUS)));
        let darker = brightness.zip_map(&background, |value, background| (background - upright(value)).max(0.0));
        if darker.max() >= MIN_CONTRAST {
            let relative = darker.zip_map(&background, |value, background| value / background.max(MIN_BACKGROUND));
            planes.push(above_otsu(&relative));
        }
    }
    planes
}

/// How much each pixel differs from the background, 0 to 1; `None` if nothing does. The background's shade is the median
/// of the border. The foreground is what is darker, or what is lighter, whichever differs more in total.
pub(super) fn by_border(brightness: &Plane) -> Option<Plane> {
    let (w, h) = (brightness.width, brightness.height);
    let mut border: Vec<f32> = brightness
        .rows()
        .enumerate()
        .flat_map(|(y, row)| row.iter().step_by(if y == 0 || y + 1 == h { 1 } else { (w - 1).max(1) }))
        .copied()
        .collect();
    let background = median(&mut border);
    let mut noise: Vec<f32> = border.iter().map(|value| (value - background).abs()).collect();
    // Grain and shadows stay below three times the median deviation.
    let floor = 3.0 * median(&mut noise);
    let mass = |polarity: Polarity| {
        brightness.sum(|value| {
            let above = ((value - background) * polarity.sign() - floor).max(0.0);
            above * above
        })
    };
    let polarity = if mass(Polarity::DarkOnLight) >= mass(Polarity::LightOnDark) {
        Polarity::DarkOnLight
    } else {
        Polarity::LightOnDark
    };
    above_floor(brightness, polarity, background, floor)
}

/// What differs from `background` by more than `floor`, stretched to 0 to 1; `None` if that is little.
fn above_floor(plane: &Plane, polarity: Polarity, background: f32, floor: f32) -> Option<Plane> {
    let sign = polarity.sign();
    let mut above = plane.map(|value| ((value - background) * sign - floor).max(0.0));
    let strongest = above.max();
    above.values.iter_mut().for_each(|value| *value /= strongest);
    (strongest >= MIN_CONTRAST).then_some(above)
}

/// What is above Otsu's threshold, with a soft edge.
fn above_otsu(plane: &Plane) -> Plane {
    let threshold = otsu(plane, plane.max());
    plane.map(|value| (value / threshold - 0.5).clamp(0.0, 1.0))
}

/// The threshold, 0 to `strongest`, that parts the values into two classes with the largest variance between them.
///
/// Source: Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
/// Cybernetics 9 (1979), equation 18.
pub(super) fn otsu(plane: &Plane, strongest: f32) -> f32 {
    let mut histogram = [0_u32; BINS];
    let scale = (BINS - 1) as f32 / strongest;
    // Of a large plane, some rows are enough.
    for row in plane.rows().step_by((plane.height / 100).max(1)) {
        for value in row {
            histogram[usize::from((value * scale) as u8)] += 1;
        }
    }
    let total = histogram.iter().sum::<u32>() as f32;
    let sum: f32 = histogram.iter().enumerate().map(|(bin, count)| bin as f32 * *count as f32).sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let (mut best, mut best_bins) = (0.0, (0, 0));
    for (bin, count) in histogram.iter().enumerate() {
        below += *count as f32;
        sum_below += bin as f32 * *count as f32;
        let above = total - below;
        if below == 0.0 || above <= 0.0 {
            continue;
        }
        let distance = sum_below / below - (sum - sum_below) / above;
        let variance = below * above * distance * distance;
        if variance > best {
            (best, best_bins) = (variance, (bin, bin));
        } else if variance >= best {
            // Equal: between two clusters all thresholds are equally good: the middle is taken.
            best_bins.1 = bin;
        }
    }
    ((best_bins.0 + best_bins.1) as f32 / 2.0 + 1.0) / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otsus_threshold_is_between_two_clusters() {
        let values: Vec<f32> = (0..100).map(|i| if i % 5 == 0 { 0.7 } else { 0.1 } + (i % 3) as f32 / 100.0).collect();
        let threshold = otsu(&Plane { width: 10, height: 10, values }, 0.8);
        assert!((0.12..0.7).contains(&threshold), "{threshold}");
    }

    /// A dark stroke, where the light falls to a third from left to right.
    #[test]
    fn uneven_light_is_background() {
        let light = |x: usize| 0.9 - 0.6 * x as f32 / 120.0;
        let stroke = |x: usize, y: usize| (55..61).contains(&x) && (20..100).contains(&y);
        let values = (0..120 * 120).map(|i| light(i % 120) * if stroke(i % 120, i / 120) { 0.4 } else { 1.0 });
        let brightness = Plane { width: 120, height: 120, values: values.collect() };
        let found = by_local_background(&brightness);
        let is_right = |plane: &Plane| (0..120 * 120).all(|i| (plane.values[i] > 0.5) == stroke(i % 120, i / 120));
        assert!(found.iter().any(is_right));
        assert!(by_border(&brightness).is_none_or(|plane| !is_right(&plane)));
    }
}
