//! Fused operators for Burn's CPU backends, on top of the crate `lenet_kernels`.
//!
//! - [`operator`]: the whole net as one node on the tape.
//! - [`loss`]: the same with softmax and cross-entropy, which training takes.
//! - [`sgd`]: a step of the optimizer.
//! - [`host`]: a backend's tensors as slices.
//!
//! Other backends, and backends that record operations, use Burn's own operators.

#![allow(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]

mod host;
mod loss;
mod operator;
pub(crate) mod sgd;

pub(crate) use self::{
    host::{tensor, values},
    loss::loss,
    operator::forward,
};
