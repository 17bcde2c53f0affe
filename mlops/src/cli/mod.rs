//! The program's commands. Each reads its flags, composes parts of the crates as any host would, and
//! writes what came of it; none holds logic of its own that a host could want.

#![allow(
    clippy::doc_markdown,
    reason = "the comments of flags are help, which is printed as it stands"
)]

mod audit;
mod backup;
mod bench;
mod columns;
mod conformance;
mod console;
mod doctor;
mod drift;
mod engines;
mod export;
mod gc;
mod home;
mod import;
mod migrate;
mod models;
mod paged;
mod predict;
mod record;
mod rows;
mod runs;
mod serve;
mod server;
mod source;
mod table;
mod users;
mod why;

use crate::{ErrorKind, Result};
use clap::{Parser, Subcommand};
use console::Console;
use std::{ffi::OsString, path::Path, process::ExitCode};

/// Carries a machine-learning model from data to monitored production.
#[derive(Debug, Parser)]
#[command(name = "mlops", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Server(server::Server),
    Predict(predict::Predict),
    Bench(bench::Bench),
    Why(why::Why),
    #[command(subcommand)]
    Drift(drift::Drift),
    Conformance(conformance::Conformance),
    Doctor(doctor::Doctor),
    Gc(gc::Gc),
    #[command(subcommand)]
    Audit(audit::Audit),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Restore(backup::Restore),
    #[command(subcommand)]
    Users(users::Users),
    Import(import::Import),
    Export(export::Export),
    #[command(subcommand)]
    Runs(runs::Runs),
    #[command(subcommand)]
    Models(models::Models),
}

/// Runs the program: its name and flags in, its exit code out.
///
/// # Behavior
/// - 0 is success; an error's code is that of its kind in the family's table
/// - 1 says that the command did its work and the answer is no: a prediction that cannot be repeated,
///   a check that failed
/// - 2 is a mistake in the flags
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(other) => {
            // Help and version come this way too, and go to stdout.
            let code = u8::try_from(other.exit_code()).unwrap_or(2);
            return if other.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(74) };
        }
    };
    let console = Console::new(arguments.command.json());
    match arguments.command.observed(&console) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            console.failed(&error);
            ExitCode::from(error.kind().row().exit)
        }
    }
}

/// What a command that did its work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

impl Command {
    /// Runs it, its log on stderr and its spans on their way to whoever wants them.
    #[cfg(feature = "otlp")]
    fn observed(&self, console: &Console) -> Result<Answer> {
        let endpoint = match self {
            Self::Serve(serve) => serve.otlp.endpoint(),
            _ => None,
        };
        let traces = endpoint.as_deref().map(crate::server::Traces::to).transpose()?;
        log_to_stderr(traces.as_ref());
        let answer = self.run(console);
        if let Some(traces) = &traces {
            traces.end();
        }
        answer
    }

    /// Runs it, its log on stderr.
    #[cfg(not(feature = "otlp"))]
    fn observed(&self, console: &Console) -> Result<Answer> {
        log_to_stderr();
        self.run(console)
    }

    fn run(&self, console: &Console) -> Result<Answer> {
        match self {
            Self::Serve(serve) => serve.run(console),
            Self::Server(server) => server.run(console),
            Self::Predict(predict) => predict.run(console),
            Self::Bench(bench) => bench.run(console),
            Self::Why(why) => why.run(console),
            Self::Drift(drift) => drift.run(console),
            Self::Conformance(conformance) => conformance.run(console),
            Self::Doctor(doctor) => doctor.run(console),
            Self::Gc(gc) => gc.run(console),
            Self::Audit(audit) => audit.run(console),
            Self::Migrate(migrate) => migrate.run(console),
            Self::Backup(backup) => backup.run(console),
            Self::Restore(restore) => restore.run(console),
            Self::Users(users) => users.run(console),
            Self::Import(import) => import.run(console),
            Self::Export(export) => export.run(console),
            Self::Runs(runs) => runs.run(console),
            Self::Models(models) => models.run(console),
        }
    }

    /// Whether results and errors are wanted as JSON.
    fn json(&self) -> bool {
        match self {
            Self::Serve(serve) => serve.json,
            Self::Server(server) => server.json,
            Self::Predict(predict) => predict.json,
            Self::Bench(bench) => bench.json,
            Self::Why(why) => why.json,
            Self::Drift(drift) => drift.json(),
            Self::Conformance(conformance) => conformance.json,
            Self::Doctor(doctor) => doctor.json,
            Self::Gc(gc) => gc.json,
            Self::Audit(audit) => audit.json(),
            Self::Migrate(migrate) => migrate.json,
            Self::Backup(backup) => backup.json,
            Self::Restore(restore) => restore.json,
            Self::Users(users) => users.json(),
            Self::Import(import) => import.json,
            Self::Export(export) => export.json,
            Self::Runs(runs) => runs.json(),
            Self::Models(models) => models.json(),
        }
    }
}

/// Warnings and errors of the crates, a line each. The program owns its process; a host's crates
/// install nothing.
#[cfg(feature = "otlp")]
fn log_to_stderr(traces: Option<&crate::server::Traces>) {
    use tracing_subscriber::{Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry};
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = lines.with_filter(tracing_subscriber::filter::LevelFilter::WARN);
    // What libraries beneath us say of their own work is no part of a request.
    let ours = |about: &tracing::Metadata<'_>| {
        about.target().starts_with("mlops") && *about.level() <= tracing::Level::INFO
    };
    let spans = traces.map(|traces| traces.layer().with_filter(filter_fn(ours)));
    // In a host that calls this its own subscriber stays.
    let _ = tracing::subscriber::set_global_default(registry().with(lines).with(spans));
}

/// Warnings and errors of the crates, a line each. The program owns its process; a host's crates
/// install nothing.
#[cfg(not(feature = "otlp"))]
fn log_to_stderr() {
    let lines = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish();
    // In a host that calls this its own subscriber stays.
    let _ = tracing::subscriber::set_global_default(lines);
}

/// An empty folder that is gone when the command is done.
fn scratch() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|source| crate::Error::io("a temporary folder", source))
}

/// The folder in which something is to appear, made if it is not there.
fn parent_of(path: &Path) -> Result<&Path> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|source| crate::Error::io(parent.display(), source))?;
    Ok(parent)
}

/// A runtime for commands that wait on the record but serve nobody.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| crate::Error::io("starting the runtime", source))?;
    runtime.block_on(work)
}

/// Whether an error only says that something is not there.
fn is_absent(error: &crate::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
