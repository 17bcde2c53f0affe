//! An endpoint follows its registry, survives it, and loses nobody's request.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use crate::doubles::{
    OffsetEngine, OffsetSession, Shelf, block_on, offset_inputs, offset_signature,
};
use mlops_core::{
    Error, ErrorKind, Observer, Predictor, Result,
    conformance::predictor::Subject,
    predictor::{PredictRequest, PredictResponse},
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use mlops_serve::{BatchingConfig, Endpoint, EndpointConfig, LocalConfig, LocalPredictor};
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const URI: &str = "models:/m@champion";

fn config(cache: &Path) -> EndpointConfig {
    let wait = Duration::from_millis(5);
    EndpointConfig::new(cache)
        .with_engine(OffsetEngine)
        .with_local(LocalConfig::default().with_threads(2))
        .with_check_every(Duration::from_millis(50))
        .with_waits(wait, 4 * wait)
}

/// A shelf with versions of offsets 1, 2, … and the alias at the first.
fn shelf(versions: u8) -> Shelf {
    let shelf = Shelf::new();
    for number in 1..=versions {
        shelf.add_offset(f32::from(number), &offset_signature());
    }
    shelf.point("champion", 1);
    shelf
}

async fn connect(shelf: &Shelf, cache: &Path) -> Result<Endpoint> {
    Endpoint::connect(URI, Arc::new(shelf.clone()), config(cache)).await
}

fn request() -> PredictRequest {
    PredictRequest::new(offset_inputs(&[10.0, 20.0]))
}

fn y(response: &PredictResponse) -> f32 {
    response.outputs.require("y").unwrap().as_slice::<f32>().unwrap()[0]
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn followed() -> Subject {
    let cache = tempfile::tempdir().unwrap();
    let connecting = Endpoint::connect_with_follower(URI, Arc::new(shelf(1)), config(cache.path()));
    let (endpoint, _) = block_on(connecting).unwrap();
    Subject::new(endpoint, offset_inputs(&[1.0, f32::NAN, -0.0]))
}

fn fixed() -> Subject {
    let session = OffsetSession::new(1.0, |_| Ok(()));
    let predictor = LocalPredictor::open("offset", "1", session, &LocalConfig::default()).unwrap();
    Subject::new(Endpoint::from_predictor("plus", predictor), offset_inputs(&[1.0, 2.0]))
}

mlops_core::predictor_conformance!(followed_endpoint, followed());
mlops_core::predictor_conformance!(fixed_endpoint, fixed());

fn gathering() -> Subject {
    let session = OffsetSession::new(1.0, |_| Ok(()));
    let predictor = LocalPredictor::open("offset", "1", session, &LocalConfig::default()).unwrap();
    let endpoint = Endpoint::from_batched("plus", predictor, BatchingConfig::default());
    Subject::new(endpoint, offset_inputs(&[1.0, 2.0]))
}

mlops_core::predictor_conformance!(gathering_endpoint, gathering());

/// Batches that are gathered and formed while models take each other's place.
#[test]
fn swaps_lose_no_request_that_waits_for_a_batch() {
    let (shelf, cache) = (shelf(2), tempfile::tempdir().unwrap());
    let config = config(cache.path()).with_batching(BatchingConfig::default());
    let config = config.with_local(LocalConfig::default().with_threads(1).with_warm_up_rows(0));
    runtime().block_on(async {
        let connecting = Endpoint::connect(URI, Arc::new(shelf.clone()), config);
        let endpoint = connecting.await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let ask = || {
            let (endpoint, done) = (endpoint.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let answer = endpoint.predict(request()).await.unwrap();
                    assert_eq!(y(&answer), 10.0 + answer.version.parse::<f32>().unwrap());
                }
            })
        };
        let callers: Vec<_> = (0..16).map(|_| ask()).collect();
        for turn in 0..20 {
            shelf.point("champion", turn % 2 + 1);
            let wanted = (turn % 2 + 1).to_string();
            until("a swap", || *endpoint.info().version == *wanted).await;
        }
        done.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.await.unwrap();
        }
        let stats = endpoint.stats();
        assert!(stats.batching.batched_requests > stats.batching.batches, "{stats:?}");
        assert_eq!((stats.requests, stats.batching.waiting), (stats.answered, 0));
    });
}

#[test]
fn a_hundred_swaps_under_32_callers_lose_no_request() {
    let (shelf, cache) = (shelf(4), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let endpoint = connect(&shelf, cache.path()).await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..32)
            .map(|_| {
                let (endpoint, done) = (endpoint.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    let mut answered = 0_u64;
                    while !done.load(Ordering::SeqCst) {
                        let response = endpoint.predict(request()).await.unwrap();
                        // Whoever answers answers as itself.
                        let offset: f32 = response.version.parse().unwrap();
                        assert_eq!(y(&response), 10.0 + offset);
                        answered += 1;
                        tokio::task::yield_now().await;
                    }
                    answered
                })
            })
            .collect();
        for swap in 1..=100_u64 {
            let version = swap % 4 + 1;
            shelf.point("champion", version);
            let wanted = version.to_string();
            until("a swap", || *endpoint.info().version == *wanted).await;
        }
        until("10,000 requests", || endpoint.stats().answered >= 10_000).await;
        done.store(true, Ordering::SeqCst);
        let mut answered = 0;
        for caller in callers {
            answered += caller.await.unwrap();
        }
        let stats = endpoint.stats();
        assert_eq!(
            (stats.requests, stats.answered, stats.rows),
            (answered, answered, 2 * answered)
        );
        assert!(stats.errors.is_empty() && stats.swaps == 100, "{stats:?}");
        assert_eq!((stats.in_flight, stats.abandoned, stats.panics), (0, 0, 0));
        assert!(answered >= 10_000, "{answered}");
    });
    // The versions come from the cache once they are there; only three stay.
    assert!(shelf.fetches() >= 4);
    let folder = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap();
    let packages = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir());
    assert!(packages.count() <= 3);
}

#[test]
fn a_request_in_flight_is_answered_by_the_model_that_began_it() {
    // The loader is given a session of its own, so that this one can hold a request.
    #[derive(Debug)]
    struct Slow;
    impl mlops_serve::Engine for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }
        fn recognises(&self, package: &mlops_core::model::ModelPackage) -> bool {
            package.read("offset.txt").is_ok_and(|text| text == b"1")
        }
        fn load(
            &self,
            _: &mlops_core::model::ModelPackage,
            _: &mlops_serve::LoadOptions,
        ) -> Result<Arc<dyn mlops_serve::Session>> {
            Ok(OffsetSession::new(1.0, |_| {
                std::thread::sleep(Duration::from_millis(200));
                Ok(())
            }))
        }
    }
    let (shelf, cache) = (shelf(2), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let config = config(cache.path()).with_engine(Slow);
        let endpoint = Endpoint::connect(URI, Arc::new(shelf.clone()), config).await.unwrap();
        let own = endpoint.clone();
        let begun = tokio::spawn(async move { own.predict(request()).await });
        until("in flight", || endpoint.stats().in_flight == 1).await;
        shelf.point("champion", 2);
        until("a swap", || &*endpoint.info().version == "2").await;
        assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 12.0);
        let response = begun.await.unwrap().unwrap();
        assert_eq!((&*response.version, y(&response)), ("1", 11.0));
    });
}

#[test]
fn it_boots_from_its_cache_says_stale_and_catches_up() {
    let (shelf, cache) = (shelf(3), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let endpoint = connect(&shelf, cache.path()).await.unwrap();
        assert!(!endpoint.status().stale);
        shelf.set_away(true);
        until("stale", || endpoint.status().stale).await;
        let problem = endpoint.status().problem.unwrap();
        assert!(problem.contains("the registry is away"), "{problem}");
        assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 11.0);
        drop(endpoint);

        let endpoint = connect(&shelf, cache.path()).await.unwrap();
        let status = endpoint.status();
        assert!(status.stale && status.confirmed.is_none(), "{status:?}");
        assert_eq!((&*status.name, &*status.version), ("m", "1"));
        endpoint.ready().await.unwrap();
        assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 11.0);

        shelf.point("champion", 3);
        shelf.set_away(false);
        until("caught up", || !endpoint.status().stale).await;
        let status = endpoint.status();
        assert_eq!((&*status.version, status.problem), ("3", None));
        assert!(status.confirmed.is_some());
        assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 13.0);
    });
    // Version 1 was fetched once: the second process had it.
    assert_eq!(shelf.fetches(), 2);
}

#[test]
fn a_damaged_cache_is_not_served() {
    let (shelf, cache) = (shelf(1), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        drop(connect(&shelf, cache.path()).await.unwrap());
        let folder = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
        for entry in std::fs::read_dir(folder).unwrap() {
            let offset = entry.unwrap().path().join("offset.txt");
            if offset.exists() {
                std::fs::write(offset, "7").unwrap();
            }
        }
        shelf.set_away(true);
        let error = connect(&shelf, cache.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("the cached package is damaged or gone"), "{error}");
        shelf.set_away(false);
        let endpoint = connect(&shelf, cache.path()).await.unwrap();
        assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 11.0);
    });
}

#[test]
fn without_registry_and_cache_it_does_not_connect() {
    let (shelf, cache) = (shelf(1), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let error = Endpoint::connect("models:/m@nobody", Arc::new(shelf), config(cache.path()));
        let error = error.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("models:/m@nobody"), "{error}");
    });
}

#[test]
fn what_breaks_callers_or_does_not_come_up_never_answers() {
    let (shelf, cache) = (shelf(1), tempfile::tempdir().unwrap());
    let double = TensorSpec::column("x", DType::F64);
    let breaking = ModelSignature::new(vec![double], offset_signature().outputs).unwrap();
    let breaking = shelf.add_offset(2.0, &breaking);
    let unknown = mlops_core::model::PackageBuilder::new();
    let unknown = shelf.add(unknown.with_flavor("prophet", serde_json::json!({})).unwrap());
    let damaged = shelf.add_offset(4.0, &offset_signature());
    runtime().block_on(async {
        let endpoint = connect(&shelf, cache.path()).await.unwrap();
        let why = async |version, words: &str| {
            shelf.set_damages(version == damaged);
            shelf.point("champion", version);
            let says = || endpoint.status().problem.is_some_and(|problem| problem.contains(words));
            until(words, says).await;
            let status = endpoint.status();
            assert!(status.stale && &*status.version == "1");
            assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 11.0);
        };
        why(breaking, "the type of input \"x\" changes").await;
        why(unknown, "no engine loads a model of the flavors [\"prophet\"]").await;
        why(damaged, "the registry gave other bytes than it had named").await;
        // It mends itself as soon as the bytes are right.
        shelf.set_damages(false);
        until("mended", || !endpoint.status().stale).await;
        assert_eq!(y(&endpoint.predict(request()).await.unwrap()), 14.0);
        assert_eq!(endpoint.stats().swaps, 1);
    });
}

#[cfg(feature = "tabular")]
#[test]
fn what_a_descriptor_does_not_say_breaks_nobody() {
    // As MLflow describes an ONNX file: the only tensor has no name, and nobody said what comes out.
    let nameless = TensorSpec::new("input", DType::F32, vec![None, Some(1)]);
    let nameless = ModelSignature::new(vec![nameless], vec![]).unwrap();
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    let onnx = include_bytes!("../data/tabular/logistic.onnx");
    for trained in ["2015", "2016"] {
        let package = mlops_core::model::PackageBuilder::new().with_signature(&nameless);
        let package = package.with_flavor("onnx", serde_json::json!({"data": "model.onnx"}));
        let package = package.unwrap().with_file("model.onnx", onnx).unwrap();
        shelf.add(package.with_file("trained.txt", trained).unwrap());
    }
    shelf.point("champion", 1);
    runtime().block_on(async {
        let config = EndpointConfig::new(cache.path());
        let endpoint = Endpoint::connect(URI, Arc::new(shelf.clone()), config).await.unwrap();
        shelf.point("champion", 2);
        until("a swap", || &*endpoint.info().version == "2").await;
        assert_ne!(endpoint.info().signature, nameless, "the model says what it takes");
    });
}

#[test]
fn a_breaking_signature_may_be_allowed() {
    let (shelf, cache) = (shelf(1), tempfile::tempdir().unwrap());
    let mut wider = offset_signature();
    wider.outputs.pop();
    let wider = shelf.add_offset(2.0, &wider);
    runtime().block_on(async {
        let config = config(cache.path()).with_breaking_signature_allowed(true).with_name("open");
        let endpoint = Endpoint::connect(URI, Arc::new(shelf.clone()), config).await.unwrap();
        shelf.point("champion", wider);
        until("a swap", || &*endpoint.info().version == "2").await;
        assert_eq!((&**endpoint.name(), &*endpoint.info().name), ("open", "m"));
    });
}

#[test]
fn it_follows_on_any_executor_until_the_last_handle_is_dropped() {
    let (shelf, cache) = (shelf(2), tempfile::tempdir().unwrap());
    let registry = Arc::new(shelf.clone());
    let (endpoint, follower) =
        block_on(Endpoint::connect_with_follower(URI, registry, config(cache.path()))).unwrap();
    // No runtime: a plain thread polls.
    let following = std::thread::spawn(move || block_on(follower));
    shelf.point("champion", 2);
    let limit = Instant::now() + Duration::from_secs(20);
    while &*endpoint.info().version != "2" {
        assert!(Instant::now() < limit, "it does not follow");
        std::thread::yield_now();
    }
    let other = endpoint.clone();
    drop(endpoint);
    assert!(!following.is_finished());
    drop(other);
    following.join().unwrap();

    let refused = block_on(connect(&shelf, cache.path())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Result<String, ErrorKind>>>);

impl Observer for Seen {
    fn observe(&self, _: &PredictRequest, result: Result<&PredictResponse, &Error>, _: Duration) {
        let seen = result.map(|response| response.prediction.to_string()).map_err(Error::kind);
        self.0.lock().unwrap().push(seen);
    }
}

#[test]
fn it_counts_and_observers_see_every_answer() {
    let hold = Arc::new(AtomicBool::new(false));
    let keeps = Arc::clone(&hold);
    let session = OffsetSession::new(1.0, move |options| {
        assert!(options.outputs.is_none_or(|outputs| *outputs[0] != *"x"), "as planned");
        let limit = Instant::now() + Duration::from_secs(20);
        while keeps.load(Ordering::SeqCst) && !options.stop.is_stopped() {
            assert!(Instant::now() < limit, "nobody gave it up");
            std::thread::yield_now();
        }
        Ok(())
    });
    let config = LocalConfig::default().with_warm_up_rows(0).with_threads(1);
    let predictor = LocalPredictor::open("offset", "1", session, &config).unwrap();
    let seen = Arc::new(Seen::default());
    let early = Endpoint::from_predictor("plus", predictor);
    let endpoint = early.clone().with_observer(Arc::clone(&seen) as _);

    let answer = block_on(early.predict(request())).unwrap();
    let bad = block_on(endpoint.predict(PredictRequest::default())).unwrap_err();
    let lost = block_on(endpoint.predict(request().with_outputs(["x"]))).unwrap_err();
    assert_eq!((bad.kind(), lost.kind()), (ErrorKind::InvalidInput, ErrorKind::Internal));
    drop(endpoint.predict(request()));
    // What would have to wait has not come yet.
    assert!(endpoint.predict_at_once(&mut request()).is_none());
    hold.store(true, Ordering::SeqCst);
    let mut polled = Box::pin(endpoint.predict(request()));
    assert!(futures_util::FutureExt::now_or_never(&mut polled).is_none());
    assert_eq!(early.stats().in_flight, 1);
    drop(polled);

    let stats = early.stats();
    assert_eq!((stats.requests, stats.abandoned, stats.answered, stats.rows), (4, 1, 1, 2));
    assert_eq!(stats.errors[&ErrorKind::InvalidInput], 1);
    assert_eq!(stats.errors[&ErrorKind::Internal], 1);
    let wanted =
        [Ok(answer.prediction.to_string()), Err(ErrorKind::InvalidInput), Err(ErrorKind::Internal)];
    assert_eq!(*seen.0.lock().unwrap(), wanted);
    let now = early.status();
    assert_eq!((&*now.model, now.stale, now.uri), ("offset", false, None));
}
