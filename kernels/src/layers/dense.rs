//! The fully connected layers C5, F6 and output, of several images at once. C5 belongs here: its kernels of 16x5x5 cover
//! the whole of S4's maps, so there is one position and nothing to slide.
//!
//! # The algorithm
//!
//! ```text
//! z[o] = b[o] + Σᵢ w[i][o] · x[i]        and ReLU, but for the output
//! ```
//!
//! Backwards, `∂L/∂w[i][o] = Σ x[i] · δ[o]` and `∂L/∂b[o] = Σ δ[o]` over the mini-batch, and `∂L/∂x[i] = Σₒ δ[o] · w[i][o]`,
//! which passes where `x[i]`, the output of ReLU before, is not zero.
//!
//! # The schedule
//!
//! Products of matrices ([`matmul`](crate::simd::matmul)): which one depends on how the weights lie. Most units are zero
//! for most images, and so are most gradients: where rows are multiplied by them, those are left out.

use std::mem::MaybeUninit;

use macerator::Simd;

use crate::{
    pack::{BackwardWeights, ForwardWeights},
    shapes::{C5Row, F6Row, OUTPUT, OutputRow, S4Row},
    simd::{
        F32x16, Kernel, Row,
        matmul::{matmul_nn, matmul_nn_sparse, matmul_nt, matmul_tn},
    },
};

/// C5 forwards.
pub struct C5Forward<'a> {
    pub s4: &'a [S4Row],
    pub w: &'a ForwardWeights<'a>,
    pub c5: &'a mut [C5Row],
}

impl Kernel for C5Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nt::<S, N, _, _>(self.c5, self.s4, self.w.c5);
        add_bias_relu(self.c5, self.w.c5_bias);
    }
}

/// F6 forwards.
pub struct F6Forward<'a> {
    pub c5: &'a [C5Row],
    pub w: &'a ForwardWeights<'a>,
    pub f6: &'a mut [F6Row],
}

impl Kernel for F6Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nn::<S, N, _, _>(self.f6, self.c5, &self.w.f6);
        add_bias_relu(self.f6, self.w.f6_bias);
    }
}

/// The output forwards.
pub struct OutputForward<'a> {
    pub f6: &'a [F6Row],
    pub w: &'a ForwardWeights<'a>,
    /// Room to work in, a row for each image.
    pub sums: &'a mut [OutputRow],
    pub logits: &'a mut [[f32; OUTPUT]],
}

impl Kernel for OutputForward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nn::<S, N, _, _>(self.sums, self.f6, &self.w.output);
        for (logits, sums) in self.logits.iter_mut().zip(self.sums) {
            for (logit, (sum, bias)) in logits.iter_mut().zip(sums.as_flattened().iter().zip(self.w.output_bias)) {
                *logit = sum + bias;
            }
        }
    }
}

/// The output backwards: the gradient of F6.
pub struct OutputBackward<'a> {
    pub output_grad: &'a [OutputRow],
    pub w: &'a BackwardWeights<'a>,
    pub f6: &'a [F6Row],
    pub f6_grad: &'a mut [F6Row],
}

impl Kernel for OutputBackward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nt::<S, N, _, _>(self.f6_grad, self.output_grad, &self.w.output);
        relu_grad::<S, N, _>(self.f6_grad, self.f6);
    }
}

/// F6 backwards: the gradient of C5.
pub struct F6Backward<'a> {
    pub f6_grad: &'a [F6Row],
    pub w: &'a BackwardWeights<'a>,
    pub c5: &'a [C5Row],
    pub c5_grad: &'a mut [C5Row],
}

impl Kernel for F6Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nt::<S, N, _, _>(self.c5_grad, self.f6_grad, &self.w.f6);
        relu_grad::<S, N, _>(self.c5_grad, self.c5);
    }
}

/// C5 backwards: the gradient of S4.
pub struct C5Backward<'a> {
    pub c5_grad: &'a [C5Row],
    pub w: &'a BackwardWeights<'a>,
    pub s4: &'a [S4Row],
    pub s4_grad: &'a mut [S4Row],
}

impl Kernel for C5Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nn_sparse::<S, N, _, _>(self.s4_grad, self.c5_grad, self.w.c5);
        relu_grad::<S, N, _>(self.s4_grad, self.s4);
    }
}

/// The gradient of a layer's weights, in rows from `first` on: [`matmul_tn`].
pub struct WeightGrad<'a, const A: usize, const B: usize> {
    pub out: &'a mut [MaybeUninit<Row<B>>],
    pub first: usize,
    pub a: &'a [Row<A>],
    pub b: &'a [Row<B>],
}

impl<const A: usize, const B: usize> Kernel for WeightGrad<'_, A, B> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_tn::<S, N, A, B>(self.out, self.first, self.a, self.b);
    }
}

/// A bias's gradient: its output's gradient, summed over the mini-batch.
pub fn bias_grad<const B: usize>(grads: &[Row<B>], outputs: usize) -> Vec<f32> {
    let mut sums = vec![0.0; outputs];
    for row in grads {
        for (sum, grad) in sums.iter_mut().zip(row.as_flattened()) {
            *sum += grad;
        }
    }
    sums
}

#[inline(always)]
fn add_bias_relu<const B: usize>(rows: &mut [Row<B>], bias: &[f32]) {
    for row in rows {
        for (unit, bias) in row.as_flattened_mut().iter_mut().zip(bias) {
            let sum = *unit + bias;
            *unit = if sum <= 0.0 { 0.0 } else { sum };
        }
    }
}

/// `grads` stays where the units' outputs are above zero, and is 0 elsewhere.
#[inline(always)]
fn relu_grad<S: Simd, const N: usize, const B: usize>(grads: &mut [Row<B>], outputs: &[Row<B>]) {
    for (grads, outputs) in grads.as_flattened_mut().iter_mut().zip(outputs.as_flattened()) {
        F32x16::<S, N>::load(grads).relu_grad(F32x16::load(outputs)).store(grads);
    }
}
