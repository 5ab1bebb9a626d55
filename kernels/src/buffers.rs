//! What the layers leave of a mini-batch, cut into chunks of images.
//!
//! New memory would have to be cleared, by the system and by us: buffers are used again, by the next mini-batch or by the next chunk on
//! the same thread.

use std::sync::Mutex;

use bytemuck::zeroed_box;

use crate::{
    layers::BackgroundMask,
    pack::ConvGrads,
    shapes::{C5Row, F6Row, S2Argmax, S2Units, S4Argmax, S4Row},
    simd::AlignedVec,
};

/// Images in a chunk.
pub const CHUNK: usize = 8;

/// How many buffers of a kind are kept; there is rarely more than one mini-batch at a time.
const MAX_FREE: usize = 2;

/// Buffers of earlier mini-batches.
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A buffer of an earlier mini-batch, or an empty one.
    pub fn take(&self) -> T {
        self.0.try_lock().ok().and_then(|mut free| free.pop()).unwrap_or_default()
    }

    /// Keeps a buffer that is not needed any more.
    pub fn put_back(&self, buffer: T) {
        if let Ok(mut free) = self.0.try_lock()
            && free.len() < MAX_FREE
        {
            free.push(buffer);
        }
    }
}

/// The layers' outputs for a mini-batch, kept for the backward pass. The default holds no images.
#[derive(Debug, Default, Clone)]
pub struct Activations {
    pub(crate) convolved: Convolved,
    pub(crate) dense: Dense,
}

/// What C1 to S4 leave: the backward pass of the same images reads it.
#[derive(Debug, Default, Clone)]
pub struct Convolved {
    background: Vec<BackgroundMask>,
    s2: AlignedVec<S2Units>,
    s2_argmax: AlignedVec<S2Argmax>,
    s4_argmax: AlignedVec<S4Argmax>,
}

/// The units that fully connected layers lie between: the gradients of their weights are summed over all images.
#[derive(Debug, Default, Clone)]
pub struct Dense {
    pub s4: AlignedVec<S4Row>,
    pub c5: AlignedVec<C5Row>,
    pub f6: AlignedVec<F6Row>,
}

static FREE: Pool<(Convolved, Dense)> = Pool::new();

impl Drop for Activations {
    fn drop(&mut self) {
        FREE.put_back((std::mem::take(&mut self.convolved), std::mem::take(&mut self.dense)));
    }
}

impl Activations {
    pub(crate) fn of(images: usize) -> Self {
        let (mut convolved, mut dense) = FREE.take();
        convolved.resize(images);
        dense.resize(images);
        Self { convolved, dense }
    }

    pub(crate) fn chunks(&mut self) -> impl Iterator<Item = Chunk<'_>> {
        self.convolved.chunks().zip(self.dense.chunks()).map(|(convolved, dense)| Chunk { convolved, dense })
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = ChunkView<'_>> {
        let Self { convolved: Convolved { background, s2, s2_argmax, s4_argmax }, dense: Dense { s4, c5, f6 } } = self;
        (0..background.len()).step_by(CHUNK).map(move |first| {
            let range = first..(first + CHUNK).min(background.len());
            ChunkView {
                background: &background[range.clone()],
                s2: &s2[range.clone()],
                s2_argmax: &s2_argmax[range.clone()],
                s4: &s4[range.clone()],
                s4_argmax: &s4_argmax[range.clone()],
                c5: &c5[range.clone()],
                f6: &f6[range],
            }
        })
    }
}

impl Convolved {
    pub fn resize(&mut self, images: usize) {
        self.background.resize(images, BackgroundMask::default());
        self.s2.resize(images);
        self.s2_argmax.resize(images);
        self.s4_argmax.resize(images);
    }

    pub fn chunks(&mut self) -> impl Iterator<Item = ConvolvedChunk<'_>> {
        let Self { background, s2, s2_argmax, s4_argmax } = self;
        background
            .chunks_mut(CHUNK)
            .zip(s2.chunks_mut(CHUNK))
            .zip(s2_argmax.chunks_mut(CHUNK).zip(s4_argmax.chunks_mut(CHUNK)))
            .map(|((background, s2), (s2_argmax, s4_argmax))| ConvolvedChunk { background, s2, s2_argmax, s4_argmax })
    }

    /// All of it as one chunk.
    pub fn whole(&mut self) -> ConvolvedChunk<'_> {
        let Self { background, s2, s2_argmax, s4_argmax } = self;
        ConvolvedChunk { background, s2, s2_argmax, s4_argmax }
    }
}

impl Dense {
    pub fn resize(&mut self, images: usize) {
        self.s4.resize(images);
        self.c5.resize(images);
        self.f6.resize(images);
    }

    pub fn chunks(&mut self) -> impl Iterator<Item = DenseChunk<'_>> {
        let Self { s4, c5, f6 } = self;
        let chunks = s4.chunks_mut(CHUNK).zip(c5.chunks_mut(CHUNK).zip(f6.chunks_mut(CHUNK)));
        chunks.map(|(s4, (c5, f6))| DenseChunk { s4, c5, f6 })
    }

    /// All of it as one chunk.
    pub fn whole(&mut self) -> DenseChunk<'_> {
        let Self { s4, c5, f6 } = self;
        DenseChunk { s4, c5, f6 }
    }
}

/// A chunk's part of [`Activations`], to be written.
pub struct Chunk<'a> {
    pub convolved: ConvolvedChunk<'a>,
    pub dense: DenseChunk<'a>,
}

pub struct ConvolvedChunk<'a> {
    pub background: &'a mut [BackgroundMask],
    pub s2: &'a mut [S2Units],
    pub s2_argmax: &'a mut [S2Argmax],
    pub s4_argmax: &'a mut [S4Argmax],
}

pub struct DenseChunk<'a> {
    pub s4: &'a mut [S4Row],
    pub c5: &'a mut [C5Row],
    pub f6: &'a mut [F6Row],
}

/// A chunk's part of [`Activations`], to be read.
pub struct ChunkView<'a> {
    pub background: &'a [BackgroundMask],
    pub s2: &'a [S2Units],
    pub s2_argmax: &'a [S2Argmax],
    pub s4: &'a [S4Row],
    pub s4_argmax: &'a [S4Argmax],
    pub c5: &'a [C5Row],
    pub f6: &'a [F6Row],
}

/// The gradients of C5's and F6's sums, before ReLU, and of the convolutions' parameters, chunk by chunk.
#[derive(Default)]
pub struct Grads {
    pub c5: AlignedVec<C5Row>,
    pub f6: AlignedVec<F6Row>,
    convolutions: Vec<Box<ConvGrads>>,
}

impl Grads {
    pub fn resize(&mut self, images: usize) {
        self.c5.resize(images);
        self.f6.resize(images);
        self.convolutions.resize_with(images.div_ceil(CHUNK), zeroed_box);
    }

    /// The sum of the convolutions' over the chunks, in their order.
    pub fn convolutions(&self) -> Box<ConvGrads> {
        let mut total = zeroed_box::<ConvGrads>();
        self.convolutions.iter().for_each(|sums| total.add(sums));
        total
    }

    pub fn chunks(&mut self) -> impl Iterator<Item = ChunkGrads<'_>> {
        let Self { c5, f6, convolutions } = self;
        let chunks = c5.chunks_mut(CHUNK).zip(f6.chunks_mut(CHUNK)).zip(convolutions);
        chunks.map(|((c5, f6), convolutions)| ChunkGrads { c5, f6, convolutions })
    }
}

/// A chunk's part of [`Grads`]. It holds those of earlier images until it is written.
pub struct ChunkGrads<'a> {
    pub c5: &'a mut [C5Row],
    pub f6: &'a mut [F6Row],
    pub convolutions: &'a mut ConvGrads,
}
