//! Compositions by their definitions: each kind, each refusal.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use super::{ask, failing, kind, offset, other_shape, request, y};
use crate::doubles::{block_on, offset_inputs};
use async_trait::async_trait;
use mlops_core::{
    Error, ErrorKind, OnlineStore, Predictor, Result, Transform,
    arrow::array::RecordBatch,
    config::Config,
    features::{FeatureView, MemoryOnlineConfig, MemoryOnlineStore},
    predictor::{Parameter, PredictRequest},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::compose::definition::{
    Composed, Definitions, Loader, ModelDefinition, StoreDefinition, build,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Loads `+N`, which adds N, and a few others; remembers what it loaded.
#[derive(Debug, Default)]
struct Doubles(Mutex<Vec<String>>);

/// Rows as they are.
#[derive(Debug)]
struct Same;

impl Transform for Same {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(rows.clone())
    }
}

#[async_trait]
impl Loader for Doubles {
    async fn model(&self, name: &str, model: &ModelDefinition) -> Result<Arc<dyn Predictor>> {
        self.0.lock().unwrap().push(name.to_owned());
        match model.source.as_str() {
            "down" => Ok(failing(ErrorKind::Unavailable).0),
            "other" => Ok(other_shape()),
            "sum" => Ok(sum()),
            "label" => Ok(label(model.threads.unwrap_or(0))),
            source => match source.parse() {
                Ok(by) => Ok(offset(by)),
                Err(_) => Err(Error::not_found(format!("no double {source:?}"))),
            },
        }
    }

    async fn store(&self, name: &str, store: &StoreDefinition) -> Result<Arc<dyn OnlineStore>> {
        self.0.lock().unwrap().push(name.to_owned());
        let keys = store.keys.iter().map(|key| TensorSpec::column(Arc::clone(key), DType::I64));
        let features = vec![TensorSpec::column("x", DType::F32)];
        let view = FeatureView::new(name, keys.collect(), features)?;
        Ok(Arc::new(MemoryOnlineStore::new([view], MemoryOnlineConfig::default())?))
    }

    async fn transform(&self, source: &str) -> Result<(Arc<dyn Transform>, Vec<TensorSpec>)> {
        match source {
            "same" => Ok((Arc::new(Same), vec![TensorSpec::column("x", DType::F32)])),
            _ => Err(Error::not_found("no such file")),
        }
    }
}

/// The sum of two columns, of what two offsets give side by side.
fn sum() -> Arc<dyn Predictor> {
    let pair = TensorSpec::new("pair", DType::F32, [None, Some(2)]);
    let signature = ModelSignature::new(vec![pair], vec![TensorSpec::column("y", DType::F32)]);
    Arc::new(FnPredictor::new("sum", signature.unwrap(), |inputs| {
        let pairs = inputs.require("pair")?;
        let sums: Vec<f32> =
            pairs.as_slice::<f32>()?.chunks(2).map(|pair| pair.iter().sum()).collect();
        Ok(Tensors::one("y", Tensor::from_vec([sums.len()], sums)?))
    }))
}

/// Always this label.
fn label(value: usize) -> Arc<dyn Predictor> {
    let x = TensorSpec::column("x", DType::F32);
    let signature = ModelSignature::new(vec![x], vec![TensorSpec::column("label", DType::I64)]);
    let value = i64::try_from(value).unwrap();
    Arc::new(FnPredictor::new("label", signature.unwrap(), move |inputs| {
        let rows = inputs.rows()?;
        Ok(Tensors::one("label", Tensor::from_vec([rows], vec![value; rows])?))
    }))
}

const MODELS: &str = r#"
    [models.one]
    source = "1"
    [models.two]
    source = "2"
    [models.down]
    source = "down"
    [models.other]
    source = "other"
"#;

fn definitions(text: &str) -> Result<Definitions> {
    Definitions::of(&Config::new().with_toml("serve.toml", &format!("{MODELS}{text}"))?)
}

fn composed(text: &str, wanted: &[&str]) -> Result<Composed> {
    block_on(build(&definitions(text)?, wanted, &Doubles::default()))
}

/// The composition `c`, and what it is not: an error.
fn c(text: &str) -> Arc<dyn Predictor> {
    composed(&format!("[compose.c]\n{text}"), &["c"]).unwrap().remove("c").unwrap()
}

fn refused(text: &str) -> Error {
    composed(text, &["c"]).unwrap_err()
}

#[test]
fn a_chain() {
    let chain = c(r#"kind = "chain"
        steps = ["one", { model = "two", names = { x = "y" } }]
        version = "7""#);
    assert_eq!(y(&ask(&*chain, request()).unwrap()), 4.0);
    assert_eq!((&*chain.info().name, &*chain.info().version), ("c", "7"));
    let chain = c(r#"kind = "chain"
        steps = [{ transform = "same" }, "one"]"#);
    assert_eq!(y(&ask(&*chain, request()).unwrap()), 2.0);
}

#[test]
fn an_ensemble_of_each_rule() {
    let mean = c(r#"kind = "ensemble"
        rule = "mean"
        of = ["one", { model = "two", weight = 3 }]
        outputs = ["y"]"#);
    assert_eq!(y(&ask(&*mean, request()).unwrap()), 2.75);
    let quorum = c(r#"kind = "ensemble"
        rule = "mean"
        of = ["one", { model = "down", arm = "there" }]
        outputs = ["y"]
        quorum = 1"#);
    let answer = ask(&*quorum, request()).unwrap();
    assert_eq!((y(&answer), answer.arm.as_deref()), (2.0, Some("one")));
    let labels = r#"
        [models.a]
        source = "label"
        threads = 4
        [models.b]
        source = "label"
        threads = 5
        [compose.c]
        kind = "ensemble"
        rule = "vote"
        of = [{ model = "a", weight = 0.4 }, { model = "b", weight = 0.6 }]"#;
    let vote = composed(labels, &["c"]).unwrap().remove("c").unwrap();
    let answer = ask(&*vote, request()).unwrap();
    assert_eq!(answer.outputs.require("label").unwrap().as_slice::<i64>().unwrap(), [5, 5]);
    let stack = r#"
        [models.sum]
        source = "sum"
        [compose.c]
        kind = "ensemble"
        rule = "stack"
        of = ["one", "two"]
        outputs = ["y"]
        last = "sum""#;
    let stack = composed(stack, &["c"]).unwrap().remove("c").unwrap();
    assert_eq!(y(&ask(&*stack, request()).unwrap()), 5.0);
}

#[test]
fn a_branch() {
    let branch = c(r#"kind = "branch"
        by = { parameter = "size" }
        of = [{ model = "one", arm = "small" }, "two"]
        default = "two""#);
    let mut asked = request();
    let parameters = [("size".to_owned(), Parameter::Text("small".to_owned()))];
    asked.parameters = Some(Arc::new(BTreeMap::from(parameters)));
    let answer = ask(&*branch, asked).unwrap();
    assert_eq!((y(&answer), answer.arm.as_deref()), (2.0, Some("small")));
    assert_eq!(y(&ask(&*branch, request()).unwrap()), 3.0);
    let by_key = c(r#"kind = "branch"
        by = "key"
        of = ["one", "two"]"#);
    assert_eq!(y(&ask(&*by_key, request().with_key("two")).unwrap()), 3.0);
    assert_eq!(kind(ask(&*by_key, request())), ErrorKind::InvalidInput);
}

#[test]
fn a_split_is_sticky_as_it_is_in_rust() {
    let split = c(r#"kind = "split"
        of = [{ model = "one", weight = 0.3 }, { model = "two", weight = 0.7 }]
        salt = "s""#);
    let arms = super::arms([("one", offset(1.0)), ("two", offset(2.0))]);
    let weighted = arms.into_iter().zip([0.3, 0.7]).map(|(arm, weight)| arm.with_weight(weight));
    let own = mlops_serve::compose::Split::new("c", "1", weighted.collect()).unwrap();
    let own = own.with_salt("s").unwrap();
    for key in 0..50 {
        let key = key.to_string();
        let answer = ask(&*split, request().with_key(key.as_str())).unwrap();
        assert_eq!(answer.arm.as_ref(), Some(&own.arm_of(&key).name));
    }
}

#[test]
fn a_fallback_replicas_a_cache_and_a_shadow() {
    let fallback = c(r#"kind = "fallback"
        of = ["down", "one"]
        kinds = ["unavailable", "timed_out"]
        patience_ms = 50"#);
    let answer = ask(&*fallback, request()).unwrap();
    assert_eq!((y(&answer), answer.arm.as_deref()), (2.0, Some("one")));
    let other = c(r#"kind = "fallback"
        of = ["down", "one"]
        kinds = ["overloaded"]"#);
    assert_eq!(kind(ask(&*other, request())), ErrorKind::Unavailable);

    let replicas = c(r#"kind = "replicas"
        of = ["down", "one"]
        failures = 1
        cool_down_ms = 60000
        ready_for_ms = 10"#);
    for _ in 0..4 {
        assert_eq!(y(&ask(&*replicas, request()).unwrap()), 2.0);
    }
    assert_eq!(
        &*replicas.info().name,
        "c",
        "two definitions have two names, and their replicas one"
    );

    let cache = c(r#"kind = "cache"
        of = "one"
        entries = 2
        bytes = 10000
        ttl_ms = 60000"#);
    let both = [0, 1].map(|_| ask(&*cache, request()).unwrap());
    assert_eq!((y(&both[0]), y(&both[1])), (2.0, 2.0));
    assert!(format!("{cache:?}").contains("hits: 1"), "{cache:?}");

    let shadow = c(r#"kind = "shadow"
        of = "one"
        shadow = "down"
        fraction = 1.0
        queue = 4
        at_once = 2"#);
    assert_eq!(y(&ask(&*shadow, request()).unwrap()), 2.0);
}

#[test]
fn a_look_up() {
    let lookup = r#"
        [stores.customers]
        source = "nowhere"
        keys = ["customer"]
        [compose.c]
        kind = "lookup"
        of = "one"
        store = "customers"
        timeout_ms = 5000
        missing = { x = { value = 40 } }
        max_age_ms = 1000
        away = "missing""#;
    let lookup = composed(lookup, &["c"]).unwrap().remove("c").unwrap();
    assert_eq!(lookup.info().signature.inputs[0].to_string(), "customer: int64[-1]");
    let customer = Tensors::one("customer", Tensor::from_vec([1], vec![7_i64]).unwrap());
    assert_eq!(y(&ask(&*lookup, PredictRequest::new(customer)).unwrap()), 41.0);
}

#[test]
fn compositions_of_compositions_load_each_part_once_and_what_is_not_wanted_never() {
    let text = r#"
        [compose.twice]
        kind = "chain"
        steps = ["one", { model = "one", names = { x = "y" } }]
        [compose.cached]
        kind = "cache"
        of = "twice"
        [compose.c]
        kind = "split"
        of = ["cached", "one"]"#;
    let (definitions, loader) = (definitions(text).unwrap(), Doubles::default());
    let made = block_on(build(&definitions, &["c"], &loader)).unwrap();
    let names: Vec<&str> = made.keys().map(AsRef::as_ref).collect();
    assert_eq!(names, ["c", "cached", "one", "twice"]);
    assert_eq!(*loader.0.lock().unwrap(), ["one"]);
    assert_eq!(definitions.outermost(), ["down", "other", "two", "c"]);
}

#[test]
fn what_is_unknown_is_named_with_the_nearest() {
    for (text, message) in [
        (
            "[compose.c]\nkind = \"cache\"\nof = \"ome\"",
            "compose \"c\": there is no model or composition \"ome\"; is \"one\" meant?",
        ),
        (
            "[compose.d]\nkind = \"cache\"\nof = \"one\"",
            "compose: there is no model or composition \"c\"; is \"d\" meant?",
        ),
        (
            "[stores.customers]\nsource = \"x\"\n[compose.c]\nkind = \"lookup\"\nof = \"one\"\nstore = \"costumers\"",
            "compose \"c\": there is no store \"costumers\"; is \"customers\" meant?",
        ),
        (
            "[compose.c]\nkind = \"fallback\"\nof = [\"one\"]\nkinds = [\"unavailible\"]",
            "compose \"c\": there is no kind of error \"unavailible\"; is \"unavailable\" meant?",
        ),
    ] {
        let error = refused(text);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, message));
    }
}

#[test]
fn keys_kinds_and_rules_that_are_unknown_are_named_too() {
    for (text, parts) in [
        ("kind = \"cashe\"\nof = \"one\"", ["unknown variant `cashe`", "is `cache` meant?"]),
        (
            "kind = \"cache\"\nof = \"one\"\nentires = 5",
            ["unknown field `entires`", "is `entries` meant?"],
        ),
        (
            "kind = \"split\"\nof = [{ model = \"one\", wieght = 2 }]",
            ["unknown field `wieght`", "is `weight` meant?"],
        ),
        (
            "kind = \"chain\"\nsteps = [{ transfrom = \"same\" }]",
            ["unknown field `transfrom`", "is `transform` meant?"],
        ),
        (
            "kind = \"chain\"\nsteps = [{ model = \"one\", transform = \"same\" }]",
            ["a step is a name", "{ transform }"],
        ),
        (
            "kind = \"ensemble\"\nrule = \"maen\"\nof = []",
            ["unknown variant `maen`", "is `mean` meant?"],
        ),
        ("kind = \"ensemble\"\nrule = \"mean\"", ["missing field `of`", "[compose.c]"]),
        (
            "kind = \"branch\"\nof = []\nby = \"keys\"",
            ["unknown variant `keys`", "is `key` meant?"],
        ),
        ("of = []", ["missing field `kind`", "(from serve.toml)"]),
    ] {
        let error = refused(&format!("[compose.c]\n{text}"));
        let shown = error.to_string();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(parts.iter().all(|part| shown.contains(part)), "{text}: {shown}");
    }
    let error = refused("[models.three]\nsorce = \"3\"").to_string();
    assert!(
        error.starts_with("configuration [models.three] (from serve.toml): unknown field `sorce`")
    );
    let error =
        refused("[models.three]\nsource = \"3\"\nremote = { api_key = \"hunter2\" }").to_string();
    assert!(error.contains("never written down") && !error.contains("hunter2"), "{error}");
}

#[test]
fn circles_and_names_that_mean_two_things_are_refused() {
    let cache =
        |name: &str, of: &str| format!("[compose.{name}]\nkind = \"cache\"\nof = \"{of}\"\n");
    let circle = [cache("c", "a"), cache("a", "b"), cache("b", "a")].concat();
    assert_eq!(refused(&circle).to_string(), "compose: \"a\" of \"b\" of \"a\" is a circle");
    assert_eq!(refused(&cache("c", "c")).to_string(), "compose: \"c\" of \"c\" is a circle");
    let error = refused(&[cache("one", "two"), cache("c", "one")].concat());
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.to_string(), "\"one\" is a model and a composition");
    let deep: String =
        (0..100).map(|at| cache(&format!("d{at}"), &format!("d{}", at + 1))).collect();
    let error = refused(&[deep, cache("d100", "one"), cache("c", "d0")].concat());
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn what_does_not_fit_together_is_refused_by_the_name_of_the_composition() {
    for (text, message) in [
        (
            "kind = \"split\"\nof = [\"one\", \"other\"]",
            "arm \"other\" cannot stand in for arm \"one\"",
        ),
        ("kind = \"split\"\nof = [\"one\", \"one\"]", "arm \"one\" has no name of its own"),
        (
            "kind = \"chain\"\nsteps = [\"one\", { model = \"two\", names = { z = \"y\" } }]",
            "\"z\"",
        ),
        (
            "kind = \"chain\"\nsteps = [{ transform = \"gone\" }, \"one\"]",
            "transform \"gone\": no such file",
        ),
        ("kind = \"replicas\"\nof = []", "there is none"),
        ("kind = \"branch\"\nby = \"key\"\nof = [\"one\"]\ndefault = \"two\"", "no arm \"two\""),
        ("kind = \"ensemble\"\nrule = \"stack\"\nof = [\"one\"]", "needs `last`"),
        ("kind = \"ensemble\"\nrule = \"mean\"\nof = [\"one\"]\nlast = \"two\"", "\"stack\" alone"),
        ("kind = \"ensemble\"\nrule = \"mean\"\nof = [\"one\"]\nquorum = 2", "a quorum of 2 of 1"),
    ] {
        let error = refused(&format!("[compose.c]\n{text}"));
        let shown = error.to_string();
        assert!(shown.starts_with("compose \"c\": ") && shown.contains(message), "{text}: {shown}");
    }
    let error =
        refused("[models.three]\nsource = \"x\"\n[compose.c]\nkind = \"cache\"\nof = \"three\"");
    assert_eq!(error.to_string(), "model \"three\": no double \"x\"");
}

#[test]
fn definitions_are_made_in_rust_as_well() {
    let of = definitions("[compose.c]\nkind = \"cache\"\nof = \"one\"").unwrap();
    let cache = of.compose["c"].clone();
    let own = Definitions::default()
        .with_model("one", ModelDefinition::new("5"))
        .with_composition("c", cache);
    let made = block_on(build(&own, &own.outermost(), &Doubles::default())).unwrap();
    let asked = PredictRequest::new(offset_inputs(&[1.0]));
    assert_eq!(y(&ask(&*made["c"], asked).unwrap()), 6.0);
}
