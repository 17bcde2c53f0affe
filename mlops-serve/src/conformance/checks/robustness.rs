//! Bodies that are almost right, by the thousand, and whether the server is well after.

use super::{
    super::{
        answer::{JSON_BYTES, same},
        client::{
            grpc::{OK, frame},
            http::Asked,
        },
        mutation::{Met, Mutated, says_where},
        peer::{Model, Peer, inferred, request},
        tensor::Tensor,
        verdict::{Check, Verdict, ensure, skipped},
    },
    binary::binary_request,
    grpc::{raw_request, typed_request},
    mistakes::{is_refused, nested_deep},
};
use futures_util::FutureExt;
use prost::Message;
use serde_json::json;

const ERROR: &str = "OIP REST, Inference Response JSON Error Object";
const OURS: &str = "RFC 9110 15.6: 5xx is for the server's own failures";
const WHERE: &str = "the protocol is silent; who is told where the mistake is can mend it";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::required("robustness.json_answered", ERROR, |peer| {
            async { json_bodies(peer).await?.all_answered() }.boxed()
        }),
        Check::required("robustness.json_errors_have_words", ERROR, |peer| {
            async { json_bodies(peer).await?.all_have_words() }.boxed()
        }),
        Check::advised("robustness.json_no_5xx", OURS, |peer| {
            async { json_bodies(peer).await?.no_fault() }.boxed()
        }),
        Check::advised("robustness.json_errors_say_where", WHERE, |peer| {
            async { json_bodies(peer).await?.all_say_where() }.boxed()
        }),
        Check::declared("robustness.binary_answered", ERROR, |peer| {
            async { binary_bodies(peer).await?.all_answered() }.boxed()
        }),
        Check::declared("robustness.binary_errors_have_words", ERROR, |peer| {
            async { binary_bodies(peer).await?.all_have_words() }.boxed()
        }),
        Check::advised("robustness.binary_no_5xx", OURS, |peer| {
            async { binary_bodies(peer).await?.no_fault() }.boxed()
        }),
        Check::advised("robustness.binary_errors_say_where", WHERE, |peer| {
            async { binary_bodies(peer).await?.all_say_where() }.boxed()
        }),
        Check::required("robustness.grpc_answered", "gRPC: every call has a status", |peer| {
            async { messages(peer).await?.all_answered() }.boxed()
        }),
        Check::advised(
            "robustness.grpc_no_internal",
            "gRPC: INTERNAL, UNKNOWN, DATA_LOSS",
            |peer| async { messages(peer).await?.no_fault() }.boxed(),
        ),
        Check::advised("robustness.grpc_errors_say_where", WHERE, |peer| {
            async { messages(peer).await?.all_say_where() }.boxed()
        }),
        // Last, for there are servers that end here.
        Check::required("robustness.nested_100000_deep", ERROR, |peer| deep(peer).boxed()),
        Check::required("robustness.still_ready", "OIP REST, Server Ready", |peer| {
            still_ready(peer).boxed()
        }),
    ]
}

async fn json_bodies(peer: &Peer) -> Verdict<&Mutated> {
    let tensors = &peer.good()?.tensors;
    let nested: Vec<_> = tensors.iter().map(Tensor::nested_json).collect();
    let whole = json!({
        "id": "1", "parameters": { "a": 1 }, "inputs": nested,
        "outputs": [{ "name": peer.subject().outputs.first().map(|spec| &spec.name) }],
    });
    let bodies = [request(tensors).to_string().into_bytes(), whole.to_string().into_bytes()];
    let path = peer.infer_path();
    let found = peer.mutated[0].get_or_init(|| {
        Mutated::of(&bodies, (peer.mutations, peer.seed), |body| {
            meet(peer, Asked::post(&path, body))
        })
    });
    Ok(found.await)
}

async fn binary_bodies(peer: &Peer) -> Verdict<&Mutated> {
    peer.declares("binary_tensor_data")?;
    let (body, length) = binary_request(&peer.good()?.tensors);
    let path = peer.infer_path();
    let found = peer.mutated[1].get_or_init(|| {
        Mutated::of(std::slice::from_ref(&body), (peer.mutations, peer.seed), |body| {
            let asked = Asked::post(&path, body).with_header(JSON_BYTES, length.to_string());
            meet(peer, asked)
        })
    });
    Ok(found.await)
}

async fn meet(peer: &Peer, asked: Asked) -> Met {
    match peer.http.ask(asked).await {
        Err(silence) => Met::Silence(silence),
        Ok(answer) if answer.status >= 500 => Met::Fault(answer.shown()),
        Ok(answer) if answer.status < 400 => Met::Answered,
        Ok(answer) => match answer.error() {
            None => Met::Wordless(answer.shown()),
            Some(words) => refused(peer, &words, || answer.shown()),
        },
    }
}

fn refused(peer: &Peer, words: &str, shown: impl FnOnce() -> String) -> Met {
    let Model { inputs, outputs, .. } = peer.subject();
    let tensors = inputs.iter().chain(outputs).map(|spec| spec.name.as_str());
    if says_where(words, tensors) { Met::Refused } else { Met::Vague(shown()) }
}

async fn messages(peer: &Peer) -> Verdict<&Mutated> {
    let grpc = peer.grpc()?;
    let (tensors, name) = (&peer.good()?.tensors, &peer.subject().name);
    let mut bodies = vec![raw_request(name, tensors).encode_to_vec()];
    if let Ok(typed) = typed_request(name, tensors) {
        bodies.push(typed.encode_to_vec());
    }
    let found = peer.mutated[2].get_or_init(|| {
        Mutated::of(&bodies, (peer.mutations, peer.seed), |message| async move {
            match grpc.send("ModelInfer", frame(&message)).await {
                Err(silence) => Met::Silence(silence),
                Ok(reply) if reply.code == OK => Met::Answered,
                // UNKNOWN, INTERNAL, DATA_LOSS: by their definition the server's.
                Ok(reply) if [2, 13, 15].contains(&reply.code) => Met::Fault(reply.shown()),
                Ok(reply) => refused(peer, &reply.message, || reply.shown()),
            }
        })
    });
    Ok(found.await)
}

async fn deep(peer: &Peer) -> Verdict {
    let body = nested_deep(peer.good()?).ok_or_else(|| skipped("the model has no inputs"))?;
    is_refused(&peer.ask(Asked::post(peer.infer_path(), body)).await?)
}

/// The server and the model say that they are, and the answer is the one from before.
async fn still_ready(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2/health/ready")).await?;
    ensure(answer.status == 200, "status 200", || answer.shown())?;
    let good = peer.good()?;
    let answer = inferred(&peer.infer(&request(&good.tensors)).await?)?;
    let is_same = !good.repeats || same(&good.outputs, &answer.outputs);
    ensure(is_same, "the answer that it gave before", || "other outputs".to_owned())
}
