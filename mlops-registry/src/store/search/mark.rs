//! Where a page ended.

use crate::store::connection::Value;
use serde::{Deserialize, Serialize};

/// The value of a term at the end of a page, in a form that keeps every number.
#[derive(Serialize, Deserialize)]
pub(super) enum Mark {
    Nothing,
    Int(i64),
    Real(u64),
    Text(String),
}

impl From<Value> for Mark {
    fn from(value: Value) -> Self {
        match value {
            // No list is in the order of bytes.
            Value::Null | Value::Bytes(_) => Self::Nothing,
            Value::Int(value) => Self::Int(value),
            Value::Real(value) => Self::Real(value.to_bits()),
            Value::Text(value) => Self::Text(value),
        }
    }
}

impl From<Mark> for Value {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Nothing => Self::Null,
            Mark::Int(value) => Self::Int(value),
            Mark::Real(bits) => Self::Real(f64::from_bits(bits)),
            Mark::Text(value) => Self::Text(value),
        }
    }
}
