//! How much each pixel belongs to the foreground.

use image::Luma;

use super::plane::{Plane, median};

/// The foreground must differ from the background by this fraction of the full range.
const MIN_CONTRAST: f32 = 0.06;

/// How much each pixel differs from the background, 0 to 1; `None` if nothing does. The background's shade is the median
/// of the border. The foreground is what is darker, or what is lighter, whichever differs more in total.
pub(super) fn foreground(plane: &Plane) -> Option<Plane> {
    let (w, h) = plane.dimensions();
    let mut border: Vec<f32> = plane
        .enumerate_pixels()
        .filter(|(x, y, _)| *x == 0 || *y == 0 || *x + 1 == w || *y + 1 == h)
        .map(|(.., pixel)| pixel[0])
        .collect();
    let background = median(&mut border);
    let mut noise: Vec<f32> = border.iter().map(|value| (value - background).abs()).collect();
    // Grain and shadows stay below three times the median deviation.
    let floor = 3.0 * median(&mut noise);

    let [darker, lighter] = [-1.0, 1.0].map(|sign: f32| {
        plane.pixels().map(|p| ((p[0] - background) * sign - floor).max(0.0)).map(f64::from).map(|v| v * v).sum::<f64>()
    });
    let sign = if darker >= lighter { -1.0 } else { 1.0 };
    let strongest = plane.pixels().map(|p| (p[0] - background) * sign).fold(0.0, f32::max);
    if strongest - floor < MIN_CONTRAST {
        return None;
    }
    let scale = 1.0 / (strongest - floor);
    Some(Plane::from_fn(w, h, |x, y| {
        Luma([(((plane.get_pixel(x, y)[0] - background) * sign - floor) * scale).max(0.0)])
    }))
}
