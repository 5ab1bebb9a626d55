//! Pictures of a digit by what else is on the paper: lines, frames and holes.

use std::f32::consts::TAU;

use image::DynamicImage;
use rand::{RngExt, seq::SliceRandom};

use super::{
    Digit, Random,
    canvas::{Colour, Point, distance, turned},
    scene::{Layout, Scene, pen},
};

/// A box around the digit, as on a form.
pub(super) fn form_box(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    let size = scene.size();
    scene.keep_off([size * 0.45; 4]);
    let line = [scene.between(0.0, 0.5); 3];
    boxed(&mut scene, line);
    scene.write_dark();
    scene.photo()
}

/// Draws a rectangle around the strokes.
pub(super) fn boxed(scene: &mut Scene, colour: Colour) {
    let (size, bounds, canvas) = (scene.strokes.height() as f32, scene.bounds(), scene.canvas.size());
    let width = (size * scene.between(0.012, 0.05)).max(1.0);
    let [left, top, right, bottom] = [(); 4].map(|()| size * scene.between(0.1, 0.4) + width);
    let inside = |v: f32, side: f32| v.clamp(width / 2.0, side - width / 2.0);
    let (x0, y0) = (inside(bounds[0] - left, canvas[0]), inside(bounds[1] - top, canvas[1]));
    let (x1, y1) = (inside(bounds[2] + right, canvas[0]), inside(bounds[3] + bottom, canvas[1]));
    scene.path(&[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], width, colour);
}

/// A cell cut out of a grid, so that its lines lie at the picture's edges.
pub(super) fn grid_cell(digit: &Digit, random: &mut Random) -> DynamicImage {
    let layout = Layout { side: (60.0, 300.0), fraction: (0.45, 0.75) };
    let mut scene = Scene::with_digit(digit, layout, pen(random), random);
    let (short, canvas) = (scene.canvas.shorter(), scene.canvas.size());
    let [left, top, right, bottom] = [(); 4].map(|()| short * scene.between(0.01, 0.08));
    scene.keep_off([left, top, right, bottom].map(|v| v + short * 0.05));
    let (colour, width) = ([scene.between(0.0, 0.55); 3], (short * scene.between(0.01, 0.04)).max(1.0));
    let tilt = [(); 2].map(|()| short * scene.between(-0.012, 0.012));
    for y in [top, canvas[1] - bottom] {
        scene.canvas.line([-9.0, y - tilt[0]], [canvas[0] + 9.0, y + tilt[0]], width, colour, 1.0);
    }
    for x in [left, canvas[0] - right] {
        scene.canvas.line([x - tilt[1], -9.0], [x + tilt[1], canvas[1] + 9.0], width, colour, 1.0);
    }
    scene.write_dark();
    scene.photo()
}

/// A cell from which a program has cut its lines, and left some of them at the edges.
pub(super) fn grid_remains(digit: &Digit, random: &mut Random) -> DynamicImage {
    let layout = Layout { side: (60.0, 250.0), fraction: (0.45, 0.75) };
    let mut scene = Scene::with_digit(digit, layout, pen(random), random);
    let (short, canvas) = (scene.canvas.shorter(), scene.canvas.size());
    scene.keep_off([short * 0.08; 4]);
    let colour = [scene.between(0.0, 0.45); 3];
    let mut edges = [0, 1, 2, 3];
    edges.shuffle(scene.random);
    for edge in &edges[..scene.random.random_range(1..4)] {
        let (along, across) = if edge % 2 == 0 { (canvas[0], canvas[1]) } else { (canvas[1], canvas[0]) };
        let (start, length) = (scene.between(-0.3, 0.7), scene.between(0.25, 1.0));
        let depth = short * scene.between(0.0, 0.03);
        let depths = [depth, depth + short * scene.between(-0.02, 0.02)];
        let ends = [(start, depths[0]), (start + length, depths[1])].map(|(a, d)| {
            let across = if *edge < 2 { d } else { across - d };
            if edge % 2 == 0 { [a * along, across] } else { [across, a * along] }
        });
        let width = (short * scene.between(0.01, 0.04)).max(1.0);
        scene.canvas.line(ends[0], ends[1], width, colour, 1.0);
    }
    scene.write_dark();
    scene.photo()
}

pub(super) fn ruled(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    rule(&mut scene);
    scene.write_dark();
    scene.photo()
}

/// Rules the paper with pale lines, farther apart than half of a digit.
pub(super) fn rule(scene: &mut Scene) {
    let spacing = scene.strokes.height() as f32 * scene.between(0.5, 1.4);
    let (angle, width, colour, opacity) = pale_lines(scene);
    scene.rules(spacing, angle, width, colour, opacity);
}

pub(super) fn squared(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    square(&mut scene);
    scene.write_dark();
    scene.photo()
}

/// Rules the paper with squares.
pub(super) fn square(scene: &mut Scene) {
    let spacing = (scene.strokes.height() as f32 * scene.between(0.2, 0.7)).max(8.0);
    let (angle, width, colour, opacity) = pale_lines(scene);
    for angle in [angle, angle + TAU / 4.0] {
        scene.rules(spacing, angle, width, colour, opacity);
    }
}

/// The angle, width, colour and opacity of lines on paper.
fn pale_lines(scene: &mut Scene) -> (f32, f32, Colour, f32) {
    let width = (scene.strokes.height() as f32 * scene.between(0.008, 0.025)).max(1.0);
    let grey = scene.between(0.25, 0.55);
    let colour = if scene.random.random() { [grey; 3] } else { [grey * 0.8, grey * 1.1, grey + 0.3] };
    (scene.between(-0.03, 0.03), width, colour, scene.between(0.35, 0.9))
}

/// The red line at the side of a page, and often pale rules.
pub(super) fn margin_line(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    if scene.random.random() {
        rule(&mut scene);
    }
    let (canvas, size) = (scene.canvas.size(), scene.size());
    let position = canvas[0] * scene.between(0.04, 0.25);
    let clear = position + size * 0.1;
    let on_left = scene.random.random();
    let (x, margins) =
        if on_left { (position, [clear, 0.0, 0.0, 0.0]) } else { (canvas[0] - position, [0.0, 0.0, clear, 0.0]) };
    scene.keep_off(margins);
    let (tilt, width) = (canvas[1] * scene.between(-0.02, 0.02), (size * scene.between(0.01, 0.04)).max(1.0));
    let red = [scene.between(0.7, 0.9), scene.between(0.15, 0.4), scene.between(0.15, 0.45)];
    scene.canvas.line([x - tilt, -9.0], [x + tilt, canvas[1] + 9.0], width, red, 0.9);
    scene.write_dark();
    scene.photo()
}

pub(super) fn underlined(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    underline(&mut scene);
    scene.photo()
}

/// Writes the strokes and draws a line below them, with the same pen.
pub(super) fn underline(scene: &mut Scene) {
    let size = scene.size();
    scene.keep_off([0.0, 0.0, 0.0, size * 0.35]);
    let ink = scene.write_dark();
    let ([left, _, right, bottom], height) = (scene.bounds(), scene.strokes.height() as f32);
    let width = (height * scene.between(0.03, 0.1)).max(1.2);
    let y = bottom + width + height * scene.between(0.05, 0.25);
    let [start, end] = [(); 2].map(|()| height * scene.between(0.1, 0.5));
    let (tilt, sag) = (height * scene.between(-0.05, 0.05), height * scene.between(-0.03, 0.03));
    let middle = [left.midpoint(right), y + sag];
    scene.path(&[[left - start, y - tilt], middle, [right + end, y + tilt]], width, ink);
}

pub(super) fn circled(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout { fraction: (0.25, 0.45), ..Layout::ROOMY }, pen(random), random);
    let size = scene.size();
    scene.keep_off([size * 0.45; 4]);
    let ink = scene.write_dark();
    ring(&mut scene, ink);
    scene.photo()
}

/// Draws a ring around the strokes, by hand and not quite closed.
pub(super) fn ring(scene: &mut Scene, colour: Colour) {
    let (size, [x, y], [left, top, right, bottom]) = (scene.size(), scene.middle(), scene.bounds());
    let room = scene.between(0.62, 0.78);
    // A ring around a narrow digit is rounder than the digit.
    let rx = (right - left).max(size * 0.55) * room + size * 0.08;
    let ry = (bottom - top).max(size * 0.55) * room + size * 0.04;
    let (start, sweep) = (scene.between(0.0, TAU), TAU * scene.between(0.97, 1.08));
    let (drift, wobble) = (scene.between(-0.06, 0.1), scene.between(0.0, 0.05));
    let phase = scene.between(0.0, TAU);
    let ring: Vec<Point> = (0..=80_u8)
        .map(|step| f32::from(step) / 80.0)
        .map(|t| {
            let radius = 1.0 + drift * (t - 0.5) + wobble * (2.0 * TAU * t + phase).sin();
            let (sin, cos) = (start + sweep * t).sin_cos();
            [x + rx * radius * cos, y + ry * radius * sin]
        })
        .collect();
    let width = (size * scene.between(0.03, 0.08)).max(1.2);
    scene.path(&ring, width, colour);
}

pub(super) fn dotted(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    let size = scene.size();
    dot(&mut scene, size);
    scene.write_dark();
    scene.photo()
}

/// Covers the paper with a grid of dots, for digits of this size, in pixels.
pub(super) fn dot(scene: &mut Scene, size: f32) {
    let spacing = (size * scene.between(0.15, 0.45)).max(8.0);
    let (radius, opacity) = ((spacing * scene.between(0.05, 0.12)).max(0.7), scene.between(0.5, 1.0));
    let (angle, colour) = (scene.between(-0.05, 0.05), [scene.between(0.3, 0.65); 3]);
    let shift = [(); 2].map(|()| scene.between(0.0, spacing));
    scene.canvas.paint(colour, |p| {
        let p = turned(p, [0.0; 2], angle);
        let from_dot = [0, 1].map(|axis| (p[axis] + shift[axis]).rem_euclid(spacing) - spacing / 2.0);
        opacity * (radius + 0.5 - from_dot[0].hypot(from_dot[1])).clamp(0.0, 1.0)
    });
}

pub(super) fn punch_holes(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::ROOMY, pen(random), random);
    let (canvas, short) = (scene.canvas.size(), scene.canvas.shorter());
    let radius = short * scene.between(0.025, 0.06);
    let (inset, dark) = (radius * scene.between(1.4, 2.5), [scene.between(0.02, 0.3); 3]);
    let edge = scene.random.random_range(0..4_usize);
    let mut margins = [0.0; 4];
    margins[edge] = inset + radius * 1.6;
    scene.keep_off(margins);
    let (along, across) = if edge % 2 == 0 { (canvas[1], canvas[0]) } else { (canvas[0], canvas[1]) };
    let across = if edge < 2 { inset } else { across - inset };
    let (first, gap) = (scene.between(0.05, 0.3) * along, scene.between(0.25, 0.5) * along);
    for hole in 0..scene.random.random_range(2..4_u8) {
        let at = first + f32::from(hole) * gap;
        let centre = if edge % 2 == 0 { [across, at] } else { [at, across] };
        scene.canvas.paint(dark, |p| (radius + 0.5 - distance(p, centre, centre)).clamp(0.0, 1.0));
    }
    scene.write_dark();
    scene.photo()
}
