//! A mini-batch, whose images are made when they are needed.

use std::{fmt, hint::black_box, ops::Range, sync::Arc};

use burn::prelude::*;
use lenet_kernels::{INPUT, Image, ImageSource};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rayon::prelude::*;

use super::{
    Augmentation, ImageSet, NO_CLASS, PIXELS,
    pixels::{as_images_mut, place, tensor_of},
};
use crate::config::Scale;

/// How many images of a tensor a thread makes at a time.
const AT_ONCE: usize = 8;

/// A mini-batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its images, scaled for the net.
    pub images: Images,
    /// `[batch]`: the index of each image's class, or [`NO_CLASS`].
    pub targets: Tensor<1, Int>,
    /// The fraction of the images of its training step that these are: 1 unless several devices share them.
    pub share: f64,
}

/// Images for the net. They are made when they are needed: by [`Images::tensor`], or a few at a time by the threads that
/// compute with them, each of which has its own in its cache.
#[derive(Clone)]
pub struct Images(Origin);

#[derive(Clone)]
enum Origin {
    Values(Arc<Vec<f32>>),
    Pixels {
        images: Arc<[[u8; PIXELS]]>,
        scale: Scale,
    },
    Epoch {
        epoch: Arc<Epoch>,
        /// Those of the epoch's order.
        range: Range<usize>,
        /// The negatives after them.
        negatives: Arc<[usize]>,
    },
}

/// What the mini-batches of an epoch are made of.
pub(super) struct Epoch {
    /// In the epoch's order.
    pub(super) set: ImageSet,
    pub(super) augmentation: Option<Arc<Augmentation>>,
    pub(super) negatives: Arc<Negatives>,
    pub(super) number: usize,
}

/// Images without a class, and how many to add to a mini-batch, as a fraction of its size.
#[derive(Default)]
pub(super) struct Negatives {
    pub(super) images: Vec<[u8; PIXELS]>,
    pub(super) share: f64,
    pub(super) seed: u64,
}

impl Epoch {
    /// The mini-batch of the images in a range of the epoch's order, and of the negatives that belong to them.
    pub(super) fn batch(self: &Arc<Self>, range: Range<usize>, share: f64, device: &Device) -> Batch {
        let negatives = self.negatives_of(&range);
        let labels = range.clone().map(|i| i32::from(self.set.label(i)));
        let labels: Vec<i32> = labels.chain(negatives.iter().map(|_| NO_CLASS)).collect();
        let images = Images(Origin::Epoch { epoch: self.clone(), range, negatives });
        Batch { images, targets: Tensor::from_data(&labels[..], device), share }
    }

    /// The negatives that belong to some images. They depend on the seed, the epoch and the first image.
    fn negatives_of(&self, range: &Range<usize>) -> Arc<[usize]> {
        let negatives = &self.negatives;
        if negatives.images.is_empty() {
            return Arc::default();
        }
        let seed = negatives.seed ^ ((self.number as u64) << 32 | range.start as u64);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the size of a mini-batch")]
        let count = (negatives.share * range.len() as f64).round() as usize;
        (0..count).map(|_| random.random_range(0..negatives.images.len())).collect()
    }

    /// An image in the epoch's order.
    fn image(&self, index: usize) -> Original<'_> {
        let (set, index_in_data) = (&self.set, self.set.index_in_data(index));
        Original { pixels: set.image(index), index: index_in_data, label: Some(set.label(index)) }
    }

    fn negative(&self, index: usize) -> Original<'_> {
        // After all indices of the data.
        Original { pixels: &self.negatives.images[index], index: usize::MAX - index, label: None }
    }

    fn write(&self, Original { pixels, index, label }: Original, input: &mut Image) {
        match &self.augmentation {
            None => place(pixels, self.set.scale(), input),
            Some(augmentation) => {
                let mut variant = [0.0; PIXELS];
                augmentation.render(pixels, &augmentation.draw(self.number, index, label), &mut variant);
                place(&variant, self.set.scale(), input);
            }
        }
    }
}

/// An image before it is varied.
#[derive(Clone, Copy)]
struct Original<'a> {
    pixels: &'a [u8; PIXELS],
    index: usize,
    label: Option<u8>,
}

impl Original<'_> {
    /// Reads a byte of each cache line. In random order each image has to come from main memory: to wait for the lines of several
    /// at once takes a fifth of the time.
    fn fetch(self) {
        const CACHE_LINE: usize = 64;
        black_box(self.pixels.iter().step_by(CACHE_LINE).fold(0, |all, byte| all ^ byte));
    }
}

impl Images {
    /// Images as the net takes them.
    ///
    /// # Shapes
    /// `[batch * 1024]`, each 32x32
    ///
    /// # Panics
    /// They are not a whole number of images.
    #[must_use]
    pub fn new(values: Vec<f32>) -> Self {
        assert!(values.len().is_multiple_of(INPUT), "{} values are not a whole number of images", values.len());
        Self(Origin::Values(Arc::new(values)))
    }

    /// Images of pixels from 0 to 255, scaled.
    #[must_use]
    pub fn of_pixels(images: &[[u8; PIXELS]], scale: Scale) -> Self {
        Self(Origin::Pixels { images: images.into(), scale })
    }

    /// The images on a device.
    ///
    /// # Shapes
    /// `[batch, 1, 32, 32]`
    #[must_use]
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        let mut values = vec![0.0; self.count() * INPUT];
        let parts = as_images_mut(&mut values).par_chunks_mut(AT_ONCE).enumerate();
        parts.for_each(|(part, inputs)| self.write(part * AT_ONCE, inputs));
        tensor_of(values, device)
    }

    /// Writes images from `first` on.
    fn write(&self, first: usize, inputs: &mut [Image]) {
        match &self.0 {
            Origin::Values(values) => {
                let inputs = inputs.as_flattened_mut().as_flattened_mut();
                inputs.copy_from_slice(&values[first * INPUT..][..inputs.len()]);
            }
            Origin::Pixels { images, scale } => {
                for (image, input) in images[first..].iter().zip(inputs) {
                    place(image, *scale, input);
                }
            }
            Origin::Epoch { epoch, range, negatives } => {
                let originals =
                    (first..first + inputs.len()).map(|i| match negatives.get(i.wrapping_sub(range.len())) {
                        Some(negative) => epoch.negative(*negative),
                        None => epoch.image(range.start + i),
                    });
                originals.clone().for_each(Original::fetch);
                for (original, input) in originals.zip(inputs) {
                    epoch.write(original, input);
                }
            }
        }
    }
}

impl ImageSource for Images {
    fn count(&self) -> usize {
        match &self.0 {
            Origin::Values(values) => values.len() / INPUT,
            Origin::Pixels { images, .. } => images.len(),
            Origin::Epoch { range, negatives, .. } => range.len() + negatives.len(),
        }
    }

    fn read<'a>(&'a self, range: Range<usize>, buffer: &'a mut [Image]) -> &'a [f32] {
        match &self.0 {
            Origin::Values(values) => values.read(range, buffer),
            Origin::Pixels { .. } | Origin::Epoch { .. } => {
                self.write(range.start, &mut buffer[..range.len()]);
                buffer.as_flattened().as_flattened()
            }
        }
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use burn::data::dataloader::DataLoader;
    use lenet_kernels::INPUT_SIDE;

    use super::*;
    use crate::{
        config::AugmentationConfig,
        data::{BatchLoader, images_tensor, load_mnist},
    };

    #[test]
    fn a_part_of_the_images_is_that_of_the_tensor() {
        let ranges = AugmentationConfig { rotation: 10.0, ..AugmentationConfig::default() };
        let loader = BatchLoader::new(load_mnist().unwrap().0.slice(0, 26), 13, Device::flex())
            .shuffled(1, 1)
            .augmented(Augmentation::new(&ranges, 1))
            .with_negatives(vec![[200; PIXELS], [9; PIXELS]], 0.25, 1);
        for batch in loader.iter() {
            let made = batch.unwrap().images;
            let values: Vec<f32> = made.tensor(&Device::flex()).into_data().iter().collect();
            let given = Images::new(values.clone());
            for range in [0..8, 8..16, 11..16, 12..14] {
                for images in [&made, &given] {
                    let mut buffer = vec![[[0.0; INPUT_SIDE]; INPUT_SIDE]; range.len()];
                    let read = images.read(range.clone(), &mut buffer);
                    assert!(read[..range.len() * INPUT] == values[range.start * INPUT..range.end * INPUT]);
                }
            }
            assert_eq!((made.count(), given.count()), (16, 16));
        }
    }

    #[test]
    fn images_of_pixels_are_those_of_their_tensor() {
        let set = load_mnist().unwrap().0.slice(0, 19);
        let pixels: Vec<[u8; PIXELS]> = (0..set.len()).map(|i| *set.image(i)).collect();
        let images = Images::of_pixels(&pixels, set.scale());
        let tensor = images_tensor(pixels.iter(), set.scale(), &Device::flex());
        let expected: Vec<f32> = tensor.into_data().iter().collect();
        assert!(images.tensor(&Device::flex()).into_data().iter::<f32>().eq(expected.iter().copied()));
        let mut buffer = vec![[[0.0; INPUT_SIDE]; INPUT_SIDE]; 3];
        assert!(images.read(16..19, &mut buffer)[..3 * INPUT] == expected[16 * INPUT..]);
    }

    #[test]
    #[should_panic(expected = "1023 values are not a whole number of images")]
    fn images_are_whole() {
        let _ = Images::new(vec![0.0; 1023]);
    }
}
