//! Pictures of a digit by the light, by what is around the paper, and by the camera or the scanner.

use std::{f32::consts::TAU, io::Cursor};

use image::{
    DynamicImage, ImageBuffer, Luma,
    codecs::jpeg::{JpegDecoder, JpegEncoder},
};
use rand::{RngExt, seq::SliceRandom};

use super::{
    Digit, Random,
    canvas::{distance, smoothstep, turned},
    ink::{self, Pen},
    scene::{Layout, Scene, between, pen},
};

pub(super) fn gradient(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    scene.write_dark();
    let strength = scene.between(0.4, 0.6);
    scene.falloff(strength);
    scene.photo()
}

pub(super) fn hand_shadow(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    scene.write_dark();
    let strength = scene.between(0.25, 0.5);
    scene.hand_shadow(strength);
    scene.photo()
}

pub(super) fn vignette(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    in_vignette(&mut scene);
    scene.photo()
}

/// Writes the strokes, and darkens the corners.
pub(super) fn in_vignette(scene: &mut Scene) {
    scene.write_dark();
    let strength = scene.between(0.35, 0.7);
    scene.vignette(strength);
}

/// A sheet on a dark desk, both turned by the same angle, and perhaps not wholly in the picture.
pub(super) fn desk(digit: &Digit, random: &mut Random) -> DynamicImage {
    let (width, height, size) = Layout::ROOMY.pick(random);
    let angle = between(random, -0.2, 0.2);
    let strokes = ink::digit(digit, pen(random), angle, size);
    let mut scene = Scene::with_strokes(strokes, [width, height], random);
    scene.keep_off([scene.size() * 0.2; 4]);
    scene.desk();
    let (middle, size) = (scene.middle(), scene.size());
    // Half of the sheet, from the digit's middle to each side: room for the digit at least.
    let [left, top, right, bottom] = [(); 4].map(|()| size * scene.between(0.7, 1.5));
    let half = [left.midpoint(right), top.midpoint(bottom)];
    let centre = [middle[0] + (right - left) / 2.0, middle[1] + (bottom - top) / 2.0];
    let centre = turned(centre, middle, angle);
    let white = scene.between(0.8, 0.97);
    scene.sheet(centre, half, angle, [white, white, white - 0.02]);
    scene.write_dark();
    scene.photo()
}

/// Black strips at some edges, where the scanner saw past the sheet.
pub(super) fn scanner_edges(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    let (canvas, short) = (scene.canvas.size(), scene.canvas.shorter());
    let mut depths = [0.0; 4];
    let mut edges = [0, 1, 2, 3];
    edges.shuffle(scene.random);
    for edge in &edges[..scene.random.random_range(1..=4)] {
        depths[*edge] = short * scene.between(0.015, 0.07);
    }
    scene.keep_off(depths.map(|v| v * 1.4 + short * 0.02));
    let tilts = [(); 4].map(|()| scene.between(-0.4, 0.4));
    let black = [scene.between(0.0, 0.12); 3];
    scene.canvas.paint(black, |[x, y]| {
        let along = [y / canvas[1], x / canvas[0], y / canvas[1], x / canvas[0]];
        let from_edge = [x, y, canvas[0] - x, canvas[1] - y];
        let strip = |edge: usize| depths[edge] * (1.0 + tilts[edge] * (2.0 * along[edge] - 1.0)) - from_edge[edge];
        (0..4).map(strip).fold(f32::MIN, f32::max).clamp(0.0, 1.0)
    });
    scene.write_dark();
    scene.exact()
}

/// An unsharp photo in bad light.
pub(super) fn grain(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    scene.write_dark();
    let (blur, grain) = (scene.size() * scene.between(0.008, 0.03), scene.between(0.03, 0.1));
    scene.canvas.blur(blur);
    scene.canvas.grain(grain, scene.random);
    scene.exact()
}

/// A file that was compressed too much.
pub(super) fn jpeg(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    scene.write_dark();
    let quality = scene.random.random_range(20..=50);
    let picture = scene.photo();
    let mut file = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut file, quality).encode_image(&picture);
    let read = written.and_then(|()| DynamicImage::from_decoder(JpegDecoder::new(Cursor::new(file))?));
    // Encoding into memory cannot fail.
    read.unwrap_or(picture)
}

/// A sensor's 10 bits in a file of 16: no value is above 1023.
pub(super) fn ten_bit(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    scene.write_dark();
    let grey = scene.photo().to_luma32f();
    let picture = ImageBuffer::from_fn(grey.width(), grey.height(), |x, y| {
        Luma([(grey.get_pixel(x, y)[0] * 1023.0).round() as u16])
    });
    DynamicImage::ImageLuma16(picture)
}

/// The digit of a water or power meter: a white digit on a wheel, in a black window, beside the next wheel's edge.
pub(super) fn meter(digit: &Digit, random: &mut Random) -> DynamicImage {
    let height = between(random, 60.0, 250.0);
    let width = height * between(random, 0.7, 0.9);
    let pen = Pen::Broad(between(random, 0.25, 0.45));
    let strokes = ink::digit(digit, pen, between(random, -0.03, 0.03), height * between(random, 0.45, 0.65));
    let mut scene = Scene::with_strokes(strokes, [width as u32, height as u32], random);
    let [width, height] = scene.canvas.size();
    let wheel = scene.between(0.1, 0.28);
    scene.ground([wheel; 3]);
    let [left, top, right, bottom] = [(); 4].map(|()| width * scene.between(0.02, 0.12));
    scene.keep_off([left, top, right, bottom].map(|v| v + width * 0.03));
    let white = scene.between(0.65, 0.95);
    scene.write([white, white, white * 0.97]);
    // A wheel turns away from the viewer above and below.
    scene.canvas.light(|[_, y]| 1.0 - 0.5 * (2.0 * y / height - 1.0).abs().powi(3));
    let black = [scene.between(0.0, 0.06); 3];
    scene
        .canvas
        .paint(black, |[x, y]| (left - x).max(top - y).max(x - width + right).max(y - height + bottom).clamp(0.0, 1.0));
    let (next, line) = (scene.between(0.35, 0.8), (width * scene.between(0.01, 0.04)).max(1.0));
    let x =
        if scene.random.random() { left * scene.between(0.2, 0.6) } else { width - right * scene.between(0.2, 0.6) };
    scene.canvas.line([x, top], [x, height - bottom], line, [next; 3], 0.9);
    scene.photo()
}

pub(super) fn crease(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    on_creased(&mut scene);
    scene.photo()
}

/// Writes on paper that was folded: one side of the crease catches less light, and the crease itself is a line.
pub(super) fn on_creased(scene: &mut Scene) {
    scene.write_dark();
    let (canvas, short) = (scene.canvas.size(), scene.canvas.shorter());
    for _ in 0..scene.random.random_range(1..3) {
        let (sin, cos) = scene.between(0.0, TAU).sin_cos();
        let through = canvas.map(|side| side * scene.between(0.15, 0.85));
        let (step, depth) = (scene.between(0.03, 0.1), scene.between(0.1, 0.3));
        let (ridge, slope) = (short * scene.between(0.006, 0.015), short * scene.between(0.03, 0.15));
        scene.canvas.light(|[x, y]| {
            let side = (x - through[0]) * cos + (y - through[1]) * sin;
            let shade = step * smoothstep(-ridge, ridge, side) * (-side.max(0.0) / slope).exp();
            1.0 - shade - depth * (-(side / ridge).powi(2)).exp()
        });
    }
}

pub(super) fn show_through(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    let size = scene.size();
    on_thin(&mut scene, size);
    scene.photo()
}

/// Writes on thin paper, through which one sees the writing on its back, for digits of this size, in pixels.
pub(super) fn on_thin(scene: &mut Scene, size: f32) {
    let canvas = scene.canvas.size();
    let strength = scene.between(0.04, 0.12);
    for _ in 0..scene.random.random_range(3..8) {
        let start = canvas.map(|side| side * scene.random.random::<f32>());
        let length = size * scene.between(0.15, 0.5);
        let width = size * scene.between(0.04, 0.1);
        let mut points = vec![start];
        let mut heading = scene.between(0.0, TAU);
        for _ in 0..8 {
            heading += scene.between(-0.7, 0.7);
            let [x, y] = points[points.len() - 1];
            points.push([x + heading.cos() * length / 4.0, y + heading.sin() * length / 4.0]);
        }
        scene.canvas.paint([0.3, 0.3, 0.4], |p| {
            let near = points.windows(2).map(|ends| distance(p, ends[0], ends[1])).fold(f32::MAX, f32::min);
            strength * (1.0 - smoothstep(width * 0.3, width, near))
        });
    }
    scene.write_dark();
}

pub(super) fn glare(digit: &Digit, random: &mut Random) -> DynamicImage {
    let mut scene = Scene::with_digit(digit, Layout::SHEET, pen(random), random);
    on_glossy(&mut scene);
    scene.photo()
}

/// Writes on a glossy sheet, which reflects a lamp.
pub(super) fn on_glossy(scene: &mut Scene) {
    scene.write_dark();
    scene.canvas.light(|_| 0.7);
    let (canvas, short) = (scene.canvas.size(), scene.canvas.shorter());
    let centre = canvas.map(|side| side * scene.random.random::<f32>());
    let (radius, strength) = (short * scene.between(0.15, 0.4), scene.between(0.3, 0.65));
    scene.canvas.paint([1.0; 3], |p| strength * (-(distance(p, centre, centre) / radius).powi(2)).exp());
}
