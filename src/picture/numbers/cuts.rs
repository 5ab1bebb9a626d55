//! Cuts through touching digits: paths from top to bottom that cross little foreground.
//!
//! Source: Breuel, "Segmentation of handprinted letter strings using a dynamic programming algorithm", Proceedings of
//! ICDAR (2001), section 3.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides are bounded")]

use super::{
    super::plane::{Bounds, Plane},
    Piece,
    row::Member,
};

/// Components narrower than this fraction of the row's height are not cut.
const MIN_WIDTH: f32 = 0.35;
/// Cuts keep this distance from each other, as a fraction of the row's height.
const MIN_DISTANCE: f32 = 0.06;
/// A cut crosses at most this much, in widths of a stroke.
const MAX_CROSSED: f32 = 4.0;
/// What a step to the side costs, in foreground.
const STEP: f32 = 0.6;
/// Strokes are at most this wide, as a fraction of the row's height.
const MAX_STROKE: f32 = 0.25;
/// Pieces have at least this mass, as a fraction of the square of the row's height.
const MIN_MASS: f32 = 0.01;

/// A path: for each row of the component, the first column right of it; and what it crosses.
struct Path {
    columns: Vec<usize>,
    crossed: f32,
}

/// The pieces of a component, from left to right.
pub(super) fn cut(plane: &Plane, member: &Member, height: f32) -> Vec<Piece> {
    let is_wide = member.bounds.width as f32 >= MIN_WIDTH * height;
    let mut paths = if is_wide { paths(plane, member, height) } else { Vec::new() };
    loop {
        let pieces = divided(plane, member, &paths);
        // A cut that leaves next to nothing on one side is none.
        let small = pieces.iter().position(|piece| piece.mass < MIN_MASS * height * height);
        let crossed = |cut: &usize| paths[*cut].crossed;
        let beside = small.map(|small| [small.checked_sub(1), (small < paths.len()).then_some(small)]);
        let worse = beside.and_then(|cuts| cuts.into_iter().flatten().max_by(|a, b| crossed(a).total_cmp(&crossed(b))));
        match worse {
            Some(worse) => drop(paths.remove(worse)),
            None => return pieces,
        }
    }
}

fn divided(plane: &Plane, member: &Member, paths: &[Path]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = (0..=paths.len())
        .map(|i| Piece {
            bounds: member.bounds,
            mass: 0.0,
            cut: i.checked_sub(1).map_or(0.0, |i| paths[i].crossed),
            runs: Vec::new(),
        })
        .collect();
    for [y, start, end] in &member.runs {
        let row = y - member.bounds.top;
        let mut from = *start;
        for (i, piece) in pieces.iter_mut().enumerate() {
            let to = paths.get(i).map_or(*end, |path| (member.bounds.left + path.columns[row]).clamp(from, *end));
            if to > from {
                piece.runs.push([*y, from, to]);
                piece.mass += plane.values[y * plane.width + from..y * plane.width + to].iter().sum::<f32>();
            }
            from = to;
        }
    }
    for piece in &mut pieces {
        let parts = piece.runs.iter();
        let parts = parts.map(|[y, start, end]| Bounds { left: *start, top: *y, width: end - start, height: 1 });
        piece.bounds = parts.reduce(Bounds::union).unwrap_or(piece.bounds);
    }
    pieces
}

/// The paths through a component that cross less than their neighbours, from left to right.
fn paths(plane: &Plane, member: &Member, height: f32) -> Vec<Path> {
    let Bounds { top, left, width, height: rows } = member.bounds;
    let mut foreground = Plane { width, height: rows, values: vec![0.0; width * rows] };
    let mut area = 0.0;
    for [y, start, end] in &member.runs {
        let (to, from) = ((y - top) * width + start - left, y * plane.width + start);
        foreground.values[to..to + end - start].copy_from_slice(&plane.values[from..from + end - start]);
        area += (end - start) as f32;
    }
    // A row crosses an upright stroke in one run.
    let stroke = (area / member.runs.len() as f32).min(MAX_STROKE * height).max(1.0);
    let mean = foreground.values.iter().sum::<f32>() / area.max(1.0);
    let (costs, steps) = descend(&foreground);
    let reach = ((MIN_DISTANCE * height) as usize).max(1);
    let path = |end: usize| {
        let mut columns = vec![end; rows];
        for y in (1..rows).rev() {
            columns[y - 1] = columns[y].saturating_add_signed(steps[(y - 1) * width + columns[y]].into());
        }
        let crossed: f32 = columns.iter().enumerate().map(|(y, x)| foreground.values[y * width + x]).sum();
        Path { columns, crossed: crossed / (mean * stroke).max(f32::MIN_POSITIVE) }
    };
    minima(&costs, reach).into_iter().map(path).filter(|path| path.crossed <= MAX_CROSSED).collect()
}

/// For each column of the last row what the best path to it crosses, and, for each pixel of the others but the first, by how
/// many columns that path comes from the side: -1, 0 or 1.
fn descend(foreground: &Plane) -> (Vec<f32>, Vec<i8>) {
    let mut lines = foreground.rows();
    let mut costs = lines.next().unwrap_or_default().to_vec();
    let mut steps = Vec::with_capacity(foreground.values.len());
    for line in lines {
        let mut next = Vec::with_capacity(costs.len());
        for (x, value) in line.iter().enumerate() {
            let mut best = (costs[x], 0);
            if x > 0 && costs[x - 1] + STEP < best.0 {
                best = (costs[x - 1] + STEP, -1);
            }
            if x + 1 < costs.len() && costs[x + 1] + STEP < best.0 {
                best = (costs[x + 1] + STEP, 1);
            }
            next.push(best.0 + value);
            steps.push(best.1);
        }
        costs = next;
    }
    (costs, steps)
}

/// The columns whose cost is the least within this distance; of equal neighbours, the one in the middle.
fn minima(costs: &[f32], reach: usize) -> Vec<usize> {
    let is_least = |x: usize| {
        let around = &costs[x.saturating_sub(reach)..(x + reach + 1).min(costs.len())];
        around.iter().all(|cost| *cost >= costs[x])
    };
    let mut minima = Vec::new();
    let mut x = 0;
    while x < costs.len() {
        if is_least(x) {
            let last = (x..costs.len()).take_while(|i| costs[*i] <= costs[x]).last().unwrap_or(x);
            minima.push(usize::midpoint(x, last));
            x = last;
        }
        x += 1;
    }
    minima
}

#[cfg(test)]
mod tests {
    use super::{super::row::rows, *};

    #[test]
    fn two_rings_are_cut_where_they_are_joined() {
        let (width, height) = (100, 60);
        let ring = |x: usize, y: usize, centre: usize| {
            let from = (x as f32 - centre as f32).hypot(y as f32 - 30.0);
            (14.0..19.0).contains(&from)
        };
        let values = (0..width * height)
            .map(|i| (i % width, i / width))
            .map(|(x, y)| ring(x, y, 30) || ring(x, y, 70) || (48..53).contains(&x) && (29..32).contains(&y))
            .map(|is_stroke| f32::from(u8::from(is_stroke)));
        let plane = Plane { width, height, values: values.collect() };
        let row = rows(&plane).remove(0);
        let pieces = cut(&plane, &row.members[0], row.height);
        let cut = pieces.iter().find(|piece| piece.bounds.left.abs_diff(50) <= 3).unwrap();
        assert!(cut.cut < 1.0 && pieces.iter().all(|piece| piece.cut >= 0.0), "{}", cut.cut);
        assert_eq!(
            pieces.iter().map(|piece| piece.runs.iter().map(|[_, a, b]| b - a).sum::<usize>()).sum::<usize>(),
            (0..width * height).filter(|i| plane.values[*i] > 0.0).count()
        );
        // Each piece begins behind the one before it.
        assert!(pieces.windows(2).all(|pair| pair[0].bounds.left <= pair[1].bounds.left));
    }
}
