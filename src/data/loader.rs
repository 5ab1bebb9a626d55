//! Mini-batches for Burn's learner.

use std::{
    ops::Range,
    sync::{
        Arc,
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

use super::{
    Augmentation, ImageSet, PIXELS,
    batch::{Batch, Epoch, Negatives},
};

/// Burn's [`DataLoader`] over an [`ImageSet`].
///
/// When shuffled, the order of an epoch depends only on the seed and on the epoch's number, so that a resumed run sees
/// the same batches as one that was never interrupted. Each call of `iter` starts the next epoch.
pub struct BatchLoader {
    set: ImageSet,
    batch_size: usize,
    shuffle: Option<u64>,
    augmentation: Option<Arc<Augmentation>>,
    negatives: Arc<Negatives>,
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

impl BatchLoader {
    /// A loader of batches in the set's own order.
    #[must_use]
    pub fn new(set: ImageSet, batch_size: usize, device: Device) -> Self {
        let batch_size = batch_size.max(1);
        let (epoch, part) = (AtomicUsize::new(1), Part::WHOLE);
        Self { set, batch_size, shuffle: None, augmentation: None, negatives: Arc::default(), epoch, part, device }
    }

    /// The same loader with images of no class behind those of each mini-batch, as a fraction of its size, in a random order
    /// that depends on `seed`.
    #[must_use]
    pub fn with_negatives(self, images: Vec<[u8; PIXELS]>, share: f64, seed: u64) -> Self {
        Self { negatives: Arc::new(Negatives { images, share, seed }), ..self }
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
        let number = self.epoch.fetch_add(1, Ordering::Relaxed);
        let set = match self.shuffle {
            // A large odd factor (2^64 divided by the golden ratio) keeps the seeds of neighbouring epochs apart.
            Some(seed) => self.set.permuted(seed.wrapping_add((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            None => self.set.clone(),
        };
        let (augmentation, negatives) = (self.augmentation.clone(), self.negatives.clone());
        let epoch = Arc::new(Epoch { set, augmentation, negatives, number });
        Box::new(BatchIterator { epoch, batch_size: self.batch_size, part: self.part, device: &self.device, done: 0 })
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
    epoch: Arc<Epoch>,
    batch_size: usize,
    part: Part,
    device: &'a Device,
    /// Images of the mini-batches that were handed out.
    done: usize,
}

impl Iterator for BatchIterator<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The images of the mini-batch in all its parts.
        let whole = self.done..(self.done + self.batch_size).min(self.epoch.set.len());
        let range = self.part.range(&whole);
        if range.is_empty() {
            return None;
        }
        self.done = whole.end;
        let share = range.len() as f64 / whole.len() as f64;
        Some(Ok(self.epoch.batch(range, share, self.device)))
    }
}

impl DataLoaderIterator<Batch> for BatchIterator<'_> {
    fn progress(&self) -> Progress {
        // Burn adds up the parts.
        Progress::new(self.done / self.part.of, self.epoch.set.len() / self.part.of, Some("images".into()))
    }
}
