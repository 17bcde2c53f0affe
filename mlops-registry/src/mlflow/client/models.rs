//! Registered models.

use super::{
    experiments::{most, pairs, tags, time},
    http::Session,
    request::Request,
    search::{Wanted, next},
};
use crate::mlflow::wire::models as wire;
use mlops_core::{
    Alias, Error, ErrorKind, ModelName, Result,
    page::{Page, Search},
    registry::{CreateModel, ModelChange, RegisteredModel},
    search::List,
};
use reqwest::Method;
use std::{collections::BTreeMap, sync::Arc};

pub(super) async fn create(session: Arc<Session>, new: CreateModel) -> Result<RegisteredModel> {
    let body = wire::CreateModel {
        name: new.name.to_string(),
        tags: pairs(&new.tags),
        description: new.description.as_deref().map(str::to_owned),
    };
    session.tell(&Request::post("registered-models/create", &body)?).await?;
    get(&session, &new.name).await
}

/// Makes sure that a model is there.
pub(super) async fn ensure(session: &Session, name: &ModelName) -> Result<()> {
    let body = wire::CreateModel { name: name.to_string(), ..Default::default() };
    // Created twice, it is there.
    let request = Request::post("registered-models/create", &body)?.repeatable();
    match session.tell(&request).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

pub(super) async fn update(
    session: Arc<Session>,
    name: ModelName,
    change: ModelChange,
) -> Result<RegisteredModel> {
    let before = get(&session, &name).await?;
    for (key, value) in change.tags {
        let body = wire::ModelTag { name: name.to_string(), key, value };
        let request = match &body.value {
            Some(_) => Request::post("registered-models/set-tag", &body)?,
            None if before.tags.contains_key(&body.key) => {
                Request::send(Method::DELETE, "registered-models/delete-tag", &body)?
            }
            None => continue,
        };
        session.tell(&request.repeatable()).await?;
    }
    if let Some(text) = change.description {
        let description = Some(text.to_string());
        let body = wire::ChangeModel { name: name.to_string(), description, new_name: None };
        let request = Request::send(Method::PATCH, "registered-models/update", &body)?;
        session.tell(&request.repeatable()).await?;
    }
    match change.name {
        Some(new) if new != name => {
            let new_name = Some(new.to_string());
            let body = wire::ChangeModel { name: name.to_string(), new_name, description: None };
            session.tell(&Request::post("registered-models/rename", &body)?).await?;
            get(&session, &new).await
        }
        _ => get(&session, &name).await,
    }
}

pub(super) async fn delete(session: Arc<Session>, name: ModelName) -> Result<()> {
    let body = wire::ChangeModel { name: name.to_string(), ..Default::default() };
    session.tell(&Request::send(Method::DELETE, "registered-models/delete", &body)?).await
}

pub(super) async fn find(session: Arc<Session>, search: Search) -> Result<Page<RegisteredModel>> {
    let wanted = Wanted::of(&session, List::Models, &search)?;
    let request = query("registered-models/search", wanted, search.max_results)?;
    let found: wire::Models = session.ask(&request).await?;
    let items = found.registered_models.into_iter().map(model).collect::<Result<_>>()?;
    Ok(Page { items, next: next(found.next_page_token) })
}

/// A search of a registry's list.
pub(super) fn query(name: &str, wanted: Wanted, max_results: Option<usize>) -> Result<Request> {
    let request = Request::get(name)
        .with_some("filter", wanted.filter)
        .with_some("max_results", max_results.map(most).transpose()?.map(|most| most.0))
        .with_some("page_token", wanted.page);
    Ok(wanted.order_by.into_iter().fold(request, |request, key| request.with("order_by", key)))
}

/// A question about a version.
pub(super) fn of_version(question: &str, name: &str, version: &str) -> Request {
    Request::get(question).with("name", name).with("version", version)
}

pub(super) async fn get(session: &Session, name: &ModelName) -> Result<RegisteredModel> {
    let request = Request::get("registered-models/get").with("name", name);
    let found: wire::OneModel = session.ask(&request).await?;
    model(found.registered_model)
}

fn model(wire: wire::RegisteredModel) -> Result<RegisteredModel> {
    let mut model =
        RegisteredModel::new(foreign(ModelName::new(wire.name))?, time(wire.creation_timestamp));
    model.updated =
        wire.last_updated_timestamp.map_or(model.created, |updated| time(Some(updated)));
    model.description = wire.description.filter(|text| !text.is_empty()).map(Arc::from);
    model.tags = tags(wire.tags);
    model.aliases = wire.aliases.into_iter().map(alias).collect::<Result<BTreeMap<_, _>>>()?;
    Ok(model)
}

fn alias(wire: wire::ModelAlias) -> Result<(Alias, u64)> {
    Ok((foreign(Alias::new(wire.alias))?, number(&wire.version)?))
}

/// A version's number.
pub(super) fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::unsupported(format!("a version whose number is {text:?}")))
}

/// A name that another program gave and that is none of ours.
pub(super) fn foreign<T>(name: Result<T>) -> Result<T> {
    name.map_err(|cause| {
        Error::new(ErrorKind::Unsupported, cause.message().to_owned()).with_source(cause)
    })
}
