//! The nouns of the registry.

use super::ModelUri;
use crate::{
    Alias, Digest, EventId, ModelName, Result, RunId, Timestamp, VersionId,
    artifact::Manifest,
    event::{Cursor, EventKind},
    setters::setters,
    signature::ModelSignature,
    tracker::Tags,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

/// A name under which versions are registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegisteredModel {
    /// Its name.
    pub name: ModelName,
    /// For people.
    pub description: Option<Arc<str>>,
    /// Keys and values.
    pub tags: Tags,
    /// Where each alias points.
    pub aliases: BTreeMap<Alias, u64>,
    /// When it was created.
    pub created: Timestamp,
    /// When its name or description, or one of its versions, last changed.
    pub updated: Timestamp,
}

impl RegisteredModel {
    /// A model without versions.
    pub fn new(name: ModelName, created: Timestamp) -> Self {
        let (tags, aliases) = (Tags::new(), BTreeMap::new());
        Self { name, description: None, tags, aliases, created, updated: created }
    }
}

/// What a new model is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateModel {
    /// Its name.
    pub name: ModelName,
    /// For people.
    pub description: Option<Arc<str>>,
    /// Keys and values.
    pub tags: Tags,
}

impl CreateModel {
    /// A model of this name.
    pub fn new(name: ModelName) -> Self {
        Self { name, description: None, tags: Tags::new() }
    }
}

setters!(CreateModel {
    /// Describes it for people.
    with_description => description: Arc<str>,
    /// Sets its tags.
    with_tags => tags: Tags,
});

/// What changes in a model; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelChange {
    /// A new name.
    pub name: Option<ModelName>,
    /// A new description.
    pub description: Option<Arc<str>>,
    /// Tags to set; `None` removes one.
    pub tags: BTreeMap<String, Option<String>>,
}

setters!(ModelChange {
    /// Renames it.
    with_name => name: ModelName,
    /// Describes it.
    with_description => description: Arc<str>,
    /// Sets and removes tags.
    with_tags => tags: BTreeMap<String, Option<String>>,
});

/// An immutable version of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelVersion {
    /// Model and number.
    pub id: VersionId,
    /// Every file with its digest.
    pub manifest: Manifest,
    /// What it takes and gives.
    pub signature: Option<ModelSignature>,
    /// The run that made it.
    pub run: Option<RunId>,
    /// The data that it was trained on.
    pub dataset: Option<Digest>,
    /// What it measured when it was made: what gates look at. What the registrar did not say is the
    /// latest that its run had measured by then; what the run measures later is nothing to it.
    pub metrics: BTreeMap<String, f64>,
    /// Keys and values that may change.
    pub tags: Tags,
    /// When it was registered.
    pub created: Timestamp,
    /// When its description, stage or model's name last changed.
    #[serde(default)]
    pub updated: Timestamp,
    /// Where aliases point here.
    pub aliases: Vec<Alias>,
    /// For people.
    #[serde(default)]
    pub description: Option<Arc<str>>,
    /// Where the bytes came from, as who registered it put it: `runs:/…`, `models:/m-…`, `s3://…`. Bytes
    /// that lie outside of the record are not in the manifest.
    #[serde(default)]
    pub source: Option<Arc<str>>,
}

impl ModelVersion {
    /// A version with nothing but its files.
    pub fn new(id: VersionId, manifest: Manifest, created: Timestamp) -> Self {
        Self {
            id,
            manifest,
            signature: None,
            run: None,
            dataset: None,
            metrics: BTreeMap::new(),
            tags: Tags::new(),
            created,
            updated: created,
            aliases: Vec::new(),
            description: None,
            source: None,
        }
    }

    /// Names its content.
    pub fn digest(&self) -> Digest {
        self.manifest.digest()
    }
}

/// What a new version is made of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreateVersion {
    /// The model; created if it is not there.
    pub model: ModelName,
    /// The folder of an `MLmodel` package; its bytes are stored before the version exists.
    pub package: PathBuf,
    /// The run that made it.
    pub run: Option<RunId>,
    /// The data that it was trained on.
    pub dataset: Option<Digest>,
    /// What it measured.
    pub metrics: BTreeMap<String, f64>,
    /// Keys and values.
    pub tags: Tags,
    /// The same key again gives the same version.
    pub idempotency_key: Option<Arc<str>>,
}

impl CreateVersion {
    /// A version of this model from the package in a folder.
    pub fn new(model: ModelName, package: impl Into<PathBuf>) -> Self {
        Self {
            model,
            package: package.into(),
            run: None,
            dataset: None,
            metrics: BTreeMap::new(),
            tags: Tags::new(),
            idempotency_key: None,
        }
    }
}

setters!(CreateVersion {
    /// Names the run that made it.
    with_run => run: RunId,
    /// Names the data that it was trained on.
    with_dataset => dataset: Digest,
    /// Says what it measured.
    with_metrics => metrics: BTreeMap<String, f64>,
    /// Sets its tags.
    with_tags => tags: Tags,
    /// The same key again gives the same version.
    with_idempotency_key => idempotency_key: Arc<str>,
});

/// What changes in a version; nothing by default. What it is made of never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionChange {
    /// Tags to set; `None` removes one.
    pub tags: BTreeMap<String, Option<String>>,
    /// A new description.
    pub description: Option<Arc<str>>,
}

setters!(VersionChange {
    /// Sets and removes tags.
    with_tags => tags: BTreeMap<String, Option<String>>,
    /// Describes it.
    with_description => description: Arc<str>,
});

/// A request to point an alias somewhere.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MoveAlias {
    /// The model.
    pub model: ModelName,
    /// The alias.
    pub alias: Alias,
    /// Where it shall point; `None` removes it.
    pub to: Option<u64>,
    /// Where the caller believes that it points now.
    pub from: Expected,
    /// What must hold.
    pub gates: Vec<Arc<dyn Gate>>,
    /// Why.
    pub reason: Arc<str>,
    /// The move of this alias that this one takes back, if it does.
    pub undoes: Option<EventId>,
}

impl PartialEq for dyn Gate {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl MoveAlias {
    /// Points an alias at a version, wherever it points now, without gates.
    pub fn new(model: ModelName, alias: Alias, to: u64, reason: impl Into<Arc<str>>) -> Self {
        let (from, gates) = (Expected::Any, Vec::new());
        Self { model, alias, to: Some(to), from, gates, reason: reason.into(), undoes: None }
    }

    /// Moves only if the alias points there now.
    #[must_use]
    pub fn with_from(mut self, from: Expected) -> Self {
        self.from = from;
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn with_gate(mut self, gate: impl Gate + 'static) -> Self {
        self.gates.push(Arc::new(gate));
        self
    }

    /// Adds conditions.
    #[must_use]
    pub fn with_gates(mut self, gates: impl IntoIterator<Item = Arc<dyn Gate>>) -> Self {
        self.gates.extend(gates);
        self
    }

    /// Removes the alias.
    #[must_use]
    pub fn removing(mut self) -> Self {
        self.to = None;
        self
    }

    /// Says which move of this alias it takes back.
    #[must_use]
    pub fn undoing(mut self, event: EventId) -> Self {
        self.undoes = Some(event);
        self
    }
}

/// Where a caller believes that an alias points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// No opinion.
    #[default]
    Any,
    /// The alias does not exist.
    Absent,
    /// At this version.
    Version(u64),
}

/// A condition of a promotion. `Display` says it in words: `roc_auc at least 0.82`.
///
/// It judges where the caller of [`move_alias`](super::Registry::move_alias) is, not inside of the
/// record, which goes on meanwhile: a gate may take its time and may call the registry. If another moved
/// the alias meanwhile, it is asked again about what is there then.
pub trait Gate: fmt::Debug + fmt::Display + Send + Sync {
    /// Every way in which the candidate misses the condition; none if it meets it.
    ///
    /// `champion` is what the alias points at now.
    fn unmet(
        &self,
        candidate: &ModelVersion,
        champion: Option<&ModelVersion>,
    ) -> Result<Vec<Unmet>>;
}

/// A condition that is not met, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unmet {
    /// The condition.
    pub gate: Arc<str>,
    /// What was found.
    pub found: Arc<str>,
}

impl Unmet {
    /// A condition and what was found.
    pub fn new(gate: impl Into<Arc<str>>, found: impl Into<Arc<str>>) -> Self {
        Self { gate: gate.into(), found: found.into() }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.found)
    }
}

/// What came of a request to move an alias. Being refused is an answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AliasMove {
    /// It points there now. Moving it where it points already is `Moved` too.
    Moved {
        /// Where it pointed.
        from: Option<u64>,
        /// Where it points.
        to: Option<u64>,
    },
    /// It will move once so many more people have approved.
    Waiting {
        /// How many are missing.
        approvals: u32,
    },
    /// It stays where it is.
    Refused {
        /// Every condition that is not met.
        unmet: Vec<Unmet>,
    },
}

/// Which events of a model's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// The model, a version or an alias of it.
    pub of: ModelUri,
    /// Only these kinds; all if empty.
    pub kinds: Vec<EventKind>,
    /// Only events after this one.
    pub after: Option<Cursor>,
    /// The most events in a page; 1,000 if `None`.
    pub max_results: Option<usize>,
}

impl HistoryQuery {
    /// All events, oldest first.
    pub fn new(of: ModelUri) -> Self {
        Self { of, kinds: Vec::new(), after: None, max_results: None }
    }
}

setters!(HistoryQuery {
    /// Only these kinds.
    with_kinds => kinds: Vec<EventKind>,
    /// Only events after this one.
    with_after => after: Option<Cursor>,
    /// At most so many in a page.
    with_max_results => max_results: usize,
});

/// What an event of a model's history refers to, for readers of its detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AliasMoved {
    /// The alias.
    pub alias: Alias,
    /// Where it pointed.
    pub from: Option<u64>,
    /// Where it points.
    pub to: Option<u64>,
    /// The event that it undoes, if it is a rollback.
    #[serde(default)]
    pub undoes: Option<EventId>,
}

impl AliasMoved {
    /// A move that undoes nothing.
    pub fn new(alias: Alias, from: Option<u64>, to: Option<u64>) -> Self {
        Self { alias, from, to, undoes: None }
    }

    /// The same move, if it takes another back.
    #[must_use]
    pub fn with_undoes(mut self, event: Option<EventId>) -> Self {
        self.undoes = event;
        self
    }
}
