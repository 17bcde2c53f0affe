//! What a statement is given, and the statement itself.

use mlops_core::Timestamp;
use std::sync::Arc;

/// What a statement is given.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// `values![id, name, …]`: what a statement is given, in the order of its placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::store::connection::Value::from($value)),*] };
}
pub(in crate::store) use values;

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Int(time.unix_micros())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}
impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(text.as_ref().to_owned())
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement: ours as it stands, or put together from our own words and placeholders, never from a
/// caller's text.
#[derive(Debug)]
pub(in crate::store) enum Sql {
    Fixed(&'static str),
    Composed(String),
}

impl Sql {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Composed(text) => text,
        }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text() == text
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}
impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::Composed(text)
    }
}

/// `$3, $4, $5`: so many placeholders, the first with this number.
pub(in crate::store) fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    names.join(", ")
}
