//! A client that writes first and reads later, on a connection that it keeps, is told why it is
//! refused, and is answered afterwards on the same connection.

use super::{Host, good, model, socket::Server};
use axum::{
    body::{Body, Bytes},
    http::Request,
};
use futures_util::stream;
use mlops_core::Principal;
use mlops_serve::http::{ApiKeys, HttpConfig, Service};
use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const INFER: &str = "POST /v2/models/sum/infer";

/// A connection that is kept.
struct Kept(BufReader<TcpStream>);

impl Kept {
    fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status of the answer to this body, which comes some time after its head.
    fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> u16 {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.write(head.as_bytes());
        // Long enough for an answer that does not wait for the body.
        std::thread::sleep(Duration::from_millis(30));
        for part in body.chunks(body.len().div_ceil(3)) {
            self.write(part);
        }
        self.read()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn read(&mut self) -> u16 {
        let (mut line, mut length) = (String::new(), 0);
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}"));
        let status = status.parse().unwrap();
        if status == 100 {
            self.0.read_line(&mut line).unwrap();
            return self.read();
        }
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        status
    }
}

#[test]
fn a_refused_request_leaves_its_connection_whole() {
    let service = Service::new().with_model(model("sum")).with_invocations("sum");
    let config = HttpConfig::default().with_max_body_bytes(100_000);
    let server = Server::start(Host::of(service.with_config(config)));
    let (body, long) = (good().to_string(), vec![b' '; 300_000]);
    let mut client = Kept::new(&server);
    for (line, headers, body, status) in [
        ("POST /v2/models/nobody/infer", "", body.as_bytes(), 404),
        ("POST /v2/models/sum/versions/77/infer", "", body.as_bytes(), 404),
        ("POST /v2/nowhere", "", body.as_bytes(), 404),
        ("PUT /v2/models/sum/infer", "", body.as_bytes(), 405),
        ("PUT /v2/models/sum", "", body.as_bytes(), 405),
        ("POST /v2/repository/models/sum/load", "", body.as_bytes(), 501),
        ("POST /v2/models/sum/outcomes", "", body.as_bytes(), 501),
        ("POST /invocations", "Content-Type: text/html\r\n", body.as_bytes(), 415),
        (INFER, "Content-Encoding: br\r\n", body.as_bytes(), 415),
        (INFER, "Content-Encoding: gzip\r\n", body.as_bytes(), 400),
        (INFER, "Inference-Header-Content-Length: x\r\n", body.as_bytes(), 400),
        (INFER, "", &long, 413),
        ("POST /invocations", "Content-Type: application/json\r\n", &long, 413),
        (INFER, "Content-Encoding: gzip\r\n", &long[..90_000], 400),
        (INFER, "Expect: 100-continue\r\nContent-Encoding: gzip\r\n", &long[..90_000], 400),
        ("GET /v2/health/live", "", body.as_bytes(), 200),
    ] {
        assert_eq!(client.ask(line, headers, body), status, "{line} {headers}");
    }
    assert_eq!(client.ask(INFER, "", body.as_bytes()), 200);
}

#[test]
fn who_is_not_known_is_told_so() {
    let keys = ApiKeys::new().with_key(Principal::new("shop"), "c2hvcC1zZWNyZXQtMQ").unwrap();
    let service = Service::new().with_model(model("sum")).with_invocations("sum");
    let server = Server::start(Host::of(service.with_authenticator(Arc::new(keys))));
    let body = good().to_string();
    let mut client = Kept::new(&server);
    for line in [INFER, "POST /v2/models/nobody/infer", "POST /invocations"] {
        assert_eq!(client.ask(line, "", body.as_bytes()), 401, "{line}");
    }
    let key = "X-Api-Key: c2hvcC1zZWNyZXQtMQ\r\n";
    assert_eq!(client.ask(INFER, key, body.as_bytes()), 200);
}

/// Nobody waits for a body that does not come, neither the client nor a handler.
#[test]
fn a_refusal_comes_before_the_body() {
    let config = HttpConfig::default();
    for config in [config.clone(), config.with_timeout(None)] {
        let service = Service::new().with_model(model("sum")).with_invocations("sum");
        let server = Server::start(Host::of(service.with_config(config)));
        for line in
            ["POST /v2/models/nobody/infer", "PUT /v2/models/sum/infer", "POST /invocations"]
        {
            let mut client = Kept::new(&server);
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
            client.write(head.as_bytes());
            assert!([404, 405, 415].contains(&client.read()), "{line}");
        }
    }
}

/// Good requests in pieces, by routes that lend their bodies.
#[test]
fn bodies_in_pieces_are_answered() {
    let service = Service::new().with_model(model("sum")).with_invocations("sum");
    let server = Server::start(Host::of(service));
    let mut client = Kept::new(&server);
    let body = good().to_string();
    let (first, second) = body.split_at(50);
    for _ in 0..2 {
        client.write(b"POST /v2/models/sum/versions/1/infer HTTP/1.1\r\nHost: x\r\n");
        client.write(b"Transfer-Encoding: chunked\r\n\r\n");
        for part in [first, second, ""] {
            client.write(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
        }
        assert_eq!(client.read(), 200);
    }
}

/// A host may hand on bodies that panic if they are asked after their end, and need not say where it is.
#[tokio::test]
async fn no_body_is_asked_after_its_end() {
    let once = |bytes: Vec<u8>| {
        let pieces = stream::unfold(Some(Bytes::from(bytes)), async |piece| {
            piece.map(|piece| (Ok::<_, Infallible>(piece), None))
        });
        Body::from_stream(pieces)
    };
    let host = Host::of(Service::new().with_model(model("sum")).with_invocations("sum"));
    let body = good().to_string().into_bytes();
    for (path, body, coding, status) in [
        ("/v2/models/sum/infer", &body[..], "identity", 200),
        ("/v2/models/sum/versions/1/infer", &body[..], "identity", 200),
        ("/v2/models/sum/infer", &body[..20], "identity", 400),
        ("/v2/models/sum/versions/1/infer", &body[..20], "identity", 400),
        ("/v2/models/sum/infer", &[0x1f, 0x8b, 8][..], "gzip", 400),
        ("/v2/models/sum/versions/1/infer", &[0x1f, 0x8b, 8][..], "gzip", 400),
    ] {
        let request = Request::post(path).header("content-encoding", coding);
        let answer = host.send(request.body(once(body.to_vec())).unwrap()).await;
        assert_eq!(answer.status, status, "{path} {coding}: {}", answer.text());
        tokio::task::yield_now().await;
    }
    host.still_answers().await;
}

/// What is read for the sake of the answer has a bound, and a smaller one for who is not known.
#[tokio::test]
async fn no_more_is_read_than_the_bound() {
    let keys = ApiKeys::new().with_key(Principal::new("shop"), "c2hvcC1zZWNyZXQtMQ").unwrap();
    let config = HttpConfig::default().with_max_drained_bytes(100_000);
    let service = Service::new().with_model(model("sum")).with_config(config);
    let host = Host::of(service.with_authenticator(Arc::new(keys)));
    for (path, key, status, chunks) in [
        ("/v2/models/nobody/infer", "c2hvcC1zZWNyZXQtMQ", 404, 101),
        ("/v2/models/sum/infer", "c2hvcC1zZWNyZXQtMQ", 415, 101),
        ("/v2/models/nobody/infer", "x", 401, 66),
        ("/v2/models/sum/infer", "x", 401, 66),
    ] {
        let taken = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&taken);
        let endless = stream::repeat_with(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(vec![b' '; 1000]))
        });
        let request = Request::post(path).header("content-encoding", "br").header("x-api-key", key);
        let answer = host.send(request.body(Body::from_stream(endless)).unwrap()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(taken.load(Ordering::Relaxed), chunks, "{path}");
    }
}
