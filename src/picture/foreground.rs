//! How much each pixel belongs to the foreground, in several ways: no single one is right in every light and on every
//! sheet.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are between 0 and 1")]

use super::{
    filters::{closing, local_median},
    plane::{Plane, median},
    resize::resize,
};

/// The foreground must differ from the background by this fraction of the full range.
const MIN_CONTRAST: f32 = 0.06;
/// The background is estimated on a copy with this longer side, in pixels.
const BACKGROUND_SIDE: usize = 100;
/// Half the side of the local median's window, in pixels of that copy.
const MEDIAN_RADIUS: usize = 20;
/// Strokes narrower than this fraction of the longer side are closed.
const CLOSING: f32 = 1.0 / 6.0;
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
    let small = brightness.shrunk(BACKGROUND_SIDE);
    let enlarged = |plane: &Plane| resize(plane, brightness.width, brightness.height);

    let mut planes = Vec::new();
    let small_median = local_median(&small, MEDIAN_RADIUS);
    let mut deviations = small.zip_map(&small_median, |value, background| (value - background).abs()).values;
    let floor = 3.0 * median(&mut deviations);
    let difference = brightness.zip_map(&enlarged(&small_median), |value, background| value - background);
    for polarity in Polarity::BOTH {
        if let Some(plane) = above_floor(&difference, polarity, 0.0, floor) {
            planes.push(plane.stretched(0.45));
            planes.push(plane);
        }
    }
    let radius = (small.width.max(small.height) as f32 * CLOSING / 2.0).round() as usize;
    for polarity in Polarity::BOTH {
        // A closing fills what is dark.
        let upright = |value: f32| if polarity == Polarity::DarkOnLight { value } else { 1.0 - value };
        let background = enlarged(&closing(&small.map(upright), radius));
        let relative = brightness.zip_map(&background, |value, background| {
            ((background - upright(value)) / background.max(MIN_BACKGROUND)).max(0.0)
        });
        planes.extend(above_otsu(&relative));
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

/// What is above Otsu's threshold, with a soft edge; `None` if nothing stands out.
fn above_otsu(plane: &Plane) -> Option<Plane> {
    let strongest = plane.max();
    if strongest < MIN_CONTRAST {
        return None;
    }
    let threshold = otsu(plane, strongest);
    Some(plane.map(|value| (value / threshold - 0.5).clamp(0.0, 1.0)))
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
        } else if variance == best {
            // Between two clusters all thresholds are equally good: the middle is taken.
            best_bins.1 = bin;
        }
    }
    ((best_bins.0 + best_bins.1) as f32 / 2.0 + 1.0) / scale
}
