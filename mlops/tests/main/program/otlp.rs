//! `mlops serve --otlp-endpoint`: what a collector of OpenTelemetry receives.

use super::{Place, Serving, grpc, onnx, rows};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that takes what it is sent.
struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<Received>>>,
}

/// A request's head in small letters, and its body.
type Received = (String, Vec<u8>);

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some((head, body)) = next_request(&mut stream) {
                    kept.lock().unwrap().push((head, body));
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.get_mut().write_all(answer).unwrap();
                }
            }
        });
        Self { url, requests }
    }

    /// The spans that came, each request a POST of protobuf.
    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().unwrap();
        let all = requests.iter().flat_map(|(head, body)| {
            assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
            assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
            let resources = ExportTraceServiceRequest::decode(&**body).unwrap().resource_spans;
            resources.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans)
        });
        all.collect()
    }
}

fn next_request(stream: &mut impl BufRead) -> Option<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn id(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Asks as a caller who is traced, sampled or not.
fn ask(server: &Serving, flags: &str) {
    let row = rows("logistic", 1).remove(0).1;
    let body = json!({ "inputs": [
        { "name": "features", "shape": [1, 30], "datatype": "FP32", "data": row },
    ]});
    let request = server.client.post(format!("{}/v2/models/risk/infer", server.url));
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
    assert_eq!(request.send(body.to_string()).unwrap().status(), 200);
}

#[test]
fn a_collector_receives_spans_of_the_callers_trace() {
    let (place, collector) = (Place::new(), Collector::start());
    let model = format!("risk={}", onnx("logistic").display());
    let flags = ["--model", &model, "--grpc-port", "0", "--otlp-endpoint", &collector.url];
    let server = place.serve(&flags);
    ask(&server, "01");
    // Who is not sampled sends nothing, and who is not traced begins a trace.
    ask(&server, "00");
    assert_eq!(server.get("/v2/health/live").0, 200);
    grpc::wait(async {
        let client = grpc::Client::connect(grpc::address(&server)).await;
        assert_eq!(client.call("ServerLive", Vec::new()).await.0, "0");
    });
    // What has not been sent is sent before it ends.
    assert_eq!(server.end().code(), Some(0));

    let spans = collector.spans();
    let named =
        |name: &str| -> Vec<&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let [asked] = named("POST /v2/models/risk/infer")[..] else { panic!("{spans:?}") };
    assert_eq!((&asked.trace_id, &asked.parent_span_id), (&id(TRACE), &id(PARENT)));
    assert_eq!(asked.kind, SpanKind::Server as i32);
    assert!(asked.end_time_unix_nano > asked.start_time_unix_nano);
    let inside = spans.iter().filter(|span| span.parent_span_id == asked.span_id);
    assert!(inside.clone().all(|span| span.trace_id == asked.trace_id));
    assert_eq!(inside.count(), 1, "what the router traces is below it: {spans:?}");
    for name in ["GET /v2/health/live", "POST /inference.GRPCInferenceService/{method}"] {
        let [own] = named(name)[..] else { panic!("{name}: {spans:?}") };
        assert!(own.parent_span_id.is_empty() && own.trace_id != id(TRACE), "{own:?}");
    }
}

/// A collector that is away costs its spans and nobody's answer.
#[test]
fn without_its_collector_a_server_answers_and_ends() {
    let place = Place::new();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let model = format!("risk={}", onnx("logistic").display());
    let server = place.serve(&["--model", &model, "--otlp-endpoint", &format!("http://{gone}")]);
    ask(&server, "01");
    assert_eq!(server.end().code(), Some(0));
    place.run(&["serve", "--model", &model, "--otlp-endpoint", "no url"]).failed(65, "OTLP");
}
