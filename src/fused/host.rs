//! The tensors of Burn's CPU backends as slices.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::{NdArray, TensorMetadata};
use burn::{
    backend::{Backend, tensor::FloatTensor},
    prelude::*,
    tensor::DType,
};

use crate::{Error, Result};

/// A backend whose tensors are plain values in this process's memory.
pub trait Host: Backend {
    /// The values of a contiguous tensor, row by row; `None` if they are not `f32`.
    fn values(tensor: &FloatTensor<Self>) -> Option<&[f32]>;
    /// The same, mutable; copied first if another tensor shares them.
    fn values_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]>;
    /// The same tensor with its values row by row.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;
    /// A tensor of these values.
    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl Host for Flex {
    fn values(tensor: &FloatTensor<Self>) -> Option<&[f32]> {
        tensor.as_slice()
    }

    fn values_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]> {
        let (start, end) = tensor.layout().contiguous_offsets()?;
        (tensor.dtype() == DType::F32).then(|| &mut tensor.storage_mut()[start..end])
    }

    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        FloatTensor::<Self>::from_data(TensorData::new(values, shape))
    }
}

/// A tensor on a device.
///
/// # Panics
/// There are more or fewer values than the shape has.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    #[cfg(feature = "ndarray")]
    if is_ndarray(device) {
        let tensor = Tensor::from_primitive::<NdArray>(NdArray::tensor(values, Shape::new(shape)));
        return if device.is_autodiff() { tensor.autodiff() } else { tensor };
    }
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A tensor's values, row by row.
///
/// # Errors
/// The device fails.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    // Not by `into_data`, which goes from value to value and is slow where `burn-ndarray` is not optimized.
    #[cfg(feature = "ndarray")]
    if is_ndarray(&tensor.device())
        && let Ok(primitive) = tensor.clone().without_autodiff().try_into_primitive::<NdArray>()
        && let Some(values) = NdArray::values(&NdArray::contiguous(primitive))
    {
        return Ok(values.to_vec());
    }
    tensor.try_into_vec_as().map_err(|e| Error::Device(e.to_string()))
}

#[cfg(feature = "ndarray")]
fn is_ndarray(device: &Device) -> bool {
    use burn::backend::DispatchDevice;
    match device.as_dispatch() {
        DispatchDevice::Autodiff(inner) => matches!(**inner, DispatchDevice::NdArray(_)),
        device => matches!(device, DispatchDevice::NdArray(_)),
    }
}

#[cfg(feature = "ndarray")]
impl Host for NdArray {
    fn values(tensor: &FloatTensor<Self>) -> Option<&[f32]> {
        match tensor {
            burn::backend::ndarray::NdArrayTensor::F32(storage) => storage.view().to_slice(),
            _ => None,
        }
    }

    fn values_mut(tensor: &mut FloatTensor<Self>) -> Option<&mut [f32]> {
        match tensor {
            burn::backend::ndarray::NdArrayTensor::F32(storage) => storage.ensure_owned().as_slice_mut(),
            _ => None,
        }
    }

    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        use burn::backend::ndarray::NdArrayTensor::F32;
        match &tensor {
            F32(storage) if storage.view().to_slice().is_none() => {
                let values = storage.view().iter().copied().collect();
                Self::tensor(values, tensor.shape())
            }
            _ => tensor,
        }
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        // Not by `from_data`, which looks at each value and is slow where `burn-ndarray` is not optimized.
        match ndarray::ArcArray::from_shape_vec(ndarray::IxDyn(&shape), values) {
            Ok(array) => burn::backend::ndarray::NdArrayTensor::F32(array.into()),
            Err(error) => unreachable!("the values do not have the shape {shape:?}: {error}"),
        }
    }
}
