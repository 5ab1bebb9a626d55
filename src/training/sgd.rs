//! Stochastic gradient descent, as Burn's optimizer or by our own operator.

use burn::{
    grad_clipping::GradientClippingConfig,
    optim::{
        LearningRate, ModuleOptimizer, Optimizer, RecordState, SgdConfig, StateSink, StateSource,
        decay::WeightDecayConfig, join_path, momentum::MomentumConfig,
    },
    tensor::{Device, Tensor},
};

use crate::{
    config::{Operators, OptimizerConfig},
    ops::{
        descent::{self, Stride},
        on_host,
    },
};

/// SGD as textbooks have it, for a net on a device: Burn's momentum is dampened by a tenth unless told otherwise.
pub(crate) fn optimizer(config: &OptimizerConfig, operators: Operators, device: &Device) -> ModuleOptimizer {
    #[expect(clippy::cast_possible_truncation, reason = "Burn's gradients and decay are f32")]
    let (decay, clip) = (config.weight_decay as f32, config.clip_norm as f32);
    let clipping = (clip > 0.0).then_some(GradientClippingConfig::Norm(clip));
    if operators == Operators::Fused && on_host(device) {
        let optimizer = ModuleOptimizer::from(Sgd(config.clone()));
        return match clipping {
            Some(clipping) => optimizer.with_grad_clipping(clipping.init()),
            None => optimizer,
        };
    }
    let momentum =
        MomentumConfig::new().with_momentum(config.momentum).with_dampening(0.0).with_nesterov(config.nesterov);
    SgdConfig::new()
        .with_momentum((config.momentum > 0.0).then_some(momentum))
        .with_weight_decay((decay > 0.0).then(|| WeightDecayConfig::new(decay)))
        .with_gradient_clipping(clipping)
        .init()
}

/// SGD by one operator for each parameter. Its records are those of Burn's.
#[derive(Clone)]
struct Sgd(OptimizerConfig);

/// What is kept of a parameter's steps.
#[derive(Clone)]
struct Velocity<const D: usize>(Option<Tensor<D>>);

/// Where Burn's records have the velocity.
const MOMENTUM: &str = "momentum";
const VELOCITY: &str = "velocity";

impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(velocity) = &self.0 {
            out.push_tensor(&join_path(prefix, MOMENTUM), VELOCITY, velocity.clone().into_data());
        }
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let data = source.take_tensor(&join_path(prefix, MOMENTUM), VELOCITY);
        Some(Self(data.map(|data| Tensor::from_data(data, device))))
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let velocity = state.and_then(|state| state.0).unwrap_or_else(|| gradient.zeros_like());
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let stride = Stride {
            learning_rate: learning_rate as f32,
            momentum: self.0.momentum as f32,
            nesterov: self.0.nesterov,
            weight_decay: self.0.weight_decay as f32,
        };
        let (weights, velocity) = descent::descend(weights, gradient, velocity, stride);
        (weights, Some(Velocity((self.0.momentum > 0.0).then_some(velocity))))
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity(state.0.map(|velocity| velocity.to_device(device)))
    }
}
