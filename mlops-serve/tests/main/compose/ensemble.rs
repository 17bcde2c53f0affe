//! Answers of several as one.

#![expect(clippy::float_cmp, reason = "the sums are exact")]

use super::{
    Arm, arms, ask, block_on, failing, kind, offset, other_shape, panicking, request, subject, y,
};
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::compose::{Ensemble, EnsembleConfig};
use proptest::prelude::*;
use std::sync::Arc;

fn mean(arms: Vec<Arm>, quorum: Option<usize>) -> Result<Ensemble> {
    Ensemble::mean("e", "2", arms, &EnsembleConfig::default().with_quorum(quorum))
}

mlops_core::predictor_conformance!(
    mean_conforms,
    subject(mean(arms([("a", offset(1.0)), ("b", offset(2.0))]), None).unwrap())
);

/// Gives the same rows whatever it is asked, as many as it is asked for.
fn fixed(output: TensorSpec, row: Tensor) -> Arc<dyn Predictor> {
    let x = TensorSpec::column("x", DType::F32);
    let signature = ModelSignature::new(vec![x], vec![output.clone()]).unwrap();
    Arc::new(FnPredictor::new("fixed", signature, move |inputs| {
        let rows = inputs.rows()?;
        let shape = [vec![rows], row.shape()[1..].to_vec()].concat();
        let tensor = match row.dtype() {
            DType::Utf8 => Tensor::from_strs(shape, &row.strs()?.repeat(rows))?,
            dtype => {
                let bytes = row.as_bytes().unwrap_or_default().repeat(rows);
                Tensor::from_buffer(dtype, shape, bytes.into())?
            }
        };
        Ok(Tensors::one(output.name.as_ref(), tensor))
    }))
}

fn label(text: &str) -> Arc<dyn Predictor> {
    let row = Tensor::from_strs([1], &[text]).unwrap();
    fixed(TensorSpec::column("class", DType::Utf8), row)
}

fn classes(probabilities: [f64; 3]) -> Arc<dyn Predictor> {
    let spec = TensorSpec::new("p", DType::F64, [None, Some(3)]);
    fixed(
        spec.with_columns(["cat", "dog", "cow"]),
        Tensor::from_vec([1, 3], probabilities.to_vec()).unwrap(),
    )
}

fn class(answer: &Tensors) -> Vec<String> {
    answer.require("class").unwrap().strs().unwrap().iter().map(ToString::to_string).collect()
}

fn voters(votes: &[(&str, f64)]) -> Vec<Arm> {
    let numbered = votes.iter().enumerate();
    numbered
        .map(|(at, (vote, weight))| Arm::new(at.to_string(), label(vote)).with_weight(*weight))
        .collect()
}

fn vote(votes: &[(&str, f64)]) -> Ensemble {
    Ensemble::vote("v", "1", voters(votes), &EnsembleConfig::default()).unwrap()
}

fn soft(rows: &[[f64; 3]]) -> Ensemble {
    let voters = rows.iter().enumerate().map(|(at, row)| Arm::new(at.to_string(), classes(*row)));
    Ensemble::soft_vote("v", "1", voters.collect(), &EnsembleConfig::default()).unwrap()
}

mlops_core::predictor_conformance!(vote_conforms, subject(vote(&[("a", 1.0), ("b", 1.0)])));
mlops_core::predictor_conformance!(
    soft_conforms,
    subject(soft(&[[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]))
);
mlops_core::predictor_conformance!(stack_conforms, subject(stack(3).unwrap()));

/// Five members' numbers, added up by the last predictor after a factor of 10 for each position.
fn stack(width: usize) -> Result<Ensemble> {
    let z = TensorSpec::new("z", DType::F32, [None, Some(width)]);
    let signature = ModelSignature::new(vec![z], vec![TensorSpec::column("digits", DType::F32)]);
    let last = FnPredictor::new("last", signature.unwrap(), move |inputs| {
        let z = inputs.require("z")?;
        let digits = |row: &[f32]| row.iter().fold(0.0, |sum, digit| sum * 10.0 + digit);
        let rows = z.as_slice::<f32>()?.chunks(width).map(digits).collect();
        Ok(Tensors::one("digits", Tensor::from_vec([z.rows()], rows)?))
    });
    let spec = TensorSpec::new("pair", DType::I64, [None, Some(2)]);
    let pair = fixed(spec, Tensor::from_vec([1, 2], vec![4_i64, 5]).unwrap());
    let one =
        fixed(TensorSpec::column("one", DType::F64), Tensor::from_vec([1], vec![6.0_f64]).unwrap());
    Ensemble::stack(
        "s",
        "1",
        arms([("a", pair), ("b", one)]),
        Arc::new(last),
        &EnsembleConfig::default(),
    )
}

#[test]
fn a_stack_packs_members_side_by_side_in_their_order() {
    let answer = ask(&stack(3).unwrap(), request()).unwrap();
    assert_eq!(answer.outputs.require("digits").unwrap().as_slice::<f32>().unwrap(), [456.0; 2]);
    let text = "ensemble \"s\": 3 numbers a row from members do not fit input z: float32[-1, 2]";
    assert_eq!(stack(2).unwrap_err().to_string(), text);
}

#[test]
fn means_are_weighted() {
    let parts = vec![Arm::new("a", offset(0.0)), Arm::new("b", offset(4.0)).with_weight(3.0)];
    let answer = ask(&mean(parts, None).unwrap(), request()).unwrap();
    assert_eq!(y(&answer), 1.0 + 3.0);
    assert_eq!((answer.model.as_ref(), answer.version.as_ref(), answer.arm), ("e", "2", None));
}

#[test]
fn the_largest_sum_of_weights_wins_and_the_first_of_equals() {
    let of = |votes: &[(&str, f64)]| class(&ask(&vote(votes), request()).unwrap().outputs);
    assert_eq!(of(&[("a", 1.0), ("b", 1.0), ("b", 1.0)]), ["b", "b"]);
    assert_eq!(of(&[("a", 3.0), ("b", 1.0), ("b", 1.0)]), ["a", "a"]);
    assert_eq!(of(&[("b", 1.0), ("a", 1.0)]), ["b", "b"]);
}

#[test]
fn a_soft_vote_gives_mean_probabilities_and_the_position_of_the_largest() {
    let of = |rows: &[[f64; 3]]| {
        let outputs = ask(&soft(rows), request()).unwrap().outputs;
        let label = outputs.require("label").unwrap().as_slice::<i64>().unwrap()[0];
        (outputs.require("p").unwrap().as_slice::<f64>().unwrap()[..3].to_vec(), label)
    };
    assert_eq!(of(&[[0.5, 0.25, 0.25], [0.0, 0.75, 0.25]]), (vec![0.25, 0.5, 0.25], 1));
    assert_eq!(of(&[[0.25, 0.5, 0.5]]).1, 1);
    assert_eq!(of(&[[f64::NAN, 0.5, 0.25]]).1, 1);
    assert_eq!(of(&[[f64::NAN; 3]]).1, -1);
}

#[test]
fn one_member_that_fails_fails_the_request_unless_there_is_a_quorum() {
    let parts = || {
        let (down, _) = failing(ErrorKind::Unavailable);
        arms([("a", offset(1.0)), ("down", down), ("bad", panicking()), ("b", offset(3.0))])
    };
    let strict = mean(parts()[..2].to_vec(), None).unwrap();
    let error = ask(&strict, request()).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Unavailable, "arm \"down\": not now")
    );
    let panicked = mean(parts()[2..].to_vec(), None).unwrap();
    assert_eq!(kind(ask(&panicked, request())), ErrorKind::Internal);
    let answer = ask(&mean(parts(), Some(2)).unwrap(), request()).unwrap();
    assert_eq!(y(&answer), 3.0);
    assert_eq!(answer.arm.as_deref(), Some("a+b"));
    assert!(ask(&mean(parts(), Some(3)).unwrap(), request()).is_err());
}

#[test]
fn each_member_gets_the_inputs_that_it_names() {
    let member = |input: &'static str| {
        let columns = [input, "y"].map(|name| vec![TensorSpec::column(name, DType::F32)]);
        let [inputs, outputs] = columns;
        let signature = ModelSignature::new(inputs, outputs).unwrap();
        Arc::new(FnPredictor::new("m", signature, move |inputs| {
            Ok(Tensors::one("y", inputs.require(input)?.clone()))
        }))
    };
    let ensemble =
        mean(arms([("a", member("age") as _), ("b", member("income") as _)]), None).unwrap();
    let inputs = |age, income| {
        let column = |value: f32| Tensor::from_vec([1], vec![value]).unwrap();
        Tensors::one("age", column(age)).with("income", column(income)).unwrap()
    };
    assert_eq!(y(&ask(&ensemble, PredictRequest::new(inputs(2.0, 6.0))).unwrap()), 4.0);
}

/// Answers only when another call has begun.
#[test]
fn members_are_asked_at_the_same_time() {
    #[derive(Debug)]
    struct Meeting(Arc<dyn Predictor>, Arc<tokio::sync::Barrier>);
    #[async_trait::async_trait]
    impl Predictor for Meeting {
        fn info(&self) -> Arc<mlops_core::predictor::PredictorInfo> {
            self.0.info()
        }
        async fn ready(&self) -> Result<()> {
            Err(Error::unavailable("not yet"))
        }
        async fn predict(
            &self,
            request: PredictRequest,
        ) -> Result<mlops_core::predictor::PredictResponse> {
            self.1.wait().await;
            self.0.predict(request).await
        }
    }
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let member = |by| Arc::new(Meeting(offset(by), Arc::clone(&barrier))) as Arc<dyn Predictor>;
    let ensemble = mean(arms([("a", member(1.0)), ("b", member(3.0))]), None).unwrap();
    assert_eq!(y(&ask(&ensemble, request()).unwrap()), 3.0);
    assert_eq!(block_on(ensemble.ready()).unwrap_err().to_string(), "arm \"a\": not yet");
}

#[test]
fn mistakes_are_named_when_it_is_built() {
    let why = |result: Result<Ensemble>| result.unwrap_err().to_string();
    let odd = arms([("a", offset(1.0)), ("b", other_shape())]);
    assert_eq!(
        why(mean(odd, None)),
        "ensemble \"e\": arms \"a\" and \"b\" disagree on the outputs to combine"
    );
    let labels = voters(&[("a", 1.0)]);
    let text = "ensemble \"e\": output \"class\" of type str has no mean: name outputs of floats";
    assert_eq!(why(mean(labels, None)), text);
    let pair = || arms([("a", offset(1.0)), ("b", offset(1.0))]);
    assert_eq!(why(mean(pair(), Some(3))), "ensemble \"e\": a quorum of 3 of 2 members");
    let none = vec![Arm::new("a", offset(1.0)), Arm::new("b", offset(1.0)).with_weight(0.0)];
    assert_eq!(why(mean(none, None)), "ensemble \"e\": arm \"b\" of weight 0 has no say");
    let maybe = |name: &str| {
        let spec = |name| TensorSpec::column(name, DType::F32);
        let outputs = vec![spec("y").with_nullable(true)];
        let signature = ModelSignature::new(vec![spec("x")], outputs).unwrap();
        Arm::new(name, Arc::new(FnPredictor::new("n", signature, |x| Ok(x.clone()))))
    };
    let text = "ensemble \"e\": output \"y\" may be null, and a null has no mean";
    assert_eq!(why(mean(vec![maybe("a"), maybe("b")], None)), text);
    let config = EnsembleConfig::default;
    let two = Ensemble::vote("e", "1", pair(), &config());
    assert_eq!(why(two), "ensemble \"e\": a vote is on one output, not 2: name it");
    let floats = Ensemble::vote("e", "1", pair(), &config().with_outputs(["y"]));
    assert_eq!(why(floats), "ensemble \"e\": y: float32[-1] is no output of labels, one a row");
    let unknown = Ensemble::vote("e", "1", pair(), &config().with_outputs(["z"]));
    assert_eq!(why(unknown), "ensemble \"e\": arm \"a\" has no output \"z\"");
    let flat = Ensemble::soft_vote("e", "1", pair(), &config().with_outputs(["y"]));
    assert!(why(flat).contains("no output of probabilities"));
}

proptest! {
    /// A mean lies between its parts, and that of equals is what they are.
    #[test]
    fn a_mean_lies_between(parts in prop::collection::vec((-100_i16..100, 1_u8..10), 1..5)) {
        let arm = |(at, (by, weight)): (usize, &(i16, u8))| {
            Arm::new(at.to_string(), offset(f32::from(*by))).with_weight(f64::from(*weight))
        };
        let ensemble = mean(parts.iter().enumerate().map(arm).collect(), None).unwrap();
        let mean = y(&ask(&ensemble, request()).unwrap()) - 1.0;
        let all = parts.iter().map(|(by, _)| f32::from(*by));
        let (least, most) = all.fold((f32::MAX, f32::MIN), |(a, b), by| (a.min(by), b.max(by)));
        prop_assert!(least - 1e-4 <= mean && mean <= most + 1e-4);
    }
}
