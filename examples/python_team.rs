//! A Python team and a Rust service on one record. The service keeps it and answers MLflow's clients; their script
//! (`python_team.py`: plain MLflow) trains, logs, registers and names the champion; the service answers with the
//! champion and goes over to the next one without a restart.
//!
//! `pip install mlflow onnx onnxruntime skl2onnx`, then `cargo run --example python_team [PYTHON]`. Keeps all in
//! `target/python_team`; a second start adds to it.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use mlops::page::Search;
use mlops::predictor::PredictRequest;
use mlops::serve::{Endpoint, EndpointConfig};
use mlops::store::mlflow::server::{ServerConfig, router};
use mlops::store::{SqlStore, StoreConfig};
use mlops::tensor::{Tensor, Tensors};
use mlops::{Predictor, Registry, Tracker};
use std::{env, error::Error, io, process::Command, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::spawn_blocking, time::sleep};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python_team.py");
const CHAMPION: &str = "models:/employment@champion";
/// Age 40, a bachelor's degree, …: the 16 features that the team trains on, in its order.
const PERSON: [f32; 16] = [40., 21., 1., 0., 2., 0., 1., 1., 4., 1., 1., 2., 2., 2., 1., 1.];

#[tokio::main]
async fn main() -> Result<()> {
    let store = SqlStore::open("target/python_team/mlops.db", StoreConfig::default()).await?;
    // Yours has an address that the team knows, and `ServerConfig::with_authenticator`.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let record = router(store.clone(), ServerConfig::default());
    tokio::spawn(async { axum::serve(listener, record).await });

    team(&address, "logistic").await?;
    let config = EndpointConfig::new("target/python_team/cache");
    let endpoint = Endpoint::connect(CHAMPION, Arc::new(store.clone()), config).await?;
    ask(&endpoint).await?;

    team(&address, "forest").await?;
    // Nobody tells the endpoint: it watches the record. A request in flight would end where it began.
    let named = store.resolve(&CHAMPION.parse()?).await?.id.version.to_string();
    while *endpoint.status().version != *named {
        if let Some(problem) = endpoint.status().problem {
            return Err(problem.to_string().into()); // the old one goes on answering
        }
        sleep(Duration::from_millis(10)).await;
    }
    ask(&endpoint).await?;

    // What they logged is yours to search, in their words.
    let good = Search::new().with_filter("metrics.roc_auc_2016 > 0.8 AND params.max_depth = '10'");
    for run in store.runs(good.with_max_results(1)).await?.items {
        println!("rust: run {} has {:.4}", run.name, run.metrics["roc_auc_2016"].value);
    }
    Ok(())
}

/// The team at work: another process, here on the same machine.
async fn team(record: &str, kind: &'static str) -> Result<()> {
    let python = env::args().nth(1).unwrap_or_else(|| "python3".into());
    let mut script = Command::new(&python);
    script.args([SCRIPT, kind]).env("MLFLOW_TRACKING_URI", record).env("NO_PROXY", "127.0.0.1");
    let ended = spawn_blocking(move || script.status()).await?;
    let ended =
        ended.map_err(|error| io::Error::new(error.kind(), format!("{python}: {error}")))?;
    if !ended.success() {
        return Err(format!("{python} {SCRIPT}: {ended}").into());
    }
    Ok(())
}

async fn ask(endpoint: &Endpoint) -> Result<()> {
    let person = Tensors::one("X", Tensor::from_vec([1, 16], PERSON.to_vec())?);
    let answer = endpoint.predict(PredictRequest::new(person)).await?;
    let employed = answer.outputs.require("probabilities")?.as_slice::<f32>()?[1];
    println!("rust: employed with {employed:.3}, says version {}", answer.version);
    Ok(())
}
