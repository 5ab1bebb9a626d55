//! The tensors in a file of another program. Nothing in the file is executed: of a pickle, only what describes tensors is
//! understood.

use std::{collections::BTreeSet, fs, path::Path};

use half::{bf16, f16};
use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader, Tensor};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};

use super::pickle;
use crate::{
    Error, Result,
    card::{self, Card},
    formats::Format,
};

/// Larger files, in bytes, are refused: LeNet-5 with an optimizer's state has less than a hundredth of that.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A tensor in a file.
pub(super) struct Foreign<'a> {
    /// Its name, with those of the dictionaries that it is in before dots.
    pub name: String,
    /// Its shape, outermost dimension first.
    pub shape: Vec<usize>,
    stored: Stored<'a>,
}

enum Stored<'a> {
    Safetensors(TensorView<'a>),
    Torch(Tensor),
}

/// How a number is stored.
#[derive(Debug, Clone, Copy)]
enum Float {
    F16,
    BF16,
    F32,
    F64,
}

impl Foreign<'_> {
    /// Its values as `f32`, row by row, or what is wrong with them.
    pub fn values(&self) -> std::result::Result<Vec<f32>, String> {
        let (float, stored_as, bytes) = match &self.stored {
            Stored::Safetensors(view) => (float_of(view.dtype()), format!("{:?}", view.dtype()), view.data().to_vec()),
            Stored::Torch(tensor) => {
                let bytes = tensor.read().map_err(|e| format!("cannot be read ({e})"))?;
                (torch_float(tensor.dtype()), format!("{:?}", tensor.dtype()), bytes)
            }
        };
        let float =
            float.ok_or_else(|| format!("stored as {stored_as}, but only F32, F64, F16 and BF16 can be read"))?;
        let values = decode(float, &bytes);
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err("not all are finite numbers; its training diverged, or the file is damaged".into())
    }
}

fn float_of(dtype: Dtype) -> Option<Float> {
    match dtype {
        Dtype::F16 => Some(Float::F16),
        Dtype::BF16 => Some(Float::BF16),
        Dtype::F32 => Some(Float::F32),
        Dtype::F64 => Some(Float::F64),
        _ => None,
    }
}

fn torch_float(dtype: DType) -> Option<Float> {
    match dtype {
        DType::F16 => Some(Float::F16),
        DType::BF16 => Some(Float::BF16),
        DType::F32 => Some(Float::F32),
        DType::F64 => Some(Float::F64),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what a net of f64 is converted to")]
fn decode(float: Float, bytes: &[u8]) -> Vec<f32> {
    match float {
        Float::F16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Float::BF16 => bytes.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        Float::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Float::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
    }
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or is too large.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    let fault = |reason: String| Err(Error::Record { path: path.to_owned(), reason });
    if !metadata.is_file() {
        return fault("is not a file. Give a .safetensors, .pt or .pth with the parameters".into());
    }
    if metadata.len() > MAX_FILE_BYTES {
        return fault(format!("is larger than {} MiB, so it cannot be LeNet-5", MAX_FILE_BYTES >> 20));
    }
    fs::read(path).map_err(Error::io("read", path))
}

/// What a file is taken for.
enum Kind {
    Safetensors,
    Torch,
}

impl Kind {
    /// By its content; where that says too little, by its suffix.
    fn of(format: Format, path: &Path) -> Option<Self> {
        let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match (format, suffix.as_str()) {
            (Format::Safetensors, _) | (Format::Unknown, "safetensors") => Some(Self::Safetensors),
            (Format::Torch(_), _) | (Format::Unknown | Format::Known(_), "pt" | "pth" | "bin" | "ckpt") => {
                Some(Self::Torch)
            }
            _ => None,
        }
    }
}

/// What is in a file.
pub(super) struct Contents<'a> {
    pub tensors: Vec<Foreign<'a>>,
    /// The card in its metadata.
    pub card: Option<Card>,
    /// The Python types of what was not read.
    pub ignored: Vec<String>,
}

/// Finds what is in a file.
///
/// # Errors
/// The file is neither of the formats, or damaged.
pub(super) fn read<'a>(path: &Path, bytes: &'a [u8]) -> Result<Contents<'a>> {
    let fault = |reason: String| Error::Record { path: path.to_owned(), reason };
    let format = Format::of(bytes);
    match Kind::of(format, path) {
        Some(Kind::Safetensors) => {
            let damaged = |e| fault(format!("is not a readable safetensors file ({e}); it may be damaged"));
            let (tensors, text) = safetensors(bytes).map_err(damaged)?;
            let card = text.map(|text| Card::parse(&text, path)).transpose()?;
            Ok(Contents { tensors, card, ignored: Vec::new() })
        }
        Some(Kind::Torch) => {
            if let Some(name) = pickle::what_runs(bytes) {
                return Err(fault(format!(
                    "names {name}, which runs when Python loads the file, so it may be an attack: do not give it to torch.load, \
                     either. Nothing in it was executed or imported. Ask its author for a .safetensors file, which cannot \
                     hold code"
                )));
            }
            torch(path).map_err(|e| {
                fault(format!(
                    "is not a readable state_dict of PyTorch ({e}). It may be damaged, or hold something else: save one \
                     with torch.save(net.state_dict(), FILE). Nothing in it was executed"
                ))
            })
        }
        None => Err(fault(format.instead_of_parameters(bytes))),
    }
}

/// The tensors, and the text of the card.
fn safetensors(bytes: &[u8]) -> std::result::Result<(Vec<Foreign<'_>>, Option<String>), SafeTensorError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let card = metadata.metadata().as_ref().and_then(|texts| texts.get(card::KEY)).cloned();
    let tensors = SafeTensors::deserialize(bytes)?.tensors().into_iter().map(|(name, view)| Foreign {
        name,
        shape: view.shape().to_vec(),
        stored: Stored::Safetensors(view),
    });
    Ok((tensors.collect(), card))
}

fn torch(path: &Path) -> std::result::Result<Contents<'static>, PytorchError> {
    let tensors = PytorchReader::new(path)?.into_tensors().into_iter().map(|(name, tensor)| Foreign {
        name,
        shape: tensor.shape().to_vec(),
        stored: Stored::Torch(tensor),
    });
    let mut types = BTreeSet::new();
    other_types(&PytorchReader::read_pickle_data(path, None)?, &mut types);
    Ok(Contents { tensors: tensors.collect(), card: None, ignored: types.into_iter().collect() })
}

/// Collects the Python types of what the reader of PyTorch's files leaves out, but for PyTorch's own.
fn other_types(value: &PickleValue, types: &mut BTreeSet<String>) {
    match value {
        PickleValue::Unsupported(name) if !name.starts_with("torch.") => {
            types.insert(name.clone());
        }
        PickleValue::List(values) => values.iter().for_each(|value| other_types(value, types)),
        PickleValue::Dict(values) => values.values().for_each(|value| other_types(value, types)),
        _ => {}
    }
}
