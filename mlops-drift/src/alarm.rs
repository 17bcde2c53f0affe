//! Alarms: findings that ask for attention, as events that others follow.

use crate::report::finding;
use mlops_core::{
    Clock, Error, EventId, EventLog, IdSource, Principal, RandomIds, Result, SystemClock,
    drift::{Drift, Verdict},
    event::{Event, EventKind},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// Who raises alarms about what, and when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AlarmConfig {
    /// What the events are about: `model/risk`, `endpoint/loans`.
    pub subject: Arc<str>,
    /// Who raises them; the host.
    pub actor: Principal,
    /// The least verdict that raises one; [`Verdict::Drifted`].
    pub from: Verdict,
    /// The most columns that an event lists, the worst first; 20.
    pub max_columns: usize,
    /// The most names of findings that are told apart; 1,000.
    pub max_names: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where events get their ids from.
    pub ids: Arc<dyn IdSource>,
}

impl AlarmConfig {
    /// Alarms about this subject, by the host.
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self {
            subject: subject.into(),
            actor: Principal::host(),
            from: Verdict::Drifted,
            max_columns: 20,
            max_names: 1_000,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        }
    }

    /// Sets who raises them.
    #[must_use]
    pub fn with_actor(mut self, actor: Principal) -> Self {
        self.actor = actor;
        self
    }

    /// Sets the least verdict that raises one.
    #[must_use]
    pub fn with_from(mut self, verdict: Verdict) -> Self {
        self.from = verdict;
        self
    }

    /// Sets the most columns that an event lists.
    #[must_use]
    pub fn with_max_columns(mut self, columns: usize) -> Self {
        self.max_columns = columns;
        self
    }

    /// Sets the most names of findings that are told apart.
    #[must_use]
    pub fn with_max_names(mut self, names: usize) -> Self {
        self.max_names = names;
        self
    }

    /// Takes the time from here.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes ids from here.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }
}

/// Turns findings into events of kind [`EventKind::DRIFT_ALARM`], one a window and a name, and
/// another one if it gets worse.
///
/// The event's reason says in words what moved; its detail has the fields of the report's JSON:
/// those of the finding, and of the columns that asked for attention.
#[derive(Debug)]
pub struct Alarms {
    config: AlarmConfig,
    events: Arc<dyn EventLog>,
    raised: BTreeMap<Arc<str>, Verdict>,
    /// Made and perhaps not in the log: it is appended again, under the same id.
    pending: Option<Event>,
}

impl Alarms {
    /// Alarms that go to this log.
    pub fn new(events: Arc<dyn EventLog>, config: AlarmConfig) -> Self {
        Self { config, events, raised: BTreeMap::new(), pending: None }
    }

    /// Looks at a finding and raises an alarm if it asks for one; whether it did.
    ///
    /// An alarm that could not be appended, because the log failed or because this future was
    /// dropped, is appended by the next call, once. More names of findings than `max_names` are
    /// `TooLarge`.
    pub async fn look(&mut self, drift: &Drift) -> Result<bool> {
        self.append_pending().await?;
        let before = self.raised.get(&drift.name);
        if drift.verdict < self.config.from
            || before.is_some_and(|verdict| *verdict >= drift.verdict)
        {
            return Ok(false);
        }
        if before.is_none() && self.raised.len() >= self.config.max_names {
            let most = self.config.max_names;
            return Err(Error::too_large(format!("alarms of more than {most} names")));
        }
        self.pending = Some(self.event(drift));
        self.raised.insert(Arc::clone(&drift.name), drift.verdict);
        self.append_pending().await?;
        Ok(true)
    }

    /// A new window begins: what was raised may be raised again.
    pub fn reset(&mut self) {
        self.raised.clear();
    }

    async fn append_pending(&mut self) -> Result<()> {
        if let Some(event) = &self.pending {
            self.events.append(std::slice::from_ref(event)).await?;
            self.pending = None;
        }
        Ok(())
    }

    fn event(&self, drift: &Drift) -> Event {
        let config = &self.config;
        let now = config.clock.now();
        let id = EventId::from_u128(config.ids.next(now));
        let subject = Arc::clone(&config.subject);
        Event::new(id, now, EventKind::DRIFT_ALARM, subject, &config.actor)
            .with_reason(reason(drift))
            .with_detail(self.detail(drift))
    }

    fn detail(&self, drift: &Drift) -> Value {
        let moved = moved(drift);
        let listed: Vec<Value> =
            moved.iter().take(self.config.max_columns).map(|c| finding(c)).collect();
        let left_out = moved.len() - listed.len();
        let mut detail = finding(drift);
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("columns".to_owned(), listed.into());
            fields.insert("columns_left_out".to_owned(), json!(left_out));
        }
        detail
    }
}

/// The parts that ask for attention, the worst first.
fn moved(drift: &Drift) -> Vec<&Drift> {
    let mut moved: Vec<&Drift> =
        drift.parts.iter().filter(|part| part.verdict >= Verdict::Warning).collect();
    moved.sort_by(|a, b| {
        let by_effect = || b.effect.value.abs().total_cmp(&a.effect.value.abs());
        b.verdict.cmp(&a.verdict).then_with(by_effect)
    });
    moved
}

/// `all columns: drifted, total_variation 0.312 [0.280, 0.344] in "age"; 3 of 16 columns moved`.
fn reason(drift: &Drift) -> String {
    let moved = moved(drift);
    let effect = moved.first().map_or(&drift.effect, |worst| &worst.effect);
    let mut text =
        format!("{}: {}, {} {:.3}", drift.name, drift.verdict, effect.name, effect.value);
    // Writing to a string cannot fail.
    if let Some(interval) = effect.interval {
        let _ = write!(text, " {interval:.3}");
    }
    if let Some(worst) = moved.first() {
        let (count, all) = (moved.len(), drift.parts.len());
        let _ = write!(text, " in {:?}; {count} of {all} columns moved", worst.name);
    }
    text
}
