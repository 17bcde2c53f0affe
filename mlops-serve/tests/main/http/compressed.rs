//! Bodies that are compressed, both ways.

use super::{Host, good, model, socket::Server};
use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
};
use flate2::{
    Compression,
    read::{GzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use futures_util::{StreamExt, stream};
use mlops_serve::http::{HttpConfig, Service};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const PATH: &str = "/v2/models/sum/infer";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut writer = ZlibEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A coding, what compresses, and what reads it again.
type Pair = (&'static str, fn(&[u8]) -> Vec<u8>, fn(&[u8]) -> Vec<u8>);

fn codings() -> Vec<Pair> {
    fn all(mut reader: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }
    vec![
        ("gzip", gzip, |bytes| all(GzDecoder::new(bytes))),
        ("deflate", deflate, |bytes| all(ZlibDecoder::new(bytes))),
        #[cfg(feature = "zstd")]
        (
            "zstd",
            |bytes| zstd::encode_all(bytes, 3).unwrap(),
            |bytes| zstd::decode_all(bytes).unwrap(),
        ),
    ]
}

fn server(config: HttpConfig) -> Server {
    let service = Service::new().with_model(model("sum")).with_invocations("sum");
    Server::start(Host::of(service.with_config(config)))
}

/// A request of so many rows, whose answer is long.
fn many(rows: usize) -> Value {
    let data: Vec<u8> = (0..rows * 2).map(|at| u8::try_from(at % 7).unwrap()).collect();
    let labels: Vec<String> = (0..rows).map(|at| format!("label {}", at % 3)).collect();
    json!({ "inputs": [
        { "name": "x", "shape": [rows, 2], "datatype": "FP32", "data": data },
        { "name": "label", "shape": [rows], "datatype": "BYTES", "data": labels },
    ]})
}

fn without_id(mut answer: Value) -> Value {
    answer["parameters"] = Value::Null;
    answer
}

/// A body of any length within the bound is what it stands for: also one that is inflated on another
/// thread.
#[test]
fn a_compressed_request_is_answered_as_the_plain_one() {
    let server = server(HttpConfig::default().with_max_inline_bytes(10_000));
    for rows in [1, 100, 20_000] {
        let body = many(rows).to_string();
        let (status, plain) = server.post(PATH, body.as_bytes());
        assert_eq!(status, 200);
        let plain: Value = serde_json::from_slice(&plain).unwrap();
        for (name, compress, _) in codings() {
            let headers = [("content-encoding", name)];
            let answer = server.ask(PATH, &headers, &compress(body.as_bytes()));
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            assert!(!answer.headers.contains_key("content-encoding"));
            assert_eq!(without_id(answer.json()), without_id(plain.clone()), "{name}, {rows} rows");
        }
    }
    let table = json!({ "dataframe_split": {
        "columns": ["age", "income", "label"], "data": [[1, 2, "a"], [3, 4, "b"]],
    }});
    let headers = [("content-encoding", "x-gzip"), ("content-type", "application/json")];
    let answer = server.ask("/invocations", &headers, &gzip(table.to_string().as_bytes()));
    assert_eq!(answer.json()["predictions"][1], json!({ "sum": 7.0, "label": "b" }));
    server.still_answers();
}

/// The header counts bytes of what the body stands for, both ways.
#[test]
fn raw_tensors_are_compressed_with_their_header() {
    let server = server(HttpConfig::default().with_min_compressed_bytes(1));
    let head = json!({
        "inputs": [
            { "name": "x", "shape": [500, 2], "datatype": "FP32", "parameters": { "binary_data_size": 4000 } },
            { "name": "label", "shape": [500], "datatype": "BYTES", "parameters": { "binary_data_size": 2500 } },
        ],
        "parameters": { "binary_data_output": true },
    });
    let head = head.to_string();
    let mut body = head.clone().into_bytes();
    body.extend((0..1000).flat_map(|at: u16| f32::from(at).to_le_bytes()));
    body.extend(std::iter::repeat_n([1, 0, 0, 0, b'a'], 500).flatten());
    for (name, compress, read) in codings() {
        let length = head.len().to_string();
        let headers = [
            ("content-encoding", name),
            ("accept-encoding", name),
            ("inference-header-content-length", length.as_str()),
        ];
        let answer = server.ask(PATH, &headers, &compress(&body));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.headers["content-encoding"], name);
        assert_eq!(answer.headers["vary"], "accept-encoding");
        let length: usize = answer.headers["content-length"].to_str().unwrap().parse().unwrap();
        assert_eq!(length, answer.body.len());
        let whole = read(&answer.body);
        let json = &answer.headers["inference-header-content-length"];
        let (json, raw) = whole.split_at(json.to_str().unwrap().parse().unwrap());
        let json: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 2000);
        let sums: Vec<f32> =
            raw[..2000].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!((sums[0], sums[499]), (1.0, 1997.0));
        assert_eq!(raw.len(), 4500);
    }
}

#[test]
fn an_answer_is_compressed_for_who_asks_and_if_it_is_long() {
    let server = server(HttpConfig::default());
    let (short, long) = (good().to_string(), many(5000).to_string());
    for (asked, expected) in [
        (None, None),
        (Some("identity"), None),
        (Some("br;q=1, *;q=0.5"), None),
        (Some("gzip;q=0"), None),
        (Some("deflate, gzip;q=0.5"), Some("deflate")),
        (Some("gzip, br"), Some("gzip")),
    ] {
        let headers: Vec<_> = asked.map(|list| ("accept-encoding", list)).into_iter().collect();
        let coding = |answer: &super::Answer| {
            answer.headers.get("content-encoding").map(|v| v.to_str().unwrap().to_owned())
        };
        let answer = server.ask(PATH, &headers, short.as_bytes());
        assert_eq!(coding(&answer), None, "a short answer to {asked:?}");
        assert_eq!(answer.json()["outputs"][0]["data"], json!([3.0, 7.0]));
        let answer = server.ask(PATH, &headers, long.as_bytes());
        assert_eq!(coding(&answer).as_deref(), expected, "a long answer to {asked:?}");
        let bytes = match expected {
            None => answer.body.to_vec(),
            Some(name) => {
                let all = codings();
                all.iter().find(|(own, ..)| *own == name).unwrap().2(&answer.body)
            }
        };
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(answer["outputs"][0]["data"].as_array().unwrap().len(), 5000);
    }
    let table =
        json!({ "dataframe_records": vec![json!({ "age": 1, "income": 2, "label": "a" }); 500] });
    let headers = [("accept-encoding", "gzip"), ("content-type", "application/json")];
    let answer = server.ask("/invocations", &headers, table.to_string().as_bytes());
    let bytes = codings()[0].2(&answer.body);
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(answer["predictions"].as_array().unwrap().len(), 500);
}

/// A gigabyte of spaces in a few bytes: refused once as much came out as a body may have.
#[test]
fn a_bomb_is_too_large() {
    let server = server(HttpConfig::default().with_max_body_bytes(1 << 20));
    let spaces = vec![b' '; 32 << 20];
    for (name, compress, _) in codings() {
        // Members and frames follow each other; zlib's format has one.
        let copies = if name == "deflate" { 1 } else { 32 };
        let bomb = compress(&spaces).repeat(copies);
        let answer = server.ask(PATH, &[("content-encoding", name)], &bomb);
        assert_eq!(answer.status, 413, "{name}");
        assert_eq!(answer.error(), "the body is longer than 1048576 bytes");
    }
    server.still_answers();
}

/// Chunks without end, and how many of them were taken.
fn endless(chunk: Vec<u8>) -> (Body, Arc<AtomicUsize>) {
    let (chunk, taken) = (Bytes::from(chunk), Arc::<AtomicUsize>::default());
    let counter = Arc::clone(&taken);
    let chunks = stream::repeat(chunk).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    (Body::from_stream(chunks.map(Ok::<_, Infallible>)), taken)
}

/// No more is read of a bomb than makes the limit; what stands for nothing is no way around it.
#[tokio::test]
async fn a_bomb_is_refused_early() {
    let config = HttpConfig::default().with_max_body_bytes(1 << 20).with_max_drained_bytes(0);
    for (name, compress, _) in codings().into_iter().filter(|(name, ..)| *name != "deflate") {
        for (bytes, most) in [(vec![b' '; 1 << 20], 3), (Vec::new(), 60_000_usize)] {
            let host = Host::new(config.clone());
            let (body, taken) = endless(compress(&bytes));
            let request = Request::post(PATH).header(header::CONTENT_ENCODING, name);
            let answer = host.send(request.body(body).unwrap()).await;
            let read = taken.load(Ordering::Relaxed);
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{name}");
            assert!(read <= most.max((1 << 20) / 9 + 2), "{name}: {read} chunks");
            host.still_answers().await;
        }
    }
}

/// What bodies become counts as bodies do, and is given back.
#[tokio::test]
async fn what_bodies_become_shares_their_memory() {
    let config = HttpConfig::default().with_max_bytes_in_flight(10_000);
    let host = Host::new(config);
    let padded = gzip(format!("{}{}", good(), " ".repeat(20_000)).as_bytes());
    let request = Request::post(PATH).header(header::CONTENT_ENCODING, "gzip");
    let answer = host.send(request.body(Body::from(padded)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.error().contains("memory"), "{}", answer.error());
    let padded = format!("{}{}", good(), " ".repeat(9_000));
    assert_eq!(host.infer(padded).await.status, StatusCode::OK);
}

#[test]
fn other_codings_are_refused_by_name() {
    let server = server(HttpConfig::default());
    let taken = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
    for (name, says) in [
        ("br", "is \"br\"".to_owned()),
        ("gzip, gzip", "is \"gzip, gzip\"".to_owned()),
        (&"x".repeat(1000), format!("is \"{}\";", "x".repeat(32))),
        ("", "identity".to_owned()),
    ] {
        let answer = server.ask(PATH, &[("content-encoding", name)], b"{}");
        if name.is_empty() {
            assert_eq!(answer.status, 400, "{}", answer.text());
            continue;
        }
        assert_eq!(answer.status, 415);
        assert!(answer.error().contains(&says), "{}", answer.error());
        let list = format!("taken are identity, {taken}, deflate");
        assert!(answer.error().ends_with(&list), "{}", answer.error());
    }
    let twice = [("content-encoding", "gzip"), ("content-encoding", "gzip")];
    let answer = server.ask(PATH, &twice, &gzip(b"{}"));
    assert_eq!((answer.status.as_u16(), answer.error().contains("several")), (415, true));
    let headers = [("content-encoding", "br"), ("content-type", "text/csv")];
    let answer = server.ask("/invocations", &headers, b"x");
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error_code"].as_str()),
        (415, Some("BAD_REQUEST"))
    );
    server.still_answers();
}

/// Cut off, damaged, or followed by something: the caller's mistake, and nobody is harmed.
#[test]
fn damaged_bodies_are_refused() {
    let server = server(HttpConfig::default());
    for (name, compress, _) in codings() {
        let whole = compress(many(50).to_string().as_bytes());
        let coded = [("content-encoding", name)];
        for cut in (0..whole.len()).step_by(7) {
            let answer = server.ask(PATH, &coded, &whole[..cut]);
            assert_eq!(answer.status, 400, "{name} cut at {cut}: {}", answer.text());
        }
        for at in (0..whole.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let status = server.ask(PATH, &coded, &damaged).status.as_u16();
            // Some bytes mean nothing: the time in a head, a flag that nobody reads.
            assert!([200, 400].contains(&status), "{name} damaged at {at}: {status}");
        }
        let more = [&whole[..], b"more"].concat();
        let answer = server.ask(PATH, &coded, &more);
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.error().contains(&format!("the body's {name} ")), "{}", answer.error());
    }
    server.still_answers();
}

/// How much a frame wants to look back is memory that it asks for.
#[cfg(feature = "zstd")]
#[test]
fn a_frame_with_a_huge_window_is_refused() {
    let server = server(HttpConfig::default());
    let body = good().to_string();
    for (log, status) in [(23, 200), (27, 400)] {
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        writer.window_log(log).unwrap();
        writer.write_all(body.as_bytes()).unwrap();
        let answer = server.ask(PATH, &[("content-encoding", "zstd")], &writer.finish().unwrap());
        assert_eq!(answer.status, status, "a window of 2^{log}: {}", answer.text());
    }
}
