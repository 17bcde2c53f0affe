//! With a record that keeps the tracker's promises, not only with a double that counts.

use super::wait;
use mlops_core::{
    Clock, Pipeline, Tracker,
    artifact::ArtifactPath,
    page::Search,
    pipeline::{
        ExecuteOptions, ExecutionEvent, GraphBuilder, LocalPipeline, LocalPipelineConfig, Step,
        StepContext,
    },
    testing::{ManualClock, MemoryStore, SequentialIds},
    tracker::{FAILURE_TAG, MetricQuery, RunOptions, RunStatus, TrackerExt},
};
use std::{sync::Arc, time::Duration};

fn store() -> (Arc<ManualClock>, Arc<dyn Tracker>) {
    let clock = Arc::new(ManualClock::default());
    let ids = Arc::new(SequentialIds::default());
    let store = MemoryStore::with_clock_and_ids(Arc::clone(&clock) as Arc<dyn Clock>, ids);
    (clock, Arc::new(store))
}

#[test]
fn a_run_is_found_with_its_latest_metrics() {
    let (clock, tracker) = store();
    let options = || RunOptions::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let run = wait(tracker.start_run("it's income", options().with_name("mlp"))).unwrap();
    for step in 0..3000 {
        wait(run.log_metric("loss", 1.0 / f64::from(step + 1), step)).unwrap();
    }
    wait(run.log_params([("hidden", 64.into())])).unwrap();
    let id = run.id();
    wait(run.finish()).unwrap();
    let query = MetricQuery::new(id, "loss");
    assert_eq!(wait(tracker.metric_history(query)).unwrap().items.len(), 3000);
    let search = Search::new().with_filter("metrics.loss < 0.001 AND params.hidden = '64'");
    let found = wait(tracker.runs(search)).unwrap().items;
    assert_eq!((found[0].id, found[0].status), (id, RunStatus::Finished));

    drop(wait(tracker.start_run("it's income", options())).unwrap());
    let search = Search::new().with_filter("status = 'FAILED'");
    let found = wait(tracker.runs(search)).unwrap().items;
    assert!(found.len() == 1 && found[0].tags[FAILURE_TAG].contains("dropped"));
}

/// A process that is killed renews no lease.
#[test]
fn a_run_whose_process_is_gone_fails_by_its_lease() {
    let (clock, tracker) = store();
    let options = RunOptions::new().with_lease(Duration::from_mins(1));
    let run = wait(tracker.start_run("e", options)).unwrap();
    let id = run.id();
    std::mem::forget(run);
    clock.advance(Duration::from_mins(2));
    let found = wait(tracker.runs(Search::new())).unwrap().items;
    assert_eq!((found[0].id, found[0].status), (id, RunStatus::Failed));
}

#[derive(Debug)]
struct Answer;
impl Step for Answer {
    type Input = ();
    type Output = i64;
    fn version(&self) -> &'static str {
        "1"
    }
    async fn execute(&self, _: &StepContext, (): ()) -> mlops_core::Result<i64> {
        Ok(42)
    }
}

#[test]
fn an_execution_is_a_run_of_the_record() {
    let (folder, (_, tracker)) = (tempfile::tempdir().unwrap(), store());
    let mut graph = GraphBuilder::new("answers");
    graph.step("what's the answer?", Answer, ());
    let config = LocalPipelineConfig::new().with_source(folder.path());
    let graph = graph.build().unwrap();
    let pipeline = LocalPipeline::open(graph, folder.path(), Arc::clone(&tracker), config).unwrap();
    for _ in 0..2 {
        let id = wait(pipeline.execute(ExecuteOptions::new())).unwrap();
        let events = wait(pipeline.wait(&id)).unwrap();
        assert_eq!(events.last(), Some(&ExecutionEvent::Ended { status: RunStatus::Finished }));
    }
    let filter = "tags.mlops.pipeline = 'answers'";
    let runs = wait(tracker.runs(Search::new().with_filter(filter))).unwrap().items;
    assert_eq!(runs.len(), 2);
    let files = wait(tracker.artifacts(&runs[0].id, &ArtifactPath::default())).unwrap().items;
    assert_eq!(files[0].path.as_str(), "manifest.json");
}
