//! The doubles pass the suites, and each saboteur fails its own check.

use mlops_core::{
    conformance::predictor::Subject,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};

fn adder() -> FnPredictor {
    let (a, b) = (TensorSpec::column("a", DType::F64), TensorSpec::column("b", DType::F64));
    let outputs = vec![TensorSpec::column("sum", DType::F64), TensorSpec::column("a", DType::F64)];
    let signature = ModelSignature::new(vec![a, b], outputs).unwrap();
    FnPredictor::new("adder", signature, |inputs| {
        let [a, b] = ["a", "b"].map(|name| inputs.require(name));
        let (a, b) = (a?, b?);
        let pairs = a.as_slice::<f64>()?.iter().zip(b.as_slice::<f64>()?);
        let sum = Tensor::from_vec([a.rows()], pairs.map(|(a, b)| a + b).collect())?;
        Tensors::one("sum", sum).with("a", a.clone())
    })
}

fn inputs() -> Tensors {
    let column = |values: [f64; 3]| Tensor::from_vec([3], values.to_vec()).unwrap();
    Tensors::one("a", column([1.0, f64::NAN, -0.0])).with("b", column([0.5, 2.0, 0.0])).unwrap()
}

mlops_core::predictor_conformance!(fn_predictor, Subject::new(adder(), inputs()));

mod saboteurs {
    use super::{adder, inputs};
    use async_trait::async_trait;
    use mlops_core::{
        Error, PredictionId, Predictor, Result,
        conformance::predictor::{self as suite, Subject},
        predictor::{PredictRequest, PredictResponse, PredictorInfo},
        tensor::{Tensor, Tensors},
    };
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    /// One broken promise each.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Sabotage {
        OtherVersion,
        NeverAnswers,
        OutputsReversed,
        OutputsNotChosen,
        PredictionRepeats,
        DifferentEachTime,
        ForgivesBadInputs,
        ForgivesUnknownOutputs,
        IgnoresDeadline,
        BreaksAfterBadRequest,
        RefusesZeroRows,
        OthersAtOnce,
        TakesAtOnce,
    }

    /// Breaks one promise of the predictor that it holds.
    #[derive(Debug)]
    struct Saboteur {
        inner: mlops_core::testing::FnPredictor,
        breaks: Sabotage,
        calls: AtomicU64,
        bad: AtomicU64,
    }

    #[async_trait]
    impl Predictor for Saboteur {
        fn info(&self) -> Arc<PredictorInfo> {
            self.inner.info()
        }

        async fn ready(&self) -> Result<()> {
            Ok(())
        }

        async fn predict(&self, mut request: PredictRequest) -> Result<PredictResponse> {
            let calls = self.calls.fetch_add(1, Ordering::Relaxed);
            self.before(&mut request)?;
            let answered = self.inner.predict(request.clone()).await;
            if answered.is_err() {
                self.bad.fetch_add(1, Ordering::Relaxed);
            }
            match answered {
                Err(_) if self.breaks == Sabotage::ForgivesBadInputs => {
                    self.inner.predict(PredictRequest::new(inputs())).await
                }
                answered => answered.map(|response| self.after(response, calls)),
            }
        }

        fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
            match self.breaks {
                Sabotage::TakesAtOnce => request.inputs = Tensors::new(),
                Sabotage::OthersAtOnce => return Some(Err(Error::unavailable("sabotaged"))),
                _ => {}
            }
            None
        }
    }

    impl Saboteur {
        fn before(&self, request: &mut PredictRequest) -> Result<()> {
            let bad = self.bad.load(Ordering::Relaxed) > 0;
            let away = || Err(Error::unavailable("sabotaged"));
            match self.breaks {
                Sabotage::NeverAnswers => return away(),
                Sabotage::BreaksAfterBadRequest if bad => return away(),
                Sabotage::RefusesZeroRows if request.inputs.rows()? == 0 => return away(),
                Sabotage::IgnoresDeadline => request.deadline = None,
                Sabotage::OutputsNotChosen
                    if request.outputs.as_ref().is_some_and(|o| o.len() == 1) =>
                {
                    request.outputs = None;
                }
                Sabotage::ForgivesUnknownOutputs => request.outputs = None,
                _ => {}
            }
            Ok(())
        }

        fn after(&self, mut response: PredictResponse, calls: u64) -> PredictResponse {
            match self.breaks {
                Sabotage::OtherVersion => response.version = "2".into(),
                Sabotage::PredictionRepeats => response.prediction = PredictionId::from_u128(7),
                Sabotage::OutputsReversed => {
                    let mut outputs: Vec<_> = response.outputs.into_iter().collect();
                    outputs.reverse();
                    response.outputs =
                        outputs.into_iter().fold(Tensors::new(), |all, (name, tensor)| {
                            all.with(name, tensor).unwrap()
                        });
                }
                Sabotage::DifferentEachTime => {
                    let rows = response.outputs.rows().unwrap();
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "any value that changes will do"
                    )]
                    let sum = Tensor::from_vec([rows], vec![calls as f64; rows]).unwrap();
                    let a = response.outputs.get("a").cloned();
                    response.outputs = Tensors::one("sum", sum);
                    if let Some(a) = a {
                        response.outputs.push("a", a).unwrap();
                    }
                }
                _ => {}
            }
            response
        }
    }

    /// Whether a check panics on a predictor that breaks this promise.
    fn fails<F: Future<Output = ()>>(check: impl Fn(Subject) -> F, breaks: Sabotage) -> bool {
        let (calls, bad) = (AtomicU64::new(0), AtomicU64::new(0));
        let subject = Subject::new(Saboteur { inner: adder(), breaks, calls, bad }, inputs());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(check(subject)))).is_err()
    }

    #[test]
    fn each_fails_its_own_check() {
        use Sabotage as S;
        assert!(fails(suite::info_names_what_answers, S::OtherVersion));
        assert!(fails(suite::ready_means_able, S::NeverAnswers));
        assert!(fails(suite::outputs_match_the_signature, S::OutputsReversed));
        assert!(fails(suite::outputs_are_chosen, S::OutputsNotChosen));
        assert!(fails(suite::ids_are_echoed_and_unique, S::PredictionRepeats));
        assert!(fails(suite::answers_repeat_to_the_bit, S::DifferentEachTime));
        assert!(fails(suite::bad_inputs_are_named, S::ForgivesBadInputs));
        assert!(fails(suite::unknown_outputs_are_named, S::ForgivesUnknownOutputs));
        assert!(fails(suite::a_passed_deadline_is_timed_out, S::IgnoresDeadline));
        assert!(fails(suite::a_bad_request_harms_nobody, S::BreaksAfterBadRequest));
        assert!(fails(suite::zero_rows_give_zero_rows, S::RefusesZeroRows));
        assert!(fails(suite::answers_at_once_are_the_same, S::OthersAtOnce));
        assert!(fails(suite::answers_at_once_are_the_same, S::TakesAtOnce));
    }

    #[test]
    fn a_saboteur_of_one_promise_keeps_the_others() {
        assert!(!fails(suite::zero_rows_give_zero_rows, Sabotage::OtherVersion));
        assert!(!fails(suite::bad_inputs_are_named, Sabotage::PredictionRepeats));
        assert!(!fails(suite::ids_are_echoed_and_unique, Sabotage::OutputsReversed));
        assert!(!fails(suite::outputs_match_the_signature, Sabotage::IgnoresDeadline));
    }

    /// A check without a saboteur might not be able to fail.
    #[test]
    fn no_check_is_without_a_saboteur() {
        assert_eq!(suite::CHECKS.len(), 12, "add a saboteur for the new check");
    }
}
