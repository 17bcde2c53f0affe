//! One of everything, as a host would use it: a record, engines, an endpoint, a router, a monitor.

use super::globals::PLANNED;
use host::{predictor::Rule, service};
use mlops::{
    Alias, ModelName, Registry, Tracker,
    arrow::array::{ArrayRef, Float64Array, RecordBatch},
    drift::Verdict,
    model::PackageBuilder,
    registry::{CreateVersion, MoveAlias},
    serve::{
        Endpoint, EndpointConfig, LoadOptions, LocalConfig, LocalPredictor, Stop,
        engines::{
            candle::{MlpConfig, Task, TrainOptions, train},
            tabular::TabularEngine,
        },
        http::Service,
    },
    signature::ModelSignature,
    store::{SqlStore, StoreConfig},
    tensor::Tensor,
    testing::FnPredictor,
    tracker::{Batch, CreateExperiment, CreateRun, Metric},
    watch::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions},
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};
use tokio::net::TcpListener;

/// A champion of the `tabular` engine, by the goldens of its tests.
const ONNX: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../mlops-serve/tests/data/tabular/logistic.onnx");

pub(crate) async fn live() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open(folder.path().join("mlops.db"), StoreConfig::default()).await;
    let store = store.unwrap();
    track(&store).await;
    register(&store, "mlp", trained()).await;
    let endpoint = follow(store, folder.path()).await;
    let broken = FnPredictor::new("broken", ModelSignature::default(), |_| panic!("{PLANNED}"));
    let models = Service::new()
        .with_model(Rule::new().unwrap())
        .with_model(logistic())
        .with_model(broken)
        .with_named("mlp", endpoint);
    let counters = models.counters();
    serve(service::app(models)).await;
    let counts = counters.read();
    assert_eq!((counts.panics, counts.failed), (1, 1), "{counts:?}");
    watch();
}

async fn track(store: &SqlStore) {
    let experiment = store.create_experiment(CreateExperiment::new("host")).await.unwrap();
    let run = store.create_run(CreateRun::new(experiment.id)).await.unwrap();
    let auc = Metric::new("roc_auc", 0.9, 0, run.started);
    store.log_batch(&run.id, Batch::new().with_metrics(vec![auc])).await.unwrap();
}

/// What no line can tell apart, learnt on candle's own threads.
fn trained() -> PackageBuilder {
    let x = vec![0_f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let x = Tensor::from_vec([4, 2], x).unwrap();
    let y = Tensor::from_vec([4], vec![0_i64, 1, 1, 0]).unwrap();
    let config = MlpConfig::new(2, Task::Classes(2)).with_hidden([16]);
    let options = TrainOptions::new().with_epochs(200).with_learning_rate(0.05);
    train(&config, &x, &y, &options, &Stop::new()).unwrap().package().unwrap()
}

async fn register(store: &SqlStore, name: &str, package: PackageBuilder) {
    let folder = tempfile::tempdir().unwrap();
    let package = package.write(folder.path().join("package")).unwrap();
    let (name, champion) = (ModelName::new(name).unwrap(), Alias::new("champion").unwrap());
    let new = CreateVersion::new(name.clone(), package.folder());
    let version = store.create_version(new).await.unwrap();
    let first = MoveAlias::new(name, champion, version.id.version, "the first");
    store.move_alias(first).await.unwrap();
}

async fn follow(store: SqlStore, folder: &Path) -> Endpoint {
    let config = EndpointConfig::new(folder.join("cache"));
    Endpoint::connect("models:/mlp@champion", Arc::new(store), config).await.unwrap()
}

fn logistic() -> LocalPredictor {
    let session = TabularEngine::new().load_file(ONNX, &LoadOptions::default()).unwrap();
    LocalPredictor::open("logistic", "1", session, &LocalConfig::default()).unwrap()
}

/// The host's app on a socket, asked by a client of another make on another thread.
async fn serve(app: axum::Router) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        stopped.await.ok();
    });
    let client = tokio::task::spawn_blocking(move || {
        ask(&format!("http://{address}"));
        stop.send(()).unwrap();
    });
    server.await.unwrap();
    client.await.unwrap();
}

fn ask(host: &str) {
    assert_eq!(get(&format!("{host}/")), (200, "home".to_owned()));
    assert_eq!(get(&format!("{host}/v2")), (404, "the host's own".to_owned()));
    let of = |name: &str, kind: &str, shape: Value, data: Value| json!({ "name": name, "datatype": kind, "shape": shape, "data": data });
    let rule = [
        of("income", "FP64", json!([2]), json!([30.0, 5.0])),
        of("amount", "FP64", json!([2]), json!([10.0, 15.0])),
    ];
    let (status, answer) = infer(host, "rule", &rule);
    assert_eq!((status, &answer["outputs"][0]["data"]), (200, &json!([0.75, 0.25])), "{answer}");

    let (status, answer) = infer(host, "broken", &[]);
    assert_eq!(status, 500, "{answer}");

    let corners = of("x", "FP32", json!([4, 2]), json!([0, 0, 0, 1, 1, 0, 1, 1]));
    let (status, answer) = infer(host, "mlp", &[corners]);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["outputs"][0]["shape"][0], 4, "{answer}");

    let features = of("features", "FP32", json!([1, 30]), json!(vec![0.0; 30]));
    let (status, answer) = infer(host, "logistic", &[features]);
    assert_eq!((status, &answer["model_name"]), (200, &json!("logistic")), "{answer}");
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn get(url: &str) -> (u16, String) {
    let mut response = agent().get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

fn infer(host: &str, model: &str, inputs: &[Value]) -> (u16, Value) {
    let url = format!("{host}/ml/v2/models/{model}/infer");
    let mut response = agent().post(&url).send_json(json!({ "inputs": inputs })).unwrap();
    (response.status().as_u16(), response.body_mut().read_json().unwrap())
}

fn watch() {
    let rows = |shift: f64| {
        let ages: Float64Array = (0..1000).map(|row| Some(f64::from(row % 83) + shift)).collect();
        RecordBatch::try_from_iter([("age", Arc::new(ages) as ArrayRef)]).unwrap()
    };
    let reference = Profile::fit(&[rows(0.0)], &ProfileOptions::default()).unwrap();
    let config = ProfileDetectorConfig::default();
    let mut detector = ProfileDetector::open(config, reference).unwrap();
    use mlops::DriftDetector;
    detector.update(&rows(12.0)).unwrap();
    assert_eq!(detector.evaluate().unwrap().verdict, Verdict::Drifted);
}
