//! What a model package holds: the descriptor, ONNX, safetensors.

use mlops_core::{
    arrow::buffer::Buffer,
    model::{MlModel, PackageBuilder},
    signature::TensorSpec,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    Engine, InferOptions, LoadOptions, Session, Stop,
    engines::{
        candle::{CandleEngine, MlpConfig},
        tabular::TabularSession,
    },
};
use std::{cell::RefCell, fs, path::Path};

/// The `MLmodel` descriptor: what is read is written so that it is read as the same.
pub fn mlmodel(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(descriptor) = MlModel::from_yaml(text) else { return };
    let _ = descriptor.signature();
    let written = descriptor.to_yaml().expect("a descriptor can be written");
    let again = MlModel::from_yaml(&written).expect("what was written can be read");
    assert_eq!(again.to_yaml().ok(), Some(written));
}

/// An ONNX file; a model that loads is run on two rows of zeros.
pub fn onnx(bytes: &[u8]) {
    let options = LoadOptions::default().with_max_working_bytes(1 << 26);
    if let Ok(session) = TabularSession::load(bytes, &options) {
        run(&session);
    }
}

/// Loads a model of boosted trees, and runs what loads.
pub fn boosted(bytes: &[u8]) {
    // What the format is shows in the bytes.
    onnx(bytes);
}

/// The shape that weights are read into.
pub(crate) const SHAPE: &str = r#"{"version": 1, "input": "x", "width": 2, "hidden": [3],
    "activation": "relu", "task": {"numbers": 1}, "outputs": ["y"]}"#;

thread_local! {
    /// One engine, so that its threads are made once.
    static ENGINE: RefCell<CandleEngine> = RefCell::new(CandleEngine::new().with_threads(1));
}

/// A package of the flavour `candle`: these bytes as weights of a fixed shape, and as a shape.
pub fn safetensors(bytes: &[u8]) {
    if let Ok(config) = MlpConfig::from_json(bytes) {
        let written = config.to_json().expect("a shape can be written");
        assert_eq!(MlpConfig::from_json(written.as_bytes()).ok(), Some(config));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flavor = serde_json::json!({"config": "config.json", "weights": "model.safetensors"});
    let package = PackageBuilder::new()
        .with_flavor("candle", flavor)
        .and_then(|package| package.with_file("config.json", SHAPE))
        .and_then(|package| package.with_file("model.safetensors", bytes))
        .and_then(|package| package.write(folder.path().join("package")))
        .expect("a package can hold any bytes");
    let engine = ENGINE.with_borrow(Clone::clone);
    if let Ok(session) = engine.load(&package, &LoadOptions::default()) {
        run(&*session);
    }
}

/// Files of a sentence encoder beside its `tokenizer.json`.
const ENCODER: [&str; 5] = [
    "modules.json",
    "config.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "model.safetensors",
];

thread_local! {
    /// A copy of the small encoder of the tests, whose `tokenizer.json` is written anew each time.
    static COPY: tempfile::TempDir = {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-serve/tests/data/encoder/small");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("1_Pooling")).expect("a new folder");
        for name in ENCODER {
            fs::copy(from.join(name), folder.path().join(name)).expect("a file of the tests");
        }
        folder
    };
}

/// A vocabulary of a sentence encoder; one that loads cuts texts, and the network bears its words.
pub fn tokenizer(bytes: &[u8]) {
    COPY.with(|folder| {
        fs::write(folder.path().join("tokenizer.json"), bytes)
            .expect("a file that is written anew");
        let engine = ENGINE.with_borrow(Clone::clone);
        let Ok(session) = engine.load_encoder(folder.path(), &LoadOptions::default()) else {
            return;
        };
        let texts = ["", "A sentence, as people write them.", "\u{e9}\u{0}\u{1f600} [CLS] ##ing"];
        let texts = Tensor::from_strs([texts.len()], &texts).expect("three texts");
        let stop = Stop::new();
        let _ = session.run(&Tensors::one("text", texts), &InferOptions::new(&stop));
    });
}

/// Two rows of zeros; whether it can answer them is its own business.
fn run(session: &dyn Session) {
    let inputs = session.info().signature.inputs.iter();
    let tensors: Option<Tensors> = inputs
        .map(|spec| Some((spec.name.clone(), zeros(spec)?)))
        .collect::<Option<Vec<_>>>()
        .and_then(|all| {
            all.into_iter().try_fold(Tensors::new(), |own, (name, zero)| own.with(name, zero).ok())
        });
    let stop = Stop::new();
    if let Some(tensors) = tensors {
        let _ = session.run(&tensors, &InferOptions::new(&stop));
    }
}

/// `None` for a tensor that is too large to be made for nothing.
fn zeros(spec: &TensorSpec) -> Option<Tensor> {
    let shape: Vec<usize> = spec.shape.iter().map(|axis| axis.unwrap_or(2)).collect();
    let count = shape.iter().try_fold(1_usize, |all, axis| all.checked_mul(*axis))?;
    if count > 1 << 16 {
        return None;
    }
    match spec.dtype.size() {
        Some(size) => {
            let bytes = Buffer::from_vec(vec![0_u8; count * size]);
            Tensor::from_buffer(spec.dtype, shape, bytes).ok()
        }
        None => Tensor::from_strs(shape, &vec![""; count]).ok(),
    }
}
