//! What holds across the whole workspace.

#![expect(clippy::print_stdout, reason = "tests say what they measured and skipped")]

mod tidy;
