//! Handwriting that MNIST hardly shows: the European 1 with its upstroke, the crossed 7, the hooked 9. A stroke is added
//! to an American one's.

use rand::{Rng, RngExt};

use super::{IMAGE_SIDE, PIXELS};
use crate::geometry::distance;

/// Pixels from this value on belong to a stroke.
const INK: u8 = 96;

/// A stroke to add to a digit: a quadratic Bézier curve, in fractions of the digit's height from the place where it begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Where it begins.
    start: Start,
    /// From the start to the control point and to the end: to the right and downwards.
    control: [f32; 2],
    end: [f32; 2],
    /// A second, level stroke through the digit's lowest point: its half length.
    foot: f32,
    /// Its width as a fraction of that of the digit's own strokes.
    width: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    Top,
    Bottom,
    /// Where the stroke crosses the row at this fraction of the height.
    Row(f32),
}

impl Style {
    /// A style for a digit; `None` for those that are written alike everywhere.
    pub fn draw(label: u8, random: &mut impl Rng) -> Option<Self> {
        let mut within = |low: f32, high: f32| random.random_range(low..high);
        let width = within(0.8, 1.1);
        match label {
            // From the top of the 1 downwards to the left.
            1 => {
                let (length, angle) = (within(0.25, 0.7), within(0.5, 1.2));
                let end = [-length * angle.cos(), length * angle.sin()];
                let bend = within(-0.08, 0.08);
                let control = [end[0] / 2.0 + bend, end[1] / 2.0 + bend];
                let foot = if within(0.0, 1.0) < 0.15 { within(0.15, 0.35) } else { 0.0 };
                Some(Self { start: Start::Top, control, end, foot, width })
            }
            // Across the stem of the 7, to both sides.
            7 => {
                let (half, slope) = (within(0.13, 0.28), within(-0.25, 0.15));
                let control = [-half, -half * slope];
                Some(Self {
                    start: Start::Row(within(0.42, 0.62)),
                    control,
                    end: [half, half * slope],
                    foot: 0.0,
                    width,
                })
            }
            // From the foot of the 9 on to the left, and up again.
            9 => {
                let (length, rise) = (within(0.2, 0.5), within(0.0, 0.2));
                let control = [-0.3 * length, within(0.05, 0.2)];
                Some(Self { start: Start::Bottom, control, end: [-length, -rise], foot: 0.0, width })
            }
            _ => None,
        }
    }

    /// The digit with the stroke, and how far that moved its centre of mass: to the right and downwards, in pixels.
    pub fn apply(&self, image: &[u8; PIXELS]) -> ([u8; PIXELS], [f32; 2]) {
        let mut styled = *image;
        let rows = image.as_chunks::<IMAGE_SIDE>().0;
        let inked = |row: &usize| rows[*row].iter().any(|pixel| *pixel >= INK);
        let (Some(top), Some(bottom)) = ((0..IMAGE_SIDE).find(inked), (0..IMAGE_SIDE).rfind(inked)) else {
            return (styled, [0.0; 2]);
        };
        let height = (bottom - top + 1) as f32;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a row")]
        let row = match self.start {
            Start::Top => top,
            Start::Bottom => bottom,
            Start::Row(at) => top + (at * (height - 1.0)).round() as usize,
        };
        // A stroke is measured where the digit is a single one: along the 1, in the row of the 7's bar, at the 9's foot.
        let ink = |row: usize| rows[row].iter().map(|pixel| f32::from(*pixel) / 255.0).sum::<f32>();
        let measured = match self.start {
            Start::Top => (top..=bottom).map(ink).sum::<f32>() / height,
            Start::Bottom => ink(row.saturating_sub(3).max(top)),
            Start::Row(_) => ink(row),
        };
        let radius = (self.width * measured / 2.0).clamp(0.5, 2.0);
        let column = |row: usize| {
            let weighted =
                rows[row].iter().enumerate().map(|(x, pixel)| x as f32 * f32::from(*pixel) / 255.0).sum::<f32>();
            weighted / ink(row).max(f32::MIN_POSITIVE)
        };
        let start = [column(row), row as f32];
        let at = |offset: [f32; 2]| [start[0] + offset[0] * height, start[1] + offset[1] * height];
        let curve = match self.start {
            // A bar has its start in the middle.
            Start::Row(_) => [at(self.control), start, at(self.end)],
            Start::Top | Start::Bottom => [start, at(self.control), at(self.end)],
        };
        stroke(&mut styled, curve, radius);
        if self.foot > 0.0 {
            let middle = [column(bottom), bottom as f32];
            let half = self.foot * height;
            stroke(&mut styled, [[middle[0] - half, middle[1]], middle, [middle[0] + half, middle[1]]], radius);
        }
        let [before, after] = [image, &styled].map(centre_of_mass);
        (styled, [after[0] - before[0], after[1] - before[1]])
    }
}

/// Draws a quadratic Bézier curve with round ends.
fn stroke(image: &mut [u8; PIXELS], [start, control, end]: [[f32; 2]; 3], radius: f32) {
    const STEPS: usize = 12;
    let points: [[f32; 2]; STEPS + 1] = std::array::from_fn(|step| {
        let t = step as f32 / STEPS as f32;
        std::array::from_fn(|axis| {
            (1.0 - t).powi(2) * start[axis] + 2.0 * t * (1.0 - t) * control[axis] + t * t * end[axis]
        })
    });
    for (i, pixel) in image.iter_mut().enumerate() {
        let here = [(i % IMAGE_SIDE) as f32, (i / IMAGE_SIDE) as f32];
        let distance = points.windows(2).map(|ends| distance(here, ends[0], ends[1])).fold(f32::INFINITY, f32::min);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let ink = ((radius + 0.5 - distance).clamp(0.0, 1.0) * 255.0) as u8;
        *pixel = ink.max(*pixel);
    }
}

/// The column and the row of an image's centre of mass.
fn centre_of_mass(image: &[u8; PIXELS]) -> [f32; 2] {
    let sum = |of: &dyn Fn(usize) -> usize| {
        image.iter().enumerate().map(|(i, pixel)| (of(i) * usize::from(*pixel)) as f32).sum::<f32>()
    };
    let mass = sum(&|_| 1).max(1.0);
    [sum(&|i| i % IMAGE_SIDE) / mass, sum(&|i| i / IMAGE_SIDE) / mass]
}
