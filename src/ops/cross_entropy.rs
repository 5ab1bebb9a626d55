//! The report's "Fully Connected Layer and SoftMax": softmax and cross-entropy as one operator for Burn's CPU backends,
//! with the report's derivative, the difference of prediction and label.
//!
//! Burn's own loss is some thirty operators on a handful of numbers, forwards and backwards.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{
        Autodiff, Backend, Dispatch,
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

use super::{Host, layers::OUTPUT, on_host};

/// The operator, as Burn's extension of its backends. All tensors are of `f32`.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait CrossEntropyOps: Backend {
    /// The mean cross-entropy of softmax over a mini-batch.
    ///
    /// # Shapes
    /// logits `[batch, 10]`, targets `[batch, 10]`, each row a distribution -> `[1]`
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
        let (loss, gradient) = compute::<B>(logits.into_primitive(), &targets.into_primitive());
        match CrossEntropyBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(gradient, loss),
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        }
    }
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl<B: Host> Backward<B, 1> for CrossEntropyBackward {
    /// The derivative of the mean by each logit, row by row.
    type State = Vec<f32>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = ops.state;
        let upstream = B::contiguous(gradients.consume::<B>(&ops.node));
        let factor = B::numbers(&upstream).and_then(|numbers| numbers.first().copied()).unwrap_or(1.0);
        for value in &mut gradient {
            *value *= factor;
        }
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            let shape = Shape::new([gradient.len() / OUTPUT, OUTPUT]);
            gradients.register::<B>(parent.id, B::tensor(gradient, shape));
        }
    }
}

/// The mean loss, and its derivative by each logit: with `y = softmax(z)` and the label's distribution `ŷ` it is
/// `loss = -Σᵢ ŷᵢ ln yᵢ` and `∂loss/∂zᵢ = yᵢ - ŷᵢ`, each divided by the number of rows.
fn compute<B: Host>(logits: FloatTensor<B>, targets: &FloatTensor<B>) -> (FloatTensor<B>, Vec<f32>) {
    let logits = B::contiguous(logits);
    // `mean` lets no other tensors through than such of `f32`, and makes the targets itself.
    let (logits, targets) = (B::numbers(&logits).unwrap_or_default(), B::numbers(targets).unwrap_or_default());
    let (rows, _) = logits.as_chunks::<OUTPUT>();
    let (labels, _) = targets.as_chunks::<OUTPUT>();
    #[expect(clippy::cast_precision_loss, reason = "a mini-batch has at most a million rows")]
    let share = 1.0 / rows.len() as f32;
    let mut gradient = Vec::with_capacity(logits.len());
    let mut sum = 0.0_f64;
    for (row, label) in rows.iter().zip(labels) {
        let (loss, errors) = row_loss(row, label);
        sum += f64::from(loss);
        gradient.extend(errors.map(|error| error * share));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the loss is f32")]
    let mean = (sum / rows.len() as f64) as f32;
    (B::tensor(vec![mean], Shape::new([1])), gradient)
}

fn row_loss(logits: &[f32; OUTPUT], label: &[f32; OUTPUT]) -> (f32, [f32; OUTPUT]) {
    // Softmax does not change when the same number is taken from every logit: no power can overflow.
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|z| (z - top).exp());
    let total: f32 = powers.iter().sum();
    let log_total = total.ln();
    let mut loss = 0.0;
    let mut errors = [0.0; OUTPUT];
    for i in 0..OUTPUT {
        if label[i] != 0.0 {
            loss -= label[i] * (logits[i] - top - log_total);
        }
        errors[i] = powers[i] / total - label[i];
    }
    (loss, errors)
}

/// The mean cross-entropy of a mini-batch by the operator; none where it does not apply: another backend, other
/// numbers than `f32`, or a label that is no class.
///
/// `smoothing` is the share of each label that is spread evenly over all classes.
///
/// # Shapes
/// logits `[batch, 10]`, labels `[batch]` of 0 to 9 -> `[1]`
pub(crate) fn mean(logits: &Tensor<2>, labels: &[usize], smoothing: f32) -> Option<Tensor<1>> {
    let device = logits.device();
    let fits = logits.dtype() == DType::F32 && logits.dims() == [labels.len(), OUTPUT];
    if !on_host(&device) || !fits || labels.iter().any(|label| *label >= OUTPUT) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let mut targets = vec![smoothing / OUTPUT as f32; labels.len() * OUTPUT];
    for (row, label) in targets.chunks_exact_mut(OUTPUT).zip(labels) {
        row[*label] += 1.0 - smoothing;
    }
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [labels.len(), OUTPUT]), &device);
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
            let data = TensorData::new(logits.to_vec(), [labels.len(), OUTPUT]);
            let logits = Tensor::<2>::from_data(data, device).require_grad();
            let loss = if ours {
                mean(&logits, labels, smoothing).unwrap()
            } else {
                let labels: Vec<i32> = labels.iter().map(|label| i32::try_from(*label).unwrap()).collect();
                let targets = Tensor::<1, Int>::from_data(&labels[..], device);
                let smoothing = (smoothing > 0.0).then_some(smoothing);
                CrossEntropyLossConfig::new().with_smoothing(smoothing).init(device).forward(logits.clone(), targets)
            };
            // The gradient of something behind the mean: it is not always 1.
            let gradients = loss.clone().mul_scalar(3.0).backward();
            let gradient = logits.grad(&gradients).unwrap().into_data();
            loss.into_data().iter::<f64>().chain(gradient.iter::<f64>()).collect()
        })
    }

    proptest! {
        #[test]
        fn it_is_burns_loss(
            rows in prop::collection::vec((prop::array::uniform10(-60.0_f32..60.0), 0_usize..10), 1..9),
            smoothing in prop_oneof![Just(0.0_f32), 0.0_f32..0.9],
        ) {
            let logits: Vec<f32> = rows.iter().flat_map(|(row, _)| *row).collect();
            let labels: Vec<usize> = rows.iter().map(|(_, label)| *label).collect();
            for device in [Device::flex(), Device::ndarray()] {
                let [ours, burns] = both(&logits, &labels, smoothing, &device.autodiff());
                for (ours, burns) in ours.iter().zip(&burns) {
                    // Logits up to 60 are rounded to some 4e-6.
                    prop_assert!((ours - burns).abs() < 2e-5, "{} against {}", ours, burns);
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_none_stay_so() {
        for value in [f32::NAN, f32::INFINITY] {
            let mut logits = [0.5; 20];
            logits[3] = value;
            let [ours, burns] = both(&logits, &[3, 1], 0.0, &Device::flex().autodiff());
            assert!(ours[0].is_nan() && burns[0].is_nan());
            // The other row's gradient is a number.
            assert!(ours[11..].iter().all(|gradient| gradient.is_finite()));
        }
    }

    #[test]
    fn a_label_that_is_no_class_is_left_to_burn() {
        let logits = Tensor::<2>::zeros([1, OUTPUT], &Device::flex());
        assert!(mean(&logits, &[10], 0.0).is_none() && mean(&logits, &[9], 0.0).is_some());
    }
}
