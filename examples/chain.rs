//! What happens around a model, as one model: callers send people as they typed them, the transform
//! that was fitted with the model makes its features, and a word comes back instead of numbers.
//!
//! `cargo run --example chain`

use mlops::data::{CsvOptions, Dataset, FittedTransform, Nulls, Rule, Train, TransformSpec};
use mlops::predictor::PredictRequest;
use mlops::serve::engines::candle::{CandleEngine, MlpConfig, Task, TrainOptions, train};
use mlops::serve::{Engine, LoadOptions, LocalConfig, LocalPredictor, Stop, compose::Chain};
use mlops::signature::TensorSpec;
use mlops::tensor::{DType, Tensor, Tensors};
use mlops::{Error, Predictor, Result, Transform};
use std::{env, fs, process, slice, sync::Arc};

/// Whether somebody paid a loan back.
const LOANS: &str = "income,purpose,paid\n20,car,0\n45,house,1\n31,car,1\n,boat,0\n60,house,1\n18,boat,0\n52,car,1\n24,boat,0\n38,house,1\n22,car,0\n70,boat,1\n29,house,1\n";

/// A small network of what the transform makes of the loans.
fn model(loans: &Dataset<Train>, transform: &FittedTransform) -> Result<LocalPredictor> {
    let (x, paid) = (transform.tensor_spec("x"), TensorSpec::column("paid", DType::I64));
    let features = Tensors::from_batch(&transform.apply(&loans.batch()?)?, slice::from_ref(&x))?;
    let labels = Tensors::from_batch(&loans.batch()?, &[paid])?;
    let config = MlpConfig::for_input(&x, Task::Classes(2))?.with_hidden([8]);
    let options = TrainOptions::new().with_epochs(200).with_learning_rate(0.02);
    let (x, y) = (features.require("x")?, labels.require("paid")?);
    let trained = train(&config, x, y, &options, &Stop::new())?;
    // Yours comes from a registry; here a folder of the system's is enough.
    let folder = env::temp_dir().join(format!("mlops-chain-{}", process::id()));
    let session =
        CandleEngine::new().load(&trained.package()?.write(&folder)?, &LoadOptions::default())?;
    fs::remove_dir_all(&folder).map_err(|source| Error::io(folder.display(), source))?;
    LocalPredictor::open("loans", "1", session, &LocalConfig::default())
}

/// Before the model: people type as they like.
fn clean(inputs: &Tensors) -> Result<Tensors> {
    let typed = inputs.require("purpose")?.strs()?;
    let clean: Vec<String> = typed.iter().map(|text| text.trim().to_lowercase()).collect();
    Tensors::one("income", inputs.require("income")?.clone())
        .with("purpose", Tensor::from_strs([clean.len()], &clean)?)
}

/// After it: what the desk wants to know is a word.
fn decide(given: &Tensors) -> Result<Tensors> {
    let paid = given.require("probabilities")?.as_slice::<f32>()?.chunks(2).map(|pair| pair[1]);
    let word = |paid| if paid > 0.5 { "lend" } else { "refuse" };
    let words: Vec<&str> = paid.map(word).collect();
    Ok(Tensors::one("decision", Tensor::from_strs([words.len()], &words)?))
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<()> {
    // Learned from training rows alone: the part is a type, and no other fits here.
    let loans = Dataset::from_csv("loans", LOANS, &CsvOptions::new())?.declare::<Train>();
    let income = Rule::standardise().with_nulls(Nulls::Median);
    let transform = TransformSpec::new().with_column("income", income);
    let transform = transform.with_column("purpose", Rule::one_hot(8)).fit(&loans)?;
    let model = model(&loans, &transform)?;

    let columns = [("income", DType::F64), ("purpose", DType::Utf8)];
    let decisions = Chain::builder("decisions", "1")
        .with_inputs(columns.map(|(name, dtype)| TensorSpec::column(name, dtype)).to_vec())
        .map("clean", |inputs| clean(&inputs))
        .transform(Arc::new(transform))
        .then(Arc::new(model))
        .map("decide", |given| decide(&given))
        .with_outputs(vec![TensorSpec::column("decision", DType::Utf8)])
        .build()?; // names, types and shapes are tried out here, before anybody asks

    let income = Tensor::from_vec([4], vec![64.0, 19.0, f64::NAN, 33.0])?;
    let purpose = Tensor::from_strs([4], &["HOUSE", " boat ", "Car", "a horse"])?;
    let people = Tensors::one("income", income.clone()).with("purpose", purpose)?;
    let answer = decisions.predict(PredictRequest::new(people)).await?;
    println!("{:?}", answer.outputs.require("decision")?.strs()?);
    let half = PredictRequest::new(Tensors::one("income", income));
    println!("refused: {:?}", decisions.predict(half).await.err().map(|error| error.to_string()));
    Ok(())
}
