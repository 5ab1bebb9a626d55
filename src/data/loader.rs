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
use lenet_kernels::INPUT_SIDE;

use super::{IMAGE_SIDE, ImageSet, PIXELS};
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
    let count = pixels.len() / (INPUT_SIDE * INPUT_SIDE);
    fused::tensor(pixels, [count, 1, INPUT_SIDE, INPUT_SIDE], device)
}

/// Images as the net takes them: `[n * 1024]`.
fn pixels<'a>(images: impl ExactSizeIterator<Item = &'a [u8]>, scale: Scale) -> Vec<f32> {
    let (count, (slope, background)) = (images.len(), scale.linear());
    let mut pixels = vec![background; count * INPUT_SIDE * INPUT_SIDE];
    for (image, field) in images.zip(pixels.chunks_exact_mut(INPUT_SIDE * INPUT_SIDE)) {
        debug_assert_eq!(image.len(), PIXELS);
        for (row, line) in image.as_chunks::<IMAGE_SIDE>().0.iter().zip(field.chunks_exact_mut(INPUT_SIDE).skip(MARGIN))
        {
            // Of a fixed length, so that the compiler vectorizes the loop.
            for (byte, pixel) in row.iter().zip(&mut line[MARGIN..MARGIN + IMAGE_SIDE]) {
                *pixel = f32::from(*byte) * slope + background;
            }
        }
    }
    pixels
}

/// Burn's [`DataLoader`] over an [`ImageSet`].
///
/// When shuffled, the order of an epoch depends only on the seed and on the epoch's number, so that a resumed run sees
/// the same batches as one that was never interrupted. Each call of `iter` starts the next epoch.
pub struct BatchLoader {
    set: ImageSet,
    batch_size: usize,
    shuffle: Option<u64>,
    epoch: AtomicUsize,
    device: Device,
}

impl BatchLoader {
    /// A loader of batches in the set's own order.
    #[must_use]
    pub fn new(set: ImageSet, batch_size: usize, device: Device) -> Self {
        Self { set, batch_size: batch_size.max(1), shuffle: None, epoch: AtomicUsize::new(1), device }
    }

    /// The same loader with a new random order in each epoch, starting with epoch `first` (the first ever is 1).
    #[must_use]
    pub fn shuffled(self, seed: u64, first: usize) -> Self {
        Self { shuffle: Some(seed), epoch: AtomicUsize::new(first), ..self }
    }

    fn with(&self, set: ImageSet, device: Device) -> Self {
        let epoch = AtomicUsize::new(self.epoch.load(Ordering::Relaxed));
        Self { set, batch_size: self.batch_size, shuffle: self.shuffle, epoch, device }
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
        Box::new(BatchIterator { set, batch_size: self.batch_size, device: &self.device, done: 0, next: None })
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
        let pixels = pixels(self.range.clone().map(|i| self.set.image(i)), self.set.scale());
        (pixels, self.range.clone().map(|i| i32::from(self.set.label(i))).collect())
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
        let progress = Mutex::new(Preparation::Open);
        (!range.is_empty()).then(|| Arc::new(Prepared { set: self.set.clone(), range, progress }))
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
