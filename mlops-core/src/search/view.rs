//! How the nouns of tracking and registry answer to a key.

use super::{Attribute, DatasetField, Key, Searchable, Value};
use crate::{
    registry::{ModelVersion, RegisteredModel},
    tracker::{Experiment, Run, RunStatus, Tags},
};

impl Searchable for Run {
    fn values(&self, key: &Key) -> Vec<Value<'_>> {
        match key {
            Key::Metric(name) => {
                let point = self.metrics.get(name.as_ref());
                point.map(|point| Value::Number(point.value)).into_iter().collect()
            }
            Key::Param(name) => tag(&self.params, name),
            Key::Tag(name) => tag(&self.tags, name),
            Key::Dataset(field) => {
                let values = self.inputs.iter().map(|input| match field {
                    DatasetField::Name => Value::text(input.name.as_ref()),
                    DatasetField::Digest => Value::text(input.digest.as_ref()),
                    DatasetField::Context => Value::text(input.context.as_ref()),
                });
                values.collect()
            }
            Key::Attribute(attribute) => run_attribute(self, *attribute).into_iter().collect(),
            Key::Metadata(_) => Vec::new(),
        }
    }
}

fn run_attribute(run: &Run, attribute: Attribute) -> Option<Value<'_>> {
    match attribute {
        Attribute::RunId => Some(Value::text(run.id.to_string())),
        Attribute::RunName => Some(Value::text(run.name.as_ref())),
        Attribute::UserId => Some(Value::text(run.actor.as_ref())),
        Attribute::Status => Some(Value::text(status(run.status))),
        Attribute::StartTime => Some(Value::Time(run.started)),
        Attribute::EndTime => run.ended.map(Value::Time),
        _ => None,
    }
}

/// The word of MLflow, which is also the serde form.
fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "RUNNING",
        RunStatus::Scheduled => "SCHEDULED",
        RunStatus::Finished => "FINISHED",
        RunStatus::Failed => "FAILED",
        RunStatus::Killed => "KILLED",
    }
}

impl Searchable for Experiment {
    fn values(&self, key: &Key) -> Vec<Value<'_>> {
        match key {
            Key::Tag(name) => tag(&self.tags, name),
            Key::Attribute(Attribute::ExperimentId) => vec![Value::text(self.id.as_str())],
            Key::Attribute(Attribute::Name) => vec![Value::text(self.name.as_ref())],
            Key::Attribute(Attribute::Created) => vec![Value::Time(self.created)],
            Key::Attribute(Attribute::Updated) => vec![Value::Time(self.updated)],
            _ => Vec::new(),
        }
    }
}

impl Searchable for RegisteredModel {
    fn values(&self, key: &Key) -> Vec<Value<'_>> {
        match key {
            Key::Tag(name) => tag(&self.tags, name),
            Key::Attribute(Attribute::Name) => vec![Value::text(self.name.as_str())],
            Key::Attribute(Attribute::Created) => vec![Value::Time(self.created)],
            Key::Attribute(Attribute::Updated) => vec![Value::Time(self.updated)],
            _ => Vec::new(),
        }
    }
}

impl Searchable for ModelVersion {
    fn values(&self, key: &Key) -> Vec<Value<'_>> {
        match key {
            Key::Tag(name) => tag(&self.tags, name),
            Key::Attribute(Attribute::Name) => vec![Value::text(self.id.model.as_str())],
            Key::Attribute(Attribute::VersionNumber) => vec![count(self.id.version)],
            Key::Attribute(Attribute::RunId) => {
                vec![Value::text(self.run.map(|run| run.to_string()).unwrap_or_default())]
            }
            Key::Attribute(Attribute::SourcePath) => {
                self.source.as_deref().map(Value::text).into_iter().collect()
            }
            Key::Attribute(Attribute::Created) => vec![Value::Time(self.created)],
            Key::Attribute(Attribute::Updated) => vec![Value::Time(self.updated)],
            _ => Vec::new(),
        }
    }
}

fn tag<'a>(tags: &'a Tags, name: &str) -> Vec<Value<'a>> {
    tags.get(name).map(|value| Value::text(value.as_str())).into_iter().collect()
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 versions")]
fn count(number: u64) -> Value<'static> {
    Value::Number(number as f64)
}
