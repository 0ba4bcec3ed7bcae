//! Which device to run on.

use burn::tensor::Device;

use crate::Error;

/// The device of a name: `auto`, `cpu`, `cuda`, `cuda:N` or `wgpu`.
///
/// `auto` is the first of CUDA, WebGPU and CPU that the program was built with.
///
/// # Errors
/// When the name is unknown, or the program was built without that device.
pub fn choose_device(name: &str) -> Result<Device, Error> {
    let absent = |feature: &str| {
        Err(Error::Request(format!(
            "this program was built without {feature}; build it with `cargo build --release -p dozen --features {feature}`"
        )))
    };
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (
            kind,
            index
                .parse::<usize>()
                .map_err(|_| Error::Request(format!("`{index}` in --device {name} is not a number")))?,
        ),
        None => (name, 0),
    };
    match kind {
        "auto" => Ok(default_device()),
        "cpu" => cpu().map_or_else(|| absent("cpu"), Ok),
        "cuda" => cuda(index).map_or_else(|| absent("cuda"), Ok),
        "wgpu" => wgpu().map_or_else(|| absent("wgpu"), Ok),
        _ => Err(Error::Request(format!("there is no device `{name}`; use auto, cpu, cuda:N or wgpu"))),
    }
}

fn default_device() -> Device {
    cuda(0).or_else(wgpu).or_else(cpu).unwrap_or_default()
}

#[cfg_attr(feature = "flex", expect(clippy::unnecessary_wraps, reason = "None without the feature"))]
fn cpu() -> Option<Device> {
    #[cfg(feature = "flex")]
    return Some(Device::flex());
    #[cfg(not(feature = "flex"))]
    None
}

#[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
fn cuda(index: usize) -> Option<Device> {
    #[cfg(feature = "cuda")]
    return Some(Device::cuda(index));
    #[cfg(not(feature = "cuda"))]
    None
}

fn wgpu() -> Option<Device> {
    #[cfg(feature = "wgpu")]
    return Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
    #[cfg(not(feature = "wgpu"))]
    None
}
