//! One check: its name, who says that it must pass, and how it is asked.

use super::{
    peer::Peer,
    report::{Level, Outcome, Row},
};
use futures_util::future::BoxFuture;

/// The longest text of a server that a report repeats, in characters.
const SEEN_CHARS: usize = 240;

/// Why a check did not pass.
#[derive(Clone, Debug)]
pub(super) enum Unmet {
    Failed {
        wanted: String,
        seen: String,
    },
    /// There was no answer; what there was instead.
    Silence(String),
    Skipped(String),
    Unsupported(String),
}

/// What a check found.
pub(super) type Verdict<T = ()> = Result<T, Unmet>;

type Run = Box<dyn for<'a> Fn(&'a Peer) -> BoxFuture<'a, Verdict> + Send + Sync>;

/// A check that was not asked yet.
pub(super) struct Check {
    pub(super) name: String,
    level: Level,
    clause: &'static str,
    run: Run,
}

impl Check {
    pub(super) fn new<F>(
        level: Level,
        name: impl Into<String>,
        clause: &'static str,
        run: F,
    ) -> Self
    where
        F: for<'a> Fn(&'a Peer) -> BoxFuture<'a, Verdict> + Send + Sync + 'static,
    {
        Self { name: name.into(), level, clause, run: Box::new(run) }
    }

    /// A check that the protocol's text demands.
    pub(super) fn required<F>(name: impl Into<String>, clause: &'static str, run: F) -> Self
    where
        F: for<'a> Fn(&'a Peer) -> BoxFuture<'a, Verdict> + Send + Sync + 'static,
    {
        Self::new(Level::Required, name, clause, run)
    }

    /// A check that an extension's text demands; `run` asks whether the server declares it.
    pub(super) fn declared<F>(name: impl Into<String>, clause: &'static str, run: F) -> Self
    where
        F: for<'a> Fn(&'a Peer) -> BoxFuture<'a, Verdict> + Send + Sync + 'static,
    {
        Self::new(Level::Declared, name, clause, run)
    }

    /// A check that nobody demands.
    pub(super) fn advised<F>(name: impl Into<String>, clause: &'static str, run: F) -> Self
    where
        F: for<'a> Fn(&'a Peer) -> BoxFuture<'a, Verdict> + Send + Sync + 'static,
    {
        Self::new(Level::Advised, name, clause, run)
    }

    /// The row, and whether the server was silent.
    pub(super) async fn ask(self, peer: &Peer) -> (Row, bool) {
        let verdict = (self.run)(peer).await;
        let is_silent = matches!(verdict, Err(Unmet::Silence(_)));
        let mut row = self.row(Outcome::Passed);
        match verdict {
            Ok(()) => {}
            Err(Unmet::Silence(seen)) => {
                row.outcome = Outcome::Failed;
                (row.wanted, row.seen) = (Some("an answer".to_owned()), Some(short(&seen)));
            }
            Err(Unmet::Failed { wanted, seen }) => {
                row.outcome = Outcome::Failed;
                (row.wanted, row.seen) = (Some(short(&wanted)), Some(short(&seen)));
            }
            Err(Unmet::Skipped(reason)) => {
                row.outcome = Outcome::Skipped;
                row.reason = Some(short(&reason));
            }
            Err(Unmet::Unsupported(reason)) => {
                row.outcome = Outcome::Unsupported;
                row.reason = Some(short(&reason));
            }
        }
        (row, is_silent)
    }

    pub(super) fn skipped(self, reason: String) -> Row {
        Row { reason: Some(reason), ..self.row(Outcome::Skipped) }
    }

    fn row(self, outcome: Outcome) -> Row {
        let Self { name, level, clause, .. } = self;
        Row { name, level, clause, outcome, wanted: None, seen: None, reason: None }
    }
}

/// The row of a server that is gone.
pub(super) fn ended(after: &str) -> Row {
    Row {
        name: "robustness.lives".to_owned(),
        level: Level::Required,
        clause: "OIP REST, Server Live",
        outcome: Outcome::Failed,
        wanted: Some("a server that goes on listening, whatever it was asked".to_owned()),
        seen: Some(format!("nobody listened after {after}")),
        reason: None,
    }
}

/// That something holds.
pub(super) fn ensure(
    holds: bool,
    wanted: impl Into<String>,
    seen: impl FnOnce() -> String,
) -> Verdict {
    if holds { Ok(()) } else { Err(failed(wanted, seen())) }
}

pub(super) fn failed(wanted: impl Into<String>, seen: impl Into<String>) -> Unmet {
    Unmet::Failed { wanted: wanted.into(), seen: seen.into() }
}

pub(super) fn skipped(reason: impl Into<String>) -> Unmet {
    Unmet::Skipped(reason.into())
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SEEN_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
