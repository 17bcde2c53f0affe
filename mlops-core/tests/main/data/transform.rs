//! Transforms: scikit-learn's answers, the same bits alone and in a batch, and mistakes by name.

use super::{oracle, slice, tables::table, why};
use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use mlops_core::{
    ErrorKind, Transform,
    data::{Any, Dataset, FittedTransform, Nulls, Rule, Train, TransformSpec},
};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;

fn train(columns: Vec<(&str, ArrayRef)>) -> Dataset<Train> {
    Dataset::from_columns("train", columns).unwrap().declare()
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The outputs, row by row.
fn apply(transform: &FittedTransform, rows: &RecordBatch) -> Vec<Vec<f32>> {
    let outputs = transform.apply(rows).unwrap();
    let columns: Vec<&Float32Array> =
        outputs.columns().iter().map(arrow_array::cast::AsArray::as_primitive).collect();
    (0..rows.num_rows()).map(|row| columns.iter().map(|c| c.value(row)).collect()).collect()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn answers_are_scikit_learns() {
    let oracle = oracle()["transforms"].take();
    let list = |name: &str| oracle[name].as_array().unwrap().clone();
    let numbers = |name: &str| -> ArrayRef {
        Arc::new(list(name).iter().map(Value::as_f64).collect::<Float64Array>())
    };
    let state: StringArray = list("state").iter().map(Value::as_str).collect();
    let columns = [
        ("age", numbers("age")),
        ("wage", numbers("wage")),
        ("code", numbers("code")),
        ("state", Arc::new(state) as ArrayRef),
    ];
    let all: Dataset<Any> = Dataset::from_columns("oracle", columns).unwrap();
    let train = slice(&all, 0, 300).declare::<Train>();
    let answer = |column: &str, rule: Rule, name: &str| {
        let transform = TransformSpec::new().with_column(column, rule).fit(&train).unwrap();
        let ours = apply(&transform, &all.batch().unwrap());
        let theirs = oracle["answers"][name].as_array().unwrap();
        for (row, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
                let theirs = theirs.as_f64().unwrap_or(f64::NAN);
                let near = (f64::from(*ours) - theirs).abs() <= 1e-6 * theirs.abs().max(1e-3);
                assert!(near || ours.is_nan() && theirs.is_nan(), "{name} {row}: {ours} {theirs}");
            }
        }
        transform
    };
    answer("age", Rule::standardise(), "standard");
    answer("wage", Rule::number().with_nulls(Nulls::Mean), "mean");
    answer("wage", Rule::number().with_nulls(Nulls::Median), "median");
    answer("age", Rule::number().with_nulls(Nulls::MostFrequent), "most_frequent");
    answer("age", Rule::number().with_nulls(Nulls::Number(-7.5)), "constant");
    answer("wage", Rule::standardise().with_clip(1000.0, 60000.0), "clipped_standard");
    answer("code", Rule::ordinal(8), "ordinal");
    let one_hot = answer("state", Rule::one_hot(3).with_other(), "one_hot");
    let kept = list("one_hot_categories");
    let names = kept.iter().map(|label| format!("state={}", label.as_str().unwrap()));
    assert_eq!(one_hot.output_names(), names.chain(["state=other".to_owned()]).collect::<Vec<_>>());
}

#[test]
fn every_cell_is_told() {
    let train = train(vec![
        ("age", ints(&[Some(20), Some(40), None])),
        ("purpose", texts(&[Some("car"), Some("other"), Some("null")])),
    ]);
    let transform = TransformSpec::new()
        .with_column("age", Rule::number().with_nulls(Nulls::Mean).with_null_cell())
        .with_column("purpose", Rule::one_hot(9).with_other().with_null_cell())
        .fit(&train)
        .unwrap();
    let names = [
        "age",
        "age=null",
        "purpose=car",
        "purpose=\"null\"",
        "purpose=\"other\"",
        "purpose=other",
        "purpose=null",
    ];
    assert_eq!(transform.output_names(), names);
    let rows = batch(vec![
        ("purpose", texts(&[Some("boat"), Some("other"), None])),
        ("age", ints(&[Some(7), None, Some(8)])),
        ("unused", ints(&[None; 3])),
    ]);
    let wanted = [
        vec![7.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        vec![30.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        vec![8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ];
    assert_eq!(apply(&transform, &rows), wanted);
    assert_eq!(transform.fitted_on(), train.digest());

    let ordinal =
        |rule: Rule| TransformSpec::new().with_column("purpose", rule).fit(&train).unwrap();
    let codes = |rule: Rule| apply(&ordinal(rule), &rows).concat();
    assert_eq!(codes(Rule::ordinal(9).with_null_cell()), [3.0, 2.0, 4.0]);
    assert_eq!(codes(Rule::ordinal(9).with_nulls(Nulls::Category("car".into()))), [3.0, 2.0, 0.0]);
    assert!(codes(Rule::ordinal(9))[2].is_nan());
}

#[test]
fn codes_are_the_same_in_every_width() {
    let train = train(vec![("code", ints(&[Some(1), Some(2), Some(1)]))]);
    let transform = TransformSpec::new().with_column("code", Rule::one_hot(4)).fit(&train).unwrap();
    // A data frame makes floats of integers with gaps; a request may bring a narrower type.
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 1.5, f64::NAN]));
    let wanted = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]];
    assert_eq!(apply(&transform, &batch(vec![("code", floats)])), wanted);
    let narrow: ArrayRef = Arc::new(arrow_array::Int8Array::from(vec![2]));
    assert_eq!(apply(&transform, &batch(vec![("code", narrow)])), [[0.0, 1.0]]);
    let coded: arrow_array::DictionaryArray<arrow_array::types::Int8Type> =
        ["1"].into_iter().collect();
    let error = why(transform.apply(&batch(vec![("code", Arc::new(coded))])));
    assert_eq!(error, "column \"code\" has type str, numbers are expected");
}

#[test]
fn mistakes_are_named() {
    let train = train(vec![
        ("age", ints(&[Some(20), Some(40), None])),
        ("state", texts(&[Some("MA"), Some("NH"), None])),
        ("share", Arc::new(Float64Array::from(vec![0.5, f64::INFINITY, 1.0]))),
        ("empty", ints(&[None; 3])),
        ("day", Arc::new(arrow_array::Date32Array::from(vec![1, 2, 3]))),
    ]);
    let fit = |name: &str, rule: Rule| TransformSpec::new().with_column(name, rule).fit(&train);
    let error = |name: &str, rule: Rule| why(fit(name, rule));
    let missing = "column \"aeg\": dataset \"train\" has no column \"aeg\"";
    assert_eq!(error("aeg", Rule::number()), missing);
    assert_eq!(error("state", Rule::number()), "column \"state\": it holds text, not numbers");
    assert_eq!(
        error("empty", Rule::standardise()),
        "column \"empty\": it holds no values to learn from"
    );
    assert!(error("share", Rule::standardise()).ends_with("infinite values: clip them"));
    assert!(fit("share", Rule::standardise().with_clip(0.0, 9.0)).is_ok());
    assert!(error("share", Rule::one_hot(3)).ends_with("they are no categories"));
    assert_eq!(fit("day", Rule::number()).unwrap_err().kind(), ErrorKind::Unsupported);
    for rule in [
        Rule::one_hot(0),
        Rule::one_hot(3).with_clip(0.0, 1.0),
        Rule::number().with_clip(1.0, 0.0),
        Rule::number().with_other(),
        Rule::one_hot(3).with_nulls(Nulls::Mean),
        Rule::one_hot(3).with_nulls(Nulls::Category("VT".into())),
        Rule::number().with_nulls(Nulls::Category("MA".into())),
        Rule::number().with_nulls(Nulls::Number(f64::NAN)),
    ] {
        let name = if matches!(rule.nulls, Nulls::Category(_)) { "state" } else { "age" };
        assert_eq!(
            fit(name, rule.clone()).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{rule:?}"
        );
    }
    let twice = TransformSpec::new().with_columns(["age", "age"], &Rule::number()).fit(&train);
    assert_eq!(why(twice), "two outputs are named \"age\"");
    assert_eq!(why(TransformSpec::new().fit(&train)), "a transform needs at least one column");

    let ages = fit("age", Rule::number()).unwrap();
    assert_eq!(why(ages.apply(&batch(vec![("a", ints(&[None]))]))), "column \"age\" is missing");
    let text = batch(vec![("age", texts(&[Some("41")]))]);
    assert_eq!(why(ages.apply(&text)), "column \"age\" has type str, numbers are expected");
}

#[test]
fn stored_transforms_are_checked() {
    let train =
        train(vec![("age", ints(&[Some(20), Some(40)])), ("s", texts(&[Some("a"), Some("b")]))]);
    let transform = TransformSpec::new()
        .with_column("age", Rule::standardise())
        .with_column("s", Rule::one_hot(3))
        .fit(&train)
        .unwrap();
    let json = transform.to_json();
    let error = |from: &str, to: &str| {
        assert!(json.contains(from), "{json}");
        FittedTransform::from_json(&json.replacen(from, to, 1)).unwrap_err()
    };
    assert_eq!(error("\"version\": 1", "\"version\": 2").kind(), ErrorKind::Unsupported);
    for (from, to) in [
        ("\"scale\": 10.0", "\"scale\": 0.0"),
        ("\"clip\": null", "\"clip\": [2.0, 1.0]"),
        ("\"a\"", "\"b\""),
        ("\"encoding\": \"number\"", "\"encoding\": \"magic\""),
        ("\"type\": \"int64\"", "\"type\": \"date\""),
        ("\"type\": \"str\"", "\"type\": \"int64\""),
        ("\"fill\": null\n    }\n  ]", "\"fill\": 7\n    }\n  ]"),
    ] {
        let error = error(from, to);
        assert_eq!(
            error.kind(),
            if to.contains("date") { ErrorKind::InvalidInput } else { error.kind() }
        );
        assert!(error.to_string().starts_with("transform: "), "{error}");
    }
    assert!(FittedTransform::from_json("[]").is_err());
}

/// A rule for a column that cannot fail on arbitrary data of its type.
fn rule(dataset: &Dataset<Train>, name: &str, at: usize) -> Option<Rule> {
    let kind = dataset.column_type(name).unwrap();
    let whole = !kind.is_float();
    let rules = [
        Rule::number().with_null_cell(),
        Rule::number().with_nulls(Nulls::Median),
        Rule::standardise().with_clip(-1e3, 1e3).with_nulls(Nulls::Mean),
        Rule::one_hot(2).with_other().with_null_cell(),
        Rule::ordinal(3).with_nulls(Nulls::MostFrequent),
        Rule::one_hot(5),
    ];
    let fits = |rule: &Rule| {
        let spec = TransformSpec::new().with_column(name, rule.clone());
        spec.fit(dataset).is_ok() && (whole || at < 3)
    };
    (0..rules.len())
        .map(|offset| &rules[(at + offset) % rules.len()])
        .find(|rule| fits(rule))
        .cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn alone_and_in_a_batch_the_bits_are_the_same(dataset in table(), choice in 0..6_usize, cut: prop::sample::Index) {
        let cut = cut.index(dataset.rows() + 1);
        let train = slice(&dataset, 0, cut).declare::<Train>();
        let spec = train.columns().filter_map(|name| Some((name, rule(&train, name, choice)?)))
            .fold(TransformSpec::new(), |spec, (name, rule)| spec.with_column(name, rule));
        let Ok(transform) = spec.fit(&train) else { return Ok(()) };
        let stored = FittedTransform::from_json(&transform.to_json()).unwrap();
        prop_assert_eq!(&stored, &transform);

        let all = dataset.batch().unwrap();
        let bits = |rows: Vec<Vec<f32>>| rows.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let together = bits(apply(&transform, &all));
        let alone: Vec<u32> =
            (0..all.num_rows()).flat_map(|row| bits(apply(&stored, &all.slice(row, 1)))).collect();
        prop_assert_eq!(&together, &alone);
        let parts = transform.apply_to(&dataset).unwrap();
        prop_assert_eq!(parts.rows(), dataset.rows());
    }
}
