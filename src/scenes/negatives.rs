//! Pictures that show no digit.

use std::f32::consts::{FRAC_PI_2, TAU};

use image::{DynamicImage, imageops};
use rand::{RngExt, seq::SliceRandom};

use super::{
    Digit, Random,
    canvas::{Coverage, Noise, distance, smoothstep, turned},
    glyphs::{LETTERS, SIGNS, curve, written},
    ink::{self, stroked},
    marks::{rule, square},
    pens::chalk_on_board,
    scene::{Layout, Scene, between, dark, pen},
};

/// The narrowest part of a digit that is not a 1 by itself: its width as a fraction of its height.
const NARROW: f32 = 0.6;

/// Blank paper of random size.
fn blank(random: &mut Random) -> Scene<'_> {
    let (width, height, _) = Layout::SHEET.pick(random);
    Scene::with_strokes(Coverage::new(1, 1), [width, height], random)
}

/// Strokes of a random size on blank paper.
fn with_strokes(random: &mut Random, draw: impl FnOnce(f32, &mut Random) -> Coverage) -> Scene<'_> {
    let (width, height, size) = Layout::SHEET.pick(random);
    let strokes = draw(size, random);
    Scene::with_strokes(strokes, [width, height], random)
}

/// Writes in ink or in chalk.
fn finish(mut scene: Scene) -> DynamicImage {
    if scene.random.random_bool(0.2) {
        chalk_on_board(&mut scene);
    } else {
        scene.write_dark();
    }
    scene.photo()
}

pub(super) fn letter(_: &Digit, random: &mut Random) -> DynamicImage {
    finish(with_strokes(random, |size, random| written(LETTERS, size, random)))
}

pub(super) fn sign(_: &Digit, random: &mut Random) -> DynamicImage {
    finish(with_strokes(random, |size, random| written(SIGNS, size, random)))
}

pub(super) fn speck(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    let (canvas, short) = (scene.canvas.size(), scene.canvas.shorter());
    for _ in 0..scene.random.random_range(1..4) {
        let centre = canvas.map(|side| side * between(scene.random, 0.1, 0.9));
        let radius = (short * scene.between(0.004, 0.03)).max(1.0);
        let (rough, colour) = (Noise::new(radius * 0.8, scene.random), dark(scene.random));
        scene
            .canvas
            .paint(colour, |p| (radius * (0.5 + rough.at(p)) + 0.5 - distance(p, centre, centre)).clamp(0.0, 1.0));
    }
    scene.photo()
}

/// A line across the picture, or a dash: an upright stroke that ends in the picture would be a 1.
pub(super) fn line(_: &Digit, random: &mut Random) -> DynamicImage {
    if random.random() {
        let mut scene = blank(random);
        let (canvas, ink) = (scene.canvas.size(), dark(scene.random));
        let (angle, width) = (scene.between(0.0, TAU), (scene.canvas.shorter() * scene.between(0.01, 0.06)).max(1.2));
        let through = canvas.map(|side| side * between(scene.random, 0.25, 0.75));
        let reach = canvas[0] + canvas[1];
        let ends = [-reach, reach].map(|x| turned([through[0] + x, through[1]], through, angle));
        scene.canvas.line(ends[0], ends[1], width, ink, 1.0);
        return scene.photo();
    }
    finish(with_strokes(random, |size, random| {
        let (angle, sag) = (between(random, -0.6, 0.6), between(random, -0.05, 0.05));
        let points = [[0.0, 0.0], [0.5, sag], [1.0, 0.0]].map(|p| turned(p, [0.0; 2], angle));
        stroked(&curve(&points), between(random, 0.02, 0.1), size)
    }))
}

/// A digit of which a half is cut off, by the picture's edge or by something that lies on it.
pub(super) fn half(digit: &Digit, random: &mut Random) -> DynamicImage {
    let (width, height, size) = Layout::SHEET.pick(random);
    let whole = ink::digit(digit, pen(random), between(random, -0.05, 0.05), size);
    // Less than a half, which opens the loops of 6, 8 and 9: each alone is a 0.
    let keep = between(random, 0.3, 0.44);
    // Which half remains: the left, upper, right or lower one.
    let mut sides = [0, 1, 2, 3];
    sides.shuffle(random);
    let cut = |whole: &Coverage, side: i32| {
        let (w, h) = whole.dimensions();
        let part = |length: u32| ((length as f32 * keep) as u32).max(1);
        let (left, top) = (if side == 2 { w - part(w) } else { 0 }, if side == 3 { h - part(h) } else { 0 });
        let (w, h) = if side % 2 == 0 { (part(w), h) } else { (w, part(h)) };
        imageops::crop_imm(whole, left, top, w, h).to_image()
    };
    let wide = |shape: &Coverage| shape.width() as f32 > NARROW * shape.height() as f32;
    let found = sides.iter().map(|side| (*side, cut(&whole, *side))).find(|(_, part)| wide(part));
    // Half of a 1 is a 1, so it has to lie on its side.
    let (kept, part) = found.unwrap_or_else(|| (1, imageops::rotate90(&cut(&whole, 1))));
    let mut scene = Scene::with_strokes(part, [width, height], random);
    if scene.random.random_bool(0.6) {
        // The missing half is beyond the opposite edge.
        let size = scene.canvas.size().map(|v| v as u32);
        match kept {
            0 => scene.at[0] = size[0] - scene.strokes.width(),
            1 => scene.at[1] = size[1] - scene.strokes.height(),
            2 => scene.at[0] = 0,
            _ => scene.at[1] = 0,
        }
    }
    finish(scene)
}

pub(super) fn blank_paper(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    if scene.random.random() {
        let strength = scene.between(0.0, 0.3);
        scene.falloff(strength);
    }
    scene.photo()
}

/// Paper with visible fibres, in a photo with much noise.
pub(super) fn grained_paper(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    let (fine, wide) = (Noise::new(between(scene.random, 1.5, 4.0), scene.random), Noise::new(12.0, scene.random));
    let depth = scene.between(0.05, 0.25);
    scene.canvas.light(|p| 1.0 - depth * (0.6 * fine.at(p) + 0.4 * wide.at(p)));
    let grain = scene.between(0.01, 0.08);
    scene.canvas.grain(grain, scene.random);
    scene.photo()
}

pub(super) fn noise(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    let grey = scene.between(0.3, 0.7);
    scene.ground([grey; 3]);
    let deviation = scene.between(0.1, 0.35);
    scene.canvas.grain(deviation, scene.random);
    if scene.random.random() {
        let blur = scene.between(0.5, 3.0);
        scene.canvas.blur(blur);
    }
    scene.exact()
}

pub(super) fn lined_paper(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = with_strokes(random, |size, _| Coverage::new(size as u32, size as u32));
    if scene.random.random() {
        rule(&mut scene);
    } else {
        square(&mut scene);
    }
    scene.photo()
}

/// Nothing but light.
pub(super) fn light(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    let strength = scene.between(0.3, 0.8);
    match scene.random.random_range(0..3) {
        0 => scene.falloff(strength),
        1 => scene.vignette(strength),
        _ => scene.hand_shadow(strength),
    }
    scene.photo()
}

/// Checks, stripes or waves.
pub(super) fn texture(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    let (short, angle) = (scene.canvas.shorter(), scene.between(0.0, TAU));
    let (period, colour) = (short * scene.between(0.06, 0.3), dark(scene.random));
    let (kind, soft) = (scene.random.random_range(0..3), scene.between(0.05, 0.6));
    let bend = Noise::new(short / 3.0, scene.random);
    scene.canvas.paint(colour, |p| {
        let [x, y] = turned(p, [0.0; 2], angle).map(|v| v * TAU / period);
        let wave = match kind {
            0 => x.sin(),
            1 => x.sin() * y.sin() * 1.5,
            _ => (x + 6.0 * bend.at(p)).sin(),
        };
        smoothstep(-soft, soft, wave)
    });
    scene.photo()
}

/// Soft shapes in many colours, as in a photo of something else.
pub(super) fn shapes(_: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = blank(random);
    let (canvas, short) = (scene.canvas.size(), scene.canvas.shorter());
    let colour = |random: &mut Random| [(); 3].map(|()| between(random, 0.05, 0.95));
    let (ground, sky, horizon) = (colour(scene.random), colour(scene.random), scene.between(0.3, 0.7));
    scene.ground(ground);
    scene.canvas.paint(sky, |[_, y]| 1.0 - smoothstep(-0.05, 0.05, y / canvas[1] - horizon));
    for _ in 0..scene.random.random_range(4..12) {
        let centre = canvas.map(|side| side * scene.random.random::<f32>());
        let (rx, ry) = (short * scene.between(0.06, 0.35), short * scene.between(0.06, 0.35));
        let (angle, soft) = (scene.between(0.0, TAU), scene.between(0.02, 0.4));
        let (fill, box_like) = (colour(scene.random), scene.random.random_bool(0.4));
        scene.canvas.paint(fill, |p| {
            let [x, y] = turned(p, centre, -angle);
            let (x, y) = ((x - centre[0]).abs() / rx, (y - centre[1]).abs() / ry);
            let radius = if box_like { x.max(y) } else { x.hypot(y) };
            1.0 - smoothstep(1.0 - soft, 1.0 + soft, radius)
        });
    }
    let dapple = Noise::new(short / 12.0, scene.random);
    scene.canvas.light(|p| 0.9 + 0.15 * dapple.at(p));
    scene.photo()
}

pub(super) fn scribble(_: &Digit, random: &mut Random) -> DynamicImage {
    finish(with_strokes(random, |size, random| {
        let points: Vec<_> = if random.random() {
            (0..random.random_range(10..20)).map(|_| [random.random(), random.random()]).collect()
        } else {
            // To and fro, as one crosses out.
            let height = between(random, 0.25, 0.8);
            (0..random.random_range(10..22_u8))
                .map(|i| {
                    let end = if i % 2 == 0 { 0.0 } else { height };
                    [f32::from(i) / 20.0 + between(random, -0.04, 0.04), end + between(random, -0.08, 0.08)]
                })
                .collect()
        };
        let angle = between(random, -FRAC_PI_2, FRAC_PI_2);
        let points: Vec<_> = points.into_iter().map(|p| turned(p, [0.5; 2], angle)).collect();
        stroked(&curve(&points), between(random, 0.015, 0.05), size)
    }))
}
