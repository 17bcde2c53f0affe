//! `POST /v1/traces`: spans in the OpenTelemetry protocol, in Protobuf or JSON.

use super::proto::{Any, ExportTraceServiceRequest, KeyValue, ProtoSpan, Resource};
use crate::{
    mlflow::server::{
        Shared,
        call::{Right, authorized},
        experiments::experiment_id,
        refusal::Refusal,
    },
    store::Span,
};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mlops_core::{Error, Result, RunId, tracker::Tags};
use prost::Message;
use serde_json::{Map, Value, json};
use std::sync::Arc;

mod json_form;

const PROTOBUF: &str = "application/x-protobuf";
/// What a root's attribute begins with that is a tag of the whole trace.
const TAG: &str = "mlflow.traceTag.";
/// The longest preview of what went in or came out, in characters: MLflow's.
const PREVIEW: usize = 1000;
/// Beyond this depth a value is no longer a value of a span but an attempt at something else.
const DEEPEST: usize = 64;
/// How deep it is kept: a level of an object is four of what is stored, and who reads that counts to 128.
const DEEPEST_KEPT: usize = 28;

pub(super) async fn spans(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Write, &headers)?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(experiment) = text("x-mlflow-experiment-id") else {
            let place = json!(["header", "x-mlflow-experiment-id"]);
            let missing = json!([{ "type": "missing", "loc": place, "msg": "Field required", "input": null }]);
            return Ok(detail(StatusCode::UNPROCESSABLE_ENTITY, &missing));
        };
        let experiment = experiment_id(experiment)?;
        let most = shared.config.max_body_bytes;
        let body = axum::body::to_bytes(body, most).await.map_err(|cause| {
            Error::too_large(format!("a body that is cut off, or longer than {most} bytes"))
                .with_source(cause)
        })?;
        let spans = match read(&headers, &body) {
            Ok(spans) => spans,
            Err(text) => return Ok(detail(StatusCode::BAD_REQUEST, &text.into())),
        };
        let roots = spans.iter().filter(|span| span.parent.is_none());
        let roots: Vec<String> = roots.map(|span| span.trace.clone()).collect();
        store.log_spans(&experiment, spans).await?;
        if let Some(run) = text("x-mlflow-run-id").filter(|_| !roots.is_empty()) {
            store.link_traces(roots, run.parse::<RunId>()?).await?;
        }
        // The empty answer: nothing was left out.
        Ok([(header::CONTENT_TYPE, PROTOBUF), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")]
            .into_response())
    };
    answer.await.unwrap_or_else(|error| Refusal(error).into_response())
}

fn detail(status: StatusCode, detail: &Value) -> Response {
    (status, Json(json!({ "detail": detail }))).into_response()
}

/// The spans of a body; the text says to the client what is wrong with it.
fn read(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Span>, String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let request = match kind.unwrap_or_default().split(';').next().unwrap_or_default().trim() {
        PROTOBUF => ExportTraceServiceRequest::decode(body.as_ref()).map_err(|_| bad())?,
        "application/json" => json_form::read(body).ok_or_else(bad)?,
        _ => {
            let kind = kind.unwrap_or("None");
            let expected = "application/x-protobuf or application/json";
            return Err(format!("Invalid Content-Type: {kind}. Expected: {expected}"));
        }
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err("Unsupported Content-Encoding: send the spans as they are".to_owned());
    }
    if request.resource_spans.is_empty() {
        return Err("Invalid OpenTelemetry format - no spans found".to_owned());
    }
    let mut all = Vec::new();
    for group in &request.resource_spans {
        let tags = group.resource.as_ref().map(resource_tags).unwrap_or_default();
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            all.push(self::span(span, &tags).ok_or_else(bad)?);
        }
    }
    Ok(all)
}

fn bad() -> String {
    "Invalid OpenTelemetry format".to_owned()
}

/// What the process that made the spans says of itself, but for the telemetry's own notes.
fn resource_tags(resource: &Resource) -> Tags {
    let own = |key: &str| key.starts_with("telemetry.sdk.") || key.starts_with("mlflow.");
    let said = resource.attributes.iter().filter(|attribute| !own(&attribute.key));
    said.map(|attribute| (attribute.key.clone(), text(&decoded(attribute, 0)))).collect()
}

fn span(span: &ProtoSpan, resource: &Tags) -> Option<Span> {
    if span.trace_id.len() != 16 || span.span_id.len() != 8 {
        return None;
    }
    let started = i64::try_from(span.start_time_unix_nano).ok()?;
    let ended = i64::try_from(span.end_time_unix_nano).ok()?;
    let trace = format!("tr-{}", hex(&span.trace_id));
    let attributes: Vec<(String, Value)> = span
        .attributes
        .iter()
        .map(|own| match own.key.as_str() {
            // Ours is the trace's id, whatever a client calls it.
            "mlflow.traceRequestId" => (own.key.clone(), trace.clone().into()),
            _ => (own.key.clone(), unpacked(decoded(own, 0))),
        })
        .collect();
    let of = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let is_root = span.parent_span_id.is_empty();
    let mut tags = resource.clone();
    if is_root {
        let own =
            attributes.iter().filter_map(|(key, value)| Some((key.strip_prefix(TAG)?, value)));
        tags.extend(own.map(|(key, value)| (key.to_owned(), text(value))));
    }
    Some(Span {
        id: hex(&span.span_id),
        parent: (!is_root).then(|| hex(&span.parent_span_id)),
        started,
        ended: (ended != 0).then_some(ended),
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        content: content(span, &attributes),
        inputs: of("mlflow.spanInputs").map(preview),
        outputs: of("mlflow.spanOutputs").map(preview),
        name: tags.remove(super::NAME),
        tags,
        trace,
    })
}

/// A span as clients read it: Protobuf's JSON form with the names of the messages' fields.
fn content(span: &ProtoSpan, attributes: &[(String, Value)]) -> Value {
    let mut shown = json!({
        "trace_id": STANDARD.encode(&span.trace_id),
        "span_id": STANDARD.encode(&span.span_id),
        "name": span.name,
        "start_time_unix_nano": span.start_time_unix_nano,
        "status": status(span),
    });
    if !span.parent_span_id.is_empty() {
        shown["parent_span_id"] = STANDARD.encode(&span.parent_span_id).into();
    }
    if span.end_time_unix_nano != 0 {
        shown["end_time_unix_nano"] = span.end_time_unix_nano.into();
    }
    let pairs = |own: &[KeyValue]| -> Vec<(String, Value)> {
        own.iter().map(|own| (own.key.clone(), decoded(own, 0))).collect()
    };
    if !attributes.is_empty() {
        shown["attributes"] = key_values(attributes);
    }
    if !span.events.is_empty() {
        let event = |event: &super::proto::Event| {
            let attributes = key_values(&pairs(&event.attributes));
            json!({ "time_unix_nano": event.time_unix_nano, "name": event.name, "attributes": attributes })
        };
        shown["events"] = span.events.iter().map(event).collect();
    }
    if !span.links.is_empty() {
        let link = |link: &super::proto::Link| {
            let (trace, span) = (STANDARD.encode(&link.trace_id), STANDARD.encode(&link.span_id));
            json!({ "trace_id": trace, "span_id": span, "attributes": key_values(&pairs(&link.attributes)) })
        };
        shown["links"] = span.links.iter().map(link).collect();
    }
    shown
}

fn status(span: &ProtoSpan) -> Value {
    let mut shown = json!({});
    if let Some(status) = &span.status {
        match status.code {
            1 => shown["code"] = "STATUS_CODE_OK".into(),
            2 => shown["code"] = "STATUS_CODE_ERROR".into(),
            _ => {}
        }
        if !status.message.is_empty() {
            shown["message"] = status.message.as_str().into();
        }
    }
    shown
}

/// The value of an attribute as plain JSON.
fn decoded(attribute: &KeyValue, depth: usize) -> Value {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(value) => plain(value, depth),
        None => Value::Null,
    }
}

fn plain(value: &Any, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    match value {
        Any::String(text) => text.as_str().into(),
        Any::Bool(flag) => (*flag).into(),
        Any::Int(number) => (*number).into(),
        Any::Double(number) => number_value(*number),
        Any::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Any::Array(list) => {
            let item = |item: &super::proto::AnyValue| match &item.value {
                Some(value) => plain(value, depth + 1),
                None => Value::Null,
            };
            list.values.iter().map(item).collect()
        }
        Any::List(list) => {
            let entry = |entry: &KeyValue| (entry.key.clone(), decoded(entry, depth + 1));
            Value::Object(list.values.iter().map(entry).collect::<Map<_, _>>())
        }
    }
}

/// JSON has no words for what is no finite number; Protobuf's form has these.
fn number_value(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(
        || {
            let word = if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            word.into()
        },
        Value::Number,
    )
}

/// A text that is JSON of a text, a list or an object is what it stands for: clients write attributes
/// that way. One that is a number stays a text.
fn unpacked(value: Value) -> Value {
    let inside = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    match inside {
        Some(inside @ (Value::String(_) | Value::Array(_) | Value::Object(_))) => inside,
        _ => value,
    }
}

/// Attributes as messages of the protocol again.
fn key_values(attributes: &[(String, Value)]) -> Value {
    let pair = |(key, value): &(String, Value)| json!({ "key": key, "value": any(value, 0) });
    attributes.iter().map(pair).collect()
}

/// What lies too deep is kept as the text that it came as, or would come as.
fn any(value: &Value, depth: usize) -> Value {
    let next = depth + 1;
    match value {
        Value::Array(_) | Value::Object(_) if depth == DEEPEST_KEPT => {
            json!({ "string_value": value.to_string() })
        }
        Value::Null => json!({}),
        Value::Bool(flag) => json!({ "bool_value": flag }),
        Value::String(text) => json!({ "string_value": text }),
        Value::Number(number) if number.is_i64() => json!({ "int_value": number }),
        Value::Number(number) => json!({ "double_value": number }),
        Value::Array(items) if items.is_empty() => json!({ "array_value": {} }),
        Value::Array(items) => {
            json!({ "array_value": { "values": items.iter().map(|item| any(item, next)).collect::<Vec<_>>() } })
        }
        Value::Object(fields) if fields.is_empty() => json!({ "kvlist_value": {} }),
        Value::Object(fields) => {
            let pair =
                |(key, value): (&String, &Value)| json!({ "key": key, "value": any(value, next) });
            json!({ "kvlist_value": { "values": fields.iter().map(pair).collect::<Vec<_>>() } })
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn preview(value: &Value) -> String {
    let whole = value.to_string();
    if whole.chars().count() <= PREVIEW {
        return whole;
    }
    whole.chars().take(PREVIEW - 3).chain("...".chars()).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
