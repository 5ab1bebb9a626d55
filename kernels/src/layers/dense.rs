//! The fully connected layers C5, F6 and output, of several images at once. C5 belongs here: its kernels of 16x5x5 cover
//! the whole of S4's maps, so there is one position and nothing to slide.
//!
//! # The algorithm
//!
//! ```text
//! z[o] = b[o] + Σᵢ w[i][o] · x[i]        and ReLU, but for the output
//! ```
//!
//! Backward, `∂L/∂w[i][o] = Σ x[i] · δ[o]` and `∂L/∂b[o] = Σ δ[o]` over the mini-batch, and `∂L/∂x[i] = Σₒ δ[o] · w[i][o]`,
//! which passes where `x[i]`, the output of ReLU before, is not zero.
//!
//! # The schedule
//!
//! Products of matrices ([`matmul`](crate::simd::matmul)): which one depends on how the weights lie. Most units are zero
//! for most images, and so are most gradients: the gradients of weights leave those out.
//!
//! How many classes there are is only known at run time. The output is cut into blocks of sixteen classes, of which ten are
//! one: each is a matrix of its own.

use std::mem::MaybeUninit;

use macerator::Simd;

use crate::{
    pack::{BackwardWeights, ForwardWeights, block_columns},
    shapes::{C5Row, F6, F6Row, OutputBlock, S4Row},
    simd::{
        F32x16, Kernel, Row,
        matmul::{matmul_nn, matmul_nn_sparse, matmul_nt, matmul_tn},
    },
};

/// C5 forward.
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

/// F6 forward.
pub struct F6Forward<'a> {
    pub c5: &'a [C5Row],
    pub w: &'a ForwardWeights<'a>,
    pub f6: &'a mut [F6Row],
}

impl Kernel for F6Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nn::<S, N, _>(self.f6, self.c5.as_flattened().as_flattened(), &self.w.f6);
        add_bias_relu(self.f6, self.w.f6_bias);
    }
}

/// The output forward.
pub struct OutputForward<'a> {
    pub f6: &'a [F6Row],
    pub w: &'a ForwardWeights<'a>,
    /// Room to work in, a row for each image.
    pub sums: &'a mut [OutputBlock],
    /// `[images][classes]`
    pub logits: &'a mut [f32],
}

impl Kernel for OutputForward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let classes = self.w.output_bias.len();
        for (block, w) in self.w.output.chunks_exact(F6).enumerate() {
            matmul_nn::<S, N, _>(self.sums, self.f6.as_flattened().as_flattened(), w);
            let columns = block_columns(block, classes);
            let bias = &self.w.output_bias[columns.clone()];
            for (logits, sums) in self.logits.chunks_exact_mut(classes).zip(&*self.sums) {
                let sums = sums.as_flattened().iter().zip(bias);
                for (logit, (sum, bias)) in logits[columns.clone()].iter_mut().zip(sums) {
                    *logit = sum + bias;
                }
            }
        }
    }
}

/// The output backward: the gradient of F6, of some images.
pub struct OutputBackward<'a> {
    /// `[images][classes]`
    pub logits_grad: &'a [f32],
    pub w: &'a BackwardWeights<'a>,
    pub f6: &'a [F6Row],
    pub f6_grad: &'a mut [F6Row],
}

impl Kernel for OutputBackward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nn::<S, N, _>(self.f6_grad, self.logits_grad, &self.w.output);
        relu_grad::<S, N, _>(self.f6_grad, self.f6);
    }
}

/// F6 backward: the gradient of C5.
pub struct F6Backward<'a> {
    pub f6_grad: &'a [F6Row],
    pub w: &'a BackwardWeights<'a>,
    pub c5: &'a [C5Row],
    pub c5_grad: &'a mut [C5Row],
}

impl Kernel for F6Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        matmul_nn::<S, N, _>(self.c5_grad, self.f6_grad.as_flattened().as_flattened(), &self.w.f6);
        relu_grad::<S, N, _>(self.c5_grad, self.c5);
    }
}

/// C5 backward: the gradient of S4.
pub struct C5Backward<'a> {
    pub c5_grad: &'a [C5Row],
    pub w: &'a BackwardWeights<'a>,
    pub s4: &'a [S4Row],
    pub s4_grad: &'a mut [S4Row],
}

impl Kernel for C5Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        if F32x16::<S, N>::REGISTERS >= 32 {
            // The weights do not fit into the first-level cache: to read them once for several images wins more than to leave
            // out what is zero.
            matmul_nn::<S, N, _>(self.s4_grad, self.c5_grad.as_flattened().as_flattened(), self.w.c5);
        } else {
            matmul_nn_sparse::<S, N, _, _>(self.s4_grad, self.c5_grad, self.w.c5);
        }
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

/// The gradients of a layer's biases: its outputs' gradients, summed over the mini-batch.
pub struct BiasGrad<'a, const B: usize> {
    pub out: &'a mut Row<B>,
    pub grads: &'a [Row<B>],
}

impl<const B: usize> Kernel for BiasGrad<'_, B> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        for block in 0..B {
            let mut sum = F32x16::<S, N>::splat(0.0);
            for row in self.grads {
                sum = sum.add(F32x16::load(&row[block]));
            }
            sum.store(&mut self.out[block]);
        }
    }
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

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::{
        pack::pad_rows,
        shapes::{C5, S4},
        simd::InstructionSet,
        testing::{assert_close, noise, parameters},
    };

    /// `b[o] + Σᵢ w(i, o) · x[i]`
    fn layer(x: &[f64], bias: &[f32], weight: impl Fn(usize, usize) -> f32) -> Vec<f64> {
        let sum = |o| x.iter().enumerate().map(|(i, x)| x * f64::from(weight(i, o))).sum::<f64>();
        bias.iter().enumerate().map(|(o, bias)| f64::from(*bias) + sum(o)).collect()
    }

    fn relu(values: Vec<f64>) -> Vec<f64> {
        values.into_iter().map(|value| value.max(0.0)).collect()
    }

    /// `Σₒ grad[o] · w(i, o)` where the unit is not zero.
    fn input_grad(grad: &[f64], units: &[f64], weight: impl Fn(usize, usize) -> f32) -> Vec<f64> {
        let sum = |i| grad.iter().enumerate().map(|(o, g)| g * f64::from(weight(i, o))).sum::<f64>();
        units.iter().enumerate().map(|(i, unit)| if *unit > 0.0 { sum(i) } else { 0.0 }).collect()
    }

    fn columns<const B: usize>(row: &Row<B>, columns: usize) -> Vec<f32> {
        row.as_flattened()[..columns].to_vec()
    }

    #[test]
    fn forward_and_backward_are_those_of_the_plain_loops() {
        for classes in [2, 10, 16, 26, 47, 256] {
            check(classes);
        }
    }

    fn check(classes: usize) {
        const IMAGES: usize = 5;
        let parameters = parameters(classes);
        let slices = parameters.as_ref().map(Vec::as_slice);
        let (forward, backward) =
            (ForwardWeights::pack(InstructionSet::detect(), &slices), BackwardWeights::pack(&slices));
        // S4 is the output of a ReLU.
        let s4_units: Vec<f32> = noise(20, IMAGES * S4).into_iter().map(|unit| unit.max(0.0)).collect();
        let logits_grads = noise(21, IMAGES * classes);
        let s4 = pad_rows(&s4_units, S4);
        let c5_weight = |i: usize, o: usize| parameters.c5.weight[o * S4 + i];
        let f6_weight = |i: usize, o: usize| parameters.f6.weight[i * F6 + o];
        let output_weight = |i: usize, o: usize| parameters.output.weight[i * classes + o];
        for set in InstructionSet::available() {
            let mut c5 = [C5Row::zeroed(); IMAGES];
            let mut f6 = [F6Row::zeroed(); IMAGES];
            let (mut sums, mut logits) = ([OutputBlock::zeroed(); IMAGES], vec![0.0; IMAGES * classes]);
            set.run(C5Forward { s4: &s4, w: &forward, c5: &mut c5 });
            set.run(F6Forward { c5: &c5, w: &forward, f6: &mut f6 });
            set.run(OutputForward { f6: &f6, w: &forward, sums: &mut sums, logits: &mut logits });
            let (mut f6_grad, mut c5_grad) = ([F6Row::zeroed(); IMAGES], [C5Row::zeroed(); IMAGES]);
            let mut s4_grad = [S4Row::zeroed(); IMAGES];
            set.run(OutputBackward { logits_grad: &logits_grads, w: &backward, f6: &f6, f6_grad: &mut f6_grad });
            set.run(F6Backward { f6_grad: &f6_grad, w: &backward, c5: &c5, c5_grad: &mut c5_grad });
            set.run(C5Backward { c5_grad: &c5_grad, w: &backward, s4: &s4, s4_grad: &mut s4_grad });
            for image in 0..IMAGES {
                let what = |of: &str| format!("{of} of image {image} with {} and {classes} classes", set.name());
                let s4_units: Vec<f64> = columns(&s4[image], S4).into_iter().map(f64::from).collect();
                let c5_units = relu(layer(&s4_units, &parameters.c5.bias, c5_weight));
                let f6_units = relu(layer(&c5_units, &parameters.f6.bias, f6_weight));
                let expected_logits = layer(&f6_units, &parameters.output.bias, output_weight);
                let of_image = image * classes..(image + 1) * classes;
                assert_close(&what("C5"), columns(&c5[image], C5), c5_units.iter().copied());
                assert_close(&what("F6"), columns(&f6[image], F6), f6_units.iter().copied());
                assert_close(&what("logits"), logits[of_image.clone()].iter().copied(), expected_logits);
                let grad: Vec<f64> = logits_grads[of_image].iter().copied().map(f64::from).collect();
                let grad = input_grad(&grad, &f6_units, output_weight);
                assert_close(&what("F6 gradient"), columns(&f6_grad[image], F6), grad.iter().copied());
                let grad = input_grad(&grad, &c5_units, f6_weight);
                assert_close(&what("C5 gradient"), columns(&c5_grad[image], C5), grad.iter().copied());
                let grad = input_grad(&grad, &s4_units, c5_weight);
                assert_close(&what("S4 gradient"), columns(&s4_grad[image], S4), grad);
            }
        }
    }

    #[test]
    fn a_bias_has_the_sum_of_its_outputs_gradients() {
        let grads = pad_rows::<6>(&noise(22, 4 * F6), F6);
        let expected: Vec<f64> =
            (0..F6).map(|o| grads.iter().map(|row| f64::from(row.as_flattened()[o])).sum()).collect();
        for set in InstructionSet::available() {
            let mut out = F6Row::zeroed();
            set.run(BiasGrad { out: &mut out, grads: &grads });
            assert_close(set.name(), columns(&out, F6), expected.iter().copied());
        }
    }
}
