//! What is derived, beside models that take and give it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mlops_core::{
    Error, Predictor, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
    typed::{Input as _, Typed},
};
use mlops_derive::{Input, Output};
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

#[derive(Clone, Debug, Input)]
#[mlops(crate = "mlops_core")]
struct Loan {
    amount: f32,
    months: u8,
    #[mlops(name = "annual income")]
    income: Option<f32>,
    r#type: String,
    approved: Option<bool>,
    embedding: [f32; 3],
}

#[derive(Debug, PartialEq, Output)]
#[mlops(crate = "mlops_core")]
struct Risk {
    p: f64,
    class: i64,
    reason: Option<String>,
    scores: Vec<f32>,
    high: f32,
}

/// The packed `x` holds numbers; beside it a text, a truth that may be missing, and a vector.
fn signature() -> ModelSignature {
    let x = TensorSpec::new("x", DType::F32, [None, Some(3)]);
    let inputs = vec![
        x.with_columns(["annual income", "amount", "months"]),
        TensorSpec::column("type", DType::Utf8),
        TensorSpec::column("approved", DType::Bool).with_nullable(true),
        TensorSpec::new("embedding", DType::F32, [None, None]),
    ];
    let outputs = vec![
        TensorSpec::new("p", DType::F32, [None, Some(1)]),
        TensorSpec::column("class", DType::I32),
        TensorSpec::column("reason", DType::Utf8).with_nullable(true),
        TensorSpec::new("scores", DType::F32, [None, Some(2)]).with_columns(["low", "high"]),
        TensorSpec::column("unused", DType::F32),
    ];
    ModelSignature::new(inputs, outputs).unwrap()
}

/// Hands through what it was given, so that both ways are seen.
fn answer(inputs: &Tensors) -> Result<Tensors> {
    let x = inputs.require("x")?.as_slice::<f32>()?;
    let rows = inputs.rows()?;
    let column = |at: usize| x.iter().skip(at).step_by(3).copied().collect::<Vec<f32>>();
    let months = column(2);
    #[expect(clippy::cast_possible_truncation, reason = "months")]
    let classes = months.iter().map(|&months| months as i32).collect();
    let approved = inputs.require("approved")?;
    let embedding = inputs.require("embedding")?.as_slice::<f32>()?;
    let scores = embedding.chunks(3).flat_map(|row| [row[0], row[2]]).collect();
    Tensors::one("p", Tensor::from_vec([rows, 1], column(1))?)
        .with("class", Tensor::from_vec([rows], classes)?)?
        .with("reason", inputs.require("type")?.clone().with_nulls(approved.nulls().cloned())?)?
        .with("scores", Tensor::from_vec([rows, 2], scores)?)?
        .with("unused", Tensor::from_vec([rows], column(0))?)
}

fn model(signature: ModelSignature) -> Arc<dyn Predictor> {
    Arc::new(FnPredictor::new("risk", signature, answer))
}

fn loan(amount: f32, approved: Option<bool>) -> Loan {
    let embedding = [amount, 0.5, -amount];
    Loan { amount, months: 36, income: None, r#type: "car".to_owned(), approved, embedding }
}

fn now<T>(work: impl Future<Output = T>) -> T {
    match std::pin::pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the double answers at once"),
    }
}

#[test]
fn rows_go_in_and_come_out() {
    let risk: Typed<Loan, Risk> = Typed::new(model(signature())).unwrap();
    let answer = now(risk.predict(&loan(2.5, Some(true)))).unwrap();
    assert_eq!((answer.p, answer.class, answer.high), (2.5, 36, -2.5));
    assert_eq!(
        (answer.reason.as_deref(), answer.scores.as_slice()),
        (Some("car"), &[2.5, -2.5][..])
    );
    assert_eq!((answer.model(), answer.version(), answer.arm()), ("risk", "1", None));
    let rows = now(risk.predict_rows(&[loan(1.0, None), loan(2.0, Some(false))])).unwrap();
    assert_eq!(rows.iter().map(|row| row.reason.is_some()).collect::<Vec<_>>(), [false, true]);
    assert_ne!(rows.id(), answer.id());
    assert!(now(risk.predict_rows(&[])).unwrap().is_empty());

    let request = risk.request(&[loan(1.0, None)]).unwrap();
    assert!(request.inputs.require("x").unwrap().as_slice::<f32>().unwrap()[0].is_nan());
    assert!(request.inputs.require("approved").unwrap().nulls().is_some());
    let names: Vec<_> = request.outputs.as_ref().unwrap().iter().map(AsRef::as_ref).collect();
    assert_eq!(names, ["p", "class", "reason", "scores"], "what is not named is not asked for");
    let keyed = request.with_key("k");
    assert_eq!(now(risk.ask(keyed)).unwrap().into_inner().len(), 1);
}

#[test]
fn what_is_derived_names_each_field_as_the_model_does() {
    let names: Vec<_> = Loan::fields().iter().map(|field| field.name).collect();
    assert_eq!(names, ["amount", "months", "annual income", "type", "approved", "embedding"]);
}

#[test]
fn a_mismatch_is_named_when_the_model_is_taken() {
    type Change<'a> = &'a dyn Fn(&mut ModelSignature);
    let why = |change: Change<'_>| {
        let mut signature = signature();
        change(&mut signature);
        let typed: Result<Typed<Loan, Risk>, Error> = Typed::new(model(signature));
        typed.unwrap_err().to_string()
    };
    let cases: [(Change<'_>, &str); 9] = [
        (
            &|s| s.inputs.push(TensorSpec::column("age", DType::F32)),
            "no field for the model's input \"age\"",
        ),
        (&|s| drop(s.inputs.remove(3)), "field \"embedding\" is no input of the model"),
        (
            &|s| s.inputs[1].dtype = DType::I64,
            "field \"type\" is str, and type: int64[-1] is int64",
        ),
        (
            &|s| s.inputs[2].nullable = false,
            "field \"approved\" may be none, and input \"approved\" takes no nulls",
        ),
        (
            &|s| s.inputs[3].shape = vec![None, Some(4)],
            "field \"embedding\" has not the shape of embedding: float32[-1, 4]",
        ),
        (&|s| s.outputs[0].name = "q".into(), "field \"p\" is no output of the model"),
        (
            &|s| s.outputs[1].dtype = DType::U64,
            "field \"class\" is int64, and class: uint64[-1] is uint64",
        ),
        (
            &|s| s.outputs[1].nullable = true,
            "output \"class\" may be null, and field \"class\" is no Option",
        ),
        (
            &|s| s.outputs[0].shape = vec![None, Some(2)],
            "field \"p\" has not the shape of p: float32[-1, 2]",
        ),
    ];
    for (change, says) in cases {
        assert_eq!(why(change), says);
    }
}

#[test]
fn rows_of_different_lengths_are_refused() {
    #[derive(Input)]
    #[mlops(crate = "mlops_core")]
    struct Text {
        embedding: Vec<f32>,
    }
    #[derive(Output)]
    #[mlops(crate = "mlops_core")]
    struct Same {
        embedding: Vec<f32>,
    }
    let open = || vec![TensorSpec::new("embedding", DType::F32, [None, None])];
    let signature = ModelSignature::new(open(), open()).unwrap();
    let echo = FnPredictor::new("echo", signature, |inputs| Ok(inputs.clone()));
    let typed: Typed<Text, Same> = Typed::new(Arc::new(echo)).unwrap();
    let text = |length| Text { embedding: vec![1.0; length] };
    assert_eq!(now(typed.predict(&text(5))).unwrap().embedding.len(), 5);
    let error = typed.request(&[text(2), text(3)]).unwrap_err();
    assert_eq!(error.to_string(), "input \"embedding\": row 1 has 3 elements, not 2");
}
