//! The nouns of tracking.

use crate::{ExperimentId, RunId, Timestamp, artifact::ArtifactPath, setters::setters};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Keys and values in the order of the keys.
pub type Tags = BTreeMap<String, String>;

/// Whether a thing is there, or deleted and restorable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lifecycle {
    /// There.
    #[default]
    Active,
    /// Deleted; can be restored until the garbage is collected.
    Deleted,
}

/// Runs that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Experiment {
    /// Its number.
    pub id: ExperimentId,
    /// Its name; unique, also among deleted ones.
    pub name: Arc<str>,
    /// Whether it is deleted.
    pub lifecycle: Lifecycle,
    /// When it was created.
    pub created: Timestamp,
    /// When its name or lifecycle last changed; tags and runs do not count.
    pub updated: Timestamp,
    /// Keys and values.
    pub tags: Tags,
    /// Where clients keep the artifacts of its runs; with the record if `None`.
    #[serde(default)]
    pub artifact_location: Option<Arc<str>>,
}

impl Experiment {
    /// A live experiment, just created.
    pub fn new(id: ExperimentId, name: impl Into<Arc<str>>, created: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            lifecycle: Lifecycle::Active,
            created,
            updated: created,
            tags: Tags::new(),
            artifact_location: None,
        }
    }
}

/// What a new experiment is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateExperiment {
    /// Its name.
    pub name: Arc<str>,
    /// Keys and values.
    pub tags: Tags,
    /// Where clients keep the artifacts of its runs; with the record if `None`.
    pub artifact_location: Option<Arc<str>>,
}

impl CreateExperiment {
    /// An experiment of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), tags: Tags::new(), artifact_location: None }
    }
}

setters!(CreateExperiment {
    /// Sets its tags.
    with_tags => tags: Tags,
    /// Says where clients keep the artifacts of its runs.
    with_artifact_location => artifact_location: Option<Arc<str>>,
});

/// What changes in an experiment; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExperimentChange {
    /// A new name.
    pub name: Option<Arc<str>>,
    /// Deletes or restores it.
    pub lifecycle: Option<Lifecycle>,
    /// Tags to set; `None` removes one.
    pub tags: BTreeMap<String, Option<String>>,
}

setters!(ExperimentChange {
    /// Renames it.
    with_name => name: Arc<str>,
    /// Deletes or restores it.
    with_lifecycle => lifecycle: Lifecycle,
});

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum RunStatus {
    /// Its process works on it.
    #[default]
    Running,
    /// Waits for its turn.
    Scheduled,
    /// Ended as it should.
    Finished,
    /// Ended in an error, or its process is gone.
    Failed,
    /// Ended by somebody.
    Killed,
}

impl RunStatus {
    /// Whether nothing more will come of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

/// One tracked execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Run {
    /// Its identity.
    pub id: RunId,
    /// The experiment that it belongs to.
    pub experiment: ExperimentId,
    /// A name for people; need not be unique.
    pub name: Arc<str>,
    /// How it stands.
    pub status: RunStatus,
    /// Whether it is deleted.
    pub lifecycle: Lifecycle,
    /// Who started it.
    pub actor: Arc<str>,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Settings; each is written once.
    pub params: BTreeMap<String, String>,
    /// Keys and values that may change.
    pub tags: Tags,
    /// The latest point of each metric.
    pub metrics: BTreeMap<String, MetricPoint>,
    /// The data that it read.
    pub inputs: Vec<DatasetInput>,
}

impl Run {
    /// A run that just started.
    pub fn new(
        id: RunId,
        experiment: ExperimentId,
        name: impl Into<Arc<str>>,
        started: Timestamp,
    ) -> Self {
        Self {
            id,
            experiment,
            name: name.into(),
            status: RunStatus::Running,
            lifecycle: Lifecycle::Active,
            actor: Arc::from("host"),
            started,
            ended: None,
            params: BTreeMap::new(),
            tags: Tags::new(),
            metrics: BTreeMap::new(),
            inputs: Vec::new(),
        }
    }
}

/// What a new run is made of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreateRun {
    /// The experiment that it belongs to.
    pub experiment: ExperimentId,
    /// A name for people; one is made up if empty.
    pub name: Option<Arc<str>>,
    /// When it started; now if `None`.
    pub started: Option<Timestamp>,
    /// Keys and values.
    pub tags: Tags,
    /// The run that this one is a part of.
    pub parent: Option<RunId>,
    /// The same key again gives the same run.
    pub idempotency_key: Option<Arc<str>>,
}

impl CreateRun {
    /// A run of this experiment.
    pub fn new(experiment: ExperimentId) -> Self {
        let tags = Tags::new();
        Self { experiment, name: None, started: None, tags, parent: None, idempotency_key: None }
    }
}

setters!(CreateRun {
    /// Names it for people.
    with_name => name: Arc<str>,
    /// Says when it started.
    with_started => started: Timestamp,
    /// Sets its tags.
    with_tags => tags: Tags,
    /// Makes it a part of another run.
    with_parent => parent: RunId,
    /// The same key again gives the same run.
    with_idempotency_key => idempotency_key: Arc<str>,
});

/// What changes in a run; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunChange {
    /// A new name.
    pub name: Option<Arc<str>>,
    /// Ends it, mostly.
    pub status: Option<RunStatus>,
    /// Lets an ended run take another status: somebody goes on with it, or corrects how it ended.
    pub reopen: bool,
    /// When it ended; now if it ends and this is `None`.
    pub ended: Option<Timestamp>,
    /// Deletes or restores it.
    pub lifecycle: Option<Lifecycle>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
}

setters!(RunChange {
    /// Renames it.
    with_name => name: Arc<str>,
    /// Ends it, mostly.
    with_status => status: RunStatus,
    /// Lets an ended run take another status.
    with_reopen => reopen: bool,
    /// Says when it ended.
    with_ended => ended: Timestamp,
    /// Deletes or restores it.
    with_lifecycle => lifecycle: Lifecycle,
    /// Removes tags.
    with_remove_tags => remove_tags: Vec<String>,
});

/// One value of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    /// The value; may be NaN or infinite.
    pub value: f64,
    /// The step of training that it belongs to.
    pub step: i64,
    /// When it was measured.
    pub time: Timestamp,
}

impl MetricPoint {
    /// The order that decides which point is the latest: step, then time, then value.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |point: &Self| (point.step, point.time);
        key(self).cmp(&key(other)).then(self.value.total_cmp(&other.value))
    }

    /// Equality of all bits, under which NaN equals itself.
    pub fn same(&self, other: &Self) -> bool {
        self.order(other).is_eq()
    }
}

/// One value of one metric, on its way into a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The metric.
    pub name: Arc<str>,
    /// The value.
    pub point: MetricPoint,
}

impl Metric {
    /// A value of this metric.
    pub fn new(name: impl Into<Arc<str>>, value: f64, step: i64, time: Timestamp) -> Self {
        Self { name: name.into(), point: MetricPoint { value, step, time } }
    }
}

/// Data that a run read: what it is, never the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatasetInput {
    /// A name for people.
    pub name: Arc<str>,
    /// What names its content: a [`Digest`](crate::Digest) if it comes from here, else whatever the
    /// client computed.
    pub digest: Arc<str>,
    /// What it was used for: `training`, `validation` …
    pub context: Arc<str>,
    /// How many rows it has.
    pub rows: Option<u64>,
    /// Where it lies.
    pub source: Option<Arc<str>>,
    /// What kind of place that is: `local`, `s3`, `code` …
    #[serde(default)]
    pub source_type: Option<Arc<str>>,
    /// Its columns, as JSON in the client's form.
    #[serde(default)]
    pub schema: Option<Arc<str>>,
    /// Figures about it, as JSON in the client's form.
    #[serde(default)]
    pub profile: Option<Arc<str>>,
    /// Keys and values of this use of it.
    #[serde(default)]
    pub tags: Tags,
}

impl DatasetInput {
    /// Data of this content.
    pub fn new(
        name: impl Into<Arc<str>>,
        digest: impl Into<Arc<str>>,
        context: impl Into<Arc<str>>,
    ) -> Self {
        let (name, digest, context) = (name.into(), digest.into(), context.into());
        Self {
            name,
            digest,
            context,
            rows: None,
            source: None,
            source_type: None,
            schema: None,
            profile: None,
            tags: Tags::new(),
        }
    }
}

setters!(DatasetInput {
    /// Says how many rows it has.
    with_rows => rows: u64,
    /// Says where it lies.
    with_source => source: Arc<str>,
    /// Says what kind of place that is.
    with_source_type => source_type: Arc<str>,
    /// Describes its columns.
    with_schema => schema: Arc<str>,
    /// Gives figures about it.
    with_profile => profile: Arc<str>,
    /// Sets keys and values of this use of it.
    with_tags => tags: Tags,
});

/// What is written into a run at once.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// Values of metrics.
    pub metrics: Vec<Metric>,
    /// Settings.
    pub params: Vec<(String, String)>,
    /// Tags to set.
    pub tags: Vec<(String, String)>,
    /// Data that the run read.
    pub inputs: Vec<DatasetInput>,
}

setters!(Batch {
    /// Sets the metrics.
    with_metrics => metrics: Vec<Metric>,
    /// Sets the parameters.
    with_params => params: Vec<(String, String)>,
    /// Sets the tags.
    with_tags => tags: Vec<(String, String)>,
    /// Sets the inputs.
    with_inputs => inputs: Vec<DatasetInput>,
});

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
            && self.params.is_empty()
            && self.tags.is_empty()
            && self.inputs.is_empty()
    }
}

/// Which points of which metric.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricQuery {
    /// The run.
    pub run: RunId,
    /// The metric.
    pub metric: Arc<str>,
    /// The most points in a page; 25,000 if `None`.
    pub max_results: Option<usize>,
    /// The `next` of the page before.
    pub page: Option<String>,
}

impl MetricQuery {
    /// All points, in pages of the default size.
    pub fn new(run: RunId, metric: impl Into<Arc<str>>) -> Self {
        Self { run, metric: metric.into(), max_results: None, page: None }
    }
}

setters!(MetricQuery {
    /// At most so many in a page.
    with_max_results => max_results: usize,
    /// The page that begins where another ended.
    with_page => page: Option<String>,
});

/// A file or folder of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtifactEntry {
    /// Its path below the run.
    pub path: ArtifactPath,
    /// Bytes of a file; `None` for a folder.
    pub size: Option<u64>,
}

impl ArtifactEntry {
    /// A file of so many bytes, or a folder.
    pub fn new(path: ArtifactPath, size: Option<u64>) -> Self {
        Self { path, size }
    }
}
