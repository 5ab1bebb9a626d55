//! Which components of a plane may be the digit, and which are lines, frames, rings and specks.

use super::{
    candidates::MIN_DIGIT,
    components::{Component, Components},
    plane::{Bounds, Plane},
};

/// A component whose mass is less than this fraction of the largest one's is a speck, not part of the digit.
const MIN_COMPONENT: f32 = 0.05;
/// Frames are at least this large, as a fraction of each side, and at most this full, as a fraction of their area.
const FRAME: (f32, f32) = (0.6, 0.25);
/// Lines are at least this long and at most this thick, as fractions of the sides.
const LINE: (f32, f32) = (0.5, 0.08);
/// What a ring encloses is at least this long, as a fraction of its own longer side.
const MIN_ENCLOSED: f32 = 0.3;
/// A dash is at least this many times as wide as it is high.
const DASH: f32 = 3.0;
/// What is at most this far from the largest component, as a fraction of its longer side, belongs to it.
const NEAR: f32 = 0.15;

/// A digit is hardly this many times as wide as it is high: two may be.
const JOINED: f32 = 1.5;
/// Neighbouring digits have at least this fraction of the higher one's height in common, ...
const SIMILAR: f32 = 0.5;
/// ... and at most this fraction of the narrower one's columns.
const OVERLAP: f32 = 0.25;

/// A choice of components: one flag for each.
pub(super) type Selection = Vec<bool>;

/// The choices that differ, the plainest first: all components but specks; only inner ones; only the core.
pub(super) fn selections(components: &Components, plane: &Plane) -> Vec<Selection> {
    let components = &components.list;
    let mut selections = vec![all(components)];
    for selection in [large(components, |component| is_inner(component, plane)), core(components, plane)] {
        if !selections.contains(&selection) {
            selections.push(selection);
        }
    }
    selections
}

/// All components but specks.
pub(super) fn all(components: &[Component]) -> Selection {
    large(components, |_| true)
}

/// The smallest rectangle around the chosen components.
pub(super) fn bounds(components: &[Component], selection: &[bool]) -> Option<Bounds> {
    components.iter().zip(selection).filter(|(_, chosen)| **chosen).map(|(c, _)| c.bounds).reduce(Bounds::union)
}

/// Which components are wanted and not much smaller than the largest of these.
fn large(components: &[Component], wanted: impl Fn(&Component) -> bool) -> Selection {
    let wanted: Vec<bool> = components.iter().map(wanted).collect();
    let masses = components.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(component, _)| component.mass);
    let min_mass = MIN_COMPONENT * masses.fold(0.0, f32::max);
    components.iter().zip(wanted).map(|(component, wanted)| wanted && component.mass >= min_mass).collect()
}

/// Whether a component does not touch the edge, and is neither a frame nor a line.
fn is_inner(component: &Component, plane: &Plane) -> bool {
    let Bounds { width, height, .. } = component.bounds;
    let [across, down] = [width as f32 / plane.width as f32, height as f32 / plane.height as f32];
    let fullness = component.pixels as f32 / (width * height) as f32;
    let is_frame = across > FRAME.0 && down > FRAME.0 && fullness < FRAME.1;
    let is_line = across > LINE.0 && down < LINE.1 || down > LINE.0 && across < LINE.1;
    !(touches_edge(component.bounds, plane) || is_frame || is_line)
}

/// The largest component that is neither a dash nor a ring around others, and what lies near it. One that touches the edge
/// has to be twice as large.
fn core(components: &[Component], plane: &Plane) -> Selection {
    let large = all(components);
    let parts: Vec<Bounds> =
        components.iter().zip(&large).filter(|(_, large)| **large).map(|(c, _)| c.bounds).collect();
    let may_belong = |part: Bounds| !is_dash(part) && !parts.iter().any(|other| is_ring_around(part, *other));
    let size = |part: &Bounds| part.longer() * if touches_edge(*part, plane) { 1 } else { 2 };
    let largest = parts.iter().copied().filter(|part| may_belong(*part)).max_by_key(size);
    let is_near =
        |part: Bounds| largest.is_some_and(|largest| part.distance(largest) as f32 <= NEAR * largest.longer() as f32);
    let belongs = |part: Bounds| is_near(part) && may_belong(part);
    components.iter().zip(large).map(|(component, large)| large && belongs(component.bounds)).collect()
}

/// Which components have neighbours as digits have, or are as wide as two digits that touch.
pub(super) fn in_row(components: &[Component], plane: &Plane) -> Vec<bool> {
    let large = all(components);
    let parts: Vec<Bounds> =
        components.iter().zip(&large).filter(|(_, large)| **large).map(|(c, _)| c.bounds).collect();
    let may_be_digit = |part: Bounds| {
        part.height >= MIN_DIGIT
            && !is_dash(part)
            && edges_touched(part, plane) < 2
            && !parts.iter().any(|other| is_ring_around(part, *other))
    };
    let digits: Vec<Bounds> = parts.iter().filter(|part| may_be_digit(**part)).copied().collect();
    let is_wide = |part: Bounds| part.width as f32 >= JOINED * part.height as f32;
    let has_neighbour = |part: Bounds| digits.iter().any(|other| are_neighbours(part, *other));
    let of = |part: Bounds| digits.contains(&part) && (is_wide(part) || has_neighbour(part));
    components.iter().zip(large).map(|(component, large)| large && of(component.bounds)).collect()
}

/// Whether two parts are about equally high, at about the same height, and one behind the other.
fn are_neighbours(a: Bounds, b: Bounds) -> bool {
    let both = a.union(b);
    let common = |whole: usize, a: usize, b: usize| (a + b).saturating_sub(whole) as f32;
    let (higher, lower) = (a.height.max(b.height) as f32, a.height.min(b.height) as f32);
    lower >= SIMILAR * higher
        && common(both.height, a.height, b.height) >= SIMILAR * higher
        && common(both.width, a.width, b.width) <= OVERLAP * a.width.min(b.width) as f32
}

fn is_dash(part: Bounds) -> bool {
    part.width as f32 >= DASH * part.height as f32
}

fn is_ring_around(part: Bounds, other: Bounds) -> bool {
    part != other && part.encloses(other) && other.longer() as f32 > MIN_ENCLOSED * part.longer() as f32
}

fn touches_edge(part: Bounds, plane: &Plane) -> bool {
    edges_touched(part, plane) > 0
}

fn edges_touched(part: Bounds, plane: &Plane) -> usize {
    let Bounds { left, top, width, height } = part;
    let edges = [left == 0, top == 0, left + width == plane.width, top + height == plane.height];
    edges.into_iter().filter(|touched| *touched).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components(parts: &[(usize, usize, usize, usize)]) -> Vec<Component> {
        let filled = |&(left, top, width, height)| {
            let pixels = width * height;
            Component { bounds: Bounds { left, top, width, height }, pixels, mass: pixels as f32 }
        };
        parts.iter().map(filled).collect()
    }

    fn plane() -> Plane {
        Plane { width: 100, height: 100, values: Vec::new() }
    }

    /// The rectangles (left, top, width, height) that are the core of a plane of 100x100 pixels.
    fn core_of(parts: &[(usize, usize, usize, usize)]) -> Vec<usize> {
        let core = core(&components(parts), &plane());
        (0..parts.len()).filter(|i| core[*i]).collect()
    }

    #[test]
    fn the_core_is_the_digit() {
        let digit = (40, 30, 20, 30);
        // Underlined, in a ring, beside two holes, below a line at the edge that is longer than the digit.
        assert_eq!(core_of(&[digit, (30, 65, 40, 4)]), [0]);
        assert_eq!(core_of(&[(30, 20, 40, 50), digit]), [1]);
        assert_eq!(core_of(&[(5, 10, 10, 10), (5, 60, 10, 10), digit]), [2]);
        assert_eq!(core_of(&[(0, 0, 50, 17), digit]), [1]);
        // A 5 whose upper stroke is apart, and one that touches the edge but is alone.
        assert_eq!(core_of(&[digit, (45, 26, 10, 4)]), [0, 1]);
        assert_eq!(core_of(&[(0, 0, 50, 60)]), [0]);
        assert_eq!(core_of(&[]), [0; 0]);
    }

    /// Whether the first rectangle of a plane of 100x100 pixels may be one of several digits.
    fn first_in_row(parts: &[(usize, usize, usize, usize)]) -> bool {
        in_row(&components(parts), &plane()).first() == Some(&true)
    }

    #[test]
    fn digits_have_neighbours() {
        let digit = (20, 30, 20, 30);
        for beside in [(50, 32, 22, 28), (45, 25, 4, 34), (38, 30, 20, 30)] {
            assert!(first_in_row(&[digit, beside]), "{beside:?}");
        }
        // Two that touch.
        assert!(first_in_row(&[(20, 30, 46, 30)]));
        // Below it, far below, a line, a hole, an edge of the sheet, a ring; and two holes.
        for other in
            [(20, 65, 20, 30), (60, 62, 20, 30), (45, 50, 40, 5), (60, 10, 8, 8), (80, 0, 20, 100), (10, 20, 40, 50)]
        {
            assert!(!first_in_row(&[digit, other]), "{other:?}");
        }
        assert!(!first_in_row(&[digit, (20, 80, 8, 8), (60, 80, 8, 8)]));
        assert!(!first_in_row(&[digit]) && !first_in_row(&[]));
    }
}
