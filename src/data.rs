//! From files to mini-batches. Images stay bytes until a batch is made of them.
//!
//! - `sources`: what people have, as labelled images. `source`: the right way round. `splits`, `division`: to learn from, to validate, to test.
//! - `inspection`, `problems`: what is wrong with them.
//! - `loader`: mini-batches. `batch`, `pixels`: their images as the net takes them. `augmentation`, `styles`: variants of images.

mod augmentation;
mod batch;
mod classes;
mod division;
mod inspection;
mod loader;
mod pixels;
mod problems;
mod source;
mod sources;
mod splits;
mod styles;

use std::sync::Arc;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

pub use self::{
    augmentation::{Augmentation, Variation},
    batch::{Batch, Images},
    classes::{digits, numbered},
    inspection::{ClassCounts, Inspection},
    loader::BatchLoader,
    pixels::images_tensor,
    problems::Problem,
    source::Source,
    sources::{load_mnist, read_folder},
    splits::{Part, Splits},
    styles::Style,
};
pub(crate) use self::{classes::listed, problems::counted, source::transposed};
pub use crate::picture::{IMAGE_SIDE, PIXELS};
use crate::{Error, Result, config::Scale};

/// Number of images in MNIST's training set.
pub const TRAIN_IMAGES: usize = 60_000;

/// What stands for a label in the targets of an image that shows none of the classes: no byte reaches it.
pub const NO_CLASS: i32 = 256;

/// Labelled images: pixels from 0 (background) to 255 (foreground), row by row. Clones share them.
#[derive(Clone)]
pub struct ImageSet {
    // Not `Arc<[u8]>`: making one would copy all images.
    pixels: Arc<Vec<u8>>,
    /// Indices of classes.
    labels: Arc<Vec<u8>>,
    classes: Arc<[String]>,
    /// The indices of the images that belong to this set, in its order.
    members: Arc<[u32]>,
    scale: Scale,
}

impl std::fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl ImageSet {
    /// Makes a set from `[n * 784]` pixels, `[n]` labels, which are indices of classes, and the names of the classes.
    ///
    /// # Errors
    /// The counts disagree, or a label is not the index of a class.
    pub fn new(pixels: Vec<u8>, labels: Vec<u8>, classes: Vec<String>) -> Result<Self> {
        if pixels.len() != labels.len() * PIXELS {
            let images = pixels.len() / PIXELS;
            return Err(Error::Data(format!("{images} images but {} labels", labels.len())));
        }
        if let Some((i, label)) = labels.iter().enumerate().find(|(_, label)| usize::from(**label) >= classes.len()) {
            let classes = classes.len();
            return Err(Error::Data(format!(
                "label {label} of image {i} is not the index of one of {classes} classes"
            )));
        }
        let members = (0..u32::try_from(labels.len()).map_err(|_| Error::Data("too many images".into()))?).collect();
        let (pixels, labels) = (Arc::new(pixels), Arc::new(labels));
        Ok(Self { pixels, labels, classes: classes.into(), members, scale: Scale::default() })
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The 784 pixels of an image.
    ///
    /// # Panics
    /// `index` is not below [`ImageSet::len`].
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8; PIXELS] {
        &self.pixels.as_chunks().0[self.members[index] as usize]
    }

    /// The label of an image: the index of its class.
    ///
    /// # Panics
    /// `index` is not below [`ImageSet::len`].
    #[must_use]
    pub fn label(&self, index: usize) -> u8 {
        self.labels[self.members[index] as usize]
    }

    /// The index of an image in the data set that this set is a part of.
    ///
    /// # Panics
    /// `index` is not below [`ImageSet::len`].
    #[must_use]
    pub fn index_in_data(&self, index: usize) -> usize {
        self.members[index] as usize
    }

    /// The variants of all images in an epoch, rounded to bytes.
    #[must_use]
    pub fn variants(&self, augmentation: &Augmentation, epoch: usize) -> Self {
        let mut variant = [0.0; PIXELS];
        let mut pixels = Vec::with_capacity(self.len() * PIXELS);
        for i in 0..self.len() {
            augmentation.render(
                self.image(i),
                &augmentation.draw(epoch, self.index_in_data(i), Some(self.label(i))),
                &mut variant,
            );
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            pixels.extend(variant.map(|pixel| pixel.round() as u8));
        }
        let labels = (0..self.len()).map(|i| self.label(i)).collect();
        let members = (0..u32::MAX).take(self.len()).collect();
        Self { pixels: Arc::new(pixels), labels: Arc::new(labels), members, ..self.clone() }
    }

    /// Whether both are parts of one set.
    fn shares_pixels(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pixels, &other.pixels)
    }

    /// How pixels are scaled for the net.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The same images, scaled in another way.
    #[must_use]
    pub fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// The images from `start` to before `end`, as far as they exist.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        let end = end.min(self.len());
        Self { members: self.members[start.min(end)..end].into(), ..self.clone() }
    }

    /// The images at these positions, in this order.
    pub(super) fn at(&self, positions: &[usize]) -> Self {
        Self { members: positions.iter().filter_map(|i| self.members.get(*i)).copied().collect(), ..self.clone() }
    }

    /// The same images in a random order that depends on `seed` alone.
    #[must_use]
    pub fn permuted(&self, seed: u64) -> Self {
        let mut members = self.members.to_vec();
        members.shuffle(&mut StdRng::seed_from_u64(seed));
        Self { members: members.into(), ..self.clone() }
    }
}
