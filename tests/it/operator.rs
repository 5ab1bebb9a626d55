//! The whole net as one operator against Burn's own operators and against the textbook.

use burn::{module::ModuleVisitor, nn::loss::CrossEntropyLossConfig, prelude::*, tensor::Gradients};
use lenet::{
    config::Operators,
    data::images_tensor,
    model::{LeNet5, LeNet5Config},
};
use proptest::{prelude::*, test_runner::RngSeed};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    common::{splits, train_quietly},
    textbook::{Layer, Layers, Pass, forward_backward, zeros},
};

/// What a step gives: logits, loss, the ten parameters' gradients and the images'.
#[derive(Debug)]
pub struct Step {
    pub logits: Vec<f64>,
    pub loss: f64,
    pub gradients: Vec<Vec<f64>>,
}

/// Images of a kind, `[count][32][32]`.
pub fn images(kind: usize, count: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    match kind {
        0 => {
            let set = &splits().train;
            let first = random.random_range(0..set.len() - count);
            let images = (first..first + count).map(|i| set.image(i)).collect::<Vec<_>>();
            images_tensor(images.into_iter(), set.scale(), &Device::flex()).into_data().iter().collect()
        }
        1 => (0..count * 1024).map(|_| random.random_range(-2.0..2.0)).collect(),
        // Ties in every pooling window.
        2 => (0..count).flat_map(|_| vec![random.random_range(-2.0..2.0); 1024]).collect(),
        // Background with a spot of foreground here and there, in the corners too.
        3 => (0..count * 1024)
            .map(|_| if random.random_range(0..200) == 0 { random.random_range(-2.0..2.0) } else { -0.4 })
            .collect(),
        _ => vec![0.0; count * 1024],
    }
}

pub fn labels(count: usize, classes: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 7 % classes) as u8).collect()
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

pub fn burn_step(net: &LeNet5, images: &[f32], device: &Device) -> Step {
    struct Collect<'a>(&'a Gradients, Vec<Vec<f64>>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.1.push(values(param.val().grad(self.0).unwrap()));
        }
    }
    let count = images.len() / 1024;
    let data = TensorData::new(images.to_vec(), [count, 1, 32, 32]);
    let images = Tensor::<4>::from_data(data, device).require_grad();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(labels(count, net.classes()), [count]), device);
    let logits = net.forward(images.clone());
    let loss = CrossEntropyLossConfig::new().init(device).forward(logits.clone(), targets);
    let gradients = loss.backward();
    let mut collect = Collect(&gradients, Vec::new());
    net.visit(&mut collect);
    collect.1.push(values(images.grad(&gradients).unwrap()));
    Step { logits: values(logits), loss: values(loss)[0], gradients: collect.1 }
}

/// The parameters as the textbook has them: `[outputs][inputs]` everywhere.
fn layers(net: &LeNet5) -> Layers {
    let bias = |bias: &Option<burn::module::Param<Tensor<1>>>| values(bias.as_ref().unwrap().val());
    let convolution =
        |layer: &burn::nn::conv::Conv2d| Layer { weights: values(layer.weight.val()), biases: bias(&layer.bias) };
    let linear =
        |layer: &burn::nn::Linear| Layer { weights: values(layer.weight.val().transpose()), biases: bias(&layer.bias) };
    [convolution(&net.c1), convolution(&net.c3), convolution(&net.c5), linear(&net.f6), linear(&net.output)]
}

fn textbook_step(net: &LeNet5, images: &[f32]) -> Step {
    let layers = layers(net);
    let mut gradient = zeros(&layers);
    let count = images.len() / 1024;
    let factor = 1.0 / count as f64;
    let passes: Vec<Pass> = images
        .chunks(1024)
        .zip(labels(count, net.classes()))
        .map(|(image, label)| {
            let image: Vec<f64> = image.iter().map(|v| f64::from(*v)).collect();
            forward_backward(&layers, &image, label.into(), &mut gradient)
        })
        .collect();
    let transposed = |layer: &Layer| {
        let (outputs, inputs) = (layer.biases.len(), layer.weights.len() / layer.biases.len());
        (0..layer.weights.len()).map(|i| layer.weights[i % outputs * inputs + i / outputs]).collect()
    };
    let mut gradients = Vec::new();
    for (index, layer) in gradient.iter().enumerate() {
        gradients.push(if index < 3 { layer.weights.clone() } else { transposed(layer) });
        gradients.push(layer.biases.clone());
    }
    gradients.push(passes.iter().flat_map(|o| o.image_gradient.clone()).collect());
    for value in gradients.iter_mut().flatten() {
        *value *= factor;
    }
    Step {
        logits: passes.iter().flat_map(|o| o.logits.clone()).collect(),
        loss: passes.iter().map(|o| o.loss).sum::<f64>() * factor,
        gradients,
    }
}

const NAMES: [&str; 11] = [
    "C1 weights",
    "C1 biases",
    "C3 weights",
    "C3 biases",
    "C5 weights",
    "C5 biases",
    "F6 weights",
    "F6 biases",
    "output weights",
    "output biases",
    "images",
];

/// Sums of at most 40 * 784 products, rounded to 24 bits in an order of their own, differ by about 1e-5 of the largest
/// of them; ten times that is allowed.
const TOLERANCE: f64 = 1e-4;

pub fn assert_close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-6_f64, |scale, v| scale.max(v.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= TOLERANCE * scale, "{what}[{i}]: {got} against {expected}, scale {scale}");
    }
}

pub fn assert_same(what: &str, got: &Step, expected: &Step) {
    assert_close(&format!("{what}: logits"), &got.logits, &expected.logits);
    assert_close(&format!("{what}: loss"), &[got.loss], &[expected.loss]);
    for ((name, got), expected) in NAMES.iter().zip(&got.gradients).zip(&expected.gradients) {
        assert_close(&format!("{what}: {name}"), got, expected);
    }
}

fn net(seed: u64, device: &Device, operators: Operators) -> LeNet5 {
    net_of(10, seed, device, operators)
}

fn net_of(classes: usize, seed: u64, device: &Device, operators: Operators) -> LeNet5 {
    LeNet5Config::new(classes).init_seeded(seed, device).with_operators(operators)
}

proptest! {
    // Fixed, because rounding may decide which of two nearly equal sums is the maximum.
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default() })]
    #[test]
    fn the_operator_agrees_with_burns_and_with_the_textbook(
        kind in 0_usize..5, count in 1_usize..=40, seed in 0_u64..1000,
    ) {
        let images = images(kind, count, seed);
        let device = Device::flex().autodiff();
        let fused = burn_step(&net(seed, &device, Operators::Fused), &images, &device);
        let composed = net(seed, &device, Operators::Composed);
        assert_same("composed", &fused, &burn_step(&composed, &images, &device));
        assert_same("textbook", &fused, &textbook_step(&composed, &images));
    }
}

#[test]
fn the_operator_agrees_for_any_number_of_classes() {
    let (images, device) = (images(0, 21, 7), Device::flex().autodiff());
    for classes in [2, 10, 26, 47, 62, 256] {
        let [fused, composed] =
            [Operators::Fused, Operators::Composed].map(|operators| net_of(classes, 11, &device, operators));
        let step = burn_step(&fused, &images, &device);
        assert_eq!(step.logits.len(), 21 * classes);
        assert_same(&format!("composed, {classes} classes"), &step, &burn_step(&composed, &images, &device));
        assert_same(&format!("textbook, {classes} classes"), &step, &textbook_step(&composed, &images));
    }
}

#[test]
fn both_cpu_backends_run_the_same_operator() {
    let images = images(0, 5, 1);
    let steps = [Device::flex(), crate::common::ndarray()].map(|device| {
        let device = device.autodiff();
        let mut record = net(1, &Device::flex(), Operators::Fused).into_record();
        record = record.cast_to_module_dtype();
        burn_step(&LeNet5Config::new(10).init(&device).try_load_record(record).unwrap(), &images, &device)
    });
    assert_eq!(steps[0].logits, steps[1].logits);
    // The loss is each backend's own.
    assert_same("ndarray", &steps[1], &steps[0]);
}

#[test]
fn the_textbook_agrees_with_finite_differences() {
    let net = net(2, &Device::flex(), Operators::Composed);
    let layers = layers(&net);
    // No ties, where the slope is undefined.
    let image: Vec<f64> = images(1, 1, 3).into_iter().map(f64::from).collect();
    let mut gradient = zeros(&layers);
    let pass = forward_backward(&layers, &image, 3, &mut gradient);
    let loss = |layers: &Layers, image: &[f64]| forward_backward(layers, image, 3, &mut zeros(layers)).loss;
    let step = 1e-6;
    let check = |what: &str, slope: f64, measured: f64| {
        assert!((slope - measured).abs() < 1e-7 + 1e-5 * slope.abs(), "{what}: {slope} against {measured}");
    };
    for layer in 0..5 {
        for at in (0..layers[layer].weights.len()).step_by(layers[layer].weights.len() / 12) {
            let moved = |by: f64| {
                let mut layers = layers.clone();
                layers[layer].weights[at] += by;
                loss(&layers, &image)
            };
            let measured = (moved(step) - moved(-step)) / (2.0 * step);
            check(&format!("weight {at} of layer {layer}"), gradient[layer].weights[at], measured);
        }
    }
    for at in (0..1024).step_by(37) {
        let moved = |by: f64| {
            let mut image = image.clone();
            image[at] += by;
            loss(&layers, &image)
        };
        check(&format!("pixel {at}"), pass.image_gradient[at], (moved(step) - moved(-step)) / (2.0 * step));
    }
}

#[test]
fn nan_and_infinity_travel_as_in_burns_operators() {
    let device = Device::flex();
    let nets = [Operators::Fused, Operators::Composed].map(|operators| net(4, &device, operators));
    // In the middle of an image, in its first pixel, in its first row, whose shade is the background's, and all over it.
    let positions = [500..501, 0..1, 0..32, 0..1024];
    for (value, positions) in
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().flat_map(|value| positions.clone().map(|p| (value, p)))
    {
        let mut images = images(0, 3, 9);
        images[1024..2048][positions.clone()].fill(value);
        let data = TensorData::new(images, [3, 1, 32, 32]);
        let [fused, composed] =
            nets.each_ref().map(|net| values(net.forward(Tensor::from_data(data.clone(), &device))));
        for (fused, composed) in fused.iter().zip(&composed) {
            let same = fused.is_nan() && composed.is_nan()
                || fused.to_bits() == composed.to_bits()
                || (fused - composed).abs() < 1e-4;
            assert!(same, "{value} at {positions:?}: {fused} against {composed}");
        }
    }
}

#[test]
fn results_are_the_same_bits_for_any_number_of_threads() {
    let images = images(0, 100, 8);
    let device = Device::flex().autodiff();
    let step = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let step = burn_step(&net(6, &device, Operators::Fused), &images, &device);
            (step.logits, step.gradients)
        })
    };
    let one = step(1);
    assert_eq!(one, step(2));
    assert_eq!(one, step(5));
}

#[test]
fn training_and_inference_give_the_same_logits() {
    let images = TensorData::new(images(0, 21, 2), [21, 1, 32, 32]);
    let tape = Device::flex().autodiff();
    let net = net(3, &tape, Operators::Fused);
    let trained = values(net.forward(Tensor::from_data(images.clone(), &tape)));
    let inferred = values(net.valid().forward(Tensor::from_data(images, &Device::flex())));
    assert_eq!(trained, inferred);
}

#[test]
fn both_kinds_of_operators_learn_alike() {
    let folder = tempfile::tempdir().unwrap();
    let losses = ["fused", "composed"].map(|operators| {
        // Few and small steps: later, what was rounded differently grows from step to step.
        let operator = format!("operators={operators}");
        let small = ["training.epochs=1", "data.train=640", "optimizer.learning_rate=0.01", &operator];
        let config = crate::common::smoke(&small);
        let run = folder.path().join(operators);
        train_quietly(&config, &run, lenet::artifacts::Existing::Refuse).unwrap().epochs[0].train.loss
    });
    assert!((losses[0] - losses[1]).abs() < 1e-5, "{losses:?}");
}
