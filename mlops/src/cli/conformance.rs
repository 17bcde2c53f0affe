//! `mlops conformance`: does a server speak the Open Inference Protocol?

use super::{Answer, Console, console::visible};
use crate::{Error, Result};
use clap::Args;
use mlops_serve::conformance::{
    ConformanceConfig, ConformanceReport, Level, Outcome, Row, check_each,
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Check whether a server speaks the Open Inference Protocol v2
#[derive(Debug, Args)]
#[command(
    after_help = "The server may be anybody's. Nothing is loaded, unloaded or configured; but bodies are sent at which\n\
    some servers end (Triton 2.51 at the last but one): do not ask one that others need.\n\
    A check is required by the protocol's text, declared by an extension that the server lists, or advised;\n\
    only the first two decide.\n\n\
    Exit code: 0 if no check that is required or declared failed, 1 if one did.\n\n\
    Example:\n  mlops conformance http://127.0.0.1:8000 --grpc 127.0.0.1:8001 --model risk --markdown report.md"
)]
pub(super) struct Conformance {
    /// Where the server listens: http://HOST:PORT, perhaps with the path that /v2 lies under
    url: String,
    /// Where it listens for gRPC; those checks are skipped if absent
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<String>,
    /// The models to ask, the first in every check, the others for the types that they take; all that the server lists if absent
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// A file with an inference request in JSON that the first model answers; made of its metadata if absent
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Mutated bodies to send in each encoding
    #[arg(long, value_name = "N", default_value_t = 1000)]
    mutations: usize,
    /// What mutations are made from: the same seed makes the same bodies
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long an answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    timeout_seconds: u64,
    /// Ask only the checks whose names begin so
    #[arg(long, value_name = "PREFIX")]
    only: Option<String>,
    /// Write the report as Markdown, too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the report as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Conformance {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let config = self.config()?;
        let mut said = Ok(());
        let report = super::block_on(check_each(&config, |row, at, count| {
            console.progress(format_args!("{at} of {count}: {}", row.name));
            if !console.json() && said.is_ok() {
                said = console.say(line(row));
            }
        }))?;
        said?;
        if let Some(path) = &self.markdown {
            std::fs::write(path, report.to_markdown())
                .map_err(|source| Error::io(path.display(), source))?;
        }
        if console.json() {
            console.say_json(&report)?;
        } else {
            summary(&report, console)?;
        }
        Ok(if report.conforms() { Answer::Yes } else { Answer::No })
    }

    fn config(&self) -> Result<ConformanceConfig> {
        let mut config = ConformanceConfig::new(&self.url)
            .with_mutations(self.mutations)
            .with_seed(self.seed)
            .with_timeout(Duration::from_secs(self.timeout_seconds));
        config.grpc.clone_from(&self.grpc);
        config.models.clone_from(&self.models);
        config.only.clone_from(&self.only);
        config.request = self.request.as_deref().map(read_json).transpose()?;
        Ok(config)
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(|source| Error::io(path.display(), source))?;
    let wrong = |_| Error::invalid(format!("{} is no JSON", path.display()));
    serde_json::from_slice(&text).map_err(wrong)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Required => "required",
        Level::Declared => "declared",
        _ => "advised",
    }
}

fn line(row: &Row) -> String {
    let word = match row.outcome {
        Outcome::Passed => "ok",
        Outcome::Failed => "failed",
        Outcome::Skipped => "skipped",
        _ => "declined",
    };
    let text = |part: &Option<String>| visible(part.as_deref().unwrap_or_default());
    let rest = match row.outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed => {
            let (wanted, seen) = (text(&row.wanted), text(&row.seen));
            format!(": wanted {wanted}; saw {seen} ({})", row.clause)
        }
        _ => format!(": {}", text(&row.reason)),
    };
    format!("{word:<8} {:<8} {}{rest}", level(row.level), row.name)
}

fn summary(report: &ConformanceReport, console: &Console) -> Result<()> {
    for each in [Level::Required, Level::Declared, Level::Advised] {
        let counts = report.counts(each);
        console.say(format_args!(
            "{}: {} passed, {} failed, {} skipped, {} declined",
            level(each),
            counts.passed,
            counts.failed,
            counts.skipped,
            counts.unsupported
        ))?;
    }
    let verdict = if report.conforms() { "conforms" } else { "does not conform" };
    let server = &report.server;
    console.say(format_args!("{} {} {verdict}", visible(&server.name), visible(&server.version)))
}
