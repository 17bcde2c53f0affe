//! The methods that only describe say what the same questions over HTTP say.

use super::{
    Server, good,
    proto::{
        Flag, ModelConfigResponse, ModelMetadata, ModelStatisticsResponse, RepositoryIndexResponse,
        ServerMetadata, Target,
    },
};
use crate::http::model;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use mlops_core::{
    Error, Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
    testing::FnPredictor,
};
use mlops_serve::http::{HttpConfig, Service};
use prost::Message;
use serde_json::{Value, json};
use std::sync::Arc;
use tonic::Code;
use tower::ServiceExt;

/// A model that is never ready, and whose signature has no axis of rows.
#[derive(Debug)]
struct Away(FnPredictor);

#[async_trait::async_trait]
impl Predictor for Away {
    fn info(&self) -> Arc<PredictorInfo> {
        self.0.info()
    }
    async fn ready(&self) -> Result<()> {
        Err(Error::unavailable("its machine is away"))
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.0.predict(request).await
    }
}

async fn server() -> Server {
    let spec = |name| TensorSpec::new(name, DType::Bytes, [Some(3)]);
    let signature = ModelSignature::new(vec![spec("a")], vec![spec("b")]).unwrap();
    let away = Away(FnPredictor::new("away", signature, |inputs| Ok(inputs.clone())));
    Server::of(Service::new().with_model(model("sum")).with_model(away)).await
}

async fn ask<M: Message + Default>(server: &Server, method: &str, name: &str) -> M {
    let target = Target { name: name.to_owned(), version: String::new() };
    let (answer, _) = server.call(method, target.encode_to_vec()).await.unwrap();
    M::decode(&*answer).unwrap()
}

async fn http(server: &Server, request: Request<Body>) -> Value {
    let response = server.app.clone().oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn get(server: &Server, path: &str) -> Value {
    http(server, Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn health_is_what_it_is() {
    let server = server().await;
    let flag = async |method, name| ask::<Flag>(&server, method, name).await.value;
    assert!(flag("ServerLive", "").await);
    assert!(!flag("ServerReady", "").await, "one model is away");
    assert!(flag("ModelReady", "sum").await);
    assert!(!flag("ModelReady", "away").await);
    assert!(!flag("ModelReady", "nobody").await);
    let alone = Server::start(HttpConfig::default()).await;
    assert!(ask::<Flag>(&alone, "ServerReady", "").await.value);
    let nobody = Server::of(Service::new()).await;
    assert!(!ask::<Flag>(&nobody, "ServerReady", "").await.value, "it answers nobody");
}

#[tokio::test]
async fn metadata_are_those_of_http() {
    let server = server().await;
    let said: ServerMetadata = ask(&server, "ServerMetadata", "").await;
    let over_http = get(&server, "/v2").await;
    assert_eq!(json!(said.extensions), over_http["extensions"]);
    assert_eq!(
        (json!(said.name), json!(said.version)),
        (over_http["name"].clone(), over_http["version"].clone())
    );

    let said: ModelMetadata = ask(&server, "ModelMetadata", "sum").await;
    let over_http = get(&server, "/v2/models/sum").await;
    assert_eq!(
        (json!(said.name), json!(said.versions)),
        (over_http["name"].clone(), over_http["versions"].clone())
    );
    for (specs, side) in [(said.inputs, "inputs"), (said.outputs, "outputs")] {
        for (at, spec) in specs.iter().enumerate() {
            let theirs = &over_http[side][at];
            assert_eq!(json!(spec.name), theirs["name"]);
            assert_eq!(json!(spec.datatype), theirs["datatype"]);
            assert_eq!(json!(spec.shape), theirs["shape"]);
        }
        assert_eq!(specs.len(), over_http[side].as_array().unwrap().len());
    }
    let target = Target { name: "nobody".to_owned(), version: String::new() };
    let status = server.call("ModelMetadata", target.encode_to_vec()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no model \"nobody\""));
    let target = Target { name: "sum".to_owned(), version: "9".to_owned() };
    let status = server.call("ModelMetadata", target.encode_to_vec()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("version \"9\""), "{status:?}");
}

/// The axis of rows is Triton's batch; a model without one has no batches.
#[tokio::test]
async fn a_configuration_leaves_the_axis_of_rows_out() {
    let server = server().await;
    let config = ask::<ModelConfigResponse>(&server, "ModelConfig", "sum").await.config.unwrap();
    assert_eq!(config.max_batch_size, 1 << 25);
    let inputs: Vec<_> = config.input.iter().map(|i| (&*i.name, i.data_type, &*i.dims)).collect();
    assert_eq!(inputs, [("x", 11, &[2_i64][..]), ("label", 13, &[])]);
    let outputs: Vec<_> = config.output.iter().map(|o| (&*o.name, o.data_type, &*o.dims)).collect();
    assert_eq!(outputs, [("sum", 11, &[][..]), ("label", 13, &[])]);
    let over_http = get(&server, "/v2/models/sum/config").await;
    let wanted = json!({
        "name": "sum", "platform": "mlops", "max_batch_size": 1 << 25,
        "input": [
            { "name": "x", "data_type": "TYPE_FP32", "dims": [2] },
            { "name": "label", "data_type": "TYPE_STRING", "dims": [] },
        ],
        "output": [
            { "name": "sum", "data_type": "TYPE_FP32", "dims": [] },
            { "name": "label", "data_type": "TYPE_STRING", "dims": [] },
        ],
        "model_transaction_policy": { "decoupled": false },
    });
    assert_eq!(over_http, wanted);
    let away = ask::<ModelConfigResponse>(&server, "ModelConfig", "away").await.config.unwrap();
    assert_eq!((away.max_batch_size, &away.input[0].dims[..]), (0, &[3_i64][..]));
}

#[tokio::test]
async fn statistics_count_what_was_answered_by_either_way() {
    let server = server().await;
    for _ in 0..3 {
        server.still_answers().await;
    }
    let body = json!({ "inputs": [
        { "name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0] },
        { "name": "label", "shape": [1], "datatype": "BYTES", "data": ["a"] },
    ]});
    let post = Request::post("/v2/models/sum/infer").body(Body::from(body.to_string())).unwrap();
    http(&server, post).await;
    let mut bad = good();
    bad.raw_input_contents[0] = super::floats(&[666.0, 0.0, 0.0, 0.0]);
    assert_eq!(server.infer(&bad).await.unwrap_err().code(), Code::Internal);

    let said: ModelStatisticsResponse = ask(&server, "ModelStatistics", "sum").await;
    let own = &said.model_stats[0];
    assert_eq!((&*own.name, own.inference_count, own.execution_count), ("sum", 7, 4));
    let spans = own.inference_stats.clone().unwrap();
    let (success, fail) = (spans.success.unwrap(), spans.fail.unwrap());
    assert_eq!((success.count, fail.count), (4, 1));
    assert!(success.ns >= spans.compute_infer.unwrap().ns && success.ns > 0);
    let all: ModelStatisticsResponse = ask(&server, "ModelStatistics", "").await;
    let names: Vec<&str> = all.model_stats.iter().map(|stats| &*stats.name).collect();
    assert_eq!(names, ["away", "sum"]);

    let over_http = get(&server, "/v2/models/sum/versions/1/stats").await;
    let theirs = &over_http["model_stats"][0];
    assert_eq!((&theirs["inference_count"], &theirs["version"]), (&json!(7), &json!("1")));
    assert_eq!(theirs["inference_stats"]["success"], json!({ "count": 4, "ns": success.ns }));
    // Without it `perf_analyzer` says that nobody asked.
    assert_eq!(theirs["inference_stats"]["queue"], json!({ "count": 4, "ns": 0 }));
    assert!(theirs["last_inference"].as_u64().unwrap() > 1_600_000_000_000);
    let all = get(&server, "/v2/models/stats").await;
    assert_eq!(all["model_stats"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_index_says_who_is_ready_and_why_another_is_not() {
    let server = server().await;
    let index: RepositoryIndexResponse = ask(&server, "RepositoryIndex", "").await;
    let models: Vec<_> = index.models.iter().map(|m| (&*m.name, &*m.version, &*m.state)).collect();
    assert_eq!(models, [("away", "1", "UNAVAILABLE"), ("sum", "1", "READY")]);
    assert!(index.models[0].reason.contains("its machine is away"), "{index:?}");
    // Field 2, `ready`: true.
    let (answer, _) = server.call("RepositoryIndex", vec![0x10, 1]).await.unwrap();
    let index = RepositoryIndexResponse::decode(&*answer).unwrap();
    assert_eq!(index.models.len(), 1);

    let post =
        |body: &'static str| Request::post("/v2/repository/index").body(Body::from(body)).unwrap();
    assert_eq!(http(&server, post("")).await.as_array().unwrap().len(), 2);
    let ready = http(&server, post(r#"{"ready": true}"#)).await;
    let wanted = json!([{ "name": "sum", "version": "1", "state": "READY", "reason": "" }]);
    assert_eq!(ready, wanted);
    assert!(http(&server, post("[]x")).await["error"].as_str().unwrap().contains("\"ready\""));
}

#[tokio::test]
async fn methods_that_are_not_here_are_named() {
    let server = server().await;
    for method in ["SystemSharedMemoryStatus", "TraceSetting", "Nonsense"] {
        let status = server.call(method, Vec::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains(method), "{status:?}");
    }
    let status = server.call("ModelMetadata", vec![0xff; 20]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
