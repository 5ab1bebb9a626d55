//! Names of backends, what is compiled in, and which devices are there. Nearly every `#[cfg]` of the crate is here.

use burn::tensor::Device;

use crate::{Error, Result};

/// A backend by its name in the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// The name, which is also the Cargo feature's.
    pub name: &'static str,
    /// Whether this program was built with it.
    pub compiled: bool,
    /// What it is, in a few words.
    pub about: &'static str,
}

/// Every backend that a config may name.
pub const BACKENDS: &[Backend] = &[
    Backend { name: "flex", compiled: cfg!(feature = "flex"), about: "CPU, pure Rust, SIMD and threads" },
    Backend { name: "ndarray", compiled: cfg!(feature = "ndarray"), about: "CPU, the older burn-ndarray" },
];

/// The names that this program was built with, separated by commas.
#[must_use]
pub fn compiled_names() -> String {
    BACKENDS.iter().filter(|b| b.compiled).map(|b| b.name).collect::<Vec<_>>().join(", ")
}

/// What is wrong with a backend's name, if anything.
pub(crate) fn check_name(name: &str) -> std::result::Result<(), String> {
    match BACKENDS.iter().find(|b| b.name == name) {
        Some(b) if b.compiled => Ok(()),
        Some(b) => Err(format!(
            "\"{name}\" is not compiled in: run `cargo run --features {} -- …`. Compiled in: {}",
            b.name,
            compiled_names()
        )),
        None => Err(format!(
            "\"{name}\" is not a backend. Known: {}",
            BACKENDS.iter().map(|b| b.name).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// The device behind a backend's name, without autodiff.
///
/// # Errors
/// The name is unknown, or the backend is not compiled in.
pub fn device(name: &str) -> Result<Device> {
    check_name(name).map_err(|what| Error::Backend(format!("backend {what}")))?;
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]
        "ndarray" => Ok(Device::ndarray()),
        _ => Err(Error::Backend(format!("backend \"{name}\" has no device"))),
    }
}
