//! Requests with one thing wrong: refused, in words, and without harm to the next.

use super::super::{
    answer::same,
    client::http::{Answer, Asked},
    datatype::Datatype,
    peer::{Good, Peer, about, inferred, request},
    report::Level,
    tensor::Tensor,
    verdict::{Check, Verdict, ensure, failed, skipped},
};
use futures_util::FutureExt;
use serde_json::{Value, json};

const ERROR: &str = "OIP REST, Inference Response JSON Error Object";
const INPUT: &str = "OIP REST, Request Input";
const REQUEST: &str = "OIP REST, Inference Request JSON Object";
const OUTPUT: &str = "OIP REST, Request Output";
const DATA: &str = "OIP REST, Tensor Data";
const JSON: &str = "RFC 8259: JSON";
const SILENT: &str = "the protocol is silent; a wrong answer is worse than none";

/// What no answer may repeat.
const MARK: &str = "s3cr3t-7f1c9a";

/// Makes a body, of `None` if the model has nothing to make it of.
type Make = fn(&Peer, &Good) -> Option<String>;

const MISTAKES: &[(&str, Level, &str, Make)] = &[
    ("empty_body", Level::Required, JSON, |_, _| Some(String::new())),
    ("text_after_json", Level::Required, JSON, |_, good| {
        Some(format!("{} x", request(&good.tensors)))
    }),
    ("no_object", Level::Required, REQUEST, |_, _| Some("[1]".to_owned())),
    ("no_inputs", Level::Required, REQUEST, |_, _| Some("{}".to_owned())),
    ("inputs_is_no_array", Level::Required, REQUEST, |_, _| Some(r#"{"inputs":7}"#.to_owned())),
    ("no_name", Level::Required, INPUT, |_, good| without(good, "name")),
    ("no_shape", Level::Required, INPUT, |_, good| without(good, "shape")),
    ("no_datatype", Level::Required, INPUT, |_, good| without(good, "datatype")),
    ("no_data", Level::Required, INPUT, |_, good| without(good, "data")),
    ("unknown_datatype", Level::Required, "OIP REST, Tensor Data Types", |_, good| {
        with(good, "datatype", json!("FP33"))
    }),
    ("too_few_elements", Level::Required, INPUT, |_, good| {
        let values = &good.tensors.first()?.values;
        with(good, "data", values.get(..values.len().checked_sub(1)?)?.into())
    }),
    ("too_many_elements", Level::Required, INPUT, |_, good| {
        let tensor = good.tensors.first()?;
        let more = [&tensor.values[..], &[tensor.datatype.sample(0)]].concat();
        with(good, "data", more.into())
    }),
    ("ragged_data", Level::Required, DATA, |_, good| {
        let mut tensor = good.tensors.first()?.nested_json();
        let first = tensor["data"].as_array_mut()?.first_mut()?.as_array_mut()?;
        first.pop();
        with(good, "data", tensor["data"].take())
    }),
    ("negative_axis", Level::Required, INPUT, |_, good| with_axis(good, json!(-1))),
    ("axis_is_a_fraction", Level::Required, INPUT, |_, good| with_axis(good, json!(1.5))),
    ("axes_overflow", Level::Required, INPUT, |_, good| {
        with(good, "shape", json!([4_611_686_018_427_387_904_u64, 4]))
    }),
    (
        "missing_input",
        Level::Required,
        "OIP REST, Model Metadata: the inputs required",
        |_, good| {
            let mut body = request(&good.tensors);
            body["inputs"].as_array_mut()?.pop();
            Some(body.to_string())
        },
    ),
    ("unknown_output", Level::Required, OUTPUT, |_, good| {
        let mut body = request(&good.tensors);
        body["outputs"] = json!([{ "name": "no_such_output" }]);
        Some(body.to_string())
    }),
    ("text_for_a_number", Level::Required, DATA, |_, good| {
        element(good, |kind| !matches!(kind, Datatype::Bytes), "\"no number\"")
    }),
    ("unknown_input", Level::Advised, SILENT, |_, good| {
        let mut other = good.tensors.first()?.clone();
        "no_such_input".clone_into(&mut other.name);
        Some(request(&[&good.tensors[..], &[other]].concat()).to_string())
    }),
    ("input_twice", Level::Advised, SILENT, |_, good| {
        let first = good.tensors.first()?.clone();
        Some(request(&[&good.tensors[..], &[first]].concat()).to_string())
    }),
    ("other_datatype_than_declared", Level::Advised, SILENT, |_, good| {
        let mut tensors = good.tensors.clone();
        let first = tensors.first_mut()?;
        first.datatype =
            if first.datatype == Datatype::Int64 { Datatype::Fp32 } else { Datatype::Int64 };
        first.values = (0..first.values.len()).map(|at| first.datatype.sample(at)).collect();
        Some(request(&tensors).to_string())
    }),
    ("other_rank_than_declared", Level::Advised, SILENT, |_, good| {
        let mut tensors = good.tensors.clone();
        tensors.first_mut()?.shape.push(1);
        Some(request(&tensors).to_string())
    }),
    ("other_axis_than_declared", Level::Advised, SILENT, other_axis),
    (
        "out_of_range",
        Level::Advised,
        "OIP REST, Tensor Data: may coerce, or return an error",
        |_, good| element(good, is_whole, "1180591620717411303424"),
    ),
    (
        "fraction_for_an_integer",
        Level::Advised,
        "OIP REST, Tensor Data: may coerce, or return an error",
        |_, good| element(good, is_whole, "1.5"),
    ),
    ("null_for_an_integer", Level::Advised, "OIP REST, Tensor Data: no null", |_, good| {
        element(good, is_whole, "null")
    }),
    ("number_over_a_double", Level::Advised, SILENT, |_, good| {
        element(good, Datatype::is_float, "1e400")
    }),
];

pub(super) fn checks() -> Vec<Check> {
    let mut all: Vec<Check> = Vec::new();
    for &(name, level, clause, make) in MISTAKES {
        let name = format!("mistakes.{name}");
        all.push(Check::new(level, name, clause, move |peer| refused(peer, make).boxed()));
    }
    all.extend([
        Check::required("mistakes.cut_off_anywhere", JSON, |peer| cut_off(peer).boxed()),
        Check::required("mistakes.unknown_model", ERROR, |peer| unknown_model(peer).boxed()),
        Check::required("mistakes.harm_nobody", REQUEST, |peer| harm_nobody(peer).boxed()),
        Check::advised("mistakes.are_4xx", "RFC 9110 15.5: the client's error", |peer| {
            are_4xx(peer).boxed()
        }),
        Check::advised("mistakes.repeat_nothing", "values of requests are not for logs", |peer| {
            repeat_nothing(peer).boxed()
        }),
    ]);
    all
}

/// An error as the protocol has it.
pub(super) fn is_refused(answer: &Answer) -> Verdict {
    ensure(answer.status >= 400, "an error status", || answer.shown())?;
    ensure(answer.error().is_some(), "an error status and {\"error\": text}", || answer.shown())
}

async fn send(peer: &Peer, make: Make) -> Verdict<Answer> {
    let nothing = || skipped("the model has nothing to make it of");
    let body = make(peer, peer.good()?).ok_or_else(nothing)?;
    let asked = Asked::post(peer.infer_path(), body);
    peer.ask(asked).await
}

async fn refused(peer: &Peer, make: Make) -> Verdict {
    is_refused(&send(peer, make).await?)
}

/// At each sixteenth of the body, and before its last byte.
async fn cut_off(peer: &Peer) -> Verdict {
    let body = request(&peer.good()?.tensors).to_string().into_bytes();
    let sixteenths = (1..16).map(|part| body.len() * part / 16);
    for end in sixteenths.chain([body.len() - 1]) {
        let answer = peer.ask(Asked::post(peer.infer_path(), &body[..end])).await?;
        let what = format!("cut off after byte {end} of {}", body.len());
        is_refused(&answer).map_err(|unmet| about(&what, unmet))?;
    }
    Ok(())
}

async fn unknown_model(peer: &Peer) -> Verdict {
    let body = request(&peer.good()?.tensors).to_string();
    is_refused(&peer.ask(Asked::post("/v2/models/no_such_model/infer", body)).await?)
}

async fn harm_nobody(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let answer = inferred(&peer.infer(&request(&good.tensors)).await?)?;
    let is_same = !good.repeats || same(&good.outputs, &answer.outputs);
    ensure(is_same, "the answer that it gave before", || "other outputs".to_owned())
}

async fn are_4xx(peer: &Peer) -> Verdict {
    let mut seen = Vec::new();
    for &(name, _, _, make) in MISTAKES {
        match send(peer, make).await {
            Ok(answer) if answer.status >= 500 => seen.push(format!("{name} {}", answer.status)),
            _ => {}
        }
    }
    ensure(seen.is_empty(), "4xx for what the caller got wrong", || seen.join(", "))
}

/// No value of the request, no stack trace.
async fn repeat_nothing(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let bodies = [
        with(good, "data", json!([MARK])),
        with(good, "data", json!({ MARK: MARK })),
        element(good, |_| true, &format!("[\"{MARK}\"]")),
    ];
    for body in bodies.into_iter().flatten() {
        let answer = peer.ask(Asked::post(peer.infer_path(), body)).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let has_trace = ["Traceback (most", "stack backtrace", ".py\", line"];
        let leaks = text.contains(MARK) || has_trace.iter().any(|trace| text.contains(trace));
        // An answer may well have the value in it.
        if answer.status >= 400 && leaks {
            return Err(failed("an error without values of the request or a stack trace", text));
        }
    }
    Ok(())
}

/// Data nested deeper than a reader's stack may be.
pub(super) fn nested_deep(good: &Good) -> Option<String> {
    let body = with(good, "data", json!(MARK))?;
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    Some(body.replace(&format!("{MARK:?}"), &deep))
}

/// The first input with another member.
fn with(good: &Good, key: &str, value: Value) -> Option<String> {
    let mut body = request(&good.tensors);
    body["inputs"].get_mut(0)?[key] = value;
    Some(body.to_string())
}

fn without(good: &Good, key: &str) -> Option<String> {
    let mut body = request(&good.tensors);
    body["inputs"].get_mut(0)?.as_object_mut()?.remove(key);
    Some(body.to_string())
}

fn with_axis(good: &Good, axis: Value) -> Option<String> {
    let mut shape = json!(good.tensors.first()?.shape);
    *shape.get_mut(0)? = axis;
    with(good, "shape", shape)
}

fn is_whole(kind: Datatype) -> bool {
    !kind.is_float() && !matches!(kind, Datatype::Bytes | Datatype::Bool)
}

/// The first element of the first such input as this text.
fn element(good: &Good, is_such: fn(Datatype) -> bool, text: &str) -> Option<String> {
    let at = good
        .tensors
        .iter()
        .position(|tensor| is_such(tensor.datatype) && !tensor.values.is_empty())?;
    let mut body = request(&good.tensors);
    body["inputs"][at]["data"][0] = json!(MARK);
    Some(body.to_string().replacen(&format!("{MARK:?}"), text, 1))
}

/// One more along an axis whose length the metadata fix, in an input that has one.
fn other_axis(peer: &Peer, good: &Good) -> Option<String> {
    let specs = &peer.subject().inputs;
    let fixed = |tensor: &Tensor| {
        let spec = specs.iter().find(|spec| spec.name == tensor.name)?;
        spec.shape.iter().position(|&axis| axis >= 0)
    };
    let mut tensors = good.tensors.clone();
    let at = tensors.iter().position(|tensor| fixed(tensor).is_some())?;
    let axis = fixed(&tensors[at])?;
    let tensor = &mut tensors[at];
    *tensor.shape.get_mut(axis)? += 1;
    let count = tensor.shape.iter().product();
    tensor.values = (0..count).map(|at| tensor.datatype.sample(at)).collect();
    Some(request(&tensors).to_string())
}
