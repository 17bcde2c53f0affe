//! Models of which no two fit in memory: one goes before another comes.

use crate::doubles::{OffsetEngine, Shelf, offset_inputs, offset_signature};
use mlops_core::{
    Error, ErrorKind, Predictor, Result, model::ModelPackage, predictor::PredictRequest,
    tensor::Tensors,
};
use mlops_serve::{
    Endpoint, EndpointConfig, InferOptions, MemoryBudget,
    engines::{Engine, LoadOptions, Session, SessionInfo},
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Room for one model. An offset of 13 does not load; one of 100 takes 300 ms to compute.
#[derive(Clone, Debug, Default)]
struct Narrow {
    alive: Arc<AtomicUsize>,
    loads: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Alone {
    inner: Arc<dyn Session>,
    alive: Arc<AtomicUsize>,
}

impl Engine for Narrow {
    fn name(&self) -> &'static str {
        "narrow"
    }

    fn recognises(&self, package: &ModelPackage) -> bool {
        OffsetEngine.recognises(package)
    }

    fn load(&self, package: &ModelPackage, options: &LoadOptions) -> Result<Arc<dyn Session>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let others = self.alive.load(Ordering::SeqCst);
        assert_eq!(others, 0, "two models in memory");
        if package.read("offset.txt")? == b"13" {
            return Err(Error::invalid("an unlucky model"));
        }
        let inner = OffsetEngine.load(package, options)?;
        self.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Alone { inner, alive: Arc::clone(&self.alive) }))
    }
}

impl Session for Alone {
    fn info(&self) -> &SessionInfo {
        self.inner.info()
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        if inputs.require("x")?.as_slice::<f32>()?.contains(&100.0) {
            std::thread::sleep(Duration::from_millis(300));
        }
        self.inner.run(inputs, options)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

fn config(cache: &Path, engine: &Narrow) -> EndpointConfig {
    let wait = Duration::from_millis(5);
    EndpointConfig::new(cache)
        .with_engine(engine.clone())
        .with_check_every(Duration::from_millis(20))
        .with_waits(wait, 4 * wait)
        .with_drain_first()
}

async fn connect(shelf: &Shelf, config: EndpointConfig) -> Result<Endpoint> {
    Endpoint::connect("models:/m@champion", Arc::new(shelf.clone()), config).await
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The answer, as text.
async fn ask(endpoint: &Endpoint, x: f32) -> Result<String> {
    let response = endpoint.predict(PredictRequest::new(offset_inputs(&[x]))).await?;
    Ok(response.outputs.require("y")?.as_slice::<f32>()?[0].to_string())
}

/// A shelf with models of these offsets, the first of them named.
fn shelf(offsets: &[f32]) -> Shelf {
    let shelf = Shelf::new();
    for offset in offsets {
        shelf.add_offset(*offset, &offset_signature());
    }
    shelf.point("champion", 1);
    shelf
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_one_goes_and_another_comes() {
    let (shelf, engine) = (shelf(&[1.0, 2.0, 3.0]), Narrow::default());
    let cache = tempfile::tempdir().unwrap();
    let endpoint = connect(&shelf, config(cache.path(), &engine)).await.unwrap();
    let callers = (0..4).map(|_| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let mut answers = 0;
            while endpoint.stats().swaps < 6 {
                let y = ask(&endpoint, 10.0).await.unwrap();
                assert!(["11", "12", "13"].contains(&y.as_str()), "{y}");
                answers += 1;
                tokio::task::yield_now().await;
            }
            answers
        })
    });
    let callers: Vec<_> = callers.collect();
    for (swaps, to) in [2, 3, 1, 2, 3, 1].into_iter().enumerate() {
        shelf.point("champion", to);
        until("a swap", || endpoint.stats().swaps > swaps as u64).await;
    }
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert!(endpoint.stats().errors.is_empty(), "{:?}", endpoint.stats().errors);
    assert_eq!(ask(&endpoint, 10.0).await.unwrap(), "11");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_not_come_up_is_tried_once_and_the_old_one_comes_back() {
    let (shelf, engine) = (shelf(&[1.0, 13.0, 3.0]), Narrow::default());
    let cache = tempfile::tempdir().unwrap();
    let endpoint = connect(&shelf, config(cache.path(), &engine)).await.unwrap();
    shelf.point("champion", 2);
    until("stale", || endpoint.status().stale).await;
    let problem = endpoint.status().problem.unwrap();
    assert!(problem.contains("an unlucky model"), "{problem}");
    assert_eq!(ask(&endpoint, 10.0).await.unwrap(), "11");
    // The first, the bad one, the first again; and then no more, however often it is looked at.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((engine.loads.load(Ordering::SeqCst), endpoint.stats().swaps), (3, 0));
    shelf.point("champion", 3);
    until("a swap", || endpoint.stats().swaps == 1).await;
    assert_eq!(ask(&endpoint, 10.0).await.unwrap(), "13");
    until("fresh", || !endpoint.status().stale).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_not_finish_stays() {
    let (shelf, engine) = (shelf(&[1.0, 2.0]), Narrow::default());
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), &engine).with_drain_limits(Duration::from_millis(20), 8);
    let endpoint = connect(&shelf, config).await.unwrap();
    let slow = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { ask(&endpoint, 100.0).await }
    });
    until("in flight", || endpoint.stats().in_flight == 1).await;
    shelf.point("champion", 2);
    until("stale", || endpoint.status().stale).await;
    assert!(endpoint.status().problem.unwrap().contains("did not finish its requests"));
    assert_eq!(slow.await.unwrap().unwrap(), "101");
    until("a swap", || endpoint.stats().swaps == 1).await;
    assert_eq!(ask(&endpoint, 10.0).await.unwrap(), "12");
}

#[tokio::test]
async fn a_model_without_room_in_memory_does_not_come_up() {
    let shelf = shelf(&[1.0, 2.0]);
    let cache = tempfile::tempdir().unwrap();
    let wait = Duration::from_millis(5);
    let plain = || {
        let config = EndpointConfig::new(cache.path()).with_engine(OffsetEngine);
        config.with_check_every(4 * wait).with_waits(wait, 4 * wait)
    };
    let tight = MemoryBudget::new(6);
    let refused = connect(&shelf, plain().with_memory(tight)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);

    // Room for the files of one, and not for the other's beside what the first takes.
    let budget = MemoryBudget::new(10_000);
    let endpoint = connect(&shelf, plain().with_memory(budget.clone())).await.unwrap();
    let own = budget.taken();
    let others = budget.reserve(10_000 - own - 1, "others").unwrap();
    shelf.point("champion", 2);
    until("stale", || endpoint.status().stale).await;
    let problem = endpoint.status().problem.unwrap();
    assert!(problem.contains("bytes of memory"), "{problem}");
    assert_eq!(ask(&endpoint, 10.0).await.unwrap(), "11");
    drop(others);
    until("a swap", || endpoint.stats().swaps == 1).await;
    assert_eq!(ask(&endpoint, 10.0).await.unwrap(), "12");
    drop(endpoint);
    until("freed", || budget.taken() == 0).await;
}
