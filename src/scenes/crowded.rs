//! Pictures of a digit with something beside or around it: taken together, the two are no digit.

use image::DynamicImage;
use rand::RngExt;

use super::{
    Digit, Random,
    ink::{self, Pen},
    marks::{boxed, ring, underline},
    scene::{Scene, between, pen},
};

/// A digit that is narrower than this, as a fraction of its height, is still a 1 with a line below it.
const NARROW: f32 = 0.45;

/// Draws a digit in a ring or a box, over a line, beside an upright line, or beside another digit.
#[must_use]
pub fn crowded(digit: &Digit, other: &Digit, random: &mut Random) -> DynamicImage {
    let size = between(random, 40.0, 100.0);
    let (pen, angle) = (pen(random), between(random, -0.1, 0.1));
    let strokes = ink::digit(digit, pen, angle, size);
    let mut scene = Scene::with_strokes(strokes, [(size * 3.5) as u32; 2], random);
    scene.keep_off([size * 1.1; 4]);
    let is_narrow = (scene.strokes.width() as f32) < NARROW * scene.strokes.height() as f32;
    match scene.random.random_range(0..6) {
        0 | 1 => {
            let ink = scene.write_dark();
            ring(&mut scene, ink);
        }
        2 => {
            let ink = scene.write_dark();
            boxed(&mut scene, ink);
        }
        3 if !is_narrow => underline(&mut scene),
        4 => upright_line(&mut scene),
        _ => neighbour(&mut scene, other, pen),
    }
    scene.exact()
}

/// Writes the strokes, and a line at one of their sides that is longer than they are.
fn upright_line(scene: &mut Scene) {
    let (ink, size) = (scene.write_dark(), scene.size());
    let ([left, top, right, bottom], gap) = (scene.bounds(), size * scene.between(0.08, 0.5));
    let x = if scene.random.random() { left - gap } else { right + gap };
    let [above, below] = [(); 2].map(|()| size * scene.between(0.1, 0.6));
    let (tilt, width) = (size * scene.between(-0.05, 0.05), (size * scene.between(0.02, 0.1)).max(1.2));
    scene.path(&[[x - tilt, top - above], [x + tilt, bottom + below]], width, ink);
}

/// Writes the strokes, and another digit to their right or below them.
fn neighbour(scene: &mut Scene, other: &Digit, pen: Pen) {
    let (ink, size) = (scene.write_dark(), scene.size());
    let (height, angle) = (size * scene.between(0.8, 1.1), scene.between(-0.1, 0.1));
    let shape = ink::digit(other, pen, angle, height);
    let ([left, top, right, bottom], gap) = (scene.bounds(), size * scene.between(0.02, 0.4));
    let at = if scene.random.random_bool(0.8) { [right + gap, top] } else { [left, bottom + gap] };
    scene.canvas.stamp(&shape, at.map(|v| v as u32), ink);
}
