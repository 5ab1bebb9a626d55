//! The digits of a number: where a picture may be cut, and what lies between the cuts.
//!
//! Source: heuristic over-segmentation, `LeCun` et al. (1998), sections V and VII,
//! <http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf>. The picture is cut wherever two digits may meet, rather too often:
//! [`crate::number`] finds the best path through the groups of pieces.

mod cuts;
mod row;
mod rules;

use image::DynamicImage;

use self::{
    cuts::cut,
    row::{Row, rows},
    rules::without_rules,
};
use super::{
    PIXELS,
    candidates::prepare,
    foreground::by_local_background,
    framing::{frame, frame_thickened},
    plane::{Bounds, Plane},
};

/// Larger pictures are reduced to this longer side, in pixels.
const SIDE: usize = 1000;
/// What has more pieces is no number.
const MAX_ROW: usize = 120;
/// At most this many neighbouring pieces make a digit.
const MAX_PIECES: usize = 7;
/// A digit is at most this wide, as a fraction of the row's height.
const MAX_WIDTH: f32 = 1.5;
/// And at least this high.
const MIN_HEIGHT: f32 = 0.3;

/// A row of pieces, from left to right, and the groups of neighbouring pieces that may be digits.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The share of the row's foreground that each piece has, 0 to 1, from left to right.
    pub pieces: Vec<f32>,
    /// The height of most digits, in the picture's pixels.
    pub height: f32,
    /// Neighbouring pieces that may be a digit.
    pub groups: Vec<Group>,
}

/// Neighbouring pieces that may be a digit.
#[derive(Debug, Clone)]
pub struct Group {
    /// The first piece.
    pub first: usize,
    /// The piece behind the last.
    pub end: usize,
    /// In MNIST's format: as it is and, if its strokes are thin, thickened.
    pub images: Vec<[u8; PIXELS]>,
    /// In the picture, in its pixels.
    pub bounds: Bounds,
    /// Width and height, as fractions of the row's height.
    pub size: [f32; 2],
    /// The foreground that the cuts at its left and right cross, in widths of a stroke.
    pub crossed: f32,
}

/// The graphs of a picture, for several ways to tell its foreground, without equal ones; none if it shows nothing.
#[must_use]
pub fn graphs(picture: &DynamicImage) -> Vec<Graph> {
    let (brightness, foreground) = prepare(picture, SIDE);
    let scale = picture.width().max(picture.height()) as f32 / brightness.bounds().longer() as f32;
    let size = (picture.width() as usize, picture.height() as usize);
    let mut planes = Vec::new();
    if let Some(foreground) = foreground {
        planes.push(foreground.stretched(0.5));
        planes.push(foreground);
    }
    planes.extend(by_local_background(&brightness));
    let mut graphs = Vec::new();
    for plane in planes {
        let clean = without_rules(&plane);
        for plane in [Some(plane), clean].into_iter().flatten() {
            graphs.extend(rows(&plane).iter().filter_map(|row| graph(&plane, row, scale, size)));
        }
    }
    graphs
}

/// A part of the row that is not divided further.
struct Piece {
    /// In the plane.
    bounds: Bounds,
    mass: f32,
    /// What the cut at its left crosses.
    cut: f32,
    /// Its pixels: row, start and end.
    runs: Vec<[usize; 3]>,
}

fn graph(plane: &Plane, row: &Row, scale: f32, size: (usize, usize)) -> Option<Graph> {
    let mut pieces: Vec<Piece> = row.members.iter().flat_map(|member| cut(plane, member, row.height)).collect();
    if pieces.len() > MAX_ROW {
        return None;
    }
    pieces.sort_by_key(|piece| 2 * piece.bounds.left + piece.bounds.width);
    let total: f32 = pieces.iter().map(|piece| piece.mass).sum();
    let mut groups = Vec::new();
    for first in 0..pieces.len() {
        for end in first + 1..=(first + MAX_PIECES).min(pieces.len()) {
            let members = &pieces[first..end];
            let Some(bounds) = members.iter().map(|piece| piece.bounds).reduce(Bounds::union) else { continue };
            let shape = [bounds.width, bounds.height].map(|side| side as f32 / row.height);
            if shape[0] > MAX_WIDTH || shape[1] < MIN_HEIGHT {
                continue;
            }
            let digit = drawn(plane, members, bounds);
            groups.push(Group {
                first,
                end,
                images: [Some(frame(&digit)), frame_thickened(&digit)].into_iter().flatten().collect(),
                bounds: bounds.within((0.0, 0.0), scale, size),
                size: shape,
                crossed: pieces[first].cut + pieces.get(end).map_or(0.0, |piece| piece.cut),
            });
        }
    }
    Some(Graph { pieces: pieces.iter().map(|piece| piece.mass / total).collect(), height: row.height * scale, groups })
}

/// Some pieces with nothing else.
fn drawn(plane: &Plane, pieces: &[Piece], part: Bounds) -> Plane {
    let mut values = vec![0.0; part.width * part.height];
    for [y, start, end] in pieces.iter().flat_map(|piece| &piece.runs) {
        let to = (y - part.top) * part.width + start - part.left;
        let from = y * plane.width + start;
        values[to..to + end - start].copy_from_slice(&plane.values[from..from + end - start]);
    }
    Plane { width: part.width, height: part.height, values }
}
