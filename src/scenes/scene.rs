//! What scenes are composed of: paper, ink, lines, light and the camera.

use std::f32::consts::{FRAC_PI_2, TAU};

use image::DynamicImage;
use rand::RngExt;

use super::{
    Random,
    canvas::{Canvas, Colour, Coverage, Noise, Point, distance, smoothstep, turned},
    ink::{self, Pen},
};
use crate::data::PIXELS;

/// A digit is at least this large, in pixels: smaller ones are smaller than MNIST's.
const MIN_DIGIT: f32 = 20.0;
/// White paper, in a medium light.
pub(super) const WHITE: Colour = [0.9, 0.9, 0.88];

/// From which range sizes are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The picture's shorter side, in pixels.
    pub(super) side: (f32, f32),
    /// The strokes' longer side, a fraction of the picture's shorter one.
    pub(super) fraction: (f32, f32),
}

impl Layout {
    /// A digit on a piece of paper.
    pub(super) const SHEET: Self = Self { side: (80.0, 450.0), fraction: (0.35, 0.8) };
    /// A digit that leaves room for what is around it.
    pub(super) const ROOMY: Self = Self { side: (120.0, 500.0), fraction: (0.25, 0.55) };
    /// A small digit on a large sheet.
    pub(super) const LARGE: Self = Self { side: (250.0, 600.0), fraction: (0.15, 0.35) };
    /// Hardly more than the digit.
    pub(super) const TIGHT: Self = Self { side: (60.0, 300.0), fraction: (0.85, 0.95) };

    /// A picture's width and height, and the strokes' longer side, in pixels.
    pub(super) fn pick(self, random: &mut Random) -> (u32, u32, f32) {
        let short = between(random, self.side.0, self.side.1);
        let long = (short * between(random, 1.0, 1.5)).min(600.0);
        let size = (short * between(random, self.fraction.0, self.fraction.1)).max(MIN_DIGIT);
        let [width, height] = if random.random() { [long, short] } else { [short, long] };
        (width as u32, height as u32, size)
    }
}

/// A number between two others.
pub(super) fn between(random: &mut Random, low: f32, high: f32) -> f32 {
    low + (high - low) * random.random::<f32>()
}

/// A pen of medium width.
pub(super) fn pen(random: &mut Random) -> Pen {
    if random.random_bool(0.3) { Pen::Fine(between(random, 0.05, 0.1)) } else { Pen::Broad(between(random, 0.3, 0.5)) }
}

/// A dark ink: black, blue, and sometimes another colour.
pub(super) fn dark(random: &mut Random) -> Colour {
    let black = between(random, 0.03, 0.22);
    match random.random_range(0..10) {
        0..5 => [black; 3],
        5..8 => [black * 0.8, black + 0.06, between(random, 0.4, 0.65)],
        8 => [between(random, 0.55, 0.75), black * 0.7, black * 0.8],
        _ => [black * 0.7, between(random, 0.25, 0.4), black],
    }
}

/// A picture in the making, with strokes that have a place in it.
pub(super) struct Scene<'r> {
    pub(super) random: &'r mut Random,
    pub(super) canvas: Canvas,
    /// The strokes' coverage.
    pub(super) strokes: Coverage,
    /// The upper left corner of the strokes, in pixels.
    pub(super) at: [u32; 2],
}

impl<'r> Scene<'r> {
    /// A digit in any place on blank paper, not yet written.
    pub(super) fn with_digit(digit: &[u8; PIXELS], layout: Layout, pen: Pen, random: &'r mut Random) -> Self {
        let (width, height, size) = layout.pick(random);
        let angle = between(random, -0.05, 0.05);
        Self::with_strokes(ink::digit(digit, pen, angle, size), [width, height], random)
    }

    /// Strokes in any place on blank paper of this width and height, not yet written.
    pub(super) fn with_strokes(strokes: Coverage, [width, height]: [u32; 2], random: &'r mut Random) -> Self {
        let (width, height) = (width.max(strokes.width() + 2), height.max(strokes.height() + 2));
        let at = [
            random.random_range(1..=width - strokes.width() - 1),
            random.random_range(1..=height - strokes.height() - 1),
        ];
        let mut scene = Self { canvas: Canvas::new(width, height, WHITE), random, strokes, at };
        scene.paper();
        scene
    }

    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        between(self.random, low, high)
    }

    /// The strokes' left, top, right and bottom, in pixels.
    pub(super) fn bounds(&self) -> [f32; 4] {
        let [left, top] = self.at.map(|v| v as f32);
        [left, top, left + self.strokes.width() as f32, top + self.strokes.height() as f32]
    }

    /// The strokes' middle.
    pub(super) fn middle(&self) -> Point {
        let [left, top, right, bottom] = self.bounds();
        [left.midpoint(right), top.midpoint(bottom)]
    }

    /// The strokes' longer side, in pixels.
    pub(super) fn size(&self) -> f32 {
        self.strokes.width().max(self.strokes.height()) as f32
    }

    /// Moves the strokes so that they keep this distance, in pixels, from the left, top, right and bottom, as far as
    /// there is room.
    pub(super) fn keep_off(&mut self, margins: [f32; 4]) {
        let size = self.canvas.size();
        let strokes = [self.strokes.width(), self.strokes.height()].map(|v| v as f32);
        for axis in 0..2 {
            let last = (size[axis] - strokes[axis] - 1.0).max(1.0);
            let high = (size[axis] - strokes[axis] - margins[axis + 2]).clamp(1.0, last);
            let low = margins[axis].clamp(1.0, high);
            self.at[axis] = self.between(low, high) as u32;
        }
    }

    /// Covers everything with white paper, slightly tinted and uneven.
    pub(super) fn paper(&mut self) {
        let white = self.between(0.8, 0.97);
        let tint = [self.between(0.0, 0.02), 0.0, self.between(-0.06, 0.01)];
        self.ground(tint.map(|t| white + t));
    }

    /// Covers everything with a colour, slightly uneven.
    pub(super) fn ground(&mut self, colour: Colour) {
        let [width, height] = self.canvas.size().map(|v| v as u32);
        self.canvas = Canvas::new(width, height, colour);
        let unevenness = Noise::new(self.canvas.shorter() * self.between(0.2, 0.5), self.random);
        self.canvas.light(|p| 0.985 + 0.03 * unevenness.at(p));
    }

    /// Writes the strokes in one colour.
    pub(super) fn write(&mut self, colour: Colour) {
        self.canvas.stamp(&self.strokes, self.at, colour);
    }

    /// Writes the strokes in a dark ink.
    pub(super) fn write_dark(&mut self) -> Colour {
        let ink = dark(self.random);
        self.write(ink);
        ink
    }

    /// Makes the strokes grainy, as pencil and chalk are: `strength` of what they cover stays bare.
    pub(super) fn roughen(&mut self, strength: f32) {
        let cell = (self.size() / 60.0).clamp(1.0, 4.0);
        let tooth = Noise::new(cell, self.random);
        let wide = Noise::new(cell * 12.0, self.random);
        for (x, y, pixel) in self.strokes.enumerate_pixels_mut() {
            let point = [x as f32, y as f32];
            pixel[0] *= 1.0 - strength * (1.3 * tooth.at(point) + 0.7 * wide.at(point)).min(1.6) / 1.6;
        }
    }

    /// Draws parallel lines over the whole picture, `spacing` pixels apart, at an angle to the horizontal in radians.
    pub(super) fn rules(&mut self, spacing: f32, angle: f32, width: f32, colour: Colour, opacity: f32) {
        let size = self.canvas.size();
        let (reach, phase) = (size[0].hypot(size[1]), self.random.random::<f32>());
        let count = (reach / spacing).ceil();
        let centre = size.map(|v| v / 2.0);
        let mut offset = (phase - count) * spacing;
        while offset < reach {
            let ends = [-reach, reach].map(|x| turned([centre[0] + x, centre[1] + offset], centre, angle));
            self.canvas.line(ends[0], ends[1], width, colour, opacity);
            offset += spacing;
        }
    }

    /// Draws lines from each point to the next.
    pub(super) fn path(&mut self, points: &[Point], width: f32, colour: Colour) {
        for ends in points.windows(2) {
            self.canvas.line(ends[0], ends[1], width, colour, 1.0);
        }
    }

    /// Lets the light fall off evenly across the picture, by this fraction.
    pub(super) fn falloff(&mut self, strength: f32) {
        let size = self.canvas.size();
        let (sin, cos) = self.between(0.0, TAU).sin_cos();
        let length = size[0] * cos.abs() + size[1] * sin.abs();
        self.canvas.light(|[x, y]| {
            let along = ((x - size[0] / 2.0) * cos + (y - size[1] / 2.0) * sin) / length + 0.5;
            1.0 - strength * along
        });
    }

    /// Casts the shadow of a hand that comes in from a side: it takes this fraction of the light.
    pub(super) fn hand_shadow(&mut self, strength: f32) {
        let (size, short) = (self.canvas.size(), self.canvas.shorter());
        let (sin, cos) = self.between(0.0, TAU).sin_cos();
        let from = [size[0] * (0.5 + cos), size[1] * (0.5 + sin)];
        let to = size.map(|side| side * between(self.random, 0.25, 0.75));
        let mut limbs = vec![(from, to, short * self.between(0.15, 0.3))];
        let heading = (to[1] - from[1]).atan2(to[0] - from[0]);
        for finger in 0..self.random.random_range(0..4_u8) {
            let direction = heading + (f32::from(finger) - 1.0) * 0.45 + self.between(-0.1, 0.1);
            let length = short * self.between(0.3, 0.6);
            let tip = [to[0] + direction.cos() * length, to[1] + direction.sin() * length];
            limbs.push((to, tip, short * self.between(0.05, 0.09)));
        }
        let softness = short * self.between(0.015, 0.09);
        self.canvas.light(|p| {
            let inside = limbs.iter().map(|(a, b, radius)| radius - distance(p, *a, *b)).fold(f32::MIN, f32::max);
            1.0 - strength * smoothstep(-softness, softness, inside)
        });
    }

    /// Darkens the corners, by this fraction.
    pub(super) fn vignette(&mut self, strength: f32) {
        let [width, height] = self.canvas.size();
        self.canvas.light(|[x, y]| {
            let square = |v: f32, side: f32| (2.0 * v / side - 1.0).powi(2);
            1.0 - strength * f32::midpoint(square(x, width), square(y, height))
        });
    }

    /// Puts a rectangle of paper on what is there, turned by an angle in radians, with a faint shadow.
    pub(super) fn sheet(&mut self, centre: Point, half: Point, angle: f32, colour: Colour) {
        let inside = |p: Point, grown: f32| {
            let [x, y] = turned(p, centre, -angle);
            grown + (half[0] - (x - centre[0]).abs()).min(half[1] - (y - centre[1]).abs())
        };
        let soft = half[0].max(half[1]) * 0.05;
        self.canvas.light(|p| 1.0 - 0.4 * smoothstep(-soft, soft, inside(p, soft * 0.5)));
        self.canvas.paint(colour, |p| (inside(p, 0.0) + 0.5).clamp(0.0, 1.0));
    }

    /// Makes the ground a dark desk, with the grain of wood.
    pub(super) fn desk(&mut self) {
        let brightness = self.between(0.08, 0.32);
        let warm = self.between(0.0, 0.5);
        self.ground([brightness * (1.0 + warm), brightness, brightness * (1.0 - warm)]);
        let (across, along) = (Noise::new(2.0, self.random), Noise::new(self.canvas.shorter() / 6.0, self.random));
        let direction = if self.random.random() { 0.0 } else { FRAC_PI_2 } + self.between(-0.1, 0.1);
        self.canvas.light(|p| {
            let [x, y] = turned(p, [0.0; 2], direction);
            0.75 + 0.2 * across.at([x / 30.0, y / 2.0]) + 0.3 * along.at([x / 4.0, y])
        });
    }

    /// Takes the photo: the lens blurs a little, the sensor adds a little noise.
    pub(super) fn photo(mut self) -> DynamicImage {
        let blur = self.between(0.3, 0.7);
        self.canvas.blur(blur);
        let grain = self.between(0.002, 0.012);
        self.canvas.grain(grain, self.random);
        self.exact()
    }

    /// The picture as it is, as a scanner or a screen gives it: in colour, and sometimes in grey.
    pub(super) fn exact(self) -> DynamicImage {
        let picture = DynamicImage::ImageRgb32F(self.canvas.0);
        if self.random.random_bool(0.3) {
            DynamicImage::ImageLuma8(picture.to_luma8())
        } else {
            DynamicImage::ImageRgb8(picture.to_rgb8())
        }
    }
}
