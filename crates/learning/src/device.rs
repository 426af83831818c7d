//! Where a computation runs.

use std::{fmt, str::FromStr};

use burn::tensor::Device;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::LearningError;

/// A device that burn can compute on, written `flex` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ComputeDevice {
    /// The processor, in pure Rust.
    #[default]
    Flex,
    /// The NVIDIA GPU with this index; needs the feature `cuda` and a driver at run time.
    Cuda(u16),
}

impl ComputeDevice {
    /// burn's handle of the device, if this machine has it.
    pub(crate) fn open(self) -> Result<Device, LearningError> {
        match self {
            Self::Flex => Ok(Device::flex()),
            Self::Cuda(index) => {
                cuda_devices().into_iter().nth(usize::from(index)).ok_or(LearningError::NoDevice(self))
            }
        }
    }
}

/// The devices of this machine: the processor first, then its GPUs.
///
/// A binary built with `cuda` starts without a driver too, and then lists the processor alone.
pub fn available_devices() -> Vec<ComputeDevice> {
    let gpus = (0u16..).zip(cuda_devices()).map(|(index, _)| ComputeDevice::Cuda(index));
    std::iter::once(ComputeDevice::Flex).chain(gpus).collect()
}

/// Enumerating is the safe probe: opening a device by index panics where there is no driver.
#[cfg(feature = "cuda")]
fn cuda_devices() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec()
}

#[cfg(not(feature = "cuda"))]
const fn cuda_devices() -> Vec<Device> {
    Vec::new()
}

impl fmt::Display for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flex => f.pad("flex"),
            Self::Cuda(index) => f.pad(&format!("cuda:{index}")),
        }
    }
}

impl FromStr for ComputeDevice {
    type Err = LearningError;

    fn from_str(text: &str) -> Result<Self, LearningError> {
        let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
        match (text, index) {
            ("flex", _) => Ok(Self::Flex),
            (_, Some(index)) => Ok(Self::Cuda(index)),
            _ => Err(LearningError::UnknownDevice(text.chars().take(100).collect())),
        }
    }
}

impl Serialize for ComputeDevice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ComputeDevice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
