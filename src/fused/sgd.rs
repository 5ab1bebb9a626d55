//! A step of stochastic gradient descent with momentum as one operator: one pass over the values, where Burn's own takes
//! five and new memory for each.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    prelude::*,
    tensor::DType,
};
use lenet_kernels::SgdStep;

use super::host::Host;
use crate::backend::is_host;

/// The operator as a Burn backend extension.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"))]
pub trait SgdOps: Backend {
    /// Takes a step against the gradient; returns the new weights and velocity, all `f32` and of one shape.
    fn sgd_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(feature = "flex")]
impl SgdOps for Flex {
    fn sgd_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        apply::<Self>(weights, gradient, velocity, step)
    }
}

#[cfg(feature = "ndarray")]
impl SgdOps for NdArray {
    fn sgd_step(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        apply::<Self>(weights, gradient, velocity, step)
    }
}

/// The new weights take the gradient's place in memory, the new velocity that of the old one.
fn apply<B: Host>(
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    velocity: FloatTensor<B>,
    step: SgdStep,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [weights, mut gradient, mut velocity] = [weights, gradient, velocity].map(B::contiguous);
    let values = (B::values(&weights), B::values_mut(&mut gradient), B::values_mut(&mut velocity));
    // Returning the gradient as weights would be silent corruption.
    let (Some(w), Some(g), Some(v)) = values else { unreachable!("`sgd_step` has checked that they are f32") };
    step.apply(w, g, v);
    (gradient, velocity)
}

/// The new weights and the new velocity by the operator.
///
/// # Panics
/// They are not of `f32`, or not on a CPU backend.
pub(crate) fn sgd_step<const D: usize>(
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Tensor<D>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    let all = [&weights, &gradient, &velocity];
    let applies = all.iter().all(|tensor| is_host(&tensor.device()) && tensor.dtype() == DType::F32);
    assert!(applies, "the operator is for parameters of f32 on the CPU");
    let [weights, gradient, velocity] = [weights, gradient, velocity].map(Tensor::into_dispatch);
    let (weights, velocity) = <Dispatch as SgdOps>::sgd_step(weights, gradient, velocity, step);
    (Tensor::from_dispatch(weights), Tensor::from_dispatch(velocity))
}
