//! Whoever says nothing is shown out; whoever speaks is heard.

use super::{Place, Serving};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const IDLE: [&str; 2] = ["--idle-seconds", "1"];

#[test]
fn silent_connections_of_a_record_are_closed() {
    let place = Place::new();
    let server = place.start("server", &IDLE);
    shown_out(&server, "/health");
    let create = |path: &str| {
        format!("POST /api/2.0/mlflow{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{{")
    };
    cut_off(&server, &create("/experiments/create"));
    cut_off(&server, &create("-artifacts/artifacts/a.txt").replace("POST", "PUT"));
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn silent_connections_of_a_model_are_closed() {
    let place = Place::new();
    place.package("logistic", "model");
    let server = place.serve(&[&["--model", "m=model"][..], &IDLE].concat());
    shown_out(&server, "/v2/health/live");
    let infer = "POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{";
    cut_off(&server, infer);
    assert_eq!(server.end().code(), Some(0));
}

/// Whose body stalls is refused, and shown out.
fn cut_off(server: &Serving, request: &str) {
    let mut client = opened(server, request);
    let (mut answer, began) = (String::new(), Instant::now());
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(began.elapsed() < LATE, "{answer}");
}

fn shown_out(server: &Serving, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n");
    let mut clients = [
        // Says nothing; stalls in the first line; stalls before the head's end.
        opened(server, ""),
        opened(server, "GET /he"),
        opened(server, &head),
    ];
    // A client that asks again and again with pauses in between stays.
    let mut asking = opened(server, "");
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(400));
        write!(asking, "{head}\r\n").unwrap();
        let mut answer = [0; 12];
        asking.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        asking.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let _ = asking.read(&mut [0; 4096]);
        asking.set_read_timeout(Some(LATE)).unwrap();
    }
    clients.iter_mut().for_each(closed);
    closed(&mut asking);
    assert_eq!(server.get(path).0, 200);
}

const LATE: Duration = Duration::from_secs(20);

fn opened(server: &Serving, says: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LATE)).unwrap();
    stream.write_all(says.as_bytes()).unwrap();
    stream
}

/// That the server ends the connection, whatever it says before.
fn closed(stream: &mut TcpStream) {
    let start = Instant::now();
    let ended = stream.read_to_end(&mut Vec::new());
    let gone = ended.map_err(|error| error.kind());
    assert!(!matches!(gone, Err(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)));
    assert!(start.elapsed() < LATE);
}
