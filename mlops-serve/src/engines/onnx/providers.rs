//! What computes beside the processor, as ONNX Runtime is told.

use super::{
    config::{ExecutionProvider, OnnxConfig, Optimisation},
    refusal,
};
use mlops_core::{Error, Result};
use ort::{
    environment::Environment,
    ep::ExecutionProviderDispatch,
    logging::LogLevel,
    session::builder::{GraphOptimizationLevel, SessionBuilder},
};

/// Options of a session, ready to take a model.
pub(super) fn builder(environment: &Environment, config: &OnnxConfig) -> Result<SessionBuilder> {
    let level = match config.optimisation {
        Optimisation::Off => GraphOptimizationLevel::Disable,
        Optimisation::Basic => GraphOptimizationLevel::Level1,
        Optimisation::Extended => GraphOptimizationLevel::Level2,
        Optimisation::All => GraphOptimizationLevel::All,
    };
    let failed = refusal::internal("its options");
    let built = SessionBuilder::new(environment).map_err(&failed)?;
    let mut builder = set(built, config, level).map_err(failed)?;
    for provider in &config.providers {
        builder = match with(&builder, *provider) {
            Ok(with_it) => with_it,
            Err(why) if config.cpu_fallback => {
                tracing::warn!(%provider, %why, "a model is computed without a provider");
                builder
            }
            Err(why) => return Err(why),
        };
    }
    Ok(builder)
}

fn set(
    builder: SessionBuilder,
    config: &OnnxConfig,
    level: GraphOptimizationLevel,
) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_log_level(LogLevel::Warning)?
        .with_optimization_level(level)?
        .with_intra_threads(config.intra_op_threads)?
        .with_inter_threads(config.inter_op_threads)?
        .with_parallel_execution(config.inter_op_threads > 1)?
        // Threads that have nothing to do leave the processor to the host.
        .with_config_entry("session.intra_op.allow_spinning", "0")?
        .with_config_entry("session.inter_op.allow_spinning", "0")?)
}

/// With this provider, or why not.
fn with(builder: &SessionBuilder, provider: ExecutionProvider) -> Result<SessionBuilder> {
    let dispatch = dispatch(provider)?.error_on_failure();
    let built = builder.clone().with_execution_providers([dispatch]);
    built.map_err(|cause| {
        let why = cause.message().to_owned();
        Error::unavailable(format!("provider {provider} cannot be used here: {why}"))
    })
}

/// How ONNX Runtime is told of a provider, if this build and the library have it.
fn dispatch(provider: ExecutionProvider) -> Result<ExecutionProviderDispatch> {
    match provider {
        #[cfg(feature = "cuda")]
        ExecutionProvider::Cuda(device) => {
            in_library::<ort::ep::CUDA>(provider)?;
            Ok(ort::ep::CUDA::default().with_device_id(device.into()).build())
        }
        #[cfg(feature = "tensorrt")]
        ExecutionProvider::TensorRt(device) => {
            in_library::<ort::ep::TensorRT>(provider)?;
            Ok(ort::ep::TensorRT::default().with_device_id(device.into()).build())
        }
        #[cfg(not(feature = "cuda"))]
        ExecutionProvider::Cuda(_) => Err(not_built(provider, "cuda")),
        #[cfg(not(feature = "tensorrt"))]
        ExecutionProvider::TensorRt(_) => Err(not_built(provider, "tensorrt")),
    }
}

#[cfg(not(all(feature = "cuda", feature = "tensorrt")))]
fn not_built(provider: ExecutionProvider, feature: &str) -> Error {
    Error::unsupported(format!(
        "provider {provider} is not in this build, which lacks the feature `{feature}`"
    ))
}

#[cfg(any(feature = "cuda", feature = "tensorrt"))]
fn in_library<P: ort::ep::ExecutionProvider>(provider: ExecutionProvider) -> Result<()> {
    if P::is_available().unwrap_or(false) {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "provider {provider} is not in the library of ONNX Runtime that was found; `pip install \
         onnxruntime-gpu` brings one that has it"
    )))
}
