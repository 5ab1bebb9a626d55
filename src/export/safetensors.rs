//! safetensors: a JSON header behind its length, then the tensors' bytes.
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Metadata;
use crate::{
    Error, Result,
    state_dict::{StateDict, named},
};

/// The tensors begin at a multiple of this, in bytes.
const ALIGNMENT: usize = 8;

/// The bytes of a file. The `safetensors` crate would write the metadata in an order that changes from run to run.
pub(super) fn to_bytes(parameters: &StateDict, metadata: &Metadata) -> Result<Vec<u8>> {
    let mut tensors = named(parameters);
    tensors.sort_by_key(|(name, _)| *name);

    let mut texts: BTreeMap<&str, &str> = metadata.iter().map(|(key, text)| (*key, text.as_str())).collect();
    // Hugging Face's libraries look for this.
    texts.insert("format", "pt");
    let mut header: BTreeMap<&str, Value> = BTreeMap::from([("__metadata__", json!(texts))]);
    let mut data: Vec<u8> = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend(tensor.bytes());
        header.insert(name, json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.len()] }));
    }
    let mut header = serde_json::to_vec(&header).map_err(Error::json("the header of safetensors"))?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Ok([&(header.len() as u64).to_le_bytes()[..], &header, &data].concat())
}
