//! Datasets: what they hold, what their digest means, how they are cut.

#[path = "data/io.rs"]
mod io;
#[path = "data/real.rs"]
mod real;
#[path = "data/schema.rs"]
mod schema;
#[path = "data/split.rs"]
mod split;
#[path = "data/tables.rs"]
mod tables;
#[path = "data/transform.rs"]
mod transform;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use mlops_core::data::{Dataset, Part, Train};
use proptest::prelude::*;
use std::{path::PathBuf, sync::Arc};
use tables::{recut, table};

/// A file of `tests/data/dataset`.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/dataset").join(name)
}

/// What `scripts/oracles/dataset.py` wrote.
fn oracle() -> serde_json::Value {
    let text = std::fs::read_to_string(fixture("oracle.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn why<T: std::fmt::Debug>(result: mlops_core::Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// The rows from the first up to before the second.
fn slice<S: Part>(dataset: &Dataset<S>, from: usize, to: usize) -> Dataset<S> {
    dataset.take(&(from..to).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_digest_is_the_documented_one() {
    let columns: [(&str, ArrayRef); 4] = [
        (
            "flag",
            Arc::new(arrow_array::BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                Some(true),
            ])),
        ),
        ("count", Arc::new(Int64Array::from(vec![Some(-1), Some(1 << 62), None, Some(0)]))),
        (
            "share",
            Arc::new(arrow_array::Float64Array::from(vec![
                Some(0.1),
                Some(-f64::NAN),
                Some(-0.0),
                None,
            ])),
        ),
        ("state", Arc::new(StringArray::from(vec![Some("MA"), Some(""), None, Some("ä")]))),
    ];
    let dataset = Dataset::from_columns("oracle", columns).unwrap();
    assert_eq!(dataset.digest().to_string(), oracle()["digests"]["digest"].as_str().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_digest_does_not_know_how_rows_were_cut(dataset in table(), cuts: [prop::sample::Index; 3]) {
        let again = recut(&dataset, &cuts);
        prop_assert_eq!(again.digest(), dataset.digest());
        prop_assert_eq!(again.rows(), dataset.rows());
        let whole = Dataset::from_batches("whole", [again.batch().unwrap()]).unwrap();
        prop_assert_eq!(whole.digest(), dataset.digest());
        for name in dataset.columns() {
            prop_assert_eq!(again.column(name).unwrap().len(), dataset.rows());
        }
    }

    #[test]
    fn rows_that_are_taken_apart_go_together_again(dataset in table(), cut: prop::sample::Index) {
        let cut = cut.index(dataset.rows() + 1);
        let (head, tail) = (slice(&dataset, 0, cut), slice(&dataset, cut, dataset.rows()));
        prop_assert_eq!(&Dataset::concat(&[&head, &tail]).unwrap(), &dataset);
        let keep: Vec<bool> = (0..dataset.rows()).map(|row| row < cut).collect();
        prop_assert_eq!(&dataset.filter_rows(&keep).unwrap(), &head);
        let backwards: Vec<usize> = (0..dataset.rows()).rev().collect();
        let twice = dataset.take(&backwards).unwrap().take(&backwards).unwrap();
        prop_assert_eq!(&twice, &dataset);
    }

    #[test]
    fn the_digest_sees_every_value(dataset in table(), at: prop::sample::Index, to: prop::sample::Index) {
        // Exchanging two rows changes the digest exactly if the rows differ.
        prop_assume!(dataset.rows() > 1);
        let (a, b) = (at.index(dataset.rows()), to.index(dataset.rows()));
        let mut order: Vec<usize> = (0..dataset.rows()).collect();
        order.swap(a, b);
        let same = slice(&dataset, a, a + 1) == slice(&dataset, b, b + 1);
        prop_assert_eq!(dataset.take(&order).unwrap() == dataset, same);
    }
}

#[test]
fn columns_are_read_as_what_they_are() {
    let columns: [(&str, ArrayRef); 3] = [
        ("age", Arc::new(Int64Array::from(vec![Some(41), None]))),
        ("state", Arc::new(StringArray::from(vec![None, Some("MA")]))),
        ("id", Arc::new(arrow_array::UInt64Array::from(vec![7, u64::MAX]))),
    ];
    let dataset = Dataset::from_columns("people", columns).unwrap();
    let ages = dataset.f64s("age").unwrap();
    assert!(ages[0] == 41.0 && ages[1].is_nan());
    assert_eq!(dataset.i64s("age").unwrap(), [Some(41), None]);
    assert_eq!(dataset.strs("state").unwrap(), [None, Some("MA")]);

    assert_eq!(why(dataset.f64s("aeg")), "dataset \"people\" has no column \"aeg\"");
    assert_eq!(
        why(dataset.f64s("state")),
        "column \"state\" has type str, it does not hold numbers"
    );
    assert_eq!(why(dataset.strs("age")), "column \"age\" has type int64, it does not hold text");
    assert_eq!(why(dataset.i64s("id")), "column \"id\", row 1: the value does not fit int64");
    assert_eq!(why(dataset.take(&[0, 2])), "dataset \"people\" has no row 2, it has 2 rows");
    assert_eq!(why(dataset.filter_rows(&[true])), "1 flags for 2 rows");

    let picked = dataset.select(&["state", "age"]).unwrap();
    assert_eq!(picked.columns().collect::<Vec<_>>(), ["state", "age"]);
    let inputs: Vec<String> =
        picked.signature().unwrap().inputs.iter().map(ToString::to_string).collect();
    assert_eq!(inputs, ["state: str[-1]", "age: int64[-1]"]);
    let shown = format!("{picked:?}");
    assert_eq!(shown, "Dataset(\"people\", any, 2 rows, state: str, age: int64)");
    assert!(format!("{:?}", picked.declare::<Train>()).contains(", train, "));
}

#[test]
fn what_does_not_go_together_is_named() {
    let batch = |name: &str, array: ArrayRef| RecordBatch::try_from_iter([(name, array)]).unwrap();
    let ints = || batch("a", Arc::new(Int64Array::from(vec![1])));
    let texts = batch("a", Arc::new(StringArray::from(vec!["1"])));
    let mixed = Dataset::from_batches("mixed", [ints(), texts]);
    assert_eq!(why(mixed), "column \"a\" of type int64 is column \"a\" of type str elsewhere");
    assert_eq!(
        why(Dataset::from_batches("none", [])),
        "dataset \"none\" has no batch, so no columns"
    );
    let array: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = Dataset::from_columns("twice", [("a", Arc::clone(&array)), ("a", array)]);
    assert_eq!(why(twice), "column \"a\" is there twice");
}
