//! The tables and columns of what is searched.

use crate::store::tags::{self, TagTable};
use mlops_core::search::{Attribute, DatasetField, List};

pub(super) fn source(list: List) -> &'static str {
    match list {
        List::Experiments => "experiments item",
        List::Models => "models item",
        List::Versions => "versions item join models model on model.id = item.model",
        _ => "runs item",
    }
}

pub(super) fn tag_table(list: List) -> TagTable {
    match list {
        List::Experiments => tags::EXPERIMENT,
        List::Models => tags::MODEL,
        List::Versions => tags::VERSION,
        _ => tags::RUN,
    }
}

/// Where MLflow's clients find the artifacts of a run.
const ARTIFACT_URI: &str = "(select coalesce(rtrim(own.artifact_location, '/'),
    'mlflow-artifacts:/' || cast(own.id as text)) || '/' || item.id || '/artifacts'
    from experiments own where own.id = item.experiment)";

pub(super) fn attribute_column(list: List, attribute: Attribute) -> Option<&'static str> {
    use Attribute as A;
    Some(match (list, attribute) {
        (List::Runs, A::RunId) | (List::Experiments, A::ExperimentId) => "item.id",
        (List::Runs, A::RunName) | (List::Experiments | List::Models, A::Name) => "item.name",
        (List::Runs, A::UserId) => "item.actor",
        (List::Runs, A::ArtifactUri) => ARTIFACT_URI,
        (List::Runs, A::Status) => "item.status",
        (List::Runs, A::StartTime) => "item.started",
        (List::Runs, A::EndTime) => "item.ended",
        (List::Versions, A::Name) => "model.name",
        (List::Versions, A::VersionNumber) => "item.number",
        // A version that no run made has the empty text.
        (List::Versions, A::RunId) => "coalesce(item.run, '')",
        (List::Experiments | List::Models | List::Versions, A::Created) => "item.created",
        (List::Versions, A::SourcePath) => "item.source",
        (List::Experiments | List::Models | List::Versions, A::Updated) => "item.updated",
        _ => return None,
    })
}

pub(super) fn dataset_column(field: DatasetField) -> &'static str {
    match field {
        DatasetField::Digest => "digest",
        DatasetField::Context => "context",
        _ => "name",
    }
}
