//! An alarm: what changed, by how much, since when.

use crate::report::finding;
use mlops_core::{
    EventId, Principal, Timestamp,
    drift::{Contribution, Drift, Effect},
    event::{Event, EventKind},
};
use serde_json::json;
use std::{fmt, ops::Range, sync::Arc};

/// How much an alarm asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing has to be done at once: the monitor says something of itself.
    Info,
    /// A change that is not negligible.
    Warning,
    /// A change that surely is several times what is negligible.
    Critical,
}

impl Severity {
    /// `info`, `warning` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an alarm was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlarmCause {
    /// A column is not what it was in the reference.
    Drift,
    /// A column's windows differ from one another more than chance allows: the promise of few false
    /// alarms does not hold for windows shorter than a season, and only whole seasons are judged, or
    /// days where strata know them. Or its days do so from week to week in the reference.
    Unsteady,
}

/// One column's alarm. Shown, it is a sentence that a person can act on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Alarm {
    pub(super) id: EventId,
    pub(super) at: Timestamp,
    pub(super) since: Timestamp,
    pub(super) subject: Arc<str>,
    pub(super) cause: AlarmCause,
    pub(super) severity: Severity,
    pub(super) again: bool,
    pub(super) words: Arc<str>,
    pub(super) finding: Arc<Drift>,
    pub(super) segments: Arc<[Contribution]>,
}

impl Alarm {
    /// Names it for ever.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The column that changed.
    pub fn column(&self) -> &Arc<str> {
        &self.finding.name
    }

    /// By how much, with an interval: `shift_sd` in deviations of a normal law (from the
    /// probability that a value exceeds one of the reference), `missing_share`, `other_share`,
    /// `below_share` and `above_share` as differences of shares, else `total_variation`. Of an
    /// unsteady column `overdispersion`: how many times its windows, or weeks, vary as much as chance
    /// lets them.
    pub fn effect(&self) -> &Effect {
        &self.finding.effect
    }

    /// Why it was raised.
    pub fn cause(&self) -> AlarmCause {
        self.cause
    }

    /// How much it asks for.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// When the change seems to have begun: the first window after which the rows differ most.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When it was raised.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether one was raised before, and it has become worse since.
    pub fn is_worse(&self) -> bool {
        self.again
    }

    /// The finding: rows since then, statistic, evidence, and the cells that it is made of.
    pub fn finding(&self) -> &Drift {
        &self.finding
    }

    /// Segments by what they add to the change, the largest first: `state=TX` with its share of the
    /// rows before and since, and its part of the change, 1 being all of it. Empty without
    /// segments.
    pub fn segments(&self) -> &[Contribution] {
        &self.segments
    }

    /// An event of kind [`EventKind::DRIFT_ALARM`] by this actor. Its reason is the sentence, its
    /// detail the finding's fields as a report has them.
    pub fn event(&self, actor: &Principal) -> Event {
        let mut detail = finding(&self.finding);
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("severity".to_owned(), self.severity.as_str().into());
            fields.insert("since".to_owned(), self.since.to_string().into());
            fields.insert("segments".to_owned(), json!(self.segments));
        }
        Event::new(self.id, self.at, EventKind::DRIFT_ALARM, Arc::clone(&self.subject), actor)
            .with_reason(self.to_string())
            .with_detail(detail)
    }
}

/// By the host.
impl From<Alarm> for Event {
    fn from(alarm: Alarm) -> Self {
        alarm.event(&Principal::host())
    }
}

/// Segments that the sentence names.
const NAMED: usize = 2;

impl fmt::Display for Alarm {
    /// `income moved by 0.31 sd [0.24, 0.38] since 14:05; 62% of it from state=TX`. Times are UTC,
    /// with the date if it is another than that of the alarm.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.column(), self.words)?;
        if self.cause == AlarmCause::Unsteady {
            return Ok(());
        }
        let (since, at) = (self.since.to_string(), self.at.to_string());
        let part = |text: &str, range: Range<usize>| text.get(range).unwrap_or_default().to_owned();
        write!(f, " since ")?;
        if part(&since, 0..10) != part(&at, 0..10) {
            write!(f, "{} ", part(&since, 0..10))?;
        }
        write!(f, "{}", part(&since, 11..16))?;
        for (rank, segment) in self.segments.iter().take(NAMED).enumerate() {
            let percent = segment.value * 100.0;
            let start = if rank == 0 { "; " } else { ", " };
            write!(f, "{start}{percent:.0}% of it from {}", segment.name)?;
        }
        Ok(())
    }
}
