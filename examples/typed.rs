//! Your own types in and out of a model: names and types are checked once, when the model is taken.
//!
//! `cargo run --example typed`

use mlops::serve::{
    Endpoint, LoadOptions, LocalConfig, LocalPredictor, engines::tabular::TabularEngine,
};
use mlops::{Input, Output, Result};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");

/// What the model knows of a person: codes of the American Community Survey, one packed input.
#[derive(Input)]
struct Person {
    features: [f32; 16],
}

/// What it says: outputs of other names are not even computed.
#[derive(Output)]
struct Employment {
    label: i64,
    probabilities: Vec<f32>,
}

/// As it might look in a service that was written for another model.
#[derive(Debug, Input)]
struct Applicant {
    #[mlops(name = "annual income")]
    income: f64,
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<()> {
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;
    let endpoint = Endpoint::from_predictor("employment", model);

    let employment = endpoint.typed::<Person, Employment>()?;
    let person =
        Person { features: [40., 21., 1., 0., 2., 0., 1., 1., 4., 1., 1., 2., 2., 2., 1., 1.] };
    let answer = employment.predict(&person).await?;
    let (label, p) = (answer.label, answer.probabilities[1]);
    println!(
        "{label} with p = {p:.3}, by {} {}: {}",
        answer.model(),
        answer.version(),
        answer.id()
    );

    let all = employment.predict_rows(&[person, Person { features: [20.; 16] }]).await?;
    println!("{} rows in one call", all.len());

    // What does not fit is said here, and not when the first customer asks.
    if let Err(mismatch) = endpoint.typed::<Applicant, Employment>() {
        println!("refused: {mismatch}");
    }
    Ok(())
}
