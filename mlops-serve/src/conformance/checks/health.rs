//! Whether the server lives, and whether it and its models are ready.

use super::super::{
    client::http::Asked,
    peer::{Peer, encoded},
    verdict::{Check, Verdict, ensure, skipped},
};
use futures_util::FutureExt;

const LIVE: &str = "OIP REST, Server Live";
const READY: &str = "OIP REST, Server Ready";
const MODEL_READY: &str = "OIP REST, Model Ready";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::required("health.live", LIVE, |peer| says_yes(peer, "/v2/health/live").boxed()),
        Check::required("health.ready", READY, |peer| says_yes(peer, "/v2/health/ready").boxed()),
        Check::required("health.model_ready", MODEL_READY, |peer| model_ready(peer).boxed()),
        Check::required("health.version_ready", MODEL_READY, |peer| version_ready(peer).boxed()),
        Check::required("health.unknown_model", MODEL_READY, |peer| unknown_model(peer).boxed()),
        Check::advised(
            "health.unknown_model_404",
            "KServe answers 404 for a model that it does not have",
            |peer| unknown_model_404(peer).boxed(),
        ),
        Check::advised(
            "health.head",
            "RFC 9110 9.3.2: HEAD is GET without a body; probes send it",
            |peer| head(peer).boxed(),
        ),
    ]
}

async fn says_yes(peer: &Peer, path: &str) -> Verdict {
    let answer = peer.ask(Asked::get(path)).await?;
    ensure(answer.status == 200, "status 200", || answer.shown())
}

async fn model_ready(peer: &Peer) -> Verdict {
    says_yes(peer, &format!("/v2/models/{}/ready", encoded(&peer.subject().name))).await
}

async fn version_ready(peer: &Peer) -> Verdict {
    let model = peer.subject();
    let Some(version) = model.versions.first() else {
        return Err(skipped("the model says no versions"));
    };
    let (name, version) = (encoded(&model.name), encoded(version));
    says_yes(peer, &format!("/v2/models/{name}/versions/{version}/ready")).await
}

async fn unknown_model(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2/models/no_such_model/ready")).await?;
    ensure(answer.status >= 400, "an error status", || answer.shown())
}

async fn unknown_model_404(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2/models/no_such_model/ready")).await?;
    ensure(answer.status == 404, "status 404", || answer.shown())
}

async fn head(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::new("HEAD", "/v2/health/live")).await?;
    let is_bare = answer.status == 200 && answer.body.is_empty();
    ensure(is_bare, "status 200 without a body", || answer.shown())
}
