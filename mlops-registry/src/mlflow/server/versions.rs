//! Versions of registered models.

use super::{
    args::{Args, invalid},
    call::Call,
    described,
    experiments::{page, pairs},
    models::searched,
    named,
    routes::{Route, route},
    sources::{self, Wanted},
};
use crate::store::{NewVersion, RegisteredVersion, Stage};
use mlops_core::{
    Error, Registry, Result,
    registry::{CreateVersion, ModelUri, VersionChange},
};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

/// How many versions a page has if nobody says, and at most.
const PAGE: (i64, i64) = (200_000, 200_000);

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/model-versions/create" Write create),
        route!(GET "/mlflow/model-versions/get" Read get),
        route!(PATCH "/mlflow/model-versions/update" Write update),
        route!(DELETE "/mlflow/model-versions/delete" Write delete),
        route!(GET "/mlflow/model-versions/search" Read search),
        route!(POST "/mlflow/model-versions/set-tag" Write set_tag),
        route!(DELETE "/mlflow/model-versions/delete-tag" Write delete_tag),
        route!(POST "/mlflow/model-versions/transition-stage" Write transition),
        route!(GET "/mlflow/model-versions/get-download-uri" Read download_uri),
    ]
}

async fn create(call: Call) -> Result<Value> {
    let args = &call.args;
    let name = named::model(args)?;
    let mut tags = named::tags(args)?;
    let said = described::take(&mut tags)?;
    let wanted = Wanted {
        text: args.required_text("source")?,
        run: args.text("run_id")?,
        logged_model: args.text("model_id")?,
        is_prompt: tags.get(sources::PROMPT).is_some_and(|is| is.eq_ignore_ascii_case("true")),
    };
    let given = |field| args.text(field).map(|text| Some(Arc::from(text.unwrap_or_default())));
    let (description, run_link) = (given("description")?, given("run_link")?);
    // Before the source, which may take longer to find.
    call.store.registered_model(&name).await?;
    let mut version = CreateVersion::new(name, PathBuf::new()).with_tags(tags);
    version.idempotency_key.clone_from(&call.key);
    // What was made is made, whatever became of its source.
    if let Some(made) = call.store.registered_with_key(&version).await? {
        return told(&call, &made);
    }
    let found = sources::checked(&call.store, wanted).await?;
    (version.dataset, version.metrics) = (said.dataset, said.metrics);
    let new = NewVersion {
        version,
        source: found.source,
        text: found.text.into(),
        run: found.run.map(Arc::from),
        logged_model: found.logged_model.map(Arc::from),
        run_link,
        description,
        digest: said.digest,
    };
    let made = call.store.register(new).await?;
    told(&call, &made)
}

/// One version as an answer; our own clients learn what it is made of.
pub(super) fn told(call: &Call, found: &RegisteredVersion) -> Result<Value> {
    if !call.ours {
        return Ok(json!({ "model_version": shown(found) }));
    }
    Ok(json!({ "model_version": shown(&with_description(found)?) }))
}

fn with_description(found: &RegisteredVersion) -> Result<RegisteredVersion> {
    let mut found = found.clone();
    found.version.tags.extend(described::tags(&found.version)?);
    Ok(found)
}

async fn get(call: Call) -> Result<Value> {
    told(&call, &one(&call, &call.args).await?)
}

async fn one(call: &Call, args: &Args) -> Result<RegisteredVersion> {
    let id = named::version(args)?;
    call.store.registered_version(ModelUri::version(id.model, id.version)).await
}

async fn update(call: Call) -> Result<Value> {
    let id = named::version(&call.args)?;
    let description = call.args.text("description")?.map(Arc::from);
    told(&call, &call.store.describe_version(id, description).await?)
}

async fn delete(call: Call) -> Result<Value> {
    call.store.delete_with_aliases(named::version(&call.args)?).await?;
    Ok(json!({}))
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    let most = args.int("max_results")?.unwrap_or(PAGE.0);
    let mut search = searched(args, most, PAGE.1)?;
    if search.order_by.is_empty() {
        search = search.with_order_by("last_updated_timestamp DESC");
    }
    // MLflow's own order for what is left open.
    for (key, own) in [("name", "name ASC"), ("version_number", "version_number DESC")] {
        let ordered = |by: &String| {
            let word = by.split_whitespace().next().unwrap_or_default().trim_matches(['`', '"']);
            word.rsplit('.').next() == Some(key)
        };
        if !search.order_by.iter().any(ordered) {
            search = search.with_order_by(own);
        }
    }
    let mut found = call.store.registered_versions(search).await?;
    // Aliases are not part of what a search shows.
    found.items.iter_mut().for_each(|found| found.version.aliases.clear());
    if call.ours {
        found.items = found.items.iter().map(with_description).collect::<Result<_>>()?;
    }
    Ok(page("model_versions", found, shown))
}

async fn set_tag(call: Call) -> Result<Value> {
    let (key, value) = named::tag(&call.args)?;
    change_tag(&call, key, Some(value)).await
}

async fn delete_tag(call: Call) -> Result<Value> {
    let key = named::tag_key(call.args.required_text("key")?)?;
    change_tag(&call, key.to_owned(), None).await
}

async fn change_tag(call: &Call, key: String, value: Option<String>) -> Result<Value> {
    let id = named::version(&call.args)?;
    let change = VersionChange::default().with_tags([(key, value)].into());
    call.store.update_version(&id, change).await?;
    Ok(json!({}))
}

async fn transition(call: Call) -> Result<Value> {
    let args = &call.args;
    let (id, text) = (named::version(args)?, args.required_text("stage")?);
    let archive = match args.any("archive_existing_versions") {
        // Of a body, so that a text is none.
        Some(text @ Value::String(_)) => {
            return Err(invalid(text, "archive_existing_versions", "true or false is expected"));
        }
        _ => args.flag("archive_existing_versions")?.unwrap_or_default(),
    };
    let stage: Stage = text.parse()?;
    if archive && !stage.is_active() {
        return Err(Error::invalid(format!(
            "Model version transition cannot archive existing model versions because '{text}' is not \
             an Active stage. Valid stages are ['Staging', 'Production']"
        )));
    }
    told(&call, &call.store.put_into_stage(id, stage, archive).await?)
}

async fn download_uri(call: Call) -> Result<Value> {
    let args = &call.args;
    named::model(args)?;
    named::number(args.text("version")?.unwrap_or_default())?;
    let found = one(&call, args).await?;
    Ok(json!({ "artifact_uri": sources::download_uri(&call.store, &found).await? }))
}

/// A version as MLflow shows it.
pub(super) fn shown(found: &RegisteredVersion) -> Value {
    let version = &found.version;
    let mut shown = json!({
        "name": version.id.model,
        "version": version.id.version.to_string(),
        "creation_timestamp": version.created.unix_millis(),
        "last_updated_timestamp": version.updated.unix_millis(),
        "current_stage": found.stage.as_str(),
        "source": version.source.as_deref().unwrap_or_default(),
        "run_id": found.run.as_deref().unwrap_or_default(),
        "status": "READY",
        "run_link": found.run_link.as_deref().unwrap_or_default(),
    });
    if let Some(description) = &found.description {
        shown["description"] = json!(description);
    }
    if !version.tags.is_empty() {
        shown["tags"] = pairs(&version.tags).into();
    }
    if !version.aliases.is_empty() {
        shown["aliases"] = json!(version.aliases);
    }
    shown
}
