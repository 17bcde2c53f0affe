//! Rows for this module's tests.

use mlops_core::arrow::array::{ArrayRef, RecordBatch, StringArray};
use std::sync::Arc;

/// Each of these values so many times, in a column `c`.
pub(super) fn texts(values: &[&str], times: usize) -> RecordBatch {
    let values: Vec<&str> = values.iter().flat_map(|value| vec![*value; times]).collect();
    let array: ArrayRef = Arc::new(StringArray::from(values));
    RecordBatch::try_from_iter([("c", array)]).unwrap()
}
