//! A server that hangs, breaks off, refuses for a while or for ever.

use super::{
    connected, kind,
    peer::{Peer, Say, good, http},
};
use crate::doubles::block_on;
use mlops_core::{
    ErrorKind, Predictor, RandomIds, Result,
    predictor::{PredictRequest, PredictResponse},
    tensor::{Tensor, Tensors},
    testing::ManualClock,
};
use mlops_serve::engines::remote::{RemoteConfig, RemotePredictor, Retries};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Waker},
    time::{Duration, Instant},
};

fn one_row() -> PredictRequest {
    PredictRequest::new(Tensors::one("x", Tensor::from_vec([1], vec![1_f32]).unwrap()))
}

fn config(peer: &Peer) -> RemoteConfig {
    let waits = Retries::default().with_waits(Duration::from_millis(1), Duration::from_millis(2));
    let url = format!("http://{}", peer.address);
    RemoteConfig::new(url, "m").with_retries(waits).with_timeout(Duration::from_secs(20))
}

fn ask(remote: &RemotePredictor) -> Result<PredictResponse> {
    block_on(remote.predict(one_row()))
}

fn y(answer: &PredictResponse) -> f32 {
    answer.outputs.require("y").unwrap().as_slice::<f32>().unwrap()[0]
}

#[test]
fn one_that_hangs_times_out_by_either_limit() {
    let peer = Peer::start(|_| Say::Nothing);
    let remote = connected(config(&peer).with_timeout(Duration::from_millis(100)));
    assert_eq!(kind(ask(&remote)), ErrorKind::TimedOut);
    let remote = connected(config(&peer).with_failures(1));
    let soon = Instant::now() + Duration::from_millis(100);
    let asked = block_on(remote.predict(one_row().with_deadline(soon)));
    assert_eq!(kind(asked), ErrorKind::TimedOut);
    assert_eq!(peer.asked(), 2, "nobody asks again once the time is over");
    // A caller in a hurry says nothing of the server.
    let soon = Instant::now() + Duration::from_millis(50);
    let asked = block_on(remote.predict(one_row().with_deadline(soon)));
    assert_eq!((kind(asked), peer.asked()), (ErrorKind::TimedOut, 3));
}

#[test]
fn who_leaves_ends_the_call() {
    let peer = Peer::start(|_| Say::Nothing);
    let remote = connected(config(&peer));
    let mut asking = remote.predict(one_row());
    while peer.asked() == 0 {
        let polled = Pin::new(&mut asking).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(asking);
    while peer.gone.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn before_an_answer_it_is_asked_again_only_if_that_was_allowed() {
    let first_closes = |at| if at == 0 { Say::AndClose(Vec::new()) } else { Say::This(good()) };
    let peer = Peer::start(first_closes);
    assert_eq!(kind(ask(&connected(config(&peer)))), ErrorKind::Unavailable);
    assert_eq!(peer.asked(), 1);

    let peer = Peer::start(first_closes);
    let retries = config(&peer).retries.with_unanswered(true);
    let remote = connected(config(&peer).with_retries(retries));
    assert!((y(&ask(&remote).unwrap()) - 2.5).abs() < f32::EPSILON);
    assert_eq!((peer.asked(), remote.stats().again), (2, 1));
}

#[test]
fn an_answer_that_breaks_off_is_final() {
    let half = || {
        let whole = good();
        whole[..whole.len() - 20].to_vec()
    };
    let peer = Peer::start(move |_| Say::AndClose(half()));
    let retries = config(&peer).retries.with_unanswered(true);
    let error = ask(&connected(config(&peer).with_retries(retries))).unwrap_err();
    assert_eq!((error.kind(), peer.asked()), (ErrorKind::Unavailable, 1));
    assert!(error.to_string().contains("inside of the answer"), "{error}");
}

#[test]
fn who_is_busy_is_asked_again_when_it_says() {
    let busy = |after: &str| http("429 Too Many Requests", after, "{}");
    let first = busy("Retry-After: 0\r\n");
    let peer = Peer::start(move |at| Say::This(if at < 2 { first.clone() } else { good() }));
    ask(&connected(config(&peer))).unwrap();
    assert_eq!(peer.asked(), 3);

    // Not before the deadline, and so never.
    let never = busy("Retry-After: 3600\r\n");
    let peer = Peer::start(move |_| Say::This(never.clone()));
    assert_eq!(kind(ask(&connected(config(&peer)))), ErrorKind::Overloaded);
    assert_eq!(peer.asked(), 1);
}

#[test]
fn who_always_fails_is_left_alone_and_then_tried_once() {
    let peer = Peer::start(|at| Say::This(if at < 4 { http("503 No", "", "") } else { good() }));
    let clock = Arc::new(ManualClock::default());
    let config = config(&peer).with_failures(3).with_cool_down(Duration::from_mins(1));
    let connecting = RemotePredictor::connect_with(
        config,
        Arc::<ManualClock>::clone(&clock),
        Arc::new(RandomIds),
    );
    let remote = block_on(connecting).unwrap();
    assert_eq!(kind(ask(&remote)), ErrorKind::Unavailable);
    assert_eq!(peer.asked(), 3, "three attempts, and the circuit is open");
    for _ in 0..5 {
        let error = ask(&remote).unwrap_err();
        assert!(error.to_string().contains("left alone"), "{error}");
        assert_eq!(kind(block_on(remote.ready())), ErrorKind::Unavailable);
    }
    assert_eq!((peer.asked(), remote.stats().left_alone), (3, 5));

    clock.advance(Duration::from_secs(61));
    assert_eq!(kind(ask(&remote)), ErrorKind::Unavailable);
    assert_eq!(peer.asked(), 4, "one request tries it, and once");
    clock.advance(Duration::from_secs(61));
    ask(&remote).unwrap();
    ask(&remote).unwrap();
    assert_eq!(peer.asked(), 6);
}

#[test]
fn too_many_at_a_time_are_refused() {
    let peer = Peer::start(|_| Say::Nothing);
    let remote = connected(config(&peer).with_max_in_flight(1).with_queue(0));
    let mut first = remote.predict(one_row());
    while peer.asked() == 0 {
        assert!(Pin::new(&mut first).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        std::thread::sleep(Duration::from_millis(1));
    }
    let error = ask(&remote).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(peer.asked(), 1);
}

#[test]
fn refusals_have_the_kind_of_their_status_and_quote_nothing() {
    for (status, kind) in [
        ("400 Bad", ErrorKind::InvalidInput),
        ("404 No", ErrorKind::NotFound),
        ("413 Much", ErrorKind::TooLarge),
        ("422 What", ErrorKind::InvalidInput),
        ("500 Oh", ErrorKind::Internal),
        ("504 Late", ErrorKind::TimedOut),
        ("301 There", ErrorKind::Corrupt),
    ] {
        let answer = http(status, "", r#"{"error":"hunter2"}"#);
        let peer = Peer::start(move |_| Say::This(answer.clone()));
        let error = ask(&connected(config(&peer))).unwrap_err();
        assert_eq!((error.kind(), peer.asked()), (kind, 1), "{status}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(format!("{error:?}").contains("hunter2"), "it is in the log: {error:?}");
    }
}
