//! The grammar reads what MLflow reads, never panics, and prints what it reads.

use mlops_core::{
    ErrorKind, RunId, Timestamp,
    search::{
        Comparison, Condition, Filter, Key, List, MAX_BYTES, MAX_CONDITIONS, MAX_LISTED, Order,
        OrderKey, Test,
    },
    tracker::{MetricPoint, Run},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const LISTS: [(&str, List); 4] = [
    ("runs", List::Runs),
    ("experiments", List::Experiments),
    ("models", List::Models),
    ("versions", List::Versions),
];

fn list_of(case: &Value) -> List {
    LISTS.iter().find(|(name, _)| case["list"] == *name).unwrap().1
}

fn oracle() -> Value {
    serde_json::from_str(include_str!("../../data/search/mlflow.json")).unwrap()
}

/// What MLflow takes and we do not, by a part of the text; each with its reason.
const NARROWER: &[(&str, &str)] = &[
    ("metrics. ", "a metric without a name"),
    ("AND metrics.a > 1", "sqlparse skips an AND that joins nothing, perhaps a lost condition"),
    ("> 1 AND", "the same at the end"),
    ("> 1 metrics.b", "two conditions that nothing joins"),
    ("version_number", "with a text that is no number: MLflow fails when it matches"),
    ("experiment_id ", "LIKE: MLflow refuses it when it asks its database"),
];

/// What we take and MLflow does not.
const WIDER: &[(&str, &str)] = &[("IS NOT NULL", "of tags also in the registry")];

#[test]
fn filters_mean_what_mlflow_says() {
    let (mut read, mut refused, mut differ) = (0, 0, Vec::new());
    for case in oracle()["filters"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let known = |list: &[(&str, &str)]| list.iter().any(|(part, _)| text.contains(part));
        match (Filter::parse(list_of(case), text), &case["parsed"]) {
            (Ok(_), Value::Null) if known(WIDER) => {}
            (Ok(ours), Value::Null) => differ.push(format!("{case}: read as {ours}")),
            (Err(_), Value::Null) => refused += 1,
            (Err(_), _) if known(NARROWER) => refused += 1,
            (Ok(ours), _) if text.contains("``") => {
                // A doubled quote stands for one, as in SQL; MLflow keeps both.
                assert_eq!(named(&ours.conditions()[0].key).1, "a`b");
            }
            (Err(error), _) => differ.push(format!("{case}: {error}")),
            (Ok(ours), theirs) => {
                let ours: Vec<Value> = ours.conditions().iter().map(plain).collect();
                let theirs: Vec<Value> = theirs.as_array().unwrap().iter().map(normal).collect();
                assert_eq!(ours, theirs, "{case}");
                read += 1;
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(read > 400 && refused > 1_000, "{read} read, {refused} refused");
}

#[test]
fn orders_mean_what_mlflow_says() {
    for case in oracle()["orders"].as_array().unwrap() {
        let (list, text) = (list_of(case), case["text"].as_str().unwrap());
        let ours = Order::parse(list, &[text]);
        match (ours, &case["parsed"]) {
            (Err(_), Value::Null) => {}
            (Ok(ours), Value::Null) => {
                // Ours may be ordered by every attribute, and MLflow's lists differ in two words.
                assert!(
                    matches!(ours.keys()[0].key, Key::Attribute(_)) || text == "tags.a",
                    "{case}"
                );
            }
            (Err(error), _) => panic!("{case}: {error}"),
            (Ok(ours), theirs) => {
                let OrderKey { key, descending, .. } = &ours.keys()[0];
                let (kind, name) = named(key);
                let theirs = [theirs[0].clone(), alias(&theirs[1]), theirs[2].clone()];
                assert_eq!([json!(kind), json!(name), json!(!descending)], theirs, "{case}");
            }
        }
    }
}

fn named(key: &Key) -> (&'static str, String) {
    match key {
        Key::Attribute(attribute) => ("attribute", attribute.as_str().to_owned()),
        Key::Metric(name) => ("metric", name.to_string()),
        Key::Param(name) => ("parameter", name.to_string()),
        Key::Tag(name) => ("tag", name.to_string()),
        Key::Dataset(field) => ("dataset", field.as_str().to_owned()),
        _ => panic!("an unknown key"),
    }
}

fn plain(condition: &Condition) -> Value {
    let (kind, name) = named(&condition.key);
    let (operator, value) = match &condition.test {
        Test::Number(comparison, number) => (comparison.as_str(), json!(number)),
        Test::Equals { text, not } => (if *not { "!=" } else { "=" }, json!(text)),
        Test::Like { pattern, ignore_case } => {
            (if *ignore_case { "ILIKE" } else { "LIKE" }, json!(pattern))
        }
        Test::In { texts, not } => (if *not { "NOT IN" } else { "IN" }, json!(texts)),
        Test::Null { not } => (if *not { "IS NOT NULL" } else { "IS NULL" }, Value::Null),
        _ => panic!("an unknown test"),
    };
    json!([kind, name, operator, value])
}

/// MLflow keeps a metric's number as text, and other words for some attributes.
fn normal(theirs: &Value) -> Value {
    let number = |value: &Value| match value {
        Value::String(text) if theirs[0] == "metric" => json!(text.parse::<f64>().unwrap()),
        Value::Number(number) => json!(number.as_f64().unwrap()),
        other => other.clone(),
    };
    json!([theirs[0], alias(&theirs[1]), theirs[2], number(&theirs[3])])
}

fn alias(name: &Value) -> Value {
    match name.as_str().unwrap() {
        "created" | "Created" => json!("start_time"),
        "run name" | "Run name" | "Run Name" => json!("run_name"),
        "creation_timestamp" => json!("creation_time"),
        "last_updated_timestamp" => json!("last_update_time"),
        other => json!(other),
    }
}

/// Texts that look like filters, so that the parser gets past the first word.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("metrics.".to_owned()),
        Just("params.`".to_owned()),
        Just(" AND ".to_owned()),
        Just(" NOT IN (".to_owned()),
        Just(" is null".to_owned()),
        Just(" LIKE '".to_owned()),
        Just("status".to_owned()),
        Just("= ".to_owned()),
        "[-+0-9.eE]{0,6}",
        "[\"'`(),.<>!= ]{0,3}",
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}

/// A valid condition with whatever text inside its quotes.
fn condition() -> impl Strategy<Value = String> {
    let text = || "\\PC{0,8}";
    let key = |family: &'static str| {
        "\\PC{1,8}".prop_map(move |name| format!("{family}.{}", quoted(&name, '`')))
    };
    let number = any::<f64>().prop_filter("the grammar has finite numbers", |n| n.is_finite());
    let operator = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let listed = prop::collection::vec(text(), 1..4).prop_map(|texts| {
        texts.iter().map(|text| quoted(text, '\'')).collect::<Vec<_>>().join(",")
    });
    prop_oneof![
        (key("metrics"), operator, number).prop_map(|(key, op, n)| format!("{key} {op} {n:?}")),
        (key("params"), text()).prop_map(|(key, t)| format!("{key} != {}", quoted(&t, '"'))),
        (key("tags"), text()).prop_map(|(key, t)| format!("{key} iLike {}", quoted(&t, '\''))),
        key("tag").prop_map(|key| format!("{key} IS  NOT NULL")),
        listed.prop_map(|texts| format!("run_id not in ({texts})")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_text_is_too_odd(text in pieces(), other in "\\PC*") {
        for text in [text, other] {
            for (_, list) in LISTS {
                if let Err(error) = Filter::parse(list, &text) {
                    prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    prop_assert!(error.to_string().starts_with("filter, byte "));
                }
                let _ = Order::parse(list, &[&text]);
            }
        }
    }

    #[test]
    fn what_is_printed_parses_to_the_same(texts in prop::collection::vec(condition(), 0..5)) {
        let filter = Filter::parse(List::Runs, &texts.join(" and ")).unwrap();
        prop_assert_eq!(filter.conditions().len(), texts.len());
        prop_assert_eq!(&Filter::parse(List::Runs, &filter.to_string()).unwrap(), &filter);
    }

    #[test]
    fn order_keys_print_and_parse(name in "\\PC{1,8}", descending: bool) {
        let direction = if descending { "DESC" } else { "asc" };
        let text = format!("metrics.{} {direction}", quoted(&name, '"'));
        let order = Order::parse(List::Runs, &[text]).unwrap();
        let printed: Vec<String> = order.keys().iter().map(ToString::to_string).collect();
        prop_assert_eq!(&Order::parse(List::Runs, &printed).unwrap(), &order);
        prop_assert_eq!(order.keys()[0].descending, descending);
    }
}

#[test]
fn errors_say_where() {
    let why = |text: &str| Filter::parse(List::Runs, text).unwrap_err().to_string();
    for (text, expected) in [
        (
            "metrics.a > 1 OR metrics.b > 2",
            "filter, byte 14: AND is expected, OR is not part of the grammar",
        ),
        (
            "params.a > '1'",
            "filter, byte 9: =, !=, LIKE, ILIKE, IS NULL, IS NOT NULL is expected after `params.a`",
        ),
        ("params.a = 1", "filter, byte 11: a quoted text is expected after `params.a =`"),
        ("tags.a = 'x", "filter, byte 9: the quote ' is never closed"),
        (
            "metrics.é > 1 AND x.y = 1",
            "filter, byte 19: \"x\" is none of metrics, params, tags, attributes and datasets",
        ),
        ("status IN ('RUNNING')", "filter, byte 7: `status` cannot be asked with IN"),
        ("metrics.a > 1e999", "filter, byte 12: the number is too large"),
        ("metrics.a IS NULL", "filter, byte 10: `metrics.a` cannot be NULL"),
    ] {
        assert_eq!(why(text), expected);
    }
    let twice = Order::parse(List::Runs, &["status", "attributes.status DESC"]).unwrap_err();
    assert_eq!(twice.to_string(), "order_by: status is there twice");
}

/// Each list has the families that MLflow has there.
#[test]
fn attributes_have_the_families_of_their_list() {
    let read = |list, text: &str| Filter::parse(list, text).map(|filter| filter.to_string());
    for (_, list) in LISTS.into_iter().filter(|(name, _)| *name != "runs") {
        assert_eq!(
            read(list, "attribute.name = 'a' AND tag.b = 'c'").unwrap(),
            "name = 'a' AND tags.`b` = 'c'"
        );
        for family in ["attributes", "attr", "run", "datasets", "nonsense"] {
            let refused = read(list, &format!("{family}.name = 'a'")).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{list:?} {family}");
        }
    }
    let logged = List::LoggedModels;
    let printed = read(logged, "attributes.name = 'a' AND artifact_location != 'b'").unwrap();
    assert_eq!(printed, "name = 'a' AND artifact_uri != 'b'");
    for text in ["attribute.name = 'a'", "tag.b = 'c'", "metric.d > 1", "datasets.name = 'e'"] {
        assert!(read(logged, text).is_err(), "{text}");
    }
}

#[test]
fn only_a_version_has_its_number_in_quotes() {
    let read = |list, text: &str| Filter::parse(list, text).map(|filter| filter.to_string());
    for text in ["version_number = '12'", "version_number = \"12\"", "version_number = 12"] {
        assert_eq!(read(List::Versions, text).unwrap(), "version_number = 12.0");
    }
    for text in ["'a'", "''", "'1.5'", "'-1'", "' 1'", "'1_0'", "'1e3'", "'1", "+1", "'' 1"] {
        assert!(read(List::Versions, &format!("version_number > {text}")).is_err(), "{text}");
    }
    assert!(read(List::Runs, "start_time > '1'").is_err());
    assert!(read(List::Experiments, "experiment_id LIKE '1'").is_err());
    assert!(read(List::LoggedModels, "experiment_id LIKE '1'").is_ok());
    let error = read(List::Experiments, "experiment_id > '1'").unwrap_err();
    assert!(
        error.to_string().ends_with("=, !=, IN, NOT IN is expected after `experiment_id`"),
        "{error}"
    );
}

#[test]
fn bounds_are_kept() {
    let kind = |text: String| Filter::parse(List::Runs, &text).map_err(|error| error.kind());
    let many = |count: usize| vec!["metrics.a > 1"; count].join(" AND ");
    assert!(kind(many(MAX_CONDITIONS)).is_ok());
    assert_eq!(kind(many(MAX_CONDITIONS + 1)), Err(ErrorKind::TooLarge));
    let listed = |count: usize| format!("run_id IN ({})", vec!["'a'"; count].join(","));
    assert!(kind(listed(MAX_LISTED)).is_ok());
    assert_eq!(kind(listed(MAX_LISTED + 1)), Err(ErrorKind::TooLarge));
    assert_eq!(kind(" ".repeat(MAX_BYTES + 1)), Err(ErrorKind::TooLarge));
    let long = kind(format!("{} = 'a'", "x".repeat(MAX_BYTES - 10)));
    assert_eq!(long, Err(ErrorKind::InvalidInput));
}

fn run(number: u128, loss: Option<f64>) -> Run {
    let start = Timestamp::from_unix_micros(1_500);
    let mut run = Run::new(RunId::from_u128(number), "0".parse().unwrap(), "r", start);
    if let Some(value) = loss {
        run.metrics.insert("loss".to_owned(), MetricPoint { value, step: 0, time: start });
    }
    run
}

#[test]
fn a_missing_key_and_nan_match_as_mlflow_says() {
    let matches = |text: &str, run: &Run| Filter::parse(List::Runs, text).unwrap().matches(run);
    let (none, nan) = (run(1, None), run(2, Some(f64::NAN)));
    for operator in ["=", "<", "<=", ">", ">="] {
        assert!(!matches(&format!("metrics.loss {operator} 1"), &nan));
        assert!(!matches(&format!("metrics.loss {operator} 1"), &none));
    }
    assert!(matches("metrics.loss != 1", &nan) && !matches("metrics.loss != 1", &none));
    assert!(matches("params.a IS NULL", &none) && !matches("params.a != 'x'", &none));
    assert!(matches("start_time = 1 AND status = 'RUNNING'", &none));
    assert!(Comparison::LessOrEqual.holds(1.0, 1.0));
}

#[test]
fn nan_comes_late_and_missing_last_in_both_directions() {
    let mut runs =
        [run(1, None), run(2, Some(f64::NAN)), run(3, Some(1.0)), run(4, Some(f64::INFINITY))];
    let mut ids = |key: &str| {
        let order = Order::parse(List::Runs, &[key]).unwrap();
        runs.sort_by(|left, right| order.compare(left, right));
        runs.iter().map(|run| run.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(ids("metrics.loss"), [3, 4, 2, 1]);
    assert_eq!(ids("metrics.loss DESC"), [4, 3, 2, 1]);
    assert_eq!(ids("metrics.absent DESC"), [1, 2, 3, 4]);
}
