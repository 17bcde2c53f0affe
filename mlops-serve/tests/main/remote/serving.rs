//! Beside a server that behaves.

use super::{ask, connected, inputs, kind, request, served, served_at, ways};
use crate::{doubles::block_on, http::model};
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    config::Secret,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::{
    engines::remote::{RemoteConfig, RemotePredictor, Retries},
    http::{ApiKeys, Service},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

#[test]
fn what_the_server_says_of_the_model_is_its_signature() {
    let local = model("sum");
    let address = served(Service::new().with_model(local.clone()));
    for (way, config) in ways(address, "sum") {
        let info = connected(config.with_max_in_flight(7)).info();
        assert_eq!((&*info.name, &*info.version, info.width), ("sum", "1", 7), "{way}");
        let mut expected = local.info().signature.clone();
        if way == "grpc" {
            // It has no place for names of columns.
            expected.inputs[0].columns.clear();
        }
        assert_eq!(info.signature, expected, "{way}");
    }
}

/// Who says what the model takes need not wait for the server; what else it says is known once it answers.
#[test]
fn with_a_signature_the_server_may_come_later() {
    let bounded = Bounded(model("sum"), 2);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let signature = bounded.info().signature.clone();
    let early: Vec<_> = ways(address, "sum")
        .map(|(way, config)| {
            let config =
                config.with_retries(Retries::default().with_attempts(1)).with_failures(100);
            let error = block_on(RemotePredictor::connect(config.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{way}: {error}");
            let remote = connected(config.with_signature(Some(signature.clone())));
            assert_eq!(
                (&*remote.info().version, remote.info().max_rows),
                ("unknown", None),
                "{way}"
            );
            assert_eq!(kind(ask(&remote, request())), ErrorKind::Unavailable, "{way}");
            block_on(remote.ready()).unwrap_err();
            (way, remote)
        })
        .into();
    served_at(address, Service::new().with_model(bounded));
    for (way, remote) in early {
        let answer = ask(&remote, request()).unwrap();
        assert_eq!(&*answer.version, "1", "{way}");
        assert_eq!((&*remote.info().version, remote.info().max_rows), ("1", Some(2)), "{way}");
        block_on(remote.ready()).unwrap();
    }
}

/// Triton's `max_batch_size`: more rows are refused here, and nobody is asked.
#[test]
fn no_more_rows_are_sent_than_the_server_takes() {
    let bounded = Bounded(model("sum"), 2);
    let address = served(Service::new().with_model(bounded));
    for (way, config) in ways(address, "sum") {
        let remote = connected(config);
        assert_eq!(remote.info().max_rows, Some(2), "{way}");
        ask(&remote, request()).unwrap();
        let sent = remote.stats().sent;
        let x = Tensor::from_vec([3, 2], vec![1_f32; 6]).unwrap();
        let label = Tensor::from_strs([3], &["a", "b", "c"]).unwrap();
        let three = PredictRequest::new(Tensors::one("x", x).with("label", label).unwrap());
        let error = ask(&remote, three).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{way}: {error}");
        assert_eq!(remote.stats().sent, sent, "{way}");
    }
}

/// A model that takes so many rows at once.
#[derive(Debug)]
struct Bounded(FnPredictor, usize);

#[async_trait::async_trait]
impl Predictor for Bounded {
    fn info(&self) -> Arc<PredictorInfo> {
        let info = PredictorInfo::clone(&self.0.info());
        Arc::new(info.with_max_rows(Some(self.1)))
    }
    async fn ready(&self) -> Result<()> {
        Ok(())
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.0.predict(request).await
    }
}

#[test]
fn what_the_protocol_cannot_say_is_said_here() {
    let local = model("sum");
    let address = served(Service::new().with_model(local.clone()));
    let [.., (_, grpc)] = ways(address, "sum");
    let own = local.info().signature.clone();
    let remote = connected(grpc.clone().with_signature(Some(own.clone())));
    assert_eq!(remote.info().signature, own);
    let mut other = own;
    other.inputs[0].dtype = DType::F64;
    let error = block_on(RemotePredictor::connect(grpc.with_signature(Some(other)))).unwrap_err();
    assert!(error.to_string().contains("the type of input \"x\" changes"), "{error}");
}

#[test]
fn what_is_not_there_is_named() {
    let address = served(Service::new().with_model(model("sum")));
    for (way, config) in ways(address, "nobody") {
        let error = block_on(RemotePredictor::connect(config)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{way}");
        assert!(error.to_string().starts_with("remote model \"nobody\""), "{error}");
    }
    for (_, config) in ways(address, "sum") {
        let absent = config.clone().with_version(Some("9".into()));
        assert_eq!(kind(block_on(RemotePredictor::connect(absent))), ErrorKind::NotFound);
        let there = connected(config.with_version(Some("1".into())));
        assert_eq!(&*ask(&there, request()).unwrap().version, "1");
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (way, config) in ways(gone, "sum") {
        let config = config.with_retries(Retries::default().with_attempts(1));
        let outcome = block_on(RemotePredictor::connect(config));
        assert_eq!(kind(outcome), ErrorKind::Unavailable, "{way}");
    }
}

/// What a model of this signature is asked, and what it answers by turns.
fn scripted(
    answers: impl Fn(usize) -> Result<()> + Send + Sync + 'static,
) -> (Service, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&count);
    let good = model("sum");
    let signature = good.info().signature.clone();
    let scripted = FnPredictor::new("sum", signature, move |inputs| {
        answers(own.fetch_add(1, Ordering::SeqCst))?;
        Ok(block_on(good.predict(PredictRequest::new(inputs.clone())))?.outputs)
    });
    (Service::new().with_model(scripted), count)
}

#[test]
fn what_was_not_computed_is_asked_again_and_nothing_else() {
    let waits = Retries::default().with_waits(Duration::from_millis(1), Duration::from_millis(2));
    for (failure, asked) in [
        (ErrorKind::Unavailable, 3),
        (ErrorKind::Overloaded, 3),
        (ErrorKind::Internal, 1),
        (ErrorKind::InvalidInput, 1),
        (ErrorKind::Corrupt, 1),
    ] {
        for way in 0..3 {
            let (service, count) =
                scripted(
                    move |at| if at < 2 { Err(Error::new(failure, "not now")) } else { Ok(()) },
                );
            let mut config = ways(served(service), "sum")[way].1.clone();
            // Ours says a second, and that is honoured.
            config = config.with_retries(waits).with_timeout(Duration::from_secs(20));
            let answer = ask(&connected(config), request());
            assert_eq!(count.load(Ordering::SeqCst), asked, "{failure:?} {way}");
            match asked {
                1 => assert_eq!(answer.unwrap_err().kind().row().http, failure.row().http),
                _ => assert_eq!(answer.unwrap().outputs.len(), 2),
            }
        }
    }
}

#[test]
fn credentials_go_along_and_are_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "shop-secret-000001\n").unwrap();
    let keys = ApiKeys::parse("shop shop-secret-000001").unwrap();
    let service = Service::new().with_model(model("sum")).with_authenticator(Arc::new(keys));
    let address = served(service);
    for (way, config) in ways(address, "sum") {
        let nobody = block_on(RemotePredictor::connect(config.clone()));
        assert_eq!(kind(nobody), ErrorKind::Unauthenticated, "{way}");
        let remote = connected(config.clone().with_api_key(Secret::File(path.clone())));
        assert_eq!(ask(&remote, request()).unwrap().outputs.len(), 2, "{way}");
        assert!(!format!("{remote:?}").contains("shop-secret"), "{remote:?}");
        let absent =
            config.with_secret_header("x-api-key", Secret::Env("MLOPS_TEST_ABSENT".into()));
        let error = block_on(RemotePredictor::connect(absent)).unwrap_err();
        assert!(error.to_string().contains("header \"x-api-key\""), "{error}");
    }
}

/// Keeps what it was asked, and answers as another version whenever it is told.
#[derive(Debug)]
struct Seen {
    inner: FnPredictor,
    version: AtomicUsize,
    asked: Mutex<Vec<PredictRequest>>,
}

#[async_trait::async_trait]
impl Predictor for Seen {
    fn info(&self) -> Arc<PredictorInfo> {
        let version = self.version.load(Ordering::SeqCst).to_string();
        Arc::new(PredictorInfo::new("sum", version, self.inner.info().signature.clone()))
    }
    async fn ready(&self) -> Result<()> {
        match self.version.load(Ordering::SeqCst) {
            0 => Err(Error::unavailable("not yet")),
            _ => Ok(()),
        }
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.asked.lock().unwrap().push(request.clone());
        let mut answer = self.inner.predict(request).await?;
        answer.version = self.info().version.clone();
        answer.arm = Some("left".into());
        Ok(answer)
    }
}

#[test]
fn deadline_key_and_priority_go_along_and_swaps_are_followed() {
    for way in 0..3 {
        let (inner, version) = (model("sum"), AtomicUsize::new(1));
        let seen = Arc::new(Seen { inner, version, asked: Mutex::default() });
        let address = served(Service::new().with_model(Arc::clone(&seen)));
        let remote = connected(ways(address, "sum")[way].1.clone());
        let deadline = Instant::now() + Duration::from_secs(7);
        let mut asked = request().with_id("q").with_key("customer").with_deadline(deadline);
        asked.priority = 3;
        let answer = ask(&remote, asked).unwrap();
        assert_eq!((answer.arm.as_deref(), answer.id.as_deref()), (Some("left"), Some("q")));
        let got = seen.asked.lock().unwrap().remove(0);
        assert_eq!((got.key.as_deref(), got.priority), (Some("customer"), 3));
        assert!(got.deadline.unwrap() <= Instant::now() + Duration::from_secs(7));

        block_on(remote.ready()).unwrap();
        seen.version.store(2, Ordering::SeqCst);
        assert_eq!(&*ask(&remote, request()).unwrap().version, "2");
        assert_eq!(&*remote.info().version, "2");
        seen.version.store(0, Ordering::SeqCst);
        assert_eq!(kind(block_on(remote.ready())), ErrorKind::Unavailable);
    }
}

#[test]
fn zero_rows_are_answered_without_the_server() {
    let address = served(Service::new().with_model(model("sum")));
    let remote = connected(ways(address, "sum")[0].1.clone());
    let before = remote.stats();
    let none = PredictRequest::new(inputs().slice_rows(0..0).unwrap()).with_outputs(["label"]);
    assert_eq!(ask(&remote, none).unwrap().outputs.require("label").unwrap().rows(), 0);
    assert_eq!(remote.stats(), before);
}

#[test]
fn a_server_that_says_nothing_of_its_model_needs_a_signature() {
    let silent = FnPredictor::new("sum", ModelSignature::default(), |inputs| Ok(inputs.clone()));
    let address = served(Service::new().with_model(silent));
    for (_, config) in ways(address, "sum") {
        let config: RemoteConfig = config;
        let error = block_on(RemotePredictor::connect(config.clone())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let x = TensorSpec::column("x", DType::F32);
        let own = ModelSignature::new(vec![x.clone()], vec![x]).unwrap();
        let remote = connected(config.with_signature(Some(own.clone())));
        assert_eq!(remote.info().signature, own);
    }
}
