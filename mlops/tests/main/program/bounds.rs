//! What `mlops serve` does with more than it was told to take.

use super::{
    Place, Serving, WIDTH, data,
    grpc::{Client, address, wait},
    onnx,
};
use serde_json::{Value, json};
use std::{
    io::{
        ErrorKind::{TimedOut, WouldBlock},
        Read, Write,
    },
    net::TcpStream,
    sync::Barrier,
    time::Duration,
};

const LATE: Duration = Duration::from_secs(20);

fn opened(server: &Serving) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).unwrap()
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
}

/// The beginning of the answer, if it comes within this time.
fn answered(stream: &mut TcpStream, within: Duration) -> Option<String> {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut bytes = [0; 512];
    match stream.read(&mut bytes) {
        Ok(count) => Some(String::from_utf8_lossy(&bytes[..count]).into_owned()),
        Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => None,
        Err(error) => panic!("{error}"),
    }
}

/// One connection more than there may be waits until another is closed; those that are open are answered, and the
/// other port has connections of its own.
#[test]
fn connections_past_the_most_wait_for_a_place() {
    let place = Place::new();
    let model = format!("risk={}", onnx("logistic").display());
    let flags = ["--model", &model, "--grpc-port", "0", "--max-connections", "2"];
    let server = place.serve(&flags);
    let ok = |answer: Option<String>| {
        let answer = answer.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    let mut open = [opened(&server), opened(&server)];
    for stream in &mut open {
        ask(stream);
        ok(answered(stream, LATE));
    }
    let mut waiting = opened(&server);
    ask(&mut waiting);
    let early = answered(&mut waiting, Duration::from_millis(500));
    assert_eq!(early, None, "a third connection was answered");
    for stream in &mut open {
        ask(stream);
        ok(answered(stream, LATE));
    }
    wait(async {
        let client = Client::connect(address(&server)).await;
        assert_eq!(client.call("ServerLive", Vec::new()).await.0, "0");
    });
    assert_eq!(answered(&mut waiting, Duration::from_millis(100)), None);

    let [first, mut second] = open;
    drop(first);
    ok(answered(&mut waiting, LATE));
    ask(&mut second);
    ok(answered(&mut second, LATE));
    assert_eq!(server.end().code(), Some(0));
}

/// So many rows that computing them takes long enough for others to come meanwhile, as raw bytes.
fn many_rows() -> (usize, Vec<u8>) {
    const ROWS: usize = 8_000;
    let rows = std::fs::read(data("forest.inputs.bin")).unwrap();
    let rows: Vec<u8> = rows.into_iter().cycle().take(ROWS * WIDTH * 4).collect();
    let input = json!({
        "name": "features", "shape": [ROWS, WIDTH], "datatype": "FP32",
        "parameters": { "binary_data_size": rows.len() },
    });
    let head = json!({ "inputs": [input], "parameters": { "binary_data_output": true } });
    let head = head.to_string().into_bytes();
    (head.len(), [head, rows].concat())
}

/// The statuses of so many requests that are sent at once, each with what it was refused with.
fn all_at_once(server: &Serving, count: usize) -> Vec<(u16, String)> {
    let (length, body) = many_rows();
    let (length, start) = (length.to_string(), Barrier::new(count));
    let one = || {
        let request = server.client.post(format!("{}/v2/models/m/infer", server.url));
        let request = request.header("inference-header-content-length", &length);
        start.wait();
        let mut answer = request.send(&body[..]).unwrap();
        let status = answer.status().as_u16();
        if status == 200 {
            return (status, String::new());
        }
        assert!(answer.headers().contains_key("retry-after"), "{status} does not say when");
        (status, answer.body_mut().read_to_string().unwrap())
    };
    std::thread::scope(|scope| {
        let going: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        going.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// With one thread one request is computed and one waits, be it for the thread or to be gathered; what more there is gets
/// 429, and the server is well after. A queue as long as the callers are many refuses none.
#[test]
fn requests_past_the_queue_are_refused() {
    let place = Place::new();
    let model = format!("m={}", onnx("forest").display());
    let alone = ["--model", &model, "--threads", "1"];
    let gathering = [&alone[..], &["--max-batch-rows", "16000"]].concat();
    for flags in [&alone[..], &gathering] {
        let server = place.serve(&[flags, &["--queue", "1"]].concat());
        let answers = all_at_once(&server, 8);
        let refused: Vec<&(u16, String)> =
            answers.iter().filter(|(status, _)| *status != 200).collect();
        assert!((1..=7).contains(&refused.len()), "{flags:?}: {answers:?}");
        for (status, said) in refused {
            assert_eq!(*status, 429, "{said}");
            let said: Value = serde_json::from_str(said).unwrap();
            assert!(said["error"].as_str().unwrap().contains("wait"), "{said}");
        }
        assert_eq!(all_at_once(&server, 1)[0].0, 200);
        let (_, metrics) = server.get("/metrics");
        assert!(metrics.contains("mlops_http_failed_total 0\n"), "{metrics}");
        assert_eq!(server.end().code(), Some(0));

        let server = place.serve(&[flags, &["--queue", "8"]].concat());
        let answers = all_at_once(&server, 8);
        assert!(answers.iter().all(|(status, _)| *status == 200), "{flags:?}: {answers:?}");
        assert_eq!(server.end().code(), Some(0));
    }
}
