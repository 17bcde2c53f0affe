//! One endpoint: what it has counted, and how much of that has been told.

use super::{
    families::{self, COUNTERS, GAUGES},
    recording::{Fallen, Recording},
};
use crate::{
    DURATION_BOUNDS, Durations,
    batching::ROWS_BOUNDS,
    rollout::endpoint::{Answered, Endpoint, EndpointStats, WeakEndpoint},
};
use metrics::Label;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Watch {
    name: Arc<str>,
    endpoint: WeakEndpoint,
    told: EndpointStats,
    versions: Vec<Answering>,
}

/// What answers, or did and has not ended yet.
#[derive(Debug)]
struct Answering {
    model: Arc<str>,
    version: Arc<str>,
    counts: Arc<Answered>,
    answered: u64,
    failed: u64,
}

impl Watch {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let (name, told) = (Arc::clone(endpoint.name()), EndpointStats::default());
        // What answers now may be gone at the first look.
        let versions = vec![Answering::now(endpoint)];
        Self { name, endpoint: endpoint.downgrade(), told, versions }
    }

    /// Tells what is new; whether there will be more.
    pub(super) fn tell(&mut self, recording: &Recording<'_>) -> bool {
        let Some(endpoint) = self.endpoint.upgrade() else { return false };
        let now = endpoint.stats();
        for (name, _, read) in COUNTERS {
            let more = read(&now).saturating_sub(read(&self.told));
            recording.count(name, self.labels(), more);
        }
        for (kind, count) in &now.errors {
            let told = self.told.errors.get(kind).copied().unwrap_or(0);
            let labels = [self.labels(), vec![Label::new("kind", format!("{kind:?}"))]].concat();
            recording.count(families::ERRORS, labels, count.saturating_sub(told));
        }
        for (name, _, read) in GAUGES {
            recording.set(name, self.labels(), read(&now));
        }
        recording.set(families::STALE, self.labels(), u64::from(endpoint.status().stale));
        self.durations(recording, families::REQUEST_SECONDS, &now, |stats| &stats.durations);
        self.durations(recording, families::WAIT_SECONDS, &now, |stats| &stats.batching.waited);
        self.rows(recording, &now);
        self.versions(recording, &endpoint);
        self.told = now;
        true
    }

    fn labels(&self) -> Vec<Label> {
        vec![Label::new("endpoint", Arc::clone(&self.name))]
    }

    fn durations(
        &self,
        recording: &Recording<'_>,
        name: &'static str,
        now: &EndpointStats,
        read: impl Fn(&EndpointStats) -> &Durations,
    ) {
        let (now, told) = (read(now), read(&self.told));
        let fallen = Fallen {
            bounds: &DURATION_BOUNDS.map(|bound| bound.as_secs_f64()),
            counts: &now.counts,
            told: &told.counts,
            sum: now.sum.saturating_sub(told.sum).as_secs_f64(),
        };
        recording.fell(name, self.labels(), &fallen);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the bounds are small, a sum of rows is a float there"
    )]
    fn rows(&self, recording: &Recording<'_>, now: &EndpointStats) {
        let (now, told) = (&now.batching, &self.told.batching);
        let fallen = Fallen {
            bounds: &ROWS_BOUNDS.map(|bound| bound as f64),
            counts: &now.rows_per_batch,
            told: &told.rows_per_batch,
            sum: now.batched_rows.saturating_sub(told.batched_rows) as f64,
        };
        recording.fell(families::ROWS, self.labels(), &fallen);
    }

    /// Of what answers and of what did, each by itself: a number that comes back counts on.
    fn versions(&mut self, recording: &Recording<'_>, endpoint: &Endpoint) {
        for known in &self.versions {
            recording.set(families::INFO, known.info(&self.name), 0);
        }
        let now = Answering::now(endpoint);
        recording.set(families::INFO, now.info(&self.name), 1);
        match self.versions.iter_mut().find(|known| Arc::ptr_eq(&known.counts, &now.counts)) {
            // What is composed of endpoints may change its name behind the same handle.
            Some(known) => (known.model, known.version) = (now.model, now.version),
            None => self.versions.push(now),
        }
        let name = &self.name;
        self.versions.retain_mut(|known| known.tell(recording, name));
    }
}

impl Answering {
    /// What answers now; nothing of it has been told.
    fn now(endpoint: &Endpoint) -> Self {
        let (info, counts) = endpoint.answering();
        let (model, version) = (Arc::clone(&info.name), Arc::clone(&info.version));
        Self { model, version, counts, answered: 0, failed: 0 }
    }

    /// Tells what is new; whether there may be more.
    fn tell(&mut self, recording: &Recording<'_>, endpoint: &Arc<str>) -> bool {
        // Asked first: nobody counts here any more, and what was counted is seen.
        let is_over = Arc::get_mut(&mut self.counts).is_some();
        let (answered, failed) = self.counts.read();
        let labels = || {
            let version = Label::new("version", Arc::clone(&self.version));
            vec![Label::new("endpoint", Arc::clone(endpoint)), version]
        };
        let more = answered.saturating_sub(self.answered);
        recording.count(families::VERSION_ANSWERED, labels(), more);
        recording.count(families::VERSION_FAILED, labels(), failed.saturating_sub(self.failed));
        (self.answered, self.failed) = (answered, failed);
        !is_over
    }

    fn info(&self, endpoint: &Arc<str>) -> Vec<Label> {
        let label = |name, value: &Arc<str>| Label::new(name, Arc::clone(value));
        vec![
            label("endpoint", endpoint),
            label("model", &self.model),
            label("version", &self.version),
        ]
    }
}
