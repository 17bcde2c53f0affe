//! What runs together, what waits, and what one request can do to another.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use crate::doubles::{block_on, offset_inputs, offset_signature};
use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use mlops_core::{
    Clock, Error, ErrorKind, PredictionId, Predictor, Result,
    conformance::predictor::Subject,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    tensor::{Tensor, Tensors},
    testing::{ManualClock, SequentialIds},
};
use mlops_serve::{Batcher, BatchingConfig, LocalConfig, LocalPredictor};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// Adds 1 to each `x` when it is let; refuses a call with a negative one, panics at a 13.
#[derive(Debug)]
struct Gated {
    info: Arc<PredictorInfo>,
    permits: Semaphore,
    /// How many rows each call had that began.
    calls: Mutex<Vec<usize>>,
    dropped: AtomicU32,
}

impl Gated {
    fn new(width: usize, permits: usize) -> Arc<Self> {
        let info = PredictorInfo::new("m", "1", offset_signature()).with_width(width);
        let (calls, dropped) = Default::default();
        Arc::new(Self { info: Arc::new(info), permits: Semaphore::new(permits), calls, dropped })
    }

    fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }
}

/// Counts a call that is given up.
struct Given<'a>(&'a AtomicU32, bool);

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(u32::from(!self.1), Ordering::SeqCst);
    }
}

#[async_trait]
impl Predictor for Gated {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.info.check(&request, std::time::Instant::now())?;
        self.calls.lock().unwrap().push(request.inputs.rows()?);
        let mut given = Given(&self.dropped, false);
        self.permits.acquire().await.unwrap().forget();
        given.1 = true;
        let x = request.inputs.require("x")?;
        let values = x.as_slice::<f32>()?;
        if values.iter().any(|&x| x < 0.0) {
            return Err(Error::invalid("input \"x\" is negative"));
        }
        assert!(values.iter().all(|&x| x != 13.0), "as planned");
        let y = Tensor::from_vec([values.len()], values.iter().map(|x| x + 1.0).collect())?;
        let outputs = match request.outputs.as_deref() {
            None => Tensors::one("y", y).with("x", x.clone())?,
            Some(_) => Tensors::one("y", y),
        };
        Ok(PredictResponse::new(PredictionId::from_u128(0), &self.info, &request, outputs))
    }
}

/// Each batch waits for its permit.
fn batcher(inner: &Arc<Gated>) -> Batcher {
    ahead(inner, 0)
}

fn ahead(inner: &Arc<Gated>, batches: usize) -> Batcher {
    let config = BatchingConfig::default().with_max_batch_rows(8).with_ahead(batches);
    Batcher::new(Arc::clone(inner), config)
}

type Answer<'a> = BoxFuture<'a, Result<PredictResponse>>;

/// Polled once: it runs or waits.
fn ask<'a>(batcher: &'a Batcher, values: &[f32]) -> Answer<'a> {
    send(batcher, PredictRequest::new(offset_inputs(values)))
}

fn send(batcher: &Batcher, request: PredictRequest) -> Answer<'_> {
    let mut answer = batcher.predict(request);
    assert!((&mut answer).now_or_never().is_none());
    answer
}

fn y(response: &PredictResponse) -> Vec<f32> {
    response.outputs.require("y").unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn subject(threads: usize, warm_up_rows: usize) -> Subject {
    let session = crate::doubles::OffsetSession::new(1.0, |_| Ok(()));
    let config = LocalConfig::default().with_threads(threads).with_warm_up_rows(warm_up_rows);
    let local = LocalPredictor::open("offset", "1", session, &config).unwrap();
    let batcher = Batcher::new(local, BatchingConfig::default());
    Subject::new(batcher, offset_inputs(&[1.0, f32::NAN, -0.0]))
}

mlops_core::predictor_conformance!(over_inline, subject(1, 64));
mlops_core::predictor_conformance!(over_threads, subject(1, 0));

#[test]
fn what_comes_while_all_are_busy_runs_together() {
    let inner = Gated::new(1, 0);
    let batcher = batcher(&inner);
    let first = ask(&batcher, &[1.0]);
    let others: Vec<_> = (2_u8..6).map(|x| ask(&batcher, &[f32::from(x), 0.5])).collect();
    assert_eq!((inner.calls(), batcher.stats().waiting), (vec![1], 4));
    inner.permits.add_permits(2);
    assert_eq!(y(&block_on(first).unwrap()), [2.0]);
    let answers: Vec<_> = others.into_iter().map(|answer| block_on(answer).unwrap()).collect();
    assert_eq!(inner.calls(), [1, 8], "eight rows in one call");
    for (answer, x) in answers.iter().zip(2_u8..) {
        assert_eq!(y(answer), [f32::from(x) + 1.0, 1.5]);
        assert_eq!(answer.outputs.require("x").unwrap().as_slice::<f32>().unwrap()[1], 0.5);
    }
    assert_ne!(answers[0].prediction, answers[1].prediction);
    let stats = batcher.stats();
    assert_eq!((stats.at_once, stats.batches, stats.batched_requests), (1, 1, 4));
    assert_eq!((stats.rows_per_batch[3], stats.waiting), (1, 0));
}

#[test]
fn a_whole_batch_is_handed_on_ahead_of_its_turn_and_no_other() {
    let inner = Gated::new(1, 0);
    let batcher = ahead(&inner, 1);
    let first = ask(&batcher, &[1.0]);
    let mut others: Vec<_> = (2_u8..5).map(|x| ask(&batcher, &[f32::from(x), 0.5])).collect();
    assert_eq!((inner.calls(), batcher.stats().waiting), (vec![1], 3));
    others.push(ask(&batcher, &[5.0, 0.5]));
    assert_eq!((inner.calls(), batcher.stats().waiting), (vec![1, 8], 0));
    let later: Vec<_> = (0..5).map(|_| ask(&batcher, &[7.0, 0.5])).collect();
    assert_eq!((inner.calls(), batcher.stats().waiting), (vec![1, 8], 5), "one is ahead already");

    inner.permits.add_permits(4);
    assert_eq!(y(&block_on(first).unwrap()), [2.0]);
    for (answer, x) in others.into_iter().zip(2_u8..) {
        assert_eq!(y(&block_on(answer).unwrap()), [f32::from(x) + 1.0, 1.5]);
    }
    for answer in later {
        assert_eq!(y(&block_on(answer).unwrap()), [8.0, 1.5]);
    }
    assert_eq!(inner.calls(), [1, 8, 8, 2]);
}

#[test]
fn what_differs_runs_apart_and_what_is_too_much_runs_next() {
    let inner = Gated::new(1, 0);
    let batcher = batcher(&inner);
    let first = ask(&batcher, &[1.0]);
    let long = ask(&batcher, &[0.0; 20]);
    let (one, two) = (ask(&batcher, &[0.0; 5]), ask(&batcher, &[0.0; 4]));
    let request = PredictRequest::new(offset_inputs(&[7.0])).with_outputs(["y"]).with_id("mine");
    let other = send(&batcher, request);
    inner.permits.add_permits(9);
    for answer in [first, long, one, two] {
        block_on(answer).unwrap();
    }
    let other = block_on(other).unwrap();
    assert_eq!((other.outputs.len(), other.id.as_deref()), (1, Some("mine")));
    assert_eq!(inner.calls(), [1, 20, 5, 4, 1]);
}

#[test]
fn one_bad_request_fails_alone() {
    for bad in 0..8_u8 {
        let inner = Gated::new(1, 0);
        let batcher = ahead(&inner, usize::from(bad % 2));
        let first = ask(&batcher, &[1.0]);
        let x = |at: u8| if at == bad { -1.0 } else { f32::from(at) };
        let members: Vec<_> = (0..8).map(|at| ask(&batcher, &[x(at)])).collect();
        inner.permits.add_permits(100);
        block_on(first).unwrap();
        for (at, answer) in (0_u8..).zip(members) {
            match block_on(answer) {
                Ok(answer) => assert_eq!(y(&answer), [f32::from(at) + 1.0]),
                Err(error) => {
                    assert_eq!((at, error.to_string().as_str()), (bad, "input \"x\" is negative"));
                }
            }
        }
        assert_eq!(batcher.stats().bisected, 3);
    }
}

#[test]
fn a_panic_loses_one_batch() {
    let inner = Gated::new(1, 0);
    let batcher = batcher(&inner);
    let first = ask(&batcher, &[1.0]);
    let lost = [ask(&batcher, &[13.0]), ask(&batcher, &[1.0])];
    inner.permits.add_permits(100);
    block_on(first).unwrap();
    for answer in lost {
        assert_eq!(block_on(answer).unwrap_err().kind(), ErrorKind::Internal);
    }
    assert_eq!(
        y(&block_on(batcher.predict(PredictRequest::new(offset_inputs(&[4.0])))).unwrap()),
        [5.0]
    );
    assert_eq!(batcher.stats().panics, 1);
}

/// Its `info` panics while it is told to; its `predict` when it is called, before there is a future.
#[derive(Debug)]
struct Rude(Arc<Gated>, AtomicU32);

impl Predictor for Rude {
    fn info(&self) -> Arc<PredictorInfo> {
        assert!(self.1.load(Ordering::SeqCst) != 1, "as planned");
        self.0.info()
    }

    fn ready<'a, 'b>(&'a self) -> BoxFuture<'b, Result<()>>
    where
        'a: 'b,
    {
        self.0.ready()
    }

    fn predict<'a, 'b>(&'a self, request: PredictRequest) -> BoxFuture<'b, Result<PredictResponse>>
    where
        'a: 'b,
    {
        assert!(self.1.load(Ordering::SeqCst) != 2, "as planned");
        self.0.predict(request)
    }
}

#[test]
fn whatever_of_the_hosts_panics_no_permit_is_lost_and_nobody_waits_for_ever() {
    let inner = Arc::new(Rude(Gated::new(1, 0), AtomicU32::new(0)));
    let batcher = Batcher::new(Arc::clone(&inner), BatchingConfig::default());
    let rude = |how: u32| inner.1.store(how, Ordering::SeqCst);
    let first = ask(&batcher, &[1.0]);
    let waits = ask(&batcher, &[2.0]);
    inner.0.permits.add_permits(100);
    rude(1);
    block_on(first).unwrap();
    rude(0);
    // The permit is back; whoever comes next lets the one that waits run.
    assert_eq!(
        y(&block_on(batcher.predict(PredictRequest::new(offset_inputs(&[4.0])))).unwrap()),
        [5.0]
    );
    assert_eq!(y(&block_on(waits).unwrap()), [3.0]);

    inner.0.permits.forget_permits(100);
    let first = ask(&batcher, &[1.0]);
    let lost = [ask(&batcher, &[1.0]), ask(&batcher, &[2.0])];
    inner.0.permits.add_permits(100);
    rude(2);
    block_on(first).unwrap();
    for answer in lost {
        assert_eq!(block_on(answer).unwrap_err().kind(), ErrorKind::Internal);
    }
    rude(0);
    assert_eq!(
        y(&block_on(batcher.predict(PredictRequest::new(offset_inputs(&[4.0])))).unwrap()),
        [5.0]
    );
    assert_eq!((batcher.stats().panics, batcher.stats().waiting), (1, 0));
}

#[test]
fn what_is_too_large_for_the_queue_waits_alone() {
    let inner = Gated::new(1, 0);
    let config = BatchingConfig::default().with_max_waiting_rows(4);
    let batcher = Batcher::new(Arc::clone(&inner), config);
    let first = ask(&batcher, &[1.0]);
    let large = ask(&batcher, &[1.0; 50]);
    let second = block_on(batcher.predict(PredictRequest::new(offset_inputs(&[1.0]))));
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Overloaded);
    inner.permits.add_permits(2);
    block_on(first).unwrap();
    assert_eq!(y(&block_on(large).unwrap()).len(), 50);
}

#[test]
fn whoever_leaves_takes_the_request_along() {
    let inner = Gated::new(1, 0);
    let batcher = batcher(&inner);
    let first = ask(&batcher, &[1.0]);
    let (stays, leaves) = (ask(&batcher, &[2.0]), ask(&batcher, &[3.0]));
    drop(leaves);
    inner.permits.add_permits(1);
    block_on(first).unwrap();
    inner.permits.add_permits(1);
    assert_eq!(y(&block_on(stays).unwrap()), [3.0]);
    assert_eq!((inner.calls(), batcher.stats().abandoned), (vec![1, 1], 1));

    // All members of a batch that runs leave: it is given up, and its permit serves the next.
    let running = ask(&batcher, &[1.0]);
    let mut members = [ask(&batcher, &[2.0]), ask(&batcher, &[3.0])];
    inner.permits.add_permits(1);
    block_on(running).unwrap();
    assert!((&mut members[0]).now_or_never().is_none());
    let next = ask(&batcher, &[4.0]);
    let [began, waits] = members;
    drop(began);
    assert_eq!(inner.dropped.load(Ordering::SeqCst), 0, "another waits for it");
    drop(waits);
    assert_eq!(inner.dropped.load(Ordering::SeqCst), 1);
    inner.permits.add_permits(1);
    assert_eq!(y(&block_on(next).unwrap()), [5.0]);
    assert_eq!(inner.calls(), [1, 1, 1, 2, 1]);
}

#[test]
fn what_is_too_much_is_overloaded_and_what_is_bad_does_not_wait() {
    let inner = Gated::new(1, 0);
    let config = BatchingConfig::default().with_max_waiting_requests(2).with_max_waiting_rows(5);
    let batcher = Batcher::new(Arc::clone(&inner), config);
    let refusal = |values: &[f32]| {
        block_on(batcher.predict(PredictRequest::new(offset_inputs(values)))).unwrap_err()
    };
    let first = ask(&batcher, &[1.0]);
    let second = ask(&batcher, &[1.0; 3]);
    assert_eq!(refusal(&[1.0; 3]).kind(), ErrorKind::Overloaded);
    let third = ask(&batcher, &[1.0]);
    let error = refusal(&[1.0]);
    assert_eq!(error.to_string(), "too many requests wait for model \"m\" already");
    let bad = block_on(batcher.predict(PredictRequest::default())).unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::InvalidInput);
    drop(third);
    let fourth = ask(&batcher, &[1.0]);
    inner.permits.add_permits(2);
    for answer in [first, second, fourth] {
        block_on(answer).unwrap();
    }
    assert_eq!((batcher.stats().refused, batcher.stats().abandoned), (2, 1));
}

#[test]
fn a_deadline_that_passes_while_it_waits_is_timed_out_and_nothing_is_computed() {
    let (inner, clock) = (Gated::new(1, 0), Arc::new(ManualClock::default()));
    let ids = Arc::new(SequentialIds::default());
    let config = BatchingConfig::default();
    let batcher = Batcher::with_clock_and_ids(Arc::clone(&inner), config, clock.clone(), ids);
    let first = ask(&batcher, &[1.0]);
    let deadline = clock.instant() + Duration::from_millis(5);
    let late = PredictRequest::new(offset_inputs(&[2.0])).with_deadline(deadline);
    let (late, other) = (send(&batcher, late), ask(&batcher, &[3.0]));
    clock.advance(Duration::from_millis(5));
    inner.permits.add_permits(2);
    block_on(first).unwrap();
    assert_eq!(block_on(late).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(y(&block_on(other).unwrap()), [4.0]);
    assert_eq!((inner.calls(), batcher.stats().expired), (vec![1, 1], 1));
}

#[test]
fn what_is_urgent_goes_first() {
    let inner = Gated::new(1, 0);
    let batcher = batcher(&inner);
    let first = ask(&batcher, &[1.0]);
    let ordinary = ask(&batcher, &[1.0; 8]);
    let mut urgent = PredictRequest::new(offset_inputs(&[1.0; 7]));
    urgent.priority = 1;
    let urgent = send(&batcher, urgent);
    inner.permits.add_permits(3);
    for answer in [first, urgent, ordinary] {
        block_on(answer).unwrap();
    }
    assert_eq!(inner.calls(), [1, 7, 8]);
}

#[test]
fn many_threads_lose_nothing() {
    let session = crate::doubles::OffsetSession::new(1.0, |_| {
        std::thread::sleep(Duration::from_micros(50));
        Ok(())
    });
    let config = LocalConfig::default().with_threads(2).with_warm_up_rows(0);
    let local = LocalPredictor::open("offset", "1", session.clone(), &config).unwrap();
    let batcher = Batcher::new(local, BatchingConfig::default().with_max_batch_rows(16));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let asking = (0_u16..64).map(|caller| {
        let batcher = batcher.clone();
        runtime.spawn(async move {
            for turn in 0..50_u8 {
                let x = f32::from(caller) * 64.0 + f32::from(turn);
                let inputs = offset_inputs(&vec![x; usize::from(caller % 5) + 1]);
                let answer = batcher.predict(PredictRequest::new(inputs));
                if caller % 16 == 7 && turn % 3 == 0 {
                    // Leaves after a first poll.
                    let _ = answer.now_or_never();
                    continue;
                }
                assert!(y(&answer.await.unwrap()).iter().all(|&y| y == x + 1.0));
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        runtime.block_on(asked).unwrap();
    }
    let stats = batcher.stats();
    assert_eq!(stats.waiting, 0);
    assert!(session.threads().len() < 3200 && stats.batches > 0, "{stats:?}");
}
