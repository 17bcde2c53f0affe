//! What holds across the whole workspace.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "tests say what they measured and skipped")]

#[cfg(feature = "cli")]
#[path = "main/program.rs"]
mod program;
mod tidy;
