//! Connected components.

use super::plane::Plane;

/// Pixels with at least this much foreground, out of 1, belong to a connected component.
const FOREGROUND_THRESHOLD: f32 = 0.3;

/// Labels the connected components of the foreground from 1 (0 is background): each pixel's label, and how many there
/// are.
pub(super) fn components(foreground: &Plane) -> (Vec<usize>, usize) {
    let (w, h) = (foreground.width() as usize, foreground.height() as usize);
    let is_foreground: Vec<bool> = foreground.pixels().map(|p| p[0] >= FOREGROUND_THRESHOLD).collect();
    let (mut labels, mut count) = (vec![0; w * h], 0);
    let mut open = Vec::new();
    for start in 0..w * h {
        if !is_foreground[start] || labels[start] > 0 {
            continue;
        }
        count += 1;
        labels[start] = count;
        open.push(start);
        while let Some(at) = open.pop() {
            let (x, y) = (at % w, at / w);
            for ny in y.saturating_sub(1)..=(y + 1).min(h - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(w - 1) {
                    let next = ny * w + nx;
                    if is_foreground[next] && labels[next] == 0 {
                        labels[next] = count;
                        open.push(next);
                    }
                }
            }
        }
    }
    (labels, count)
}
