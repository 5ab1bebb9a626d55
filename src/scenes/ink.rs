//! Strokes as a pen leaves them: crisp at any size.

use image::Luma;

use super::canvas::{Coverage, Point, line_coverage, reach, turned};
use crate::data::{IMAGE_SIDE, PIXELS};

/// Pixels of the grid on which a digit is thinned, for each pixel of MNIST.
const FINENESS: usize = 5;
/// Pixels around an image of MNIST into which a turned digit may reach.
const MARGIN: f32 = 4.0;
/// What is above one of these levels is thinned: a low one keeps strokes in one piece, a high one keeps loops open.
const THINNING_LEVELS: [f32; 5] = [0.4, 0.4, 0.5, 0.6, 0.7];
/// A loop has at least this area, in pixels of MNIST: what is smaller is a hollow of a stroke.
const LOOP: f32 = 0.3;
/// Strokes are made as bright as the brightest pixel within this distance, in pixels of MNIST, ...
const NEARBY: usize = 2;
/// ... but what is paler than this fraction of the image's maximum stays pale: it is an edge.
const PALE: f32 = 0.35;
/// Pixels with at least this value, out of 255, belong to a stroke or a speck.
const VISIBLE: u8 = 40;
/// What has less than this fraction of the ink is a speck, and is left out.
const SPECK: f32 = 0.05;
/// What is wider than this, in pixels of MNIST, is no stroke but a filled loop. MNIST's strokes are up to 4.1 wide (measured).
const WIDEST: f32 = 5.2;
/// A digit with a filled loop would lose it in a fine pen: it is drawn with a broad one of this level.
const FILLED_LEVEL: f32 = 0.5;

/// How a digit is redrawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pen {
    /// Strokes as wide as MNIST's above this level, a fraction of a stroke's brightness: the lower, the wider.
    Broad(f32),
    /// Strokes of an even width, a fraction of the digit's longer side.
    Fine(f32),
}

/// A digit of MNIST, turned by an angle in radians, redrawn so that its longer side is `size` pixels.
pub(super) fn digit(pixels: &[u8; PIXELS], pen: Pen, angle: f32, size: f32) -> Coverage {
    let source = Source { values: evened(pixels), angle };
    match pen {
        Pen::Broad(level) => source.broad(level, size),
        Pen::Fine(width) => match source.skeleton() {
            Some(lines) => stroked(&lines, width, size),
            None => source.broad(FILLED_LEVEL, size),
        },
    }
}

/// Lines, in any unit, drawn so that their longer side is `size` pixels; `width` is a fraction of it.
pub(super) fn stroked(lines: &[[Point; 2]], width: f32, size: f32) -> Coverage {
    let width = (width * size).max(1.2);
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in lines.iter().flatten() {
        for axis in 0..2 {
            (low[axis], high[axis]) = (low[axis].min(point[axis]), high[axis].max(point[axis]));
        }
    }
    if lines.is_empty() {
        return Coverage::new(1, 1);
    }
    let longer = (high[0] - low[0]).max(high[1] - low[1]).max(f32::MIN_POSITIVE);
    let scale = (size - width).max(1.0) / longer;
    let margin = width / 2.0 + 0.5;
    let [columns, rows] = [0, 1].map(|axis| ((high[axis] - low[axis]) * scale + 2.0 * margin).ceil());
    let mut coverage = Coverage::new(columns as u32, rows as u32);
    for line in lines {
        let [from, to] = line.map(|p| [(p[0] - low[0]) * scale + margin, (p[1] - low[1]) * scale + margin]);
        let [near, far] = [[from[0].min(to[0]), from[1].min(to[1])], [from[0].max(to[0]), from[1].max(to[1])]];
        for y in reach(near[1] - margin, far[1] + margin, rows) {
            for x in reach(near[0] - margin, far[0] + margin, columns) {
                let pixel = &mut coverage.get_pixel_mut(x, y)[0];
                *pixel = pixel.max(line_coverage([x as f32 + 0.5, y as f32 + 0.5], from, to, width));
            }
        }
    }
    coverage
}

/// An image of MNIST, 0 to 1, with its pale strokes made as bright as the others: ink does not fade, and a pale stroke
/// would break.
fn evened(pixels: &[u8; PIXELS]) -> Vec<f32> {
    let pixels = &without_specks(pixels);
    let floor = PALE * f32::from(pixels.iter().copied().max().unwrap_or(0)).max(1.0);
    let around = |v: usize| v.saturating_sub(NEARBY)..=(v + NEARBY).min(IMAGE_SIDE - 1);
    (0..PIXELS)
        .map(|i| {
            let rows = around(i / IMAGE_SIDE);
            let near = rows.flat_map(|y| around(i % IMAGE_SIDE).map(move |x| pixels[y * IMAGE_SIDE + x])).max();
            f32::from(pixels[i]) / f32::from(near.unwrap_or(0)).max(floor)
        })
        .collect()
}

fn without_specks(pixels: &[u8; PIXELS]) -> [u8; PIXELS] {
    let ink = |members: &[usize]| members.iter().map(|i| f32::from(pixels[*i])).sum::<f32>();
    let visible = pixels.map(|pixel| pixel >= VISIBLE).to_vec();
    let components = components(visible, IMAGE_SIDE, touches);
    let enough = SPECK * components.iter().map(|component| ink(component)).sum::<f32>();
    let mut clean = *pixels;
    for i in components.iter().filter(|component| ink(component) < enough).flatten() {
        clean[*i] = 0;
    }
    clean
}

/// An image of MNIST as a smooth surface, turned around its centre.
struct Source {
    values: Vec<f32>,
    angle: f32,
}

impl Source {
    /// The brightness at a point, 0 to 1: a cubic B-spline, whose contours are smooth at any size.
    fn at(&self, point: Point) -> f32 {
        let middle = IMAGE_SIDE as f32 / 2.0;
        let point = turned(point, [middle; 2], -self.angle).map(|v| v - 0.5);
        let first = point.map(|v| v.floor() as isize - 1);
        let [columns, rows] = point.map(|v| spline_weights(v - v.floor()));
        let mut sum = 0.0;
        for (y, row) in (first[1]..).zip(rows) {
            for (x, column) in (first[0]..).zip(columns) {
                sum += row * column * self.pixel(x, y);
            }
        }
        sum
    }

    fn pixel(&self, x: isize, y: isize) -> f32 {
        let inside = |v: isize| usize::try_from(v).ok().filter(|v| *v < IMAGE_SIDE);
        let (Some(x), Some(y)) = (inside(x), inside(y)) else { return 0.0 };
        self.values[y * IMAGE_SIDE + x]
    }

    /// The brightness on a grid that is [`FINENESS`] times as fine as MNIST's, row by row, with a margin.
    fn grid(&self) -> (Vec<f32>, usize) {
        let side = (IMAGE_SIDE + 2 * MARGIN as usize) * FINENESS;
        let at = |i: usize| (i as f32 + 0.5) / FINENESS as f32 - MARGIN;
        ((0..side * side).map(|i| self.at([at(i % side), at(i / side)])).collect(), side)
    }

    /// What is above a level, with edges of one pixel's width.
    fn broad(&self, level: f32, size: f32) -> Coverage {
        let (grid, row) = self.grid();
        let level = level * grid.iter().copied().fold(0.0, f32::max);
        let (mut low, mut high) = ([row; 2], [0; 2]);
        for i in (0..grid.len()).filter(|i| grid[*i] > level) {
            for (axis, at) in [i % row, i / row].into_iter().enumerate() {
                (low[axis], high[axis]) = (low[axis].min(at), high[axis].max(at + 1));
            }
        }
        if high == [0; 2] {
            return Coverage::new(1, 1);
        }
        let sides = [high[0] - low[0], high[1] - low[1]];
        let scale = size / sides[0].max(sides[1]) as f32;
        let [columns, rows] = sides.map(|side| (side as f32 * scale).ceil() as u32 + 2);
        // Across an edge the surface rises by about a half for each pixel of MNIST.
        let steepness = 2.0 * (scale * FINENESS as f32).max(1.0);
        Coverage::from_fn(columns, rows, |x, y| {
            let at = |v: u32, low: usize| ((v as f32 - 0.5) / scale + low as f32) / FINENESS as f32 - MARGIN;
            Luma([((self.at([at(x, low[0]), at(y, low[1])]) - level) * steepness + 0.5).clamp(0.0, 1.0)])
        })
    }

    /// The middle of the strokes, as short lines; `None` if they are too wide to have one.
    fn skeleton(&self) -> Option<Vec<[Point; 2]>> {
        let (grid, side) = self.grid();
        let mut ink = with_open_loops(&grid, side);
        // A round takes a pixel of the grid from each side.
        let width = (2 * thin(&mut ink, side)) as f32 / FINENESS as f32;
        if width > WIDEST {
            return None;
        }
        let members: Vec<usize> = (0..ink.len()).filter(|i| ink[*i]).collect();
        let neighbours: Vec<Vec<usize>> = members
            .iter()
            .map(|member| (0..members.len()).filter(|i| touches(members[*i], *member, side)).collect())
            .collect();
        let mut points: Vec<Point> = members.iter().map(|i| [(i % side) as f32, (i / side) as f32]).collect();
        // Thinning moves from pixel to pixel; a hand does not.
        for _ in 0..6 {
            let smooth = |(i, near): (usize, &Vec<usize>)| {
                if near.len() < 2 {
                    return points[i];
                }
                let mean = |axis: usize| near.iter().map(|n| points[*n][axis]).sum::<f32>() / near.len() as f32;
                [points[i][0].midpoint(mean(0)), points[i][1].midpoint(mean(1))]
            };
            points = neighbours.iter().enumerate().map(smooth).collect();
        }
        let line = |(i, near): (usize, &Vec<usize>)| {
            let alone = near.is_empty().then_some(i);
            let ends: Vec<usize> = near.iter().copied().filter(|n| *n > i).chain(alone).collect();
            ends.into_iter().map(|end| [points[i], points[end]]).collect::<Vec<_>>()
        };
        Some(neighbours.iter().enumerate().flat_map(line).collect())
    }
}

/// What is above a level: the lowest one with the most loops among those that leave the strokes in the fewest pieces.
fn with_open_loops(grid: &[f32], side: usize) -> Vec<bool> {
    let brightest = grid.iter().copied().fold(0.0, f32::max);
    let above = |level: f32| grid.iter().map(|value| *value > level * brightest).collect::<Vec<_>>();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
    let smallest = (LOOP * (FINENESS * FINENESS) as f32) as usize;
    let shape = |ink: &Vec<bool>| {
        let pieces = components(ink.clone(), side, touches).len();
        let paper = components(ink.iter().map(|inked| !inked).collect(), side, adjoins);
        (pieces, std::cmp::Reverse(paper.iter().filter(|loop_| loop_.len() >= smallest).count()))
    };
    THINNING_LEVELS.map(above).into_iter().min_by_key(shape).unwrap_or_default()
}

/// The connected components of what is inside, as indices of a grid.
fn components(mut inside: Vec<bool>, side: usize, connects: fn(usize, usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut components = Vec::new();
    for first in 0..inside.len() {
        if !std::mem::take(&mut inside[first]) {
            continue;
        }
        let (mut component, mut next) = (vec![first], 0);
        while let Some(at) = component.get(next).copied() {
            let rows = [at.wrapping_sub(side), at, at + side];
            for near in rows.into_iter().flat_map(|row| [row.wrapping_sub(1), row, row.wrapping_add(1)]) {
                if inside.get(near) == Some(&true) && connects(near, at, side) {
                    inside[near] = false;
                    component.push(near);
                }
            }
            next += 1;
        }
        components.push(component);
    }
    components
}

/// The weights of the four nearest samples in a uniform cubic B-spline, for a point at `t` between the middle two.
fn spline_weights(t: f32) -> [f32; 4] {
    let u = 1.0 - t;
    let inner = |t: f32| (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0;
    [u * u * u / 6.0, inner(t), inner(u), t * t * t / 6.0]
}

fn touches(a: usize, b: usize, side: usize) -> bool {
    a != b && (a % side).abs_diff(b % side) <= 1 && (a / side).abs_diff(b / side) <= 1
}

fn adjoins(a: usize, b: usize, side: usize) -> bool {
    touches(a, b, side) && (a % side == b % side || a / side == b / side)
}

/// Thins shapes to lines of one pixel's width without breaking them, and returns in how many rounds. No shape may touch the
/// grid's edge.
///
/// Source: Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", 1984.
fn thin(ink: &mut [bool], side: usize) -> usize {
    let mut rounds = 0;
    let mut changed = true;
    while changed {
        changed = false;
        rounds += 1;
        for pass in 0..2 {
            let goes = |i: &usize| {
                let up = i - side;
                let down = i + side;
                // From above, clockwise.
                let around = [up, up + 1, i + 1, down + 1, down, down - 1, i - 1, up - 1].map(|n| ink[n]);
                let count = around.iter().filter(|near| **near).count();
                let starts = (0..8).filter(|n| !around[*n] && around[(n + 1) % 8]).count();
                let [above, right, below, left] = [around[0], around[2], around[4], around[6]];
                let open =
                    if pass == 0 { !(right && below && (above || left)) } else { !(above && left && (right || below)) };
                (2..=6).contains(&count) && starts == 1 && open
            };
            let inner = side..ink.len() - side;
            let gone: Vec<usize> =
                inner.filter(|i| ink[*i] && i % side > 0 && i % side + 1 < side).filter(goes).collect();
            changed |= !gone.is_empty();
            for i in gone {
                ink[i] = false;
            }
        }
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of 10 by 10 pixels, 3 wide, with this brightness inside.
    fn ring(inside: u8) -> [u8; PIXELS] {
        std::array::from_fn(|i| {
            let [x, y] = [i % IMAGE_SIDE, i / IMAGE_SIDE];
            let within = |low: usize, high: usize| (low..high).contains(&x) && (low..high).contains(&y);
            if within(12, 16) { inside } else { 255 * u8::from(within(9, 19)) }
        })
    }

    #[test]
    fn a_fine_pen_keeps_a_loop_or_leaves_the_digit_broad() {
        // The ring's middle is empty if the loop is open.
        let middle = |inside: u8| {
            let drawn = digit(&ring(inside), Pen::Fine(0.05), 0.0, 100.0);
            drawn.get_pixel(drawn.width() / 2, drawn.height() / 2)[0] > 0.5
        };
        assert_eq!([0, 120, 255].map(middle), [false, false, true]);
    }
}
