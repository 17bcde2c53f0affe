//! Where a local predictor computes, what it bounds, and what it survives.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use crate::doubles::{OffsetSession, block_on, offset_inputs};
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    conformance::predictor::Subject,
    predictor::{PredictRequest, PredictResponse},
    tensor::Tensors,
    testing::{ManualClock, SequentialIds},
};
use mlops_serve::{InferOptions, LocalConfig, LocalPredictor, Session, SessionInfo};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

fn inline_config() -> LocalConfig {
    // A machine that tests run on is busy; what is short stays short.
    LocalConfig::default().with_inline_limit(Duration::from_secs(1)).with_threads(1)
}

fn lane_config() -> LocalConfig {
    LocalConfig::default().with_warm_up_rows(0).with_threads(1)
}

fn open(session: &Arc<OffsetSession>, config: &LocalConfig) -> LocalPredictor {
    LocalPredictor::open("offset", "1", Arc::clone(session) as _, config).unwrap()
}

fn request() -> PredictRequest {
    PredictRequest::new(offset_inputs(&[1.0, -0.0, f32::NAN]))
}

fn y(response: &PredictResponse) -> f32 {
    response.outputs.require("y").unwrap().as_slice::<f32>().unwrap()[0]
}

fn subject(config: &LocalConfig) -> Subject {
    let session = OffsetSession::new(1.0, |_| Ok(()));
    Subject::new(open(&session, config), offset_inputs(&[1.0, f32::NAN, -0.0]))
}

mlops_core::predictor_conformance!(inline, subject(&inline_config()));
mlops_core::predictor_conformance!(threaded, subject(&lane_config().with_threads(3)));

/// Holds calls back until it is opened, and tells when one has come.
#[derive(Default)]
struct Gate {
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        let limit = Duration::from_secs(20);
        let waited = self.changed.wait_timeout_while(state, limit, |(open, _)| !*open);
        assert!(!waited.unwrap().1.timed_out(), "nobody opened the gate");
    }

    fn open(&self) {
        self.state.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    fn wait_for(&self, calls: u32) {
        let limit = Duration::from_secs(20);
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, limit, |(_, came)| *came < calls);
        assert!(!waited.unwrap().1.timed_out(), "{calls} calls did not begin");
    }
}

fn gated(config: &LocalConfig) -> (Arc<Gate>, Arc<OffsetSession>, Arc<LocalPredictor>) {
    let gate = Arc::new(Gate::default());
    let own = Arc::clone(&gate);
    let session = OffsetSession::new(1.0, move |_| {
        own.pass();
        Ok(())
    });
    let predictor = Arc::new(open(&session, config));
    (gate, session, predictor)
}

#[test]
fn a_long_model_never_runs_on_the_hosts_threads() {
    let session = OffsetSession::new(1.0, |_| {
        std::thread::sleep(Duration::from_millis(20));
        Ok(())
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let host = std::thread::current().id();
    let predictor = open(&session, &LocalConfig::default());
    assert_eq!(predictor.inline_rows(), 0);
    for _ in 0..5 {
        assert_eq!(y(&runtime.block_on(predictor.predict(request())).unwrap()), 2.0);
    }
    let threads = session.threads();
    assert!(threads.len() >= 6 && threads.iter().all(|thread| *thread != host));
}

/// A session that computes one call at a time.
#[derive(Debug)]
struct Narrow(Arc<OffsetSession>, SessionInfo);

impl Session for Narrow {
    fn info(&self) -> &SessionInfo {
        &self.1
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        self.0.run(inputs, options)
    }
}

#[test]
fn a_call_that_has_to_wait_for_another_does_so_on_a_thread_of_the_predictors_own() {
    let (gate, armed) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
    let (own_gate, own_armed) = (Arc::clone(&gate), Arc::clone(&armed));
    let session = OffsetSession::new(1.0, move |_| {
        if own_armed.load(Ordering::SeqCst) {
            own_gate.pass();
        }
        Ok(())
    });
    let info = session.info().clone().with_width(Some(1));
    let narrow = Arc::new(Narrow(Arc::clone(&session), info));
    let config = inline_config().with_threads(8);
    let predictor = LocalPredictor::open("offset", "1", narrow, &config).unwrap();
    assert_eq!(predictor.info().width, 1);
    assert!(predictor.inline_rows() >= 3);
    armed.store(true, Ordering::SeqCst);
    let host = std::thread::current().id();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| block_on(predictor.predict(request())).unwrap());
        gate.wait_for(1);
        // Were it computed here, the gate would stay closed.
        let mut second = predictor.predict(request());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        gate.open();
        assert_eq!(y(&block_on(second).unwrap()), 2.0);
        first.join().unwrap();
    });
    assert!(session.threads().iter().all(|thread| *thread != host));
    // With nobody to wait for, it is computed here again.
    block_on(predictor.predict(request())).unwrap();
    assert_eq!(session.threads().last(), Some(&host));
}

#[test]
fn a_long_model_leaves_the_hosts_timers_alone() {
    let (gate, armed) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
    let (own_gate, own_armed) = (Arc::clone(&gate), Arc::clone(&armed));
    let session = OffsetSession::new(1.0, move |_| {
        if own_armed.load(Ordering::SeqCst) {
            own_gate.pass();
        }
        std::thread::sleep(Duration::from_millis(2));
        Ok(())
    });
    let predictor = open(&session, &LocalConfig::default());
    armed.store(true, Ordering::SeqCst);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        // The model goes on until the timers have fired: on the host's thread they never would.
        let ticks = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            gate.open();
        };
        let (answer, ()) = tokio::join!(predictor.predict(request()), ticks);
        assert_eq!(y(&answer.unwrap()), 2.0);
    });
}

#[test]
fn a_short_model_runs_where_it_is_polled() {
    let session = OffsetSession::new(1.0, |_| Ok(()));
    let predictor = open(&session, &inline_config());
    assert_eq!(predictor.inline_rows(), 64);
    assert_eq!(y(&block_on(predictor.predict(request())).unwrap()), 2.0);
    assert_eq!(session.threads().last(), Some(&std::thread::current().id()));

    let many = PredictRequest::new(offset_inputs(&[0.5; 65]));
    assert_eq!(y(&block_on(predictor.predict(many)).unwrap()), 1.5);
    assert_ne!(session.threads().last(), Some(&std::thread::current().id()));
}

#[test]
fn a_full_queue_is_overloaded_and_a_dropped_request_gives_its_place_back() {
    let (gate, session, predictor) = gated(&lane_config().with_queue(1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let spawn = || {
        let predictor = Arc::clone(&predictor);
        runtime.spawn(async move { predictor.predict(request()).await })
    };
    let running = spawn();
    gate.wait_for(1);
    let mut waiting = Box::pin(predictor.predict(request()));
    assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
    let refused = block_on(predictor.predict(request())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.to_string().contains("model \"offset\" version 1"), "{refused}");

    drop(waiting);
    let next = spawn();
    gate.open();
    for answered in [running, next] {
        runtime.block_on(answered).unwrap().unwrap();
    }
    assert_eq!(session.threads().len(), 2, "the dropped one never began");
}

#[test]
fn calls_at_the_same_time_have_a_thread_each_up_to_the_bound() {
    let (gate, session, predictor) = gated(&lane_config().with_threads(2));
    let ask = || {
        let mut answer = Box::pin(predictor.predict(request()));
        assert!(futures_util::FutureExt::now_or_never(&mut answer).is_none());
        answer
    };
    let first = ask();
    gate.wait_for(1);
    let others = [ask(), ask()];
    gate.wait_for(2);
    assert_eq!(session.threads().len(), 2, "the third waits");
    gate.open();
    for answer in std::iter::once(first).chain(others) {
        assert_eq!(y(&block_on(answer).unwrap()), 2.0);
    }
    let mut threads = session.threads();
    assert_eq!(threads.len(), 3);
    threads.sort_unstable_by_key(|thread| format!("{thread:?}"));
    threads.dedup();
    assert_eq!(threads.len(), 2);
}

#[test]
fn a_dropped_request_stops_its_computation() {
    let stopped = Arc::new(Mutex::new(false));
    let (own, began) = (Arc::clone(&stopped), Arc::new(Gate::default()));
    let gate = Arc::clone(&began);
    let session = OffsetSession::new(1.0, move |options| {
        gate.open();
        gate.pass();
        let limit = Instant::now() + Duration::from_secs(20);
        while Instant::now() < limit {
            if let Err(error) = options.stop.check() {
                *own.lock().unwrap() = true;
                return Err(error);
            }
            std::thread::yield_now();
        }
        Ok(())
    });
    let predictor = open(&session, &lane_config());
    let mut dropped = Box::pin(predictor.predict(request()));
    assert!(futures_util::FutureExt::now_or_never(&mut dropped).is_none());
    began.wait_for(1);
    drop(dropped);
    let limit = Instant::now() + Duration::from_secs(20);
    while !*stopped.lock().unwrap() {
        assert!(Instant::now() < limit, "the computation goes on");
        std::thread::yield_now();
    }
}

#[test]
fn a_panic_loses_one_call() {
    for config in [inline_config().with_warm_up_rows(1), lane_config()] {
        let calls = AtomicU32::new(0);
        let armed = Arc::new(AtomicU32::new(u32::MAX));
        let at = Arc::clone(&armed);
        let session = OffsetSession::new(1.0, move |_| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            assert!(call < at.load(Ordering::SeqCst), "as planned, of 3.14");
            Ok(())
        });
        let predictor = open(&session, &config);
        armed.store(0, Ordering::SeqCst);
        let one = || PredictRequest::new(offset_inputs(&[1.0]));
        let lost = block_on(predictor.predict(one())).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Internal);
        assert_eq!(lost.to_string(), "model \"offset\" version 1 panicked");
        armed.store(u32::MAX, Ordering::SeqCst);
        assert_eq!(y(&block_on(predictor.predict(one())).unwrap()), 2.0);
        assert_eq!(predictor.panics(), 1);
    }
}

#[test]
fn a_deadline_that_passes_in_the_queue_is_timed_out_and_nothing_is_computed() {
    let (gate, session, predictor) = gated(&lane_config());
    let clock = Arc::new(ManualClock::default());
    let predictor = Arc::into_inner(predictor).unwrap();
    let own: Arc<dyn mlops_core::Clock> = clock.clone();
    let predictor = predictor.with_clock_and_ids(own, Arc::new(SequentialIds::default()));
    let mut running = Box::pin(predictor.predict(request()));
    assert!(futures_util::FutureExt::now_or_never(&mut running).is_none());
    gate.wait_for(1);
    let deadline = mlops_core::Clock::instant(&*clock) + Duration::from_millis(5);
    let mut late = Box::pin(predictor.predict(request().with_deadline(deadline)));
    assert!(futures_util::FutureExt::now_or_never(&mut late).is_none());
    clock.advance(Duration::from_millis(6));
    gate.open();
    assert_eq!(block_on(running).unwrap().prediction.as_u128(), 1);
    assert_eq!(block_on(late).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(session.threads().len(), 1);
}

#[test]
fn a_deadline_that_passes_meanwhile_ends_the_computation() {
    for config in [inline_config(), lane_config()] {
        let clock = Arc::new(ManualClock::default());
        let own = Arc::clone(&clock);
        let session = OffsetSession::new(1.0, move |options| {
            own.advance(Duration::from_millis(6));
            options.stop.check()
        });
        let own: Arc<dyn mlops_core::Clock> = clock.clone();
        let ids = Arc::new(SequentialIds::default());
        let predictor = open(&session, &config).with_clock_and_ids(own, ids);
        let deadline = mlops_core::Clock::instant(&*clock) + Duration::from_millis(5);
        let late = block_on(predictor.predict(request().with_deadline(deadline))).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        assert_eq!(y(&block_on(predictor.predict(request())).unwrap()), 2.0);
    }
}

#[test]
fn what_is_urgent_goes_first() {
    let (gate, order) = (Arc::new(Gate::default()), Arc::new(Mutex::new(Vec::new())));
    let (own_gate, own_order) = (Arc::clone(&gate), Arc::clone(&order));
    let session = OffsetSession::new(1.0, move |options| {
        own_gate.pass();
        let outputs = options.outputs.map(<[_]>::to_vec).unwrap_or_default();
        own_order.lock().unwrap().push(outputs.first().map(ToString::to_string));
        Ok(())
    });
    let predictor = open(&session, &lane_config());
    let ask = |output: &str, priority| {
        let mut request = request().with_outputs([output]);
        request.priority = priority;
        let mut answer = Box::pin(predictor.predict(request));
        assert!(futures_util::FutureExt::now_or_never(&mut answer).is_none());
        answer
    };
    let running = ask("y", 0);
    gate.wait_for(1);
    let (ordinary, urgent) = (ask("y", 0), ask("x", 9));
    gate.open();
    for answer in [running, ordinary, urgent] {
        block_on(answer).unwrap();
    }
    let outputs: Vec<_> = order.lock().unwrap().iter().flatten().cloned().collect();
    assert_eq!(outputs, ["y", "x", "y"]);
}

#[test]
fn it_computes_without_a_runtime_and_carries_its_arm() {
    let session = OffsetSession::new(1.0, |_| Ok(()));
    let predictor = open(&session, &lane_config()).with_arm("challenger");
    let now = predictor.predict_now(&request()).unwrap();
    let later = block_on(predictor.predict(request())).unwrap();
    assert_eq!(now.arm.as_deref(), Some("challenger"));
    assert_eq!(later.arm, now.arm);
    let bits = |answer: &PredictResponse| {
        answer.outputs.require("y").unwrap().as_bytes().unwrap().to_vec()
    };
    assert_eq!(bits(&now), bits(&later));
    let bad = predictor.predict_now(&PredictRequest::default()).unwrap_err();
    assert_eq!(bad.to_string(), "input \"x\" is missing");
}

#[test]
fn rows_have_a_bound() {
    let session = OffsetSession::new(1.0, |_| Ok(()));
    let predictor = open(&session, &lane_config().with_max_rows(Some(2)));
    let error = block_on(predictor.predict(request())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_model_that_does_not_run_is_not_opened() {
    let try_open = |fails: fn() -> Result<()>| {
        let session = OffsetSession::new(1.0, move |_| fails());
        LocalPredictor::open("offset", "1", session, &inline_config())
    };
    let error = try_open(|| Err(Error::unsupported("no such operator"))).unwrap_err();
    assert_eq!(error.to_string(), "warming model \"offset\" version 1 up: no such operator");
    assert_eq!(try_open(|| panic!("as planned")).unwrap_err().kind(), ErrorKind::Internal);
    // Zeros need not be inputs that the model takes.
    assert_eq!(try_open(|| Err(Error::invalid("x is 0"))).unwrap().inline_rows(), 0);
}
