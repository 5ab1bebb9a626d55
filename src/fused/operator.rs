//! The whole of LeNet-5 as one operator: a Burn backend extension, and the node on the tape.

use std::sync::Arc;

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
use burn::{
    backend::{
        Autodiff, Backend, Dispatch, DispatchTensor, ExtensionType, TensorMetadata,
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
use lenet_kernels::{Activations, INPUT_SIDE, ImageSource, LayerParameters, Net, Parameters, lengths};

use super::{SharedImages, host::Host};
use crate::backend::is_host;

/// A layer's parameters as tensors of a backend.
#[derive(ExtensionType)]
pub struct LayerTensors<B: Backend> {
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
}

/// [`Parameters`], or their gradients, as tensors of a backend.
#[derive(ExtensionType)]
pub struct ParameterTensors<B: Backend> {
    #[extension_type]
    c1: LayerTensors<B>,
    #[extension_type]
    c3: LayerTensors<B>,
    #[extension_type]
    c5: LayerTensors<B>,
    #[extension_type]
    f6: LayerTensors<B>,
    #[extension_type]
    output: LayerTensors<B>,
}

impl<B: Backend> ParameterTensors<B> {
    pub(super) fn new(Parameters { c1, c3, c5, f6, output }: Parameters<FloatTensor<B>>) -> Self {
        let [c1, c3, c5, f6, output] =
            [c1, c3, c5, f6, output].map(|LayerParameters { weight, bias }| LayerTensors { weight, bias });
        Self { c1, c3, c5, f6, output }
    }

    pub(super) fn into_parameters(self) -> Parameters<FloatTensor<B>> {
        let Self { c1, c3, c5, f6, output } = self;
        let [c1, c3, c5, f6, output] =
            [c1, c3, c5, f6, output].map(|LayerTensors { weight, bias }| LayerParameters { weight, bias });
        Parameters { c1, c3, c5, f6, output }
    }
}

/// Images and [`Parameters`] as tensors of a backend.
#[derive(ExtensionType)]
pub struct Inputs<B: Backend> {
    images: FloatTensor<B>,
    #[extension_type]
    parameters: ParameterTensors<B>,
}

impl<B: Backend> Inputs<B> {
    pub(super) fn new(images: FloatTensor<B>, parameters: Parameters<FloatTensor<B>>) -> Self {
        Self { images, parameters: ParameterTensors::new(parameters) }
    }

    pub(super) fn into_parts(self) -> (FloatTensor<B>, Parameters<FloatTensor<B>>) {
        (self.images, self.parameters.into_parameters())
    }
}

/// The operator as a Burn backend extension.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait LeNetOps: Backend {
    /// LeNet-5 from images to logits, all of `f32`.
    ///
    /// # Shapes
    /// images `[batch, 1, 32, 32]` and parameters as [`Parameters`] says -> `[batch, classes]`
    fn lenet5(#[extension_type] inputs: Inputs<Self>) -> FloatTensor<Self>;
}

/// The same for images that are made while it runs, without a tape.
#[backend_extension(Flex: cfg(feature = "flex"), NdArray: cfg(feature = "ndarray"))]
pub trait LeNetInferenceOps: Backend {
    /// LeNet-5's logits.
    ///
    /// # Shapes
    /// parameters as [`Parameters`] says -> `[batch, classes]`
    fn lenet5_infer(#[extension_type] parameters: ParameterTensors<Self>, images: SharedImages) -> FloatTensor<Self>;

    /// The largest value of each unit of S2 and S4, map by map, and of C5 and F6.
    ///
    /// # Shapes
    /// parameters as [`Parameters`] says -> `[226]`
    fn lenet5_strongest(
        #[extension_type] parameters: ParameterTensors<Self>,
        images: SharedImages,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl LeNetInferenceOps for Flex {
    fn lenet5_infer(parameters: ParameterTensors<Self>, images: SharedImages) -> FloatTensor<Self> {
        infer(parameters, &*images)
    }

    fn lenet5_strongest(parameters: ParameterTensors<Self>, images: SharedImages) -> FloatTensor<Self> {
        strongest(parameters, &*images)
    }
}

#[cfg(feature = "ndarray")]
impl LeNetInferenceOps for NdArray {
    fn lenet5_infer(parameters: ParameterTensors<Self>, images: SharedImages) -> FloatTensor<Self> {
        infer(parameters, &*images)
    }

    fn lenet5_strongest(parameters: ParameterTensors<Self>, images: SharedImages) -> FloatTensor<Self> {
        strongest(parameters, &*images)
    }
}

#[cfg(feature = "flex")]
impl LeNetOps for Flex {
    fn lenet5(inputs: Inputs<Self>) -> FloatTensor<Self> {
        infer_inputs(inputs)
    }
}

#[cfg(feature = "ndarray")]
impl LeNetOps for NdArray {
    fn lenet5(inputs: Inputs<Self>) -> FloatTensor<Self> {
        infer_inputs(inputs)
    }
}

impl<B: Host, C: CheckpointStrategy> LeNetOps for Autodiff<B, C> {
    fn lenet5(inputs: Inputs<Self>) -> FloatTensor<Self> {
        let (images, parameters) = inputs.into_parts();
        let nodes = with_images(images.node(), parameters.as_ref().map(FloatTensor::<Self>::node));
        let images = B::contiguous(images.into_primitive());
        let parameters = parameters.map(|tensor| B::contiguous(tensor.into_primitive()));
        match LeNetBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let classes = classes(&parameters);
                let (values, activations) = Net::new().forward(&all_values::<B>(&parameters), values::<B>(&images));
                prepared.finish((images, parameters, Arc::new(activations)), logits::<B>(values, classes))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(infer_inputs(Inputs::<B>::new(images, parameters))),
        }
    }
}

/// The net without a backward pass to come.
fn infer<B: Host>(parameters: ParameterTensors<B>, images: &(impl ImageSource + ?Sized)) -> FloatTensor<B> {
    let parameters = parameters.into_parameters().map(B::contiguous);
    let classes = classes(&parameters);
    logits::<B>(Net::new().infer(&all_values::<B>(&parameters), images), classes)
}

fn strongest<B: Host>(parameters: ParameterTensors<B>, images: &dyn ImageSource) -> FloatTensor<B> {
    let parameters = parameters.into_parameters().map(B::contiguous);
    let strongest = Net::new().strongest(&all_values::<B>(&parameters), images);
    let shape = Shape::new([strongest.len()]);
    B::tensor(strongest, shape)
}

fn infer_inputs<B: Host>(Inputs { images, parameters }: Inputs<B>) -> FloatTensor<B> {
    infer(parameters, values::<B>(&B::contiguous(images)))
}

/// A contiguous tensor's values: [`forward`] lets no others through than `f32`.
pub(super) fn values<B: Host>(tensor: &FloatTensor<B>) -> &[f32] {
    B::values(tensor).unwrap_or_default()
}

pub(super) fn all_values<B: Host>(parameters: &Parameters<FloatTensor<B>>) -> Parameters<&[f32]> {
    parameters.as_ref().map(values::<B>)
}

pub(super) fn classes(parameters: &Parameters<impl TensorMetadata>) -> usize {
    parameters.output.bias.shape().num_elements()
}

pub(super) fn logits<B: Host>(values: Vec<f32>, classes: usize) -> FloatTensor<B> {
    let batch = values.len() / classes;
    B::tensor(values, Shape::new([batch, classes]))
}

/// The operator's inputs in the order of its parents on the tape.
fn with_images<T>(images: T, parameters: Parameters<T>) -> [T; 11] {
    let [c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias] = parameters.into_array();
    [images, c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias]
}

#[derive(Debug)]
struct LeNetBackward;

impl<B: Host> Backward<B, 11> for LeNetBackward {
    type State = (FloatTensor<B>, Parameters<FloatTensor<B>>, Arc<Activations>);

    fn backward(self, ops: Ops<Self::State, 11>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (images, parameters, activations) = ops.state;
        let logits_grad = B::contiguous(gradients.consume::<B>(&ops.node));
        let (parameter_grads, image_grad) = Net::new().backward(
            &all_values::<B>(&parameters),
            values::<B>(&images),
            &activations,
            values::<B>(&logits_grad),
            ops.parents[0].is_some(),
        );
        let grads = with_images(image_grad, parameter_grads.map(Some));
        let shapes = with_images(images.shape(), parameters.map(|tensor| tensor.shape()));
        for ((node, grad), shape) in ops.parents.into_iter().zip(grads).zip(shapes) {
            if let (Some(node), Some(grad)) = (node, grad) {
                gradients.register::<B>(node.id, B::tensor(grad, shape));
            }
        }
    }
}

/// LeNet-5's logits by the operator; `None` where it does not apply: another backend, values other than `f32`, an empty
/// batch, other sizes, or images and parameters of which only some are on a tape.
///
/// # Shapes
/// images `[batch, 1, 32, 32]` and parameters as [`Parameters`] says -> `[batch, classes]`
pub(crate) fn forward(images: &Tensor<4>, parameters: Parameters<DispatchTensor>) -> Option<Tensor<2>> {
    applies(images, &parameters).then(|| {
        let inputs = Inputs::new(images.clone().into_dispatch(), parameters);
        Tensor::from_dispatch(<Dispatch as LeNetOps>::lenet5(inputs))
    })
}

/// The same for images that are made while it runs, a few at a time; `None` also where parameters are on a tape.
///
/// # Shapes
/// parameters as [`Parameters`] says -> `[batch, classes]`
pub(crate) fn infer_images(images: SharedImages, parameters: Parameters<DispatchTensor>) -> Option<Tensor<2>> {
    let parameters = untaped(&*images, parameters)?;
    Some(Tensor::from_dispatch(<Dispatch as LeNetInferenceOps>::lenet5_infer(parameters, images)))
}

/// The largest value of each unit of S2 and S4, map by map, and of C5 and F6; `None` as for [`infer_images`].
///
/// # Shapes
/// parameters as [`Parameters`] says -> `[226]`
pub(crate) fn strongest_units(images: SharedImages, parameters: Parameters<DispatchTensor>) -> Option<Tensor<1>> {
    let parameters = untaped(&*images, parameters)?;
    Some(Tensor::from_dispatch(<Dispatch as LeNetInferenceOps>::lenet5_strongest(parameters, images)))
}

/// The parameters for an operator without a tape, if it applies and there are images.
fn untaped(images: &dyn ImageSource, parameters: Parameters<DispatchTensor>) -> Option<ParameterTensors<Dispatch>> {
    (images.count() > 0 && are_parameters(&parameters, false)).then(|| ParameterTensors::new(parameters))
}

/// Whether the operator can be used: the backend is one of the CPU's, all values are `f32`, the sizes are those of the net, and
/// either all or none are on a tape.
fn applies(images: &Tensor<4>, parameters: &Parameters<DispatchTensor>) -> bool {
    let device = images.device();
    let [batch, channels, height, width] = images.dims();
    is_host(&device)
        && batch > 0
        && [channels, height, width] == [1, INPUT_SIDE, INPUT_SIDE]
        && images.dtype() == DType::F32
        && are_parameters(parameters, device.is_autodiff())
}

/// Whether these are the parameters of a net on a backend of the CPU, all `f32`, and all on a tape or none.
pub(super) fn are_parameters(parameters: &Parameters<DispatchTensor>, on_tape: bool) -> bool {
    let fits = |tensor: &DispatchTensor| {
        let device = Device::new(tensor.device());
        tensor.dtype() == DType::F32 && is_host(&device) && device.is_autodiff() == on_tape
    };
    classes(parameters) > 0
        && parameters.as_ref().map(|tensor| tensor.shape().num_elements()) == lengths(classes(parameters))
        && parameters.as_ref().into_array().into_iter().all(fits)
}
