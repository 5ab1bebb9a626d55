//! A trained net in the formats of other programs. Equal runs give equal bytes: no date and no random id is in them.

mod metadata;
mod onnx;
mod safetensors;
mod torch;

use std::path::Path;

use self::metadata::{Metadata, Origin};
pub use self::onnx::Input;
use crate::{
    Result,
    artifacts::PRETRAINED,
    backend,
    card::Card,
    inference::Trained,
    state_dict::{StateDict, state_dict},
};

/// A format that a net can be exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.onnx`: the whole net with the scale of the pixels and softmax, for ONNX runtimes.
    Onnx,
    /// `.safetensors`: the parameters as a `state_dict` of PyTorch.
    Safetensors,
    /// `.pt` or `.pth`: the same, as `torch.save` writes it.
    Torch,
}

impl Format {
    /// The format that a file's suffix stands for, if it stands for one.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let suffix = file.extension()?.to_string_lossy().to_lowercase();
        match suffix.as_str() {
            "onnx" => Some(Self::Onnx),
            "safetensors" => Some(Self::Safetensors),
            "pt" | "pth" => Some(Self::Torch),
            _ => None,
        }
    }
}

/// Everything about a net that is written into a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    /// Its parameters.
    pub parameters: StateDict,
    /// How pictures are read with it, and where it comes from.
    pub card: Card,
    /// SHA-256 of its `model.bpk`.
    pub model_sha256: String,
    /// What others may use it under, such as MIT, if its owner says so.
    pub license: Option<String>,
}

impl Net {
    /// Reads the net of a run, a `model.bpk` or [`PRETRAINED`]. Only the last has a licence of its own.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(run: &Path, license: Option<String>) -> Result<Self> {
        let Trained { net, card, model_sha256, .. } = Trained::load(run, backend::default_for_burn())?;
        let license = license.or_else(|| (run == Path::new(PRETRAINED)).then(|| "MIT".to_owned()));
        Ok(Self { parameters: state_dict(&net)?, card, model_sha256, license })
    }

    /// The bytes of a file. `input` is what an ONNX graph takes.
    ///
    /// # Errors
    /// The metadata cannot be written as JSON.
    pub fn to_bytes(&self, format: Format, input: Input) -> Result<Vec<u8>> {
        let Self { parameters, card, model_sha256, license } = self;
        let metadata = Origin { card, model_sha256, license: license.as_deref() }.metadata(format, input)?;
        match format {
            Format::Onnx => Ok(onnx::to_bytes(parameters, card.scale, input, &metadata)),
            Format::Safetensors => safetensors::to_bytes(parameters, &metadata),
            Format::Torch => Ok(torch::to_bytes(parameters, &metadata)),
        }
    }
}
