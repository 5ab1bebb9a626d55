//! The net's parameters as a `state_dict` of PyTorch has them: named tensors, where the weight of a dense layer is
//! `[outputs, inputs]`; Burn's is `[inputs, outputs]`.

use burn::{
    module::Param,
    nn::{Linear, conv::Conv2d},
    prelude::*,
};
use lenet_kernels::Parameters;

use crate::{
    Error, Result,
    fused::{tensor, values},
    model::{LeNet5, LeNet5Config},
};

/// The names of the ten tensors.
pub const NAMES: [&str; 10] = [
    "c1.weight",
    "c1.bias",
    "c3.weight",
    "c3.bias",
    "c5.weight",
    "c5.bias",
    "f6.weight",
    "f6.bias",
    "output.weight",
    "output.bias",
];

/// A tensor of a `state_dict`.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Its shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

impl Values {
    fn new<const D: usize>(tensor: Tensor<D>) -> Result<Self> {
        Ok(Self { shape: tensor.dims().to_vec(), values: values(tensor)? })
    }

    /// The tensor on a device, if its shape has so many dimensions.
    fn tensor<const D: usize>(&self, device: &Device) -> Result<Tensor<D>> {
        match <[usize; D]>::try_from(&self.shape[..]) {
            Ok(shape) if shape.iter().product::<usize>() == self.values.len() => {
                Ok(tensor(self.values.clone(), shape, device))
            }
            _ => Err(misfit(&self.shape)),
        }
    }

    /// The values as little-endian bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// The ten tensors of a net.
///
/// # Shapes
/// `c1` `[6, 1, 5, 5]`, `c3` `[16, 6, 5, 5]`, `c5` `[120, 16, 5, 5]`, `f6` `[84, 120]`, `output` `[classes, 84]`, and a
/// bias for each output
pub type StateDict = Parameters<Values>;

/// The tensors with their names.
pub(crate) fn named(dict: &StateDict) -> [(&'static str, &Values); 10] {
    let mut names = NAMES.into_iter();
    dict.as_ref().map(|values| (names.next().unwrap_or_default(), values)).into_array()
}

/// A net's parameters.
///
/// # Errors
/// The device fails, or a layer has no bias.
pub fn state_dict(net: &LeNet5) -> Result<StateDict> {
    let conv = |layer: &Conv2d| Ok::<_, Error>([Values::new(layer.weight.val())?, bias(layer.bias.as_ref())?]);
    let dense = |layer: &Linear| Ok::<_, Error>([Values::new(layer.weight.val().t())?, bias(layer.bias.as_ref())?]);
    let [c1, c1_bias] = conv(&net.c1)?;
    let [c3, c3_bias] = conv(&net.c3)?;
    let [c5, c5_bias] = conv(&net.c5)?;
    let [f6, f6_bias] = dense(&net.f6)?;
    let [output, output_bias] = dense(&net.output)?;
    Ok(Parameters::from_array([c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias]))
}

fn bias(bias: Option<&Param<Tensor<1>>>) -> Result<Values> {
    Values::new(bias.ok_or_else(|| Error::Device("a layer has no bias".into()))?.val())
}

/// A net with these parameters, for as many classes as `output` has biases.
///
/// # Errors
/// The shapes are not those of LeNet-5.
pub fn net(dict: &StateDict, device: &Device) -> Result<LeNet5> {
    let mut net = LeNet5Config::new(dict.output.bias.values.len()).undrawn(device);
    for (layer, parameters) in [(&mut net.c1, &dict.c1), (&mut net.c3, &dict.c3), (&mut net.c5, &dict.c5)] {
        layer.weight = parameter(&layer.weight, parameters.weight.tensor(device)?)?;
        layer.bias = bias_of(layer.bias.as_ref(), &parameters.bias, device)?;
    }
    for (layer, parameters) in [(&mut net.f6, &dict.f6), (&mut net.output, &dict.output)] {
        layer.weight = parameter(&layer.weight, parameters.weight.tensor::<2>(device)?.t())?;
        layer.bias = bias_of(layer.bias.as_ref(), &parameters.bias, device)?;
    }
    Ok(net)
}

fn bias_of(like: Option<&Param<Tensor<1>>>, bias: &Values, device: &Device) -> Result<Option<Param<Tensor<1>>>> {
    like.map(|like| parameter(like, bias.tensor(device)?)).transpose()
}

/// A parameter that replaces one of the same shape.
fn parameter<const D: usize>(like: &Param<Tensor<D>>, tensor: Tensor<D>) -> Result<Param<Tensor<D>>> {
    if like.lazy_shape() == tensor.shape() { Ok(Param::from_tensor(tensor)) } else { Err(misfit(&tensor.dims())) }
}

fn misfit(shape: &[usize]) -> Error {
    Error::Device(format!("LeNet-5 has no parameter of the shape {shape:?}"))
}
