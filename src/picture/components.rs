//! Connected components of the foreground: pixels that touch at a side or at a corner.
//!
//! Source: two passes over runs of pixels, with union-find: He, Chao and Suzuki, "A run-based two-scan labeling
//! algorithm", IEEE Transactions on Image Processing 17 (2008), section III.

use super::plane::{Bounds, LANES, Plane};

/// Pixels with at least this much foreground, out of 1, belong to a connected component.
pub(super) const FOREGROUND_THRESHOLD: f32 = 0.3;

/// Neighbouring foreground pixels of a row: from `start` to before `end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub y: usize,
    pub start: usize,
    pub end: usize,
    /// The index of its component.
    pub component: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub bounds: Bounds,
    pub pixels: usize,
    /// The sum of its pixels' values.
    pub mass: f32,
}

#[derive(Debug, Default)]
pub(super) struct Components {
    pub runs: Vec<Run>,
    pub list: Vec<Component>,
}

impl Components {
    pub fn of(plane: &Plane) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        // The parent of each run in the union-find forest.
        let mut parents: Vec<usize> = Vec::new();
        let mut above = 0..0;
        for (y, row) in plane.rows().enumerate() {
            let first = runs.len();
            let mut candidates = above.start;
            let mut x = 0;
            while let Some(start) = next_foreground(row, x) {
                let end = row[start..].iter().position(|v| *v < FOREGROUND_THRESHOLD).map_or(row.len(), |n| start + n);
                let this = runs.len();
                runs.push(Run { y, start, end, component: 0 });
                parents.push(this);
                while candidates < above.end && runs[candidates].end < start {
                    candidates += 1;
                }
                // The last one that touches this run may touch the next one, too.
                for other in (candidates..above.end).take_while(|other| runs[*other].start <= end) {
                    let (a, b) = (root(&mut parents, other), root(&mut parents, this));
                    parents[a.max(b)] = a.min(b);
                }
                x = end;
            }
            above = first..runs.len();
        }
        let mut list: Vec<Component> = Vec::new();
        for i in 0..runs.len() {
            let Run { y, start, end, .. } = runs[i];
            let bounds = Bounds { left: start, top: y, width: end - start, height: 1 };
            let mass = plane.values[y * plane.width + start..y * plane.width + end].iter().sum();
            let part = Component { bounds, pixels: end - start, mass };
            // A root comes before all others of its tree.
            let root = root(&mut parents, i);
            if root == i {
                runs[i].component = list.len();
                list.push(part);
            } else {
                runs[i].component = runs[root].component;
                let whole = &mut list[runs[i].component];
                whole.bounds = whole.bounds.union(bounds);
                whole.pixels += part.pixels;
                whole.mass += mass;
            }
        }
        Self { runs, list }
    }
}

/// The first foreground pixel from `start` on.
fn next_foreground(row: &[f32], start: usize) -> Option<usize> {
    let is_foreground = |value: &f32| *value >= FOREGROUND_THRESHOLD;
    // Most of a picture is background: it is skipped in vectors.
    let (chunks, _) = row[start..].as_chunks::<LANES>();
    let skipped = chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |any, v| any | is_foreground(v))).count();
    let start = start + skipped * LANES;
    row[start..].iter().position(is_foreground).map(|gap| start + gap)
}

fn root(parents: &mut [usize], mut run: usize) -> usize {
    while parents[run] != run {
        parents[run] = parents[parents[run]];
        run = parents[run];
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_that_touch_are_one_component() {
        // A U whose arms meet in the last row, a diagonal, and a pixel alone; as wide as two vectors.
        let rows = [
            "#...#...................#.............",
            "#...#..................#............#.",
            "#####.................#...............",
        ];
        let values = rows.iter().flat_map(|row| row.bytes()).map(|byte| f32::from(u8::from(byte == b'#'))).collect();
        let components = Components::of(&Plane { width: rows[0].len(), height: rows.len(), values });
        let mut found: Vec<_> = components.list.iter().map(|c| (c.pixels, c.bounds.left, c.bounds.width)).collect();
        found.sort_unstable();
        assert_eq!(found, [(1, 36, 1), (3, 22, 3), (9, 0, 5)]);
        assert_eq!(components.runs.iter().filter(|run| run.component == 0).count(), 5);
    }
}
