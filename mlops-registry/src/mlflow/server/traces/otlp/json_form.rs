//! The protocol's JSON: names in camel case, identities in hexadecimal digits, large numbers as texts.

use super::super::proto::{
    Any, AnyValue, ArrayValue, Event, ExportTraceServiceRequest, KeyValue, KeyValueList, Link,
    ProtoSpan, Resource, ResourceSpans, ScopeSpans, Status,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The request in a body, or `None` if it is none. How deep values go is bounded by the parser of JSON.
pub(super) fn read(body: &[u8]) -> Option<ExportTraceServiceRequest> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.as_object()?;
    let group = |group: &Value| {
        let resource = group.get("resource").map(|own| Some(Resource { attributes: pairs(own)? }));
        let scope = |scope: &Value| Some(ScopeSpans { spans: each(scope, "spans", span)? });
        let scope_spans = each(group, "scopeSpans", scope)?;
        Some(ResourceSpans { resource: resource.unwrap_or_default(), scope_spans })
    };
    Some(ExportTraceServiceRequest { resource_spans: each(&body, "resourceSpans", group)? })
}

/// The items of a list; absent is empty.
fn each<T>(of: &Value, name: &str, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match of.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(list) => list.as_array()?.iter().map(item).collect(),
    }
}

fn span(own: &Value) -> Option<ProtoSpan> {
    let event = |event: &Value| {
        let (time, name) = (nanos(event, "timeUnixNano")?, text(event, "name"));
        Some(Event { time_unix_nano: time, name, attributes: pairs(event)? })
    };
    let link = |link: &Value| {
        let (trace_id, span_id) = (bytes(link, "traceId")?, bytes(link, "spanId")?);
        Some(Link { trace_id, span_id, attributes: pairs(link)? })
    };
    let status = own.get("status").map(|status| Status {
        message: text(status, "message"),
        code: match &status["code"] {
            Value::Number(code) if code.as_i64() == Some(1) => 1,
            Value::Number(code) if code.as_i64() == Some(2) => 2,
            Value::String(code) if code == "STATUS_CODE_OK" => 1,
            Value::String(code) if code == "STATUS_CODE_ERROR" => 2,
            _ => 0,
        },
    });
    Some(ProtoSpan {
        trace_id: bytes(own, "traceId")?,
        span_id: bytes(own, "spanId")?,
        parent_span_id: bytes(own, "parentSpanId")?,
        name: text(own, "name"),
        start_time_unix_nano: nanos(own, "startTimeUnixNano")?,
        end_time_unix_nano: nanos(own, "endTimeUnixNano")?,
        attributes: pairs(own)?,
        events: each(own, "events", event)?,
        links: each(own, "links", link)?,
        status,
    })
}

fn pairs(of: &Value) -> Option<Vec<KeyValue>> {
    each(of, "attributes", pair)
}

#[expect(clippy::unnecessary_wraps, reason = "read beside others that can fail")]
fn pair(own: &Value) -> Option<KeyValue> {
    Some(KeyValue { key: text(own, "key"), value: own.get("value").and_then(any) })
}

fn any(own: &Value) -> Option<AnyValue> {
    let (kind, value) = own.as_object()?.iter().next()?;
    let value = match kind.as_str() {
        "stringValue" => Any::String(value.as_str()?.to_owned()),
        "boolValue" => Any::Bool(value.as_bool()?),
        "intValue" => Any::Int(value.as_i64().or_else(|| value.as_str()?.parse().ok())?),
        "doubleValue" => Any::Double(value.as_f64().or_else(|| value.as_str()?.parse().ok())?),
        "bytesValue" => Any::Bytes(STANDARD.decode(value.as_str()?).ok()?),
        "arrayValue" => Any::Array(ArrayValue { values: each(value, "values", any)? }),
        "kvlistValue" => Any::List(KeyValueList { values: each(value, "values", pair)? }),
        _ => return None,
    };
    Some(AnyValue { value: Some(value) })
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

fn nanos(of: &Value, name: &str) -> Option<u64> {
    match of.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(value) => value.as_u64().or_else(|| value.as_str()?.parse().ok()),
    }
}

/// Bytes of hexadecimal digits; absent is empty.
fn bytes(of: &Value, name: &str) -> Option<Vec<u8>> {
    let text = of[name].as_str().unwrap_or_default();
    let digit =
        |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}
