//! What a data set was found to be, and its images the right way round.

use std::{path::PathBuf, sync::Arc};

use super::{
    IMAGE_SIDE, PIXELS, Problem,
    sources::{Labelled, Loaded},
};
use crate::config::{DataConfig, Frame};

/// What a data set was found to be.
#[derive(Debug, Clone)]
pub struct Source {
    /// Which form the data have, as after "holds".
    pub form: String,
    /// The settings that the config left open: how pictures are framed, whether images are transposed and inverted, and the
    /// names of the classes.
    pub found: DataConfig,
    /// Whether the test images were held back from the others, since the data had none of their own.
    pub test_is_held_back: bool,
    /// What was left out while reading.
    pub problems: Vec<Problem>,
    /// The pictures that the images of each part of the data were made from, if they were.
    pub(super) pictures: [Arc<Vec<PathBuf>>; 3],
}

impl Source {
    /// Finds what the config leaves open, and turns the images as it says.
    pub(super) fn of(loaded: &mut Loaded, data: &DataConfig) -> Self {
        let transpose = data.transpose.is_on(loaded.is_emnist);
        let looks_inverted = has_light_ground(&loaded.parts);
        let given = data.frame.or(loaded.frame);
        // What is cut out of a picture is light on dark already.
        let invert =
            data.invert.is_on(looks_inverted && loaded.from_pictures) && !(loaded.from_pictures && given.cuts_out());
        for part in loaded.parts.iter_mut().flatten() {
            for image in part.pixels.as_chunks_mut::<PIXELS>().0 {
                if transpose {
                    *image = transposed(image);
                }
                if invert {
                    *image = image.map(|pixel| 255 - pixel);
                }
            }
        }
        let frame = given.or(framing_of(&loaded.parts));
        let mut problems = std::mem::take(&mut loaded.problems);
        if !loaded.from_pictures && !invert && looks_inverted {
            let images = loaded.parts[0].as_ref().map_or(0, |part| part.labels.len());
            problems.push(Problem::spoils(
                "inverted",
                images,
                "most images are dark on a light ground, and the net expects a light foreground on a dark one: set \
                 data.invert=true"
                    .into(),
            ));
        }
        let pictures = loaded
            .parts
            .each_mut()
            .map(|part| Arc::new(part.as_mut().map(|part| std::mem::take(&mut part.pictures)).unwrap_or_default()));
        let found = DataConfig {
            frame,
            transpose: transpose.into(),
            invert: invert.into(),
            classes: loaded.classes.clone(),
            ..data.clone()
        };
        Self { form: loaded.form.clone(), found, test_is_held_back: loaded.parts[2].is_none(), problems, pictures }
    }
}

/// With rows and columns exchanged.
pub(crate) fn transposed(image: &[u8; PIXELS]) -> [u8; PIXELS] {
    std::array::from_fn(|i| image[i % IMAGE_SIDE * IMAGE_SIDE + i / IMAGE_SIDE])
}

/// Whether most training images have edges that are more light than dark.
fn has_light_ground(parts: &[Option<Labelled>; 3]) -> bool {
    let images = parts[0].as_ref().map_or(&[][..], |part| part.pixels.as_chunks::<PIXELS>().0);
    let is_light = |image: &&[u8; PIXELS]| {
        let at_edge = |i: &usize| {
            let (row, column) = (i / IMAGE_SIDE, i % IMAGE_SIDE);
            [row, column].iter().any(|at| *at == 0 || *at == IMAGE_SIDE - 1)
        };
        let (sum, count) = (0..PIXELS).filter(at_edge).fold((0, 0), |(sum, n), i| (sum + usize::from(image[i]), n + 1));
        sum > 128 * count
    };
    2 * images.iter().filter(is_light).count() > images.len()
}

/// How images that are framed already were framed: writing has a margin of background around it, other things fill the
/// image.
fn framing_of(parts: &[Option<Labelled>; 3]) -> Frame {
    /// The fraction of images that may lack it: of MNIST's 1 % do, since it has centres of mass in the middle.
    const WITHOUT: f64 = 0.2;
    let images = parts[0].as_ref().map_or(&[][..], |part| part.pixels.as_chunks::<PIXELS>().0);
    let without = images.iter().filter(|image| !has_margin(image)).count();
    if without as f64 <= WITHOUT * images.len() as f64 { Frame::Digit } else { Frame::Whole }
}

/// Whether the outermost pixels are background.
fn has_margin(image: &[u8; PIXELS]) -> bool {
    /// What resizing and rounding leave of background.
    const NOISE: u8 = 16;
    let inside = 1..IMAGE_SIDE - 1;
    image
        .iter()
        .enumerate()
        .all(|(i, pixel)| *pixel < NOISE || inside.contains(&(i / IMAGE_SIDE)) && inside.contains(&(i % IMAGE_SIDE)))
}
