//! A step of gradient descent with momentum as one operator for Burn's CPU backends: one pass over the numbers, where
//! Burn's own takes five and new memory for each.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor},
    prelude::*,
    tensor::DType,
};
use macerator::{Arch, Simd};

use super::{
    Host,
    block::{BLOCK, Block},
    layers::{kernel, run},
    on_host,
};

/// By how much a step moves a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stride {
    pub(crate) learning_rate: f32,
    /// The share of the last velocity that is kept.
    pub(crate) momentum: f32,
    /// Whether the gradient is added to the velocity once more.
    pub(crate) nesterov: bool,
    /// The factor of the L2 penalty.
    pub(crate) weight_decay: f32,
}

/// The operator, as Burn's extension of its backends. All tensors are of `f32`.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"))]
pub trait DescentOps: Backend {
    /// Moves weights against their gradient; gives the new weights and the new velocity.
    ///
    /// # Shapes
    /// All are alike.
    fn descend(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        learning_rate: f32,
        momentum: f32,
        nesterov: bool,
        weight_decay: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

macro_rules! on {
    ($backend:ty) => {
        impl DescentOps for $backend {
            fn descend(
                weights: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                velocity: FloatTensor<Self>,
                learning_rate: f32,
                momentum: f32,
                nesterov: bool,
                weight_decay: f32,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let stride = Stride { learning_rate, momentum, nesterov, weight_decay };
                compute::<Self>(weights, gradient, velocity, stride)
            }
        }
    };
}

#[cfg(feature = "flex")]
on!(Flex);
#[cfg(feature = "ndarray")]
on!(NdArray);

/// `v ← μ v + (g + λ w)`, then `w ← w - η v`, or with Nesterov's momentum `w ← w - η (μ v + (g + λ w))`.
///
/// The new weights take the gradient's place in memory, the new velocity that of the old one. A velocity below the
/// normal numbers becomes zero: that of a weight without gradient would stay there, where arithmetic is slow.
fn compute<B: Host>(
    weights: FloatTensor<B>,
    gradient: FloatTensor<B>,
    velocity: FloatTensor<B>,
    stride: Stride,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [weights, mut gradient, mut velocity] = [weights, gradient, velocity].map(B::contiguous);
    let numbers = (B::numbers(&weights), B::numbers_mut(&mut gradient), B::numbers_mut(&mut velocity));
    // `descend` lets no other tensors through than such of `f32`; a gradient must never pass for weights.
    let (Some(w), Some(g), Some(v)) = numbers else { unreachable!("tensors of f32 have such numbers") };
    run(Arch::detect(), Descent { weights: w, gradient: g, velocity: v, stride });
    (gradient, velocity)
}

kernel! {
    /// One step; `gradient` becomes the new weights.
    Descent { weights: &'a [f32], gradient: &'a mut [f32], velocity: &'a mut [f32], stride: Stride }
    <S, N> {
        assert!(weights.len() == gradient.len() && velocity.len() == weights.len());
        let whole = weights.len() / BLOCK * BLOCK;
        for at in (0..whole).step_by(BLOCK) {
            // SAFETY: `at + BLOCK` is at most the length of all three.
            unsafe {
                let (g, v) = (gradient.as_mut_ptr().add(at), velocity.as_mut_ptr().add(at));
                let (new, moved) =
                    step(Block::<S, N>::load(weights.as_ptr().add(at)), Block::load(g), Block::load(v), stride);
                new.store(g);
                moved.store(v);
            }
        }
        let mut rest = [[0.0; BLOCK]; 3];
        let count = weights.len() - whole;
        rest[0][..count].copy_from_slice(&weights[whole..]);
        rest[1][..count].copy_from_slice(&gradient[whole..]);
        rest[2][..count].copy_from_slice(&velocity[whole..]);
        // SAFETY: each array is a block.
        unsafe {
            let [w, g, v] = rest.each_ref().map(|numbers| numbers.as_ptr());
            let (new, moved) = step(Block::<S, N>::load(w), Block::load(g), Block::load(v), stride);
            new.store(rest[1].as_mut_ptr());
            moved.store(rest[2].as_mut_ptr());
        }
        gradient[whole..].copy_from_slice(&rest[1][..count]);
        velocity[whole..].copy_from_slice(&rest[2][..count]);
    }
}

/// The new weights and the new velocity.
#[inline(always)]
fn step<S: Simd, const N: usize>(
    weights: Block<S, N>,
    gradient: Block<S, N>,
    velocity: Block<S, N>,
    stride: Stride,
) -> (Block<S, N>, Block<S, N>) {
    let momentum = Block::splat(stride.momentum);
    let gradient = gradient.add_product(weights, Block::splat(stride.weight_decay));
    let velocity = gradient.add_product(velocity, momentum).or_zero_if_subnormal();
    let direction = if stride.nesterov { gradient.add_product(velocity, momentum) } else { velocity };
    (weights.add_product(direction, Block::splat(-stride.learning_rate)), velocity)
}

/// Whether the operator applies to a tensor: on the CPU backends, where it is of `f32`.
fn applies<const D: usize>(tensor: &Tensor<D>) -> bool {
    on_host(&tensor.device()) && tensor.dtype() == DType::F32
}

/// The new weights and the new velocity by the operator.
///
/// # Panics
/// They are not of `f32`, or not on a CPU backend.
pub(crate) fn descend<const D: usize>(
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Tensor<D>,
    stride: Stride,
) -> (Tensor<D>, Tensor<D>) {
    let all = [&weights, &gradient, &velocity];
    assert!(all.iter().all(|tensor| applies(tensor)), "the operator is for parameters of f32 on the CPU");
    let Stride { learning_rate, momentum, nesterov, weight_decay } = stride;
    let [weights, gradient, velocity] = [weights, gradient, velocity].map(Tensor::into_dispatch);
    let (weights, velocity) =
        <Dispatch as DescentOps>::descend(weights, gradient, velocity, learning_rate, momentum, nesterov, weight_decay);
    (Tensor::from_dispatch(weights), Tensor::from_dispatch(velocity))
}
