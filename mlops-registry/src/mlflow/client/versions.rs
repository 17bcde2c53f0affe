//! Versions of models.

use super::{
    experiments::{pairs, tags, time},
    fetch,
    http::Session,
    models::{self, foreign, number},
    request::Request,
    runs,
    search::{Wanted, equals, next},
};
use crate::{
    artifacts::blocking,
    mlflow::wire::{Pair, described::Described, models as wire, reserved},
};
use mlops_core::{
    Alias, Error, ErrorKind, ModelName, Result, ResultExt, RunId, VersionId,
    artifact::Manifest,
    model::ModelPackage,
    page::{Page, Search},
    registry::{CreateVersion, ModelUri, ModelVersion, RegisteredModel, VersionChange, Which},
    search::List,
};
use reqwest::Method;
use std::{collections::BTreeMap, sync::Arc};

pub(super) async fn create(session: Arc<Session>, new: CreateVersion) -> Result<ModelVersion> {
    unreserved(new.tags.keys())?;
    let plain_key = new.idempotency_key.as_ref().filter(|_| !session.is_ours());
    if let Some(key) = plain_key
        && let Some(version) = of_key(&session, &new.model, key).await?
    {
        return Ok(version);
    }
    let folder = new.package.clone();
    let package = blocking::run(move || ModelPackage::open(folder)).await?;
    // Bytes first: a version never refers to what is not there.
    let model_id = fetch::store(&session, &new.model, new.run, &package).await?;
    models::ensure(&session, &new.model).await?;
    let described = Described {
        manifest: package.manifest().clone(),
        signature: package.signature().cloned(),
        dataset: new.dataset,
        metrics: measured(&session, new.run, new.metrics).await?,
    };
    let mut tags = pairs(&new.tags);
    tags.extend(described.to_tags()?);
    tags.extend(plain_key.map(|key| Pair::new(reserved::KEY, &**key)));
    let body = wire::CreateVersion {
        name: new.model.to_string(),
        source: format!("models:/{model_id}"),
        run_id: new.run.map(|run| run.to_string()),
        tags,
        description: None,
        model_id: Some(model_id),
    };
    let key = new.idempotency_key.as_ref().filter(|_| session.is_ours());
    let request = Request::post("model-versions/create", &body)?.with_key(key);
    let made: wire::OneVersion = session.ask(&request).await?;
    get(&session, &VersionId::new(new.model, number(&made.model_version.version)?)).await
}

/// What the registrar says that it measured, and beside it the latest that its run measured by now.
async fn measured(
    session: &Session,
    run: Option<RunId>,
    given: BTreeMap<String, f64>,
) -> Result<BTreeMap<String, f64>> {
    let Some(run) = run else { return Ok(given) };
    match runs::get(session, run).await {
        Ok(run) => {
            let latest = run.metrics.into_iter().map(|(metric, point)| (metric, point.value));
            Ok(latest.chain(given).collect())
        }
        // Another record may have it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(given),
        Err(error) => Err(error),
    }
}

/// The version that a key has made on a server that knows no keys.
async fn of_key(session: &Session, model: &ModelName, key: &str) -> Result<Option<ModelVersion>> {
    let name = equals("name", model.as_str())?;
    let tag = equals(&format!("tags.`{}`", reserved::KEY), key)?;
    let request = Request::get("model-versions/search")
        .with("filter", format!("{name} AND {tag}"))
        .with("max_results", 1)
        .with("order_by", "version_number ASC");
    let found: wire::Versions = session.ask(&request).await?;
    match found.model_versions.first() {
        Some(found) => get(session, &id(found)?).await.map(Some),
        None => Ok(None),
    }
}

fn unreserved<'a>(keys: impl IntoIterator<Item = &'a String>) -> Result<()> {
    match keys.into_iter().find(|key| reserved::of_version(key)) {
        Some(key) => Err(Error::invalid(format!("tag {key:?} is reserved"))),
        None => Ok(()),
    }
}

pub(super) async fn update(
    session: Arc<Session>,
    id: VersionId,
    change: VersionChange,
) -> Result<ModelVersion> {
    unreserved(change.tags.keys())?;
    let before = wired(&session, &id).await?;
    for (key, value) in change.tags {
        let (name, version) = (id.model.to_string(), id.version.to_string());
        let there = before.tags.iter().any(|tag| tag.key == key);
        let body = wire::VersionTag { name, version, key, value };
        let request = match &body.value {
            Some(_) => Request::post("model-versions/set-tag", &body)?,
            None if there => Request::send(Method::DELETE, "model-versions/delete-tag", &body)?,
            None => continue,
        };
        session.tell(&request.repeatable()).await?;
    }
    if let Some(text) = change.description {
        let (name, version) = (id.model.to_string(), id.version.to_string());
        let body = wire::NamedVersion { name, version, description: Some(text.to_string()) };
        let request = Request::send(Method::PATCH, "model-versions/update", &body)?;
        session.tell(&request.repeatable()).await?;
    }
    get(&session, &id).await
}

pub(super) async fn delete(session: Arc<Session>, id: VersionId) -> Result<()> {
    let version = get(&session, &id).await?;
    if let Some(alias) = version.aliases.first() {
        let text = format!("version {id} is what alias {:?} points at", alias.as_str());
        return Err(Error::conflict(text));
    }
    let (name, version) = (id.model.to_string(), id.version.to_string());
    let body = wire::NamedVersion { name, version, description: None };
    session.tell(&Request::send(Method::DELETE, "model-versions/delete", &body)?).await
}

pub(super) async fn find(session: Arc<Session>, search: Search) -> Result<Page<ModelVersion>> {
    let mut wanted = Wanted::of(&session, List::Versions, &search)?;
    if wanted.order_by.is_empty() {
        // MLflow's own order is by the last change.
        wanted.order_by =
            ["creation_timestamp DESC", "version_number DESC"].map(str::to_owned).into();
    }
    let request = models::query("model-versions/search", wanted, search.max_results)?;
    let found: wire::Versions = session.ask(&request).await?;
    // A search says nothing of aliases.
    let mut models = BTreeMap::new();
    let mut items = Vec::with_capacity(found.model_versions.len());
    for wire in found.model_versions {
        let name = foreign(ModelName::new(wire.name.as_str()))?;
        if !models.contains_key(&name) {
            models.insert(name.clone(), models::get(&session, &name).await?);
        }
        let aliases = models.get(&name).map(|model| pointing(model, &wire.version));
        items.push(version(wire, aliases.unwrap_or_default(), None)?);
    }
    Ok(Page { items, next: next(found.next_page_token) })
}

fn pointing(model: &RegisteredModel, version: &str) -> Vec<Alias> {
    let aliases = model.aliases.iter().filter(|(_, to)| to.to_string() == version);
    aliases.map(|(alias, _)| alias.clone()).collect()
}

pub(super) async fn resolve(session: Arc<Session>, uri: ModelUri) -> Result<ModelVersion> {
    let wire = match &uri.which {
        Which::Version(number) => {
            wired(&session, &VersionId::new(uri.model.clone(), *number)).await?
        }
        Which::Alias(alias) => pointed(&session, &uri.model, alias).await?,
        Which::Latest => latest(&session, &uri.model).await?,
        _ => return Err(Error::unsupported(format!("this client cannot resolve {uri}"))),
    };
    whole(&session, wire).await
}

async fn pointed(
    session: &Session,
    model: &ModelName,
    alias: &Alias,
) -> Result<wire::ModelVersion> {
    let request = Request::get("registered-models/alias").with("name", model).with("alias", alias);
    match session.ask::<wire::OneVersion>(&request).await {
        Ok(found) => Ok(found.model_version),
        // MLflow calls an alias that is not there an invalid parameter.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
            let (model, alias) = (model.as_str(), alias.as_str());
            let what = format!("model {model:?} has no alias {alias:?}");
            Err(Error::not_found(what).with_source(error))
        }
        Err(error) => Err(error),
    }
}

async fn latest(session: &Session, model: &ModelName) -> Result<wire::ModelVersion> {
    let request = Request::get("model-versions/search")
        .with("filter", equals("name", model.as_str())?)
        .with("max_results", 1)
        .with("order_by", "version_number DESC");
    let found: wire::Versions = session.ask(&request).await?;
    if let Some(found) = found.model_versions.first() {
        // Whole: with its aliases.
        return wired(session, &id(found)?).await;
    }
    models::get(session, model).await?;
    Err(Error::not_found(format!("model {:?} has no versions", model.as_str())))
}

pub(super) async fn get(session: &Session, id: &VersionId) -> Result<ModelVersion> {
    whole(session, wired(session, id).await?).await
}

/// Whether a server can have given the number: some fail on one that is larger than any.
pub(super) fn given(id: &VersionId) -> Result<()> {
    match i32::try_from(id.version) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::not_found(format!("version {id} does not exist"))),
    }
}

/// A version as the server describes it.
pub(super) async fn wired(session: &Session, id: &VersionId) -> Result<wire::ModelVersion> {
    given(id)?;
    let number = id.version.to_string();
    let request = models::of_version("model-versions/get", id.model.as_str(), &number);
    match session.ask::<wire::OneVersion>(&request).await {
        Ok(found) => Ok(found.model_version),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::not_found(format!("version {id} does not exist")).with_source(error))
        }
        Err(error) => Err(error),
    }
}

/// A version with its manifest, whoever registered it.
async fn whole(session: &Session, wire: wire::ModelVersion) -> Result<ModelVersion> {
    let known = wire.tags.iter().any(|tag| tag.key == reserved::DIGEST);
    let measured = if known { None } else { Some(fetch::measured(session, &wire).await?) };
    let aliases = wire.aliases.iter().map(|alias| foreign(Alias::new(alias.as_str())));
    let mut aliases = aliases.collect::<Result<Vec<_>>>()?;
    aliases.sort();
    version(wire, aliases, measured)
}

fn id(wire: &wire::ModelVersion) -> Result<VersionId> {
    Ok(VersionId::new(foreign(ModelName::new(wire.name.as_str()))?, number(&wire.version)?))
}

fn version(
    wire: wire::ModelVersion,
    aliases: Vec<Alias>,
    measured: Option<Manifest>,
) -> Result<ModelVersion> {
    let id = id(&wire)?;
    let described = Described::from_tags(&wire.tags).context(|| format!("version {id}"))?;
    let mut version = ModelVersion::new(id, Manifest::default(), time(wire.creation_timestamp));
    match (described, measured) {
        (Some(described), _) => described.fill(&mut version),
        (None, Some(manifest)) => version.manifest = manifest,
        (None, None) => {}
    }
    // The run of another program may have an identity that is none of ours.
    version.run = wire.run_id.and_then(|run| run.parse().ok());
    version.description = wire.description.filter(|text| !text.is_empty()).map(Arc::from);
    version.source = wire.source.filter(|text| !text.is_empty()).map(Arc::from);
    version.tags = tags(wire.tags);
    version.tags.retain(|key, _| !reserved::of_version(key));
    version.aliases = aliases;
    Ok(version)
}
