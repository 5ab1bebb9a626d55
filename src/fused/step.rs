//! A step's gradients as one operator: the net, softmax and cross-entropy, forwards and backwards, a few images at a time while
//! their activations are in the cache. Nothing of it is on a tape. Burn's own loss alone is about thirty operators on a handful of
//! values.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::backend::{Backend, Dispatch, DispatchTensor, ExtensionType, TensorMetadata, backend_extension};
use lenet_kernels::{ImageSource, Loss, Net, Parameters};

use super::{
    SharedImages,
    host::Host,
    operator::{ParameterTensors, all_values, are_parameters, classes},
};

/// The loss of a mini-batch, its logits and its gradients, as tensors of a backend.
#[derive(ExtensionType)]
pub struct Step<B: Backend> {
    /// The mean loss of an image by its weight, in nats.
    pub(crate) mean: f32,
    /// `[batch * classes]`
    pub(crate) logits: Vec<f32>,
    #[extension_type]
    gradients: ParameterTensors<B>,
}

impl Step<Dispatch> {
    /// The gradient of each parameter.
    pub(crate) fn into_gradients(self) -> Parameters<DispatchTensor> {
        self.gradients.into_parameters()
    }
}

/// The operator as a Burn backend extension.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"))]
pub trait StepOps: Backend {
    /// The cross-entropy of LeNet-5's softmax over a mini-batch, each image by its weight, and the gradients of `share` times
    /// the sum of the losses, all of `f32`.
    fn lenet5_step(
        #[extension_type] parameters: ParameterTensors<Self>,
        images: SharedImages,
        targets: Targets,
        share: f32,
    ) -> Step<Self>;
}

#[cfg(feature = "flex")]
impl StepOps for Flex {
    fn lenet5_step(
        parameters: ParameterTensors<Self>,
        images: SharedImages,
        targets: Targets,
        share: f32,
    ) -> Step<Self> {
        compute(parameters, &*images, &targets, share)
    }
}

#[cfg(feature = "ndarray")]
impl StepOps for NdArray {
    fn lenet5_step(
        parameters: ParameterTensors<Self>,
        images: SharedImages,
        targets: Targets,
        share: f32,
    ) -> Step<Self> {
        compute(parameters, &*images, &targets, share)
    }
}

fn compute<B: Host>(
    parameters: ParameterTensors<B>,
    images: &dyn ImageSource,
    targets: &Targets,
    share: f32,
) -> Step<B> {
    let parameters = parameters.into_parameters().map(B::contiguous);
    let Targets { distributions, weights } = targets;
    let Loss { mean, logits, grads } =
        Net::new().loss(&all_values::<B>(&parameters), images, distributions, weights, share);
    let shapes = parameters.map(|tensor| tensor.shape());
    let gradients = grads.zip(shapes).map(|(grad, shape)| B::tensor(grad, shape));
    Step { mean, logits, gradients: ParameterTensors::new(gradients) }
}

/// What a step on a mini-batch needs, by the operator; `None` where it does not apply: another backend, values other than `f32`,
/// an empty batch, parameters of other sizes, or targets of another number. Parameters must not be on a tape. The gradients are
/// those of `share` times the sum of the images' losses, each by its weight.
///
/// # Shapes
/// parameters as [`Parameters`] says
pub(crate) fn step(
    images: SharedImages,
    parameters: Parameters<DispatchTensor>,
    targets: Targets,
    share: f32,
) -> Option<Step<Dispatch>> {
    let count = targets.weights.len();
    let fits = count > 0 && images.count() == count && targets.distributions.len() == count * classes(&parameters);
    (fits && are_parameters(&parameters, false))
        .then(|| <Dispatch as StepOps>::lenet5_step(ParameterTensors::new(parameters), images, targets, share))
}

/// What a net is to answer for some images.
#[derive(Debug, Clone)]
pub struct Targets {
    /// `[batch * classes]`: a distribution over the classes for each image.
    pub(crate) distributions: Vec<f32>,
    /// `[batch]`: how much the image counts.
    weights: Vec<f32>,
}

impl Targets {
    /// The targets of labels; `None` if one is not a class.
    ///
    /// `smoothing` is the fraction of each label that is spread evenly over all classes. The label of an image of no class is
    /// `None`: its target is the same for all classes.
    pub(crate) fn new(labels: &[Option<usize>], classes: usize, smoothing: f32) -> Option<Self> {
        let mut distributions = vec![smoothing / classes as f32; labels.len() * classes];
        for (row, label) in distributions.chunks_exact_mut(classes).zip(labels) {
            match label {
                Some(label) => *row.get_mut(*label)? += 1.0 - smoothing,
                None => row.fill(1.0 / classes as f32),
            }
        }
        Some(Self { distributions, weights: vec![1.0; labels.len()] })
    }

    /// The same, where an image counts by the weight of its class; `class_weights` is empty if all count the same.
    pub(crate) fn weighted(mut self, labels: &[Option<usize>], class_weights: &[f32]) -> Self {
        for (weight, label) in self.weights.iter_mut().zip(labels) {
            *weight = label.and_then(|label| class_weights.get(label)).copied().unwrap_or(1.0);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::{
        data::dataloader::DataLoader,
        module::{Module, ModuleVisitor, Param},
        nn::loss::CrossEntropyLossConfig,
        optim::GradientsParams,
        prelude::*,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::{AugmentationConfig, Operators, Scale},
        data::{Augmentation, Batch, BatchLoader, Images, PIXELS, load_mnist},
        model::{LeNet5, LeNet5Config},
    };

    fn burns_loss(logits: Tensor<2>, labels: &[usize], smoothing: f32) -> Tensor<1> {
        let device = logits.device();
        let labels: Vec<i32> = labels.iter().map(|label| i32::try_from(*label).unwrap()).collect();
        let smoothing = (smoothing > 0.0).then_some(smoothing);
        let targets = Tensor::<1, Int>::from_data(&labels[..], &device);
        CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&device).forward(logits, targets)
    }

    fn targets(labels: &[usize], classes: usize, smoothing: f32) -> Targets {
        let labels: Vec<_> = labels.iter().copied().map(Some).collect();
        Targets::new(&labels, classes, smoothing).unwrap()
    }

    /// Loss and gradient of the logits, by the kernels and by Burn.
    fn both(logits: &[f32], labels: &[usize], smoothing: f32) -> [Vec<f64>; 2] {
        let classes = logits.len() / labels.len();
        let (mean, grads) = lenet_kernels::cross_entropy::mean_with_grad(
            logits,
            &targets(labels, classes, smoothing).distributions,
            classes,
        );
        let data = TensorData::new(logits.to_vec(), [labels.len(), classes]);
        let logits = Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad();
        let loss = burns_loss(logits.clone(), labels, smoothing);
        let gradient = logits.grad(&loss.backward()).unwrap().into_data();
        let burns = loss.into_data().iter::<f64>().chain(gradient.iter::<f64>()).collect();
        [std::iter::once(mean).chain(grads).map(f64::from).collect(), burns]
    }

    /// Up to eight rows of logits of a number of classes, with their labels.
    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<usize>)> {
        (prop::sample::select(vec![2_usize, 10, 26, 47, 62, 256]), 1_usize..9).prop_flat_map(|(classes, rows)| {
            (prop::collection::vec(-60.0_f32..60.0, rows * classes), prop::collection::vec(0..classes, rows))
        })
    }

    proptest! {
        #[test]
        fn softmax_and_cross_entropy_are_burns((logits, labels) in rows(), smoothing in prop_oneof![Just(0.0_f32), 0.0_f32..0.9]) {
            let [ours, burns] = both(&logits, &labels, smoothing);
            // Logits up to 60 are rounded to about 4e-6, and the error of their sum grows with the root of their number.
            let tolerance = 6e-6 * ((logits.len() / labels.len()) as f64).sqrt().max(3.0);
            for (ours, burns) in ours.iter().zip(&burns) {
                prop_assert!((ours - burns).abs() < tolerance, "{} against {}", ours, burns);
            }
        }
    }

    #[test]
    fn nan_and_infinity_stay_what_they_are() {
        for value in [f32::NAN, f32::INFINITY] {
            let mut logits = [0.5; 20];
            logits[3] = value;
            let [ours, burns] = both(&logits, &[3, 1], 0.0);
            assert!(ours[0].is_nan() && burns[0].is_nan());
            // The other row's gradient is finite.
            assert!(ours[11..].iter().all(|gradient| gradient.is_finite()));
        }
    }

    fn batch(classes: usize, device: &Device) -> (Batch, Vec<usize>) {
        let pixels: Vec<f32> = (0..9 * 1024).map(|i| ((i as f32) * 12.9898).sin()).collect();
        let labels: Vec<usize> = (0..9).map(|image| image * 7 % classes).collect();
        let indices: Vec<i32> = labels.iter().map(|label| i32::try_from(*label).unwrap()).collect();
        (Batch { images: Images::new(pixels), targets: Tensor::from_data(&indices[..], device), share: 1.0 }, labels)
    }

    /// The gradient of each parameter.
    fn collected(net: &LeNet5, gradients: &GradientsParams) -> Vec<Vec<f32>> {
        struct Collect<'a>(&'a GradientsParams, Vec<Vec<f32>>);
        impl ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.push(self.0.get::<D>(param.id).unwrap().into_data().iter().collect());
            }
        }
        let mut collect = Collect(gradients, Vec::new());
        net.visit(&mut collect);
        collect.1
    }

    #[test]
    fn loss_logits_and_gradients_are_those_of_burns_operators() {
        for (device, classes, smoothing, share) in [
            (Device::flex(), 10, 0.0, 1.0),
            (Device::ndarray(), 10, 0.1, 1.0 / 9.0),
            (Device::flex(), 47, 0.1, 1.0 / 9.0),
        ] {
            let device = device.autodiff();
            let net = LeNet5Config::new(classes).init_seeded(1, &device).with_operators(Operators::Composed);
            let (batch, labels) = batch(classes, &device);
            let step =
                net.fused_step(Arc::new(batch.images.clone()), targets(&labels, classes, smoothing), share).unwrap();
            let logits = net.forward(batch.images.tensor(&device));
            let loss = burns_loss(logits.clone(), &labels, smoothing);
            let expected = GradientsParams::from_grads(loss.clone().mul_scalar(9.0 * share).backward(), &net);
            let close = |ours: &[f32], burns: &[f32]| {
                let scale = burns.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
                ours.len() == burns.len() && ours.iter().zip(burns).all(|(a, b)| (a - b).abs() < 1e-5 * scale)
            };
            assert!(close(&step.logits, &logits.into_data().iter::<f32>().collect::<Vec<_>>()));
            assert!((step.mean - loss.into_scalar::<f32>()).abs() < 1e-5);
            for (ours, burns) in collected(&net, &step.gradients).iter().zip(&collected(&net, &expected)) {
                assert!(close(ours, burns));
            }
        }
    }

    #[test]
    fn logits_do_not_depend_on_when_the_images_are_made() {
        for device in [Device::flex(), Device::ndarray(), Device::flex().autodiff()] {
            for operators in [Operators::Fused, Operators::Composed] {
                let net = LeNet5Config::new(10).init_seeded(1, &device).with_operators(operators);
                // Few and more than one thread infers.
                let pixels: Vec<[u8; PIXELS]> = (0..61_u8).map(|image| [image * 4; PIXELS]).collect();
                for images in [batch(10, &device).0.images, Images::of_pixels(&pixels, Scale::Standard)] {
                    let expected: Vec<f32> = net.forward(images.tensor(&device)).into_data().iter().collect();
                    assert_eq!(net.logits(&images, &device).unwrap().values(), expected);
                }
            }
        }
    }

    #[test]
    fn the_strongest_units_are_those_of_burns_operators() {
        for device in [Device::flex(), Device::ndarray()] {
            let images = batch(10, &device).0.images;
            let [ours, burns] = [Operators::Fused, Operators::Composed].map(|operators| {
                let net = LeNet5Config::new(10).init_seeded(1, &device).with_operators(operators);
                net.strongest_units(&images, &device).unwrap()
            });
            assert_eq!(ours.each_ref().map(Vec::len), [6, 16, 120, 84]);
            assert_eq!(burns.each_ref().map(Vec::len), [6, 16, 120, 84]);
            assert!(ours.iter().flatten().zip(burns.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn a_step_is_the_same_bits_for_any_number_of_threads() {
        // A last chunk that is not whole, and images made of others.
        let set = load_mnist().unwrap().0.slice(0, 37);
        let ranges = AugmentationConfig { rotation: 10.0, shift: 1.0, ..AugmentationConfig::default() };
        let step = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let device = Device::flex();
                let loader = BatchLoader::new(set.clone(), 37, device.clone())
                    .augmented(Augmentation::new(&ranges, 1))
                    .with_negatives(vec![[200; PIXELS], [9; PIXELS]], 0.1, 1);
                let images = loader.iter().next().unwrap().unwrap().images;
                let labels: Vec<_> = (0..41).map(|image| (image < 37).then_some(image % 10)).collect();
                let targets = Targets::new(&labels, 10, 0.1).unwrap();
                let net = LeNet5Config::new(10).init_seeded(1, &device);
                let step = net.fused_step(Arc::new(images), targets, 1.0 / 41.0).unwrap();
                (step.mean, step.logits, collected(&net, &step.gradients))
            })
        };
        let one = step(1);
        assert_eq!((one.1.len(), step(2) == one, step(3) == one, step(5) == one), (410, true, true, true));
    }

    #[test]
    fn a_label_that_is_not_a_class_and_targets_of_other_images_are_left_to_burn() {
        let net = LeNet5Config::new(26).init_seeded(1, &Device::flex());
        let images: SharedImages = Arc::new(Images::new(vec![0.0; 1024]));
        assert!(Targets::new(&[Some(26)], 26, 0.0).is_none());
        assert!(net.fused_step(images.clone(), targets(&[25, 1], 26, 0.0), 1.0).is_none());
        assert!(net.fused_step(images.clone(), targets(&[5], 25, 0.0), 1.0).is_none());
        assert!(net.fused_step(images.clone(), targets(&[25], 26, 0.0), 1.0).is_some());
    }

    #[test]
    fn the_target_of_no_class_is_the_same_for_all() {
        let targets = Targets::new(&[None, Some(1)], 4, 0.2).unwrap();
        assert_eq!(targets.distributions, [0.25, 0.25, 0.25, 0.25, 0.05, 0.05 + 0.8, 0.05, 0.05]);
        assert_eq!(targets.weighted(&[None, Some(1)], &[2.0, 3.0, 4.0, 5.0]).weights, [1.0, 3.0]);
    }

    #[test]
    fn an_image_counts_by_the_weight_of_its_class() {
        let device = Device::flex();
        let net = LeNet5Config::new(10).init_seeded(1, &device);
        let (batch, labels) = batch(10, &device);
        let mut weights = [1.0; 10];
        (weights[labels[1]], weights[labels[2]]) = (3.0, 0.0);
        let some: Vec<_> = labels.iter().copied().map(Some).collect();
        let weighted = |weights: &[f32]| {
            net.fused_step(Arc::new(batch.images.clone()), targets(&labels, 10, 0.1).weighted(&some, weights), 1.0)
                .unwrap()
        };
        let step = weighted(&weights);
        // Each class alone, and their sum by weight.
        let mut mean = 0.0;
        let mut sums: Vec<Vec<f32>> = Vec::new();
        for class in 0..10 {
            let mut alone = [0.0; 10];
            alone[class] = 1.0;
            let step = weighted(&alone);
            mean += weights[class] * step.mean;
            let grads = collected(&net, &step.gradients);
            sums.resize_with(grads.len(), Vec::new);
            for (sums, grads) in sums.iter_mut().zip(grads) {
                sums.resize(grads.len(), 0.0);
                sums.iter_mut().zip(grads).for_each(|(sum, grad)| *sum += weights[class] * grad);
            }
        }
        assert!((step.mean - mean).abs() < 1e-5, "{} against {mean}", step.mean);
        for (grads, sums) in collected(&net, &step.gradients).iter().zip(&sums) {
            let scale = sums.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
            assert!(grads.iter().zip(sums).all(|(a, b)| (a - b).abs() < 1e-5 * scale));
        }
    }
}
