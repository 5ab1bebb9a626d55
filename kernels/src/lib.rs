//! LeNet-5, forward and backward, on plain slices: SIMD kernels and threads, without a framework.
//!
//! Start with [`Net`]: images and [`Parameters`] in, logits and gradients out, with a mini-batch spread over the cores.
//!
//! A map of the crate. Modules use only modules above them in this list:
//!
//! - `simd`: sixteen values at a time, products of matrices, and the choice of the processor's instruction set.
//! - `shapes`: every dimension, and the table of layouts.
//! - `winograd`: filters of five taps with fewer products.
//! - `parameters`: a weight and a bias for each layer.
//! - `images`: where images come from.
//! - `pack`: parameters from Burn's and PyTorch's layout to that of the kernels, gradients back.
//! - [`cross_entropy`] and `sgd`: the loss and the optimizer's step.
//! - [`parallel`]: work over the threads of Rayon's pool by threads that wait awake.
//! - `layers`: C1 with S2, C3 with S4, and the fully connected layers; of each the algorithm, the kernels for both
//!   directions, and tests against the algorithm in plain loops.
//! - `buffers`: what the layers leave of a mini-batch, in chunks of images.
//! - `probe`: where the time of a pass goes.
//! - `net`: a mini-batch over the cores, layer after layer, forward and backward.
//!
//! Results do not depend on the number of threads, bit for bit.

#![allow(
    unsafe_code,
    reason = "positions that an argmax gives, and memory that is written before it is read; each block says why"
)]
#![allow(clippy::needless_range_loop, reason = "an index into registers; iterators over them are not always inlined")]
#![allow(clippy::out_of_bounds_indexing, reason = "branches of `unroll!` that are never taken")]
#![allow(clippy::absurd_extreme_comparisons, reason = "the first branch of `unroll!`")]
#![expect(
    clippy::inline_always,
    reason = "a kernel may use the processor's vectors only where it is inlined into the function that enables them"
)]

mod buffers;
pub mod cross_entropy;
mod images;
mod layers;
mod net;
mod pack;
pub mod parallel;
mod parameters;
mod probe;
mod sgd;
mod shapes;
mod simd;
#[cfg(test)]
mod testing;
mod winograd;

pub use self::{
    buffers::Activations,
    images::ImageSource,
    net::{Loss, Net},
    parameters::{LayerParameters, Parameters, lengths},
    probe::{Probe, Stage, StageTimer},
    sgd::SgdStep,
    shapes::{INPUT, INPUT_SIDE, Image},
    simd::InstructionSet,
};
