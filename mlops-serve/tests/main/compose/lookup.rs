//! Features that a store knows, and what happens where it does not.

use super::{ask, failing, kind};
use crate::doubles::block_on;
use async_trait::async_trait;
use mlops_core::{
    Clock, Error, ErrorKind, OnlineStore, Predictor, Result, Timestamp,
    conformance::predictor::Subject,
    features::{
        FeatureView, MemoryOnlineConfig, MemoryOnlineStore, OnlineRead, OnlineRows, OnlineWrite,
    },
    predictor::{Parameter, PredictRequest},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::{FnPredictor, ManualClock},
};
use mlops_serve::compose::{Away, Chain, Lookup, LookupConfig, Missing};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

fn view() -> FeatureView {
    let key = TensorSpec::column("customer", DType::Utf8);
    let features = vec![
        TensorSpec::column("income", DType::F32),
        TensorSpec::column("orders", DType::F32),
        TensorSpec::column("state", DType::Utf8),
    ];
    FeatureView::new("customers", vec![key], features).unwrap()
}

/// Customers a, b and c with incomes 10, 20 and null, as of seconds 1, 2 and 3.
fn memory() -> MemoryOnlineStore {
    let store = MemoryOnlineStore::new([view()], MemoryOnlineConfig::default()).unwrap();
    let income = Tensor::from_vec([3], vec![10_f32, 20.0, 30.0]).unwrap();
    let income = income.with_nulls(Some(vec![true, true, false].into())).unwrap();
    let features = Tensors::one("income", income)
        .with("orders", Tensor::from_vec([3], vec![1_f32, 2.0, 3.0]).unwrap())
        .and_then(|some| some.with("state", Tensor::from_strs([3], &["MA", "NH", "ME"])?))
        .unwrap();
    let times = (1..4).map(second).collect();
    let rows = OnlineWrite::new("customers", keys(&["a", "b", "c"]), features, times);
    block_on(store.write(rows)).unwrap();
    store
}

fn second(second: u64) -> Timestamp {
    ManualClock::default().now().plus(Duration::from_secs(second))
}

fn keys(customers: &[&str]) -> Tensors {
    Tensors::one("customer", Tensor::from_strs([customers.len()], customers).unwrap())
}

/// Adds up `income`, `amount` and `orders`, packed in that order, and hands `state` through.
fn model() -> Arc<dyn Predictor> {
    let x = TensorSpec::new("x", DType::F32, [None, Some(3)]);
    let x = x.with_columns(["income", "amount", "orders"]);
    let state = TensorSpec::column("state", DType::Utf8);
    let outputs = vec![TensorSpec::column("sum", DType::F32), state.clone()];
    let signature = ModelSignature::new(vec![x, state], outputs).unwrap();
    Arc::new(FnPredictor::new("risk", signature, |inputs| {
        let x = inputs.require("x")?;
        let sums: Vec<f32> = x.as_slice::<f32>()?.chunks(3).map(|row| row.iter().sum()).collect();
        let sums = Tensor::from_vec([sums.len()], sums)?;
        Tensors::one("sum", sums).with("state", inputs.require("state")?.clone())
    }))
}

fn opened(store: impl OnlineStore + 'static, config: LookupConfig) -> Result<Lookup> {
    block_on(Lookup::open(model(), Arc::new(store), config))
}

fn config() -> LookupConfig {
    LookupConfig::new("customers").with_timeout(Duration::from_secs(20))
}

fn request(customers: &[&str], amounts: &[f32]) -> PredictRequest {
    let amounts = Tensor::from_vec([amounts.len(), 1], amounts.to_vec()).unwrap();
    PredictRequest::new(keys(customers).with("x", amounts).unwrap())
}

fn sums(lookup: &Lookup, customers: &[&str], amounts: &[f32]) -> Vec<f32> {
    let answer = ask(lookup, request(customers, amounts)).unwrap();
    answer.outputs.require("sum").unwrap().as_slice::<f32>().unwrap().to_vec()
}

mlops_core::predictor_conformance!(lookup_conforms, {
    let request = request(&["a", "b", "a"], &[1.0, f32::NAN, -0.0]);
    Subject::new(opened(memory(), config()).unwrap(), request.inputs)
});

#[test]
fn it_takes_keys_and_what_the_store_does_not_know() {
    let lookup = opened(memory(), config()).unwrap();
    let info = lookup.info();
    assert_eq!((&*info.name, &*info.version), ("risk", "1"));
    let inputs: Vec<String> = info.signature.inputs.iter().map(ToString::to_string).collect();
    assert_eq!(inputs, ["customer: str[-1]", "x: float32[-1, 1]"]);
    assert_eq!(*info.signature.inputs[1].columns, ["amount".into()]);
    let answer = ask(&lookup, request(&["b", "a"], &[0.5, 0.25])).unwrap();
    assert_eq!(answer.outputs.require("sum").unwrap().as_slice::<f32>().unwrap(), [22.5, 11.25]);
    assert_eq!(answer.outputs.require("state").unwrap().strs().unwrap(), ["NH", "MA"]);
    assert!(Arc::ptr_eq(&lookup.info(), &lookup.info()));
}

#[test]
fn some_features_may_come_from_the_request_all_the_same() {
    let lookup = opened(memory(), config().with_features(["income"])).unwrap();
    let inputs: Vec<String> =
        lookup.info().signature.inputs.iter().map(ToString::to_string).collect();
    assert_eq!(inputs, ["customer: str[-1]", "x: float32[-1, 2]", "state: str[-1]"]);
    let x = Tensor::from_vec([1, 2], vec![1_f32, 5.0]).unwrap();
    let inputs = keys(&["a"]).with("x", x).unwrap();
    let inputs = inputs.with("state", Tensor::from_strs([1], &["VT"]).unwrap()).unwrap();
    let answer = ask(&lookup, PredictRequest::new(inputs)).unwrap();
    assert_eq!(answer.outputs.require("sum").unwrap().as_slice::<f32>().unwrap(), [16.0]);
    assert_eq!(answer.outputs.require("state").unwrap().strs().unwrap(), ["VT"]);
}

#[test]
fn what_is_not_known_follows_its_rule() {
    let error = ask(&opened(memory(), config()).unwrap(), request(&["a", "4711"], &[0.0; 2]));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = "feature \"income\" of view \"customers\" is not known for row 1";
    assert_eq!(error.to_string(), text);

    let config = config()
        .with_missing("income", Missing::Value(Parameter::Int(7)))
        .with_missing("state", Missing::Value(Parameter::Text("??".to_owned())))
        .with_otherwise(Missing::Null);
    let lookup = opened(memory(), config).unwrap();
    let asked = request(&["4711", "b", "c", "4711"], &[0.5; 4]);
    let answer = ask(&lookup, asked).unwrap();
    let sum = answer.outputs.require("sum").unwrap().as_slice::<f32>().unwrap().to_vec();
    assert!(sum[0].is_nan() && sum[3].is_nan(), "orders are NaN: {sum:?}");
    assert_eq!(sum[1..3], [22.5, 10.5], "an income that is null is 7");
    assert_eq!(answer.outputs.require("state").unwrap().strs().unwrap(), ["??", "NH", "ME", "??"]);
    let stats = lookup.stats();
    assert_eq!((stats.asked, stats.entities, stats.missing, stats.away), (1, 3, 7, 0));
}

#[test]
fn a_row_that_is_too_old_is_not_known() {
    let clock = Arc::new(ManualClock::default());
    let config = config()
        .with_otherwise(Missing::Value(Parameter::Float(0.0)))
        .with_missing("state", Missing::Value(Parameter::Text(String::new())))
        .with_max_age(Some(Duration::from_mins(1)));
    let lookup = opened(memory(), config).unwrap().with_clock(Arc::<ManualClock>::clone(&clock));
    clock.advance(Duration::from_secs(61));
    assert_eq!(sums(&lookup, &["a", "b"], &[0.5, 0.5]), [11.5, 22.5]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(sums(&lookup, &["a", "b"], &[0.5, 0.5]), [0.5, 22.5]);
}

#[test]
fn what_does_not_fit_is_refused_when_it_is_opened() {
    let why = |config: LookupConfig| opened(memory(), config).unwrap_err();
    let absent = why(LookupConfig::new("shops"));
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert!(absent.to_string().contains("\"shops\""), "{absent}");
    for (config, text) in [
        (config().with_features(["age"]), "view \"customers\" has no feature \"age\""),
        (config().with_features(["income", "income"]), "feature \"income\", or it is named twice"),
        (config().with_missing("age", Missing::Null), "a rule for \"age\""),
        (config().with_otherwise(Missing::Null), "feature \"state\": type str has no NaN"),
        (
            config().with_missing("state", Missing::Value(Parameter::Int(1))),
            "feature \"state\": a constant is no value of type str",
        ),
    ] {
        let error = why(config);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(text), "{error}");
    }
    let double = TensorSpec::new("x", DType::F64, [None, Some(1)]).with_columns(["income"]);
    let other = ModelSignature::new(vec![double], vec![]).unwrap();
    let other = FnPredictor::new("other", other, |_| Ok(Tensors::new()));
    let opened = block_on(Lookup::open(Arc::new(other), Arc::new(memory()), config()));
    let text = "the store has income: float32[-1], and the model takes x: float64[-1, 1]";
    assert!(opened.unwrap_err().to_string().ends_with(text));
}

/// A store that does something else than answer.
#[derive(Debug)]
struct Broken {
    inner: MemoryOnlineStore,
    how: AtomicU8,
    asked: Mutex<Vec<usize>>,
}

impl Broken {
    fn new(how: u8) -> Self {
        Self { inner: memory(), how: AtomicU8::new(how), asked: Mutex::default() }
    }
}

#[async_trait]
impl OnlineStore for Broken {
    async fn view(&self, name: &str) -> Result<Arc<FeatureView>> {
        self.inner.view(name).await
    }
    async fn read(&self, question: OnlineRead) -> Result<OnlineRows> {
        self.asked.lock().unwrap().push(question.keys.rows()?);
        match self.how.load(Ordering::SeqCst) {
            0 => Err(Error::unavailable("the store is down")),
            1 => std::future::pending().await,
            2 => panic!("a store panics"),
            3 => {
                let mut rows = self.inner.read(question).await?;
                rows.times.pop();
                Ok(rows)
            }
            _ => self.inner.read(question).await,
        }
    }
    async fn write(&self, _: OnlineWrite) -> Result<()> {
        Err(Error::unsupported("it is only read"))
    }
}

#[test]
fn a_store_that_is_away_fails_the_request_or_leaves_it_to_the_rules() {
    let kinds =
        [ErrorKind::Unavailable, ErrorKind::TimedOut, ErrorKind::Internal, ErrorKind::Internal];
    for (how, failure) in (0..).zip(kinds) {
        let config = LookupConfig::new("customers").with_timeout(Duration::from_millis(50));
        let strict = opened(Broken::new(how), config.clone()).unwrap();
        assert_eq!(kind(ask(&strict, request(&["a"], &[1.0]))), failure);
        assert_eq!(strict.stats().away, 1);
        let config = config
            .with_away(Away::Missing)
            .with_otherwise(Missing::Value(Parameter::Float(3.0)))
            .with_missing("state", Missing::Value(Parameter::Text("?".to_owned())));
        let lenient = opened(Broken::new(how), config).unwrap();
        assert_eq!(sums(&lenient, &["a"], &[1.0]), [7.0]);
        block_on(lenient.ready()).unwrap();
    }
}

#[test]
fn the_requests_own_deadline_ends_it_in_any_case() {
    let config = config()
        .with_away(Away::Missing)
        .with_otherwise(Missing::Value(Parameter::Float(3.0)))
        .with_missing("state", Missing::Value(Parameter::Text("?".to_owned())));
    let lookup = opened(Broken::new(1), config).unwrap();
    let soon = std::time::Instant::now() + Duration::from_millis(50);
    let asked = request(&["a"], &[1.0]).with_deadline(soon);
    assert_eq!(kind(ask(&lookup, asked)), ErrorKind::TimedOut);
}

#[test]
fn an_entity_is_asked_about_once() {
    let store = Arc::new(Broken::new(9));
    let lookup = block_on(Lookup::open(model(), Arc::clone(&store) as _, config())).unwrap();
    assert_eq!(sums(&lookup, &["a", "b", "a", "a"], &[0.0; 4]), [11.0, 22.0, 11.0, 11.0]);
    assert!(sums(&lookup, &[], &[]).is_empty());
    assert_eq!(*store.asked.lock().unwrap(), [2], "and about nobody not at all");
}

#[test]
fn a_model_that_fails_keeps_its_kind_and_it_is_a_step_of_a_chain() {
    let (down, _) = failing(ErrorKind::Overloaded);
    let x = FeatureView::new(
        "x",
        vec![TensorSpec::column("id", DType::I64)],
        vec![TensorSpec::column("x", DType::F32)],
    );
    let store = MemoryOnlineStore::new([x.unwrap()], MemoryOnlineConfig::default()).unwrap();
    let config = LookupConfig::new("x").with_otherwise(Missing::Value(Parameter::Int(1)));
    let lookup = block_on(Lookup::open(down, Arc::new(store), config)).unwrap();
    let chain = Chain::builder("c", "1").then(Arc::new(lookup)).build().unwrap();
    let id = Tensors::one("id", Tensor::from_vec([1], vec![5_i64]).unwrap());
    assert_eq!(kind(ask(&chain, PredictRequest::new(id))), ErrorKind::Overloaded);
}
