//! A step of stochastic gradient descent with momentum, in one pass over the values.
//!
//! The assignment says "we just add the gradient": it has to be subtracted.

use macerator::Simd;

use crate::{
    parallel::for_each,
    simd::{F32x16, InstructionSet, Kernel, LANES},
};

/// How many values one thread takes at a time: C5 has four times as many.
const PART: usize = 12_000;

/// How a step moves parameters.
#[derive(Debug, Clone, Copy)]
pub struct SgdStep {
    /// The step size.
    pub learning_rate: f32,
    /// The fraction of the previous velocity that is kept.
    pub momentum: f32,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// The factor of the L2 penalty.
    pub weight_decay: f32,
}

impl SgdStep {
    /// `v ← μ v + (g + λ w)`, then `w ← w - η v`, or with Nesterov's momentum `w ← w - η (μ v + (g + λ w))`. `gradient`
    /// is overwritten with the new weights.
    ///
    /// A velocity that is subnormal becomes zero: that of a weight without gradient would stay subnormal, where arithmetic is
    /// slow.
    ///
    /// # Panics
    /// The slices are not of one length.
    pub fn apply(self, weights: &[f32], gradient: &mut [f32], velocity: &mut [f32]) {
        assert!(weights.len() == gradient.len() && velocity.len() == weights.len());
        let parts = weights.chunks(PART).zip(gradient.chunks_mut(PART).zip(velocity.chunks_mut(PART)));
        for_each(parts.collect(), |(weights, (gradient, velocity))| {
            InstructionSet::detect().run(Apply { step: self, weights, gradient, velocity });
        });
    }
}

struct Apply<'a> {
    step: SgdStep,
    weights: &'a [f32],
    gradient: &'a mut [f32],
    velocity: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let (weights, last_weights) = self.weights.as_chunks::<LANES>();
        let (gradient, last_gradient) = self.gradient.as_chunks_mut::<LANES>();
        let (velocity, last_velocity) = self.velocity.as_chunks_mut::<LANES>();
        for ((w, g), v) in weights.iter().zip(gradient).zip(velocity) {
            step::<S, N>(self.step, w, g, v);
        }
        let count = last_weights.len();
        let (mut w, mut g, mut v) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        w[..count].copy_from_slice(last_weights);
        g[..count].copy_from_slice(last_gradient);
        v[..count].copy_from_slice(last_velocity);
        step::<S, N>(self.step, &w, &mut g, &mut v);
        last_gradient.copy_from_slice(&g[..count]);
        last_velocity.copy_from_slice(&v[..count]);
    }
}

#[inline(always)]
fn step<S: Simd, const N: usize>(
    step: SgdStep,
    weights: &[f32; LANES],
    gradient: &mut [f32; LANES],
    velocity: &mut [f32; LANES],
) {
    let (weights, momentum) = (F32x16::<S, N>::load(weights), F32x16::splat(step.momentum));
    let decayed = weights.mul_add(F32x16::splat(step.weight_decay), F32x16::load(gradient));
    let moved = F32x16::load(velocity).mul_add(momentum, decayed).flush_subnormal();
    let direction = if step.nesterov { moved.mul_add(momentum, decayed) } else { moved };
    direction.mul_add(F32x16::splat(-step.learning_rate), weights).store(gradient);
    moved.store(velocity);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, noise};

    #[test]
    fn a_step_is_the_formulas_for_any_length() {
        for (nesterov, length) in [false, true].into_iter().flat_map(|n| [0, 1, 15, 16, 40].map(|length| (n, length))) {
            let [weights, gradient, velocity] = [1, 2, 3].map(|seed| noise(seed, length));
            let step = SgdStep { learning_rate: 0.1, momentum: 0.9, nesterov, weight_decay: 0.01 };
            let (mut new, mut moved) = (gradient.clone(), velocity.clone());
            step.apply(&weights, &mut new, &mut moved);
            let values =
                weights.iter().zip(&gradient).zip(&velocity).map(|((w, g), v)| [w, g, v].map(|x| f64::from(*x)));
            let expected: Vec<_> = values
                .map(|[w, g, v]| {
                    let decayed = g + 0.01 * w;
                    let v = 0.9 * v + decayed;
                    (w - 0.1 * if nesterov { 0.9 * v + decayed } else { v }, v)
                })
                .collect();
            assert_close("weights", new, expected.iter().map(|e| e.0));
            assert_close("velocity", moved, expected.iter().map(|e| e.1));
        }
    }

    #[test]
    fn a_subnormal_velocity_becomes_zero() {
        let step = SgdStep { learning_rate: 1.0, momentum: 0.5, nesterov: false, weight_decay: 0.0 };
        let (mut weights, mut velocity) = ([0.0; 3], [2e-38, -4e-38, f32::NAN]);
        step.apply(&[1.0; 3], &mut weights, &mut velocity);
        assert_eq!(velocity[..2], [0.0, -2e-38]);
        assert!(velocity[2].is_nan() && weights[2].is_nan());
    }
}
