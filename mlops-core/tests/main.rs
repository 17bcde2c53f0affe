//! Integration tests of the core: one binary, modules inside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "conformance")]
#[path = "main/doubles.rs"]
mod doubles;
#[cfg(feature = "evaluation")]
#[path = "main/evaluation.rs"]
mod evaluation;
