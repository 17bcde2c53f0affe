//! Load that is shared, and replicas that are left alone.

use super::{
    ask, block_on, failing, kind, made, offset, offset_signature, other_shape, panicking, request,
    subject, y,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use mlops_core::{
    Clock, Error, ErrorKind, Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    tensor::Tensors,
    testing::{FnPredictor, ManualClock},
};
use mlops_serve::compose::{Replicas, ReplicasConfig};
use std::{
    collections::BTreeSet,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

fn replicas(parts: Vec<Arc<dyn Predictor>>) -> Replicas {
    Replicas::new(parts, ReplicasConfig::default()).unwrap()
}

mlops_core::predictor_conformance!(
    replicas_conform,
    subject(replicas(vec![offset(1.0), offset(1.0), offset(1.0)]))
);

/// Answers one request after another, each in the same time of a clock that the test moves.
#[derive(Debug)]
struct Worker {
    inner: Arc<dyn Predictor>,
    clock: Arc<ManualClock>,
    takes: Duration,
    free_at: Mutex<Instant>,
    ends: Arc<Mutex<BTreeSet<Instant>>>,
    answered: AtomicU64,
    ready: AtomicBool,
}

#[async_trait::async_trait]
impl Predictor for Worker {
    fn info(&self) -> Arc<PredictorInfo> {
        self.inner.info()
    }

    async fn ready(&self) -> Result<()> {
        let is_ready = self.ready.load(Ordering::SeqCst);
        if is_ready { Ok(()) } else { Err(Error::unavailable("not yet")) }
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let end = {
            let mut free_at = self.free_at.lock().unwrap();
            *free_at = (*free_at).max(self.clock.instant()) + self.takes;
            *free_at
        };
        self.ends.lock().unwrap().insert(end);
        poll_fn(|_| if self.clock.instant() < end { Poll::Pending } else { Poll::Ready(()) }).await;
        self.answered.fetch_add(1, Ordering::SeqCst);
        self.inner.predict(request).await
    }
}

struct Site {
    clock: Arc<ManualClock>,
    ends: Arc<Mutex<BTreeSet<Instant>>>,
    workers: Vec<Arc<Worker>>,
    replicas: Replicas,
}

/// Replicas that take so many milliseconds each.
fn site(takes: &[u64], config: ReplicasConfig) -> Site {
    let clock = Arc::new(ManualClock::default());
    let ends = Arc::new(Mutex::default());
    let worker = |millis: &u64| {
        Arc::new(Worker {
            inner: offset(1.0),
            clock: clock.clone(),
            takes: Duration::from_millis(*millis),
            free_at: Mutex::new(clock.instant()),
            ends: Arc::clone(&ends),
            answered: AtomicU64::new(0),
            ready: AtomicBool::new(true),
        })
    };
    let workers: Vec<_> = takes.iter().map(worker).collect();
    let parts = workers.iter().map(|worker| Arc::clone(worker) as _).collect();
    let replicas = Replicas::new(parts, config).unwrap().with_clock(clock.clone());
    Site { clock, ends, workers, replicas }
}

impl Site {
    /// So many callers, each asking again when it is answered; how long all requests took.
    fn serve(&self, callers: usize, requests: usize) -> Duration {
        let began = self.clock.instant();
        let asked = || self.replicas.predict(request());
        let mut open: FuturesUnordered<_> = (0..callers).map(|_| asked()).collect();
        let (mut sent, mut answered) = (callers, 0);
        let mut context = Context::from_waker(Waker::noop());
        while answered < requests {
            // Nobody wakes what waits for the clock, so everything is looked at again.
            let mut waiting = FuturesUnordered::new();
            std::mem::swap(&mut waiting, &mut open);
            let mut waiting: FuturesUnordered<_> = waiting.into_iter().collect();
            let mut moved = false;
            while let Poll::Ready(Some(result)) = waiting.poll_next_unpin(&mut context) {
                result.unwrap();
                (answered, moved) = (answered + 1, true);
                if sent < requests {
                    sent += 1;
                    waiting.push(asked());
                }
            }
            open = waiting;
            if !moved {
                let now = self.clock.instant();
                let next = self.ends.lock().unwrap().range(now..).find(|end| **end > now).copied();
                self.clock.advance(next.expect("somebody is working") - now);
            }
        }
        self.clock.instant() - began
    }

    fn answered(&self) -> Vec<u64> {
        self.workers.iter().map(|worker| worker.answered.load(Ordering::SeqCst)).collect()
    }
}

#[test]
fn replicas_of_unequal_speed_share_load_within_a_tenth_of_the_optimum() {
    for (fast, slow) in [(1, 1), (1, 2), (1, 3), (2, 5), (1, 10)] {
        for callers in [2, 3, 8, 32] {
            let site = site(&[slow, fast], ReplicasConfig::default());
            let requests = 2000;
            let took = site.serve(callers, requests).as_secs_f64() * 1e3;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let [requests, fast, slow] = [requests as f64, fast as f64, slow as f64];
            // Both work all the time: rates add.
            let optimum = requests / (1.0 / fast + 1.0 / slow);
            let what = format!("{fast} and {slow} ms, {callers} callers: {took} of {optimum} ms");
            assert!(took <= 1.1 * optimum, "{what}");
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let share = site.answered()[1] as f64 / requests;
            let best = slow / (slow + fast);
            assert!((share - best).abs() <= 0.1 * best, "{what}: {share} of {best}");
        }
    }
}

#[test]
fn equals_take_turns() {
    let site = site(&[1, 1, 1], ReplicasConfig::default());
    site.serve(1, 30);
    assert_eq!(site.answered(), [10, 10, 10]);
}

#[test]
fn one_that_is_not_ready_is_passed_over_until_it_is() {
    let site = site(&[1, 1], ReplicasConfig::default());
    site.workers[0].ready.store(false, Ordering::SeqCst);
    site.serve(2, 40);
    assert_eq!(site.answered(), [0, 40]);
    assert_eq!(site.replicas.outstanding(), [0, 0]);
    site.workers[0].ready.store(true, Ordering::SeqCst);
    site.clock.advance(Duration::from_secs(1));
    site.serve(1, 40);
    assert_eq!(site.answered(), [20, 60]);
}

#[test]
fn with_none_that_is_ready_it_is_unavailable() {
    let site = site(&[1, 1], ReplicasConfig::default());
    site.workers.iter().for_each(|worker| worker.ready.store(false, Ordering::SeqCst));
    assert_eq!(kind(block_on(site.replicas.ready())), ErrorKind::Unavailable);
    let error = ask(&site.replicas, request()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "no replica is ready"));
}

#[test]
fn a_request_that_is_dropped_counts_no_longer() {
    let site = site(&[1, 1], ReplicasConfig::default());
    let mut asking = site.replicas.predict(request());
    assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(site.replicas.outstanding(), [1, 0]);
    drop(asking);
    assert_eq!(site.replicas.outstanding(), [0, 0]);
}

/// Fails while it is told to, and counts its calls.
fn moody() -> (Arc<dyn Predictor>, Arc<AtomicBool>, Arc<AtomicU64>) {
    let (ill, calls) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (is_ill, count) = (Arc::clone(&ill), Arc::clone(&calls));
    let predictor = made(move |inputs| {
        count.fetch_add(1, Ordering::SeqCst);
        assert!(!is_ill.load(Ordering::SeqCst), "a replica panics");
        super::add(inputs.require("x")?, 1.0)
    });
    (predictor, ill, calls)
}

#[test]
fn one_that_fails_again_and_again_is_left_alone_and_tried_again() {
    let (bad, ill, calls) = moody();
    let clock = Arc::new(ManualClock::default());
    let config = ReplicasConfig::default().with_failures(3).with_ready_for(Duration::MAX);
    let replicas = Replicas::new(vec![bad, offset(1.0)], config).unwrap();
    let replicas = replicas.with_clock(clock.clone());
    let failures =
        |requests: u32| (0..requests).filter(|_| ask(&replicas, request()).is_err()).count();
    assert_eq!(failures(100), 3, "three panics, then nothing more");
    clock.advance(Duration::from_secs(10));
    assert_eq!(failures(100), 1, "one request tries it");
    clock.advance(Duration::from_secs(9));
    assert_eq!(failures(100), 0);
    clock.advance(Duration::from_secs(1));
    ill.store(false, Ordering::SeqCst);
    let before = calls.load(Ordering::SeqCst);
    assert_eq!(failures(100), 0);
    assert_eq!(calls.load(Ordering::SeqCst) - before, 50, "it has its share again");
}

#[test]
fn unavailable_goes_to_another_and_bad_requests_break_nothing() {
    let (down, calls) = failing(ErrorKind::Unavailable);
    let (picky, _) = failing(ErrorKind::InvalidInput);
    let config = ReplicasConfig::default().with_failures(2);
    let pair = Replicas::new(vec![down, offset(1.0)], config.clone()).unwrap();
    for _ in 0..20 {
        ask(&pair, request()).unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2, "then it is left alone");
    let pair = Replicas::new(vec![picky, offset(1.0)], config).unwrap();
    let refused = (0..20).filter(|_| ask(&pair, request()).is_err()).count();
    assert_eq!(refused, 10, "what is wrong with a request is no failure of a replica");
}

#[test]
fn where_all_are_left_alone_they_are_asked_all_the_same() {
    let (bad, ill, _) = moody();
    let config = ReplicasConfig::default().with_failures(1);
    let one = Replicas::new(vec![bad, panicking()], config).unwrap();
    let ask = || ask(&one, request());
    assert_eq!([kind(ask()), kind(ask()), kind(ask())], [ErrorKind::Internal; 3]);
    ill.store(false, Ordering::SeqCst);
    assert!((0..2).any(|_| ask().is_ok()));
    assert!(ask().is_ok() && ask().is_ok(), "the one that answers is the only one asked");
}

#[test]
fn mistakes_are_named_when_it_is_built_and_widths_add_up() {
    let build = |parts| Replicas::new(parts, ReplicasConfig::default());
    assert_eq!(build(vec![]).unwrap_err().to_string(), "replicas: there is none");
    let other = vec![offset(1.0), other_shape()];
    let error = Replicas::named("c", other, ReplicasConfig::default()).unwrap_err().to_string();
    assert_eq!(error, "replica 2 differs from the first in its signature");
    let pair = replicas(vec![offset(1.0), offset(2.0)]);
    assert_eq!(pair.info().width, usize::MAX);
    assert_eq!(pair.info().name.as_ref(), "offset");
}

fn called(name: &str) -> Arc<dyn Predictor> {
    let add = |inputs: &Tensors| super::add(inputs.require("x")?, 1.0);
    Arc::new(FnPredictor::new(name, offset_signature(), add))
}

#[test]
fn replicas_of_several_names_have_one_of_their_own() {
    let parts = || vec![called("left"), called("right")];
    let error = Replicas::new(parts(), ReplicasConfig::default()).unwrap_err();
    assert_eq!(error.to_string(), "replica 2 differs from the first in its name");

    let both = Replicas::named("risk", parts(), ReplicasConfig::default()).unwrap();
    assert_eq!(&*both.info().name, "risk");
    for _ in 0..2 {
        let answer = ask(&both, request()).unwrap();
        assert_eq!((y(&answer), &*answer.model), (2.0, "risk"));
    }
}
