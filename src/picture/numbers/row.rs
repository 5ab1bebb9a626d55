//! Which components make the row of digits.

use super::super::{
    components::{Component, Components},
    plane::{Bounds, Plane},
};

/// What is smaller than this fraction of the row's height, in both directions, is a speck.
const SPECK: f32 = 0.12;
/// A line is at least this wide and at most this high, as fractions of the row's height.
const LINE: (f32, f32) = (0.9, 0.3);
/// Frames are at most this full, as a fraction of their area, and at least this high, as a fraction of the row's height.
const FRAME: (f32, f32) = (0.25, 1.2);

/// A row rises or falls at most by this, for each pixel to the right.
const MAX_SLOPE: f32 = 0.2;
/// What has less than this fraction of all foreground, or is shorter than this, in pixels, does not say where the row is, ...
const GRAIN: (f32, usize) = (0.002, 4);
/// ... nor what is this many times as wide as it is high.
const FLAT: f32 = 4.0;
/// Between these fractions of the digits' height, something says where the row is.
const FULL: (f32, f32) = (0.5, 1.8);
/// The middle of what belongs to the row is at most this far from the row's, as fractions of the digits' height: first, while
/// the row is looked for, then of all components.
const OFF: (f32, f32) = (0.6, 0.7);
/// What belongs to a row is at most this high, likewise.
const HIGHEST: f32 = 2.5;
/// Frames of a whole row are at least this wide and high, as fractions of the picture, and at most this full.
const ROW_FRAME: (f32, f32, f32) = (0.5, 0.4, 0.2);
/// What a frame encloses is at least this long, as a fraction of its own longer side.
const MIN_ENCLOSED: f32 = 0.3;

/// The components of a row of digits.
pub(super) struct Row {
    pub members: Vec<Member>,
    /// The height of most digits, in pixels.
    pub height: f32,
}

/// A component's pixels.
pub(super) struct Member {
    pub bounds: Bounds,
    /// Row, start and end of each run.
    pub runs: Vec<[usize; 3]>,
}

/// The rows of all components, and of inner ones only: without what touches the edge, and frames. Without equal ones.
pub(super) fn rows(plane: &Plane) -> Vec<Row> {
    let components = Components::of(plane);
    let is_inner: Vec<bool> = components.list.iter().map(|c| is_inner(c, &components.list, plane)).collect();
    let everything = vec![true; is_inner.len()];
    let [all, inner] =
        [(&everything, false), (&is_inner, true)].map(|(wanted, inner)| Row::of(plane, &components, wanted, inner));
    let is_same = |a: &Row, b: &Row| a.members.len() == b.members.len() && a.height.to_bits() == b.height.to_bits();
    let inner = inner.filter(|inner| all.as_ref().is_none_or(|all| !is_same(all, inner)));
    all.into_iter().chain(inner).collect()
}

impl Row {
    /// The row of the components that are wanted.
    fn of(plane: &Plane, components: &Components, wanted: &[bool], without_frames: bool) -> Option<Self> {
        let list = &components.list;
        let total: f32 = list.iter().map(|c| c.mass).sum();
        let is_telling = |c: &Component| c.mass > GRAIN.0 * total && c.bounds.longer() >= GRAIN.1 && !is_flat(c);
        let telling: Vec<&Component> =
            list.iter().zip(wanted).filter(|(c, wanted)| **wanted && is_telling(c)).map(|(c, _)| c).collect();
        let height = usual_height(telling.iter().copied())?;
        let line = line(&telling, height, plane)?;
        let belongs = |c: &Component| {
            let (x, y) = centre(c);
            let [w, h] = [c.bounds.width, c.bounds.height].map(|side| side as f32 / height);
            let is_frame = h > FRAME.1 && w > FRAME.1 && fullness(c) < FRAME.0;
            (y - at(line, x)).abs() < OFF.1 * height
                && w.max(h) > SPECK
                && h < HIGHEST
                && !(w > LINE.0 && h < LINE.1)
                && !(without_frames && is_frame)
        };
        let chosen: Vec<bool> = list.iter().zip(wanted).map(|(c, wanted)| *wanted && belongs(c)).collect();
        // Again, without what is elsewhere.
        let height = usual_height(list.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(c, _)| c))?;
        let mut members: Vec<Member> = Vec::new();
        let mut index = vec![0; list.len()];
        for (i, c) in list.iter().enumerate().filter(|(i, _)| chosen[*i]) {
            index[i] = members.len();
            members.push(Member { bounds: c.bounds, runs: Vec::new() });
        }
        for run in components.runs.iter().filter(|run| chosen[run.component]) {
            members[index[run.component]].runs.push([run.y, run.start, run.end]);
        }
        Some(Self { members, height })
    }
}

/// The height of most foreground, in pixels; `None` if there is none.
fn usual_height<'a>(components: impl Iterator<Item = &'a Component>) -> Option<f32> {
    weighted_median(components.map(|c| (c.bounds.height as f32, c.mass)))
}

/// The line through the middles of digits of this height: its offset and its slope.
fn line(components: &[&Component], height: f32, plane: &Plane) -> Option<(f32, f32)> {
    let is_full = |c: &&Component| (FULL.0 * height..FULL.1 * height).contains(&(c.bounds.height as f32));
    let full: Vec<&Component> = components.iter().copied().filter(is_full).collect();
    let mut line = (densest(&full, plane.height)?, 0.0);
    for _ in 0..2 {
        let near =
            full.iter().map(|c| (centre(c), c.mass)).filter(|((x, y), _)| (y - at(line, *x)).abs() < OFF.0 * height);
        line = fitted(near).unwrap_or(line);
    }
    Some(line)
}

fn centre(c: &Component) -> (f32, f32) {
    (c.bounds.left as f32 + c.bounds.width as f32 / 2.0, c.bounds.top as f32 + c.bounds.height as f32 / 2.0)
}

fn at((offset, slope): (f32, f32), x: f32) -> f32 {
    offset + slope * x
}

fn is_flat(c: &Component) -> bool {
    c.bounds.width as f32 > FLAT * c.bounds.height as f32
}

/// How much of its bounds a component fills, 0 to 1.
fn fullness(c: &Component) -> f32 {
    c.pixels as f32 / (c.bounds.width * c.bounds.height) as f32
}

/// Whether a component neither touches the edge nor is a frame around the row or around another component.
fn is_inner(c: &Component, all: &[Component], plane: &Plane) -> bool {
    let Bounds { left, top, width, height } = c.bounds;
    let touches_edge = left == 0 || top == 0 || left + width == plane.width || top + height == plane.height;
    let is_large = width as f32 > ROW_FRAME.0 * plane.width as f32 && height as f32 > ROW_FRAME.1 * plane.height as f32;
    let encloses = |other: &Component| {
        let is_long = other.bounds.longer() as f32 > MIN_ENCLOSED * c.bounds.longer() as f32;
        is_long && c.bounds != other.bounds && c.bounds.encloses(other.bounds)
    };
    let is_frame = is_large && fullness(c) < ROW_FRAME.2 || all.iter().any(encloses);
    !(touches_edge || is_frame)
}

fn weighted_median(values: impl Iterator<Item = (f32, f32)>) -> Option<f32> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f32>() / 2.0;
    let mut sum = 0.0;
    values.into_iter().find_map(|(value, weight)| {
        sum += weight;
        (sum >= half).then_some(value)
    })
}

/// The height at which most mass is crossed; `None` without components.
fn densest(components: &[&Component], height: usize) -> Option<f32> {
    if components.is_empty() {
        return None;
    }
    let mut steps = vec![0.0; height + 1];
    for c in components {
        steps[c.bounds.top] += c.mass;
        steps[c.bounds.top + c.bounds.height] -= c.mass;
    }
    let mut sum = 0.0;
    let sums: Vec<f32> = steps
        .iter()
        .map(|step| {
            sum += step;
            sum
        })
        .collect();
    // A little less is the same: sums of floating-point numbers are rounded.
    let most = 0.999 * sums.iter().copied().fold(0.0, f32::max);
    let is_most = |y: &usize| sums[*y] >= most;
    let (first, last) = ((0..height).find(is_most)?, (0..height).rfind(is_most)?);
    Some((first + last) as f32 / 2.0)
}

/// A line through points with weights: its offset and its slope.
fn fitted(points: impl Iterator<Item = ((f32, f32), f32)>) -> Option<(f32, f32)> {
    let points: Vec<_> = points.collect();
    let sum: f32 = points.iter().map(|p| p.1).sum();
    if sum <= 0.0 {
        return None;
    }
    let mean = |of: fn(&(f32, f32)) -> f32| points.iter().map(|(p, weight)| of(p) * weight).sum::<f32>() / sum;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let variance: f32 = points.iter().map(|(p, weight)| (p.0 - x).powi(2) * weight).sum();
    let covariance: f32 = points.iter().map(|(p, weight)| (p.0 - x) * (p.1 - y) * weight).sum();
    let slope = if points.len() > 2 {
        (covariance / variance.max(f32::MIN_POSITIVE)).clamp(-MAX_SLOPE, MAX_SLOPE)
    } else {
        0.0
    };
    Some((y - slope * x, slope))
}
