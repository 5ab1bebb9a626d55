//! Softmax and cross-entropy as one operator. Burn's own loss is about thirty on a handful of values, forwards and
//! backwards.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{
        Autodiff, Backend, Dispatch, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    prelude::*,
    tensor::DType,
};

use lenet_kernels::cross_entropy::mean_with_grad;

use super::host::{Host, tensor};
use crate::backend::is_host;

/// The operator as a Burn backend extension.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait CrossEntropyOps: Backend {
    /// The mean cross-entropy of softmax over a mini-batch, all of `f32`.
    ///
    /// # Shapes
    /// logits `[batch, classes]`, targets `[batch, classes]`, each row a distribution -> `[1]`
    fn cross_entropy(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl CrossEntropyOps for Flex {
    fn cross_entropy(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self> {
        compute::<Self>(logits, &targets).0
    }
}

#[cfg(feature = "ndarray")]
impl CrossEntropyOps for NdArray {
    fn cross_entropy(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self> {
        compute::<Self>(logits, &targets).0
    }
}

impl<B: Host, C: CheckpointStrategy> CrossEntropyOps for Autodiff<B, C> {
    fn cross_entropy(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = logits.node();
        let (logits, targets) = (logits.into_primitive(), targets.into_primitive());
        let shape = logits.shape();
        let (loss, gradient) = compute::<B>(logits, &targets);
        match CrossEntropyBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((gradient, shape), loss),
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        }
    }
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl<B: Host> Backward<B, 1> for CrossEntropyBackward {
    /// The derivative of the mean loss with respect to each logit, row by row, and its shape.
    type State = (Vec<f32>, Shape);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (mut logits_grad, shape) = ops.state;
        let loss_grad = B::contiguous(gradients.consume::<B>(&ops.node));
        let factor = B::values(&loss_grad).and_then(|values| values.first().copied()).unwrap_or(1.0);
        for grad in &mut logits_grad {
            *grad *= factor;
        }
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            gradients.register::<B>(parent.id, B::tensor(logits_grad, shape));
        }
    }
}

/// The mean loss, and its derivative with respect to each logit.
fn compute<B: Host>(logits: FloatTensor<B>, targets: &FloatTensor<B>) -> (FloatTensor<B>, Vec<f32>) {
    // `mean` passes a matrix of at least one column.
    let classes = logits.shape()[1];
    let logits = B::contiguous(logits);
    // `mean` passes only `f32` logits and creates the targets itself.
    let (logits, targets) = (B::values(&logits).unwrap_or_default(), B::values(targets).unwrap_or_default());
    let (mean, grads) = mean_with_grad(logits, targets, classes);
    (B::tensor(vec![mean], Shape::new([1])), grads)
}

/// The mean cross-entropy of a mini-batch by the operator; `None` where it does not apply: another backend, values other
/// than `f32`, or a label that is not a class.
///
/// `smoothing` is the fraction of each label that is spread evenly over all classes. The label of an image of no class is
/// `None`: its target is the same for all classes.
///
/// # Shapes
/// logits `[batch, classes]`, labels `[batch]` -> `[1]`
pub(crate) fn mean(logits: &Tensor<2>, labels: &[Option<usize>], smoothing: f32) -> Option<Tensor<1>> {
    let device = logits.device();
    let [batch, classes] = logits.dims();
    let fits = logits.dtype() == DType::F32 && batch == labels.len() && classes > 0;
    if !is_host(&device) || !fits || labels.iter().flatten().any(|label| *label >= classes) {
        return None;
    }
    let mut targets = vec![smoothing / classes as f32; batch * classes];
    for (row, label) in targets.chunks_exact_mut(classes).zip(labels) {
        match label {
            Some(label) => row[*label] += 1.0 - smoothing,
            None => row.fill(1.0 / classes as f32),
        }
    }
    let targets = tensor(targets, [batch, classes], &device);
    if targets.dtype() != DType::F32 {
        return None;
    }
    let loss = <Dispatch as CrossEntropyOps>::cross_entropy(logits.clone().into_dispatch(), targets.into_dispatch());
    Some(Tensor::from_dispatch(loss))
}

#[cfg(test)]
mod tests {
    use burn::nn::loss::CrossEntropyLossConfig;
    use proptest::prelude::*;

    use super::*;

    /// Loss and gradient of the logits, by the operator and by Burn's.
    fn both(logits: &[f32], labels: &[usize], smoothing: f32, device: &Device) -> [Vec<f64>; 2] {
        [true, false].map(|ours| {
            let data = TensorData::new(logits.to_vec(), [labels.len(), logits.len() / labels.len()]);
            let logits = Tensor::<2>::from_data(data, device).require_grad();
            let loss = if ours {
                let labels: Vec<Option<usize>> = labels.iter().copied().map(Some).collect();
                mean(&logits, &labels, smoothing).unwrap()
            } else {
                let labels: Vec<i32> = labels.iter().map(|label| i32::try_from(*label).unwrap()).collect();
                let targets = Tensor::<1, Int>::from_data(&labels[..], device);
                let smoothing = (smoothing > 0.0).then_some(smoothing);
                CrossEntropyLossConfig::new().with_smoothing(smoothing).init(device).forward(logits.clone(), targets)
            };
            // The gradient that arrives at the loss is not always 1.
            let gradients = loss.clone().mul_scalar(3.0).backward();
            let gradient = logits.grad(&gradients).unwrap().into_data();
            loss.into_data().iter::<f64>().chain(gradient.iter::<f64>()).collect()
        })
    }

    /// Up to eight rows of logits of a number of classes, with their labels.
    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<usize>)> {
        (prop::sample::select(vec![2_usize, 10, 26, 47, 62, 256]), 1_usize..9).prop_flat_map(|(classes, rows)| {
            (prop::collection::vec(-60.0_f32..60.0, rows * classes), prop::collection::vec(0..classes, rows))
        })
    }

    proptest! {
        #[test]
        fn it_is_burns_loss((logits, labels) in rows(), smoothing in prop_oneof![Just(0.0_f32), 0.0_f32..0.9]) {
            for device in [Device::flex(), Device::ndarray()] {
                let [ours, burns] = both(&logits, &labels, smoothing, &device.autodiff());
                // Logits up to 60 are rounded to about 4e-6, and the error of their sum grows with the root of their number.
                let tolerance = 6e-6 * ((logits.len() / labels.len()) as f64).sqrt().max(3.0);
                for (ours, burns) in ours.iter().zip(&burns) {
                    prop_assert!((ours - burns).abs() < tolerance, "{} against {}", ours, burns);
                }
            }
        }
    }

    #[test]
    fn nan_and_infinity_stay_what_they_are() {
        for value in [f32::NAN, f32::INFINITY] {
            let mut logits = [0.5; 20];
            logits[3] = value;
            let [ours, burns] = both(&logits, &[3, 1], 0.0, &Device::flex().autodiff());
            assert!(ours[0].is_nan() && burns[0].is_nan());
            // The other row's gradient is finite.
            assert!(ours[11..].iter().all(|gradient| gradient.is_finite()));
        }
    }

    #[test]
    fn a_label_that_is_not_a_class_is_left_to_burn() {
        let logits = Tensor::<2>::zeros([1, 26], &Device::flex());
        assert!(mean(&logits, &[Some(26)], 0.0).is_none() && mean(&logits, &[Some(25)], 0.0).is_some());
    }

    #[test]
    fn the_target_of_no_class_is_the_same_for_all() {
        let device = Device::flex().autodiff();
        let logits =
            Tensor::<2>::from_floats([[2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]], &device).require_grad();
        let loss = mean(&logits, &[None], 0.0).unwrap();
        let gradients = loss.clone().backward();
        let gradient: Vec<f32> = logits.grad(&gradients).unwrap().into_data().iter().collect();
        let probabilities: Vec<f32> = burn::tensor::activation::softmax(logits, 1).into_data().iter().collect();
        let expected = -probabilities.iter().map(|p| p.ln()).sum::<f32>() / 10.0;
        assert!((loss.into_scalar::<f32>() - expected).abs() < 1e-5);
        assert!(gradient.iter().zip(&probabilities).all(|(gradient, p)| (gradient - (p - 0.1)).abs() < 1e-6));
    }
}
