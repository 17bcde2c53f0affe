//! What is there, and what this server does not do because it keeps artifacts itself.

use super::{checked, down::at};
use crate::{
    SqlStore,
    mlflow::server::{
        args::{Args, missing},
        call::Call,
        experiments::artifact_location,
        routes::{Route, route},
    },
    store::{Owner, Place},
};
use mlops_core::{
    Error, Result, RunId,
    artifact::ArtifactPath,
    page::Page,
    tracker::{ArtifactEntry, Run},
};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/mlflow-artifacts/artifacts" Read of_proxy),
        route!(GET "/mlflow/artifacts/list" Read of_run),
        route!(POST "/mlflow-artifacts/mpu/create/{*artifact_path}" Write in_parts),
        route!(POST "/mlflow-artifacts/mpu/complete/{*artifact_path}" Write in_parts),
        route!(POST "/mlflow-artifacts/mpu/abort/{*artifact_path}" Write in_parts),
        route!(GET "/mlflow-artifacts/presigned/{*artifact_path}" Read presigned),
        route!(POST "/mlflow/artifacts/presigned-upload-url" Write presigned_of_run),
        route!(POST "/mlflow/artifacts/presigned-download-url" Read presigned_of_run),
    ]
}

/// The proxy names each file and folder by its last part alone.
async fn of_proxy(call: Call) -> Result<Value> {
    let path = checked(call.args.text("path")?.unwrap_or_default())?;
    let place = call.store.place(path).await?;
    let found = listed(&call.store, place).await?;
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(files(json!({}), &found, |entry| last(entry.path.as_str())))
}

async fn of_run(call: Call) -> Result<Value> {
    let run = run(&call.store, &call.args).await?;
    let path = checked(call.args.text("path")?.unwrap_or_default())?;
    let found = listed(&call.store, at(Owner::Run(run.id), path)).await?;
    let experiment = call.store.experiment(&run.experiment).await?;
    let root = format!("{}/{}/artifacts", artifact_location(&experiment), run.id);
    Ok(shown_files(&root, &found))
}

/// What lies directly under a place; nothing lies under what is not there.
async fn listed(store: &SqlStore, place: Place) -> Result<Page<ArtifactEntry>> {
    store.list_place(place).await
}

/// A list of files and folders below a root, each by its path from there.
pub(in super::super) fn shown_files(root: &str, found: &Page<ArtifactEntry>) -> Value {
    files(json!({ "root_uri": root }), found, |entry| entry.path.to_string())
}

fn files(
    mut answer: Value,
    found: &Page<ArtifactEntry>,
    name: impl Fn(&ArtifactEntry) -> String,
) -> Value {
    let shown = |entry: &ArtifactEntry| {
        let mut shown = json!({ "path": name(entry), "is_dir": entry.size.is_none() });
        if let Some(size) = entry.size.filter(|size| *size > 0) {
            shown["file_size"] = size.into();
        }
        shown
    };
    if !found.items.is_empty() {
        answer["files"] = found.items.iter().map(shown).collect();
    }
    answer
}

/// A path of the run that a call names, which must be there.
pub(super) async fn run_place(store: &SqlStore, args: &Args, path: ArtifactPath) -> Result<Place> {
    Ok(at(Owner::Run(run(store, args).await?.id), path))
}

/// A path of a logged model.
pub(super) fn model_place(id: &str, path: ArtifactPath) -> Place {
    at(Owner::Model(id.into()), path)
}

async fn run(store: &SqlStore, args: &Args) -> Result<Run> {
    let named = |name| Ok::<_, Error>(args.text(name)?.filter(|id| !id.is_empty()));
    let id = match named("run_id")? {
        Some(id) => id,
        None => named("run_uuid")?.ok_or_else(|| missing("run_id"))?,
    };
    // What is no id is one that nobody has.
    let unknown = |_| Error::not_found(format!("Run with id={id} not found"));
    store.run(&id.parse::<RunId>().map_err(unknown)?).await
}

/// In parts clients send to object stores; a server that keeps the bytes takes them in one.
async fn in_parts(call: Call) -> Result<Value> {
    checked(call.part("artifact_path")?)?;
    call.args.required_text("path")?;
    Err(Error::unsupported("Multipart upload is not supported for the current artifact repository"))
}

async fn presigned(call: Call) -> Result<Value> {
    checked(call.part("artifact_path")?)?;
    Err(Error::unsupported("Presigned URLs are not supported for the current artifact repository"))
}

async fn presigned_of_run(call: Call) -> Result<Value> {
    checked(call.args.required_text("path")?)?;
    Err(Error::invalid("Presigned URLs are not supported for proxied artifact storage"))
}
