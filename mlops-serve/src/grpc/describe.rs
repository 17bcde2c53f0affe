//! The methods that only describe: health, metadata, configuration, statistics, the index.

use super::{
    frames::framed,
    messages::{
        DataType, Flag, InferParameter, InferParameters, InferStatistics, ModelConfig,
        ModelConfigResponse, ModelIndex, ModelInput, ModelMetadataResponse, ModelOutput,
        ModelStatistics, ModelStatisticsResponse, ModelTarget, RepositoryIndexRequest,
        RepositoryIndexResponse, ServerMetadataResponse, StatisticDuration, TensorMetadata,
        infer_parameter::Choice,
    },
};
use crate::http::{
    Service,
    oip::{self, ModelConfiguration},
    repository,
    routes::Health,
    statistics::{self, Span},
};
use axum::body::Bytes;
use mlops_core::{Error, Predictor, Result, signature::TensorSpec, tensor::DType};
use prost::Message;
use std::sync::Arc;

/// The methods here; the service has others.
pub(super) const METHODS: [&str; 8] = [
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
];

/// Answers one of [`METHODS`].
pub(super) async fn describe(
    service: &Service,
    method: &str,
    message: &[u8],
    gzip: bool,
) -> Result<Bytes> {
    match method {
        "ServerLive" => framed(&Flag { value: true }, gzip),
        "ServerReady" => framed(&Flag { value: server_ready(service).await }, gzip),
        "ModelReady" => framed(&Flag { value: model_ready(service, &read(message)?).await }, gzip),
        "ServerMetadata" => framed(&server_metadata(service), gzip),
        "ModelMetadata" => framed(&model_metadata(service, &read(message)?)?, gzip),
        "ModelConfig" => framed(&model_config(service, &read(message)?)?, gzip),
        "ModelStatistics" => framed(&model_statistics(service, &read(message)?)?, gzip),
        _ => framed(&index(service, &read(message)?).await?, gzip),
    }
}

pub(super) fn read<M: Message + Default>(message: &[u8]) -> Result<M> {
    M::decode(message).map_err(|_| Error::invalid("the message is not valid protobuf of its kind"))
}

async fn server_ready(service: &Service) -> bool {
    let models = Health::of_all(service).await;
    (!models.is_empty() || service.may_be_empty()) && models.iter().all(Health::is_ready)
}

/// A model that is not here is not ready, as Triton has it.
async fn model_ready(service: &Service, target: &ModelTarget) -> bool {
    match model(service, target) {
        Ok(model) => Health::of(service, &target.name, &*model).await.is_ready(),
        Err(_) => false,
    }
}

fn model(service: &Service, target: &ModelTarget) -> Result<Arc<dyn Predictor>> {
    let version = Some(&*target.version).filter(|version| !version.is_empty());
    service.model(&target.name, version)
}

fn server_metadata(service: &Service) -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: service.config.server_name.clone(),
        version: service.config.server_version.clone(),
        extensions: oip::EXTENSIONS.iter().map(ToString::to_string).collect(),
    }
}

fn model_metadata(service: &Service, target: &ModelTarget) -> Result<ModelMetadataResponse> {
    let info = model(service, target)?.info();
    let tensor = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.to_string(),
        datatype: spec.dtype.oip_name().to_owned(),
        shape: oip::axes(spec),
        parameters: content_type(spec),
    };
    Ok(ModelMetadataResponse {
        name: target.name.clone(),
        versions: vec![info.version.to_string()],
        platform: oip::PLATFORM.to_owned(),
        inputs: info.signature.inputs.iter().map(tensor).collect(),
        outputs: info.signature.outputs.iter().map(tensor).collect(),
    })
}

/// The protocol's BYTES may be text.
fn content_type(spec: &TensorSpec) -> InferParameters {
    let text = (spec.dtype == DType::Utf8).then(|| {
        let choice = Some(Choice::Text(oip::TEXT.to_owned()));
        ("content_type".to_owned(), InferParameter { choice })
    });
    text.into_iter().collect()
}

fn model_config(service: &Service, target: &ModelTarget) -> Result<ModelConfigResponse> {
    let info = model(service, target)?.info();
    let own = ModelConfiguration::of(&target.name, &info, &service.config.limits);
    let (input, output) = (own.input.into_iter(), own.output.into_iter());
    let config = ModelConfig {
        name: own.name,
        platform: own.platform.to_owned(),
        max_batch_size: own.max_batch_size,
        input: input
            .map(|tensor| ModelInput {
                data_type: data_type(tensor.data_type),
                name: tensor.name,
                dims: tensor.dims,
            })
            .collect(),
        output: output
            .map(|tensor| ModelOutput {
                data_type: data_type(tensor.data_type),
                name: tensor.name,
                dims: tensor.dims,
            })
            .collect(),
        model_transaction_policy: Some(Flag { value: own.model_transaction_policy.decoupled }),
    };
    Ok(ModelConfigResponse { config: Some(config) })
}

fn data_type(name: &str) -> i32 {
    let number = match name {
        "TYPE_BOOL" => DataType::Bool,
        "TYPE_UINT8" => DataType::Uint8,
        "TYPE_UINT16" => DataType::Uint16,
        "TYPE_UINT32" => DataType::Uint32,
        "TYPE_UINT64" => DataType::Uint64,
        "TYPE_INT8" => DataType::Int8,
        "TYPE_INT16" => DataType::Int16,
        "TYPE_INT32" => DataType::Int32,
        "TYPE_INT64" => DataType::Int64,
        "TYPE_FP16" => DataType::Fp16,
        "TYPE_FP32" => DataType::Fp32,
        "TYPE_FP64" => DataType::Fp64,
        "TYPE_STRING" => DataType::String,
        "TYPE_BF16" => DataType::Bf16,
        _ => DataType::Invalid,
    };
    number.into()
}

/// Of one model, or of all without a name.
fn model_statistics(service: &Service, target: &ModelTarget) -> Result<ModelStatisticsResponse> {
    let model_stats = if target.name.is_empty() {
        let all = service.all();
        let each = all.iter().map(|(name, model)| service.statistics(name, model));
        each.map(statistics).collect()
    } else {
        vec![statistics(service.statistics(&target.name, &*model(service, target)?))]
    };
    Ok(ModelStatisticsResponse { model_stats })
}

fn statistics(own: statistics::ModelStatistics) -> ModelStatistics {
    let span = |Span { count, ns }: Span| Some(StatisticDuration { count, ns });
    let spans = own.inference_stats;
    let inference_stats = InferStatistics {
        success: span(spans.success),
        fail: span(spans.fail),
        queue: span(spans.queue),
        compute_input: span(spans.compute_input),
        compute_infer: span(spans.compute_infer),
        compute_output: span(spans.compute_output),
        cache_hit: span(spans.cache_hit),
        cache_miss: span(spans.cache_miss),
    };
    ModelStatistics {
        name: own.name,
        version: own.version,
        last_inference: own.last_inference,
        inference_count: own.inference_count,
        execution_count: own.execution_count,
        inference_stats: Some(inference_stats),
    }
}

async fn index(
    service: &Service,
    asked: &RepositoryIndexRequest,
) -> Result<RepositoryIndexResponse> {
    let models = repository::indexed(service, asked.ready).await?.into_iter();
    let one = |model: repository::Indexed| ModelIndex {
        name: model.name,
        version: model.version,
        state: model.state.to_owned(),
        reason: model.reason,
    };
    Ok(RepositoryIndexResponse { models: models.map(one).collect() })
}
