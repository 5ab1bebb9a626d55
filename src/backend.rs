//! From the name of a backend to a device that works. Nearly every `#[cfg]` of the crate is here.

#![allow(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]

pub(crate) mod address;
#[cfg(feature = "remote")]
mod remote;

use std::borrow::Cow;

use burn::{
    backend::DispatchDevice,
    tensor::{Device, Tensor},
};
use serde::Serialize;

use self::address::Address;
pub(crate) use self::address::{REMOTE, TOKEN};
use crate::{Error, Result, panics};

/// A backend that a config may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Its name, in the config and as a Cargo feature.
    pub name: &'static str,
    /// Whether this program was built with it.
    pub compiled: bool,
    /// A few words on what it is.
    pub about: &'static str,
    /// What it needs to find a device; empty if nothing.
    pub needs: &'static str,
}

/// The name that selects the first GPU that works, or else the CPU.
pub const AUTO: &str = "auto";

/// Every backend that a config may name.
pub const BACKENDS: &[Backend] = &[
    Backend { name: "flex", compiled: cfg!(feature = "flex"), about: "CPU, pure Rust, SIMD and threads", needs: "" },
    Backend { name: "ndarray", compiled: cfg!(feature = "ndarray"), about: "CPU, the older burn-ndarray", needs: "" },
    Backend { name: "cpu", compiled: cfg!(feature = "cpu"), about: "CPU, kernels compiled by LLVM", needs: "" },
    Backend {
        name: "wgpu",
        compiled: cfg!(feature = "wgpu"),
        about: "GPU, whichever API is there, WGSL",
        needs: "a driver for Vulkan, Metal, DirectX 12 or OpenGL",
    },
    Backend {
        name: "vulkan",
        compiled: cfg!(feature = "vulkan"),
        about: "GPU through Vulkan, SPIR-V",
        needs: "a Vulkan driver and its loader, libvulkan.so.1",
    },
    Backend { name: "metal", compiled: cfg!(feature = "metal"), about: "GPU of a Mac, MSL", needs: "macOS with Metal" },
    Backend {
        name: "webgpu",
        compiled: cfg!(feature = "webgpu"),
        about: "GPU through a browser's WebGPU",
        needs: "a browser; outside one, use wgpu",
    },
    Backend {
        name: "cuda",
        compiled: cfg!(feature = "cuda"),
        about: "GPU of NVIDIA",
        needs: "NVIDIA's driver, libcuda.so",
    },
    Backend {
        name: "rocm",
        compiled: cfg!(feature = "rocm"),
        about: "GPU of AMD",
        needs: "ROCm with libamdhip64.so and libhiprtc.so (ROCM_PATH tells where)",
    },
    Backend {
        name: REMOTE,
        compiled: cfg!(feature = "remote"),
        about: "devices of other machines",
        needs: "a `lenet worker`, as in remote:ws://HOST:3111",
    },
];

/// The order in which `auto` looks for a GPU: the vendors' own backends come first.
const AUTO_ORDER: [&str; 5] = ["cuda", "rocm", "metal", "vulkan", "wgpu"];

impl Backend {
    /// The devices that it finds on this machine, in the order of their indices. They are opened only to read a GPU's
    /// name.
    #[must_use]
    pub fn devices(&self) -> Vec<FoundDevice> {
        // Burn panics on some broken drivers.
        panics::catch(|| find(self.name)).unwrap_or_default()
    }

    /// Whether it is compiled in and finds a device on every machine.
    fn is_everywhere(&self) -> bool {
        self.compiled && self.needs.is_empty()
    }
}

/// Whether a device's tensors lie in this process's memory, where the fused operators can reach them. Autodiff makes no
/// difference.
#[must_use]
pub fn is_host(device: &Device) -> bool {
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

/// A device that a backend found.
#[derive(Debug, Clone)]
pub struct FoundDevice {
    /// Its name in the config: the backend's, with an index from the second device on.
    pub name: String,
    /// The hardware, as the driver names it.
    pub hardware: String,
    /// The device, without autodiff.
    pub device: Device,
}

/// The names of the backends that this program was built with, separated by commas.
#[must_use]
pub fn compiled_names() -> String {
    names(|b| b.compiled)
}

fn names(which: impl Fn(&Backend) -> bool) -> String {
    BACKENDS.iter().filter(|b| which(b)).map(|b| b.name).collect::<Vec<_>>().join(", ")
}

/// Splits `cuda:1` into the backend `cuda` and the index 1.
fn parse(name: &str) -> std::result::Result<(&'static Backend, usize), String> {
    let (base, index) = match name.split_once(':') {
        None => (name, Ok(0)),
        Some((REMOTE, address)) => (REMOTE, Ok(Address::parse(address)?.index)),
        Some((base, index)) => (base, index.parse()),
    };
    let Some(backend) = BACKENDS.iter().find(|b| b.name == base) else {
        return Err(format!("\"{name}\" is not a backend. Known: {AUTO}, {}", names(|_| true)));
    };
    index
        .map(|index| (backend, index))
        .map_err(|_| format!("\"{name}\": after the colon comes the device's index, such as {base}:0"))
}

/// The name of a device's backend: `cuda` for `cuda:1`.
pub(crate) fn base_name(name: &str) -> &str {
    name.split_once(':').map_or(name, |(base, _)| base)
}

/// Checks the name of a backend, not whether it is compiled in or has a device.
pub(crate) fn check_name(name: &str) -> std::result::Result<(), String> {
    if name == AUTO { Ok(()) } else { parse(name).map(drop) }
}

/// Finds the device that a config names, and checks that it works.
///
/// # Errors
/// The name is unknown, the backend is not compiled in, or it has no such device that works here.
pub fn select(name: &str) -> Result<FoundDevice> {
    if name == AUTO {
        return auto();
    }
    let (backend, index) = parse(name).map_err(|what| Error::Backend(format!("backend {what}")))?;
    if !backend.compiled {
        return Err(Error::Backend(format!(
            "backend \"{name}\" is not compiled in: run `cargo run --features {} -- …`. Compiled in: {}",
            backend.name,
            compiled_names()
        )));
    }
    #[cfg(feature = "remote")]
    if let Some((REMOTE, address)) = name.split_once(':') {
        let found = Address::parse(address).and_then(|address| remote::connect(&address));
        let found = found.map_err(|what| Error::Backend(format!("{what}. Or use another device with --backend")))?;
        return try_out(&found, backend).map(|()| found);
    }
    let found = panics::catch(|| find(backend.name)).map_err(|panic| {
        let what =
            || Error::Backend(format!("backend \"{name}\" does not work here: {panic}. {}", elsewhere(backend.name)));
        panics::of_the_system(&panic).unwrap_or_else(what)
    })?;
    let count = found.len();
    let Some(found) = found.into_iter().nth(index) else {
        let what = match count {
            0 => Cow::from(format!("finds no device here; it needs {}", backend.needs)),
            1 => Cow::from(format!("finds one device here, {}:0", backend.name)),
            n => Cow::from(format!("finds {n} devices here, {}:0 to :{}", backend.name, n - 1)),
        };
        return Err(Error::Backend(format!("backend \"{name}\" {what}. {}", elsewhere(backend.name))));
    };
    try_out(&found, backend)?;
    Ok(found)
}

/// What to do about a backend that does not work.
fn elsewhere(but: &str) -> String {
    let others = names(|b| b.is_everywhere() && b.name != but);
    let try_these = if others.is_empty() { AUTO.to_owned() } else { others };
    format!("Use another one with --backend ({try_these}); `lenet backends` lists what is available")
}

/// Selects the first GPU that works, or else the CPU.
fn auto() -> Result<FoundDevice> {
    let known = |name: &&str| BACKENDS.iter().find(|b| b.name == *name && b.compiled);
    for backend in AUTO_ORDER.iter().filter_map(known) {
        let gpu = backend.devices().into_iter().find(|found| is_gpu(&found.device));
        if let Some(found) = gpu
            && try_out(&found, backend).is_ok()
        {
            return Ok(found);
        }
    }
    BACKENDS.iter().find(|b| b.is_everywhere()).and_then(|b| b.devices().into_iter().next()).ok_or_else(|| {
        Error::Backend("no GPU was found, and no CPU backend is compiled in: add --features flex".into())
    })
}

/// Has a device compute something, since a driver that is found need not work.
fn try_out(found: &FoundDevice, backend: &Backend) -> Result<()> {
    if is_host(&found.device) {
        return Ok(());
    }
    let expected = 8.0 * 1.0_f32.exp();
    let computed = panics::catch(|| {
        Tensor::<1>::ones([8], &found.device).exp().try_into_data().map(|data| data.iter::<f32>().sum::<f32>())
    });
    let what = match computed {
        Ok(Ok(sum)) if (sum - expected).abs() < 8e-3 => return Ok(()),
        Ok(Ok(sum)) => format!("it returned a wrong result, {sum} instead of {expected}"),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    Err(Error::Backend(format!(
        "backend \"{}\" found {} but it does not work: {what}. {}",
        found.name,
        found.hardware,
        elsewhere(backend.name)
    )))
}

/// The value for the environment variable `BURN_DEVICE`: a backend that works on every machine.
///
/// Without the variable, Burn's default device is the first backend that was compiled in, whether or not there is such
/// a device.
#[must_use]
pub fn default_for_burn() -> Option<&'static str> {
    BACKENDS.iter().find(|b| b.is_everywhere()).map(|b| b.name)
}

/// The device of the first CPU backend that was compiled in.
pub(crate) fn host() -> Option<Device> {
    BACKENDS.iter().filter(|b| b.is_everywhere()).flat_map(|b| find(b.name)).map(|found| found.device).find(is_host)
}

fn find(name: &'static str) -> Vec<FoundDevice> {
    let host = |device: Device| {
        let threads = rayon::current_num_threads();
        let hardware = format!("the CPU, {threads} thread{}", if threads == 1 { "" } else { "s" });
        vec![FoundDevice { name: name.to_owned(), hardware, device }]
    };
    match name {
        #[cfg(feature = "flex")]
        "flex" => host(Device::flex()),
        #[cfg(feature = "ndarray")]
        "ndarray" => host(Device::ndarray()),
        #[cfg(feature = "cpu")]
        "cpu" => host(Device::cpu()),
        #[cfg(feature = "wgpu")]
        "wgpu" => gpu::list(name, burn::tensor::DeviceType::Wgpu),
        #[cfg(feature = "vulkan")]
        "vulkan" => gpu::list(name, burn::tensor::DeviceType::Vulkan),
        #[cfg(feature = "metal")]
        "metal" => gpu::list(name, burn::tensor::DeviceType::Metal),
        #[cfg(feature = "webgpu")]
        "webgpu" => gpu::list(name, burn::tensor::DeviceType::WebGpu),
        #[cfg(feature = "cuda")]
        "cuda" => gpu::list(name, burn::tensor::DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        "rocm" => gpu::list(name, burn::tensor::DeviceType::Rocm),
        _ => {
            let _ = host;
            Vec::new()
        }
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
mod gpu {
    use burn::tensor::{Device, DeviceType};

    use super::FoundDevice;
    use crate::panics;

    /// The devices of a kind: real GPUs first, then software renderers.
    pub(super) fn list(name: &'static str, kind: DeviceType) -> Vec<FoundDevice> {
        let mut devices = Device::enumerate(kind).into_vec();
        devices.sort_by_key(|device| !super::is_gpu(device));
        devices
            .into_iter()
            .enumerate()
            .map(|(index, device)| FoundDevice {
                name: if index == 0 { name.to_owned() } else { format!("{name}:{index}") },
                hardware: hardware(&device),
                device,
            })
            .collect()
    }

    fn hardware(device: &Device) -> String {
        let identity = panics::catch(|| device.identity()).ok().flatten();
        let name = identity.map_or_else(|| "a device that cannot be opened".to_owned(), |identity| identity.name);
        if super::is_gpu(device) { name } else { format!("{name}, software") }
    }
}

/// Why the worker of a remote device cannot be reached any more; `None` if it can be, or if the device is not a remote one.
pub(crate) fn lost(name: &str) -> Option<String> {
    #[cfg(feature = "remote")]
    if let Some((REMOTE, address)) = name.split_once(':') {
        return Address::parse(address).and_then(|address| remote::reach(&address)).err();
    }
    let _ = name;
    None
}

/// Whether two devices are both real GPUs, or neither is.
pub(crate) fn is_same_kind(one: &Device, other: &Device) -> bool {
    is_gpu(one) == is_gpu(other)
}

/// Whether a device is a real GPU, not a software renderer.
fn is_gpu(device: &Device) -> bool {
    #[cfg(feature = "wgpu")]
    {
        use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
        if let DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) = device.as_dispatch() {
            return wgpu.kind != WgpuDeviceKind::Cpu;
        }
    }
    let _ = device;
    true
}
