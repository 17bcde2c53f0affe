//! Every order of threads that a batcher may meet, as far as some thousands of tries go: a request is
//! answered with its own rows and no permit is lost, whoever comes, leaves or panics, and when.
//!
//! `scripts/test interleavings`

use super::{Batcher, BatchingConfig};
use async_trait::async_trait;
use mlops_core::{
    ErrorKind, Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use shuttle::{check_pct, check_random, future::block_on, thread};
use std::{pin::pin, sync::Arc, task::Poll};

/// Gives its input back, after others had a chance to run; a NaN makes it panic.
#[derive(Debug)]
struct Echo {
    inner: FnPredictor,
    info: Arc<PredictorInfo>,
}

impl Echo {
    fn of_width(width: usize) -> Self {
        let x = || vec![TensorSpec::column("x", DType::F32)];
        let signature = ModelSignature::new(x(), x()).unwrap();
        let inner = FnPredictor::new("echo", signature, |inputs| Ok(inputs.clone()));
        let info = PredictorInfo::clone(&inner.info()).with_width(width);
        Self { inner, info: Arc::new(info) }
    }
}

#[async_trait]
impl Predictor for Echo {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        shuttle::future::yield_now().await;
        let x = request.inputs.require("x")?;
        assert!(x.as_slice::<f32>()?.iter().all(|x| !x.is_nan()), "a model that panics");
        self.inner.predict(request).await
    }
}

fn request(x: f32) -> PredictRequest {
    PredictRequest::new(Tensors::one("x", Tensor::from_vec([1], vec![x]).unwrap()))
}

/// Asks, and has its own row back.
fn ask(batcher: &Batcher, x: f32) {
    let answer = block_on(batcher.predict(request(x))).unwrap();
    assert_eq!(answer.outputs.require("x").unwrap().as_slice::<f32>().unwrap(), [x]);
}

/// Asks, and leaves after so many looks, answered or not.
fn leave(batcher: &Batcher, looks: usize) {
    let mut answer = pin!(batcher.predict(request(0.5)));
    let mut left = looks;
    block_on(std::future::poll_fn(|context| {
        left = left.saturating_sub(1);
        match answer.as_mut().poll(context) {
            Poll::Pending if left > 0 => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }));
}

/// Runs each on a thread of its own; afterwards nothing waits, and a request runs at once.
fn together(width: usize, callers: Vec<Box<dyn FnOnce(&Batcher) + Send>>) {
    // Two that wait are a whole batch, which goes ahead.
    let config = BatchingConfig::default().with_max_batch_rows(2);
    let batcher = Batcher::new(Echo::of_width(width), config);
    let threads = callers.into_iter().map(|caller| {
        let batcher = batcher.clone();
        thread::spawn(move || caller(&batcher))
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    assert_eq!(batcher.stats().waiting, 0);
    let before = batcher.stats().at_once;
    for _ in 0..width {
        ask(&batcher, 9.0);
    }
    assert_eq!(batcher.stats().at_once, before + width as u64, "a permit is lost");
}

/// Threads in random order, and in orders that need few but unlucky switches.
fn in_every_order(scenario: fn()) {
    check_random(scenario, 3000);
    check_pct(scenario, 1000, 3);
}

#[test]
fn everybody_is_answered() {
    in_every_order(|| {
        let caller = |x: f32| Box::new(move |batcher: &Batcher| ask(batcher, x)) as _;
        together(1, [1.0, 2.0, 3.0, 4.0].map(caller).into());
    });
    in_every_order(|| {
        let caller = |x: f32| Box::new(move |batcher: &Batcher| ask(batcher, x)) as _;
        together(2, [1.0, 2.0, 3.0, 4.0].map(caller).into());
    });
}

#[test]
fn whoever_leaves_takes_nobody_along() {
    in_every_order(|| {
        together(
            1,
            vec![
                Box::new(|batcher| ask(batcher, 1.0)),
                Box::new(|batcher| leave(batcher, 1)),
                Box::new(|batcher| leave(batcher, 2)),
                Box::new(|batcher| ask(batcher, 2.0)),
            ],
        );
    });
}

#[test]
fn a_panic_loses_one_batch_and_no_permit() {
    std::panic::set_hook(Box::new(|_| ()));
    in_every_order(|| {
        let bad = |batcher: &Batcher| {
            let asking = || block_on(batcher.predict(request(f32::NAN)));
            // At once the panic is the caller's; in a batch it is `Internal`.
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(asking));
            assert!(caught.is_err() || caught.is_ok_and(|answer| answer.is_err()));
        };
        let good = |batcher: &Batcher| match block_on(batcher.predict(request(1.0))) {
            Ok(answer) => {
                let given = answer.outputs.require("x").unwrap();
                assert_eq!(given.as_slice::<f32>().unwrap(), [1.0]);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Internal, "{error}"),
        };
        together(1, vec![Box::new(good), Box::new(bad), Box::new(good)]);
    });
}
