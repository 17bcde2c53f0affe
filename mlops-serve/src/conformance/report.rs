//! What came of the checks.

use serde::Serialize;

/// Who says that a check must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// The text of the protocol, or of HTTP or gRPC below it.
    Required,
    /// The text of an extension that the server says it speaks.
    Declared,
    /// Nobody; but clients are better off.
    Advised,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// As wanted.
    Passed,
    /// Not as wanted.
    Failed,
    /// Not asked: not declared, or the model has nothing to ask it with.
    Skipped,
    /// The server says by name that it does not do this, as it may.
    Unsupported,
}

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The check's name: a group, a dot, what is checked.
    pub name: String,
    /// Who says that it must pass.
    pub level: Level,
    /// The text that says so.
    pub clause: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// Of a failed check, what it wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// Of a failed check, what it saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Of a check that was not asked, why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerSaid {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The extensions that it speaks.
    pub extensions: Vec<String>,
    /// The models that were asked, the subject first: each a name and its inputs.
    pub models: Vec<String>,
    /// Whether gRPC was asked, too.
    pub grpc: bool,
}

/// How many checks of a level came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// As wanted.
    pub passed: usize,
    /// Not as wanted.
    pub failed: usize,
    /// Not asked.
    pub skipped: usize,
    /// Declined by name.
    pub unsupported: usize,
}

/// What came of all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConformanceReport {
    /// What the server says of itself.
    pub server: ServerSaid,
    /// Whether no check failed that is required or declared.
    pub conforms: bool,
    /// Every check, in the order asked.
    pub checks: Vec<Row>,
}

impl ConformanceReport {
    pub(super) fn new(server: ServerSaid, checks: Vec<Row>) -> Self {
        let broken = |row: &Row| row.outcome == Outcome::Failed && row.level != Level::Advised;
        let conforms = !checks.iter().any(broken);
        Self { server, conforms, checks }
    }

    /// Whether no check failed that is required or declared.
    pub fn conforms(&self) -> bool {
        self.conforms
    }

    /// How many checks of this level came to what.
    pub fn counts(&self, level: Level) -> Counts {
        let mut counts = Counts::default();
        for row in self.checks.iter().filter(|row| row.level == level) {
            match row.outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed => counts.failed += 1,
                Outcome::Skipped => counts.skipped += 1,
                Outcome::Unsupported => counts.unsupported += 1,
            }
        }
        counts
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Row> {
        self.checks.iter().filter(|row| row.outcome == Outcome::Failed)
    }
}
