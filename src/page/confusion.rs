//! The confusions of a test on the page: a table of few classes, a picture and a list of many.

use image::{Rgba, RgbaImage};
use serde::Serialize;

use super::sprites::png_url;
use crate::{Result, evaluation::Evaluation};

/// Up to this many classes, the matrix is a table.
const FEW: usize = 20;
/// How many confusions are listed.
const LISTED: usize = 20;
/// The colours of what is right and wrong in the picture: between those of the light and the dark page.
const RIGHT: [u8; 3] = [0x1f, 0x8a, 0xcc];
const WRONG: [u8; 3] = [0xea, 0x70, 0x1c];

/// The confusion matrix.
#[derive(Serialize)]
pub(super) struct Confusion {
    /// Its cells; of many classes, none.
    rows: Vec<Vec<Cell>>,
    /// Its cells as pixels; of few classes, `None`.
    image: Option<String>,
    /// The most frequent confusions of many classes.
    frequent: Vec<Frequent>,
}

/// A cell of the confusion matrix: a count, how strongly to shade it (0 to 100), and whether it is on the diagonal.
#[derive(Serialize)]
struct Cell {
    count: usize,
    shade: u8,
    correct: bool,
}

/// How many images of a class were taken for another, of how many.
#[derive(Serialize)]
struct Frequent {
    label: String,
    answer: String,
    count: usize,
    images: usize,
}

impl Confusion {
    /// # Errors
    /// The picture cannot be encoded.
    pub(super) fn new(test: &Evaluation) -> Result<Self> {
        let classes = test.confusion.len();
        let rows = (0..classes).map(|label| (0..classes).map(|answer| cell(test, label, answer)).collect()).collect();
        if classes <= FEW {
            return Ok(Self { rows, image: None, frequent: Vec::new() });
        }
        let frequent = test.confusions().into_iter().take(LISTED).map(|confusion| Frequent {
            label: test.classes[confusion.label].class.clone(),
            answer: test.classes[confusion.answer].class.clone(),
            count: confusion.images,
            images: test.classes[confusion.label].images,
        });
        Ok(Self { image: Some(picture(&rows)?), rows: Vec::new(), frequent: frequent.collect() })
    }
}

fn cell(test: &Evaluation, label: usize, answer: usize) -> Cell {
    let (count, correct) = (test.confusion[label][answer], label == answer);
    let row: usize = test.confusion[label].iter().sum();
    // The square root makes a few misses visible next to a thousand correct answers.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let shade = ((count as f64 / row.max(1) as f64).sqrt() * 100.0) as u8;
    Cell { count, shade: if correct { shade / 3 } else { shade.saturating_mul(4).min(100) }, correct }
}

/// A pixel for each cell, as a `data:` URL of a PNG file.
fn picture(rows: &[Vec<Cell>]) -> Result<String> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 256")]
    let side = rows.len() as u32;
    let image = RgbaImage::from_fn(side, side, |x, y| {
        let Cell { shade, correct, .. } = rows[y as usize][x as usize];
        let [red, green, blue] = if correct { RIGHT } else { WRONG };
        // Alone, a pixel of the diagonal needs more strength than a cell with a number on it.
        let strength = if correct { shade.saturating_mul(3).min(100) } else { shade };
        #[expect(clippy::cast_possible_truncation, reason = "0 to 255")]
        let opacity = (u16::from(strength) * 255 / 100) as u8;
        Rgba([red, green, blue, opacity])
    });
    png_url(&image.into())
}
