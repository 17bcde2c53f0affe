//! What every [`Pipeline`] promises, a check a promise.

use super::check;
use crate::{
    Error, ErrorKind, Pipeline, Result, RunId,
    pipeline::{Answer, ExecuteOptions, ExecutionEvent, Graph, GraphBuilder, Step, StepContext},
    tracker::RunStatus,
};
use std::{
    any::Any,
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

type Make = dyn Fn(Graph) -> Arc<dyn Pipeline> + Send;

/// A backend to check: it binds the suite's own graphs.
pub struct Subject {
    make: Box<Make>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject")
    }
}

impl Subject {
    /// A backend that binds a graph; in which nothing was executed yet. Called once a check.
    pub fn new<P: Pipeline + 'static>(make: impl Fn(Graph) -> P + Send + 'static) -> Self {
        Self { make: Box::new(move |graph| Arc::new(make(graph))), kept: Vec::new() }
    }

    /// Keeps something, such as a folder, for as long as the subject is there.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    /// `start` gives a number, `end` takes it and does what it is told to.
    fn pipeline(&self, end: End) -> (Arc<dyn Pipeline>, Arc<AtomicUsize>) {
        let executed = Arc::new(AtomicUsize::new(0));
        let mut graph = GraphBuilder::new("conformance");
        let number = graph.step("start", Start(Arc::clone(&executed)), ());
        let number = graph.step("end", end, number);
        graph.step("after", After, number);
        ((self.make)(graph.build().expect("the suite's graph")), executed)
    }
}

/// Counts how often it is executed in this process.
#[derive(Debug)]
struct Start(Arc<AtomicUsize>);

impl Step for Start {
    type Input = ();
    type Output = i64;
    fn version(&self) -> &'static str {
        "1"
    }
    async fn execute(&self, _: &StepContext, (): ()) -> Result<i64> {
        self.0.fetch_add(1, SeqCst);
        Ok(20)
    }
}

/// What the second step does.
#[derive(Clone, Copy, Debug)]
enum End {
    Succeeds,
    Fails,
    Waits,
}

impl Step for End {
    type Input = i64;
    type Output = i64;
    fn version(&self) -> &'static str {
        "1"
    }
    fn params(&self) -> serde_json::Value {
        format!("{self:?}").into()
    }
    async fn execute(&self, _: &StepContext, number: i64) -> Result<i64> {
        match self {
            Self::Succeeds => Ok(number + 1),
            Self::Fails => Err(Error::invalid("broken on purpose")),
            Self::Waits => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
struct After;

impl Step for After {
    type Input = i64;
    type Output = ();
    fn version(&self) -> &'static str {
        "1"
    }
    async fn execute(&self, _: &StepContext, number: i64) -> Result<()> {
        if number == 21 { Ok(()) } else { Err(Error::internal("the number got lost")) }
    }
}

const NOBODY: RunId = RunId::from_u128(0xdead);

async fn execute(pipeline: &dyn Pipeline, options: ExecuteOptions) -> RunId {
    pipeline.execute(options).await.expect("an execution begins")
}

/// All events, from the beginning to the end of the stream.
async fn followed(pipeline: &dyn Pipeline, id: &RunId) -> Vec<ExecutionEvent> {
    let (mut events, mut stream) = (Vec::new(), pipeline.follow(id));
    while let Some(event) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        events.push(event.expect("an event of a known run"));
    }
    events
}

fn succeeded(events: &[ExecutionEvent]) -> Vec<(&str, bool)> {
    let each = events.iter().filter_map(|event| match event {
        ExecutionEvent::Succeeded { step, cached } => Some((step.as_ref(), *cached)),
        _ => None,
    });
    each.collect()
}

fn ended(status: RunStatus) -> ExecutionEvent {
    ExecutionEvent::Ended { status }
}

fn keyed(key: &str) -> ExecuteOptions {
    ExecuteOptions::new().with_key(Arc::from(key))
}

check! {
    "the same key gives the same run";
    async fn a_key_gives_one_run(subject: Subject) {
        let (pipeline, executed) = subject.pipeline(End::Succeeds);
        let first = execute(&pipeline, keyed("a")).await;
        assert_eq!(execute(&pipeline, keyed("a")).await, first, "while it runs");
        followed(&pipeline, &first).await;
        assert_eq!(execute(&pipeline, keyed("a")).await, first, "after it ended");
        assert!(executed.load(SeqCst) <= 1, "executed again");
        assert_ne!(execute(&pipeline, keyed("b")).await, first, "another key");
        let (one, other) = (ExecuteOptions::new(), ExecuteOptions::new());
        assert_ne!(execute(&pipeline, one).await, execute(&pipeline, other).await, "no key");
    }
}

check! {
    "a step whose code, settings and inputs are unchanged is not executed again";
    async fn unchanged_steps_are_not_executed_again(subject: Subject) {
        let (pipeline, executed) = subject.pipeline(End::Succeeds);
        let first = execute(&pipeline, ExecuteOptions::new()).await;
        let events = followed(&pipeline, &first).await;
        assert_eq!(succeeded(&events), [("start", false), ("end", false), ("after", false)]);
        let before = executed.load(SeqCst);
        let second = execute(&pipeline, ExecuteOptions::new()).await;
        let events = followed(&pipeline, &second).await;
        assert_eq!(succeeded(&events), [("start", true), ("end", true), ("after", true)]);
        assert_eq!(executed.load(SeqCst), before, "a step was executed again");
    }
}

check! {
    "an unknown run is `NotFound`";
    async fn an_unknown_run_is_not_found(subject: Subject) {
        let (pipeline, _) = subject.pipeline(End::Succeeds);
        let mut stream = pipeline.follow(&NOBODY);
        let first = poll_fn(|context| stream.as_mut().poll_next(context)).await;
        let error = first.expect("an item").expect_err("no events of nobody");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let kind = |done: Result<()>| done.expect_err("nobody").kind();
        assert_eq!(kind(pipeline.cancel(&NOBODY).await), ErrorKind::NotFound);
        assert_eq!(kind(pipeline.answer(&NOBODY, "gate", Answer::Approve).await), ErrorKind::NotFound);
    }
}

check! {
    "the last item is `Ended`";
    async fn the_last_item_is_the_end(subject: Subject) {
        let (pipeline, _) = subject.pipeline(End::Succeeds);
        let id = execute(&pipeline, ExecuteOptions::new()).await;
        let events = followed(&pipeline, &id).await;
        assert_eq!(events.last(), Some(&ended(RunStatus::Finished)));
        let ends = |event: &&ExecutionEvent| matches!(event, ExecutionEvent::Ended { .. });
        assert_eq!(events.iter().filter(ends).count(), 1);
        assert_eq!(followed(&pipeline, &id).await, events, "who comes late sees the same");
    }
}

check! {
    "a step that fails ends the execution as failed and is named";
    async fn a_failed_step_is_named(subject: Subject) {
        let (pipeline, _) = subject.pipeline(End::Fails);
        let id = execute(&pipeline, ExecuteOptions::new()).await;
        let events = followed(&pipeline, &id).await;
        assert_eq!(events.last(), Some(&ended(RunStatus::Failed)));
        let reason = events.iter().find_map(|event| match event {
            ExecutionEvent::Failed { step, reason } if step.as_ref() == "end" => Some(reason),
            _ => None,
        });
        let reason = reason.expect("the step is named");
        assert!(reason.contains("broken on purpose"), "{reason}");
        assert_eq!(succeeded(&events), [("start", false)], "nothing comes after it");
    }
}

check! {
    "a gate that nobody waits at is `NotFound`";
    async fn an_unknown_gate_is_not_found(subject: Subject) {
        let (pipeline, _) = subject.pipeline(End::Succeeds);
        let id = execute(&pipeline, ExecuteOptions::new()).await;
        let answered = pipeline.answer(&id, "no such gate", Answer::Approve).await;
        let error = answered.expect_err("no such gate");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no such gate"), "{error}");
    }
}

check! {
    "an execution that is given up ends as killed";
    async fn a_cancelled_execution_ends_as_killed(subject: Subject) {
        let (pipeline, _) = subject.pipeline(End::Waits);
        let id = execute(&pipeline, ExecuteOptions::new()).await;
        let mut stream = pipeline.follow(&id);
        let (mut last, mut cancelled) = (None, false);
        while let Some(event) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
            let event = event.expect("an event");
            if matches!(&event, ExecutionEvent::Started { step } if step.as_ref() == "end") {
                pipeline.cancel(&id).await.expect("it runs");
                cancelled = true;
            }
            last = Some(event);
        }
        assert!(cancelled, "the step never began");
        assert_eq!(last, Some(ended(RunStatus::Killed)));
    }
}

check! {
    "an execution that has ended stays as it is when it is given up";
    async fn an_ended_execution_stays_ended(subject: Subject) {
        let (pipeline, _) = subject.pipeline(End::Succeeds);
        let id = execute(&pipeline, ExecuteOptions::new()).await;
        let events = followed(&pipeline, &id).await;
        pipeline.cancel(&id).await.expect("no error");
        assert_eq!(followed(&pipeline, &id).await, events);
    }
}

super::suite! {
    /// One named test a promise of [`Pipeline`](crate::Pipeline), on a backend that an expression
    /// makes: `pipeline_conformance!(local, make());` where `make` gives a
    /// [`Subject`](crate::conformance::pipeline::Subject).
    pipeline_conformance, pipeline: [
        a_key_gives_one_run, unchanged_steps_are_not_executed_again, an_unknown_run_is_not_found,
        the_last_item_is_the_end, a_failed_step_is_named, an_unknown_gate_is_not_found,
        a_cancelled_execution_ends_as_killed, an_ended_execution_stays_ended,
    ]
}
