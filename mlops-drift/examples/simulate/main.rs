//! How often the tests are wrong without drift, and how soon they are right with it, as Markdown
//! tables: `scripts/simulate` keeps them in `mlops-drift/simulations`.
//!
//! Usage: simulate counts|rows|anytime|monitor REPETITIONS [PART]
//!
//! With a part of a name only those lines are made that have it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod counts;
mod monitor;
mod null;
#[path = "../../tests/main/random.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the suite's, which uses the rest")]
mod random;
mod rows;
mod streams;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let repetitions = arguments.get(1).and_then(|text| text.parse().ok());
    let (Some(area), Some(repetitions)) = (arguments.first(), repetitions) else {
        eprintln!("usage: simulate counts|rows|anytime|monitor REPETITIONS [PART]");
        return ExitCode::FAILURE;
    };
    let part = arguments.get(2).map_or("", String::as_str);
    let result = match area.as_str() {
        "counts" => counts::every(repetitions, part, &mut |line| println!("{line}")),
        "rows" => rows::every(repetitions, part, &mut |line| println!("{line}")),
        "monitor" => monitor::every(repetitions, part, &mut |line| println!("{line}")),
        "anytime" => streams::every(repetitions, &mut |line| println!("{line}")),
        _ => {
            eprintln!("no simulation {area:?}");
            return ExitCode::FAILURE;
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
