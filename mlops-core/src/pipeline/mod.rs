//! Work in typed steps: a graph, and what executes it.

#[cfg(feature = "pipeline")]
mod cache;
#[cfg(feature = "pipeline")]
mod execution;
mod graph;
#[cfg(feature = "pipeline")]
mod local;
#[cfg(feature = "pipeline")]
mod manifest;
mod step;

pub use crate::stored::Stored;
#[cfg(feature = "pipeline")]
pub use cache::StoredValue;
pub use graph::{Graph, GraphBuilder};
#[cfg(feature = "pipeline")]
pub use local::{LocalPipeline, LocalPipelineConfig};
#[cfg(feature = "pipeline")]
pub use manifest::{ExecutedStep, ExecutionManifest, GitState, SourceState};
pub use step::{BoxFuture, Edge, Ports, Step, StepContext, StepSpec};

use crate::{Result, RunId, event::BoxStream, setters::setters};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// A graph bound to something that executes it.
///
/// The suite is `conformance::pipeline`: each bullet below is one check.
#[async_trait]
pub trait Pipeline: Debug + Send + Sync {
    /// What it executes.
    fn graph(&self) -> &Graph;

    /// Begins, or resumes, an execution. Durable when it returns.
    ///
    /// # Behavior
    /// - the same key gives the same run
    /// - a step whose code, settings and inputs are unchanged is not executed again
    async fn execute(&self, options: ExecuteOptions) -> Result<RunId>;

    /// Where an execution stands, then each change; ends with its outcome.
    ///
    /// # Behavior
    /// - an unknown run is `NotFound`
    /// - the last item is `Ended`
    /// - a step that fails ends the execution as failed and is named
    fn follow(&self, id: &RunId) -> BoxStream<'static, Result<ExecutionEvent>>;

    /// Answers a gate that an execution waits at.
    ///
    /// # Behavior
    /// - an unknown run, and a gate that it does not wait at, is `NotFound`
    async fn answer(&self, id: &RunId, gate: &str, answer: Answer) -> Result<()>;

    /// Gives an execution up; steps that run are told to stop.
    ///
    /// # Behavior
    /// - the execution ends as killed; an unknown one is `NotFound`
    /// - one that has ended stays as it is
    async fn cancel(&self, id: &RunId) -> Result<()>;
}

#[async_trait]
impl<P: Pipeline + ?Sized> Pipeline for Arc<P> {
    fn graph(&self) -> &Graph {
        (**self).graph()
    }
    async fn execute(&self, options: ExecuteOptions) -> Result<RunId> {
        (**self).execute(options).await
    }
    fn follow(&self, id: &RunId) -> BoxStream<'static, Result<ExecutionEvent>> {
        (**self).follow(id)
    }
    async fn answer(&self, id: &RunId, gate: &str, answer: Answer) -> Result<()> {
        (**self).answer(id, gate, answer).await
    }
    async fn cancel(&self, id: &RunId) -> Result<()> {
        (**self).cancel(id).await
    }
}

/// How one execution differs from another.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ExecuteOptions {
    /// The same key gives the same run; a new run each time if `None`.
    pub key: Option<Arc<str>>,
    /// The root of all randomness.
    pub seed: u64,
    /// Tags of the run.
    pub tags: BTreeMap<String, String>,
}

impl ExecuteOptions {
    /// A new run with seed 0.
    pub fn new() -> Self {
        Self::default()
    }
}

setters!(ExecuteOptions {
    /// The same key gives the same run.
    with_key => key: Arc<str>,
    /// Sets the root of all randomness.
    with_seed => seed: u64,
    /// Sets the tags of the run.
    with_tags => tags: BTreeMap<String, String>,
});

/// A change of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExecutionEvent {
    /// A step began.
    Started {
        /// The step.
        step: Arc<str>,
    },
    /// A step's outputs are there.
    Succeeded {
        /// The step.
        step: Arc<str>,
        /// Whether they were there already.
        cached: bool,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: Arc<str>,
        /// The error's text.
        reason: Arc<str>,
    },
    /// The execution waits for a person.
    Waiting {
        /// The gate.
        gate: Arc<str>,
    },
    /// The execution ended; nothing comes after this.
    Ended {
        /// How.
        status: crate::tracker::RunStatus,
    },
}

/// What a person says at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// Go on.
    Approve,
    /// End here.
    Reject,
}
