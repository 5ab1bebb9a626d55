//! Pictures that show a number.

use image::DynamicImage;
use rand::RngExt;

use super::{
    Random,
    canvas::Coverage,
    ink,
    marks::{boxed, dot, rule, square, underline},
    pens::{chalk_on_board, in_colour},
    photos::{in_vignette, on_creased, on_glossy, on_thin},
    scene::{Scene, between, pen},
};
use crate::data::PIXELS;

/// What counts as ink where the distance between two digits is measured.
const INK: f32 = 0.3;

/// A kind of picture of a number: the paper and the light.
#[derive(Debug, Clone, Copy)]
pub struct NumberKind {
    /// Its name: lower case, with spaces.
    pub name: &'static str,
    /// Whether it is kept for the end: no constant of the reader is chosen by it.
    pub held_out: bool,
    /// Writes the strokes on blank paper.
    write: fn(&mut Scene),
}

const fn tuned(name: &'static str, write: fn(&mut Scene)) -> NumberKind {
    NumberKind { name, held_out: false, write }
}

const fn held_out(name: &'static str, write: fn(&mut Scene)) -> NumberKind {
    NumberKind { name, held_out: true, write }
}

const NUMBER_KINDS: &[NumberKind] = &[
    tuned("white paper", |scene| {
        scene.write_dark();
    }),
    tuned("ruled paper", |scene| {
        rule(scene);
        scene.write_dark();
    }),
    tuned("squared paper", |scene| {
        square(scene);
        scene.write_dark();
    }),
    tuned("box of a form", |scene| {
        let line = [scene.between(0.0, 0.5); 3];
        boxed(scene, line);
        scene.write_dark();
    }),
    tuned("chalk on a board", chalk_on_board),
    tuned("underlined", underline),
    tuned("light falls off", |scene| {
        scene.write_dark();
        let strength = scene.between(0.25, 0.5);
        scene.falloff(strength);
    }),
    tuned("shadow of a hand", |scene| {
        scene.write_dark();
        let strength = scene.between(0.25, 0.5);
        scene.hand_shadow(strength);
    }),
    held_out("coloured", in_colour),
    held_out("vignette", in_vignette),
    held_out("dotted paper", |scene| {
        let size = scene.strokes.height() as f32;
        dot(scene, size);
        scene.write_dark();
    }),
    held_out("crease", on_creased),
    held_out("back shows through", |scene| {
        let size = scene.strokes.height() as f32;
        on_thin(scene, size);
    }),
    held_out("glare", on_glossy),
];

/// All kinds of pictures of numbers: first those that a reader may be tuned on.
#[must_use]
pub fn number_kinds() -> &'static [NumberKind] {
    NUMBER_KINDS
}

/// A picture of a number.
#[derive(Debug)]
pub struct NumberScene {
    /// The picture.
    pub picture: DynamicImage,
    /// The box of each digit, from left to right: left, top, width and height in pixels.
    pub boxes: Vec<[u32; 4]>,
    /// The digits before which there is a clear space, by their index from 1.
    pub spaces: Vec<usize>,
    /// Whether neighbouring digits may touch.
    pub touching: bool,
}

/// Draws some digits of MNIST side by side: with one pen, of slightly different heights, at varying distances, sometimes
/// touching and sometimes in groups.
///
/// # Shapes
/// `n` arrays of 784 pixels, 0 to 255 -> `n` boxes
#[must_use]
pub fn number(kind: &NumberKind, digits: &[&[u8; PIXELS]], random: &mut Random) -> NumberScene {
    let height = between(random, 40.0, 110.0);
    let (pen, slant, spread) = (pen(random), between(random, -0.06, 0.06), between(random, 0.0, 0.25));
    let touching = random.random_bool(0.3);
    let grouped = random.random_bool(0.25);
    let mut spaces = Vec::new();
    let mut placed: Vec<(Coverage, [u32; 2])> = Vec::new();
    for (index, digit) in digits.iter().enumerate() {
        let size = height * between(random, 0.85, 1.15);
        let shape = ink::digit(digit, pen, slant + between(random, -0.03, 0.03), size);
        let sway = height * between(random, 0.2, 0.35) + (height * 1.15 - size) / 2.0;
        let left = placed.last().map_or(0.0, |(last, [left, top])| {
            let gap = if grouped && random.random_bool(0.4) {
                spaces.push(index);
                between(random, 0.8, 1.3)
            } else if touching && random.random_bool(0.5) {
                between(random, -0.06, 0.0)
            } else {
                between(random, 0.06, 0.16) + spread
            };
            *left as f32 + offset(last, &shape, sway - *top as f32) + gap * height
        });
        placed.push((shape, [left.max(0.0) as u32, sway as u32]));
    }
    let mut scene = scene(&placed, height, random);
    (kind.write)(&mut scene);
    let at = scene.at;
    let boxes =
        placed.iter().map(|(shape, [left, top])| [at[0] + left, at[1] + top, shape.width(), shape.height()]).collect();
    NumberScene { picture: scene.photo(), boxes, spaces, touching }
}

/// How far right of a shape's left edge the next shape, `down` pixels lower, just touches it.
fn offset(last: &Coverage, next: &Coverage, down: f32) -> f32 {
    let profile = |shape: &Coverage, row: u32| {
        let ink: Vec<u32> = (0..shape.width()).filter(|x| shape.get_pixel(*x, row)[0] > INK).collect();
        ink.first().copied().zip(ink.last().copied())
    };
    let mut offset = f32::MIN;
    for row in 0..next.height() {
        let Some((start, _)) = profile(next, row) else { continue };
        // A pen touches what is a little above and below, too.
        for near in -2..=2_i16 {
            let other = row as f32 + down + f32::from(near);
            if other >= 0.0
                && other < last.height() as f32
                && let Some((_, end)) = profile(last, other as u32)
            {
                offset = offset.max(end as f32 + 1.0 - start as f32);
            }
        }
    }
    // Digits may reach into each other's corners, but not far.
    offset.max(last.width() as f32 - 0.3 * next.width() as f32)
}

/// Digits that are placed, on blank paper around them.
fn scene<'r>(placed: &[(Coverage, [u32; 2])], height: f32, random: &'r mut Random) -> Scene<'r> {
    let far = |axis: usize| {
        let side = |shape: &Coverage| if axis == 0 { shape.width() } else { shape.height() };
        placed.iter().map(|(shape, at)| at[axis] + side(shape)).max().unwrap_or(1)
    };
    let mut strokes = Coverage::new(far(0), far(1));
    for (shape, [left, top]) in placed {
        for (x, y, covered) in shape.enumerate_pixels() {
            let pixel = &mut strokes.get_pixel_mut(left + x, top + y)[0];
            *pixel = pixel.max(covered[0]);
        }
    }
    let [wide, high] = [(); 2].map(|()| (height * between(random, 0.8, 2.0)) as u32);
    let size = [strokes.width() + wide, strokes.height() + high];
    let mut scene = Scene::with_strokes(strokes, size, random);
    scene.keep_off([height * 0.3; 4]);
    scene
}
