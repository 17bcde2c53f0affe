//! Integration tests of the core: one binary, modules inside.

#[cfg(feature = "conformance")]
#[path = "main/doubles.rs"]
mod doubles;
