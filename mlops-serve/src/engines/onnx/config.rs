//! How ONNX Runtime computes.

use crate::engines::device::kind_and_number;
use mlops_core::{Error, Result};
use std::{fmt, str::FromStr};

/// What a model may use of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxConfig {
    /// How many calls of one model compute at once; at least 1. Each has the weights in memory once
    /// more.
    pub sessions: usize,
    /// Threads that compute one operator, the calling one among them; at least 1. ONNX Runtime starts
    /// the others for each session.
    pub intra_op_threads: usize,
    /// Threads that compute operators that do not need each other; with 1 they run one after the other.
    pub inter_op_threads: usize,
    /// How far the graph is rewritten when it is loaded.
    pub optimisation: Optimisation,
    /// What computes, the preferred first; the processor takes what none of them can.
    pub providers: Vec<ExecutionProvider>,
    /// Whether a provider that is not there is done without; else loading fails and names it.
    pub cpu_fallback: bool,
    /// The most calls that wait for a session; another is `Overloaded`.
    pub max_waiting: usize,
}

impl Default for OnnxConfig {
    /// One session on one thread, every rewriting, the processor alone, 256 waiting.
    fn default() -> Self {
        Self {
            sessions: 1,
            intra_op_threads: 1,
            inter_op_threads: 1,
            optimisation: Optimisation::All,
            providers: Vec::new(),
            cpu_fallback: false,
            max_waiting: 256,
        }
    }
}

impl OnnxConfig {
    /// Sets how many calls of one model compute at once; at least 1.
    #[must_use]
    pub fn with_sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions.max(1);
        self
    }

    /// Sets how many threads compute one operator; at least 1.
    #[must_use]
    pub fn with_intra_op_threads(mut self, threads: usize) -> Self {
        self.intra_op_threads = threads.max(1);
        self
    }

    /// Sets how many threads compute operators that do not need each other; at least 1.
    #[must_use]
    pub fn with_inter_op_threads(mut self, threads: usize) -> Self {
        self.inter_op_threads = threads.max(1);
        self
    }

    /// Sets how far the graph is rewritten.
    #[must_use]
    pub fn with_optimisation(mut self, optimisation: Optimisation) -> Self {
        self.optimisation = optimisation;
        self
    }

    /// Sets what computes, the preferred first.
    #[must_use]
    pub fn with_providers(mut self, providers: impl Into<Vec<ExecutionProvider>>) -> Self {
        self.providers = providers.into();
        self
    }

    /// Says whether a provider that is not there is done without.
    #[must_use]
    pub fn with_cpu_fallback(mut self, fallback: bool) -> Self {
        self.cpu_fallback = fallback;
        self
    }

    /// Sets the most calls that wait for a session.
    #[must_use]
    pub fn with_max_waiting(mut self, waiting: usize) -> Self {
        self.max_waiting = waiting;
        self
    }
}

/// How far ONNX Runtime rewrites a graph when it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Optimisation {
    /// Not at all.
    Off,
    /// Constants are folded, what does nothing goes away.
    Basic,
    /// Operators are fused, too.
    Extended,
    /// Layouts change, too.
    All,
}

/// What computes beside the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutionProvider {
    /// NVIDIA's CUDA on the device of this number: feature `cuda`, and a library built with it.
    Cuda(u16),
    /// NVIDIA's `TensorRT` on the device of this number: feature `tensorrt`, and a library built with it.
    TensorRt(u16),
}

impl fmt::Display for ExecutionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(device) => write!(f, "cuda:{device}"),
            Self::TensorRt(device) => write!(f, "tensorrt:{device}"),
        }
    }
}

impl FromStr for ExecutionProvider {
    type Err = Error;

    /// As it is displayed, `cuda:1`; without a number it is the first device.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::invalid(format!(
                "no execution provider {text:?}; there are cuda:0 and tensorrt:0"
            ))
        };
        match kind_and_number(text) {
            Some(("cuda", device)) => Ok(Self::Cuda(device)),
            Some(("tensorrt", device)) => Ok(Self::TensorRt(device)),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_read_as_they_are_displayed() {
        for provider in [ExecutionProvider::Cuda(0), ExecutionProvider::TensorRt(3)] {
            assert_eq!(provider.to_string().parse::<ExecutionProvider>().unwrap(), provider);
        }
        assert_eq!("cuda".parse::<ExecutionProvider>().unwrap(), ExecutionProvider::Cuda(0));
        for text in ["", "rocm", "cuda:", "cuda:-1", "cuda:0:0", "CUDA"] {
            let error = text.parse::<ExecutionProvider>().unwrap_err();
            assert!(error.message().contains("cuda:0 and tensorrt:0"), "{error}");
        }
    }
}
