//! Registered models.

use super::{
    args::{Args, invalid},
    call::Call,
    experiments::{page, pairs},
    named,
    routes::{Route, route},
    versions,
};
use crate::store::RegisteredName;
use mlops_core::{
    Error, ModelName, Registry, Result,
    page::Search,
    registry::{CreateModel, ModelChange},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// How many models a page has if nobody says, and at most.
const PAGE: (i64, i64) = (100, 1000);

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/registered-models/create" Write create),
        route!(GET "/mlflow/registered-models/get" Read get),
        route!(PATCH "/mlflow/registered-models/update" Write update),
        route!(POST "/mlflow/registered-models/rename" Write rename),
        route!(DELETE "/mlflow/registered-models/delete" Write delete),
        route!(GET "/mlflow/registered-models/search" Read search),
        route!(POST "/mlflow/registered-models/get-latest-versions" Read latest_versions),
        route!(GET "/mlflow/registered-models/get-latest-versions" Read latest_versions_of_query),
        route!(POST "/mlflow/registered-models/set-tag" Write set_tag),
        route!(DELETE "/mlflow/registered-models/delete-tag" Write delete_tag),
    ]
}

async fn create(call: Call) -> Result<Value> {
    let args = &call.args;
    let name = named::new_model(args, "name")?;
    let description = args.text("description")?.map(Arc::from);
    let tags = named::tags(args)?;
    let mut new = CreateModel::new(name).with_tags(tags);
    new.description = description;
    let made = call.store.create_model(new).await?;
    Ok(json!({ "registered_model": shown(&RegisteredName { model: made, newest: Vec::new() }) }))
}

async fn get(call: Call) -> Result<Value> {
    one(&call, &named::model(&call.args)?).await
}

async fn one(call: &Call, name: &ModelName) -> Result<Value> {
    Ok(json!({ "registered_model": shown(&call.store.registered_model(name).await?) }))
}

async fn update(call: Call) -> Result<Value> {
    let name = named::model(&call.args)?;
    // Without a description MLflow takes the one that is there away.
    let description = call.args.text("description")?.unwrap_or_default();
    let change = ModelChange::default().with_description(description.into());
    call.store.update_model(&name, change).await?;
    one(&call, &name).await
}

async fn rename(call: Call) -> Result<Value> {
    let name = named::model(&call.args)?;
    let to = named::new_model(&call.args, "new_name")?;
    call.store.update_model(&name, ModelChange::default().with_name(to.clone())).await?;
    one(&call, &to).await
}

async fn delete(call: Call) -> Result<Value> {
    call.store.delete_model(&named::model(&call.args)?).await?;
    Ok(json!({}))
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    let most = args.int("max_results")?.unwrap_or(PAGE.0);
    let search = searched(args, most, PAGE.1)?;
    let found = call.store.registered_models(search).await?;
    Ok(page("registered_models", found, shown))
}

/// What a search of the registry asks for.
pub(super) fn searched(args: &Args, most: i64, limit: i64) -> Result<Search> {
    if most > limit {
        return Err(invalid(&most, "max_results", &format!("at most {limit} are given")));
    }
    let count = usize::try_from(most).ok().filter(|count| *count > 0).ok_or_else(|| {
        let text = "Invalid value for max_results. It must be a positive integer";
        Error::invalid(format!("{text}, but got {most}"))
    })?;
    let search = Search::new()
        .with_filter(args.text("filter")?.unwrap_or_default())
        .with_max_results(count)
        .with_page(args.page_token()?);
    Ok(args.texts("order_by")?.into_iter().fold(search, Search::with_order_by))
}

async fn latest_versions(call: Call) -> Result<Value> {
    // A list must be one, other than in a query.
    if let Some(text @ Value::String(_)) = call.args.any("stages") {
        return Err(invalid(text, "stages", "a list is expected"));
    }
    latest_versions_of_query(call).await
}

async fn latest_versions_of_query(call: Call) -> Result<Value> {
    let name = named::model(&call.args)?;
    let stages = call.args.texts("stages")?.into_iter().map(str::parse);
    let stages = stages.collect::<Result<Vec<crate::store::Stage>>>()?;
    let RegisteredName { model, mut newest } = call.store.registered_model(&name).await?;
    newest.retain(|found| stages.is_empty() || stages.contains(&found.stage));
    let mut answer = json!({});
    let shown = newest.into_iter().map(|mut found| {
        let own = found.version.id.version;
        let pointing = model.aliases.iter().filter(|(_, to)| **to == own);
        found.version.aliases = pointing.map(|(alias, _)| alias.clone()).collect();
        versions::shown(&found)
    });
    let shown: Vec<Value> = shown.collect();
    if !shown.is_empty() {
        answer["model_versions"] = shown.into();
    }
    Ok(answer)
}

async fn set_tag(call: Call) -> Result<Value> {
    let name = named::model(&call.args)?;
    let (key, value) = named::tag(&call.args)?;
    change_tag(&call, &name, key, Some(value)).await
}

async fn delete_tag(call: Call) -> Result<Value> {
    let name = named::model(&call.args)?;
    let key = named::tag_key(call.args.required_text("key")?)?;
    change_tag(&call, &name, key.to_owned(), None).await
}

async fn change_tag(
    call: &Call,
    name: &ModelName,
    key: String,
    value: Option<String>,
) -> Result<Value> {
    let change = ModelChange::default().with_tags([(key, value)].into());
    call.store.update_model(name, change).await?;
    Ok(json!({}))
}

/// A model as MLflow shows it: what is empty is left out.
fn shown(found: &RegisteredName) -> Value {
    let RegisteredName { model, newest } = found;
    let mut shown = json!({
        "name": model.name,
        "creation_timestamp": model.created.unix_millis(),
        "last_updated_timestamp": model.updated.unix_millis(),
    });
    if let Some(description) = model.description.as_deref().filter(|text| !text.is_empty()) {
        shown["description"] = description.into();
    }
    if !newest.is_empty() {
        shown["latest_versions"] = newest.iter().map(versions::shown).collect();
    }
    if !model.tags.is_empty() {
        shown["tags"] = pairs(&model.tags).into();
    }
    if !model.aliases.is_empty() {
        let alias =
            |(alias, version): (_, &u64)| json!({ "alias": alias, "version": version.to_string() });
        shown["aliases"] = model.aliases.iter().map(alias).collect();
    }
    shown
}
