//! What can be searched for in each list, and by which words.

use super::scanner::shortened;
use std::sync::Arc;

/// A list that can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum List {
    /// Runs.
    Runs,
    /// Experiments.
    Experiments,
    /// Registered models.
    Models,
    /// Versions of models.
    Versions,
    /// Models that runs made, which need not be registered.
    LoggedModels,
    /// Traces of single calls.
    Traces,
}

/// What a condition looks at, or what a list is ordered by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key {
    /// A fact that every item of the list has.
    Attribute(Attribute),
    /// The latest value of a metric of a run: a number.
    Metric(Arc<str>),
    /// A parameter of a run: a text.
    Param(Arc<str>),
    /// A tag: a text.
    Tag(Arc<str>),
    /// A fact of the data that a run read; it may have read several.
    Dataset(DatasetField),
    /// What a client notes of a trace: a text.
    Metadata(Arc<str>),
}

/// A fact that every item of a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// `run_id`: of a run, or of the run that made a version; 32 digits. Empty for a version that no
    /// run made, as MLflow has it.
    RunId,
    /// `run_name`.
    RunName,
    /// `user_id`: who started the run.
    UserId,
    /// `status`: `RUNNING`, `FINISHED` …
    Status,
    /// `artifact_uri`: where a server says that the artifacts of a run or a logged model lie.
    ArtifactUri,
    /// `start_time`, a number.
    StartTime,
    /// `end_time`, a number.
    EndTime,
    /// `experiment_id`: a text, but ordered as the number that it is.
    ExperimentId,
    /// `name` of an experiment or a model.
    Name,
    /// `creation_time`, a number; `creation_timestamp` in the registry.
    Created,
    /// `last_update_time`, a number; `last_updated_timestamp` in the registry.
    Updated,
    /// `version_number`, a number.
    VersionNumber,
    /// `source_path`: where a server says that a version's bytes lie.
    SourcePath,
    /// `model_id` of a logged model.
    ModelId,
    /// `model_type` of a logged model, as who logged it says.
    ModelType,
    /// `source_run_id`: the run that logged a model.
    SourceRunId,
    /// `request_id` of a trace.
    TraceId,
    /// `client_request_id`: what a client calls the request of a trace.
    ClientRequestId,
    /// `execution_time_ms` of a trace, a number.
    Duration,
}

/// A fact of the data that a run read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatasetField {
    /// Its name.
    Name,
    /// Its digest, as it prints.
    Digest,
    /// What it was used for.
    Context,
}

impl Attribute {
    /// The word that names it in every list that has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunId => "run_id",
            Self::RunName => "run_name",
            Self::UserId => "user_id",
            Self::Status => "status",
            Self::ArtifactUri => "artifact_uri",
            Self::StartTime => "start_time",
            Self::EndTime => "end_time",
            Self::ExperimentId => "experiment_id",
            Self::Name => "name",
            Self::Created => "creation_time",
            Self::Updated => "last_update_time",
            Self::VersionNumber => "version_number",
            Self::SourcePath => "source_path",
            Self::ModelId => "model_id",
            Self::ModelType => "model_type",
            Self::SourceRunId => "source_run_id",
            Self::TraceId => "request_id",
            Self::ClientRequestId => "client_request_id",
            Self::Duration => "execution_time_ms",
        }
    }

    fn is_number(self) -> bool {
        let times = matches!(self, Self::StartTime | Self::EndTime | Self::Created | Self::Updated);
        times || matches!(self, Self::VersionNumber | Self::Duration)
    }
}

impl DatasetField {
    /// The word that names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Digest => "digest",
            Self::Context => "context",
        }
    }
}

impl Key {
    /// Whether its values are numbers; else they are texts.
    pub fn is_number(&self) -> bool {
        match self {
            Self::Metric(_) => true,
            Self::Attribute(attribute) => attribute.is_number(),
            Self::Param(_) | Self::Tag(_) | Self::Dataset(_) | Self::Metadata(_) => false,
        }
    }

    /// Whether `IS NULL` may be asked: of what a thing need not have.
    pub(super) fn may_be_null(&self, list: List) -> bool {
        let optional = matches!(self, Self::Param(_) | Self::Tag(_) | Self::Metadata(_));
        optional && list != List::LoggedModels
    }

    /// Whether `LIKE` may be asked: not of an experiment's identity, which MLflow keeps as a number.
    pub(super) fn may_be_like(&self, list: List) -> bool {
        *self != Self::Attribute(Attribute::ExperimentId) || list != List::Experiments
    }

    /// Whether a number may stand in quotes: that of a version, which its JSON shows as a text.
    pub(super) fn may_be_quoted(&self) -> bool {
        *self == Self::Attribute(Attribute::VersionNumber)
    }

    /// Whether `IN` may be asked.
    pub(super) fn may_be_listed(&self, list: List) -> bool {
        use Attribute as A;
        match self {
            _ if list == List::LoggedModels => true,
            Self::Attribute(_) if list == List::Traces => true,
            Self::Attribute(A::RunId | A::ExperimentId) | Self::Dataset(_) => true,
            Self::Attribute(A::Name) => list != List::Experiments,
            _ => false,
        }
    }
}

/// The tag that is also a run's name, for MLflow's clients.
const RUN_NAME_TAG: &str = "mlflow.runName";

impl Key {
    /// The key that a list keeps it under: a run's name is a tag only by name.
    pub(super) fn kept(self, list: List) -> Self {
        match &self {
            Self::Tag(name) if list == List::Runs && **name == *RUN_NAME_TAG => {
                Self::Attribute(Attribute::RunName)
            }
            _ => self,
        }
    }
}

type Words = &'static [(&'static str, Attribute)];

const RUNS: Words = &[
    ("run_id", Attribute::RunId),
    ("run_name", Attribute::RunName),
    ("run name", Attribute::RunName),
    ("Run name", Attribute::RunName),
    ("Run Name", Attribute::RunName),
    ("user_id", Attribute::UserId),
    ("status", Attribute::Status),
    ("artifact_uri", Attribute::ArtifactUri),
    ("start_time", Attribute::StartTime),
    ("created", Attribute::StartTime),
    ("Created", Attribute::StartTime),
    ("end_time", Attribute::EndTime),
];
const EXPERIMENTS: Words = &[
    ("name", Attribute::Name),
    ("experiment_id", Attribute::ExperimentId),
    ("creation_time", Attribute::Created),
    ("last_update_time", Attribute::Updated),
];
const MODELS: Words = &[
    ("name", Attribute::Name),
    ("creation_time", Attribute::Created),
    ("creation_timestamp", Attribute::Created),
    ("last_update_time", Attribute::Updated),
    ("last_updated_timestamp", Attribute::Updated),
    ("timestamp", Attribute::Updated),
];
const VERSIONS: Words = &[
    ("name", Attribute::Name),
    ("version_number", Attribute::VersionNumber),
    ("run_id", Attribute::RunId),
    ("source_path", Attribute::SourcePath),
    ("creation_time", Attribute::Created),
    ("creation_timestamp", Attribute::Created),
    ("last_update_time", Attribute::Updated),
    ("last_updated_timestamp", Attribute::Updated),
];

const LOGGED_MODELS: Words = &[
    ("name", Attribute::Name),
    ("model_id", Attribute::ModelId),
    ("model_type", Attribute::ModelType),
    ("status", Attribute::Status),
    ("source_run_id", Attribute::SourceRunId),
    ("artifact_uri", Attribute::ArtifactUri),
    ("artifact_location", Attribute::ArtifactUri),
    ("experiment_id", Attribute::ExperimentId),
    ("creation_time", Attribute::Created),
    ("creation_timestamp", Attribute::Created),
    ("creation_timestamp_ms", Attribute::Created),
    ("last_update_time", Attribute::Updated),
    ("last_updated_timestamp", Attribute::Updated),
    ("last_updated_timestamp_ms", Attribute::Updated),
];
const TRACES: Words = &[
    ("request_id", Attribute::TraceId),
    ("trace_id", Attribute::TraceId),
    ("client_request_id", Attribute::ClientRequestId),
    ("name", Attribute::Name),
    ("status", Attribute::Status),
    ("state", Attribute::Status),
    ("run_id", Attribute::RunId),
    ("experiment_id", Attribute::ExperimentId),
    ("start_time", Attribute::StartTime),
    ("timestamp", Attribute::StartTime),
    ("timestamp_ms", Attribute::StartTime),
    ("end_time", Attribute::EndTime),
    ("end_time_ms", Attribute::EndTime),
    ("execution_time_ms", Attribute::Duration),
    ("execution_time", Attribute::Duration),
];

impl List {
    fn words(self) -> Words {
        match self {
            Self::Runs => RUNS,
            Self::Experiments => EXPERIMENTS,
            Self::Models => MODELS,
            Self::Versions => VERSIONS,
            Self::LoggedModels => LOGGED_MODELS,
            Self::Traces => TRACES,
        }
    }

    /// What one item is called, for messages.
    fn item(self) -> &'static str {
        match self {
            Self::Runs => "a run",
            Self::Experiments => "an experiment",
            Self::Models => "a model",
            Self::Versions => "a version",
            Self::LoggedModels => "a logged model",
            Self::Traces => "a trace",
        }
    }

    /// The words before the dot of an attribute and of a tag: MLflow has others for each list.
    fn families(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Runs => (&["attribute", "attributes", "attr", "run"], &["tag", "tags"]),
            Self::LoggedModels => (&["attributes"], &["tags"]),
            Self::Traces => {
                (&["attribute", "attributes", "attr", "run", "trace"], &["tag", "tags"])
            }
            Self::Experiments | Self::Models | Self::Versions => (&["attribute"], &["tag", "tags"]),
        }
    }

    /// The key of a family and a name; the text says what is wrong.
    pub(super) fn key(self, family: Option<&str>, name: &str) -> Result<Key, String> {
        if name.is_empty() {
            return Err("the key is empty".to_owned());
        }
        let (attributes, tags) = self.families();
        match family {
            None => self.attribute(name),
            Some(own) if attributes.contains(&own) => self.attribute(name),
            Some(own) if tags.contains(&own) => Ok(Key::Tag(name.into())),
            Some("metadata" | "request_metadata") if self == Self::Traces => {
                Ok(Key::Metadata(name.into()))
            }
            Some(other) => self.logged(other, name),
        }
    }

    /// What is logged, which only runs and, by fewer words, logged models have.
    fn logged(self, family: &str, name: &str) -> Result<Key, String> {
        let (key, what) = match family {
            "metrics" => (Key::Metric(name.into()), "metrics"),
            "params" => (Key::Param(name.into()), "parameters"),
            "metric" if self != Self::LoggedModels => (Key::Metric(name.into()), "metrics"),
            "param" | "parameter" | "parameters" if self != Self::LoggedModels => {
                (Key::Param(name.into()), "parameters")
            }
            "dataset" | "datasets" if self != Self::LoggedModels => {
                (Key::Dataset(dataset(name)?), "datasets")
            }
            other => return Err(format!("{:?} is none of {}", shortened(other), self.known())),
        };
        match self {
            Self::Runs | Self::LoggedModels => Ok(key),
            _ => Err(format!("{} has no {what}", self.item())),
        }
    }

    /// The families, for messages.
    fn known(self) -> &'static str {
        match self {
            Self::Runs => "metrics, params, tags, attributes and datasets",
            Self::LoggedModels => "attributes, metrics, params and tags",
            Self::Traces => "attributes, tags and metadata",
            Self::Experiments | Self::Models | Self::Versions => "attribute and tags",
        }
    }

    fn attribute(self, name: &str) -> Result<Key, String> {
        let found = self.words().iter().find(|(word, _)| *word == name);
        found.map(|(_, attribute)| Key::Attribute(*attribute)).ok_or_else(|| {
            let mut names: Vec<&str> =
                self.words().iter().map(|(_, attribute)| attribute.as_str()).collect();
            names.dedup();
            let (item, name) = (self.item(), shortened(name));
            format!("{item} has no attribute {name:?}; it has {}", names.join(", "))
        })
    }
}

fn dataset(name: &str) -> Result<DatasetField, String> {
    let all = [DatasetField::Name, DatasetField::Digest, DatasetField::Context];
    all.into_iter().find(|field| field.as_str() == name).ok_or_else(|| {
        format!("a dataset has no {:?}; it has name, digest, context", shortened(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a key prints is a word of its list: a filter must read as it was printed.
    #[test]
    fn every_list_knows_the_words_it_prints() {
        let lists = [List::Runs, List::Experiments, List::Models];
        for list in lists.into_iter().chain([List::Versions, List::LoggedModels, List::Traces]) {
            for (_, attribute) in list.words() {
                assert_eq!(list.attribute(attribute.as_str()), Ok(Key::Attribute(*attribute)));
            }
        }
    }
}
