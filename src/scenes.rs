//! Pictures of digits as people make them, generated from images of MNIST: for a benchmark and for tests.
//!
//! A scene has a kind; its strength, the place and the size of the digit, the pen and the paper are random. Everything
//! depends on the random generator alone.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are below 2,000 pixels, brightness is between 0 and 1"
)]

mod canvas;
mod crowded;
mod glyphs;
mod ink;
mod marks;
mod negatives;
mod number;
mod pens;
mod photos;
mod scene;

use std::ops::RangeInclusive;

use image::DynamicImage;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus as Random};

pub use self::{
    crowded::crowded,
    number::{NumberKind, NumberScene, number, number_kinds},
};
use crate::data::{ImageSet, PIXELS};

/// A kind of picture.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name: lower case, with spaces.
    pub name: &'static str,
    /// Whether it shows a digit.
    pub shows_digit: bool,
    /// Whether it is kept for the end: no constant of the reader is chosen by it.
    pub held_out: bool,
    draw: Draw,
}

/// An image of MNIST.
type Digit = [u8; PIXELS];
type Draw = fn(&Digit, &mut Random) -> DynamicImage;

const fn tuned(name: &'static str, draw: Draw) -> Kind {
    Kind { name, shows_digit: true, held_out: false, draw }
}

const fn held_out(name: &'static str, draw: Draw) -> Kind {
    Kind { name, shows_digit: true, held_out: true, draw }
}

const fn no_digit(name: &'static str, held_out: bool, draw: Draw) -> Kind {
    Kind { name, shows_digit: false, held_out, draw }
}

const KINDS: &[Kind] = &[
    tuned("plain", pens::plain),
    tuned("chalk on a board", pens::chalk),
    tuned("pencil", pens::pencil),
    tuned("tight crop", pens::tight),
    tuned("28x28 file", pens::mnist_file),
    tuned("thin pen, large sheet", pens::thin_pen),
    tuned("marker", pens::marker),
    tuned("tablet, transparent", pens::tablet),
    tuned("light falls off", photos::gradient),
    tuned("shadow of a hand", photos::hand_shadow),
    tuned("sheet on a desk", photos::desk),
    tuned("box of a form", marks::form_box),
    tuned("cell of a grid", marks::grid_cell),
    tuned("ruled paper", marks::ruled),
    tuned("squared paper", marks::squared),
    tuned("red margin", marks::margin_line),
    tuned("underlined", marks::underlined),
    tuned("circled", marks::circled),
    tuned("punch holes", marks::punch_holes),
    tuned("scanner's edges", photos::scanner_edges),
    tuned("grain and blur", photos::grain),
    tuned("strong JPEG", photos::jpeg),
    tuned("10 bits of 16", photos::ten_bit),
    held_out("coloured", pens::coloured),
    held_out("remains of a grid", marks::grid_remains),
    held_out("vignette", photos::vignette),
    held_out("rotated", pens::rotated),
    held_out("small in a corner", pens::corner),
    held_out("meter", photos::meter),
    held_out("dotted paper", marks::dotted),
    held_out("crease", photos::crease),
    held_out("back shows through", photos::show_through),
    held_out("glare", photos::glare),
    no_digit("letter", false, negatives::letter),
    no_digit("half a digit", false, negatives::half),
    no_digit("speck", false, negatives::speck),
    no_digit("line", false, negatives::line),
    no_digit("blank paper", false, negatives::blank_paper),
    no_digit("grained paper", false, negatives::grained_paper),
    no_digit("noise", false, negatives::noise),
    no_digit("lined paper", false, negatives::lined_paper),
    no_digit("punctuation", true, negatives::sign),
    no_digit("scribble", true, negatives::scribble),
    no_digit("only light", true, negatives::light),
    no_digit("texture", true, negatives::texture),
    no_digit("soft shapes", true, negatives::shapes),
];

/// All kinds of pictures: first those with a digit that a reader may be tuned on, then those with a digit that are held
/// out, then those without a digit.
#[must_use]
pub fn kinds() -> &'static [Kind] {
    KINDS
}

/// Draws a picture of a kind. Without a digit, only half of one is drawn, or none.
///
/// # Shapes
/// 784 pixels, 0 to 255 -> a picture whose sides are about 30 to 600 pixels
#[must_use]
pub fn draw(kind: &Kind, digit: &[u8; PIXELS], random: &mut Random) -> DynamicImage {
    (kind.draw)(digit, random)
}

/// Draws a picture of a kind from a randomly chosen image, and says which digit it is. Both depend on the seed, the kind's
/// name, and the number alone.
///
/// # Panics
/// There are no images.
#[must_use]
pub fn scene(kind: &Kind, images: &ImageSet, seed: u64, number: usize) -> (DynamicImage, usize) {
    let mut random = Random::seed_from_u64(picture_seed(seed, kind.name, number));
    let index = random.random_range(0..images.len());
    (draw(kind, images.image(index), &mut random), images.label(index).into())
}

/// The least and the most digits of a number.
const LENGTHS: RangeInclusive<usize> = 2..=7;

/// Draws a picture of a kind that shows a number of two to seven randomly chosen images, and says which digits they are.
/// Both depend on the seed, the kind's name, and the number of the picture alone.
///
/// # Panics
/// There are no images.
#[must_use]
pub fn number_scene(kind: &NumberKind, images: &ImageSet, seed: u64, number: usize) -> (NumberScene, Vec<usize>) {
    let mut random = Random::seed_from_u64(picture_seed(seed, kind.name, number));
    let length = random.random_range(LENGTHS);
    let indices: Vec<usize> = (0..length).map(|_| random.random_range(0..images.len())).collect();
    let digits: Vec<_> = indices.iter().map(|index| images.image(*index)).collect();
    let labels = indices.iter().map(|index| images.label(*index).into()).collect();
    (self::number(kind, &digits, &mut random), labels)
}

/// A seed from everything that a picture depends on.
///
/// Source: the hash function FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>
fn picture_seed(seed: u64, kind: &str, number: usize) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain((number as u64).to_le_bytes()).chain(kind.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use image::GenericImageView;

    use super::*;

    /// Something like a 4: a broken line and an upright one.
    fn digit() -> Digit {
        let mut digit = [0; PIXELS];
        for y in 4..24 {
            digit[y * 28 + 17] = 255;
            digit[y * 28 + 18] = 200;
            if y < 15 {
                digit[y * 28 + 7] = 255;
                digit[y * 28 + 8] = 180;
            }
        }
        for x in 7..23 {
            digit[14 * 28 + x] = 255;
            digit[15 * 28 + x] = 220;
        }
        digit
    }

    fn picture(kind: &Kind, seed: u64) -> DynamicImage {
        draw(kind, &digit(), &mut Random::seed_from_u64(seed))
    }

    #[test]
    fn the_same_seed_gives_the_same_picture() {
        for kind in kinds() {
            assert_eq!(picture(kind, 3), picture(kind, 3), "{}", kind.name);
            let others: HashSet<_> = (0..3).map(|seed| picture(kind, seed).into_bytes()).collect();
            assert!(others.len() > 1, "{}", kind.name);
        }
    }

    #[test]
    fn no_two_kinds_are_alike() {
        let names: HashSet<_> = kinds().iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), kinds().len());
        let pictures: HashSet<_> = kinds().iter().map(|kind| picture(kind, 8).into_bytes()).collect();
        assert_eq!(pictures.len(), kinds().len());
    }

    #[test]
    fn some_kinds_are_held_out() {
        let count = |shows_digit, held_out| {
            kinds().iter().filter(|k| k.shows_digit == shows_digit && k.held_out == held_out).count()
        };
        assert_eq!((count(true, false), count(true, true)), (23, 10));
        assert_eq!((count(false, false), count(false, true)), (8, 5));
    }

    #[test]
    fn a_digit_is_seen() {
        for kind in kinds() {
            for seed in 0..2 {
                let picture = picture(kind, seed);
                let (width, height) = picture.dimensions();
                assert!((20..=700).contains(&width) && (20..=700).contains(&height), "{}: {width}x{height}", kind.name);
                let grey = picture.to_luma_alpha32f();
                let seen = |p: &image::LumaA<f32>| p[0] * p[1] + 0.5 * (1.0 - p[1]);
                let (low, high) = grey.pixels().map(seen).fold((1.0_f32, 0.0_f32), |(a, b), v| (a.min(v), b.max(v)));
                // Ten bits in sixteen are nearly black.
                let contrast = (high - low) * if kind.name == "10 bits of 16" { 64.0 } else { 1.0 };
                assert!(!kind.shows_digit || contrast > 0.2, "{}: {contrast}", kind.name);
            }
        }
    }

    #[test]
    fn an_empty_image_does_no_harm() {
        for kind in kinds() {
            let _ = draw(kind, &[0; PIXELS], &mut Random::seed_from_u64(1));
        }
        for kind in number_kinds() {
            assert_eq!(number(kind, &[&[0; PIXELS]], &mut Random::seed_from_u64(1)).boxes.len(), 1);
            assert!(number(kind, &[], &mut Random::seed_from_u64(1)).boxes.is_empty());
        }
    }

    #[test]
    fn the_boxes_of_a_number_lie_in_the_picture_from_left_to_right() {
        let digit = digit();
        let mut spaces = 0;
        for seed in 0..20 {
            let count = 2 + seed as usize % 6;
            let kind = &number_kinds()[seed as usize % number_kinds().len()];
            let scene = number(kind, &vec![&digit; count], &mut Random::seed_from_u64(seed));
            let (width, height) = scene.picture.dimensions();
            assert_eq!(scene.boxes.len(), count);
            for [left, top, w, h] in &scene.boxes {
                assert!(left + w <= width && top + h <= height && *w > 0 && *h > 20);
            }
            assert!(scene.boxes.windows(2).all(|pair| pair[0][0] < pair[1][0]), "{:?}", scene.boxes);
            assert!(scene.spaces.iter().all(|index| (1..count).contains(index)));
            spaces += scene.spaces.len();
        }
        assert!(spaces > 0);
    }
}
