//! Calls of gRPC with one thing wrong.

use super::{
    super::{
        client::grpc::{
            INVALID_ARGUMENT, OK, OUT_OF_RANGE, RESOURCE_EXHAUSTED, Reply, UNIMPLEMENTED, frame,
        },
        messages::{InferRequestedOutput, ModelInferRequest, Named},
        peer::Peer,
        report::Level,
        tensor::Tensor,
        verdict::{Check, Unmet, Verdict, ensure, skipped},
    },
    grpc::{subject, unknown_model_code},
};
use futures_util::FutureExt;
use prost::Message;

const RAW: &str = "OIP gRPC, Raw Tensor Contents";
const INFER: &str = "OIP gRPC, ModelInfer: errors are google.rpc.Status";

/// What may be said of a caller's mistake: some ask for too much.
const CALLERS: [i32; 3] = [INVALID_ARGUMENT, OUT_OF_RANGE, RESOURCE_EXHAUSTED];

/// Makes a request wrong; `None` if the model has nothing to make it of.
type Make = fn(&mut ModelInferRequest, &[Tensor]) -> Option<()>;

const MISTAKES: &[(&str, Level, &str, Make)] = &[
    ("raw_and_typed_contents", Level::Required, RAW, |request, tensors| {
        request.inputs = tensors.iter().map(Tensor::typed).collect();
        Some(())
    }),
    ("too_few_raw_contents", Level::Required, RAW, |request, _| {
        request.raw_input_contents.pop().map(drop)
    }),
    ("raw_contents_left_over", Level::Advised, RAW, |request, _| {
        request.raw_input_contents.push(vec![0; 4]);
        Some(())
    }),
    ("too_few_bytes", Level::Required, RAW, |request, _| {
        request.raw_input_contents.first_mut()?.pop().map(drop)
    }),
    ("too_many_elements", Level::Required, INFER, |request, tensors| {
        let first = tensors.first().filter(|tensor| tensor.datatype.is_in_json())?;
        let mut more = first.clone();
        more.values.push(more.datatype.sample(0));
        request.inputs = tensors.iter().map(Tensor::typed).collect();
        *request.inputs.first_mut()? = more.typed();
        request.raw_input_contents.clear();
        Some(())
    }),
    ("negative_axis", Level::Required, INFER, |request, _| {
        *request.inputs.first_mut()?.shape.first_mut()? = -1;
        Some(())
    }),
    ("axes_overflow", Level::Required, INFER, |request, _| {
        request.inputs.first_mut()?.shape = vec![i64::MAX, 4];
        Some(())
    }),
    ("unknown_datatype", Level::Required, INFER, |request, _| {
        "FP33".clone_into(&mut request.inputs.first_mut()?.datatype);
        Some(())
    }),
    ("missing_input", Level::Required, INFER, |request, _| {
        request.inputs.pop()?;
        request.raw_input_contents.pop().map(drop)
    }),
    ("unknown_output", Level::Required, INFER, |request, _| {
        request.outputs.push(InferRequestedOutput { name: "no_such_output".to_owned() });
        Some(())
    }),
];

pub(super) fn checks() -> Vec<Check> {
    let mut all: Vec<Check> = Vec::new();
    for &(name, level, clause, make) in MISTAKES {
        all.push(Check::new(level, format!("grpc.mistakes.{name}"), clause, move |peer| {
            refused(peer, make).boxed()
        }));
    }
    all.extend([
        Check::required("grpc.mistakes.unknown_model", INFER, |peer| unknown_model(peer).boxed()),
        Check::required("grpc.mistakes.no_protobuf", "gRPC: status codes", |peer| {
            no_protobuf(peer).boxed()
        }),
        Check::required("grpc.mistakes.unknown_method", "gRPC: UNIMPLEMENTED", |peer| {
            unknown_method(peer).boxed()
        }),
        Check::advised("grpc.mistakes.unknown_model_not_found", "gRPC: NOT_FOUND", |peer| {
            unknown_model_code(peer).boxed()
        }),
        Check::advised("grpc.mistakes.are_invalid_argument", "gRPC: INVALID_ARGUMENT", |peer| {
            are_invalid_argument(peer).boxed()
        }),
    ]);
    all
}

async fn send(peer: &Peer, make: Make) -> Verdict<Reply> {
    let (good, mut request) = subject(peer)?;
    let nothing = || skipped("the model has nothing to make it of");
    make(&mut request, &good.tensors).ok_or_else(nothing)?;
    peer.call("ModelInfer", &request).await
}

fn is_refused(reply: &Reply) -> Verdict {
    ensure(reply.code != OK && !reply.message.is_empty(), "an error with words", || reply.shown())
}

async fn refused(peer: &Peer, make: Make) -> Verdict {
    is_refused(&send(peer, make).await?)
}

async fn unknown_model(peer: &Peer) -> Verdict {
    let (_, mut request) = subject(peer)?;
    "no_such_model".clone_into(&mut request.model_name);
    is_refused(&peer.call("ModelInfer", &request).await?)
}

async fn no_protobuf(peer: &Peer) -> Verdict {
    let sent = peer.grpc()?.send("ModelInfer", frame(&[0xff; 16])).await;
    let reply = sent.map_err(Unmet::Silence)?;
    ensure(reply.code != OK, "an error", || reply.shown())
}

async fn unknown_method(peer: &Peer) -> Verdict {
    let body = frame(&Named::default().encode_to_vec());
    let sent = peer.grpc()?.send("NoSuchMethod", body).await;
    let reply = sent.map_err(Unmet::Silence)?;
    ensure(reply.code == UNIMPLEMENTED, "UNIMPLEMENTED", || reply.shown())
}

async fn are_invalid_argument(peer: &Peer) -> Verdict {
    subject(peer)?;
    let mut seen = Vec::new();
    for &(name, _, _, make) in MISTAKES {
        match send(peer, make).await {
            Ok(reply) if !CALLERS.contains(&reply.code) => {
                seen.push(format!("{name}: code {}", reply.code));
            }
            _ => {}
        }
    }
    ensure(seen.is_empty(), "INVALID_ARGUMENT for what the caller got wrong", || seen.join(", "))
}
