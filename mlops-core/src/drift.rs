//! Whether a window of data still looks like the reference: detectors and their verdicts.

use crate::{Error, Result, stats::Interval};
use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, sync::Arc};

/// A fitted detector: an implementation's `open(config, reference)` makes one, `restore(state)`
/// brings one back.
///
/// The suite is `conformance::drift`: each bullet below is one check.
pub trait DriftDetector: Debug + Send + Sync {
    /// What the detector says of itself.
    fn info(&self) -> &DetectorInfo;

    /// Adds rows to the window.
    ///
    /// # Behavior
    /// - a missing or wrongly typed column is `InvalidInput`, is named, and changes nothing
    /// - zero rows change nothing
    fn update(&mut self, rows: &RecordBatch) -> Result<()>;

    /// What the window shows so far.
    ///
    /// # Behavior
    /// - an empty window is [`Verdict::TooFewRows`], not an error
    /// - rows drawn from the reference are not `Drifted`; rows moved far away are
    /// - asking twice gives the same answer
    /// - every probability lies in 0..=1, every statistic and effect is a number
    fn evaluate(&self) -> Result<Drift>;

    /// The window, without raw rows, to be stored or sent.
    ///
    /// # Behavior
    /// - saved, restored and continued equals never interrupted, byte for byte
    fn state(&self) -> Result<DetectorState>;

    /// Adds another replica's window; [`DetectorInfo::merging`] says what that means.
    ///
    /// # Behavior
    /// - where merging is exact, the order of merging does not change a byte
    /// - a state of another detector, version or reference is `InvalidInput` and changes nothing
    fn merge(&mut self, other: &DetectorState) -> Result<()>;

    /// Empties the window; the reference stays.
    ///
    /// # Behavior
    /// - afterwards its state equals that of one just opened
    fn reset(&mut self);
}

/// What a detector says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DetectorInfo {
    /// The method: `profile`, `page_hinkley` …
    pub name: Arc<str>,
    /// The columns that it watches.
    pub columns: Vec<Arc<str>>,
    /// What merging two states means.
    pub merging: Merging,
}

impl DetectorInfo {
    /// A detector of this name over these columns.
    pub fn new(
        name: impl Into<Arc<str>>,
        columns: impl IntoIterator<Item = Arc<str>>,
        merging: Merging,
    ) -> Self {
        Self { name: name.into(), columns: columns.into_iter().collect(), merging }
    }
}

/// What merging two states of a detector means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Merging {
    /// The merged state is that of one detector which saw all rows, in any order.
    Exact,
    /// The evidence of both is averaged, which keeps its guarantee.
    Averaged,
    /// States cannot be merged: `merge` is `Unsupported`.
    None,
}

/// A detector's window as bytes that only the same kind of detector reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DetectorState {
    /// The detector's name.
    pub detector: Arc<str>,
    /// Version of the format of `bytes`.
    pub version: u32,
    /// The window.
    pub bytes: Vec<u8>,
}

impl DetectorState {
    /// A state of this detector.
    pub fn new(detector: impl Into<Arc<str>>, version: u32, bytes: Vec<u8>) -> Self {
        Self { detector: detector.into(), version, bytes }
    }

    /// The bytes, if this is the detector's own and of a version up to `newest`.
    pub fn open(&self, detector: &str, newest: u32) -> Result<&[u8]> {
        if self.detector.as_ref() != detector {
            let own = &self.detector;
            return Err(Error::invalid(format!(
                "a state of detector {own:?}, not of {detector:?}"
            )));
        }
        if self.version == 0 || self.version > newest {
            return Err(Error::unsupported(format!(
                "state version {} of detector {detector:?}; this build reads 1 to {newest}",
                self.version
            )));
        }
        Ok(&self.bytes)
    }
}

/// What a window shows, beside the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Drift {
    /// What it is about: a column, a segment, or the whole.
    pub name: Arc<str>,
    /// Rows in the window.
    pub rows: u64,
    /// The test statistic.
    pub statistic: f64,
    /// How much has moved, in units that a person knows.
    pub effect: Effect,
    /// How sure it is.
    pub evidence: Evidence,
    /// What to make of it.
    pub verdict: Verdict,
    /// What adds up to the effect, largest first.
    pub contributions: Vec<Contribution>,
    /// The same question for each part: columns, segments.
    pub parts: Vec<Self>,
}

impl Drift {
    /// A finding without contributions and parts.
    pub fn new(
        name: impl Into<Arc<str>>,
        rows: u64,
        statistic: f64,
        effect: Effect,
        evidence: Evidence,
        verdict: Verdict,
    ) -> Self {
        let (contributions, parts) = (Vec::new(), Vec::new());
        Self { name: name.into(), rows, statistic, effect, evidence, verdict, contributions, parts }
    }

    /// Not enough rows to say anything.
    pub fn too_few(name: impl Into<Arc<str>>, rows: u64) -> Self {
        let (effect, evidence) = (Effect::new("none", 0.0), Evidence::Rule);
        Self::new(name, rows, 0.0, effect, evidence, Verdict::TooFewRows)
    }

    /// Adds what the effect is made of.
    #[must_use]
    pub fn with_contributions(mut self, contributions: Vec<Contribution>) -> Self {
        self.contributions = contributions;
        self
    }

    /// Adds the parts.
    #[must_use]
    pub fn with_parts(mut self, parts: Vec<Self>) -> Self {
        self.parts = parts;
        self
    }
}

/// How much something moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Effect {
    /// What is measured: `total_variation`, `mean_shift_sd` …
    pub name: Arc<str>,
    /// The estimate.
    pub value: f64,
    /// Where the true value lies.
    pub interval: Option<Interval>,
}

impl Effect {
    /// An effect without an interval.
    pub fn new(name: impl Into<Arc<str>>, value: f64) -> Self {
        Self { name: name.into(), value, interval: None }
    }

    /// Adds where the true value lies.
    #[must_use]
    pub fn with_interval(mut self, interval: Interval) -> Self {
        self.interval = Some(interval);
        self
    }
}

impl std::fmt::Display for Effect {
    /// `shift_sd 0.31 [0.24, 0.38]`, with as many digits as the formatter asks for; two if it does
    /// not say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{} {:.digits$}", self.name, self.value)?;
        match &self.interval {
            Some(interval) => write!(f, " {interval:.digits$}"),
            None => Ok(()),
        }
    }
}

/// How sure a finding is, and in which sense.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// Probability of a statistic at least this large without drift.
    P {
        /// The probability.
        p: f64,
        /// After correction for looking at several columns.
        adjusted: f64,
        /// Whether the law is exact; if not, it is an approximation for large samples.
        exact: bool,
    },
    /// An e-value: without drift its expectation is at most 1, at any time anyone looks.
    E {
        /// The e-value.
        e: f64,
    },
    /// An interval of the effect that lies beyond the margin.
    Interval,
    /// A fixed rule, without a statement about chance.
    Rule,
}

/// What to make of a finding. Ordered by how much it asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing can be said yet.
    TooFewRows,
    /// No effect beyond the margin.
    Stable,
    /// Perhaps an effect beyond the margin.
    Warning,
    /// An effect beyond the margin.
    Drifted,
}

impl Verdict {
    /// `too_few_rows`, `stable`, `warning` or `drifted`, as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooFewRows => "too_few_rows",
            Self::Stable => "stable",
            Self::Warning => "warning",
            Self::Drifted => "drifted",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One summand of an effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Contribution {
    /// A cell, a category, a segment.
    pub name: Arc<str>,
    /// Its share of the reference.
    pub reference: f64,
    /// Its share of the window.
    pub window: f64,
    /// What it adds to the effect.
    pub value: f64,
}

impl Contribution {
    /// A summand of this value.
    pub fn new(name: impl Into<Arc<str>>, reference: f64, window: f64, value: f64) -> Self {
        Self { name: name.into(), reference, window, value }
    }
}
