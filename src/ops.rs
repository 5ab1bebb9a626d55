//! The whole of LeNet-5 as one operator for Burn's CPU backends, with the report's hand-derived backward pass.
//!
//! - [`conv`]: C1 with S2 and C3 with S4, by the report's sections on convolution and max-pooling.
//! - [`dense`]: C5, F6 and the output, by its section on fully connected layers.
//! - [`layers`]: each layer as a kernel, and the parameters as kernels read them.
//! - [`net`]: the layers behind one another, over the cores.
//! - [`cross_entropy`]: softmax and the loss.
//! - [`descent`]: the step of gradient descent.
//! - [`stages`]: each layer by itself, to be measured.
//! - [`block`]: sixteen numbers at a time.
//!
//! Other backends, and whatever records the operations, compose Burn's own.

#![allow(unsafe_code, reason = "vectors are read and written through pointers; each block says why it may")]
#![allow(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]
#![allow(clippy::out_of_bounds_indexing, reason = "what `unroll` writes out and never runs")]
#![allow(clippy::absurd_extreme_comparisons, reason = "the first of what `unroll` writes out")]
#![allow(clippy::needless_range_loop, reason = "an index into registers; iterators over them are not always inlined")]
#![expect(
    clippy::inline_always,
    reason = "a kernel takes the processor's features from the function it is inlined into"
)]

mod block;
mod conv;
pub(crate) mod cross_entropy;
mod dense;
pub(crate) mod descent;
mod layers;
mod net;
pub(crate) mod stages;

use std::sync::Arc;

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{
        Autodiff, Backend, Dispatch, DispatchDevice, TensorMetadata,
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
use macerator::Arch;

use self::{layers::Ten, net::Activations};
use crate::model::LeNet5;

/// A backend whose tensors are plain numbers in this process's memory.
trait Host: Backend {
    /// The numbers of a contiguous tensor, row by row; none if it holds others than `f32`.
    fn numbers(tensor: &FloatTensor<Self>) -> Option<&[f32]>;
    /// The same, to be changed; they are copied first where others share them.
    fn numbers_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]>;
    /// The same tensor with its numbers row by row.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;
    /// A tensor of numbers.
    fn tensor(numbers: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl Host for Flex {
    fn numbers(tensor: &FloatTensor<Self>) -> Option<&[f32]> {
        tensor.as_slice()
    }

    fn numbers_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]> {
        let (start, end) = tensor.layout().contiguous_offsets()?;
        (tensor.dtype() == DType::F32).then(|| &mut tensor.storage_mut()[start..end])
    }

    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
    }

    fn tensor(numbers: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        FloatTensor::<Self>::from_data(TensorData::new(numbers, shape))
    }
}

#[cfg(feature = "ndarray")]
impl Host for NdArray {
    fn numbers(tensor: &FloatTensor<Self>) -> Option<&[f32]> {
        match tensor {
            burn::backend::ndarray::NdArrayTensor::F32(storage) => storage.view().to_slice(),
            _ => None,
        }
    }

    fn numbers_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]> {
        match tensor {
            burn::backend::ndarray::NdArrayTensor::F32(storage) => storage.ensure_owned().as_slice_mut(),
            _ => None,
        }
    }

    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        use burn::backend::ndarray::NdArrayTensor::F32;
        match &tensor {
            F32(storage) if storage.view().to_slice().is_none() => {
                let numbers = storage.view().iter().copied().collect();
                Self::tensor(numbers, tensor.shape())
            }
            _ => tensor,
        }
    }

    fn tensor(numbers: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        FloatTensor::<Self>::from_data(TensorData::new(numbers, shape))
    }
}

/// The operator, as Burn's extension of its backends. All tensors are of `f32`.
///
/// # Shapes
/// images `[batch, 1, 32, 32]` and the parameters as [`LeNet5`] has them -> logits `[batch, 10]`
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
#[expect(clippy::too_many_arguments, reason = "Burn's extensions take tensors one by one")]
pub trait LeNetOps: Backend {
    /// LeNet-5 from images to logits.
    fn lenet5(
        images: FloatTensor<Self>,
        c1_weight: FloatTensor<Self>,
        c1_bias: FloatTensor<Self>,
        c3_weight: FloatTensor<Self>,
        c3_bias: FloatTensor<Self>,
        c5_weight: FloatTensor<Self>,
        c5_bias: FloatTensor<Self>,
        f6_weight: FloatTensor<Self>,
        f6_bias: FloatTensor<Self>,
        output_weight: FloatTensor<Self>,
        output_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Calls the operator with its eleven tensors from an array.
macro_rules! lenet5 {
    ($backend:ty, $tensors:expr) => {{
        let [images, c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias] = $tensors;
        <$backend as LeNetOps>::lenet5(images, c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias)
    }};
}

/// Implements the operator through a function of an array of the eleven tensors.
macro_rules! through {
    ($function:expr) => {
        fn lenet5(
            images: FloatTensor<Self>,
            c1_weight: FloatTensor<Self>,
            c1_bias: FloatTensor<Self>,
            c3_weight: FloatTensor<Self>,
            c3_bias: FloatTensor<Self>,
            c5_weight: FloatTensor<Self>,
            c5_bias: FloatTensor<Self>,
            f6_weight: FloatTensor<Self>,
            f6_bias: FloatTensor<Self>,
            output_weight: FloatTensor<Self>,
            output_bias: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            $function([
                images,
                c1_weight,
                c1_bias,
                c3_weight,
                c3_bias,
                c5_weight,
                c5_bias,
                f6_weight,
                f6_bias,
                output_weight,
                output_bias,
            ])
        }
    };
}

#[cfg(feature = "flex")]
impl LeNetOps for Flex {
    through!(infer::<Self>);
}

#[cfg(feature = "ndarray")]
impl LeNetOps for NdArray {
    through!(infer::<Self>);
}

impl<B: Host, C: CheckpointStrategy> LeNetOps for Autodiff<B, C> {
    through!(record::<B, C>);
}

/// Images and parameters.
type Eleven<T> = [T; 11];

/// The numbers of eleven contiguous tensors, images first.
fn numbers<B: Host>(tensors: &Eleven<FloatTensor<B>>) -> (&[f32], Ten<&[f32]>) {
    // `forward` lets no other tensors through than such of `f32`.
    let all = tensors.each_ref().map(|tensor| B::numbers(tensor).unwrap_or_default());
    (all[0], std::array::from_fn(|i| all[i + 1]))
}

fn logits<B: Host>(numbers: Vec<f32>) -> FloatTensor<B> {
    let batch = numbers.len() / 10;
    B::tensor(numbers, Shape::new([batch, 10]))
}

/// The net without a backward pass to come.
fn infer<B: Host>(tensors: Eleven<FloatTensor<B>>) -> FloatTensor<B> {
    let tensors = tensors.map(B::contiguous);
    let (images, parameters) = numbers::<B>(&tensors);
    logits::<B>(net::infer(Arch::detect(), &parameters, images))
}

/// The net as one node on the tape.
fn record<B: Host, C: CheckpointStrategy>(tensors: Eleven<FloatTensor<Autodiff<B, C>>>) -> FloatTensor<Autodiff<B, C>> {
    let nodes = tensors.each_ref().map(FloatTensor::<Autodiff<B, C>>::node);
    let tensors = tensors.map(|tensor| B::contiguous(tensor.into_primitive()));
    match LeNetBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (images, parameters) = numbers::<B>(&tensors);
            let (numbers, activations) = net::forward(Arch::detect(), &parameters, images);
            prepared.finish((tensors, Arc::new(activations)), logits::<B>(numbers))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(infer::<B>(tensors)),
    }
}

#[derive(Debug)]
struct LeNetBackward;

impl<B: Host> Backward<B, 11> for LeNetBackward {
    type State = (Eleven<FloatTensor<B>>, Arc<Activations>);

    fn backward(self, ops: Ops<Self::State, 11>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (tensors, mut activations) = ops.state;
        let (images, parameters) = numbers::<B>(&tensors);
        let error = B::contiguous(gradients.consume::<B>(&ops.node));
        let (of_parameters, of_images) = net::backward(
            Arch::detect(),
            &parameters,
            images,
            Arc::make_mut(&mut activations),
            B::numbers(&error).unwrap_or_default(),
            ops.parents[0].is_some(),
        );
        let all = [of_images].into_iter().chain(of_parameters.into_iter().map(Some));
        for ((node, gradient), tensor) in ops.parents.into_iter().zip(all).zip(&tensors) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<B>(node.id, B::tensor(gradient, tensor.shape()));
            }
        }
    }
}

/// LeNet-5's logits by the operator; none where it does not apply: another backend, other numbers than `f32`, an empty
/// batch, or images and parameters of which only some are on the tape's device.
///
/// # Shapes
/// `[batch, 1, 32, 32] -> [batch, 10]`
pub(crate) fn forward(net: &LeNet5, images: &Tensor<4>) -> Option<Tensor<2>> {
    let device = images.device();
    if !on_host(&device) || images.dims()[0] == 0 || images.dims()[1..] != [1, 32, 32] {
        return None;
    }
    let (c1, c3, c5) = (net.c1.weight.val(), net.c3.weight.val(), net.c5.weight.val());
    let (f6, output) = (net.f6.weight.val(), net.output.weight.val());
    let biases = [&net.c1.bias, &net.c3.bias, &net.c5.bias, &net.f6.bias, &net.output.bias];
    let mut biases = biases.into_iter().flatten().map(burn::module::Param::val);
    let biases: [Tensor<1>; 5] = [biases.next()?, biases.next()?, biases.next()?, biases.next()?, biases.next()?];
    let same = |other: Device, dtype: DType| other.is_autodiff() == device.is_autodiff() && dtype == DType::F32;
    let alike = same(device.clone(), images.dtype())
        && [&c1, &c3, &c5].iter().all(|w| same(w.device(), w.dtype()))
        && [&f6, &output].iter().all(|w| same(w.device(), w.dtype()))
        && biases.iter().all(|b| same(b.device(), b.dtype()));
    if !alike {
        return None;
    }
    let [c1_bias, c3_bias, c5_bias, f6_bias, output_bias] = biases.map(Tensor::into_dispatch);
    let tensors = [
        images.clone().into_dispatch(),
        c1.into_dispatch(),
        c1_bias,
        c3.into_dispatch(),
        c3_bias,
        c5.into_dispatch(),
        c5_bias,
        f6.into_dispatch(),
        f6_bias,
        output.into_dispatch(),
        output_bias,
    ];
    Some(Tensor::from_dispatch(lenet5!(Dispatch, tensors)))
}

/// Whether a device is one of the CPU backends, with or without a tape.
pub(crate) fn on_host(device: &Device) -> bool {
    fn is_host(device: &DispatchDevice) -> bool {
        match device {
            #[cfg(feature = "flex")]
            DispatchDevice::Flex(_) => true,
            #[cfg(feature = "ndarray")]
            DispatchDevice::NdArray(_) => true,
            DispatchDevice::Autodiff(inner) => is_host(inner),
            #[allow(unreachable_patterns, reason = "there are others where GPU backends are compiled in")]
            _ => false,
        }
    }
    is_host(device.as_dispatch())
}
