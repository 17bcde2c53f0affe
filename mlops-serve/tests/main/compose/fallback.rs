//! The next one answers.

use super::{
    Arm, arms, ask, block_on, failing, kind, made, offset, other_shape, panicking, request, subject,
};
use mlops_core::{
    Clock, Error, ErrorKind, Predictor, RandomIds, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    testing::ManualClock,
};
use mlops_serve::compose::{Fallback, FallbackConfig};
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

fn fallback(parts: Vec<Arm>) -> Fallback {
    Fallback::new("f", "1", parts, FallbackConfig::default()).unwrap()
}

mlops_core::predictor_conformance!(fallback_conforms, {
    let (down, _) = failing(ErrorKind::Unavailable);
    subject(fallback(arms([("down", down), ("bad", panicking()), ("up", offset(1.0))])))
});

#[test]
fn errors_that_say_not_now_go_on_and_others_do_not() {
    use ErrorKind::{Internal, Overloaded, TimedOut, Unavailable};
    for tried in ErrorKind::all() {
        let (down, calls) = failing(tried);
        let answer = ask(&fallback(arms([("down", down), ("up", offset(1.0))])), request());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        if matches!(tried, Unavailable | Overloaded | TimedOut | Internal) {
            let answer = answer.unwrap();
            assert_eq!(answer.arm.as_deref(), Some("up"));
            assert_eq!((answer.model.as_ref(), answer.version.as_ref()), ("f", "1"));
        } else {
            assert_eq!(kind(answer), tried);
        }
    }
}

#[test]
fn a_bad_request_is_bad_everywhere_whatever_is_configured() {
    let (down, _) = failing(ErrorKind::InvalidInput);
    let config = FallbackConfig::default().with_kinds(ErrorKind::all());
    let parts = arms([("down", down), ("up", offset(1.0))]);
    let fallback = Fallback::new("f", "1", parts, config).unwrap();
    assert_eq!(kind(ask(&fallback, request())), ErrorKind::InvalidInput);
}

#[test]
fn the_last_error_is_returned_and_ready_needs_one_arm() {
    let (first, _) = failing(ErrorKind::Overloaded);
    let (last, _) = failing(ErrorKind::Unavailable);
    let all = fallback(arms([("first", first), ("bad", panicking()), ("last", last)]));
    let error = ask(&all, request()).unwrap_err();
    assert_eq!(error.to_string(), "arm \"last\": not now");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    block_on(all.ready()).unwrap();
}

/// Takes its time, and remembers the deadline that it was given.
#[derive(Debug)]
struct Late {
    info: Arc<PredictorInfo>,
    clock: Arc<ManualClock>,
    deadline: Mutex<Option<Instant>>,
}

#[async_trait::async_trait]
impl Predictor for Late {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }
    async fn ready(&self) -> Result<()> {
        Err(Error::unavailable("late"))
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        *self.deadline.lock().unwrap() = request.deadline;
        self.clock.advance(Duration::from_millis(100));
        Err(Error::new(ErrorKind::TimedOut, "late"))
    }
}

#[test]
fn patience_is_a_deadline_and_nobody_is_asked_after_the_own_one() {
    let clock = Arc::new(ManualClock::default());
    let late = Arc::new(Late {
        info: offset(1.0).info(),
        clock: clock.clone(),
        deadline: Mutex::default(),
    });
    let config = FallbackConfig::default().with_patience(Some(Duration::from_millis(30)));
    let parts = arms([("late", late.clone() as _), ("up", offset(1.0))]);
    let fallback = Fallback::new("f", "1", parts, config).unwrap();
    let fallback = fallback.with_clock_and_ids(clock.clone(), Arc::new(RandomIds));

    let began = clock.instant();
    assert_eq!(ask(&fallback, request()).unwrap().arm.as_deref(), Some("up"));
    assert_eq!(*late.deadline.lock().unwrap(), Some(began + Duration::from_millis(30)));

    // A deadline of its own that is earlier stays; once it has passed, the next is not asked.
    let soon = clock.instant() + Duration::from_millis(10);
    assert_eq!(kind(ask(&fallback, request().with_deadline(soon))), ErrorKind::TimedOut);
    assert_eq!(*late.deadline.lock().unwrap(), Some(soon));
}

#[test]
fn an_answer_that_is_not_what_was_declared_goes_on_too() {
    let empty = made(|_| Ok(mlops_core::tensor::Tensors::new()));
    let answer = ask(&fallback(arms([("empty", empty), ("up", offset(1.0))])), request());
    assert_eq!(answer.unwrap().arm.as_deref(), Some("up"));
    let odd = arms([("a", offset(1.0)), ("b", other_shape())]);
    let error = Fallback::new("f", "1", odd, FallbackConfig::default()).unwrap_err();
    assert!(error.to_string().contains("arm \"b\" cannot stand in"), "{error}");
}
