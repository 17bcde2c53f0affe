//! What every [`Predictor`] promises, a check a promise.

use super::{check, waiting::join};
use crate::{
    ErrorKind, Predictor,
    predictor::{PredictRequest, PredictResponse},
    tensor::{DType, Tensor, Tensors},
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// A predictor to check, and valid requests for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Subject {
    /// The predictor.
    pub predictor: Box<dyn Predictor>,
    /// Valid inputs of at least two rows.
    pub inputs: Tensors,
}

impl Subject {
    /// A predictor and valid inputs of at least two rows.
    pub fn new(predictor: impl Predictor + 'static, inputs: Tensors) -> Self {
        Self { predictor: Box::new(predictor), inputs }
    }

    fn request(&self) -> PredictRequest {
        PredictRequest::new(self.inputs.clone())
    }

    async fn answer(&self, request: PredictRequest) -> PredictResponse {
        self.predictor.predict(request).await.expect("a valid request is answered")
    }

    async fn refusal(&self, request: PredictRequest) -> (ErrorKind, String) {
        match self.predictor.predict(request).await {
            Ok(_) => panic!("a bad request was answered"),
            Err(error) => (error.kind(), error.to_string()),
        }
    }
}

check! {
    "names the model and the version that a response to the next request carries";
    async fn info_names_what_answers(subject: Subject) {
        let info = subject.predictor.info();
        let response = subject.answer(subject.request()).await;
        assert_eq!((&response.model, &response.version), (&info.name, &info.version));
        assert!(info.width >= 1, "`width` is at least 1");
    }
}

check! {
    "after `ready` is Ok, a valid request is answered";
    async fn ready_means_able(subject: Subject) {
        subject.predictor.ready().await.expect("ready");
        subject.answer(subject.request()).await;
    }
}

check! {
    "gives the outputs of the signature, in its order, each of its type and shape, as many rows as the inputs";
    async fn outputs_match_the_signature(subject: Subject) {
        let rows = subject.inputs.rows().expect("valid inputs agree on their rows");
        let signature = &subject.predictor.info().signature;
        let outputs = subject.answer(subject.request()).await.outputs;
        let names: Vec<_> = outputs.iter().map(|(name, _)| name.clone()).collect();
        let declared: Vec<_> = signature.outputs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(names, declared);
        for (spec, (_, tensor)) in signature.outputs.iter().zip(outputs.iter()) {
            spec.check(tensor).expect("an output fits its specification");
            assert_eq!(tensor.rows(), rows);
        }
    }
}

check! {
    "with `outputs`, gives exactly those, in the order asked";
    async fn outputs_are_chosen(subject: Subject) {
        let signature = &subject.predictor.info().signature;
        let reversed: Vec<_> = signature.outputs.iter().rev().map(|spec| spec.name.clone()).collect();
        let response = subject.answer(subject.request().with_outputs(reversed.clone())).await;
        let names: Vec<_> = response.outputs.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, reversed);
        let one = reversed[..1].to_vec();
        let response = subject.answer(subject.request().with_outputs(one)).await;
        assert_eq!(response.outputs.len(), 1);
    }
}

check! {
    "echoes `id`; names a `prediction` that no other answer has";
    async fn ids_are_echoed_and_unique(subject: Subject) {
        let mut seen = BTreeSet::new();
        for number in 0..100 {
            let id = format!("request {number}");
            let response = subject.answer(subject.request().with_id(id.as_str())).await;
            assert_eq!(response.id.as_deref(), Some(id.as_str()));
            assert!(seen.insert(response.prediction), "a prediction id came twice");
        }
        assert_eq!(subject.answer(subject.request()).await.id, None);
    }
}

check! {
    "the same inputs give the same bits, alone or beside other requests";
    async fn answers_repeat_to_the_bit(subject: Subject) {
        let first = subject.answer(subject.request()).await.outputs;
        for _ in 0..3 {
            let again = subject.answer(subject.request()).await.outputs;
            assert!(same_bits(&first, &again), "an answer differs from the one before");
        }
        let (left, right) = join(subject.answer(subject.request()), subject.answer(subject.request())).await;
        assert!(same_bits(&first, &left.outputs) && same_bits(&first, &right.outputs));
    }
}

check! {
    "a missing, unknown, wrongly typed or wrongly shaped input is `InvalidInput` and is named";
    async fn bad_inputs_are_named(subject: Subject) {
        for (name, request) in bad_inputs(&subject) {
            let (kind, text) = subject.refusal(request).await;
            assert_eq!(kind, ErrorKind::InvalidInput, "{text}");
            assert!(text.contains(&name), "{text:?} does not name {name:?}");
        }
    }
}

check! {
    "an unknown output is `InvalidInput` and is named";
    async fn unknown_outputs_are_named(subject: Subject) {
        let (kind, text) = subject.refusal(subject.request().with_outputs(["no such output"])).await;
        assert_eq!(kind, ErrorKind::InvalidInput, "{text}");
        assert!(text.contains("no such output"), "{text}");
    }
}

check! {
    "a deadline that has passed is `TimedOut`";
    async fn a_passed_deadline_is_timed_out(subject: Subject) {
        let past = Instant::now().checked_sub(Duration::from_millis(1)).unwrap_or_else(Instant::now);
        let (kind, _) = subject.refusal(subject.request().with_deadline(past)).await;
        assert_eq!(kind, ErrorKind::TimedOut);
    }
}

check! {
    "a bad request leaves the next good one unharmed";
    async fn a_bad_request_harms_nobody(subject: Subject) {
        let good = subject.answer(subject.request()).await.outputs;
        for (_, bad) in bad_inputs(&subject) {
            let (refused, answered) = join(subject.refusal(bad), subject.answer(subject.request())).await;
            assert_eq!(refused.0, ErrorKind::InvalidInput);
            assert!(same_bits(&good, &answered.outputs));
        }
    }
}

check! {
    "zero rows give zero rows";
    async fn zero_rows_give_zero_rows(subject: Subject) {
        let mut empty = Tensors::new();
        for (name, tensor) in subject.inputs.iter() {
            let mut shape = tensor.shape().to_vec();
            shape[0] = 0;
            empty.push(name.clone(), zeros(tensor.dtype(), shape)).expect("names are unique");
        }
        let outputs = subject.answer(PredictRequest::new(empty)).await.outputs;
        assert!(outputs.iter().all(|(_, tensor)| tensor.rows() == 0));
    }
}

check! {
    "gives what `predict` gives, or nothing";
    async fn answers_at_once_are_the_same(subject: Subject) {
        let good = subject.answer(subject.request()).await;
        let mut asked = subject.request().with_id("at once");
        match subject.predictor.predict_at_once(&mut asked) {
            Some(answer) => {
                let answer = answer.expect("a valid request is answered");
                assert!(same_bits(&good.outputs, &answer.outputs));
                assert_eq!((&answer.model, &answer.version), (&good.model, &good.version));
                assert_eq!(answer.id.as_deref(), Some("at once"));
            }
            // As it was: it is answered as if nothing had been asked before.
            None => assert!(same_bits(&good.outputs, &subject.answer(asked).await.outputs)),
        }
        for (name, mut bad) in bad_inputs(&subject) {
            if let Some(answer) = subject.predictor.predict_at_once(&mut bad) {
                let Err(error) = answer else { panic!("a bad request was answered") };
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains(&name), "{error} does not name {name:?}");
            }
        }
    }
}

/// One request for each way to be wrong, with the name that its refusal must say.
fn bad_inputs(subject: &Subject) -> Vec<(String, PredictRequest)> {
    let (first, tensor) = subject.inputs.iter().next().expect("a predictor has an input");
    let others = || subject.inputs.clone().into_iter().skip(1);
    let rest = || {
        others().fold(Tensors::new(), |all, (name, tensor)| all.with(name, tensor).expect("unique"))
    };
    let replaced = |tensor: Tensor| rest().with(first.clone(), tensor).expect("unique");
    let other_type = if tensor.dtype() == DType::I64 { DType::F32 } else { DType::I64 };
    let longer: Vec<usize> = tensor.shape().iter().copied().chain([1]).collect();
    let unknown = subject.inputs.clone().with("no such input", tensor.clone()).expect("unique");
    [
        (first.to_string(), rest()),
        ("no such input".to_owned(), unknown),
        (first.to_string(), replaced(zeros(other_type, tensor.shape().to_vec()))),
        (first.to_string(), replaced(tensor.clone().reshape(longer).expect("as many elements"))),
    ]
    .map(|(name, inputs)| (name, PredictRequest::new(inputs)))
    .into()
}

fn zeros(dtype: DType, shape: Vec<usize>) -> Tensor {
    let count: usize = shape.iter().product();
    match dtype.size() {
        Some(size) => {
            let bytes = arrow_buffer::Buffer::from(vec![0_u8; count * size]);
            Tensor::from_buffer(dtype, shape, bytes).expect("as many bytes as the shape needs")
        }
        None if dtype == DType::Utf8 => {
            Tensor::from_strs(shape, &vec![""; count]).expect("as many")
        }
        None => Tensor::from_byte_strings(shape, &vec![""; count]).expect("as many"),
    }
}

/// Equal to the bit, so that NaN equals itself and -0 differs from 0.
fn same_bits(left: &Tensors, right: &Tensors) -> bool {
    let texts = |tensor: &Tensor| -> Vec<Vec<u8>> {
        tensor.byte_strings().map(|items| items.map(<[u8]>::to_vec).collect()).unwrap_or_default()
    };
    left.len() == right.len()
        && left.iter().zip(right.iter()).all(|((left_name, left), (right_name, right))| {
            left_name == right_name
                && (left.dtype(), left.shape()) == (right.dtype(), right.shape())
                && left.as_bytes() == right.as_bytes()
                && texts(left) == texts(right)
        })
}

super::suite! {
    /// One named test a promise of [`Predictor`](crate::Predictor), on a backend that an expression
    /// makes: `predictor_conformance!(local, make());` where `make` gives a
    /// [`Subject`](crate::conformance::predictor::Subject).
    predictor_conformance, predictor: [
        info_names_what_answers, ready_means_able, outputs_match_the_signature, outputs_are_chosen,
        ids_are_echoed_and_unique, answers_repeat_to_the_bit, bad_inputs_are_named, unknown_outputs_are_named,
        a_passed_deadline_is_timed_out, a_bad_request_harms_nobody, zero_rows_give_zero_rows,
        answers_at_once_are_the_same,
    ]
}
