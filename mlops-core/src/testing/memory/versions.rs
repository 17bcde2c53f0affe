//! Versions of models.

use super::{State, Tx, experiments::set, log::About, models};
use crate::{
    Error, Result, VersionId,
    event::EventKind,
    model::ModelPackage,
    registry::{CreateVersion, ModelUri, ModelVersion, VersionChange, Which},
};
use serde_json::json;

/// The version that an idempotency key has made already.
pub(super) fn of_key(state: &State, new: &CreateVersion) -> Option<ModelVersion> {
    let held = state.models.get(&new.model)?;
    held.version(*held.keys.get(new.idempotency_key.as_ref()?)?)
}

/// Adds a version whose bytes are stored.
pub(super) fn create(tx: &mut Tx<'_>, new: CreateVersion, package: &ModelPackage) -> ModelVersion {
    if let Some(there) = of_key(tx.state, &new) {
        return there;
    }
    let number = tx.state.numbers.get(&new.model).copied().unwrap_or_default() + 1;
    let id = VersionId::new(new.model.clone(), number);
    let mut version = ModelVersion::new(id.clone(), package.manifest().clone(), tx.now);
    version.signature = package.signature().cloned();
    (version.run, version.dataset) = (new.run, new.dataset);
    // Beside what the registrar measured, the latest of its run: later points change nothing.
    let run = new.run.and_then(|run| tx.state.runs.get(&run));
    let latest = run.into_iter().flat_map(|held| &held.run.metrics);
    version.metrics = latest.map(|(metric, point)| (metric.clone(), point.value)).collect();
    version.metrics.extend(new.metrics);
    version.tags = new.tags;
    let detail = json!({
        "version": id.version, "digest": version.digest(), "run": new.run, "dataset": new.dataset,
    });
    let event = tx.event(EventKind::VERSION_CREATED, models::subject(&id.model));
    tx.state.numbers.insert(new.model, number);
    let now = tx.now;
    let held = models::add(tx, &id.model);
    held.model.updated = now;
    held.versions.insert(id.version, version.clone());
    held.keys.extend(new.idempotency_key.map(|key| (key, id.version)));
    let about = held.about(&id);
    tx.state.log.append(event.with_detail(detail), about);
    version
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    id: &VersionId,
    change: VersionChange,
) -> Result<ModelVersion> {
    get(tx.state, id)?;
    let now = tx.now;
    let held = models::get_mut(tx.state, &id.model)?;
    if let Some(version) = held.versions.get_mut(&id.version) {
        set(&mut version.tags, change.tags);
        if let Some(description) = change.description {
            (version.description, version.updated) = (Some(description), now);
        }
    }
    get(tx.state, id)
}

pub(super) fn delete(tx: &mut Tx<'_>, id: &VersionId) -> Result<()> {
    let version = get(tx.state, id)?;
    if let Some(alias) = version.aliases.first() {
        let text = format!("version {id} is what alias {:?} points at", alias.as_str());
        return Err(Error::conflict(text));
    }
    let detail = json!({ "version": id.version, "digest": version.digest() });
    let kind = EventKind::of("version.deleted");
    let event = tx.event(kind, models::subject(&id.model)).with_detail(detail);
    let now = tx.now;
    let held = models::get_mut(tx.state, &id.model)?;
    held.versions.remove(&id.version);
    held.keys.retain(|_, version| *version != id.version);
    held.model.updated = now;
    let about = held.about(id);
    tx.state.log.append(event, about);
    Ok(())
}

pub(super) fn get(state: &State, id: &VersionId) -> Result<ModelVersion> {
    let unknown = || Error::not_found(format!("version {id} does not exist"));
    models::get(state, &id.model)?.version(id.version).ok_or_else(unknown)
}

pub(super) fn resolve(state: &State, uri: &ModelUri) -> Result<ModelVersion> {
    let held = models::get(state, &uri.model)?;
    let model = uri.model.as_str();
    let number = match &uri.which {
        Which::Version(number) => *number,
        Which::Alias(alias) => *held.model.aliases.get(alias).ok_or_else(|| {
            Error::not_found(format!("model {model:?} has no alias {:?}", alias.as_str()))
        })?,
        Which::Latest => *held
            .versions
            .keys()
            .last()
            .ok_or_else(|| Error::not_found(format!("model {model:?} has no versions")))?,
    };
    get(state, &VersionId::new(uri.model.clone(), number))
}

impl models::Held {
    /// A version with its aliases.
    pub(super) fn version(&self, number: u64) -> Option<ModelVersion> {
        let mut version = self.versions.get(&number)?.clone();
        let aliases = self.model.aliases.iter().filter(|(_, to)| **to == number);
        version.aliases = aliases.map(|(alias, _)| alias.clone()).collect();
        Some(version)
    }

    fn about(&self, id: &VersionId) -> About {
        About { model: Some(self.number), alias: None, versions: vec![id.version] }
    }
}
