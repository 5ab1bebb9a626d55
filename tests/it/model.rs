//! The net itself.

use burn::{
    module::{ModuleMapper, Param},
    nn::loss::CrossEntropyLossConfig,
    prelude::*,
    tensor::{DType, FloatDType},
};
use lenet::{
    data::images_tensor,
    model::{LeNet5, LeNet5Config},
};

use crate::common::{parameter_bits, splits};

#[test]
fn every_layer_has_the_assignments_number_of_parameters() {
    let net = LeNet5Config::new(10).init(&Device::flex());
    let layers = [
        net.c1.num_params(),
        net.s2.num_params(),
        net.c3.num_params(),
        net.s4.num_params(),
        net.c5.num_params(),
        net.f6.num_params(),
        net.output.num_params(),
    ];
    assert_eq!(layers, [156, 0, 2_416, 0, 48_120, 10_164, 850]);
    assert_eq!(net.num_params(), 61_706);
    for (classes, parameters) in [(10, 61_706), (26, 63_066), (47, 64_851), (62, 66_126)] {
        let config = LeNet5Config::new(classes);
        let net = config.init(&Device::flex());
        assert_eq!((net.classes(), net.num_params(), config.parameter_count()), (classes, parameters, parameters));
    }
}

#[test]
fn seeded_parameters_do_not_depend_on_what_other_threads_draw() {
    let seeded = || parameter_bits(&LeNet5Config::new(10).init_seeded(3, &Device::flex()));
    let expected = seeded();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    parameter_bits(&LeNet5Config::new(10).init(&Device::flex()));
                }
            });
        }
        assert!((0..50).all(|_| seeded() == expected));
    });
}

#[test]
fn shapes_are_those_of_the_assignment() {
    let device = Device::flex();
    let net = LeNet5Config::new(10).init_seeded(1, &device);
    let x = Tensor::<4>::zeros([3, 1, 32, 32], &device);
    let x = net.c1.forward(x);
    assert_eq!(x.dims(), [3, 6, 28, 28]);
    let x = net.s2.forward(x);
    assert_eq!(x.dims(), [3, 6, 14, 14]);
    let x = net.c3.forward(x);
    assert_eq!(x.dims(), [3, 16, 10, 10]);
    let x = net.s4.forward(x);
    assert_eq!(x.dims(), [3, 16, 5, 5]);
    assert_eq!(net.c5.forward(x).dims(), [3, 120, 1, 1]);
    for batch in [1, 3] {
        let images = Tensor::<4>::zeros([batch, 1, 32, 32], &device);
        assert_eq!(net.forward(images.clone()).dims(), [batch, 10]);
        let sums: Vec<f32> = net.probabilities(images).sum_dim(1).into_data().iter().collect();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{sums:?}");
    }
}

#[test]
fn a_seed_draws_the_same_net_and_another_seed_another() {
    let device = Device::flex();
    let bits = |seed| parameter_bits(&LeNet5Config::new(10).init_seeded(seed, &device));
    assert_eq!(bits(7), bits(7));
    assert_ne!(bits(7), bits(8));
}

struct ToF64;

impl ModuleMapper for ToF64 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let data = tensor.to_data().convert::<f64>();
            Tensor::from_data(data, (&tensor.device(), DType::F64)).require_grad()
        })
    }
}

/// The loss of a small mini-batch of real images in f64.
fn loss(net: &LeNet5, images: &Tensor<4>, targets: &Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&images.device()).forward(net.forward(images.clone()), targets.clone())
}

/// Every parameter's gradient against the slope of the loss along a random direction, in f64: central differences are
/// then exact to about 1e-9, unless the step crosses a kink of ReLU or of the maximum, which it does not at 1e-6.
#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    let set = &splits().train;
    let images = images_tensor((0..6).map(|i| set.image(i)), set.scale(), &device).cast(FloatDType::F64);
    let targets: Vec<i32> = (0..6).map(|i| i32::from(set.label(i))).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [6]), &device);
    let net = LeNet5Config::new(10).init_seeded(3, &device).map(&mut ToF64);
    let gradients = loss(&net, &images, &targets).backward();

    macro_rules! check {
        ($($part:ident . $field:ident),*) => {$({
            let name = concat!(stringify!($part), ".", stringify!($field));
            let value = parameter!(net, $part, $field).val();
            let gradient = value.grad(&gradients).unwrap().into_data();
            let direction: Vec<f64> = (0..value.shape().num_elements()).map(|i| ((i * 7 + 3) as f64).sin()).collect();
            let slope: f64 = gradient.iter::<f64>().zip(&direction).map(|(g, d)| g * d).sum();
            let direction = TensorData::new(direction, value.shape());
            let at = |step: f64| {
                let mut moved = net.clone();
                let direction = Tensor::from_data(direction.clone(), (&device, DType::F64));
                replace!(moved, $part, $field, value.clone() + direction * step);
                loss(&moved, &images, &targets).into_scalar::<f64>()
            };
            let step = 1e-6;
            let measured = (at(step) - at(-step)) / (2.0 * step);
            assert!(slope.abs() > 1e-6, "{name}: the direction tells nothing: {slope}");
            assert!((measured - slope).abs() < 1e-6 * slope.abs().max(1.0), "{name}: {measured} against {slope}");
        })*};
    }
    macro_rules! parameter {
        ($net:expr, $part:ident, weight) => {
            $net.$part.weight
        };
        ($net:expr, $part:ident, bias) => {
            $net.$part.bias.clone().unwrap()
        };
    }
    macro_rules! replace {
        ($net:expr, $part:ident, weight, $value:expr) => {
            $net.$part.weight = $net.$part.weight.map(|_| $value)
        };
        ($net:expr, $part:ident, bias, $value:expr) => {
            $net.$part.bias = $net.$part.bias.map(|b| b.map(|_| $value))
        };
    }
    check!(c1.weight, c1.bias, c3.weight, c3.bias, c5.weight, c5.bias, f6.weight, f6.bias, output.weight, output.bias);
}
