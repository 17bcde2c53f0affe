//! Each saboteur breaks one promise of a pipeline and fails its own check.

use super::{Book, LocalPipeline, open};
use async_trait::async_trait;
use mlops_core::{
    Pipeline, Result, RunId,
    conformance::pipeline::{self as suite, Subject},
    pipeline::{Answer, ExecuteOptions, ExecutionEvent, Graph},
    tracker::RunStatus,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

type Events = Pin<Box<dyn futures_core::Stream<Item = Result<ExecutionEvent>> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sabotage {
    ForgetsKeys,
    ForgetsValues,
    ForgivesUnknownRuns,
    NeverSaysTheEnd,
    FinishesWhatFailed,
    ForgivesUnknownGates,
    FinishesWhatWasKilled,
    KillsTheDead,
}

#[derive(Debug)]
struct Saboteur {
    inner: LocalPipeline,
    breaks: Sabotage,
    calls: AtomicU64,
}

#[async_trait]
impl Pipeline for Saboteur {
    fn graph(&self) -> &Graph {
        self.inner.graph()
    }
    async fn execute(&self, mut options: ExecuteOptions) -> Result<RunId> {
        let call = self.calls.fetch_add(1, SeqCst);
        match self.breaks {
            Sabotage::ForgetsKeys => options.key = None,
            Sabotage::ForgetsValues => options.seed = call,
            _ => {}
        }
        self.inner.execute(options).await
    }
    fn follow(&self, id: &RunId) -> Events {
        let killed = self.breaks == Sabotage::KillsTheDead && self.calls.load(SeqCst) > 100;
        let breaks = self.breaks;
        Box::pin(Changed { inner: self.inner.follow(id), breaks, killed })
    }
    async fn answer(&self, id: &RunId, gate: &str, answer: Answer) -> Result<()> {
        let answered = self.inner.answer(id, gate, answer).await;
        if self.breaks == Sabotage::ForgivesUnknownGates { Ok(()) } else { answered }
    }
    async fn cancel(&self, id: &RunId) -> Result<()> {
        self.calls.fetch_add(1000, SeqCst);
        self.inner.cancel(id).await
    }
}

struct Changed {
    inner: Events,
    breaks: Sabotage,
    killed: bool,
}

impl futures_core::Stream for Changed {
    type Item = Result<ExecutionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let finished = ExecutionEvent::Ended { status: RunStatus::Finished };
        self.inner.as_mut().poll_next(context).map(|event| match (event, self.breaks) {
            (Some(Err(_)), Sabotage::ForgivesUnknownRuns) => Some(Ok(finished)),
            (Some(Ok(ExecutionEvent::Ended { status })), breaks) => match breaks {
                Sabotage::NeverSaysTheEnd => None,
                Sabotage::FinishesWhatFailed | Sabotage::FinishesWhatWasKilled => {
                    Some(Ok(finished))
                }
                _ if self.killed => Some(Ok(ExecutionEvent::Ended { status: RunStatus::Killed })),
                _ => Some(Ok(ExecutionEvent::Ended { status })),
            },
            (event, _) => event,
        })
    }
}

/// Whether a check panics on a pipeline that breaks this promise.
fn fails<F: Future<Output = ()>>(check: impl Fn(Subject) -> F, breaks: Sabotage) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let make = move |graph| {
        let inner = open(graph, &path, &Arc::new(Book::default()));
        Saboteur { inner, breaks, calls: AtomicU64::new(0) }
    };
    let subject = Subject::new(make).keeping(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(check(subject)))).is_err()
}

#[test]
fn each_fails_its_own_check() {
    use Sabotage as S;
    assert!(fails(suite::a_key_gives_one_run, S::ForgetsKeys));
    assert!(fails(suite::unchanged_steps_are_not_executed_again, S::ForgetsValues));
    assert!(fails(suite::an_unknown_run_is_not_found, S::ForgivesUnknownRuns));
    assert!(fails(suite::the_last_item_is_the_end, S::NeverSaysTheEnd));
    assert!(fails(suite::a_failed_step_is_named, S::FinishesWhatFailed));
    assert!(fails(suite::an_unknown_gate_is_not_found, S::ForgivesUnknownGates));
    assert!(fails(suite::a_cancelled_execution_ends_as_killed, S::FinishesWhatWasKilled));
    assert!(fails(suite::an_ended_execution_stays_ended, S::KillsTheDead));
}

#[test]
fn a_saboteur_of_one_promise_keeps_the_others() {
    assert!(!fails(suite::the_last_item_is_the_end, Sabotage::ForgetsKeys));
    assert!(!fails(suite::a_key_gives_one_run, Sabotage::FinishesWhatFailed));
    assert!(!fails(suite::a_failed_step_is_named, Sabotage::ForgetsValues));
}

/// A check without a saboteur might not be able to fail.
#[test]
fn no_check_is_without_a_saboteur() {
    assert_eq!(suite::CHECKS.len(), 8, "add a saboteur for the new check");
}
