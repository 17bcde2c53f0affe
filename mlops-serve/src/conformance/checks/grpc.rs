//! The same over gRPC.

use super::super::{
    answer::{Inferred, Output, same},
    client::grpc::{NOT_FOUND, OK, UNIMPLEMENTED, frame},
    datatype::{self, Datatype},
    messages::{
        Flag, InferRequestedOutput, ModelInferRequest, ModelInferResponse, ModelMetadata,
        ModelStreamInferResponse, Named, NamedList, Parameter, ServerMetadata, parameter::Choice,
    },
    peer::{Good, Model, Peer, about},
    tensor::{Spec, Tensor},
    verdict::{Check, Unmet, Verdict, ensure, failed, skipped},
};
use futures_util::FutureExt;
use prost::Message;

const HEALTH: &str = "OIP gRPC, Health";
const METADATA: &str = "OIP gRPC, Metadata";
const INFER: &str = "OIP gRPC, ModelInfer";
const RAW: &str = "OIP gRPC, Raw Tensor Contents";
const STREAM: &str = "Triton, GRPC: ModelStreamInfer";

pub(super) fn checks() -> Vec<Check> {
    let mut all = vec![
        Check::required("grpc.server_live", HEALTH, |peer| flag(peer, "ServerLive").boxed()),
        Check::required("grpc.server_ready", HEALTH, |peer| flag(peer, "ServerReady").boxed()),
        Check::required("grpc.model_ready", HEALTH, |peer| model_ready(peer).boxed()),
        Check::required("grpc.unknown_model_not_ready", HEALTH, |peer| not_ready(peer).boxed()),
        Check::required("grpc.server_metadata", METADATA, |peer| server_metadata(peer).boxed()),
        Check::required("grpc.model_metadata", METADATA, |peer| model_metadata(peer).boxed()),
        Check::required("grpc.raw_contents", RAW, |peer| raw_contents(peer).boxed()),
        Check::required("grpc.typed_contents", INFER, |peer| typed_contents(peer).boxed()),
        Check::required("grpc.id_is_echoed", INFER, |peer| {
            id_is_echoed(peer, "conformance-42").boxed()
        }),
        Check::required("grpc.id_beyond_ascii", "protobuf: a string is UTF-8", |peer| {
            id_is_echoed(peer, "conformance-\u{e9}-42").boxed()
        }),
        Check::required("grpc.chosen_output", INFER, |peer| chosen_output(peer).boxed()),
        Check::declared("grpc.parameters", "Triton, Parameters Extension", |peer| {
            parameters(peer, 3).boxed()
        }),
        Check::advised("grpc.parameters_of_five_kinds", "OIP gRPC, InferParameter", |peer| {
            parameters(peer, 5).boxed()
        }),
        Check::advised("grpc.stream", STREAM, |peer| stream(peer).boxed()),
        Check::declared("grpc.statistics", "Triton, Statistics Extension", |peer| {
            lists(peer, "statistics", "ModelStatistics").boxed()
        }),
        Check::declared("grpc.configuration", "Triton, Model Configuration Extension", |peer| {
            lists(peer, "model_configuration", "ModelConfig").boxed()
        }),
        Check::declared("grpc.repository_index", "Triton, Model Repository Extension", |peer| {
            index(peer).boxed()
        }),
    ];
    for (kind, name) in datatype::ALL {
        all.push(Check::required(format!("grpc.datatype.{name}"), INFER, move |peer| {
            of_datatype(peer, kind).boxed()
        }));
    }
    all
}

/// The only message of a call that succeeds.
pub(super) async fn ask<M: Message + Default>(
    peer: &Peer,
    method: &str,
    message: &impl Message,
) -> Verdict<M> {
    let reply = peer.call(method, message).await?;
    reply.decode().ok_or_else(|| failed("OK and one message", reply.shown()))
}

fn named(name: &str) -> Named {
    Named { name: name.to_owned(), version: String::new() }
}

async fn flag(peer: &Peer, method: &str) -> Verdict {
    let said: Flag = ask(peer, method, &Flag::default()).await?;
    ensure(said.value, "true", || "false".to_owned())
}

async fn model_ready(peer: &Peer) -> Verdict {
    let said: Flag = ask(peer, "ModelReady", &named(&peer.subject().name)).await?;
    ensure(said.value, "true", || "false".to_owned())
}

async fn not_ready(peer: &Peer) -> Verdict {
    let reply = peer.call("ModelReady", &named("no_such_model")).await?;
    let is_ready = reply.decode::<Flag>().is_some_and(|said| said.value);
    ensure(!is_ready, "false, or an error", || reply.shown())
}

async fn server_metadata(peer: &Peer) -> Verdict {
    let said: ServerMetadata = ask(peer, "ServerMetadata", &Named::default()).await?;
    let same = said.name == peer.server["name"] && said.version == peer.server["version"];
    ensure(same, "what REST says", || format!("{said:?}"))?;
    let (mut theirs, mut ours) = (peer.extensions(), said.extensions.clone());
    theirs.sort();
    ours.sort();
    ensure(theirs == ours, "the extensions that REST says", || format!("{ours:?}"))
}

async fn model_metadata(peer: &Peer) -> Verdict {
    let model = peer.subject();
    let said: ModelMetadata = ask(peer, "ModelMetadata", &named(&model.name)).await?;
    ensure(said.name == model.name, "the model's name", || said.name.clone())?;
    for (theirs, ours) in [(&model.inputs, &said.inputs), (&model.outputs, &said.outputs)] {
        let is_same = |spec: &Spec| {
            ours.iter().any(|one| {
                (&one.name, &one.datatype, &one.shape) == (&spec.name, &spec.datatype, &spec.shape)
            })
        };
        let all = theirs.len() == ours.len() && theirs.iter().all(is_same);
        ensure(all, "the inputs and outputs that REST says", || format!("{said:?}"))?;
    }
    Ok(())
}

/// An inference request with raw contents.
pub(super) fn raw_request(model: &str, tensors: &[Tensor]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: tensors.iter().map(Tensor::head).collect(),
        raw_input_contents: tensors.iter().map(Tensor::raw).collect(),
        ..ModelInferRequest::default()
    }
}

/// One with typed contents; skips what they cannot say.
pub(super) fn typed_request(model: &str, tensors: &[Tensor]) -> Verdict<ModelInferRequest> {
    let untyped = |tensor: &&Tensor| !tensor.datatype.is_in_json();
    if let Some(tensor) = tensors.iter().find(untyped) {
        let name = tensor.datatype.name();
        return Err(skipped(format!("typed contents have no field for {name}")));
    }
    Ok(ModelInferRequest {
        model_name: model.to_owned(),
        inputs: tensors.iter().map(Tensor::typed).collect(),
        ..ModelInferRequest::default()
    })
}

/// What the subject is asked with.
pub(super) fn subject(peer: &Peer) -> Verdict<(&Good, ModelInferRequest)> {
    peer.grpc()?;
    let good = peer.good()?;
    Ok((good, raw_request(&peer.subject().name, &good.tensors)))
}

async fn infer(peer: &Peer, request: &ModelInferRequest) -> Verdict<ModelInferResponse> {
    ask(peer, "ModelInfer", request).await
}

fn outputs(message: &ModelInferResponse) -> Verdict<Vec<Output>> {
    let wrong = |wrong| failed("an inference response", wrong);
    Inferred::of_message(message).map_err(wrong)
}

fn same_as_rest(good: &Good, message: &ModelInferResponse) -> Verdict {
    let found = outputs(message)?;
    let is_same = !good.repeats || same(&good.outputs, &found);
    ensure(is_same, "the outputs that REST gives", || format!("{found:?}"))
}

async fn raw_contents(peer: &Peer) -> Verdict {
    let (good, request) = subject(peer)?;
    let answer = infer(peer, &request).await?;
    let name = &peer.subject().name;
    ensure(answer.model_name == *name, "the model's name", || answer.model_name.clone())?;
    same_as_rest(good, &answer)
}

async fn typed_contents(peer: &Peer) -> Verdict {
    let (good, _) = subject(peer)?;
    let request = typed_request(&peer.subject().name, &good.tensors)?;
    same_as_rest(good, &infer(peer, &request).await?)
}

async fn id_is_echoed(peer: &Peer, id: &str) -> Verdict {
    let (_, request) = subject(peer)?;
    let id = id.to_owned();
    let answer = infer(peer, &ModelInferRequest { id: id.clone(), ..request }).await?;
    ensure(answer.id == id, "the request's id", || answer.id.clone())
}

async fn chosen_output(peer: &Peer) -> Verdict {
    let (_, mut request) = subject(peer)?;
    let outputs = &peer.subject().outputs;
    let Some(last) = outputs.last() else { return Err(skipped("the model has no outputs")) };
    request.outputs = vec![InferRequestedOutput { name: last.name.clone() }];
    let answer = infer(peer, &request).await?;
    let found: Vec<&str> = answer.outputs.iter().map(|output| output.name.as_str()).collect();
    ensure(found == [last.name.as_str()], format!("{:?} alone", last.name), || format!("{found:?}"))
}

/// The first kinds of parameters; the protocol's file has two more than Triton's text.
async fn parameters(peer: &Peer, kinds: usize) -> Verdict {
    peer.declares("parameters")?;
    let (good, mut request) = subject(peer)?;
    let choices = [
        ("flag", Choice::Bool(true)),
        ("count", Choice::Int64(3)),
        ("note", Choice::Text("a text".to_owned())),
        ("share", Choice::Double(0.5)),
        ("many", Choice::Uint64(3)),
    ];
    let one = |(name, choice): (&str, _)| (name.to_owned(), Parameter { choice: Some(choice) });
    request.parameters = choices.into_iter().take(kinds).map(one).collect();
    same_as_rest(good, &infer(peer, &request).await?)
}

/// Two requests, then the end: two answers, in whatever order, and the end.
async fn stream(peer: &Peer) -> Verdict {
    let (good, request) = subject(peer)?;
    let one = |id: &str| ModelInferRequest { id: id.to_owned(), ..request.clone() };
    let body = ["1", "2"].map(|id| frame(&one(id).encode_to_vec())).concat();
    let sent = peer.grpc()?.send("ModelStreamInfer", body).await;
    let reply = sent.map_err(Unmet::Silence)?;
    if reply.code == UNIMPLEMENTED {
        return Err(Unmet::Unsupported(reply.shown()));
    }
    ensure(reply.code == OK && reply.messages.len() == 2, "OK, two messages", || reply.shown())?;
    for message in &reply.messages {
        let message = ModelStreamInferResponse::decode(message.clone());
        let message = message.map_err(|cause| failed("Triton's message", cause.to_string()))?;
        ensure(message.error_message.is_empty(), "no error", || message.error_message.clone())?;
        let answer = message.infer_response;
        let answer = answer.ok_or_else(|| failed("an answer", "a message without any"))?;
        same_as_rest(good, &answer)?;
    }
    Ok(())
}

async fn lists(peer: &Peer, extension: &str, method: &str) -> Verdict {
    peer.grpc()?;
    peer.declares(extension)?;
    let name = &peer.subject().name;
    let said: NamedList = ask(peer, method, &named(name)).await?;
    let has = said.items.iter().any(|item| item.name == *name);
    ensure(has, format!("{name:?}"), || format!("{said:?}"))
}

async fn index(peer: &Peer) -> Verdict {
    peer.grpc()?;
    peer.declares("model_repository")?;
    let said: NamedList = ask(peer, "RepositoryIndex", &Named::default()).await?;
    let name = &peer.subject().name;
    let has = said.items.iter().any(|item| item.name == *name);
    ensure(has, format!("{name:?}"), || format!("{said:?}"))
}

/// Raw and typed contents say the same, small elements and those at the ends of the type.
async fn of_datatype(peer: &Peer, kind: Datatype) -> Verdict {
    peer.grpc()?;
    let (model, at) = peer.taker(kind)?;
    let tensors = peer.tensors_for(model)?;
    let what = format!("model {:?}, input {:?}", model.name, tensors[at].name);
    both_ways(peer, model, &tensors).await.map_err(|unmet| about(&what, unmet))?;
    let mut extreme = tensors;
    extreme[at] = extreme[at].clone().with_extremes();
    let what = format!("{what}, extremes");
    both_ways(peer, model, &extreme).await.map_err(|unmet| about(&what, unmet))
}

async fn both_ways(peer: &Peer, model: &Model, tensors: &[Tensor]) -> Verdict {
    let raw = outputs(&infer(peer, &raw_request(&model.name, tensors)).await?)?;
    let Ok(request) = typed_request(&model.name, tensors) else { return Ok(()) };
    let typed = outputs(&infer(peer, &request).await?)?;
    let is_same = !peer.repeats(model) || same(&raw, &typed);
    ensure(is_same, "the same from raw and typed contents", || format!("{typed:?}"))
}

/// That the call fails, with this code.
pub(super) async fn unknown_model_code(peer: &Peer) -> Verdict {
    let (_, mut request) = subject(peer)?;
    "no_such_model".clone_into(&mut request.model_name);
    let reply = peer.call("ModelInfer", &request).await?;
    ensure(reply.code == NOT_FOUND, "NOT_FOUND", || reply.shown())
}
