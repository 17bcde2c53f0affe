//! Where candle computes.

use clap::Args;
use mlops_serve::{
    Engine,
    engines::candle::{CandleDevice, CandleEngine},
};
use std::sync::Arc;

/// The flags of every command that loads models.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct CandleFlags {
    /// What candle computes on, of models in safetensors: cpu, cuda:0, metal:0
    #[arg(long, value_name = "NAME", default_value_t)]
    candle_device: CandleDevice,
    /// Where that device is not there, let the processor compute instead of failing
    #[arg(long, requires = "candle_device")]
    candle_cpu_fallback: bool,
}

/// Once for every device that this build knows beside the processor, the first of its kind.
pub(super) fn known() -> impl Iterator<Item = CandleFlags> {
    let known = [
        (cfg!(feature = "cuda"), CandleDevice::Cuda(0)),
        (cfg!(feature = "metal"), CandleDevice::Metal(0)),
    ];
    let known = known.into_iter().filter(|(is_known, _)| *is_known);
    known.map(|(_, device)| CandleFlags::default().with_device(device))
}

impl CandleFlags {
    /// The same on another device.
    pub(super) fn with_device(self, device: CandleDevice) -> Self {
        Self { candle_device: device, ..self }
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        self.candle_device != CandleDevice::Cpu
    }

    /// What says the same on a command line.
    pub(super) fn flags(&self) -> Vec<String> {
        if !self.is_elsewhere() {
            return Vec::new();
        }
        vec!["--candle-device".to_owned(), self.candle_device.to_string()]
    }

    /// The engine, if it is candle's told what the flags say; another as it is.
    pub(super) fn configured(&self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let candle = CandleEngine::new()
            .with_device(self.candle_device)
            .with_cpu_fallback(self.candle_cpu_fallback);
        if engine.name() == candle.name() { Arc::new(candle) } else { engine }
    }
}
