//! Fused operators for Burn's CPU backends, on top of the crate `lenet_kernels`.
//!
//! - [`operator`]: the whole net as one node on the tape, and without a tape, for images that are made while it runs.
//! - [`mod@step`]: the same with its loss and all gradients, which training takes.
//! - [`sgd`]: a step of the optimizer.
//! - [`host`]: a backend's tensors as slices.
//!
//! Other backends, and backends that record operations, use Burn's own operators.

#![allow(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]

mod host;
mod operator;
pub(crate) mod sgd;
mod step;

use std::sync::Arc;

use lenet_kernels::ImageSource;

pub(crate) use self::{
    host::{tensor, values},
    operator::{forward, infer_images, strongest_units},
    step::{Targets, step},
};

/// Images that an operator takes a few at a time.
pub(crate) type SharedImages = Arc<dyn ImageSource + Send + Sync>;
