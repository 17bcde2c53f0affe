//! The program `mlops`: a thin user of the crates.

use std::process::ExitCode;

fn main() -> ExitCode {
    mlops::cli::main(std::env::args_os())
}
