//! What every [`Tracker`] promises, a check a promise.

mod artifacts;
mod batch;
mod experiments;
mod runs;
mod search;

pub use artifacts::{
    an_artifact_is_read_back, an_artifact_is_written_again, artifacts_are_listed,
    damage_is_found_on_reading,
};
pub use batch::{
    a_batch_again_changes_nothing, a_batch_is_all_or_nothing, a_batch_needs_a_live_run,
    a_parameter_keeps_its_first_value, a_tag_keeps_its_last_value, history_is_in_order,
    numbers_that_are_none_are_kept,
};
pub use experiments::{
    a_changed_experiment_is_given_back, a_deleted_experiment_is_hidden,
    experiment_names_are_taken_once, experiments_come_newest_first,
    the_default_experiment_is_there,
};
pub use runs::{
    a_changed_run_is_given_back, a_lease_runs_out, a_run_is_created_once_a_key,
    a_run_needs_a_live_experiment, an_ended_run_stays_ended,
};
pub use search::{
    a_bad_filter_says_where, a_filter_sees_the_latest_metric, filters_find_what_they_ask_for,
    paging_visits_every_run_once, runs_are_ordered_by_any_key, runs_come_last_started_first,
};

use super::check;
use crate::{
    ErrorKind, ExperimentId, Result, RunId, Timestamp, Tracker,
    artifact::{ArtifactPath, ArtifactRef},
    page::{Search, View},
    testing::{ManualClock, collected, stream_of},
    tracker::{
        Batch, CreateExperiment, CreateRun, Experiment, Metric, MetricPoint, MetricQuery, Run,
    },
};
use std::{any::Any, fmt, sync::Arc, time::Duration};

type Damage = dyn Fn(&RunId, &ArtifactPath, &ArtifactRef) + Send + Sync;

/// A fresh tracker to check, in which nothing was recorded yet.
pub struct Subject {
    tracker: Box<dyn Tracker>,
    clock: Option<Arc<ManualClock>>,
    damage: Option<Box<Damage>>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", self.tracker)
    }
}

impl Subject {
    /// A tracker in which nothing was recorded yet, on the system's clock.
    pub fn new(tracker: impl Tracker + 'static) -> Self {
        Self { tracker: Box::new(tracker), clock: None, damage: None, kept: Vec::new() }
    }

    /// The clock that the tracker was given; without it, checks of leases wait for real.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<ManualClock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Changes stored bytes of an artifact of a run behind the tracker's back.
    #[must_use]
    pub fn with_damage(
        mut self,
        damage: impl Fn(&RunId, &ArtifactPath, &ArtifactRef) + Send + Sync + 'static,
    ) -> Self {
        self.damage = Some(Box::new(damage));
        self
    }

    /// Keeps something, such as a folder, for as long as the subject is there.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    /// Lets so many tenths of a lease pass.
    async fn pass(&self, tenths: u32) {
        match &self.clock {
            Some(clock) => clock.advance(self.tenth() * tenths),
            None => tokio::time::sleep(self.tenth() * tenths).await,
        }
    }

    fn tenth(&self) -> Duration {
        Duration::from_millis(if self.clock.is_some() { 1_000 } else { 100 })
    }

    async fn experiment(&self, name: &str) -> Experiment {
        let new = CreateExperiment::new(name);
        self.tracker.create_experiment(new).await.expect("an experiment is created")
    }

    async fn run(&self) -> RunId {
        let new = CreateRun::new(default_experiment());
        self.tracker.create_run(new).await.expect("a run is created").id
    }

    /// A run as it is now, dead or alive.
    async fn read(&self, id: &RunId) -> Run {
        let filter = Search::new().with_filter(format!("run_id = '{id}'")).with_view(View::All);
        let mut found = self.tracker.runs(filter).await.expect("runs are searched").items;
        assert_eq!(found.len(), 1, "one run has the id {id}");
        found.remove(0)
    }

    async fn found(&self, search: Search) -> Vec<RunId> {
        let page = self.tracker.runs(search).await.expect("a valid search");
        page.items.iter().map(|run| run.id).collect()
    }

    async fn log(&self, id: &RunId, batch: Batch) {
        self.tracker.log_batch(id, batch).await.expect("a valid batch is logged");
    }

    async fn history(&self, id: &RunId, metric: &str) -> Vec<MetricPoint> {
        let page = self.tracker.metric_history(MetricQuery::new(*id, metric)).await;
        page.expect("a history").items
    }

    async fn write(&self, id: &RunId, path: &str, bytes: &'static str) -> ArtifactRef {
        let body = stream_of(bytes.as_bytes());
        self.tracker.write_artifact(id, &at(path), body).await.expect("an artifact is written")
    }

    async fn bytes(&self, id: &RunId, path: &str) -> Result<Vec<u8>> {
        collected(self.tracker.read_artifact(id, &at(path)).await?).await
    }
}

fn default_experiment() -> ExperimentId {
    ExperimentId::new("0").expect("a decimal number")
}

fn at(path: &str) -> ArtifactPath {
    ArtifactPath::new(path).expect("a valid path")
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_500_000_000_000 + millis)
}

fn metric(name: &str, value: f64, step: i64, millis: i64) -> Metric {
    Metric::new(name, value, step, time(millis))
}

fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn kind<T: fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("a refusal").kind()
}

const NOBODY: RunId = RunId::from_u128(404);

super::suite! {
    /// One named test a promise of [`Tracker`](crate::Tracker), on a backend that an expression
    /// makes, which may await: a [`Subject`](crate::conformance::tracker::Subject).
    tracker_conformance, tracker: [
        the_default_experiment_is_there, experiment_names_are_taken_once, a_changed_experiment_is_given_back,
        a_deleted_experiment_is_hidden, experiments_come_newest_first, a_run_needs_a_live_experiment,
        a_run_is_created_once_a_key, a_changed_run_is_given_back, an_ended_run_stays_ended,
        runs_come_last_started_first, filters_find_what_they_ask_for, a_filter_sees_the_latest_metric,
        runs_are_ordered_by_any_key, paging_visits_every_run_once, a_bad_filter_says_where, a_lease_runs_out,
        a_batch_is_all_or_nothing, a_batch_again_changes_nothing, a_parameter_keeps_its_first_value,
        a_tag_keeps_its_last_value, numbers_that_are_none_are_kept, a_batch_needs_a_live_run,
        history_is_in_order, an_artifact_is_read_back, an_artifact_is_written_again,
        damage_is_found_on_reading, artifacts_are_listed,
    ]
}
