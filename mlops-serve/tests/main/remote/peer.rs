//! A server of HTTP/1 that says what a test has it say, byte for byte.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// What it does with one request to infer.
pub(super) enum Say {
    /// These bytes, and the connection stays.
    This(Vec<u8>),
    /// These bytes, and the connection is closed.
    AndClose(Vec<u8>),
    /// Nothing, until the client goes.
    Nothing,
}

pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Requests to infer that came.
    pub(super) asked: Arc<AtomicUsize>,
    /// Clients that went while nothing was said.
    pub(super) gone: Arc<AtomicUsize>,
}

const MODEL: &str = r#"{"name":"m","versions":["1"],"platform":"x",
    "inputs":[{"name":"x","datatype":"FP32","shape":[-1]}],
    "outputs":[{"name":"y","datatype":"FP32","shape":[-1]}]}"#;

/// An answer of HTTP.
pub(super) fn http(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What a model that takes `x` of one row answers.
pub(super) fn good() -> Vec<u8> {
    let body = r#"{"model_name":"m","model_version":"1",
        "outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[2.5]}]}"#;
    http("200 OK", "", body)
}

impl Peer {
    /// `say` is asked at each request to infer, with how many came before.
    pub(super) fn start(say: impl Fn(usize) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (say, counts) = (Arc::new(say), (Arc::clone(&asked), Arc::clone(&gone)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (say, counts) = (Arc::clone(&say), counts.clone());
                std::thread::spawn(move || converse(stream.unwrap(), &*say, &counts.0, &counts.1));
            }
        });
        Self { address, asked, gone }
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn converse(
    mut stream: TcpStream,
    say: &dyn Fn(usize) -> Say,
    asked: &AtomicUsize,
    gone: &AtomicUsize,
) {
    while let Some(path) = next_request(&mut stream) {
        if path == "/v2" {
            drop(stream.write_all(&http("200 OK", "", r#"{"name":"x","version":"1"}"#)));
        } else if !path.ends_with("/infer") {
            drop(stream.write_all(&http("200 OK", "", MODEL)));
        } else {
            match say(asked.fetch_add(1, Ordering::SeqCst)) {
                Say::This(bytes) => drop(stream.write_all(&bytes)),
                Say::AndClose(bytes) => return drop(stream.write_all(&bytes)),
                Say::Nothing => {
                    drop(stream.read(&mut [0; 1]));
                    gone.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }
}

/// The path of the next request, once all of it is there.
fn next_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    stream.read_exact(&mut vec![0; length]).ok()?;
    head.split_whitespace().nth(1).map(str::to_owned)
}
