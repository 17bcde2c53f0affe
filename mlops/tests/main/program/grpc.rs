//! `mlops serve --grpc-port`, asked by a client made of frames of HTTP/2 alone.

use super::{Place, Serving, onnx, rows};
use axum::http::Request;
use bytes::Bytes;
use std::{
    io::{
        ErrorKind::{TimedOut, WouldBlock},
        Read, Write,
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

const LATE: Duration = Duration::from_secs(20);

pub(super) fn address(server: &Serving) -> &str {
    server.grpc.as_deref().unwrap().strip_prefix("grpc://").unwrap()
}

/// A field of bytes; its number is below 16.
pub(super) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut head, mut length) = (vec![number << 3 | 2], bytes.len());
    while length > 127 {
        head.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    head.push(u8::try_from(length).unwrap());
    [head, bytes.to_vec()].concat()
}

/// `ModelInferRequest` with these rows as raw bytes.
fn question(model: &str, rows: &[Vec<f32>]) -> Vec<u8> {
    let shape = [u8::try_from(rows.len()).unwrap(), u8::try_from(super::WIDTH).unwrap()];
    let input = [field(1, b"features"), field(2, b"FP32"), field(3, &shape)].concat();
    let raw: Vec<u8> = rows.concat().iter().flat_map(|value| value.to_le_bytes()).collect();
    [field(1, model.as_bytes()), field(5, &input), field(7, &raw)].concat()
}

pub(super) struct Client(h2::client::SendRequest<Bytes>);

impl Client {
    pub(super) async fn connect(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(super) async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// The status, and the answer's message.
    pub(super) async fn call(&self, method: &str, message: Vec<u8>) -> (String, Vec<u8>) {
        let mut sender = self.0.clone().ready().await.unwrap();
        let request = Request::post(format!("http://a/inference.GRPCInferenceService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0], &length[..], &message].concat();
        body.send_data(framed.into(), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
        let status = trailers["grpc-status"].to_str().unwrap().to_owned();
        (status, bytes.split_off(bytes.len().min(5)))
    }
}

/// A stream on which one request was answered, and no other will be sent.
async fn open_stream(client: &Client, message: Vec<u8>) -> impl Sized {
    let mut sender = client.0.clone().ready().await.unwrap();
    let request = Request::post("http://a/inference.GRPCInferenceService/ModelStreamInfer")
        .header("content-type", "application/grpc");
    let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    body.send_data([&[0], &length[..], &message].concat().into(), false).unwrap();
    let mut answers = answer.await.unwrap().into_body();
    answers.data().await.unwrap().unwrap();
    (body, answers)
}

pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LATE, work).await.unwrap() })
}

#[test]
fn the_same_models_over_both() {
    let place = Place::new();
    let model = format!("risk={}", onnx("lightgbm").display());
    let server = place.serve(&["--model", &model, "--grpc-port", "0"]);
    let rows: Vec<Vec<f32>> = rows("lightgbm", 20).into_iter().map(|(_, row)| row).collect();
    let (over_http, _) = server.infer("risk", &rows);
    wait(async {
        let client = Client::connect(address(&server)).await;
        assert_eq!(client.call("ServerReady", Vec::new()).await, ("0".into(), vec![8, 1]));
        let (status, answer) = client.call("ModelInfer", question("risk", &rows)).await;
        assert_eq!(status, "0");
        // The outputs as raw bytes end the message, in the order of the outputs.
        let output = |at: usize, bits: &dyn Fn(&serde_json::Value) -> Vec<u8>| -> Vec<u8> {
            over_http["outputs"][at]["data"].as_array().unwrap().iter().flat_map(bits).collect()
        };
        #[expect(clippy::cast_possible_truncation, reason = "they are shortest digits of an f32")]
        let f32_bits =
            |value: &serde_json::Value| (value.as_f64().unwrap() as f32).to_le_bytes().to_vec();
        let i64_bits = |value: &serde_json::Value| value.as_i64().unwrap().to_le_bytes().to_vec();
        let raw = [field(6, &output(0, &i64_bits)), field(6, &output(1, &f32_bits))].concat();
        assert!(answer.ends_with(&raw), "other bits than over HTTP");
        let (status, _) = client.call("ModelInfer", question("nobody", &rows)).await;
        assert_eq!(status, "5");
    });
    // Counted with the others.
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("mlops_endpoint_answered_total{endpoint=\"risk\"} 2\n"), "{metrics}");
    assert_eq!(server.end().code(), Some(0));
}

/// Neither a quiet connection nor an open stream holds the server up; a call in flight is answered first.
#[test]
fn it_ends_when_asked_with_connections_open() {
    let place = Place::new();
    let model = format!("risk={}", onnx("logistic").display());
    let server = place.serve(&["--model", &model, "--grpc-port", "0"]);
    let address = address(&server).to_owned();
    let row = rows("logistic", 1).remove(0).1;
    let (connected, is_connected) = std::sync::mpsc::channel();
    let (go, going) = tokio::sync::oneshot::channel();
    let asking = std::thread::spawn(move || {
        wait(async {
            let (idle, client) = (Client::connect(&address).await, Client::connect(&address).await);
            assert_eq!(client.call("ServerLive", Vec::new()).await.0, "0");
            let _stream = open_stream(&idle, question("risk", std::slice::from_ref(&row))).await;
            let mut sender = client.0.clone().ready().await.unwrap();
            let request = Request::post("http://a/inference.GRPCInferenceService/ModelInfer")
                .header("content-type", "application/grpc");
            let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
            let message = question("risk", &[row]);
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            body.send_data([&[0], &length[..]].concat().into(), false).unwrap();
            // Its first part is there.
            tokio::time::sleep(Duration::from_millis(300)).await;
            connected.send(()).unwrap();
            going.await.unwrap();
            body.send_data(message.into(), true).unwrap();
            let mut body = answer.await.unwrap().into_body();
            while let Some(chunk) = body.data().await {
                chunk.unwrap();
            }
            body.trailers().await.unwrap().unwrap()["grpc-status"].to_str().unwrap().to_owned()
        })
    });
    is_connected.recv().unwrap();
    let ending = std::thread::spawn(move || server.end());
    std::thread::sleep(Duration::from_millis(300));
    go.send(()).unwrap();
    assert_eq!(asking.join().unwrap(), "0");
    assert_eq!(ending.join().unwrap().code(), Some(0));
}

/// Who does not speak HTTP/2, or does not answer a ping, is shown out; who is only quiet stays.
#[test]
fn silent_connections_are_closed() {
    let place = Place::new();
    let model = format!("risk={}", onnx("logistic").display());
    let server = place.serve(&["--model", &model, "--grpc-port", "0", "--idle-seconds", "1"]);
    let address = address(&server);
    wait(async {
        let quiet = Client::connect(address).await;
        let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let ends = ["", "PRI * HT"].map(str::as_bytes).into_iter().chain([&settings[..]]);
        let shown_out = ends.map(|says| {
            let (address, says) = (address.to_owned(), says.to_vec());
            tokio::task::spawn_blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(LATE)).unwrap();
                stream.write_all(&says).unwrap();
                let ended = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
                assert!(!matches!(ended, Err(TimedOut | WouldBlock)), "{says:?} is not shown out");
            })
        });
        for one in shown_out.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert_eq!(quiet.call("ServerLive", Vec::new()).await.0, "0");
    });
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_known_at_once() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let model = onnx("logistic");
    let arguments =
        ["serve", "--model", model.to_str().unwrap(), "--port", "0", "--grpc-port", &port];
    place.run(&arguments).failed(69, &port);
}
