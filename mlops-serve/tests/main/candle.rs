//! Perceptrons: what is trained is what is served, to the bit, and nothing of the host's is touched.

use crate::doubles::{Shelf, block_on};
use mlops_core::{
    ErrorKind, Predictor, Result, Transform,
    conformance::predictor::Subject,
    data::{CsvOptions, Dataset, Nulls, Rule, Train, TransformSpec},
    model::{ModelPackage, PackageBuilder, names},
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    Endpoint, EndpointConfig, Engine, InferOptions, LoadOptions, LocalConfig, LocalPredictor,
    Session, Stop,
    engines::candle::{Activation, CandleEngine, MlpConfig, Task, TrainOptions, TrainedMlp, train},
    load_package,
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Numbers that look random and are the same everywhere, in [-2, 2).
pub(crate) fn numbers(count: usize) -> Vec<f32> {
    let spread = |at: usize| f32::from(u16::try_from((at * 7919 + 13) % 1009).unwrap()) / 1009.0;
    (0..count).map(|at| 4.0 * spread(at) - 2.0).collect()
}

fn matrix(rows: usize, width: usize) -> Tensor {
    Tensor::from_vec([rows, width], numbers(rows * width)).unwrap()
}

/// Whether exactly one of the first two numbers is positive: nothing that a line could tell apart.
fn either(x: &Tensor) -> Tensor {
    let rows = x.as_slice::<f32>().unwrap().chunks(x.row_len());
    let labels = rows.map(|row| i64::from((row[0] > 0.0) != (row[1] > 0.0)));
    Tensor::from_vec([x.rows()], labels.collect()).unwrap()
}

fn options() -> TrainOptions {
    TrainOptions::new().with_epochs(2).with_batch_rows(16).with_threads(2)
}

pub(crate) fn trained(config: &MlpConfig, rows: usize, options: &TrainOptions) -> TrainedMlp {
    let x = matrix(rows, config.width);
    let y = match config.task {
        Task::Classes(_) => either(&x),
        _ => x.clone(),
    };
    train(config, &x, &y, options, &Stop::new()).unwrap()
}

pub(crate) fn write(builder: PackageBuilder) -> (tempfile::TempDir, ModelPackage) {
    let folder = tempfile::tempdir().unwrap();
    let package = builder.write(folder.path().join("model")).unwrap();
    (folder, package)
}

fn load(model: &TrainedMlp) -> Arc<dyn Session> {
    let (_folder, package) = write(model.package().unwrap());
    CandleEngine::new().with_threads(2).load(&package, &LoadOptions::default()).unwrap()
}

fn run(session: &dyn Session, inputs: &Tensors) -> Result<Tensors> {
    session.run(inputs, &InferOptions::new(&Stop::new()))
}

fn bits(outputs: &Tensors) -> Vec<Vec<u8>> {
    outputs.iter().map(|(_, tensor)| tensor.as_bytes().unwrap().to_vec()).collect()
}

fn row(x: &Tensor, row: usize) -> Tensor {
    let width = x.row_len();
    let values = x.as_slice::<f32>().unwrap()[row * width..(row + 1) * width].to_vec();
    Tensor::from_vec([1, width], values).unwrap()
}

fn classifier() -> MlpConfig {
    MlpConfig::new(3, Task::Classes(2)).with_hidden([8]).with_columns(["a", "b", "c"])
}

fn subject(local: &LocalConfig) -> Subject {
    let session = load(&trained(&classifier(), 64, &options()));
    let predictor = LocalPredictor::open("mlp", "1", session, local).unwrap();
    Subject::new(predictor, Tensors::one("x", matrix(5, 3)))
}

mlops_core::predictor_conformance!(
    candle_inline,
    subject(&LocalConfig::default().with_inline_limit(std::time::Duration::from_secs(1)))
);
mlops_core::predictor_conformance!(
    candle_threaded,
    subject(&LocalConfig::default().with_warm_up_rows(0))
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_row_gives_the_same_bits_alone_and_in_a_batch(
        width in 1_usize..40,
        hidden in prop::collection::vec(1_usize..40, 0..3),
        activation in prop::sample::select(vec![
            Activation::Relu, Activation::Gelu, Activation::Silu, Activation::Tanh,
        ]),
        classes in prop::bool::ANY,
        rows in 1_usize..300,
    ) {
        let task = if classes { Task::Classes(2) } else { Task::Numbers(width) };
        let config = MlpConfig::new(width.max(2), task);
        let config = match task {
            Task::Classes(_) => config,
            _ => MlpConfig::new(width, task),
        };
        let config = config.with_hidden(hidden).with_activation(activation);
        let session = load(&trained(&config, 8, &options().with_epochs(1)));
        let x = matrix(rows, config.width);
        let together = bits(&run(&*session, &Tensors::one("x", x.clone())).unwrap());
        for at in [0, 1, rows / 2, rows - 1] {
            let at = at.min(rows - 1);
            let alone = bits(&run(&*session, &Tensors::one("x", row(&x, at))).unwrap());
            for (alone, together) in alone.iter().zip(&together) {
                let size = alone.len();
                prop_assert_eq!(alone, &together[at * size..(at + 1) * size]);
            }
        }
    }

    #[test]
    fn damaged_weights_are_an_error_or_a_model_but_never_a_panic(
        cut in 0_usize..600,
        changes in prop::collection::vec((0_usize..600, any::<u8>()), 0..4),
    ) {
        let config = MlpConfig::new(2, Task::Numbers(2)).with_hidden([3]);
        let model = trained(&config, 4, &options().with_epochs(1));
        let mut weights = model.weights().to_vec();
        for (at, byte) in changes {
            let at = at % weights.len();
            weights[at] = byte;
        }
        weights.truncate(weights.len().min(cut + 8));
        let json = config.to_json().unwrap();
        let (_folder, package) = write(package_of(&json, weights));
        if let Err(error) = CandleEngine::new().load(&package, &LoadOptions::default()) {
            prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}

fn package_of(config: &str, weights: Vec<u8>) -> PackageBuilder {
    let flavor = serde_json::json!({"config": "c.json", "weights": "w.safetensors"});
    let builder = PackageBuilder::new().with_flavor("candle", flavor).unwrap();
    builder.with_file("c.json", config).unwrap().with_file("w.safetensors", weights).unwrap()
}

#[test]
fn a_seed_names_the_weights_whatever_the_threads() {
    let config = classifier().with_hidden([64, 32]);
    let one = trained(&config, 600, &options().with_threads(1).with_batch_rows(256));
    let three = trained(&config, 600, &options().with_threads(3).with_batch_rows(256));
    assert_eq!(one.weights(), three.weights());
    assert_eq!(one.losses(), three.losses());
    let other = trained(&config, 600, &options().with_seed(1).with_batch_rows(256));
    assert_ne!(one.weights(), other.weights());
}

#[test]
fn it_learns_what_no_line_can_tell_apart() {
    let config = classifier().with_hidden([16]);
    let options = options().with_epochs(30).with_batch_rows(32).with_learning_rate(0.03);
    let model = trained(&config, 800, &options);
    let (first, last) = (model.losses()[0], *model.losses().last().unwrap());
    assert!(model.losses().len() == 30 && last < 0.4 * first, "{first} {last}");
    let x = matrix(1000, 3);
    let outputs = run(&*load(&model), &Tensors::one("x", x.clone())).unwrap();
    let labels = outputs.require("label").unwrap().as_slice::<i64>().unwrap();
    let truth = either(&x);
    let right = labels.iter().zip(truth.as_slice::<i64>().unwrap()).filter(|(a, b)| a == b);
    assert!(right.count() > 950);
    let probabilities = outputs.require("probabilities").unwrap().as_slice::<f32>().unwrap();
    assert!(probabilities.chunks(2).all(|pair| (pair[0] + pair[1] - 1.0).abs() < 1e-6));

    let copy = MlpConfig::new(2, Task::Numbers(2)).with_hidden([]);
    let model = trained(&copy, 200, &options.with_batch_rows(8));
    let x = matrix(5, 2);
    let outputs = run(&*load(&model), &Tensors::one("x", x.clone())).unwrap();
    let given = outputs.require("prediction").unwrap().as_slice::<f32>().unwrap();
    for (given, wanted) in given.iter().zip(x.as_slice::<f32>().unwrap()) {
        assert!((given - wanted).abs() < 0.02, "{given} {wanted}");
    }
}

#[test]
fn nothing_of_the_hosts_is_touched() {
    let options = options().with_epochs(1).with_batch_rows(200);
    let session = load(&trained(&classifier().with_hidden([256, 128]), 600, &options));
    run(&*session, &Tensors::one("x", matrix(2000, 3))).unwrap();
    // Every test of this binary lives in this process, and so has had its chance to make it.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
}

#[test]
fn what_cannot_be_learned_from_is_named() {
    let config = classifier();
    let why = |x: &Tensor, y: &Tensor, options: &TrainOptions| {
        let error = train(&config, x, y, options, &Stop::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.to_string()
    };
    let (x, y) = (matrix(4, 3), either(&matrix(4, 3)));
    let labels = |labels: [i64; 4]| Tensor::from_vec([4], labels.to_vec()).unwrap();
    assert!(why(&matrix(4, 2), &y, &options()).contains("shape [4, 2], not [-1, 3]"));
    assert!(why(&x, &either(&matrix(3, 3)), &options()).contains("4 rows"));
    assert!(why(&x, &labels([0, 1, 2, 0]), &options()).contains("the label of row 2"));
    assert!(why(&x, &labels([-1, 1, 0, 0]), &options()).contains("the label of row 0"));
    assert!(why(&x, &matrix(4, 1), &options()).contains("int64"));
    let mut values = numbers(12);
    values[7] = f32::NAN;
    let odd = Tensor::from_vec([4, 3], values).unwrap();
    assert!(why(&odd, &y, &options()).contains("row 2, column \"b\" of input \"x\""));
    let wild = options().with_learning_rate(1e30).with_epochs(20);
    assert!(why(&x, &y, &wild).contains("learning rate below"));

    let stop = Stop::new();
    stop.stop();
    let error = train(&config, &x, &y, &options(), &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let session = load(&trained(&config, 8, &options()));
    let error = session.run(&Tensors::one("x", x), &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(run(&*session, &Tensors::one("x", odd)).unwrap_err().to_string().contains("\"b\""));
}

#[test]
fn weights_that_are_not_this_models_are_named() {
    let config = MlpConfig::new(2, Task::Numbers(2)).with_hidden([3]);
    let model = trained(&config, 4, &options());
    let why = |config: &MlpConfig, weights: &[u8]| {
        let json = config.to_json().unwrap();
        let (_folder, package) = write(package_of(&json, weights.to_vec()));
        let loaded = CandleEngine::new().load(&package, &LoadOptions::default());
        loaded.unwrap_err().to_string()
    };
    let own = model.weights();
    let wider = config.clone().with_hidden([4]);
    assert!(why(&wider, own).contains("\"layers.0.weight\" has shape [3, 2], not [4, 2]"));
    let deeper = config.clone().with_hidden([3, 2]);
    assert!(why(&deeper, own).contains("\"layers.2.weight\" is missing"));
    let shallow = MlpConfig::new(2, Task::Numbers(3)).with_hidden([]);
    assert!(why(&shallow, own).contains("the weights hold \"layers.1."));
    let mut odd = own.to_vec();
    let end = odd.len();
    odd[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    assert!(why(&config, &odd).contains("holds a number that is not finite"));
    assert!(why(&config, b"").contains("no safetensors"));

    let (_folder, package) = write(model.package().unwrap());
    let small = LoadOptions::default().with_max_model_bytes(100);
    let error = CandleEngine::new().load(&package, &small).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let tight = LoadOptions::default().with_max_working_bytes(100);
    let session = CandleEngine::new().load(&package, &tight).unwrap();
    let error = run(&*session, &Tensors::one("x", matrix(50, 2))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

const PEOPLE: &str = "age,state,works\n20,MA,0\n40,NH,1\n,MA,0\n60,VT,1\n35,,1\n28,NH,0\n";

/// A model behind its transform, and what it was trained on.
fn people() -> (PackageBuilder, Tensor, Tensors, TrainedMlp) {
    let train_rows = Dataset::from_csv("people", PEOPLE, &CsvOptions::new()).unwrap();
    let train_rows = train_rows.declare::<Train>();
    let transform = TransformSpec::new()
        .with_column("age", Rule::standardise().with_nulls(Nulls::Median))
        .with_column("state", Rule::one_hot(8))
        .fit(&train_rows)
        .unwrap();
    let batch = train_rows.batch().unwrap();
    let spec = transform.tensor_spec("x");
    let features = transform.apply(&batch).unwrap();
    let x = Tensors::from_batch(&features, std::slice::from_ref(&spec)).unwrap();
    let x = x.require("x").unwrap().clone();
    let label = TensorSpec::column("works", mlops_core::tensor::DType::I64);
    let y = Tensors::from_batch(&batch, &[label]).unwrap();
    let config = MlpConfig::for_input(&spec, Task::Classes(2)).unwrap().with_hidden([4]);
    let y = y.require("works").unwrap();
    let model = train(&config, &x, y, &options(), &Stop::new()).unwrap();

    let inputs = transform.input_specs();
    let raw = Tensors::from_batch(&batch, &inputs).unwrap();
    let signature = ModelSignature::new(inputs, config.signature().unwrap().outputs).unwrap();
    let builder = model.package().unwrap().with_signature(&signature);
    let builder = builder.with_file(names::TRANSFORM, transform.to_json()).unwrap();
    (builder, x, raw, model)
}

#[test]
fn a_transform_in_the_package_is_applied_to_raw_columns() {
    let (builder, x, raw, model) = people();
    let direct = run(&*load(&model), &Tensors::one("x", x)).unwrap();
    let (_folder, package) = write(builder);
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(CandleEngine::new())];
    let session = load_package(&package, &engines, &LoadOptions::default()).unwrap();
    assert_eq!(session.info().signature, *package.signature().unwrap());
    assert_eq!(bits(&run(&*session, &raw).unwrap()), bits(&direct));

    let other = TensorSpec::column("height", mlops_core::tensor::DType::F64);
    let signature = ModelSignature::new(vec![other], vec![]).unwrap();
    let (_folder, package) = write(people().0.with_signature(&signature));
    let error = load_package(&package, &engines, &LoadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("column \"age\" is missing"), "{error}");
}

#[test]
fn raw_columns_may_come_packed() {
    let rows = Dataset::from_csv("p", "AGEP,SEX,ESR\n20,1,0\n41,2,1\n63,1,1\n", &CsvOptions::new());
    let rows = rows.unwrap().declare::<Train>();
    let spec = TransformSpec::new().with_column("AGEP", Rule::standardise());
    let transform = spec.with_column("SEX", Rule::one_hot(8)).fit(&rows).unwrap();
    let batch = rows.batch().unwrap();
    let x = transform.tensor_spec("x");
    let config = MlpConfig::for_input(&x, Task::Classes(2)).unwrap();
    let features = transform.apply(&batch).unwrap();
    let features = Tensors::from_batch(&features, std::slice::from_ref(&x)).unwrap();
    let features = features.require("x").unwrap();
    let y = Tensor::from_vec([3], vec![0_i64, 1, 1]).unwrap();
    let model = train(&config, features, &y, &options(), &Stop::new()).unwrap();
    let direct = run(&*load(&model), &Tensors::one("x", features.clone())).unwrap();

    // As a LightGBM model in ONNX takes them: one tensor of floats.
    let packed = TensorSpec::new("features", mlops_core::tensor::DType::F32, [None, Some(2)]);
    let packed = packed.with_columns(["AGEP", "SEX"]);
    let outputs = config.signature().unwrap().outputs;
    let signature = ModelSignature::new(vec![packed.clone()], outputs).unwrap();
    let builder = model.package().unwrap().with_signature(&signature);
    let builder = builder.with_file(names::TRANSFORM, transform.to_json()).unwrap();
    let (_folder, package) = write(builder);
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(CandleEngine::new())];
    let session = load_package(&package, &engines, &LoadOptions::default()).unwrap();
    let raw = Tensors::from_batch(&batch, &[packed]).unwrap();
    assert_eq!(bits(&run(&*session, &raw).unwrap()), bits(&direct));
}

mlops_core::predictor_conformance!(candle_behind_a_transform, {
    let (builder, _, raw, _) = people();
    let (_folder, package) = write(builder);
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(CandleEngine::new())];
    let session = load_package(&package, &engines, &LoadOptions::default()).unwrap();
    Subject::new(LocalPredictor::open("m", "1", session, &LocalConfig::default()).unwrap(), raw)
});

#[test]
fn an_endpoint_serves_it() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let (builder, _, raw, _) = people();
    let version = shelf.add(builder);
    shelf.point("champion", version);
    let config = EndpointConfig::new(cache.path());
    let connecting = Endpoint::connect_with_follower("models:/m@champion", Arc::new(shelf), config);
    let (endpoint, _) = block_on(connecting).unwrap();
    let answer = block_on(endpoint.predict(PredictRequest::new(raw))).unwrap();
    assert_eq!((&*answer.version, answer.outputs.rows().unwrap()), ("1", 6));
}

/// `float32` values of a file, as numpy wrote them.
fn floats(path: PathBuf) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn it_agrees_with_scikit_learn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/candle");
    for name in ["relu", "tanh"] {
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        let config = fs::read_to_string(file("json")).unwrap();
        let (_folder, package) = write(package_of(&config, fs::read(file("safetensors")).unwrap()));
        let session = CandleEngine::new().load(&package, &LoadOptions::default()).unwrap();
        let x = floats(folder.join("x.f32"));
        let x = Tensor::from_vec([x.len() / 13, 13], x).unwrap();
        let rows = x.rows();
        let outputs = run(&*session, &Tensors::one("x", x)).unwrap();
        let given = outputs.require("probabilities").unwrap().as_slice::<f32>().unwrap();
        let wanted = floats(file("probabilities.f32"));
        assert_eq!((given.len(), wanted.len()), (3 * rows, 3 * rows));
        for (given, wanted) in given.iter().zip(&wanted) {
            assert!((given - wanted).abs() < 1e-6, "{name}: {given} {wanted}");
        }
        let labels = outputs.require("label").unwrap().as_slice::<i64>().unwrap();
        let likeliest = wanted.chunks(3).map(|p| (0..3).max_by(|a, b| p[*a].total_cmp(&p[*b])));
        assert!(
            labels.iter().zip(likeliest).all(|(a, b)| *a == i64::try_from(b.unwrap()).unwrap())
        );
    }
}
