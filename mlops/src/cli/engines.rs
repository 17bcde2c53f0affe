//! Which engines may load a model, and what those that have a choice may use.

#[cfg(feature = "candle")]
mod candle;

use crate::{Error, Result};
use clap::Args;
#[cfg(feature = "onnx")]
use mlops_serve::engines::onnx::ExecutionProvider;
use mlops_serve::{Engine, engines::compiled_in};
use std::sync::Arc;

/// The flags of every command that loads models.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Engines {
    /// The only engine that may load; by default the first that can, of ONNX files tabular before onnx
    #[arg(long = "engine", value_name = "NAME")]
    only: Option<String>,
    /// Calls that ONNX Runtime computes at once; each has the weights in memory once more
    #[cfg(feature = "onnx")]
    #[arg(long, value_name = "N", default_value_t = 1)]
    onnx_sessions: usize,
    /// Threads that ONNX Runtime computes one call on
    #[cfg(feature = "onnx")]
    #[arg(long, value_name = "N", default_value_t = 1)]
    onnx_threads: usize,
    /// What ONNX Runtime computes on, the preferred first: cuda:0, tensorrt:0; the processor does what they do not. It then loads every ONNX file
    #[cfg(feature = "onnx")]
    #[arg(long = "onnx-provider", value_name = "NAME", value_delimiter = ',')]
    onnx_providers: Vec<ExecutionProvider>,
    /// Where a provider is not there, let the processor compute instead of failing
    #[cfg(feature = "onnx")]
    #[arg(long, requires = "onnx_providers")]
    onnx_cpu_fallback: bool,
    #[cfg(feature = "candle")]
    #[command(flatten)]
    candle: candle::CandleFlags,
}

impl Engines {
    /// This engine alone, if one is named, with the defaults of the flags.
    pub(super) fn only(only: Option<String>) -> Self {
        Self {
            only,
            #[cfg(feature = "onnx")]
            onnx_sessions: 1,
            #[cfg(feature = "onnx")]
            onnx_threads: 1,
            #[cfg(feature = "onnx")]
            onnx_providers: Vec::new(),
            #[cfg(feature = "onnx")]
            onnx_cpu_fallback: false,
            #[cfg(feature = "candle")]
            candle: candle::CandleFlags::default(),
        }
    }

    /// Sets how many calls ONNX Runtime computes at once, and on how many threads each.
    #[cfg_attr(not(feature = "onnx"), expect(unused_mut, unused_variables, reason = "no `onnx`"))]
    pub(super) fn with_onnx(mut self, sessions: usize, threads: usize) -> Self {
        #[cfg(feature = "onnx")]
        {
            (self.onnx_sessions, self.onnx_threads) = (sessions, threads);
        }
        self
    }

    /// The same, once for every execution provider that this build knows, on its first device.
    #[cfg_attr(not(feature = "onnx"), expect(clippy::unused_self, reason = "no `onnx`"))]
    pub(super) fn on_each_provider(&self) -> Vec<Self> {
        #[cfg(feature = "onnx")]
        {
            let known = [
                (cfg!(feature = "cuda"), ExecutionProvider::Cuda(0)),
                (cfg!(feature = "tensorrt"), ExecutionProvider::TensorRt(0)),
            ];
            let known = known.into_iter().filter(|(is_known, _)| *is_known);
            known.map(|(_, one)| Self { onnx_providers: vec![one], ..self.clone() }).collect()
        }
        #[cfg(not(feature = "onnx"))]
        Vec::new()
    }

    /// Whether something else than the processor computes.
    #[cfg_attr(
        not(any(feature = "candle", feature = "onnx")),
        expect(clippy::unused_self, reason = "nothing that computes elsewhere")
    )]
    pub(super) fn is_elsewhere(&self) -> bool {
        #[cfg(feature = "onnx")]
        if !self.onnx_providers.is_empty() {
            return true;
        }
        #[cfg(feature = "candle")]
        if self.candle.is_elsewhere() {
            return true;
        }
        false
    }

    /// The same for one model that the configuration has a device of candle for, which alone may load it then;
    /// `InvalidInput` if it is no device.
    #[cfg_attr(not(feature = "candle"), expect(unused_mut, reason = "no `candle`"))]
    pub(super) fn with_candle_device(mut self, device: Option<&str>) -> Result<Self> {
        let Some(device) = device else { return Ok(self) };
        #[cfg(feature = "candle")]
        {
            self.candle = self.candle.with_device(device.parse()?);
            self.only = Some("candle".to_owned());
            Ok(self)
        }
        #[cfg(not(feature = "candle"))]
        Err(Error::unsupported(format!("no engine \"candle\" in this build, to use {device:?}")))
    }

    /// The same, once for every device of candle that this build knows.
    #[cfg_attr(not(feature = "candle"), expect(clippy::unused_self, reason = "no `candle`"))]
    pub(super) fn on_each_device(&self) -> Vec<Self> {
        #[cfg(feature = "candle")]
        {
            candle::known().map(|candle| Self { candle, ..self.clone() }).collect()
        }
        #[cfg(not(feature = "candle"))]
        Vec::new()
    }

    /// What says the same on a command line.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if let Some(only) = &self.only {
            flags.extend(["--engine".to_owned(), only.clone()]);
        }
        #[cfg(feature = "onnx")]
        if self.only.as_deref() == Some("onnx") {
            flags.extend(["--onnx-sessions".to_owned(), self.onnx_sessions.to_string()]);
            flags.extend(["--onnx-threads".to_owned(), self.onnx_threads.to_string()]);
            for provider in &self.onnx_providers {
                flags.extend(["--onnx-provider".to_owned(), provider.to_string()]);
            }
        }
        #[cfg(feature = "candle")]
        if self.only.as_deref() == Some("candle") {
            flags.extend(self.candle.flags());
        }
        flags
    }

    /// In the order in which they are asked; `InvalidInput` names one that this build has not.
    pub(super) fn list(&self) -> Result<Vec<Arc<dyn Engine>>> {
        let all = compiled_in().into_iter().map(|engine| self.configured(engine));
        #[cfg(feature = "candle")]
        let all = all.map(|engine| self.candle.configured(engine));
        let mut all: Vec<Arc<dyn Engine>> = all.collect();
        // In the order that they have, but for one that is asked before them.
        all.sort_by_key(|engine| !self.goes_first(engine.name()));
        let Some(only) = &self.only else { return Ok(all) };
        let names: Vec<&str> = all.iter().map(|engine| engine.name()).collect();
        let unknown = format!("no engine {only:?} in this build; there are {names:?}");
        let engine = all.into_iter().find(|engine| engine.name() == only);
        engine.map(|engine| vec![engine]).ok_or_else(|| Error::invalid(unknown))
    }

    /// Who names a provider wants what it can load to be computed there, not by an engine that knows none.
    #[cfg_attr(not(feature = "onnx"), expect(clippy::unused_self, reason = "no `onnx`"))]
    fn goes_first(&self, engine: &str) -> bool {
        #[cfg(feature = "onnx")]
        return engine == "onnx" && !self.onnx_providers.is_empty();
        #[cfg(not(feature = "onnx"))]
        engine.is_empty()
    }

    #[cfg(feature = "onnx")]
    fn configured(&self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        use mlops_serve::engines::onnx::{OnnxConfig, OnnxEngine};
        let onnx = OnnxEngine::new().with_config(
            OnnxConfig::default()
                .with_sessions(self.onnx_sessions)
                .with_intra_op_threads(self.onnx_threads)
                .with_providers(self.onnx_providers.clone())
                .with_cpu_fallback(self.onnx_cpu_fallback),
        );
        if engine.name() == onnx.name() { Arc::new(onnx) } else { engine }
    }

    #[cfg(not(feature = "onnx"))]
    #[expect(clippy::unused_self, reason = "with `onnx` there is something to configure")]
    fn configured(&self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        engine
    }
}
