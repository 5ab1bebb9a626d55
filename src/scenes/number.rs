//! Pictures that show a number.

use image::DynamicImage;
use rand::RngExt;

use super::{
    Random,
    canvas::Coverage,
    ink,
    marks::{boxed, rule, square, underline},
    pens::chalk_on_board,
    scene::{Scene, between, pen},
};
use crate::data::PIXELS;

/// What counts as ink where the distance between two digits is measured.
const INK: f32 = 0.3;

/// A picture of a number.
#[derive(Debug)]
pub struct NumberScene {
    /// The picture.
    pub picture: DynamicImage,
    /// The box of each digit, from left to right: left, top, width and height in pixels.
    pub boxes: Vec<[u32; 4]>,
    /// The digits before which there is a clear space, by their index from 1.
    pub spaces: Vec<usize>,
}

/// Draws some digits of MNIST side by side: with one pen, of slightly different heights, at varying distances, sometimes
/// touching and sometimes in groups; on white, ruled or squared paper, underlined, in a box, on a board, in uneven light.
///
/// # Shapes
/// `n` arrays of 784 pixels, 0 to 255 -> `n` boxes
#[must_use]
pub fn number(digits: &[&[u8; PIXELS]], random: &mut Random) -> NumberScene {
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
    let (scene, at) = scene(&placed, height, random);
    let boxes =
        placed.iter().map(|(shape, [left, top])| [at[0] + left, at[1] + top, shape.width(), shape.height()]).collect();
    NumberScene { picture: scene.photo(), boxes, spaces }
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

/// The paper and the light around a number, and where its upper left corner is.
fn scene<'r>(placed: &[(Coverage, [u32; 2])], height: f32, random: &'r mut Random) -> (Scene<'r>, [u32; 2]) {
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
    let paper = scene.random.random_range(0..8);
    match paper {
        1 => rule(&mut scene),
        2 => square(&mut scene),
        3 => {
            let line = [scene.between(0.0, 0.5); 3];
            boxed(&mut scene, line);
        }
        _ => {}
    }
    match paper {
        4 => chalk_on_board(&mut scene),
        5 => underline(&mut scene),
        _ => drop(scene.write_dark()),
    }
    let strength = scene.between(0.25, 0.5);
    match paper {
        6 => scene.falloff(strength),
        7 => scene.hand_shadow(strength),
        _ => {}
    }
    let at = scene.at;
    (scene, at)
}
