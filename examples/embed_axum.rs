//! Models in the service that you already have: your router, login, metrics, shutdown and runtime.
//!
//! `cargo run --example embed_axum` starts it, asks it, and stops it as Ctrl-C would.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use mlops::Digest;
use mlops::serve::engines::tabular::TabularEngine;
use mlops::serve::{Endpoint, LoadOptions, LocalConfig, LocalPredictor};
use mlops::serve::{http::Service, telemetry::Telemetry};
use std::{error::Error, future::Future, sync::Arc};
use tokio::{net::TcpListener, sync::oneshot};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");
const TOKEN: &str = "Bearer correct horse battery staple"; // yours comes from the environment
const BODY: &str = r#"{"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 16],
    "data": [40, 21, 1, 0, 2, 0, 1, 1, 4, 1, 1, 2, 2, 2, 1, 1]}]}"#;

// One thread: short calls of a model run on it, long ones on threads that the model brings along.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let shop = format!("http://{}", listener.local_addr()?);

    let (quit, stopped) = oneshot::channel();
    let client = std::thread::spawn(move || (ask(&shop), quit.send(())).0);
    let until = async { stopped.await.unwrap_or_default() }; // yours: tokio::signal::ctrl_c()
    serve(listener, Endpoint::from_predictor("employment", model), until).await?;
    client.join().map_err(|_| "the client panicked")??;
    Ok(())
}

/// Serves models beside your own routes until told to stop; requests under way are answered.
async fn serve(
    listener: TcpListener,
    model: Endpoint,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    // The recorder is yours: the family installs none, and tells it what it has counted when you ask.
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let telemetry = Arc::new(Telemetry::new().with_endpoint(&model));
    let models = Service::new().with_model(model);
    let app = Router::new()
        .nest("/ml", models.into_router())
        .layer(from_fn(authenticate)) // your login guards what stands above it
        .route("/", get(async || "the shop"))
        .route("/metrics", get(async move || (telemetry.update(), recorder.render()).1));
    Ok(axum::serve(listener, app).with_graceful_shutdown(until).await?)
}

/// Compares digests, so that how long it takes tells nothing of the token.
async fn authenticate(request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map(|header| Digest::of(header.as_bytes()));
    if given == Some(Digest::of(TOKEN)) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, "who are you?").into_response()
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn ask(shop: &str) -> Result<(), ureq::Error> {
    let infer = || ureq::post(format!("{shop}/ml/v2/models/employment/infer"));
    println!("without a token: {:?}", infer().send(BODY).err());
    let mut answer = infer().header("authorization", TOKEN).send(BODY)?;
    println!("with it: {}", answer.body_mut().read_to_string()?);
    println!("{}", ureq::get(format!("{shop}/metrics")).call()?.body_mut().read_to_string()?);
    Ok(())
}
