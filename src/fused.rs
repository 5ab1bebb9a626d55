//! LeNet-5 as fused operators for Burn's CPU backends: the door from Burn to the kernels of the crate `lenet_kernels`.
//!
//! - [`operator`]: the whole net as one node on the tape.
//! - [`cross_entropy`]: softmax and the loss as another.
//! - [`sgd`]: a step of the optimizer.
//! - [`host`]: a backend's tensors as slices.
//!
//! They know nothing of [`LeNet5`](crate::model::LeNet5). Other backends, and whatever records operations, compose Burn's
//! own.

#![allow(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]

pub(crate) mod cross_entropy;
mod host;
mod operator;
pub(crate) mod sgd;

pub(crate) use self::operator::forward;
