//! Pictures of a digit by the pen that wrote it, and where.

use image::{DynamicImage, GrayImage, Luma, Rgba, RgbaImage};
use rand::RngExt;

use super::{
    Digit, Random,
    canvas::{Colour, Noise},
    ink::{self, Pen},
    scene::{Layout, Scene, between, dark, pen},
};
use crate::data::IMAGE_SIDE;

pub(super) fn plain(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    scene.write_dark();
    scene.photo()
}

pub(super) fn chalk(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    chalk_on_board(&mut scene);
    scene.photo()
}

/// Writes in chalk on a black, green or blue board that is not quite clean.
pub(super) fn chalk_on_board(scene: &mut Scene) {
    let board = scene.between(0.06, 0.22);
    let tint = [[1.0, 1.0, 1.0], [0.8, 1.4, 1.0], [0.7, 1.0, 1.5]][scene.random.random_range(0..3)];
    scene.ground(tint.map(|t: f32| board * t));
    let (wiped, strength) = (Noise::new(scene.canvas.shorter() / 5.0, scene.random), scene.between(0.0, 0.12));
    scene.canvas.paint([0.8; 3], |[x, y]| strength * wiped.at([x / 3.0 + y, y]));
    scene.roughen(0.45);
    let white = scene.between(0.75, 0.97);
    scene.write([white; 3]);
}

pub(super) fn pencil(digit: &Digit, random: &mut Random) -> DynamicImage {
    let width = between(random, 0.03, 0.07);
    let mut scene = Scene::with_digit(digit, Layout::SHEET, Pen::Fine(width), random);
    scene.roughen(0.6);
    let grey = scene.between(0.35, 0.6);
    scene.write([grey; 3]);
    scene.photo()
}

pub(super) fn tight(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::TIGHT, pen(random), random);
    let margin = |random: &mut Random, size: u32| between(random, 0.01, 0.06) * size as f32 + 1.0;
    // As narrow as the digit is: a square around a 1 would not be tight.
    let longer = scene.strokes.width().max(scene.strokes.height());
    let [left, top, right, bottom] = [(); 4].map(|()| margin(scene.random, longer) as u32);
    let size = [scene.strokes.width() + left + right, scene.strokes.height() + top + bottom];
    scene = Scene::with_strokes(scene.strokes, size, scene.random);
    if scene.random.random_bool(0.25) {
        chalk_on_board(&mut scene);
    } else {
        scene.write_dark();
    }
    scene.photo()
}

/// A file of 28x28 pixels: MNIST's own image, or its negative.
pub(super) fn mnist_file(digit: &Digit, random: &mut Random) -> DynamicImage {
    let invert = if random.random() { 255 } else { 0 };
    let side = IMAGE_SIDE as u32;
    let image = GrayImage::from_fn(side, side, |x, y| Luma([digit[(y * side + x) as usize] ^ invert]));
    DynamicImage::ImageLuma8(image)
}

pub(super) fn thin_pen(digit: &Digit, random: &mut Random) -> DynamicImage {
    let width = between(random, 0.012, 0.03);
    let mut scene = Scene::with_digit(digit, Layout::LARGE, Pen::Fine(width), random);
    scene.write_dark();
    scene.photo()
}

pub(super) fn marker(digit: &Digit, random: &mut Random) -> DynamicImage {
    let level = between(random, 0.14, 0.24);
    let mut scene = Scene::with_digit(digit, Layout::SHEET, Pen::Broad(level), random);
    scene.write_dark();
    scene.photo()
}

/// A drawing on a transparent background: dark, or white as on a tablet in dark mode.
pub(super) fn tablet(digit: &Digit, random: &mut Random) -> DynamicImage {
    let scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    let ink = if scene.random.random_bool(0.2) { [1.0; 3] } else { dark(scene.random) };
    let [red, green, blue] = ink.map(|v| (v * 255.0) as u8);
    let [width, height] = scene.canvas.size().map(|v| v as u32);
    let mut picture = RgbaImage::new(width, height);
    for (x, y, coverage) in scene.strokes.enumerate_pixels() {
        let alpha = (coverage[0] * 255.0).round() as u8;
        picture.put_pixel(scene.at[0] + x, scene.at[1] + y, Rgba([red, green, blue, alpha]));
    }
    DynamicImage::ImageRgba8(picture)
}

pub(super) fn coloured(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    in_colour(&mut scene);
    scene.photo()
}

/// Writes in a coloured ink on coloured paper.
pub(super) fn in_colour(scene: &mut Scene) {
    const PAPERS: [Colour; 6] = [
        [0.97, 0.9, 0.45],
        [0.95, 0.7, 0.75],
        [0.65, 0.85, 0.95],
        [0.7, 0.9, 0.65],
        [0.95, 0.75, 0.5],
        [0.8, 0.7, 0.55],
    ];
    const INKS: [Colour; 6] = [
        [0.1, 0.15, 0.6],
        [0.65, 0.1, 0.12],
        [0.05, 0.35, 0.15],
        [0.35, 0.1, 0.45],
        [0.3, 0.15, 0.05],
        [0.1, 0.3, 0.45],
    ];
    let paper = PAPERS[scene.random.random_range(0..PAPERS.len())];
    scene.ground(paper);
    let ink = INKS[scene.random.random_range(0..INKS.len())];
    scene.write(ink);
}

/// A sheet held at an angle.
pub(super) fn rotated(digit: &Digit, random: &mut Random) -> DynamicImage {
    let (width, height, size) = Layout::SHEET.pick(random);
    let angle = between(random, 0.07, 0.24) * if random.random() { 1.0 } else { -1.0 };
    let strokes = ink::digit(digit, pen(random), angle, size);
    let mut scene = Scene::with_strokes(strokes, [width, height], random);
    scene.write_dark();
    scene.photo()
}

/// A small digit near a corner of a large sheet.
pub(super) fn corner(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::LARGE, pen(random), random);
    let size = scene.canvas.size();
    let (mut margins, corner) = ([0.0; 4], scene.random.random_range(0..4_usize));
    margins[if corner % 2 == 0 { 0 } else { 2 }] = size[0] * 0.7;
    margins[if corner < 2 { 1 } else { 3 }] = size[1] * 0.7;
    scene.keep_off(margins);
    scene.write_dark();
    scene.photo()
}
