//! Trackers that break one promise each.

use super::saboteurs;
use async_trait::async_trait;
use mlops_core::{
    Error, ErrorKind, ExperimentId, Result, RunId, Tracker,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    conformance::tracker::{self as suite, Subject},
    page::{Page, Search, View},
    testing::{ManualClock, MemoryStore, SequentialIds, collected, stream_of},
    tracker::{
        ArtifactEntry, Batch, CreateExperiment, CreateRun, Experiment, ExperimentChange, Metric,
        MetricPoint, MetricQuery, Run, RunChange,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

saboteurs!(suite, subject: {
    the_default_experiment_is_there: HidesTheDefault,
    experiment_names_are_taken_once: GivesNamesTwice,
    a_changed_experiment_is_given_back: GivesNoTagsBack,
    a_deleted_experiment_is_hidden: ShowsTheDeleted,
    experiments_come_newest_first: ReversesExperiments,
    a_run_needs_a_live_experiment: RunsAnywhere,
    a_run_is_created_once_a_key: ForgetsKeys,
    a_changed_run_is_given_back: GivesTheOldRunBack,
    an_ended_run_stays_ended: ForgivesAnotherEnd,
    a_lease_runs_out: ForgetsLeases,
    runs_come_last_started_first: ReversesRuns,
    filters_find_what_they_ask_for: FindsFinishedOnly,
    a_filter_sees_the_latest_metric: ForgetsSteps,
    runs_are_ordered_by_any_key: ForgetsTheOrder,
    paging_visits_every_run_once: ForgetsThePage,
    a_bad_filter_says_where: SaysNotWhere,
    a_batch_is_all_or_nothing: WritesInParts,
    a_batch_again_changes_nothing: AddsAgain,
    a_parameter_keeps_its_first_value: ForgivesAnotherValue,
    a_tag_keeps_its_last_value: KeepsTheFirstTag,
    numbers_that_are_none_are_kept: ZeroForNaN,
    a_batch_needs_a_live_run: ForgivesUnknownRuns,
    history_is_in_order: ReversesHistory,
    an_artifact_is_read_back: GivesAnotherDigest,
    an_artifact_is_written_again: KeepsTheFirstBytes,
    damage_is_found_on_reading: ForgivesDamage,
    artifacts_are_listed: ReversesArtifacts,
});

/// Breaks one promise of the store that it holds.
#[derive(Debug)]
struct Saboteur {
    inner: MemoryStore,
    breaks: Breaks,
    calls: AtomicI64,
}

fn subject(breaks: Breaks) -> Subject {
    let clock = Arc::new(ManualClock::default());
    let inner = MemoryStore::with_clock_and_ids(clock.clone(), Arc::new(SequentialIds::default()));
    let bytes = inner.clone();
    Subject::new(Saboteur { inner, breaks, calls: AtomicI64::new(0) })
        .with_clock(clock)
        .with_damage(move |_, _, artifact| bytes.bytes().damage(artifact))
}

impl Saboteur {
    fn forgiving<T>(
        &self,
        result: Result<T>,
        breaks: Breaks,
        kind: ErrorKind,
        instead: T,
    ) -> Result<T> {
        match result {
            Err(error) if self.breaks == breaks && error.kind() == kind => Ok(instead),
            result => result,
        }
    }

    fn metric(&self, metric: &mut Metric, call: i64) {
        let point = &mut metric.point;
        match self.breaks {
            Breaks::ForgetsSteps => point.step = 0,
            Breaks::AddsAgain => point.step += 100 * call,
            Breaks::ZeroForNaN if point.value.is_nan() => point.value = 0.0,
            _ => {}
        }
    }
}

fn first_experiment() -> ExperimentId {
    ExperimentId::new("0").unwrap()
}

#[async_trait]
impl Tracker for Saboteur {
    async fn create_experiment(&self, mut new: CreateExperiment) -> Result<Experiment> {
        let made = self.inner.create_experiment(new.clone()).await;
        if self.breaks == Breaks::GivesNamesTwice && made.is_err() {
            new.name = format!("{} again", new.name).into();
            return self.inner.create_experiment(new).await;
        }
        made
    }

    async fn update_experiment(
        &self,
        id: &ExperimentId,
        change: ExperimentChange,
    ) -> Result<Experiment> {
        let mut changed = self.inner.update_experiment(id, change).await?;
        if self.breaks == Breaks::GivesNoTagsBack {
            changed.tags.clear();
        }
        Ok(changed)
    }

    async fn experiments(&self, mut search: Search) -> Result<Page<Experiment>> {
        if self.breaks == Breaks::ShowsTheDeleted {
            search.view = View::All;
        }
        let mut page = self.inner.experiments(search).await?;
        match self.breaks {
            Breaks::HidesTheDefault => page.items.retain(|own| own.name.as_ref() != "Default"),
            Breaks::ReversesExperiments => page.items.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn create_run(&self, mut new: CreateRun) -> Result<Run> {
        if self.breaks == Breaks::ForgetsKeys {
            new.idempotency_key = None;
        }
        let made = self.inner.create_run(new.clone()).await;
        if self.breaks == Breaks::RunsAnywhere && made.is_err() {
            new.experiment = first_experiment();
            return self.inner.create_run(new).await;
        }
        made
    }

    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run> {
        let found = self.inner.runs(Search::new().with_filter(format!("run_id = '{id}'"))).await?;
        let changed = self.inner.update_run(id, change).await;
        let Some(before) = found.items.into_iter().next() else { return changed };
        if self.breaks == Breaks::GivesTheOldRunBack {
            return changed.map(|_| before);
        }
        self.forgiving(changed, Breaks::ForgivesAnotherEnd, ErrorKind::Conflict, before)
    }

    async fn runs(&self, mut search: Search) -> Result<Page<Run>> {
        match self.breaks {
            Breaks::FindsFinishedOnly if !search.filter.starts_with("run_id") => {
                search = search.with_filter("status = 'FINISHED'");
            }
            Breaks::ForgetsTheOrder => search.order_by.clear(),
            Breaks::ForgetsThePage => search.page = None,
            _ => {}
        }
        let mut page = self.inner.runs(search).await.map_err(|error| match self.breaks {
            Breaks::SaysNotWhere => Error::new(error.kind(), "a bad filter"),
            _ => error,
        })?;
        if self.breaks == Breaks::ReversesRuns {
            page.items.reverse();
        }
        Ok(page)
    }

    async fn renew_lease(&self, id: &RunId, lasts: Duration) -> Result<()> {
        if self.breaks == Breaks::ForgetsLeases {
            return Ok(());
        }
        self.inner.renew_lease(id, lasts).await
    }

    async fn log_batch(&self, id: &RunId, mut batch: Batch) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        batch.metrics.iter_mut().for_each(|metric| self.metric(metric, call));
        match self.breaks {
            Breaks::KeepsTheFirstTag => batch.tags.reverse(),
            Breaks::WritesInParts => {
                let params = std::mem::take(&mut batch.params);
                self.inner.log_batch(id, batch).await?;
                return self.inner.log_batch(id, Batch::new().with_params(params)).await;
            }
            _ => {}
        }
        let logged = self.inner.log_batch(id, batch).await;
        let logged = self.forgiving(logged, Breaks::ForgivesUnknownRuns, ErrorKind::NotFound, ());
        self.forgiving(logged, Breaks::ForgivesAnotherValue, ErrorKind::Conflict, ())
    }

    async fn metric_history(&self, query: MetricQuery) -> Result<Page<MetricPoint>> {
        let mut page = self.inner.metric_history(query).await?;
        if self.breaks == Breaks::ReversesHistory {
            page.items.reverse();
        }
        Ok(page)
    }

    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        body: ByteStream,
    ) -> Result<ArtifactRef> {
        let bytes = collected(body).await?;
        let there = self.inner.read_artifact(id, path).await.is_ok();
        if self.breaks == Breaks::KeepsTheFirstBytes && there {
            return Ok(ArtifactRef::of(bytes));
        }
        let mut written = self.inner.write_artifact(id, path, stream_of(bytes)).await?;
        if self.breaks == Breaks::GivesAnotherDigest {
            written.size += 1;
        }
        Ok(written)
    }

    async fn read_artifact(&self, id: &RunId, path: &ArtifactPath) -> Result<ByteStream> {
        let read = self.inner.read_artifact(id, path).await?;
        if self.breaks != Breaks::ForgivesDamage {
            return Ok(read);
        }
        let instead = b"whatever is there".to_vec();
        let read = self.forgiving(collected(read).await, self.breaks, ErrorKind::Corrupt, instead);
        Ok(stream_of(read?))
    }

    async fn artifacts(&self, id: &RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
        let mut page = self.inner.artifacts(id, under).await?;
        if self.breaks == Breaks::ReversesArtifacts {
            page.items.reverse();
        }
        Ok(page)
    }
}

#[test]
fn a_saboteur_of_one_promise_keeps_the_others() {
    use Breaks as B;
    let keeps = |check: fn(Subject) -> _, breaks| !super::fails(check_of(check, breaks));
    assert!(keeps(|s| Box::pin(suite::a_tag_keeps_its_last_value(s)), B::WritesInParts));
    assert!(keeps(|s| Box::pin(suite::a_batch_is_all_or_nothing(s)), B::KeepsTheFirstTag));
    assert!(keeps(|s| Box::pin(suite::a_batch_again_changes_nothing(s)), B::WritesInParts));
    assert!(keeps(|s| Box::pin(suite::an_artifact_is_read_back(s)), B::ForgivesDamage));
    assert!(keeps(|s| Box::pin(suite::history_is_in_order(s)), B::ReversesRuns));
}

type Check = std::pin::Pin<Box<dyn Future<Output = ()>>>;

async fn check_of(check: fn(Subject) -> Check, breaks: Breaks) {
    check(subject(breaks)).await;
}
