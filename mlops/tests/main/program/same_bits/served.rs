//! The roads of a server.

use super::{
    answers::{of_predictions, of_tensors},
    case::{Bits, Case, Unsayable},
};
use crate::program::{
    Place, Serving,
    grpc::{Client, address, field, wait},
};
use serde_json::{Value, json};

/// Every road of a server that does not batch.
pub(super) fn served(place: &Place, case: &Case) {
    let model = format!("risk={}", case.source);
    let mut flags = vec!["--model", &model, "--grpc-port", "0"];
    flags.extend(case.engine.iter().flat_map(|engine| ["--engine", *engine]));
    let (server, wanted) = (place.serve(&flags), case.in_process());
    over_rest(&server, case, &wanted);
    over_grpc(&server, case, &wanted);
    for (at, (kind, body, unsayable)) in case.bodies().into_iter().enumerate() {
        let what = format!("{}: body {at} of /invocations, {kind}", case.name);
        match unsayable.and_then(|unsayable| case.without(unsayable)) {
            None => assert_eq!(scored(&server, kind, &body, &wanted), wanted, "{what}"),
            Some(rest) => {
                refused(&server, kind, &body, case);
                let (_, body, _) = rest.bodies().remove(at);
                let wanted = rest.in_process();
                assert_eq!(scored(&server, kind, &body, &wanted), wanted, "{what}");
            }
        }
    }
    assert_eq!(server.end().code(), Some(0));
}

/// The status, the length of the JSON that begins the answer if it says one, and the answer.
fn send(
    server: &Serving,
    path: &str,
    (name, value): (&str, &str),
    body: &[u8],
) -> (u16, Option<usize>, Vec<u8>) {
    let request = server.client.post(format!("{}{path}", server.url)).header(name, value);
    let mut answer = request.send(body).unwrap();
    let length = answer.headers().get("inference-header-content-length");
    let length = length.map(|length| length.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), length, answer.body_mut().read_to_vec().unwrap())
}

/// In JSON, with what JSON cannot say marked and not; and as bytes.
fn over_rest(server: &Serving, case: &Case, wanted: &Bits) {
    let path = "/v2/models/risk/infer";
    let asked = |body: &Value, wanted: &Bits| {
        let (status, answer) = server.post(path, body);
        assert_eq!(status, 200, "{}: {answer}", case.name);
        let outputs = answer["outputs"].as_array().unwrap();
        let find = |name: &str| {
            outputs.iter().find(|output| output["name"] == name).unwrap()["data"].clone()
        };
        assert_eq!(of_tensors(find, wanted), *wanted, "{} over REST", case.name);
    };
    asked(&case.question(true), wanted);
    if case.misses_numbers() {
        let rest = case.without(Unsayable::Infinity);
        let rest = rest.as_ref().unwrap_or(case);
        asked(&rest.question(false), &rest.in_process());
        // The name of what JSON has no number for is no number.
        let (status, answer) = server.post(path, &named(case));
        assert_eq!(status, 400, "{}: {answer}", case.name);
        let said = answer["error"].as_str().unwrap();
        assert!(said.contains("input \"") && said.contains("element "), "{said}");
    }
    let (length, body) = case.binary_question();
    let header = ("inference-header-content-length", &*length.to_string());
    let (status, length, answer) = send(server, path, header, &body);
    assert_eq!(status, 200, "{}: {}", case.name, String::from_utf8_lossy(&answer));
    let bits: Vec<u8> = wanted.iter().flat_map(|(_, bits)| bits.clone()).collect();
    assert!(answer[length.unwrap()..] == bits, "{}: other bits in binary", case.name);
}

/// The question with names in the place of numbers that JSON cannot say.
fn named(case: &Case) -> Value {
    let mut question = case.question(false);
    for input in question["inputs"].as_array_mut().unwrap() {
        for cell in input["data"].as_array_mut().unwrap().iter_mut().filter(|cell| cell.is_null()) {
            *cell = json!("NaN");
        }
    }
    question
}

/// With the elements as raw bytes, and in the fields of their types.
fn over_grpc(server: &Serving, case: &Case, wanted: &Bits) {
    // The outputs as raw bytes end the message.
    let raw: Vec<u8> = wanted.iter().flat_map(|(_, bits)| field(6, bits)).collect();
    for is_raw in [true, false] {
        let message = case.message("risk", is_raw);
        let asked =
            async { Client::connect(address(server)).await.call("ModelInfer", message).await };
        let (status, answer) = wait(asked);
        assert_eq!(status, "0", "{}: {}", case.name, String::from_utf8_lossy(&answer));
        assert!(answer.ends_with(&raw), "{}: other bits over gRPC, raw: {is_raw}", case.name);
    }
}

fn scored(server: &Serving, kind: &str, body: &[u8], wanted: &Bits) -> Bits {
    let (status, _, answer) = send(server, "/invocations", ("content-type", kind), body);
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(status, 200, "{kind}: {text}");
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    of_predictions(&answer["predictions"], wanted)
}

/// A road that has no word for a cell says in which input, or in which line, it stands.
fn refused(server: &Serving, kind: &str, body: &[u8], case: &Case) {
    let (status, _, answer) = send(server, "/invocations", ("content-type", kind), body);
    let text = String::from_utf8(answer).unwrap();
    assert_eq!(status, 400, "{}: {kind}: {text}", case.name);
    let answer: Value = serde_json::from_str(&text).unwrap();
    let said = answer["message"].as_str().unwrap();
    assert!(said.contains("input \"") && said.contains("element "), "{}: {said}", case.name);
}
