//! Stochastic gradient descent: Burn's optimizer, or our own on the CPU.

use burn::{
    grad_clipping::GradientClippingConfig,
    optim::{
        LearningRate, ModuleOptimizer, Optimizer, RecordState, SgdConfig, StateSink, StateSource,
        decay::WeightDecayConfig, join_path, momentum::MomentumConfig,
    },
    tensor::{Device, Tensor},
};

use lenet_kernels::SgdStep;

use crate::{
    backend::is_host,
    config::{Operators, OptimizerConfig},
    fused::sgd::sgd_step,
};

/// The optimizer for a net on a device: SGD as in textbooks, without the dampening of 0.1 that is Burn's default for
/// momentum.
pub(crate) fn optimizer(config: &OptimizerConfig, operators: Operators, device: &Device) -> ModuleOptimizer {
    #[expect(clippy::cast_possible_truncation, reason = "Burn's gradients and decay are f32")]
    let (decay, clip) = (config.weight_decay as f32, config.clip_norm as f32);
    let clipping = (clip > 0.0).then_some(GradientClippingConfig::Norm(clip));
    if operators == Operators::Fused && is_host(device) {
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

/// SGD with a single fused operator for each parameter. Its records have the format of Burn's SGD.
#[derive(Clone)]
struct Sgd(OptimizerConfig);

/// The state of a parameter: its velocity, if there is momentum.
#[derive(Clone)]
struct Velocity<const D: usize>(Option<Tensor<D>>);

/// The names of the velocity in Burn's records.
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
        let step = SgdStep {
            learning_rate: learning_rate as f32,
            momentum: self.0.momentum as f32,
            nesterov: self.0.nesterov,
            weight_decay: self.0.weight_decay as f32,
        };
        let (weights, velocity) = sgd_step(weights, gradient, velocity, step);
        (weights, Some(Velocity((self.0.momentum > 0.0).then_some(velocity))))
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity(state.0.map(|velocity| velocity.to_device(device)))
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        module::{Module, ModuleVisitor, Param},
        tensor::TensorData,
        train::TrainStep,
    };

    use super::*;
    use crate::{
        data::{Batch, Images},
        model::{LeNet5, LeNet5Config},
    };

    fn device() -> Device {
        Device::flex().autodiff()
    }

    fn batch(seed: u8) -> Batch {
        let pixels: Vec<f32> = (0..4 * 1024).map(|i| (((i + usize::from(seed)) as f32) * 12.9898).sin()).collect();
        let targets = Tensor::from_data(TensorData::from([1, 7, 3, i32::from(seed)]), &device());
        Batch { images: Images::new(pixels), targets, share: 1.0 }
    }

    fn parameters(net: &LeNet5) -> Vec<f32> {
        struct Collect(Vec<f32>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.extend(param.val().into_data().iter::<f32>());
            }
        }
        let mut collect = Collect(Vec::new());
        net.visit(&mut collect);
        collect.0
    }

    fn step(optimizer: &mut ModuleOptimizer, net: LeNet5, seed: u8) -> LeNet5 {
        let output = TrainStep::step(&net, batch(seed));
        optimizer.step(0.05, net, output.grads)
    }

    fn assert_close(ours: &LeNet5, burns: &LeNet5) {
        for (ours, burns) in parameters(ours).into_iter().zip(parameters(burns)) {
            assert!((ours - burns).abs() < 1e-6, "{ours} against {burns}");
        }
    }

    #[test]
    fn fused_sgd_equals_burns_and_reads_and_writes_the_same_records() {
        for (momentum, nesterov, weight_decay, clip_norm) in
            [(0.9, false, 0.0, 0.0), (0.8, true, 0.01, 0.5), (0.0, false, 0.02, 0.0)]
        {
            let config = OptimizerConfig { momentum, nesterov, weight_decay, clip_norm, ..OptimizerConfig::default() };
            let new = |operators| optimizer(&config, operators, &device());
            let (mut ours, mut burns) = (new(Operators::Fused), new(Operators::Composed));
            let [mut by_ours, mut by_burns] =
                [device(), device()].map(|device| LeNet5Config::new(10).init_seeded(1, &device));
            for seed in 0..3 {
                by_ours = step(&mut ours, by_ours, seed);
                by_burns = step(&mut burns, by_burns, seed);
            }
            assert_close(&by_ours, &by_burns);
            // Each continues from the other's record.
            let mut resumed = new(Operators::Fused).load_record(burns.to_record());
            assert_close(&step(&mut resumed, by_burns.clone(), 3), &step(&mut burns, by_burns, 3));
            let mut resumed = new(Operators::Composed).load_record(ours.to_record());
            assert_close(&step(&mut resumed, by_ours.clone(), 3), &step(&mut ours, by_ours, 3));
        }
    }

    #[test]
    fn a_subnormal_velocity_becomes_zero() {
        let tensor = |values: [f32; 3]| Tensor::<1>::from_data(TensorData::from(values), &Device::flex());
        let step = SgdStep { learning_rate: 1.0, momentum: 0.5, nesterov: false, weight_decay: 0.0 };
        let (weights, velocity) = sgd_step(tensor([1.0; 3]), tensor([0.0; 3]), tensor([2e-38, -4e-38, f32::NAN]), step);
        let velocity: Vec<f32> = velocity.into_data().iter().collect();
        assert_eq!(velocity[..2], [0.0, -2e-38]);
        assert!(velocity[2].is_nan() && weights.into_data().iter::<f32>().last().is_some_and(f32::is_nan));
    }
}
