//! Which number a picture shows: the net reads all groups of pieces in one batch, and the best path through them is the
//! number.
//!
//! Source: `LeCun` et al. (1998), section V (heuristic over-segmentation, the segmentation graph and its best path) and
//! section VI.C (forward scoring: what all paths say), <http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf>.

mod lattice;
mod scoring;

use std::fmt::{self, Display, Formatter};

use burn::tensor::Device;
use image::DynamicImage;

use self::{
    lattice::{Arc, Lattice, log_add},
    scoring::{DIGITS, Seen, skipped},
};
use crate::{
    Result,
    config::Scale,
    data::{PIXELS, images_tensor},
    model::{LeNet5, rows},
    picture::{Bounds, Graph, Group, graphs},
};

/// Groups are in the same place if they share at least this fraction of their columns.
const SAME_PLACE: f32 = 0.5;
/// Less likely digits of a group are not considered.
const MIN_PROBABILITY: f32 = 0.01;
/// A gap of this width or more, as a fraction of the digits' height, is a space.
const SPACE: f32 = 0.5;
/// Unless there are at least three, all of about the same width: the widest is less than this many times the narrowest.
const EVEN: f32 = 1.5;
/// A row of digits has at least this mean score. Source: measured on scenes, as the next two.
const MIN_SCORE: f32 = -1.5;
/// Two digits or more have at least this share of all paths, ...
const MIN_SEVERAL: f32 = 0.95;
/// ... and at least this mean score.
const MIN_SCORE_OF_SEVERAL: f32 = -0.5;

/// What a picture of a number shows.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberReading {
    /// From left to right; at least one.
    pub digits: Vec<NumberDigit>,
    /// The share of all paths, by their scores, that say this number, 0 to 1.
    pub probability: f32,
    /// The mean score of its digits: low if nothing looks like a row of digits.
    pub score: f32,
    /// The share of all paths, by their scores, that say two digits or more, 0 to 1.
    pub several: f32,
}

impl NumberReading {
    /// Whether it looks like a number, or a digit, at all.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.score >= MIN_SCORE
    }

    /// Whether it looks like a number of two digits or more.
    #[must_use]
    pub fn is_several(&self) -> bool {
        self.digits.len() > 1 && self.several >= MIN_SEVERAL && self.score >= MIN_SCORE_OF_SEVERAL
    }
}

/// The digits, with a space where there is a clear gap.
impl Display for NumberReading {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.digits.iter().try_for_each(|digit| {
            let space = if digit.after_space { " " } else { "" };
            write!(f, "{space}{}", digit.digit)
        })
    }
}

/// A digit of a number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberDigit {
    /// The digit, 0 to 9.
    pub digit: usize,
    /// The share of all paths, by their scores, that say this digit here, 0 to 1.
    pub probability: f32,
    /// Where it is in the picture, in the picture's pixels.
    pub bounds: Bounds,
    /// Whether there is a space before it.
    pub after_space: bool,
    /// As the net saw it, in MNIST's format.
    pub image: [u8; PIXELS],
}

/// Reads a number with a net whose classes are the ten digits; `None` if no part of the picture may be a digit.
///
/// # Errors
/// The device fails.
pub fn read_number(
    net: &LeNet5,
    scale: Scale,
    device: &Device,
    picture: &DynamicImage,
) -> Result<Option<NumberReading>> {
    let graphs = graphs(picture);
    let images: Vec<_> = graphs.iter().flat_map(|graph| &graph.groups).flat_map(|group| &group.images).collect();
    if images.is_empty() {
        return Ok(None);
    }
    let logits = rows(net.forward(images_tensor(images.into_iter(), scale, device)))?;
    let mut logits = logits.iter();
    let rows: Vec<Row> = graphs
        .iter()
        .map(|graph| {
            let see = |group: &Group| Seen::best(logits.by_ref().take(group.images.len()));
            Row::new(graph, graph.groups.iter().map(see).collect())
        })
        .collect();
    Ok(decide(&rows))
}

/// A graph, and what the net says about it.
struct Row<'a> {
    graph: &'a Graph,
    /// About each group.
    seen: Vec<Option<Seen>>,
    lattice: Lattice,
}

/// The best path in all rows.
fn decide(rows: &[Row]) -> Option<NumberReading> {
    let (score, best, path) = rows
        .iter()
        .map(|row| {
            let (score, path) = row.lattice.best_path();
            (score, row, path.into_iter().filter(|arc| arc.digit.is_some()).collect::<Vec<&Arc>>())
        })
        .filter(|(_, _, path)| !path.is_empty())
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let forward: Vec<(f32, Vec<f32>)> = rows.iter().map(|row| row.lattice.forward()).collect();
    let all = forward.iter().fold(f32::NEG_INFINITY, |sum, (of_row, _)| log_add(sum, *of_row));
    let said: Vec<usize> = path.iter().filter_map(|arc| arc.digit).collect();
    let sum_of_rows =
        |of: &dyn Fn(&Lattice) -> f32| rows.iter().map(|row| of(&row.lattice)).fold(f32::NEG_INFINITY, log_add);
    let same = sum_of_rows(&|lattice| lattice.forward_of(&said));
    let at_most_one = sum_of_rows(&Lattice::forward_of_at_most_one);
    let share = |arc: &Arc| {
        let bounds = best.graph.groups[arc.group].bounds;
        let agrees = |row: &Row, other: &Arc| {
            other.digit == arc.digit && is_same_place(row.graph.groups[other.group].bounds, bounds)
        };
        let agreeing = rows.iter().zip(&forward).flat_map(|(row, (_, through))| {
            row.lattice.arcs.iter().zip(through).filter(|(other, _)| agrees(row, other)).map(|(_, through)| *through)
        });
        (agreeing.fold(f32::NEG_INFINITY, log_add) - all).exp().min(1.0)
    };
    let bounds: Vec<Bounds> = path.iter().map(|arc| best.graph.groups[arc.group].bounds).collect();
    let spaces = spaces(&bounds, best.graph.height);
    let digits = path.iter().zip(spaces).filter_map(|(arc, after_space)| {
        let group = &best.graph.groups[arc.group];
        let image = *group.images.get(best.seen[arc.group].as_ref()?.image)?;
        Some(NumberDigit { digit: arc.digit?, probability: share(arc), bounds: group.bounds, after_space, image })
    });
    Some(NumberReading {
        digits: digits.collect(),
        probability: (same - all).exp().min(1.0),
        score: score / path.len() as f32,
        several: 1.0 - (at_most_one - all).exp().min(1.0),
    })
}

/// Whether two groups, perhaps on different planes, lie in the same columns.
fn is_same_place(a: Bounds, b: Bounds) -> bool {
    let common = (a.left + a.width).min(b.left + b.width).saturating_sub(a.left.max(b.left));
    common as f32 >= SAME_PLACE * (a.width + b.width - common) as f32
}

/// Before which digits there is a clear gap.
fn spaces(digits: &[Bounds], height: f32) -> Vec<bool> {
    let gaps: Vec<f32> =
        digits.windows(2).map(|pair| (pair[1].left as f32 - (pair[0].left + pair[0].width) as f32) / height).collect();
    let [narrowest, widest] = [gaps.iter().copied().fold(f32::MAX, f32::min), gaps.iter().copied().fold(0.0, f32::max)];
    let is_even = gaps.len() >= 3 && widest < EVEN * narrowest;
    std::iter::once(false).chain(gaps.into_iter().map(|gap| gap >= SPACE && !is_even)).collect()
}

impl<'a> Row<'a> {
    /// With an arc for each digit that a group may be, and one for each piece that is left out.
    fn new(graph: &'a Graph, seen: Vec<Option<Seen>>) -> Self {
        let mut arcs: Vec<Arc> = graph
            .pieces
            .iter()
            .enumerate()
            .map(|(piece, mass)| Arc { from: piece, to: piece + 1, digit: None, score: skipped(*mass), group: 0 })
            .collect();
        for (index, (group, seen)) in graph.groups.iter().zip(&seen).enumerate() {
            let Some(seen) = seen else { continue };
            let likely = (0..DIGITS).filter(|digit| seen.log_probabilities[*digit] >= MIN_PROBABILITY.ln());
            arcs.extend(likely.map(|digit| {
                let score = seen.score(digit, group);
                Arc { from: group.first, to: group.end, digit: Some(digit), score, group: index }
            }));
        }
        Self { graph, lattice: Lattice::new(graph.pieces.len(), arcs), seen }
    }
}
