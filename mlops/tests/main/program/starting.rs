//! What `mlops serve` says while its models are still loaded.

use super::{Place, onnx, rows};
use serde_json::{Value, json};
use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Says nothing to who connects until it is let, then passes everything on.
fn slow_way_to(server: SocketAddr, let_through: Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        if let_through.recv().is_err() {
            return;
        }
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            pass_on(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass_on(server, client);
        }
    });
    address
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || io::copy(&mut from, &mut to));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_server_that_still_loads_lives_and_is_not_ready() {
    let place = Place::new();
    let other = place.serve(&["--model", &format!("risk={}", onnx("logistic").display())]);
    let (let_through, wait) = channel();
    let there = other.url.strip_prefix("http://").unwrap().parse().unwrap();
    let slow = slow_way_to(there, wait);

    let (port, source) = (free_port().to_string(), format!("http://{slow}/v2/models/risk"));
    let mut command = place.command(&["serve", "--port", &port, "--model", &source]);
    let mut child = Ended(command.stdout(Stdio::null()).spawn().unwrap());
    let client: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .new_agent();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let get = |path: &str| client.get(url(path)).call().map(|answer| answer.status().as_u16());
    let soon = |path: &str, wanted: u16| {
        (0..2400).any(|_| {
            thread::sleep(Duration::from_millis(25));
            get(path).is_ok_and(|status| status == wanted)
        })
    };
    assert!(soon("/v2/health/live", 200));
    if child.0.try_wait().unwrap().is_some() {
        println!("skipped: another took port {port} meanwhile");
        return;
    }
    let row = rows("logistic", 1).remove(0).1;
    let body = json!({ "inputs": [
        { "name": "features", "shape": [1, 30], "datatype": "FP32", "data": row },
    ]});
    let infer = || client.post(url("/v2/models/risk/infer")).send(body.to_string()).unwrap();
    assert_eq!(get("/v2/health/ready").unwrap(), 503);
    let refused = infer();
    assert_eq!(
        (refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()),
        (503, &b"1"[..])
    );
    drop(refused);
    let table = json!({ "dataframe_split": { "columns": [], "data": [] } }).to_string();
    let empty = String::new();
    for (path, body) in [("/invocations", &table), ("/v2/repository/index", &empty)] {
        let answer = client.post(url(path)).content_type("application/json").send(body).unwrap();
        assert_eq!(answer.status(), 503, "{path}");
    }
    for path in ["/v2/models", "/models", "/ping"] {
        assert_eq!(get(path).unwrap(), 503, "{path}");
    }

    let_through.send(()).unwrap();
    assert!(soon("/v2/health/ready", 200), "it never was ready");
    let mut answer = infer();
    assert_eq!(answer.status(), 200);
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(answer["outputs"], other.infer("risk", &[row]).0["outputs"]);
}

/// Killed when the test is over, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that is asked for its model by another, which starts at the same time.
#[test]
fn who_starts_with_the_server_that_it_asks_waits_for_it() {
    let place = Place::new();
    let model = onnx("logistic");
    let behind = place.serve(&["--model", &format!("risk={}", model.display())]);
    let (let_through, wait) = channel();
    let there = behind.url.strip_prefix("http://").unwrap().parse().unwrap();
    let (slow, port) = (slow_way_to(there, wait), free_port().to_string());
    let source = format!("http://{slow}/v2/models/risk");
    let mut middle = place.command(&["serve", "--port", &port, "--model", &source]);
    let mut middle = Ended(middle.stdout(Stdio::null()).spawn().unwrap());
    thread::spawn(move || {
        // Longer than three attempts take where a server says to come back after a second.
        thread::sleep(Duration::from_secs(4));
        let_through.send(()).unwrap();
    });
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(middle.0.try_wait().unwrap().is_none(), "it ended");
        thread::sleep(Duration::from_millis(20));
    }
    let front = place.serve(&["--model", &format!("http://127.0.0.1:{port}/v2/models/risk")]);
    let row = rows("logistic", 1).remove(0).1;
    let answers =
        [&front, &behind].map(|server| server.infer("risk", std::slice::from_ref(&row)).0);
    assert_eq!(answers[0]["outputs"], answers[1]["outputs"]);
}
