//! Mini-batches for Burn's learner.

#![expect(
    clippy::inline_always,
    reason = "a function may use the processor's vectors only where it is inlined into the one that enables them"
)]

use std::{
    hint::black_box,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderIterator, Progress},
        dataset::DatasetError,
    },
    prelude::*,
};
use lenet_kernels::{INPUT, INPUT_SIDE};
use pulp::{Arch, Simd, WithSimd};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{Augmentation, IMAGE_SIDE, ImageSet, NO_CLASS, PIXELS};
use crate::{config::Scale, fused};

/// Mean and standard deviation of MNIST's training pixels, scaled to 0 to 1.
///
/// Source: measured over the 60,000 training images, <https://github.com/pytorch/examples/tree/main/mnist>.
const MEAN: f32 = 0.1307;
const STD: f32 = 0.3081;

/// Rows and columns of background on each side: 28x28 is centred in 32x32.
const MARGIN: usize = (INPUT_SIDE - IMAGE_SIDE) / 2;

impl Scale {
    /// Slope and intercept of the linear function from a pixel's byte to the net's input.
    pub(crate) fn linear(self) -> (f32, f32) {
        match self {
            Self::Standard => (1.0 / (255.0 * STD), -MEAN / STD),
            Self::Unit => (1.0 / 255.0, 0.0),
            Self::Byte => (1.0, 0.0),
        }
    }
}

/// A mini-batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, 1, 32, 32]`, scaled for the net.
    pub images: Tensor<4>,
    /// `[batch]`: the index of each image's class, or [`NO_CLASS`].
    pub targets: Tensor<1, Int>,
    /// The fraction of the images of its training step that these are: 1 unless several devices share them.
    pub share: f64,
}

/// Images as the net takes them: scaled, and with a margin of background around the 28x28 pixels.
///
/// # Shapes
/// `n` arrays of 784 bytes -> `[n, 1, 32, 32]`
pub fn images_tensor<'a>(
    images: impl ExactSizeIterator<Item = &'a [u8; PIXELS]>,
    scale: Scale,
    device: &Device,
) -> Tensor<4> {
    tensor_of(pixels(images, scale), device)
}

fn tensor_of(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = pixels.len() / INPUT;
    fused::tensor(pixels, [count, 1, INPUT_SIDE, INPUT_SIDE], device)
}

/// Images as the net takes them: `[n * 1024]`.
fn pixels<'a>(images: impl ExactSizeIterator<Item = &'a [u8; PIXELS]>, scale: Scale) -> Vec<f32> {
    let mut fields = Fields::new(images.len(), scale);
    images.for_each(|image| fields.push(image));
    fields.all
}

/// How many images are fetched from memory at once.
const FETCHED_AT_ONCE: usize = 8;

/// Reads a byte of each cache line of an image. In random order each image has to come from main memory: to wait for the lines of
/// several at once takes a fifth of the time.
fn fetch(image: &[u8; PIXELS]) {
    const CACHE_LINE: usize = 64;
    black_box(image.iter().step_by(CACHE_LINE).fold(0, |all, byte| all ^ byte));
}

/// Images in the middle of fields of background, one after the other.
struct Fields {
    /// `[n * 1024]`
    all: Vec<f32>,
    /// The last one: of the next, only the middle has to be written.
    field: [f32; INPUT],
    scale: Scale,
}

impl Fields {
    /// None yet, and room for so many.
    fn new(count: usize, scale: Scale) -> Self {
        let (_, background) = scale.linear();
        Self { all: Vec::with_capacity(count * INPUT), field: [background; INPUT], scale }
    }

    fn push<T: Copy + Into<f32>>(&mut self, image: &[T; PIXELS]) {
        Arch::new().dispatch(Place { image, field: &mut self.field, scale: self.scale });
        self.all.extend_from_slice(&self.field);
    }
}

/// An image's pixels on their way into the middle of a field, with the processor's widest vectors.
struct Place<'a, T> {
    image: &'a [T; PIXELS],
    field: &'a mut [f32; INPUT],
    scale: Scale,
}

impl<T: Copy + Into<f32>> WithSimd for Place<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (slope, background) = self.scale.linear();
        let lines = self.field.as_chunks_mut::<INPUT_SIDE>().0.iter_mut().skip(MARGIN);
        for (row, line) in self.image.as_chunks::<IMAGE_SIDE>().0.iter().zip(lines) {
            // Of a fixed length, so that the compiler vectorizes the loop.
            for i in 0..IMAGE_SIDE {
                line[MARGIN + i] = row[i].into() * slope + background;
            }
        }
    }
}

/// Burn's [`DataLoader`] over an [`ImageSet`].
///
/// When shuffled, the order of an epoch depends only on the seed and on the epoch's number, so that a resumed run sees
/// the same batches as one that was never interrupted. Each call of `iter` starts the next epoch.
pub struct BatchLoader {
    set: ImageSet,
    batch_size: usize,
    shuffle: Option<u64>,
    augmentation: Option<Arc<Augmentation>>,
    negatives: Option<Arc<Negatives>>,
    epoch: AtomicUsize,
    part: Part,
    device: Device,
}

/// A part of each mini-batch: the one with an index, of so many that are equal up to an image.
#[derive(Clone, Copy)]
struct Part {
    index: usize,
    of: usize,
}

impl Part {
    const WHOLE: Self = Self { index: 0, of: 1 };

    fn range(self, whole: &Range<usize>) -> Range<usize> {
        let bound = |index| whole.start + whole.len() * index / self.of;
        bound(self.index)..bound(self.index + 1)
    }
}

/// Images without a class, and how many to add to a mini-batch, as a fraction of its size.
struct Negatives {
    images: Vec<[u8; PIXELS]>,
    share: f64,
    seed: u64,
}

impl BatchLoader {
    /// A loader of batches in the set's own order.
    #[must_use]
    pub fn new(set: ImageSet, batch_size: usize, device: Device) -> Self {
        let batch_size = batch_size.max(1);
        let (epoch, part) = (AtomicUsize::new(1), Part::WHOLE);
        Self { set, batch_size, shuffle: None, augmentation: None, negatives: None, epoch, part, device }
    }

    /// The same loader with images of no class behind those of each mini-batch, as a fraction of its size, in a random order
    /// that depends on `seed`.
    #[must_use]
    pub fn with_negatives(self, images: Vec<[u8; PIXELS]>, share: f64, seed: u64) -> Self {
        Self { negatives: (!images.is_empty()).then(|| Arc::new(Negatives { images, share, seed })), ..self }
    }

    /// The same loader with another variant of each image in each epoch.
    #[must_use]
    pub fn augmented(self, augmentation: Option<Augmentation>) -> Self {
        Self { augmentation: augmentation.map(Arc::new), ..self }
    }

    /// The same loader with a new random order in each epoch, starting with epoch `first` (the first ever is 1).
    #[must_use]
    pub fn shuffled(self, seed: u64, first: usize) -> Self {
        Self { shuffle: Some(seed), epoch: AtomicUsize::new(first), ..self }
    }

    /// A loader of a part of each mini-batch: the one with an index, of so many that are equal up to an image.
    pub(crate) fn part(&self, index: usize, of: usize) -> Self {
        Self { part: Part { index, of }, ..self.with(self.set.clone(), self.device.clone()) }
    }

    fn with(&self, set: ImageSet, device: Device) -> Self {
        let epoch = AtomicUsize::new(self.epoch.load(Ordering::Relaxed));
        let (augmentation, negatives) = (self.augmentation.clone(), self.negatives.clone());
        Self {
            set,
            batch_size: self.batch_size,
            shuffle: self.shuffle,
            augmentation,
            negatives,
            epoch,
            part: self.part,
            device,
        }
    }
}

impl DataLoader<Batch> for BatchLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        let set = match self.shuffle {
            // A large odd factor (2^64 divided by the golden ratio) keeps the seeds of neighbouring epochs apart.
            Some(seed) => self.set.permuted(seed.wrapping_add((epoch as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            None => self.set.clone(),
        };
        let (augmentation, negatives) = (self.augmentation.clone(), self.negatives.clone());
        let making = Making { set, augmentation, negatives, epoch };
        let (batch_size, part, device) = (self.batch_size, self.part, &self.device);
        Box::new(BatchIterator { making: Arc::new(making), batch_size, part, device, done: 0, next: None })
    }

    fn num_items(&self) -> usize {
        self.set.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(self.with(self.set.clone(), device.clone()))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(self.with(self.set.slice(start, end), self.device.clone()))
    }
}

struct BatchIterator<'a> {
    making: Arc<Making>,
    batch_size: usize,
    part: Part,
    device: &'a Device,
    /// Images of the mini-batches that were handed out.
    done: usize,
    /// The next batch, if it is being prepared.
    next: Option<Arc<Prepared>>,
}

/// What the mini-batches of an epoch are made of.
struct Making {
    /// In the epoch's order.
    set: ImageSet,
    augmentation: Option<Arc<Augmentation>>,
    negatives: Option<Arc<Negatives>>,
    epoch: usize,
}

/// A mini-batch's data, made by an idle thread in advance or else by the thread that needs it.
struct Prepared {
    making: Arc<Making>,
    range: Range<usize>,
    progress: Mutex<Preparation>,
}

enum Preparation {
    Open,
    Done(Vec<f32>, Vec<i32>),
    HandedOut,
}

impl Making {
    /// The pixels and the labels of some images, and of the negatives behind them.
    fn make(&self, range: &Range<usize>) -> (Vec<f32>, Vec<i32>) {
        let images = range.clone().map(|i| (self.set.image(i), self.set.index_in_data(i), Some(self.set.label(i))));
        let negatives = self.negatives_of(range);
        // Behind all indices of the data.
        let behind = negatives.iter().map(|(image, index)| (*image, usize::MAX - index, None));
        let count = range.len() + negatives.len();
        let (mut fields, mut labels) = (Fields::new(count, self.set.scale()), Vec::with_capacity(count));
        let mut variant = [0.0; PIXELS];
        let all: Vec<_> = images.chain(behind).collect();
        for some in all.chunks(FETCHED_AT_ONCE) {
            for (image, ..) in some {
                fetch(image);
            }
            for (image, index, label) in some {
                match &self.augmentation {
                    None => fields.push(image),
                    Some(augmentation) => {
                        augmentation.render(image, &augmentation.draw(self.epoch, *index, *label), &mut variant);
                        fields.push(&variant);
                    }
                }
                labels.push(label.map_or(NO_CLASS, i32::from));
            }
        }
        (fields.all, labels)
    }

    /// The negatives that belong to some images, each with its index. They depend on the seed, the epoch and the first image.
    fn negatives_of(&self, range: &Range<usize>) -> Vec<(&[u8; PIXELS], usize)> {
        let Some(negatives) = &self.negatives else { return Vec::new() };
        let seed = negatives.seed ^ ((self.epoch as u64) << 32 | range.start as u64);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the size of a mini-batch")]
        let count = (negatives.share * range.len() as f64).round() as usize;
        let mut draw = || random.random_range(0..negatives.images.len());
        (0..count).map(|_| draw()).map(|index| (&negatives.images[index], index)).collect()
    }
}

impl Prepared {
    /// Makes the data unless another thread has made it or is making it.
    fn prepare(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*progress, Preparation::Open) {
            let (pixels, labels) = self.making.make(&self.range);
            *progress = Preparation::Done(pixels, labels);
        }
    }

    fn take(&self) -> (Vec<f32>, Vec<i32>) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *progress, Preparation::HandedOut) {
            Preparation::Done(pixels, labels) => (pixels, labels),
            Preparation::Open | Preparation::HandedOut => self.making.make(&self.range),
        }
    }
}

impl BatchIterator<'_> {
    /// The images of the mini-batch after those that were handed out, in all its parts.
    fn whole(&self) -> Range<usize> {
        self.done..(self.done + self.batch_size).min(self.making.set.len())
    }

    /// The batch after those that were handed out, not made yet.
    fn following(&self) -> Option<Arc<Prepared>> {
        let range = self.part.range(&self.whole());
        let (making, progress) = (self.making.clone(), Mutex::new(Preparation::Open));
        (!range.is_empty()).then(|| Arc::new(Prepared { making, range, progress }))
    }
}

impl Iterator for BatchIterator<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next.take().or_else(|| self.following())?;
        let (pixels, labels) = batch.take();
        let whole = self.whole();
        let share = batch.range.len() as f64 / whole.len() as f64;
        self.done = whole.end;
        self.next = self.following();
        // Only a thread of a pool of several can count on an idle one.
        if let (Some(next), Some(_), 2..) =
            (self.next.clone(), rayon::current_thread_index(), rayon::current_num_threads())
        {
            rayon::spawn(move || next.prepare());
        }
        let targets = Tensor::from_data(&labels[..], self.device);
        Some(Ok(Batch { images: tensor_of(pixels, self.device), targets, share }))
    }
}

impl DataLoaderIterator<Batch> for BatchIterator<'_> {
    fn progress(&self) -> Progress {
        // Burn adds up the parts.
        Progress::new(self.done / self.part.of, self.making.set.len() / self.part.of, Some("images".into()))
    }
}
