//! What Triton's extensions add to REST, of those that the server declares and that change nothing.

use super::super::{
    client::http::Asked,
    peer::{Peer, encoded, inferred, request},
    verdict::{Check, Verdict, ensure, failed},
};
use futures_util::FutureExt;
use serde_json::{Value, json};

const STATISTICS: &str = "Triton, Statistics Extension";
const CONFIGURATION: &str = "Triton, Model Configuration Extension";
const REPOSITORY: &str = "Triton, Model Repository Extension";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::declared("statistics.model", STATISTICS, |peer| statistics(peer).boxed()),
        Check::declared("statistics.count_up", STATISTICS, |peer| count_up(peer).boxed()),
        Check::declared("statistics.failures_count", STATISTICS, |peer| failures(peer).boxed()),
        Check::declared("statistics.all_models", STATISTICS, |peer| all_models(peer).boxed()),
        Check::declared("configuration.model", CONFIGURATION, |peer| configuration(peer).boxed()),
        Check::declared("repository.index", REPOSITORY, |peer| index(peer).boxed()),
        Check::declared("repository.index_of_ready", REPOSITORY, |peer| ready(peer).boxed()),
        Check::declared(
            "schedule.priority_and_timeout",
            "Triton, Schedule Policy Extension",
            |peer| schedule(peer).boxed(),
        ),
        Check::declared("logging.settings", "Triton, Logging Extension", |peer| {
            settings(peer, "logging", "/v2/logging").boxed()
        }),
        Check::declared("trace.settings", "Triton, Trace Extension", |peer| {
            settings(peer, "trace", "/v2/trace/setting").boxed()
        }),
    ]
}

/// The JSON that a path answers with.
async fn said(peer: &Peer, asked: Asked) -> Verdict<Value> {
    let answer = peer.ask(asked).await?;
    let said = answer.json().filter(|_| answer.status == 200);
    said.ok_or_else(|| failed("status 200 and JSON", answer.shown()))
}

fn model_path(peer: &Peer, rest: &str) -> String {
    format!("/v2/models/{}/{rest}", encoded(&peer.subject().name))
}

/// The subject's own statistics.
async fn own(peer: &Peer) -> Verdict<Value> {
    peer.declares("statistics")?;
    let said = said(peer, Asked::get(model_path(peer, "stats"))).await?;
    let name = peer.subject().name.as_str();
    let all = said["model_stats"].as_array().into_iter().flatten();
    let own = all.into_iter().find(|stats| stats["name"] == name).cloned();
    own.ok_or_else(|| failed(format!("model_stats of {name:?}"), said.to_string()))
}

fn count(stats: &Value, kind: &str) -> Option<u64> {
    stats["inference_stats"][kind]["count"].as_u64()
}

async fn statistics(peer: &Peer) -> Verdict {
    let stats = own(peer).await?;
    let kinds = ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output"];
    let is_whole = stats["version"].is_string()
        && stats["inference_count"].is_u64()
        && stats["execution_count"].is_u64()
        && kinds.iter().all(|kind| count(&stats, kind).is_some())
        && kinds.iter().all(|kind| stats["inference_stats"][kind]["ns"].is_u64());
    let wanted = format!("version, counts, and count and ns of {}", kinds.join(", "));
    ensure(is_whole, wanted, || stats.to_string())
}

async fn count_up(peer: &Peer) -> Verdict {
    let before = own(peer).await?;
    for _ in 0..3 {
        inferred(&peer.infer(&request(&peer.good()?.tensors)).await?)?;
    }
    let after = own(peer).await?;
    let (was, is) = (count(&before, "success"), count(&after, "success"));
    // Others may ask the server, too.
    let rose = was.zip(is).is_some_and(|(was, is)| is >= was + 3);
    ensure(rose, "three more successes after three answers", || format!("{was:?}, then {is:?}"))
}

async fn failures(peer: &Peer) -> Verdict {
    let stats = own(peer).await?;
    let (success, fail) = (count(&stats, "success"), count(&stats, "fail"));
    ensure(success.is_some() && fail.is_some(), "counts of both", || stats.to_string())
}

async fn all_models(peer: &Peer) -> Verdict {
    peer.declares("statistics")?;
    let said = said(peer, Asked::get("/v2/models/stats")).await?;
    let name = peer.subject().name.as_str();
    let mut all = said["model_stats"].as_array().into_iter().flatten();
    let has = all.any(|stats| stats["name"] == name);
    ensure(has, format!("{name:?} among model_stats"), || said.to_string())
}

async fn configuration(peer: &Peer) -> Verdict {
    peer.declares("model_configuration")?;
    let said = said(peer, Asked::get(model_path(peer, "config"))).await?;
    let model = peer.subject();
    let is_named = said["name"] == model.name.as_str() && said["max_batch_size"].is_i64();
    ensure(is_named, "the model's name and max_batch_size", || said.to_string())?;
    for (key, specs) in [("input", &model.inputs), ("output", &model.outputs)] {
        let listed: Vec<&Value> = said[key].as_array().into_iter().flatten().collect();
        for spec in specs {
            let own = listed.iter().find(|one| one["name"] == spec.name.as_str());
            // The configuration has another word for one of the types.
            let kind = spec.datatype.replace("BYTES", "STRING");
            let is_same = own.is_some_and(|one| {
                one["data_type"] == format!("TYPE_{kind}") && one["dims"].is_array()
            });
            let wanted = format!("{key} {:?} as TYPE_{kind} with dims", spec.name);
            ensure(is_same, wanted, || said[key].to_string())?;
        }
    }
    Ok(())
}

async fn indexed(peer: &Peer, body: Value) -> Verdict<Vec<Value>> {
    peer.declares("model_repository")?;
    let said = said(peer, Asked::post("/v2/repository/index", body.to_string())).await?;
    let list = said.as_array().cloned();
    list.ok_or_else(|| failed("an array", said.to_string()))
}

async fn index(peer: &Peer) -> Verdict {
    let list = indexed(peer, json!({})).await?;
    let name = peer.subject().name.as_str();
    let is_ready = |entry: &Value| entry["name"] == name && entry["state"] == "READY";
    let wanted = format!("{name:?} with state READY");
    ensure(list.iter().any(is_ready), wanted, || Value::from(list.clone()).to_string())
}

async fn ready(peer: &Peer) -> Verdict {
    let list = indexed(peer, json!({ "ready": true })).await?;
    let is_ready = |entry: &Value| entry["state"] == "READY";
    let all = !list.is_empty() && list.iter().all(is_ready);
    ensure(all, "only models with state READY", || Value::from(list.clone()).to_string())
}

async fn schedule(peer: &Peer) -> Verdict {
    peer.declares("schedule_policy")?;
    let mut body = request(&peer.good()?.tensors);
    body["parameters"] = json!({ "priority": 1, "timeout": 10_000_000 });
    inferred(&peer.infer(&body).await?).map(drop)
}

async fn settings(peer: &Peer, extension: &str, path: &str) -> Verdict {
    peer.declares(extension)?;
    let said = said(peer, Asked::get(path)).await?;
    ensure(said.is_object(), "an object of settings", || said.to_string())
}
