//! Aliases, and what our own clients ask beyond MLflow: who moved them when, and why.
//!
//! Our fields of `registered-models/alias`: `mlops_expected` (a version's number, or `absent`) makes a move
//! compare-and-swap, `mlops_reason` says why, `mlops_undoes` names the event that it takes back. No other
//! client sees any of it.

use super::{
    args::{Args, invalid},
    call::Call,
    named,
    routes::{Route, route},
    versions,
};
use mlops_core::{
    Error, EventId, Registry, Result,
    event::{Cursor, EventKind},
    registry::{Expected, HistoryQuery, ModelUri, MoveAlias, Unmet},
};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/registered-models/alias" Write set),
        route!(GET "/mlflow/registered-models/alias" Read get),
        route!(DELETE "/mlflow/registered-models/alias" Write remove),
        route!(POST "/mlops/aliases/refused" Write refused),
        route!(GET "/mlops/history" Read history),
        route!(GET "/mlops/events" Read history),
    ]
}

async fn set(call: Call) -> Result<Value> {
    let args = &call.args;
    named::model(args)?;
    let alias = named::new_alias(args)?;
    let id = named::version(args)?;
    moved(&call, MoveAlias::new(id.model, alias, id.version, reason(args)?)).await
}

async fn remove(call: Call) -> Result<Value> {
    let model = named::model(&call.args)?;
    match named::alias(&call.args)? {
        Some(alias) => {
            let request = MoveAlias::new(model, alias, 0, reason(&call.args)?);
            moved(&call, request.removing()).await
        }
        // Nobody's, so there is nothing to remove.
        None => call.store.registered_model(&model).await.map(|_| json!({})),
    }
}

fn reason(args: &Args) -> Result<String> {
    Ok(args.text("mlops_reason")?.unwrap_or_default().to_owned())
}

async fn moved(call: &Call, mut request: MoveAlias) -> Result<Value> {
    request.from = expected(&call.args)?;
    if let Some(undone) = call.args.text("mlops_undoes")? {
        request = request.undoing(undone.parse::<EventId>()?);
    }
    call.store.move_alias(request).await?;
    Ok(json!({}))
}

fn expected(args: &Args) -> Result<Expected> {
    let Some(value) = args.any("mlops_expected") else { return Ok(Expected::Any) };
    if value.as_str() == Some("absent") {
        return Ok(Expected::Absent);
    }
    match args.int("mlops_expected")?.map(u64::try_from) {
        Some(Ok(0)) => Ok(Expected::Absent),
        Some(Ok(version)) => Ok(Expected::Version(version)),
        _ => Err(invalid(value, "mlops_expected", "a version or absent is expected")),
    }
}

async fn get(call: Call) -> Result<Value> {
    let model = named::model(&call.args)?;
    let text = named::alias_text(&call.args)?;
    let found = call.store.registered_model(&model).await?;
    let uri = if text.eq_ignore_ascii_case("latest") {
        if found.newest.is_empty() {
            let text = format!("Latest version not found for model {model}.");
            return Err(Error::not_found(text));
        }
        ModelUri::latest(model)
    } else {
        let alias = named::alias(&call.args)?.filter(|own| found.model.aliases.contains_key(own));
        let unknown = || Error::invalid(format!("Registered model alias {text} not found."));
        ModelUri::alias(model, alias.ok_or_else(unknown)?)
    };
    versions::told(&call, &call.store.registered_version(uri).await?)
}

/// Notes what kept an alias where it is: our clients ask their gates themselves.
async fn refused(call: Call) -> Result<Value> {
    let args = &call.args;
    let (alias, id) = (named::new_alias(args)?, named::version(args)?);
    let reason = args.text("reason")?.unwrap_or_default();
    let unmet = args.objects("unmet")?.into_iter().map(|one| {
        Ok(Unmet::new(one.required_text("gate")?, one.text("found")?.unwrap_or_default()))
    });
    let unmet = unmet.collect::<Result<Vec<_>>>()?;
    if unmet.is_empty() {
        return Err(super::args::missing("unmet"));
    }
    let request = MoveAlias::new(id.model, alias, id.version, reason);
    call.store.note_refusal(request, unmet).await?;
    Ok(json!({}))
}

/// What happened to a model, a version or an alias, oldest first.
async fn history(call: Call) -> Result<Value> {
    let args = &call.args;
    let of = match args.text("of")? {
        Some(uri) => uri.parse()?,
        None => ModelUri::latest(named::model(args)?),
    };
    let mut query = HistoryQuery::new(of);
    query.kinds = args.texts("kind")?.into_iter().map(EventKind::new).collect();
    query.max_results = args.max_results()?;
    query.after = match args.int("after")?.map(u64::try_from) {
        None => None,
        Some(Ok(place)) => Some(Cursor(place)),
        Some(Err(_)) => return Err(invalid(&"…", "after", "a place of a page is expected")),
    };
    let page = call.store.history(query).await?;
    let mut answer = json!({ "events": page.items });
    if let Some(next) = page.next {
        answer["next"] = next.into();
    }
    Ok(answer)
}
