//! Integration tests of the data plane: one binary, modules inside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "main/batching.rs"]
mod batching;
#[cfg(feature = "candle")]
#[path = "main/candle.rs"]
mod candle;
#[cfg(feature = "candle")]
#[path = "main/candle_device.rs"]
mod candle_device;
#[cfg(feature = "candle")]
#[path = "main/candle_module.rs"]
mod candle_module;
#[path = "main/compose.rs"]
mod compose;
#[cfg(all(feature = "conformance", feature = "grpc"))]
#[path = "main/conformance.rs"]
mod conformance;
#[path = "main/doubles.rs"]
mod doubles;
#[cfg(feature = "candle")]
#[path = "main/encoder.rs"]
mod encoder;
#[path = "main/endpoint.rs"]
mod endpoint;
#[path = "main/exchange.rs"]
mod exchange;
#[path = "main/following.rs"]
mod following;
#[cfg(feature = "grpc")]
#[path = "main/grpc.rs"]
mod grpc;
#[cfg(feature = "http")]
#[path = "main/http.rs"]
mod http;
#[path = "main/local.rs"]
mod local;
#[cfg(all(feature = "onnx", feature = "tabular"))]
#[path = "main/onnx.rs"]
mod onnx;
#[path = "main/package.rs"]
mod package;
#[cfg(feature = "remote")]
#[path = "main/remote.rs"]
mod remote;
#[cfg(feature = "tabular")]
#[path = "main/tabular.rs"]
mod tabular;
#[cfg(feature = "metrics")]
#[path = "main/telemetry.rs"]
mod telemetry;
