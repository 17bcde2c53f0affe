//! Our server behind something that breaks one of its promises, or many: no check passes always.

use super::{app, report, report_of};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use mlops_serve::conformance::Outcome;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// A request and its answer in memory, as a saboteur sees them.
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Changes a request on its way in.
type Inward = fn(&mut Seen);
/// Changes an answer on its way out.
type Outward = fn(&Seen, &mut StatusCode, &mut HeaderMap, &mut Vec<u8>);

/// Our server, sabotaged.
fn sabotaged(inward: Inward, outward: Outward) -> Router {
    app().layer(from_fn(move |request: Request, next: Next| async move {
        let (mut parts, body) = request.into_parts();
        if parts.headers.get(header::CONTENT_TYPE).is_some_and(|form| form == "application/grpc") {
            return next.run(Request::from_parts(parts, body)).await;
        }
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let mut seen = Seen { path, headers: parts.headers.clone(), body };
        inward(&mut seen);
        seen.headers.remove(header::TRANSFER_ENCODING);
        seen.headers.insert(header::CONTENT_LENGTH, seen.body.len().into());
        parts.headers = seen.headers.clone();
        let answer = next.run(Request::from_parts(parts, Body::from(seen.body.clone()))).await;
        let (mut head, body) = answer.into_parts();
        let mut body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        outward(&seen, &mut head.status, &mut head.headers, &mut body);
        head.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(head, Body::from(body))
    }))
}

fn quiet(_: &mut Seen) {}

fn loyal(_: &Seen, _: &mut StatusCode, _: &mut HeaderMap, _: &mut Vec<u8>) {}

/// The answer's JSON with a change.
fn edit(body: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        change(&mut json);
        *body = json.to_string().into_bytes();
    }
}

fn is_infer(seen: &Seen) -> bool {
    seen.path.ends_with("/infer")
}

/// What is broken, how, and the checks that must see it.
const SABOTEURS: &[(&str, Inward, Outward, &[&str])] = &[
    (
        "an id is forgotten",
        quiet,
        |seen, _, _, body| {
            if is_infer(seen) {
                edit(body, |json| drop(json.as_object_mut().map(|all| all.remove("id"))));
            }
        },
        &["infer.id_is_echoed", "infer.many_at_once"],
    ),
    (
        "an id is invented",
        quiet,
        |seen, _, _, body| {
            if is_infer(seen) {
                edit(body, |json| {
                    if json["id"].is_null() {
                        json["id"] = "made-up".into();
                    }
                });
            }
        },
        &["infer.no_id_invented"],
    ),
    (
        "chosen outputs are not chosen",
        |seen| {
            if is_infer(seen) {
                let mut body = seen.body.to_vec();
                edit(&mut body, |json| drop(json.as_object_mut().map(|all| all.remove("outputs"))));
                seen.body = body.into();
            }
        },
        loyal,
        &["infer.chosen_output", "mistakes.unknown_output"],
    ),
    (
        "infinity stands bare",
        quiet,
        |_, _, _, body| {
            if let Ok(text) = std::str::from_utf8(body) {
                *body = text.replace("null", "Infinity").into_bytes();
            }
        },
        &["infer.infinity_in_json"],
    ),
    (
        "white space is none",
        |seen| {
            if is_infer(seen) && seen.body.contains(&b'\t') {
                seen.body = Bytes::new();
            }
        },
        loyal,
        &["infer.white_space"],
    ),
    (
        "escapes are not read",
        |seen| {
            if seen.body.windows(3).any(|three| three == b"\\u0") {
                seen.body = Bytes::new();
            }
        },
        loyal,
        &["infer.escaped_names"],
    ),
    (
        "nested data are not flattened",
        |seen| {
            if seen.body.windows(9).any(|nine| nine == b"\"data\":[[") {
                seen.body = Bytes::new();
            }
        },
        loyal,
        &["infer.nested_data"],
    ),
    (
        "data must come last",
        |seen| {
            if seen.body.windows(9).any(|nine| nine == b"{\"data\":[")
                && seen.body.len() < 20_000
                && seen.body.windows(14).any(|part| part == b"\"outputs\":[],\"")
            {
                seen.body = Bytes::new();
            }
        },
        loyal,
        &["infer.order_of_members"],
    ),
    (
        "the header of binary is dropped",
        |seen| {
            seen.headers.remove("inference-header-content-length");
        },
        loyal,
        &["binary.input"],
    ),
    (
        "binary outputs are not marked",
        quiet,
        |_, _, headers, _| {
            headers.remove("inference-header-content-length");
        },
        &["binary.outputs_by_default", "binary.output_by_name"],
    ),
    (
        "a number is read as another",
        quiet,
        |seen, _, headers, body| {
            if is_infer(seen) && !headers.contains_key("inference-header-content-length") {
                let text = String::from_utf8_lossy(body)
                    .replace("18446744073709551615", "18446744073709551614");
                *body = text.into_bytes();
            }
        },
        &["binary.datatype.UINT64"],
    ),
    (
        "errors are text",
        quiet,
        |_, status, headers, body| {
            if status.is_client_error() {
                headers.insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
                *body = b"wrong".to_vec();
            }
        },
        &[
            "mistakes.empty_body",
            "metadata.unknown_model",
            "http.errors_are_json",
            "robustness.json_errors_have_words",
            "robustness.binary_errors_have_words",
            "binary.mistakes.bytes_missing",
        ],
    ),
    (
        "the caller's mistakes are ours",
        quiet,
        |_, status, _, _| {
            if status.is_client_error() {
                *status = StatusCode::INTERNAL_SERVER_ERROR;
            }
        },
        &[
            "mistakes.are_4xx",
            "robustness.json_no_5xx",
            "robustness.binary_no_5xx",
            "http.unknown_path_404",
            "http.wrong_method_405",
            "health.unknown_model_404",
        ],
    ),
    (
        "values are repeated",
        quiet,
        |seen, status, _, body| {
            if status.is_client_error() {
                let text = String::from_utf8_lossy(&seen.body).into_owned();
                *body = serde_json::json!({ "error": text }).to_string().into_bytes();
            }
        },
        &["mistakes.repeat_nothing"],
    ),
    (
        "nothing is counted",
        quiet,
        |seen, _, _, body| {
            if seen.path.ends_with("/stats") {
                edit(body, |json| {
                    json["model_stats"][0]["inference_stats"]["success"]["count"] = 1.into();
                });
            }
        },
        &["statistics.count_up"],
    ),
    (
        "numbers are texts",
        quiet,
        |seen, _, _, body| {
            if seen.path.ends_with("/config") {
                edit(body, |json| json["max_batch_size"] = "8".into());
            }
        },
        &["configuration.model"],
    ),
    (
        "lengths are wanted",
        |seen| {
            if seen.headers.contains_key(header::TRANSFER_ENCODING) {
                seen.body = Bytes::new();
            }
        },
        loyal,
        &["http.chunked_body"],
    ),
    (
        "only one content type is known",
        |seen| {
            let form = seen.headers.get(header::CONTENT_TYPE);
            if is_infer(seen)
                && form.is_none_or(|form| {
                    form != "application/json" && form != "application/octet-stream"
                })
            {
                seen.body = Bytes::new();
            }
        },
        loyal,
        &["infer.without_content_type", "infer.content_type_with_charset"],
    ),
    (
        "outputs have other names",
        quiet,
        |seen, _, _, body| {
            if is_infer(seen) {
                *body = String::from_utf8_lossy(body).replace("out_fp32", "out_fp23").into_bytes();
            }
        },
        &["infer.outputs_are_declared"],
    ),
    (
        "a count is not the shape's",
        quiet,
        |seen, _, _, body| {
            if is_infer(seen) {
                edit(body, |json| json["outputs"][0]["shape"] = serde_json::json!([2, 3]));
            }
        },
        &["infer.answers"],
    ),
];

/// What a server says that has turned: to a request, knowing what the right answer to another was.
type Turned = fn(&Seen, &Bytes) -> Response;

/// After the requests that find out what there is, every answer is this.
fn turned(answer: Turned) -> Router {
    let (turned, good) = (Arc::new(AtomicU8::new(0)), Arc::new(std::sync::Mutex::default()));
    app().layer(from_fn(move |request: Request, next: Next| {
        let (turned, good) = (Arc::clone(&turned), Arc::<std::sync::Mutex<Bytes>>::clone(&good));
        async move {
            // What is asked twice before the first check is whether answers repeat.
            if turned.load(Ordering::SeqCst) < 2 {
                let is_infer = request.uri().path().ends_with("/infer");
                turned.fetch_add(u8::from(is_infer), Ordering::SeqCst);
                let (head, body) = next.run(request).await.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                if is_infer {
                    *good.lock().unwrap() = body.clone();
                }
                return Response::from_parts(head, Body::from(body));
            }
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            let seen =
                Seen { path: parts.uri.path().to_owned(), headers: parts.headers.clone(), body };
            let good = good.lock().unwrap().clone();
            answer(&seen, &good)
        }
    }))
}

fn is_grpc(seen: &Seen) -> bool {
    seen.headers.get(header::CONTENT_TYPE).is_some_and(|form| form == "application/grpc")
}

/// A message of gRPC and its status.
fn grpc_answer(status: &'static str, messages: &[u8]) -> Response {
    let mut head = HeaderMap::new();
    head.insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
    head.insert("grpc-status", status.parse().unwrap());
    (head, messages.to_vec()).into_response()
}

/// Everything is an error, and says nothing.
fn refuses(seen: &Seen, _: &Bytes) -> Response {
    if is_grpc(seen) {
        return grpc_answer("13", b"");
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "no").into_response()
}

/// Everything is the caller's mistake, and none is told which.
fn mumbles(seen: &Seen, _: &Bytes) -> Response {
    if is_grpc(seen) {
        return grpc_answer("3", b"");
    }
    (StatusCode::BAD_REQUEST, r#"{"error":"something is wrong"}"#).into_response()
}

/// Everything is right, and the answer is always the same.
fn agrees(seen: &Seen, good: &Bytes) -> Response {
    if is_grpc(seen) {
        // A message whose first field is true.
        return grpc_answer("0", &[0, 0, 0, 0, 2, 8, 1]);
    }
    (StatusCode::OK, good.clone()).into_response()
}

/// Nothing is answered: the connection breaks.
fn hangs_up(_: &Seen, _: &Bytes) -> Response {
    let broken =
        futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("gone")) });
    Body::from_stream(broken).into_response()
}

#[tokio::test]
async fn a_broken_promise_fails_its_checks_and_each_check_fails_somewhere() {
    let mut failed: BTreeSet<String> = BTreeSet::new();
    for &(what, inward, outward, wanted) in SABOTEURS {
        for check in wanted {
            let report = report_of(sabotaged(inward, outward), "plain", check).await;
            let row = report.checks.iter().find(|row| row.name == *check);
            let outcome = row.map(|row| row.outcome);
            assert_eq!(outcome, Some(Outcome::Failed), "{what}: {check}: {row:?}");
            failed.insert((*check).to_owned());
        }
    }
    let robustness = "robustness.";
    let all =
        [(refuses as Turned, ""), (agrees, ""), (mumbles, robustness), (hangs_up, robustness)];
    for (answer, only) in all {
        let report = report_of(turned(answer), "plain", only).await;
        assert!(!report.conforms());
        failed.extend(report.failed().map(|row| row.name.clone()));
    }
    let sound = report(app(), "plain").await;
    let passed = sound.checks.iter().filter(|row| row.outcome == Outcome::Passed);
    let never: Vec<&str> =
        passed.map(|row| row.name.as_str()).filter(|name| !failed.contains(*name)).collect();
    // What the server's metadata say is read before the first check.
    assert_eq!(never, ["metadata.datatypes"]);
}
