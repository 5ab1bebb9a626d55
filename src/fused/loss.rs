//! The net and its loss as one operator: softmax and cross-entropy, and the gradients in the same pass, image after image while
//! the activations are in the cache. Burn's own loss is about thirty operators on a handful of values, forwards and backwards.

use std::sync::Arc;

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{
        Autodiff, AutodiffBackend, Backend, Dispatch, DispatchTensor, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    prelude::*,
};
use lenet_kernels::{Loss, Net, Parameters, cross_entropy::mean_with_grad};

use super::{
    host::Host,
    operator::{Inputs, all_values, applies, classes, logits, values},
};

/// The operator as a Burn backend extension.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait LossOps: Backend {
    /// The mean cross-entropy of LeNet-5's softmax over a mini-batch, and the logits, all of `f32`. The logits are not on the
    /// tape, and the images get no gradient.
    ///
    /// # Shapes
    /// images `[batch, 1, 32, 32]`, targets `[batch * classes]`, a distribution for each image -> `[1]`, `[batch, classes]`
    fn lenet5_loss(
        #[extension_type] inputs: Inputs<Self>,
        targets: Arc<[f32]>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(feature = "flex")]
impl LossOps for Flex {
    fn lenet5_loss(inputs: Inputs<Self>, targets: Arc<[f32]>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        without_gradients(inputs, &targets)
    }
}

#[cfg(feature = "ndarray")]
impl LossOps for NdArray {
    fn lenet5_loss(inputs: Inputs<Self>, targets: Arc<[f32]>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        without_gradients(inputs, &targets)
    }
}

impl<B: Host, C: CheckpointStrategy> LossOps for Autodiff<B, C> {
    fn lenet5_loss(inputs: Inputs<Self>, targets: Arc<[f32]>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (images, parameters) = inputs.into_parts();
        let nodes = parameters.as_ref().map(FloatTensor::<Self>::node).into_array();
        let images = B::contiguous(images.into_primitive());
        let parameters = parameters.map(|tensor| B::contiguous(tensor.into_primitive()));
        match LossBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let classes = classes(&parameters);
                let Loss { mean, logits: values_of_logits, grads } =
                    Net::new().loss(&all_values::<B>(&parameters), values::<B>(&images), &targets);
                let shapes = parameters.map(|tensor| tensor.shape());
                let loss = prepared.finish((grads, shapes), scalar::<B>(mean));
                (loss, Self::from_inner(logits::<B>(values_of_logits, classes)))
            }
            OpsKind::UnTracked(prepared) => {
                let (loss, logits) = without_gradients(Inputs::<B>::new(images, parameters), &targets);
                (prepared.finish(loss), Self::from_inner(logits))
            }
        }
    }
}

fn without_gradients<B: Host>(inputs: Inputs<B>, targets: &[f32]) -> (FloatTensor<B>, FloatTensor<B>) {
    let (images, parameters) = inputs.into_parts();
    let (images, parameters) = (B::contiguous(images), parameters.map(B::contiguous));
    let classes = classes(&parameters);
    let values = Net::new().infer(&all_values::<B>(&parameters), values::<B>(&images));
    let (mean, _) = mean_with_grad(&values, targets, classes);
    (scalar::<B>(mean), logits::<B>(values, classes))
}

fn scalar<B: Host>(value: f32) -> FloatTensor<B> {
    B::tensor(vec![value], Shape::new([1]))
}

#[derive(Debug)]
struct LossBackward;

impl<B: Host> Backward<B, 10> for LossBackward {
    /// The derivative of the mean loss with respect to each parameter, and the parameters' shapes.
    type State = (Parameters<Vec<f32>>, Parameters<Shape>);

    fn backward(self, ops: Ops<Self::State, 10>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (grads, shapes) = ops.state;
        let loss_grad = B::contiguous(gradients.consume::<B>(&ops.node));
        let factor = B::values(&loss_grad).and_then(|values| values.first().copied()).unwrap_or(1.0);
        for ((node, mut grad), shape) in ops.parents.into_iter().zip(grads.into_array()).zip(shapes.into_array()) {
            if let Some(node) = node {
                // The factor is 1 where the loss is what is minimized.
                if factor.to_bits() != 1.0_f32.to_bits() {
                    grad.iter_mut().for_each(|grad| *grad *= factor);
                }
                gradients.register::<B>(node.id, B::tensor(grad, shape));
            }
        }
    }
}

/// The mean cross-entropy of a mini-batch and its logits by the operator; `None` where it does not apply: another backend,
/// values other than `f32`, an empty batch, other sizes, or a label that is not a class. The logits are not on the tape.
///
/// `smoothing` is the fraction of each label that is spread evenly over all classes. The label of an image of no class is
/// `None`: its target is the same for all classes.
///
/// # Shapes
/// images `[batch, 1, 32, 32]`, parameters as [`Parameters`] says, labels `[batch]` -> `[1]`, `[batch, classes]`
pub(crate) fn loss(
    images: &Tensor<4>,
    parameters: Parameters<DispatchTensor>,
    labels: &[Option<usize>],
    smoothing: f32,
) -> Option<(Tensor<1>, Tensor<2>)> {
    let classes = classes(&parameters);
    let all_known = labels.iter().flatten().all(|label| *label < classes);
    if images.dims()[0] != labels.len() || !all_known || !applies(images, &parameters) {
        return None;
    }
    let targets = targets(labels, classes, smoothing).into();
    let inputs = Inputs::new(images.clone().into_dispatch(), parameters);
    let (loss, logits) = <Dispatch as LossOps>::lenet5_loss(inputs, targets);
    Some((Tensor::from_dispatch(loss), Tensor::from_dispatch(logits)))
}

/// A distribution over the classes for each label.
fn targets(labels: &[Option<usize>], classes: usize, smoothing: f32) -> Vec<f32> {
    let mut targets = vec![smoothing / classes as f32; labels.len() * classes];
    for (row, label) in targets.chunks_exact_mut(classes).zip(labels) {
        match label {
            Some(label) => row[*label] += 1.0 - smoothing,
            None => row.fill(1.0 / classes as f32),
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use burn::nn::loss::CrossEntropyLossConfig;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Operators,
        data::Batch,
        model::{LeNet5, LeNet5Config},
    };

    fn burns_loss(logits: Tensor<2>, labels: &[usize], smoothing: f32) -> Tensor<1> {
        let device = logits.device();
        let labels: Vec<i32> = labels.iter().map(|label| i32::try_from(*label).unwrap()).collect();
        let smoothing = (smoothing > 0.0).then_some(smoothing);
        let targets = Tensor::<1, Int>::from_data(&labels[..], &device);
        CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&device).forward(logits, targets)
    }

    fn some(labels: &[usize]) -> Vec<Option<usize>> {
        labels.iter().copied().map(Some).collect()
    }

    /// Loss and gradient of the logits, by the kernels and by Burn.
    fn both(logits: &[f32], labels: &[usize], smoothing: f32) -> [Vec<f64>; 2] {
        let classes = logits.len() / labels.len();
        let (mean, grads) = mean_with_grad(logits, &targets(&some(labels), classes, smoothing), classes);
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
        let images = Tensor::from_data(TensorData::new(pixels, [9, 1, 32, 32]), device);
        (Batch { images, targets: Tensor::from_data(&indices[..], device) }, labels)
    }

    fn gradients(net: &LeNet5, loss: &Tensor<1>) -> Vec<Vec<f32>> {
        // The gradient that arrives at the loss is not always 1.
        let gradients = loss.clone().mul_scalar(3.0).backward();
        let convolutions =
            [&net.c1, &net.c3, &net.c5].map(|layer| layer.weight.val().grad(&gradients).unwrap().into_data());
        let dense = [&net.f6, &net.output].map(|layer| layer.weight.val().grad(&gradients).unwrap().into_data());
        let biases =
            [&net.c1, &net.c3, &net.c5].map(|layer| &layer.bias).into_iter().chain([&net.f6.bias, &net.output.bias]);
        let biases = biases.map(|bias| bias.as_ref().unwrap().val().grad(&gradients).unwrap().into_data());
        convolutions.into_iter().chain(dense).chain(biases).map(|data| data.iter::<f32>().collect()).collect()
    }

    #[test]
    fn the_loss_and_its_gradients_are_those_of_burns_operators() {
        for (device, classes, smoothing) in
            [(Device::flex(), 10, 0.0), (Device::ndarray(), 10, 0.1), (Device::flex(), 47, 0.1)]
        {
            let device = device.autodiff();
            let net = LeNet5Config::new(classes).init_seeded(1, &device).with_operators(Operators::Composed);
            let (batch, labels) = batch(classes, &device);
            let (loss, logits) = net.fused_loss(&batch.images, &some(&labels), smoothing).unwrap();
            let expected_logits = net.forward(batch.images);
            let expected = burns_loss(expected_logits.clone(), &labels, smoothing);
            let values = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
            let close = |ours: &[f32], burns: &[f32]| {
                let scale = burns.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
                ours.len() == burns.len() && ours.iter().zip(burns).all(|(a, b)| (a - b).abs() < 1e-5 * scale)
            };
            assert!(close(&values(logits), &values(expected_logits)));
            assert!((loss.clone().into_scalar::<f32>() - expected.clone().into_scalar::<f32>()).abs() < 1e-5);
            for (ours, burns) in gradients(&net, &loss).iter().zip(&gradients(&net, &expected)) {
                assert!(close(ours, burns));
            }
        }
    }

    #[test]
    fn a_label_that_is_not_a_class_is_left_to_burn() {
        let net = LeNet5Config::new(26).init_seeded(1, &Device::flex());
        let images = Tensor::zeros([1, 1, 32, 32], &Device::flex());
        assert!(net.fused_loss(&images, &[Some(26)], 0.0).is_none());
        assert!(net.fused_loss(&images, &[Some(25), Some(1)], 0.0).is_none());
        assert!(net.fused_loss(&images, &[Some(25)], 0.0).is_some());
    }

    #[test]
    fn the_target_of_no_class_is_the_same_for_all() {
        assert_eq!(targets(&[None, Some(1)], 4, 0.2), [0.25, 0.25, 0.25, 0.25, 0.05, 0.05 + 0.8, 0.05, 0.05]);
    }
}
