//! What is kept, what is shared, and what is asked again.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use super::{Gated, add, ask, failing, kind, made, offset, panicking, poll, request, subject, y};
use crate::doubles::{offset_inputs, offset_signature};
use mlops_core::{
    Clock, Error, ErrorKind, Predictor, RandomIds, Result,
    predictor::{Parameter, PredictRequest, PredictResponse, PredictorInfo},
    testing::ManualClock,
};
use mlops_serve::compose::{Cached, CachedConfig};
use proptest::prelude::*;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

fn cached(inner: Arc<dyn Predictor>) -> Cached {
    Cached::new(inner, CachedConfig::default())
}

mlops_core::predictor_conformance!(cached_conforms, subject(cached(offset(1.0))));

fn of(x: f32) -> PredictRequest {
    PredictRequest::new(offset_inputs(&[x]))
}

fn counts(cached: &Cached) -> (u64, u64, u64) {
    let stats = cached.stats();
    (stats.hits, stats.misses, stats.joined)
}

#[test]
fn the_same_question_is_asked_once_and_each_answer_is_its_own() {
    let cached = cached(offset(1.0));
    let first = ask(&cached, request().with_id("one")).unwrap();
    let second = ask(&cached, request().with_id("two").with_key("k")).unwrap();
    assert_eq!(counts(&cached), (1, 1, 0));
    assert_eq!(first.outputs, second.outputs);
    assert_ne!(first.prediction, second.prediction);
    assert_eq!((first.id.as_deref(), second.id.as_deref()), (Some("one"), Some("two")));
    assert_eq!((second.model.as_ref(), second.version.as_ref()), ("offset", "1"));
    cached.clear();
    ask(&cached, request()).unwrap();
    assert_eq!((counts(&cached), cached.stats().entries), ((1, 2, 0), 1));
}

#[test]
fn many_threads_that_ask_the_same_at_once_are_one_question() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let inner = made(move |inputs| {
        counter.fetch_add(1, Ordering::SeqCst);
        add(inputs.require("x")?, 1.0)
    });
    let cached = cached(inner);
    let together = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..500_u16 {
                    together.wait();
                    let answer = crate::doubles::block_on(cached.predict(of(f32::from(turn))));
                    assert_eq!(y(&answer.unwrap()), f32::from(turn) + 1.0);
                }
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 500);
    let (hits, misses, joined) = counts(&cached);
    assert_eq!((hits + joined, misses), (1500, 500));
}

#[test]
fn every_bit_makes_another_question() {
    let cached = cached(offset(1.0));
    let nan = |payload: u32| of(f32::from_bits(0x7fc0_0000 | payload));
    let with = |name: &str, value| {
        let mut request = of(1.0);
        request.parameters = Some(Arc::new([(name.to_owned(), value)].into()));
        request
    };
    let questions = [
        of(0.0),
        of(-0.0),
        nan(0),
        nan(1),
        of(1.0),
        of(1.0).with_outputs(["y"]),
        of(1.0).with_outputs(["y", "x"]),
        of(1.0).with_outputs(["x", "y"]),
        with("a", Parameter::Int(1)),
        with("b", Parameter::Int(1)),
        with("a", Parameter::Bool(true)),
        with("a", Parameter::Float(1.0)),
        with("a", Parameter::Text("1".to_owned())),
        PredictRequest::new(offset_inputs(&[1.0, 1.0])),
        PredictRequest::new(offset_inputs(&[])),
    ];
    for question in &questions {
        ask(&cached, question.clone()).unwrap();
    }
    assert_eq!(counts(&cached), (0, questions.len() as u64, 0));
    for question in &questions {
        let given = ask(&cached, question.clone()).unwrap().outputs;
        let fresh = ask(&*offset(1.0), question.clone()).unwrap().outputs;
        let bits = |tensors: &mlops_core::tensor::Tensors| {
            let all =
                tensors.iter().map(|(name, t)| (name.clone(), t.as_bytes().unwrap().to_vec()));
            all.collect::<Vec<_>>()
        };
        assert_eq!(bits(&given), bits(&fresh));
    }
    assert_eq!(cached.stats().hits, questions.len() as u64);
}

#[test]
fn an_answer_is_good_for_its_time() {
    let clock = Arc::new(ManualClock::default());
    let cached = cached(offset(1.0)).with_clock_and_ids(clock.clone(), Arc::new(RandomIds));
    let ask_after = |seconds| {
        clock.advance(Duration::from_secs(seconds));
        ask(&cached, request()).unwrap();
        counts(&cached)
    };
    assert_eq!([ask_after(0), ask_after(59)], [(0, 1, 0), (1, 1, 0)]);
    assert_eq!([ask_after(1), ask_after(59)], [(1, 2, 0), (2, 2, 0)]);
}

#[test]
fn bounds_hold_and_the_least_used_gives_way() {
    let config = CachedConfig::default().with_entries(2);
    let cached = Cached::new(offset(1.0), config);
    for x in [1.0, 2.0, 1.0, 3.0, 1.0] {
        ask(&cached, of(x)).unwrap();
    }
    assert_eq!((counts(&cached), cached.stats().evicted), ((2, 3, 0), 1));
    let cached = Cached::new(offset(1.0), CachedConfig::default().with_bytes(3000));
    for x in 0..100_u16 {
        ask(&cached, of(f32::from(x))).unwrap();
        assert!(cached.stats().bytes <= 3000);
    }
    let stats = cached.stats();
    assert_eq!(stats.entries as u64 + stats.evicted, 100);
    assert!((5..12).contains(&stats.entries), "{stats:?}");
    let large = PredictRequest::new(offset_inputs(&[0.0; 1000]));
    ask(&cached, large).unwrap();
    assert_eq!(cached.stats().entries, stats.entries, "one larger than all may be is not kept");
}

/// Calls itself what it is told to.
#[derive(Debug)]
struct Renamed(Mutex<&'static str>, AtomicUsize);

#[async_trait::async_trait]
impl Predictor for Renamed {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::new(PredictorInfo::new("m", *self.0.lock().unwrap(), offset_signature()))
    }
    async fn ready(&self) -> Result<()> {
        Ok(())
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let inner = ask(&*offset(1.0), request.clone())?;
        Ok(PredictResponse::new(inner.prediction, &self.info(), &request, inner.outputs))
    }
}

#[test]
fn another_version_begins_anew() {
    let inner = Arc::new(Renamed(Mutex::new("1"), AtomicUsize::new(0)));
    let cached = cached(inner.clone());
    let asked = |version| {
        *inner.0.lock().unwrap() = version;
        assert_eq!(ask(&cached, request()).unwrap().version.as_ref(), version);
        inner.1.load(Ordering::SeqCst)
    };
    assert_eq!([asked("1"), asked("1"), asked("2"), asked("2"), asked("1")], [1, 1, 2, 2, 3]);
    assert_eq!(cached.stats().entries, 1);
}

#[test]
fn errors_and_panics_are_not_kept() {
    let (down, calls) = failing(ErrorKind::Unavailable);
    let down = cached(down);
    for _ in 0..2 {
        assert_eq!(ask(&down, request()).unwrap_err().to_string(), "not now");
    }
    assert_eq!((calls.load(Ordering::SeqCst), down.stats().entries), (2, 0));
    let bad = cached(panicking());
    assert_eq!(kind(ask(&bad, request())), ErrorKind::Internal);
    assert_eq!(kind(ask(&bad, request())), ErrorKind::Internal);
}

#[test]
fn one_is_asked_and_the_others_wait() {
    let gated = Gated::new(offset(1.0));
    let cached = cached(gated.clone());
    let mut first = cached.predict(request().with_id("one"));
    let mut second = cached.predict(request().with_id("two"));
    let mut other = cached.predict(of(7.0));
    for asking in [&mut first, &mut second, &mut other] {
        assert!(poll(asking).is_pending());
    }
    assert_eq!((gated.begun(), counts(&cached)), (2, (0, 2, 1)));
    gated.gate.add_permits(2);
    let answers = [&mut second, &mut first, &mut other].map(|asking| match poll(asking) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("nobody drives it"),
    });
    assert_eq!(answers[0].id.as_deref(), Some("two"));
    assert_eq!(answers[1].id.as_deref(), Some("one"));
    assert_ne!(answers[0].prediction, answers[1].prediction);
    assert_eq!((y(&answers[0]), y(&answers[2])), (2.0, 8.0));
}

#[test]
fn the_others_go_on_when_the_one_that_was_asked_leaves() {
    let gated = Gated::new(offset(1.0));
    let cached = cached(gated.clone());
    let mut first = cached.predict(request());
    let mut second = cached.predict(request());
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    drop(first);
    gated.gate.add_permits(1);
    assert!(matches!(poll(&mut second), Poll::Ready(Ok(_))));
    assert_eq!(gated.begun(), 1);
    // When all leave, the next begins anew, and nothing is left behind.
    let mut third = cached.predict(of(7.0));
    assert!(poll(&mut third).is_pending());
    drop(third);
    gated.gate.add_permits(1);
    assert_eq!(y(&ask(&cached, of(7.0)).unwrap()), 8.0);
    assert_eq!(gated.begun(), 3);
}

#[test]
fn an_error_is_shared_but_not_that_of_another_ones_deadline() {
    let clock = Arc::new(ManualClock::default());
    for (error, shared) in [(ErrorKind::Overloaded, true), (ErrorKind::TimedOut, false)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let gated = Gated::new(made(move |inputs| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(error, "not now")),
            _ => add(inputs.require("x")?, 1.0),
        }));
        let cached = cached(gated.clone()).with_clock_and_ids(clock.clone(), Arc::new(RandomIds));
        let soon = clock.instant() + Duration::from_secs(5);
        let mut first = cached.predict(request().with_deadline(soon));
        let mut second = cached.predict(request());
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        gated.gate.add_permits(2);
        let Poll::Ready(Err(first)) = poll(&mut first) else { panic!("no error") };
        assert_eq!((first.kind(), first.message()), (error, "not now"));
        match poll(&mut second) {
            Poll::Ready(Err(copy)) => assert!(shared && copy.to_string() == "not now"),
            Poll::Ready(Ok(answer)) => assert!(!shared && y(&answer) == 2.0),
            Poll::Pending => panic!("nobody drives it"),
        }
    }
}

#[test]
fn nobody_waits_for_one_that_may_take_longer() {
    let gated = Gated::new(offset(1.0));
    let cached = cached(gated.clone());
    let now = std::time::Instant::now();
    let until = |seconds| request().with_deadline(now + Duration::from_secs(seconds));
    let mut asking: Vec<_> =
        [request(), until(60), until(90), until(60), until(30)].map(|r| cached.predict(r)).into();
    let begun: Vec<usize> = asking
        .iter_mut()
        .map(|asking| {
            assert!(poll(asking).is_pending());
            gated.begun()
        })
        .collect();
    assert_eq!(begun, [1, 2, 2, 2, 3]);
}

proptest! {
    /// Whatever is asked, in whatever order, the answer is what the predictor would have said.
    #[test]
    fn a_cache_changes_no_answer(questions in prop::collection::vec((0_u8..8, 0_u8..3), 1..60)) {
        let cached = Cached::new(offset(1.0), CachedConfig::default().with_entries(4));
        for (x, rows) in questions {
            let inputs = offset_inputs(&vec![f32::from(x); usize::from(rows)]);
            let answer = ask(&cached, PredictRequest::new(inputs.clone())).unwrap();
            prop_assert_eq!(answer.outputs, ask(&*offset(1.0), PredictRequest::new(inputs)).unwrap().outputs);
            prop_assert!(cached.stats().entries <= 4);
        }
    }
}
