//! The first bytes of formats that the crate `file_format` does not tell apart.

use super::Format;

/// Recognizes one of them.
pub(super) fn own(head: &[u8]) -> Option<Format> {
    let has = |what: &[u8]| head.windows(what.len()).any(|window| window == what);
    let torch = match head {
        [b'P', b'K', 3, 4, ..] if has(b"data.pkl") => "a PyTorch file",
        // The magic number of torch.save before version 1.6, pickled.
        [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, ..] => "a PyTorch file of the old kind",
        [0x80, 2..=5, ..] if !is_safetensors(head) => "a Python pickle, as PyTorch and scikit-learn write",
        _ => "",
    };
    let model = match head {
        [b'P', b'K', 3, 4, ..] if has(b"keras_version") || has(b"model.weights.h5") => "a Keras file",
        [b'P', b'K', 3, 4, ..] if has(b".npy") => "a NumPy archive (npz)",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array (npy)",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file, as Keras writes",
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite file",
        [b'G', b'G', b'U', b'F', ..] => "a GGUF file",
        _ if is_onnx(head) => "an ONNX file",
        _ => "",
    };
    let text = || String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    match head {
        _ if !torch.is_empty() => Some(Format::Torch(torch)),
        _ if is_safetensors(head) => Some(Format::Safetensors),
        _ if !model.is_empty() => Some(Format::Model(model)),
        // Burn's magic number, 0x4255524E, in little endian.
        [b'N', b'R', b'U', b'B', ..] => Some(Format::BurnRecord),
        [0, 0, 0x08..=0x0e, 1..=4, ..] => Some(Format::Idx),
        _ if head.starts_with(b"version https://git-lfs.github.com/") => Some(Format::LfsPointer),
        _ if !is_text(head) => None,
        _ if text().starts_with("<!doctype html") || text().starts_with('<') && text().contains("<html") => {
            Some(Format::WebPage)
        }
        _ if text().starts_with('<') && text().contains("<svg") => Some(Format::Svg),
        _ => None,
    }
}

/// A header's length, below 100 MB, and the header: JSON. Source: <https://huggingface.co/docs/safetensors>.
fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk() else { return false };
    (2..100_000_000).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// Field 1, a small version, and field 2, the producer's name. Source: `onnx.proto`, message `ModelProto`,
/// <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
fn is_onnx(head: &[u8]) -> bool {
    match head {
        [0x08, 1..=0x20, 0x12, length @ 1..=0x7f, rest @ ..] => {
            rest.get(..usize::from(*length)).is_some_and(|name| name.iter().all(u8::is_ascii_graphic))
        }
        _ => false,
    }
}

/// UTF-8, perhaps cut in its last character, without control characters.
pub(super) fn is_text(head: &[u8]) -> bool {
    let valid = match str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// Whether a TIFF file's first directory says that it is a raw photo. Source: Adobe, Digital Negative Specification 1.7
/// (2023), "`DNGVersion`"; TIFF 6.0 (1992), section 2.
pub(super) fn is_camera_raw(bytes: &[u8]) -> bool {
    /// `DNGVersion`; and, in the raw files of others, the maker beside folders of further pictures.
    const TAGS: [u16; 3] = [0xc612, 0x010f, 0x014a];
    let little = bytes.starts_with(b"II");
    let short = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let Some(directory) = long(4).and_then(|at| usize::try_from(at).ok()) else { return false };
    let entries = usize::from(short(directory).unwrap_or(0));
    let tags: Vec<u16> = (0..entries).map_while(|i| short(directory + 2 + 12 * i)).collect();
    let [dng, maker, others] = TAGS.map(|tag| tags.contains(&tag));
    dng || maker && others
}
