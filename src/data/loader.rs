//! Mini-batches for Burn's learner.

use std::{
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

use super::{Augmentation, IMAGE_SIDE, ImageSet, PIXELS};
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
    fn linear(self) -> (f32, f32) {
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
    /// `[batch]`, labels 0-9.
    pub targets: Tensor<1, Int>,
}

/// Images as the net takes them: scaled, and with a margin of background around the 28x28 pixels.
///
/// # Shapes
/// `n` slices of 784 bytes -> `[n, 1, 32, 32]`
pub fn images_tensor<'a>(images: impl ExactSizeIterator<Item = &'a [u8]>, scale: Scale, device: &Device) -> Tensor<4> {
    tensor_of(pixels(images, scale), device)
}

fn tensor_of(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = pixels.len() / INPUT;
    fused::tensor(pixels, [count, 1, INPUT_SIDE, INPUT_SIDE], device)
}

/// Images as the net takes them: `[n * 1024]`.
fn pixels<'a>(images: impl ExactSizeIterator<Item = &'a [u8]>, scale: Scale) -> Vec<f32> {
    let mut fields = background(images.len(), scale);
    for (image, field) in images.zip(fields.as_chunks_mut().0) {
        place(&image.as_chunks().0[0], field, scale);
    }
    fields
}

/// Fields of background: `[n * 1024]`.
fn background(count: usize, scale: Scale) -> Vec<f32> {
    let (_, background) = scale.linear();
    vec![background; count * INPUT]
}

/// Scales an image's pixels into the middle of a field of background.
fn place<T: Copy + Into<f32>>(image: &[T; PIXELS], field: &mut [f32; INPUT], scale: Scale) {
    let (slope, background) = scale.linear();
    for (row, line) in image.as_chunks::<IMAGE_SIDE>().0.iter().zip(field.chunks_exact_mut(INPUT_SIDE).skip(MARGIN)) {
        // Of a fixed length, so that the compiler vectorizes the loop.
        for (value, pixel) in row.iter().zip(&mut line[MARGIN..MARGIN + IMAGE_SIDE]) {
            *pixel = (*value).into() * slope + background;
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
    epoch: AtomicUsize,
    device: Device,
}

impl BatchLoader {
    /// A loader of batches in the set's own order.
    #[must_use]
    pub fn new(set: ImageSet, batch_size: usize, device: Device) -> Self {
        let batch_size = batch_size.max(1);
        Self { set, batch_size, shuffle: None, augmentation: None, epoch: AtomicUsize::new(1), device }
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

    fn with(&self, set: ImageSet, device: Device) -> Self {
        let epoch = AtomicUsize::new(self.epoch.load(Ordering::Relaxed));
        let (batch_size, shuffle, augmentation) = (self.batch_size, self.shuffle, self.augmentation.clone());
        Self { set, batch_size, shuffle, augmentation, epoch, device }
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
        let augmentation = self.augmentation.clone().map(|augmentation| (augmentation, epoch));
        let batch_size = self.batch_size;
        Box::new(BatchIterator { set, batch_size, augmentation, device: &self.device, done: 0, next: None })
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
    set: ImageSet,
    batch_size: usize,
    augmentation: Option<(Arc<Augmentation>, usize)>,
    device: &'a Device,
    /// Images that were handed out.
    done: usize,
    /// The next batch, if it is being prepared.
    next: Option<Arc<Prepared>>,
}

/// A mini-batch's data, made by an idle thread in advance or else by the thread that needs it.
struct Prepared {
    set: ImageSet,
    range: Range<usize>,
    /// With the epoch that it is for.
    augmentation: Option<(Arc<Augmentation>, usize)>,
    progress: Mutex<Preparation>,
}

enum Preparation {
    Open,
    Done(Vec<f32>, Vec<i32>),
    HandedOut,
}

impl Prepared {
    /// The pixels and the labels.
    fn make(&self) -> (Vec<f32>, Vec<i32>) {
        let pixels = match &self.augmentation {
            None => pixels(self.range.clone().map(|i| self.set.image(i)), self.set.scale()),
            Some((augmentation, epoch)) => self.variants(augmentation, *epoch),
        };
        (pixels, self.range.clone().map(|i| i32::from(self.set.label(i))).collect())
    }

    /// The pixels of the images' variants.
    fn variants(&self, augmentation: &Augmentation, epoch: usize) -> Vec<f32> {
        let scale = self.set.scale();
        let mut fields = background(self.range.len(), scale);
        let mut variant = [0.0; PIXELS];
        for (i, field) in self.range.clone().zip(fields.as_chunks_mut().0) {
            let variation = augmentation.draw(epoch, self.set.index_in_data(i), self.set.label(i));
            augmentation.render(self.set.image(i), &variation, &mut variant);
            place(&variant, field, scale);
        }
        fields
    }

    /// Makes the data unless another thread has made it or is making it.
    fn prepare(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*progress, Preparation::Open) {
            let (pixels, labels) = self.make();
            *progress = Preparation::Done(pixels, labels);
        }
    }

    fn take(&self) -> (Vec<f32>, Vec<i32>) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *progress, Preparation::HandedOut) {
            Preparation::Done(pixels, labels) => (pixels, labels),
            Preparation::Open | Preparation::HandedOut => self.make(),
        }
    }
}

impl BatchIterator<'_> {
    /// The batch after those that were handed out, not made yet.
    fn following(&self) -> Option<Arc<Prepared>> {
        let range = self.done..(self.done + self.batch_size).min(self.set.len());
        let (set, augmentation, progress) =
            (self.set.clone(), self.augmentation.clone(), Mutex::new(Preparation::Open));
        (!range.is_empty()).then(|| Arc::new(Prepared { set, range, augmentation, progress }))
    }
}

impl Iterator for BatchIterator<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next.take().or_else(|| self.following())?;
        let (pixels, labels) = batch.take();
        self.done = batch.range.end;
        self.next = self.following();
        // Only a thread of a pool of several can count on an idle one.
        if let (Some(next), Some(_), 2..) =
            (self.next.clone(), rayon::current_thread_index(), rayon::current_num_threads())
        {
            rayon::spawn(move || next.prepare());
        }
        let targets = Tensor::from_data(&labels[..], self.device);
        Some(Ok(Batch { images: tensor_of(pixels, self.device), targets }))
    }
}

impl DataLoaderIterator<Batch> for BatchIterator<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.set.len(), Some("images".into()))
    }
}
