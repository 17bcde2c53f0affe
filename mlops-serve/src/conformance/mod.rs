//! Whether a server speaks the Open Inference Protocol v2: named checks that any server can be asked.
//!
//! The checks know no implementation. What a server serves is read from its metadata, valid requests
//! are made of that, and each check changes one thing about them. `mlops conformance URL` is this
//! module as a program.
//!
//! # Behavior
//!
//! - a check has a level: [`Level::Required`] by the protocol's text, [`Level::Declared`] by the text of
//!   an extension that the server lists, [`Level::Advised`] where the texts are silent and servers that
//!   are trusted agree; only the first two decide whether a server [conforms](ConformanceReport::conforms)
//! - a failed check says what was wanted and what was seen; one that could not be asked says why
//! - the requests are the same each time: what is mutated is mutated from a seed
//! - a server that ends or hangs fails the check at which it did, and ends the list
//! - nothing is loaded, unloaded or configured; but among a few thousand requests are some at which
//!   servers end: not for one that others need. The worst comes last
//!
//! Not checked: shared memory, sequences, classification, loading and unloading, encryption.
//!
//! ```no_run
//! # async fn ask() -> mlops_core::Result<()> {
//! use mlops_serve::conformance::{ConformanceConfig, check};
//!
//! let config = ConformanceConfig::new("http://127.0.0.1:8000").with_grpc("127.0.0.1:8001");
//! let report = check(&config).await?;
//! assert!(report.conforms(), "{}", report.to_markdown());
//! # Ok(())
//! # }
//! ```

mod answer;
mod checks;
mod client;
mod config;
mod datatype;
mod markdown;
mod messages;
mod mutation;
mod peer;
mod report;
mod tensor;
mod verdict;

pub use config::ConformanceConfig;
pub use report::{ConformanceReport, Counts, Level, Outcome, Row, ServerSaid};

use mlops_core::Result;
use peer::Peer;
use verdict::Check;

/// Asks a server every check.
///
/// # Errors
/// `InvalidInput` for a URL that is none or a model that the server does not describe, `Unsupported`
/// for one with `https`, `Unavailable` if nobody listens there.
pub async fn check(config: &ConformanceConfig) -> Result<ConformanceReport> {
    check_each(config, |_, _, _| ()).await
}

/// Asks a server every check, and hands each row to `follow` when it is known, with its number and
/// how many there are.
pub async fn check_each(
    config: &ConformanceConfig,
    mut follow: impl FnMut(&Row, usize, usize),
) -> Result<ConformanceReport> {
    let peer = Peer::open(config).await?;
    let all = checks::all();
    let wanted: Vec<Check> = all.into_iter().filter(|check| config.wants(&check.name)).collect();
    let count = wanted.len();
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    let mut gone: Option<String> = None;
    for (at, check) in wanted.into_iter().enumerate() {
        let (row, is_silent) = match &gone {
            Some(after) => (check.skipped(format!("nobody listens after {after}")), false),
            None => check.ask(&peer).await,
        };
        if is_silent && !peer.http.listens().await {
            gone = Some(row.name.clone());
        }
        follow(&row, at + 1, count);
        rows.push(row);
    }
    if let Some(after) = gone {
        rows.push(verdict::ended(&after));
    }
    Ok(ConformanceReport::new(peer.said(), rows))
}
