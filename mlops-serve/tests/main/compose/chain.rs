//! Steps that fit, steps that fail.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use super::{arms, ask, failing, kind, made, offset, panicking, request, subject, y};
use mlops_core::{
    ErrorKind, Predictor, Result, Transform,
    arrow::{
        array::{ArrayRef, Float32Array, RecordBatch, cast::AsArray},
        schema::{Field, Schema},
    },
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::compose::{Chain, ChainBuilder, Split};
use std::sync::Arc;

fn column(name: &str) -> TensorSpec {
    TensorSpec::column(name, DType::F32)
}

fn doubled(name: &'static str) -> impl Fn(Tensors) -> Result<Tensors> + Send + Sync + 'static {
    move |inputs| {
        let x = inputs.require(name)?;
        let twice = x.as_slice::<f32>()?.iter().map(|x| 2.0 * x).collect();
        Ok(Tensors::one(name, Tensor::from_vec([x.rows()], twice)?))
    }
}

/// (2 x + 1) 2, and x as the first predictor saw it.
fn chain() -> Chain {
    let both = |tensors: Tensors| {
        let x = tensors.require("x")?.clone();
        doubled("y")(tensors)?.with("x", x)
    };
    Chain::builder("c", "4")
        .with_inputs(vec![column("x")])
        .map("before", doubled("x"))
        .then(offset(1.0))
        .map("after", both)
        .with_outputs(vec![column("y"), column("x")])
        .build()
        .unwrap()
}

mlops_core::predictor_conformance!(chain_conforms, subject(chain()));

mlops_core::predictor_conformance!(chain_of_predictors_conforms, {
    let chain = Chain::builder("c", "1").then(offset(1.0)).then_mapped(offset(2.0), [("y", "x")]);
    subject(chain.build().unwrap())
});

#[test]
fn steps_run_in_their_order_and_the_answer_is_the_chains() {
    let answer = ask(&chain(), request()).unwrap();
    assert_eq!(answer.outputs.require("y").unwrap().as_slice::<f32>().unwrap(), [6.0, 10.0]);
    assert_eq!(answer.outputs.require("x").unwrap().as_slice::<f32>().unwrap(), [2.0, 4.0]);
    assert_eq!((answer.model.as_ref(), answer.version.as_ref()), ("c", "4"));
    let mapped = Chain::builder("c", "1").then(offset(1.0)).then_mapped(offset(2.0), [("y", "x")]);
    assert_eq!(y(&ask(&mapped.build().unwrap(), request()).unwrap()), 4.0);
}

#[test]
fn later_steps_may_take_the_requests_own_inputs() {
    let signature = ModelSignature::new(vec![column("y"), column("age")], vec![column("sum")]);
    let sum = FnPredictor::new("sum", signature.unwrap(), |inputs| {
        let [y, age] = ["y", "age"].map(|name| inputs.require(name).unwrap());
        let pairs = y.as_slice::<f32>()?.iter().zip(age.as_slice::<f32>()?);
        let sums = pairs.map(|(y, age)| y + age).collect();
        Ok(Tensors::one("sum", Tensor::from_vec([y.rows()], sums)?))
    });
    let chain = Chain::builder("c", "1")
        .with_inputs(vec![column("x"), column("age")])
        .then(offset(1.0))
        .then(Arc::new(sum));
    let mut request = request();
    request.inputs.push("age", Tensor::from_vec([2], vec![40_f32, 50.0]).unwrap()).unwrap();
    let answer = ask(&chain.build().unwrap(), request).unwrap();
    assert_eq!(answer.outputs.require("sum").unwrap().as_slice::<f32>().unwrap(), [42.0, 53.0]);
}

/// Adds up two columns.
#[derive(Debug)]
struct Sum;

impl Transform for Sum {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let column = |name| {
            let missing = || mlops_core::Error::invalid(format!("column {name:?} is missing"));
            rows.column_by_name(name).ok_or_else(missing)
        };
        let [a, b] = [column("a")?, column("b")?]
            .map(|c| c.as_primitive::<mlops_core::arrow::array::types::Float32Type>().clone());
        let sums: Float32Array = a.iter().zip(&b).map(|(a, b)| Some(a? + b?)).collect();
        let field = Field::new("x", mlops_core::arrow::schema::DataType::Float32, true);
        let columns: Vec<ArrayRef> = vec![Arc::new(sums)];
        Ok(RecordBatch::try_new(Arc::new(Schema::new(vec![field])), columns).unwrap())
    }
}

#[test]
fn a_transform_takes_packed_columns_by_their_names() {
    let packed = |columns: [&str; 2]| {
        TensorSpec::new("rows", DType::F32, [None, Some(2)]).with_columns(columns)
    };
    let build = |columns| {
        let chain = Chain::builder("c", "1").with_inputs(vec![packed(columns)]);
        chain.transform(Arc::new(Sum)).then(offset(1.0)).build()
    };
    let rows = Tensor::from_vec([2, 2], vec![1_f32, 2.0, 3.0, 4.0]).unwrap();
    let request = mlops_core::predictor::PredictRequest::new(Tensors::one("rows", rows));
    let answer = ask(&build(["a", "b"]).unwrap(), request).unwrap();
    assert_eq!(answer.outputs.require("y").unwrap().as_slice::<f32>().unwrap(), [4.0, 8.0]);
    let error = build(["a", "c"]).unwrap_err().to_string();
    assert_eq!(error, "chain \"c\": step \"transform\": column \"b\" is missing");
}

#[test]
fn a_step_that_fails_or_panics_is_named_and_loses_one_request() {
    let (down, _) = failing(ErrorKind::Overloaded);
    let error = ask(&Chain::builder("c", "1").then(down).build().unwrap(), request()).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Overloaded, "step \"offset\": not now")
    );
    let error = ask(&Chain::builder("c", "1").then(panicking()).build().unwrap(), request());
    assert_eq!(kind(error), ErrorKind::Internal);
    let fails_on_rows = |tensors: Tensors| {
        assert!(tensors.rows()? < 2, "a closure panics");
        Ok(tensors)
    };
    let chain = Chain::builder("c", "1").with_inputs(vec![column("x")]);
    let chain = chain.map("brittle", fails_on_rows).then(offset(1.0)).build().unwrap();
    let error = ask(&chain, request()).unwrap_err();
    assert_eq!(error.to_string(), "step \"brittle\": it panicked");
    let one = mlops_core::predictor::PredictRequest::new(crate::doubles::offset_inputs(&[1.0]));
    assert_eq!(y(&ask(&chain, one).unwrap()), 2.0);
}

#[test]
fn what_is_not_as_declared_is_internal() {
    let fewer = |tensors: Tensors| {
        let rows = tensors.rows()?.min(1);
        let some = Tensor::from_vec([rows], vec![0_f32; rows])?;
        Ok(Tensors::one("y", some))
    };
    let chain = Chain::builder("c", "1").then(offset(1.0)).map("fewer", fewer);
    let chain = chain.with_outputs(vec![column("y")]).build().unwrap();
    let error = ask(&chain, request()).unwrap_err();
    let text = "inside \"c\": output \"y\" has 1 rows for 2 rows of input";
    assert_eq!((error.kind(), error.message()), (ErrorKind::Internal, text));
}

#[test]
fn arms_of_its_steps_are_named() {
    let split = || Arc::new(Split::new("s", "1", arms([("a", offset(1.0))])).unwrap());
    let chain = Chain::builder("c", "1").then(split()).then_mapped(split(), [("y", "x")]);
    assert_eq!(ask(&chain.build().unwrap(), request()).unwrap().arm.as_deref(), Some("a+a"));
}

#[test]
fn mistakes_are_named_when_it_is_built() {
    let new = || Chain::builder("c", "1");
    let why = |builder: ChainBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(why(new()), "chain \"c\": a chain needs a predictor");
    let text = "chain \"c\": say what the chain takes: its first step is no predictor";
    assert_eq!(why(new().map("m", Ok).then(offset(1.0))), text);
    let text = "chain \"c\": say what the chain gives: its last step is no predictor";
    assert_eq!(why(new().then(offset(1.0)).map("m", Ok)), text);
    let wrong = why(new().then(offset(1.0)).then_mapped(offset(1.0), [("z", "x")]));
    assert_eq!(
        wrong,
        "chain \"c\": step \"offset\": no step before gives \"z\", which input \"x\" needs"
    );
    let wrong = why(new().then_mapped(offset(1.0), [("y", "z")]));
    assert_eq!(wrong, "chain \"c\": model \"offset\" has no input \"z\"");
    let wide = TensorSpec::new("x", DType::F32, [None, Some(3)]);
    let wrong = why(new().with_inputs(vec![wide]).then(offset(1.0)));
    assert_eq!(wrong, "chain \"c\": step \"offset\": tensor \"x\" has shape [0, 3], not [-1]");
    let wrong = why(new().then(offset(1.0)).with_outputs(vec![column("z")]));
    assert_eq!(wrong, "chain \"c\": no step gives output \"z\"");
    let panics = |_| panic!("a closure panics");
    let wrong = why(new().then(offset(1.0)).map("bad", panics).with_outputs(vec![column("y")]));
    assert_eq!(wrong, "chain \"c\": step \"bad\": it panicked");
}

#[test]
fn width_is_that_of_the_narrowest() {
    let chain = Chain::builder("c", "1").then(made(|_| unreachable!())).build().unwrap();
    assert_eq!(chain.info().width, usize::MAX);
}
