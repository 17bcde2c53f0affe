//! A real socket on 127.0.0.1, served on a thread with a current-thread runtime, and a client of
//! another make (ureq) that asks.

use super::{Answer, Host, Waits, good};
use mlops_serve::{
    Endpoint,
    http::{HttpConfig, HttpCounters, Service},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Serves until it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) counters: Arc<HttpCounters>,
    client: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(host: Host) -> Self {
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let app = host.app;
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let served = axum::serve(listener, app);
                served.with_graceful_shutdown(async { drop(stopped.await) }).await.unwrap();
            });
        });
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let client = config.new_agent();
        Self { address, counters: host.counters, client, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn post(&self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let url = format!("http://{}{path}", self.address);
        let mut answer = self.client.post(url).send(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
    }

    /// The whole answer to a POST with these headers; its body as it came.
    pub(super) fn ask(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.client.post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body).unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.body_mut().read_to_vec().unwrap().into() }
    }

    pub(super) fn still_answers(&self) {
        let body = good().to_string();
        let (status, answer) = self.post("/v2/models/sum/infer", body.as_bytes());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["outputs"][0]["data"], json!([3.0, 7.0]));
        let counts = self.counters.read();
        assert_eq!((counts.panics, counts.internal_errors), (0, 0));
    }

    /// Sends these bytes as they are and returns what comes until the server closes.
    pub(super) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Kept-alive connections must go before a graceful shutdown ends.
        self.client = ureq::Agent::new_with_defaults();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[test]
fn a_client_that_asks_before_it_sends_is_refused_before_it_sends() {
    let server = Server::start(Host::new(HttpConfig::default()));
    let head = "POST /v2/models/sum/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n";
    let answer = server.raw(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    server.still_answers();
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let server = Server::start(Host::new(HttpConfig::default().with_max_body_bytes(1000)));
    let head = "POST /v2/models/sum/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    let answer = server.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(100)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("longer than 1000 bytes"), "{answer}");
    server.still_answers();
}

/// A client that goes away before the answer takes the model's work along, and is counted.
#[test]
fn a_client_that_does_not_wait_takes_its_work_along() {
    let (model, dropped) = Waits::new("slow");
    let endpoint = Endpoint::from_predictor("slow", model);
    let service = Service::new().with_model(super::model("sum"));
    let server = Server::start(Host::of(service.with_named("slow", endpoint.clone())));
    let mut stream = TcpStream::connect(server.address).unwrap();
    let body = "{\"inputs\":[]}";
    let head = format!("Host: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = format!("POST /v2/models/slow/infer HTTP/1.1\r\n{head}{body}");
    stream.write_all(request.as_bytes()).unwrap();
    until("in flight", || endpoint.stats().in_flight == 1);
    assert!(!dropped.load(Ordering::SeqCst));
    drop(stream);
    until("given up", || endpoint.stats().abandoned == 1);
    assert!(dropped.load(Ordering::SeqCst));
    server.still_answers();
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A client that goes away in the middle of its body leaves nothing behind.
#[test]
fn a_client_that_goes_away_harms_nobody() {
    let server = Server::start(Host::new(HttpConfig::default()));
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = "POST /v2/models/sum/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
    }
    server.still_answers();
}
