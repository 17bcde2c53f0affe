//! Where candle computes.

use crate::engines::device::kind_and_number;
use candle_core::Device;
use mlops_core::{Error, Result};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
};

/// What computes: weights lie there, inputs are moved there, and answers are moved back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CandleDevice {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA's CUDA on the device of this number: feature `cuda`, whose build needs CUDA's `nvcc`.
    Cuda(u16),
    /// Apple's Metal on the device of this number: feature `metal`.
    Metal(u16),
}

impl CandleDevice {
    /// Candle's own.
    ///
    /// `Unsupported` names the feature that this build lacks, `Unavailable` the device that this machine lacks.
    pub(super) fn open(self) -> Result<Device> {
        // What lies below candle may panic where a driver is not there, or is not as it expects.
        let made = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => Device::new_cuda(number.into()),
            Self::Metal(number) => Device::new_metal(number.into()),
        }));
        let failed = || format!("device {self} cannot be used here");
        match made {
            Ok(Ok(device)) => Ok(device),
            Ok(Err(candle_core::Error::NotCompiledWithCudaSupport)) => Err(self.not_built("cuda")),
            Ok(Err(candle_core::Error::NotCompiledWithMetalSupport)) => {
                Err(self.not_built("metal"))
            }
            Ok(Err(cause)) => {
                // Behind the first line there may be a backtrace.
                let why = cause.to_string();
                let why = why.lines().next().unwrap_or_default();
                Err(Error::unavailable(format!("{}: {why}", failed())).with_source(cause))
            }
            Err(_) => Err(Error::unavailable(failed())),
        }
    }

    fn not_built(self, feature: &str) -> Error {
        Error::unsupported(format!(
            "device {self} is not in this build, which lacks the feature `{feature}`"
        ))
    }
}

impl fmt::Display for CandleDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(device) => write!(f, "cuda:{device}"),
            Self::Metal(device) => write!(f, "metal:{device}"),
        }
    }
}

impl FromStr for CandleDevice {
    type Err = Error;

    /// As it is displayed, `cuda:1`; without a number it is the first device.
    fn from_str(text: &str) -> Result<Self> {
        match kind_and_number(text) {
            Some(("cpu", 0)) if text == "cpu" => Ok(Self::Cpu),
            Some(("cuda", device)) => Ok(Self::Cuda(device)),
            Some(("metal", device)) => Ok(Self::Metal(device)),
            _ => {
                let message = format!("no device {text:?}; there are cpu, cuda:0 and metal:0");
                Err(Error::invalid(message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::ErrorKind;

    #[test]
    fn devices_are_read_as_they_are_displayed() {
        for device in [CandleDevice::Cpu, CandleDevice::Cuda(0), CandleDevice::Metal(3)] {
            assert_eq!(device.to_string().parse::<CandleDevice>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<CandleDevice>().unwrap(), CandleDevice::Cuda(0));
        for text in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "metal:0:0", "CUDA"] {
            let error = text.parse::<CandleDevice>().unwrap_err();
            assert!(error.message().contains("cpu, cuda:0 and metal:0"), "{error}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_named_with_what_lacks() {
        let built = [
            (CandleDevice::Cuda(7), "cuda", candle_core::utils::cuda_is_available()),
            (CandleDevice::Metal(7), "metal", candle_core::utils::metal_is_available()),
        ];
        for (device, feature, is_built) in built {
            let error = device.open().unwrap_err();
            let wanted = if is_built {
                (ErrorKind::Unavailable, "cannot be used here".to_owned())
            } else {
                (ErrorKind::Unsupported, format!("lacks the feature `{feature}`"))
            };
            assert_eq!(error.kind(), wanted.0, "{error}");
            assert!(error.message().contains(&wanted.1), "{error}");
            assert!(error.message().starts_with(&format!("device {device} ")), "{error}");
        }
        assert!(CandleDevice::Cpu.open().unwrap().is_cpu());
    }
}
