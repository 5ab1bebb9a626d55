//! `.pt`: what `torch.save(net.state_dict(), file)` writes, a zip archive with a pickle and the values of each tensor.
//! `torch.load` reads it with `weights_only=True`, its default, and also with `mmap=True`.
//!
//! Source: <https://docs.pytorch.org/docs/stable/notes/serialization.html>.

mod pickle;
mod zip;

use self::{pickle::Pickle, zip::Zip};
use super::Metadata;
use crate::state_dict::{StateDict, Values, named};

/// The folder in the archive. PyTorch takes the file's name, but equal runs shall give equal files.
const FOLDER: &str = "lenet";
/// The version of the archive's layout, `kProducedFileFormatVersion` in PyTorch.
const VERSION: &str = "3\n";

pub(super) fn to_bytes(parameters: &StateDict, metadata: &Metadata) -> Vec<u8> {
    let tensors = named(parameters);
    let mut archive = Zip::default();
    archive.add(&format!("{FOLDER}/data.pkl"), &pickle(&tensors, metadata));
    archive.add(&format!("{FOLDER}/byteorder"), b"little");
    for (index, (_, tensor)) in tensors.iter().enumerate() {
        archive.add(&format!("{FOLDER}/data/{index}"), &tensor.bytes());
    }
    archive.add(&format!("{FOLDER}/version"), VERSION.as_bytes());
    archive.finish()
}

/// An `OrderedDict` of the tensors. Its attribute `_metadata`, where PyTorch keeps a version for each module, holds ours
/// for the net as a whole.
fn pickle(tensors: &[(&str, &Values)], metadata: &Metadata) -> Vec<u8> {
    let mut pickle = Pickle::new();
    pickle.ordered_dict();
    pickle.items(|pickle| {
        for (index, (name, tensor)) in tensors.iter().enumerate() {
            pickle.text(name);
            rebuilt(pickle, index, tensor);
        }
    });
    pickle.attributes(|pickle| {
        pickle.text("_metadata");
        pickle.ordered_dict();
        pickle.items(|pickle| {
            pickle.text("");
            pickle.dict();
            pickle.items(|pickle| {
                pickle.text("version");
                pickle.int(1);
                for (key, text) in metadata {
                    pickle.text(key);
                    pickle.text(text);
                }
            });
        });
    });
    pickle.finish()
}

/// A call of PyTorch's `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)`.
fn rebuilt(pickle: &mut Pickle, index: usize, tensor: &Values) {
    let strides = (1..=tensor.shape.len()).map(|axis| tensor.shape[axis..].iter().product());
    pickle.global("torch._utils", "_rebuild_tensor_v2");
    pickle.tuple(|pickle| {
        pickle.persistent(|pickle| {
            pickle.text("storage");
            pickle.global("torch", "FloatStorage");
            pickle.text(&index.to_string());
            pickle.text("cpu");
            pickle.int(tensor.values.len());
        });
        pickle.int(0);
        pickle.tuple(|pickle| tensor.shape.iter().for_each(|side| pickle.int(*side)));
        pickle.tuple(|pickle| strides.for_each(|stride| pickle.int(stride)));
        pickle.no();
        pickle.ordered_dict();
    });
    pickle.call();
}
