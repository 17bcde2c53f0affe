//! One model of 30 features behind `POST /v2/models/gbdt/infer`, written by hand with axum: typed, and fast.
//!
//! Usage: `axum-handler MODEL.onnx PORT`; prints `listening` once it does.
//!
//! The same engine, checks and answer as `mlops serve`, and nothing else: no other route, model, type or limit
//! than this model needs; no metrics, timeouts, counts or graceful end. What it does for speed:
//! - numbers are read from the body straight into the vector that becomes the tensor, by a parser of floats alone:
//!   serde's took 2 of the 22 µs of a request
//! - names are compared where they lie in the body; nothing is allocated for what is right
//! - the answer is written into one buffer by hand around serde's numbers
//! - a connection is hyper's HTTP/1 with axum's router in it, without the guessing of `axum::serve`

mod request;
mod response;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use mlops_core::{Clock, IdSource, PooledIds, PredictionId, SystemClock, tensor::Tensors};
use mlops_serve::{
    InferOptions, LoadOptions, Session, Stop,
    engines::tabular::{TabularEngine, TabularSession},
};
use std::{env, error::Error, sync::Arc};
use tokio::net::TcpListener;

/// What answers, made once.
struct Model {
    session: Arc<TabularSession>,
    input: Arc<str>,
    ids: PooledIds,
    never: Stop,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [path, port] = words.as_slice() else {
        return Err("usage: axum-handler MODEL.onnx PORT".into());
    };
    let session = TabularEngine::new().load_file(path, &LoadOptions::default())?;
    let input = Arc::clone(&session.info().signature.inputs[0].name);
    let (ids, never) = (PooledIds::new(), Stop::new());
    let model: &'static Model = Box::leak(Box::new(Model { session, input, ids, never }));
    let app = Router::new().route("/v2/models/gbdt/infer", post(infer)).with_state(model);
    let listener = TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?;
    println!("listening");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            // A client that breaks off harms nobody else.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A mistake of the caller's, in words.
type Refusal = &'static str;

async fn infer(State(model): State<&'static Model>, body: Bytes) -> Response {
    answer(model, &body).unwrap_or_else(|(status, message)| {
        let body = format!("{{\"error\":\"{message}\"}}");
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    })
}

fn answer(model: &Model, body: &[u8]) -> Result<Response, (StatusCode, Refusal)> {
    let wrong = |message| (StatusCode::BAD_REQUEST, message);
    let request = request::read(body, &model.input).map_err(wrong)?;
    let inputs = Tensors::one(Arc::clone(&model.input), request.tensor);
    let outputs = model.session.run(&inputs, &InferOptions::new(&model.never));
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, "the model failed");
    let outputs = outputs.map_err(|_| failed)?;
    let prediction = PredictionId::from_u128(model.ids.next(SystemClock.now())).to_string();
    let body = response::write(request.id.as_deref(), &prediction, &outputs).ok_or(failed)?;
    let prediction = HeaderValue::from_str(&prediction).map_err(|_| failed)?;
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("x-prediction-id"), prediction);
    Ok(response)
}
