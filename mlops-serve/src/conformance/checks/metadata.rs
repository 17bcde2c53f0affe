//! What the server and its models say of themselves.

use super::super::{
    client::http::{Answer, Asked},
    datatype::Datatype,
    peer::{Peer, encoded, specs},
    verdict::{Check, Verdict, ensure, failed, skipped},
};
use futures_util::FutureExt;
use serde_json::Value;

const SERVER: &str = "OIP REST, Server Metadata";
const MODEL: &str = "OIP REST, Model Metadata";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::required("metadata.server", SERVER, |peer| server(peer).boxed()),
        Check::required("metadata.model", MODEL, |peer| model(peer).boxed()),
        Check::required("metadata.datatypes", "OIP REST, Tensor Data Types", |peer| {
            async move { datatypes(peer) }.boxed()
        }),
        Check::required("metadata.version", MODEL, |peer| version(peer).boxed()),
        Check::required("metadata.unknown_model", "OIP REST, Model Metadata JSON Error", |peer| {
            unknown(peer, "/v2/models/no_such_model").boxed()
        }),
        Check::required(
            "metadata.unknown_version",
            "OIP REST, Model Metadata JSON Error",
            |peer| unknown_version(peer).boxed(),
        ),
        Check::advised("metadata.unknown_model_404", "RFC 9110 15.5.5", |peer| {
            unknown_model_404(peer).boxed()
        }),
        Check::advised(
            "metadata.trailing_slash",
            "the OpenAPI file writes /v2/, the text v2",
            |peer| trailing_slash(peer).boxed(),
        ),
        Check::advised("metadata.content_type", "RFC 8259 11: application/json", |peer| {
            content_type(peer).boxed()
        }),
    ]
}

fn object(answer: &Answer) -> Verdict<Value> {
    let said = answer.json().filter(|said| answer.status == 200 && said.is_object());
    said.ok_or_else(|| failed("status 200 and a JSON object", answer.shown()))
}

async fn server(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2")).await?;
    let said = object(&answer)?;
    let is_list = said["extensions"].as_array().is_some_and(|all| all.iter().all(Value::is_string));
    let is_whole = said["name"].is_string() && said["version"].is_string() && is_list;
    ensure(is_whole, "name and version, and extensions as a list of texts", || answer.shown())
}

fn path(peer: &Peer) -> String {
    format!("/v2/models/{}", encoded(&peer.subject().name))
}

async fn model(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get(path(peer))).await?;
    let said = object(&answer)?;
    let is_whole = said["name"] == peer.subject().name.as_str()
        && said["platform"].is_string()
        && specs(&said["inputs"]).is_some()
        && specs(&said["outputs"]).is_some();
    ensure(is_whole, "the model's name, a platform, inputs and outputs", || answer.shown())?;
    let versions = &said["versions"];
    let is_list = versions.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    ensure(is_list || versions.is_null(), "versions as a list of texts, or none", || answer.shown())
}

fn datatypes(peer: &Peer) -> Verdict {
    for model in &peer.models {
        for spec in model.inputs.iter().chain(&model.outputs) {
            let (name, datatype) = (&spec.name, &spec.datatype);
            let seen = || format!("{name:?} of {:?} has datatype {datatype:?}", model.name);
            ensure(Datatype::of(datatype).is_some(), "a datatype of the protocol", seen)?;
            let axes = spec.shape.iter().all(|&axis| axis >= -1);
            let seen = || format!("{name:?} of {:?} has shape {:?}", model.name, spec.shape);
            ensure(axes, "axes of a length, or -1", seen)?;
        }
    }
    Ok(())
}

async fn version(peer: &Peer) -> Verdict {
    let Some(version) = peer.subject().versions.first() else {
        return Err(skipped("the model says no versions"));
    };
    let path = format!("{}/versions/{}", path(peer), encoded(version));
    let answer = peer.ask(Asked::get(path)).await?;
    let said = object(&answer)?;
    ensure(said["name"] == peer.subject().name.as_str(), "the model's name", || answer.shown())
}

async fn unknown(peer: &Peer, path: &str) -> Verdict {
    let answer = peer.ask(Asked::get(path)).await?;
    let is_error = answer.status >= 400 && answer.error().is_some();
    ensure(is_error, "an error status and {\"error\": text}", || answer.shown())
}

async fn unknown_version(peer: &Peer) -> Verdict {
    if peer.subject().versions.is_empty() {
        return Err(skipped("the model says no versions"));
    }
    unknown(peer, &format!("{}/versions/9999", path(peer))).await
}

async fn unknown_model_404(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2/models/no_such_model")).await?;
    ensure(answer.status == 404, "status 404", || answer.shown())
}

async fn trailing_slash(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2/")).await?;
    let is_same = answer.json().is_some_and(|said| said == peer.server);
    ensure(is_same, "what /v2 says", || answer.shown())
}

async fn content_type(peer: &Peer) -> Verdict {
    for path in ["/v2".to_owned(), path(peer)] {
        let answer = peer.ask(Asked::get(path)).await?;
        let form = answer.header("content-type").unwrap_or_default();
        let seen = || format!("content-type {form:?}");
        ensure(form.starts_with("application/json"), "content-type application/json", seen)?;
    }
    Ok(())
}
