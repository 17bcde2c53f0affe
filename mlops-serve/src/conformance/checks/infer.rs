//! Inference in JSON.

use super::super::{
    answer::{Inferred, Output, same},
    client::http::Asked,
    datatype::{self, Datatype},
    peer::{Good, Peer, about, encoded, inferred, request},
    tensor::Tensor,
    verdict::{Check, Verdict, ensure, failed, skipped},
};
use futures_util::{FutureExt, future::join_all};
use serde_json::{Value, json};

const RESPONSE: &str = "OIP REST, Inference Response JSON Object";
const REQUEST: &str = "OIP REST, Inference Request JSON Object";
const DATA: &str = "OIP REST, Tensor Data";
const JSON: &str = "RFC 8259: JSON";

pub(super) fn checks() -> Vec<Check> {
    let mut all = vec![
        Check::required("infer.answers", RESPONSE, |peer| async move { answers(peer) }.boxed()),
        Check::required("infer.outputs_are_declared", RESPONSE, |peer| {
            async move { as_declared(peer) }.boxed()
        }),
        Check::required("infer.names_the_model", RESPONSE, |peer| names_the_model(peer).boxed()),
        Check::required("infer.nested_data", DATA, |peer| nested(peer).boxed()),
        Check::required("infer.id_is_echoed", REQUEST, |peer| id_is_echoed(peer).boxed()),
        Check::advised("infer.no_id_invented", RESPONSE, |peer| no_id_invented(peer).boxed()),
        Check::required("infer.chosen_output", REQUEST, |peer| chosen_output(peer).boxed()),
        Check::required("infer.version_in_the_path", REQUEST, |peer| version(peer).boxed()),
        Check::declared("infer.parameters", "Triton, Parameters Extension", |peer| {
            parameters(peer).boxed()
        }),
        Check::required("infer.white_space", JSON, |peer| white_space(peer).boxed()),
        Check::required("infer.order_of_members", JSON, |peer| order(peer).boxed()),
        Check::required("infer.escaped_names", JSON, |peer| escapes(peer).boxed()),
        Check::required("infer.many_at_once", REQUEST, |peer| many(peer).boxed()),
        Check::advised("infer.without_content_type", "clients leave it out", |peer| {
            with_type(peer, None).boxed()
        }),
        Check::advised(
            "infer.content_type_with_charset",
            "clients of Java and .NET say it",
            |peer| with_type(peer, Some("application/json; charset=utf-8")).boxed(),
        ),
        Check::advised("infer.content_type_of_answers", "OIP REST, Examples", |peer| {
            content_type(peer).boxed()
        }),
    ];
    for (kind, name) in datatype::ALL {
        let check = format!("infer.datatype.{name}");
        all.push(Check::required(check, "OIP REST, Tensor Data Types", move |peer| {
            of_datatype(peer, kind).boxed()
        }));
    }
    all
}

fn answers(peer: &Peer) -> Verdict {
    let wanted = "an answer to a request that fits the metadata (give one with --request)";
    match peer.why_not() {
        None => Ok(()),
        Some(_) if !peer.subject().is_in_json() => {
            Err(skipped("the model takes a datatype that the protocol has not in JSON"))
        }
        Some(why) => Err(failed(wanted, why)),
    }
}

fn as_declared(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let declared = &peer.subject().outputs;
    for Output { name, datatype, shape, .. } in &good.outputs {
        let spec = declared.iter().find(|spec| spec.name == *name);
        let spec = spec.ok_or_else(|| failed("declared outputs only", format!("{name:?}")))?;
        let fits = |(axis, length): (&i64, &u64)| {
            *axis == -1 || i64::try_from(*length).is_ok_and(|length| length == *axis)
        };
        let is_so = spec.datatype == *datatype
            && spec.shape.len() == shape.len()
            && spec.shape.iter().zip(shape).all(fits);
        let wanted = format!("{name:?} as {} of {:?}", spec.datatype, spec.shape);
        ensure(is_so, wanted, || format!("{datatype} of {shape:?}"))?;
    }
    let (found, wanted) = (good.outputs.len(), declared.len());
    ensure(found == wanted, format!("all {wanted} outputs"), || format!("{found} outputs"))
}

async fn ask(peer: &Peer, body: &Value) -> Verdict<Inferred> {
    inferred(&peer.infer(body).await?)
}

/// That a body is answered as the plain one is.
async fn as_good(peer: &Peer, good: &Good, body: String) -> Verdict {
    let asked = Asked::post(peer.infer_path(), body);
    let answer = peer.ask(asked).await?;
    same_as(good, &inferred(&answer)?.outputs)
}

fn same_as(good: &Good, outputs: &[Output]) -> Verdict {
    let is_same = !good.repeats || same(&good.outputs, outputs);
    ensure(is_same, "the outputs that flat JSON gets", || "other outputs".to_owned())
}

async fn names_the_model(peer: &Peer) -> Verdict {
    let body = request(&peer.good()?.tensors);
    let answer = ask(peer, &body).await?;
    let said = &answer.json["model_name"];
    let wanted = format!("model_name {:?}", peer.subject().name);
    ensure(*said == peer.subject().name.as_str(), wanted, || said.to_string())
}

async fn nested(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let inputs: Vec<Value> = good.tensors.iter().map(Tensor::nested_json).collect();
    as_good(peer, good, json!({ "inputs": inputs }).to_string()).await
}

async fn id_is_echoed(peer: &Peer) -> Verdict {
    let mut body = request(&peer.good()?.tensors);
    body["id"] = json!("conformance-\u{e9}-42");
    let answer = ask(peer, &body).await?;
    let said = &answer.json["id"];
    ensure(*said == body["id"], "the request's id", || said.to_string())
}

async fn no_id_invented(peer: &Peer) -> Verdict {
    let answer = ask(peer, &request(&peer.good()?.tensors)).await?;
    let said = &answer.json["id"];
    let is_none = said.is_null() || said.as_str() == Some("");
    ensure(is_none, "no id where the request has none", || said.to_string())
}

async fn chosen_output(peer: &Peer) -> Verdict {
    let mut body = request(&peer.good()?.tensors);
    let outputs = &peer.subject().outputs;
    let Some(last) = outputs.last() else { return Err(skipped("the model has no outputs")) };
    body["outputs"] = json!([{ "name": last.name }]);
    let answer = ask(peer, &body).await?;
    let found = answer.names();
    ensure(found == [last.name.as_str()], format!("{:?} alone", last.name), || format!("{found:?}"))
}

async fn version(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let model = peer.subject();
    let Some(version) = model.versions.first() else {
        return Err(skipped("the model says no versions"));
    };
    let path = format!("/v2/models/{}/versions/{}/infer", encoded(&model.name), encoded(version));
    let answer = peer.ask(Asked::post(path, request(&good.tensors).to_string())).await?;
    same_as(good, &inferred(&answer)?.outputs)
}

async fn parameters(peer: &Peer) -> Verdict {
    peer.declares("parameters")?;
    let good = peer.good()?;
    let mut body = request(&good.tensors);
    body["parameters"] = json!({ "note": "a text", "count": 3, "flag": true });
    as_good(peer, good, body.to_string()).await
}

async fn white_space(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let pretty = serde_json::to_string_pretty(&request(&good.tensors)).unwrap_or_default();
    as_good(peer, good, format!("\r\n\t {} \n", pretty.replace(':', " \r\n:\t"))).await
}

/// `data` before `shape` and `datatype`, which a reader in one pass does not expect.
async fn order(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let one = |tensor: &Tensor| {
        let json = tensor.json();
        format!(
            r#"{{"data":{},"parameters":{{}},"datatype":{},"shape":{},"name":{}}}"#,
            json["data"], json["datatype"], json["shape"], json["name"]
        )
    };
    let inputs: Vec<String> = good.tensors.iter().map(one).collect();
    let body = format!(r#"{{"outputs":[],"inputs":[{}],"id":"1"}}"#, inputs.join(","));
    as_good(peer, good, body).await
}

async fn escapes(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let mut body = request(&good.tensors).to_string();
    let escaped = |text: &str| -> String {
        let unit = |unit: u16| format!("\\u{unit:04x}");
        format!("\"{}\"", text.encode_utf16().map(unit).collect::<String>())
    };
    let names = good.tensors.iter().map(|tensor| tensor.name.as_str());
    for text in names.chain(["inputs", "shape", "datatype"]) {
        body = body.replace(&Value::from(text).to_string(), &escaped(text));
    }
    as_good(peer, good, body).await
}

async fn many(peer: &Peer) -> Verdict {
    let good = peer.good()?;
    let each = (0..32).map(|at| async move {
        let mut body = request(&good.tensors);
        body["id"] = json!(format!("many-{at}"));
        let answer = ask(peer, &body).await?;
        let said = &answer.json["id"];
        ensure(*said == body["id"], "each request's own id", || said.to_string())?;
        same_as(good, &answer.outputs)
    });
    join_all(each).await.into_iter().collect()
}

async fn with_type(peer: &Peer, form: Option<&str>) -> Verdict {
    let good = peer.good()?;
    let asked = Asked::post(peer.infer_path(), request(&good.tensors).to_string());
    let asked = match form {
        None => asked.untyped(),
        Some(form) => asked.with_header("content-type", form),
    };
    same_as(good, &inferred(&peer.ask(asked).await?)?.outputs)
}

async fn content_type(peer: &Peer) -> Verdict {
    let answer = peer.infer(&request(&peer.good()?.tensors)).await?;
    let form = answer.header("content-type").unwrap_or_default();
    let seen = || format!("content-type {form:?}");
    ensure(form.starts_with("application/json"), "content-type application/json", seen)
}

async fn of_datatype(peer: &Peer, kind: Datatype) -> Verdict {
    let (model, at) = peer.taker(kind)?;
    if !kind.is_in_json() {
        let name = kind.name();
        return Err(skipped(format!("the protocol does not say how {name} stands in JSON")));
    }
    let tensors = peer.tensors_for(model)?;
    let path = format!("/v2/models/{}/infer", encoded(&model.name));
    let what = format!("model {:?}, input {:?}", model.name, tensors[at].name);
    let answer = peer.ask(Asked::post(path, request(&tensors).to_string())).await?;
    inferred(&answer).map(drop).map_err(|unmet| about(&what, unmet))
}
