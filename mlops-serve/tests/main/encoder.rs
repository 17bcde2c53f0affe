//! Sentence encoders: beside the Python library's answers, on a small random network that is in the
//! repository, and on the real one where its wheel is installed.

#[path = "encoder/agreement.rs"]
mod agreement;
#[path = "encoder/hostile.rs"]
mod hostile;
#[path = "encoder/running.rs"]
mod running;

use mlops_core::{
    Result,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{InferOptions, LoadOptions, Session, Stop, engines::candle::CandleEngine};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/encoder")
}

/// The texts that the Python library was asked.
pub(crate) fn texts() -> Vec<String> {
    serde_json::from_slice(&fs::read(data().join("texts.json")).unwrap()).unwrap()
}

pub(crate) fn small() -> Arc<dyn Session> {
    let engine = CandleEngine::new().with_threads(2);
    engine.load_encoder(data().join("small"), &LoadOptions::default()).unwrap()
}

pub(crate) fn inputs<S: AsRef<str>>(texts: &[S]) -> Tensors {
    Tensors::one("text", Tensor::from_strs([texts.len()], texts).unwrap())
}

pub(crate) fn embed<S: AsRef<str>>(session: &dyn Session, texts: &[S]) -> Vec<f32> {
    embeds(session, texts).unwrap()
}

fn embeds<S: AsRef<str>>(session: &dyn Session, texts: &[S]) -> Result<Vec<f32>> {
    let outputs = session.run(&inputs(texts), &InferOptions::new(&Stop::new()))?;
    Ok(outputs.require("embedding")?.as_slice::<f32>()?.to_vec())
}

pub(crate) fn apart(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

/// A copy of the small encoder that a test may change.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    for name in FILES {
        fs::copy(data().join("small").join(name), folder.path().join(name)).unwrap();
    }
    folder
}

const FILES: [&str; 6] = [
    "modules.json",
    "config.json",
    "tokenizer.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "model.safetensors",
];
