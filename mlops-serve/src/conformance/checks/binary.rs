//! Triton's binary tensor data extension: raw tensors after the JSON.

use super::{
    super::{
        answer::{Inferred, JSON_BYTES, same},
        client::http::{Answer, Asked},
        datatype::{self, Datatype},
        peer::{Good, Model, Peer, about, encoded, inferred},
        tensor::Tensor,
        verdict::{Check, Verdict, ensure, failed, skipped},
    },
    mistakes::is_refused,
};
use futures_util::FutureExt;
use serde_json::{Value, json};

const BINARY: &str = "Triton, Binary Tensor Data Extension";
const RAW: &str = "Triton, Binary Tensor Data Extension: Raw Binary Request";

/// A body that is wrong: the bytes, and what the header says of the JSON's length.
type Make = fn(&Good) -> Option<(Vec<u8>, String)>;

const MISTAKES: &[(&str, Make)] = &[
    ("length_over_the_body", |good| {
        let (body, _) = body(&good.tensors, 0);
        let over = body.len() + 1;
        Some((body, over.to_string()))
    }),
    ("length_negative", |good| Some((body(&good.tensors, 0).0, "-1".to_owned()))),
    ("length_is_no_number", |good| Some((body(&good.tensors, 0).0, "many".to_owned()))),
    ("length_too_small", |good| {
        let (body, length) = body(&good.tensors, 0);
        Some((body, (length - 2).to_string()))
    }),
    ("bytes_missing", |good| {
        let (mut body, length) = body(&good.tensors, 0);
        body.pop()?;
        Some((body, length.to_string()))
    }),
    ("bytes_left_over", |good| {
        let (body, length) = body(&good.tensors, 0);
        Some(([body, vec![0; 4]].concat(), length.to_string()))
    }),
    ("size_other_than_the_shape", |good| {
        let mut tensor =
            good.tensors.iter().find(|tensor| tensor.datatype.size().is_some())?.clone();
        let more = tensor.datatype.sample(0);
        tensor.values.push(more);
        Some(written(&[head(&tensor, tensor.raw().len())], &tensor.raw()))
    }),
    ("size_negative", |good| {
        let tensor = good.tensors.first()?;
        let mut head = head(tensor, 0);
        head["parameters"]["binary_data_size"] = json!(-4);
        Some(written(&[head], &tensor.raw()))
    }),
    ("data_and_bytes", |good| {
        let mut tensor = good.tensors.first()?.clone();
        let (raw, mut head) = (tensor.raw(), tensor.json());
        head["parameters"] = json!({ "binary_data_size": raw.len() });
        tensor.values.clear();
        Some(written(&[head], &raw))
    }),
    ("text_longer_than_the_bytes", |good| {
        let tensor = good.tensors.iter().find(|tensor| tensor.datatype == Datatype::Bytes)?;
        let mut raw = tensor.raw();
        raw.get_mut(..4)?.copy_from_slice(&u32::MAX.to_le_bytes());
        Some(written(&[head(tensor, raw.len())], &raw))
    }),
];

pub(super) fn checks() -> Vec<Check> {
    let mut all = vec![
        Check::declared("binary.input", BINARY, |peer| input(peer, 0).boxed()),
        Check::declared("binary.input_at_any_address", BINARY, |peer| {
            async {
                for pad in 1..8 {
                    input(peer, pad).await?;
                }
                Ok(())
            }
            .boxed()
        }),
        Check::declared("binary.outputs_by_default", BINARY, |peer| by_default(peer).boxed()),
        Check::declared("binary.output_by_name", BINARY, |peer| by_name(peer).boxed()),
        Check::declared("binary.one_input_of_several", BINARY, |peer| mixed(peer).boxed()),
        Check::declared("binary.raw_request", RAW, |peer| raw_request(peer).boxed()),
        Check::required("infer.infinity_in_json", "RFC 8259: no Infinity, no NaN", |peer| {
            infinity(peer).boxed()
        }),
    ];
    for (kind, name) in datatype::ALL {
        all.push(Check::declared(format!("binary.datatype.{name}"), BINARY, move |peer| {
            of_datatype(peer, kind).boxed()
        }));
    }
    for &(name, make) in MISTAKES {
        all.push(Check::declared(format!("binary.mistakes.{name}"), BINARY, move |peer| {
            refused(peer, make).boxed()
        }));
    }
    all
}

fn head(tensor: &Tensor, size: usize) -> Value {
    tensor.binary_json(size)
}

/// A body of these inputs and bytes, and the JSON's length.
fn written(inputs: &[Value], raw: &[u8]) -> (Vec<u8>, String) {
    let json = json!({ "inputs": inputs }).to_string().into_bytes();
    let length = json.len().to_string();
    ([&json, raw].concat(), length)
}

/// All tensors in binary, after JSON with so many spaces more; and the JSON's length.
fn body(tensors: &[Tensor], pad: usize) -> (Vec<u8>, usize) {
    let heads: Vec<Value> =
        tensors.iter().map(|tensor| tensor.binary_json(tensor.raw().len())).collect();
    with_json(&json!({ "inputs": heads }), tensors, pad)
}

pub(super) fn with_json(json: &Value, tensors: &[Tensor], pad: usize) -> (Vec<u8>, usize) {
    let mut body = json.to_string().into_bytes();
    body.resize(body.len() + pad, b' ');
    let length = body.len();
    for tensor in tensors {
        body.extend(tensor.raw());
    }
    (body, length)
}

/// A request of all tensors in binary; also what robustness mutates.
pub(super) fn binary_request(tensors: &[Tensor]) -> (Vec<u8>, usize) {
    body(tensors, 0)
}

async fn send(peer: &Peer, model: &Model, body: Vec<u8>, length: String) -> Verdict<Answer> {
    let path = format!("/v2/models/{}/infer", encoded(&model.name));
    let asked = Asked::post(path, body).with_header("content-type", "application/octet-stream");
    peer.ask(asked.with_header(JSON_BYTES, length)).await
}

async fn ask(peer: &Peer, (body, length): (Vec<u8>, usize)) -> Verdict<Inferred> {
    inferred(&send(peer, peer.subject(), body, length.to_string()).await?)
}

fn same_as(good: &Good, answer: &Inferred) -> Verdict {
    let is_same = !good.repeats || same(&good.outputs, &answer.outputs);
    ensure(is_same, "the outputs that JSON gets", || "other outputs".to_owned())
}

async fn input(peer: &Peer, pad: usize) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let good = peer.good()?;
    same_as(good, &ask(peer, body(&good.tensors, pad)).await?)
}

async fn by_default(peer: &Peer) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let good = peer.good()?;
    let heads: Vec<Value> = good.tensors.iter().map(Tensor::json).collect();
    let json = json!({ "inputs": heads, "parameters": { "binary_data_output": true } });
    let answer = ask(peer, with_json(&json, &[], 0)).await?;
    let all = answer.outputs.iter().all(|output| output.was_binary);
    ensure(all, "every output as bytes", || answer.json.to_string())?;
    same_as(good, &answer)
}

async fn by_name(peer: &Peer) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let good = peer.good()?;
    let names = peer.subject().outputs.iter().map(|spec| &spec.name);
    let asked: Vec<Value> = names
        .enumerate()
        .map(|(at, name)| json!({ "name": name, "parameters": { "binary_data": at == 0 } }))
        .collect();
    let heads: Vec<Value> = good.tensors.iter().map(Tensor::json).collect();
    let answer =
        ask(peer, with_json(&json!({ "inputs": heads, "outputs": asked }), &[], 0)).await?;
    let first = peer.subject().outputs.first().map(|spec| spec.name.clone());
    let is_so = |output: &super::super::answer::Output| {
        output.was_binary == (Some(&output.name) == first.as_ref())
    };
    let all = answer.outputs.iter().all(is_so);
    ensure(all, format!("{first:?} as bytes and the others not"), || answer.json.to_string())?;
    same_as(good, &answer)
}

async fn mixed(peer: &Peer) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let good = peer.good()?;
    let [first, others @ ..] = &good.tensors[..] else { return Err(skipped("no inputs")) };
    if others.is_empty() {
        return Err(skipped("the model has one input"));
    }
    let mut heads: Vec<Value> = others.iter().map(Tensor::json).collect();
    heads.push(first.binary_json(first.raw().len()));
    let body = with_json(&json!({ "inputs": heads }), std::slice::from_ref(first), 0);
    same_as(good, &ask(peer, body).await?)
}

/// The body is the bytes of the only input, in one row.
async fn raw_request(peer: &Peer) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let is_such = |model: &&Model| match &model.inputs[..] {
        [only] => only.shape.iter().filter(|&&axis| axis == -1).count() <= 1,
        _ => false,
    };
    let model = peer.models.iter().find(is_such);
    let tensors = model.and_then(|model| Some((model, model.sample(1)?)));
    let Some((model, tensors)) = tensors else {
        return Err(skipped("no model has one input with at most one open axis"));
    };
    let (plain, length) = body(&tensors, 0);
    let wanted = inferred(&send(peer, model, plain, length.to_string()).await?)?;
    let found = inferred(&send(peer, model, tensors[0].raw(), "0".to_owned()).await?)?;
    let is_same = !peer.repeats(model) || same(&wanted.outputs, &found.outputs);
    ensure(is_same, "the outputs of the same row with a head", || found.json.to_string())
}

/// An infinite output in an answer that is JSON.
async fn infinity(peer: &Peer) -> Verdict {
    let kind = [Datatype::Fp32, Datatype::Fp64];
    let (model, at) = kind
        .iter()
        .find_map(|kind| peer.taker(*kind).ok())
        .ok_or_else(|| skipped("no model has an input of FP32 or FP64"))?;
    peer.declares("binary_tensor_data")?;
    let Some(mut tensors) = model.sample(1) else { return Err(skipped("no request")) };
    let mut endless = tensors.clone();
    let size = tensors[at].datatype.size().unwrap_or(4);
    let bytes: &[u8] =
        if size == 4 { &f32::INFINITY.to_le_bytes() } else { &f64::INFINITY.to_le_bytes() };
    endless.swap(0, at);
    tensors.swap(0, at);
    let heads: Vec<Value> =
        tensors.iter().map(|tensor| tensor.binary_json(tensor.raw().len())).collect();
    let (mut body, length) = with_json(&json!({ "inputs": heads }), &endless, 0);
    body[length..length + size].copy_from_slice(bytes);
    let answer = send(peer, model, body, length.to_string()).await?;
    let is_json = answer.json().is_some();
    ensure(is_json, "an answer that is JSON, or an error", || answer.shown())
}

/// Binary and JSON say the same, for small elements and for those at the ends of the type.
async fn of_datatype(peer: &Peer, kind: Datatype) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let (model, at) = peer.taker(kind)?;
    let tensors = peer.tensors_for(model)?;
    let mut extreme = tensors.clone();
    extreme[at] = extreme[at].clone().with_extremes();
    let what = format!("model {:?}, input {:?}", model.name, tensors[at].name);
    both_ways(peer, model, &tensors, kind).await.map_err(|unmet| about(&what, unmet))?;
    let what = format!("{what}, extremes");
    match both_ways(peer, model, &extreme, kind).await {
        Err(unmet) => Err(about(&what, unmet)),
        Ok(()) => Ok(()),
    }
}

async fn both_ways(peer: &Peer, model: &Model, tensors: &[Tensor], kind: Datatype) -> Verdict {
    let heads: Vec<Value> =
        tensors.iter().map(|tensor| tensor.binary_json(tensor.raw().len())).collect();
    let json = json!({ "inputs": heads, "parameters": { "binary_data_output": true } });
    let (body, length) = with_json(&json, tensors, 0);
    let answer = send(peer, model, body, length.to_string()).await?;
    let binary = inferred(&answer)?;
    if !tensors.iter().all(|tensor| tensor.datatype.is_in_json()) {
        return Ok(());
    }
    let heads: Vec<Value> = tensors.iter().map(Tensor::json).collect();
    let answer = send_json(peer, model, &json!({ "inputs": heads })).await?;
    let plain = inferred(&answer)?;
    let is_same = same(&binary.outputs, &plain.outputs) || !peer.repeats(model);
    let wanted = format!("the same {} in JSON and in binary", kind.name());
    ensure(is_same, wanted, || plain.json["outputs"].to_string())
}

async fn send_json(peer: &Peer, model: &Model, body: &Value) -> Verdict<Answer> {
    let path = format!("/v2/models/{}/infer", encoded(&model.name));
    let asked = Asked::post(path, body.to_string());
    peer.ask(asked).await
}

async fn refused(peer: &Peer, make: Make) -> Verdict {
    peer.declares("binary_tensor_data")?;
    let good = peer.good()?;
    let nothing = || skipped("the model has nothing to make it of");
    let (body, length) = make(good).ok_or_else(nothing)?;
    let answer = send(peer, peer.subject(), body, length).await?;
    is_refused(&answer).map_err(|unmet| match answer.status {
        200 => failed("an error", answer.shown()),
        _ => unmet,
    })
}
