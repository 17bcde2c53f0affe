//! Positions in a tensor, as text: which elements are not finite, and which are null.

use mlops_core::{Error, Result};
use std::fmt::Write as _;

/// What a number is that JSON cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NonFinite {
    Nan,
    Infinity,
    MinusInfinity,
}

impl NonFinite {
    /// What this number is, if it is not finite.
    pub(super) fn of(value: f64) -> Option<Self> {
        match value {
            _ if value.is_nan() => Some(Self::Nan),
            f64::INFINITY => Some(Self::Infinity),
            f64::NEG_INFINITY => Some(Self::MinusInfinity),
            _ => None,
        }
    }

    /// The number; a quiet NaN.
    pub(super) fn value(self) -> f64 {
        match self {
            Self::Nan => f64::NAN,
            Self::Infinity => f64::INFINITY,
            Self::MinusInfinity => f64::NEG_INFINITY,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nan => "NaN",
            Self::Infinity => "Infinity",
            Self::MinusInfinity => "-Infinity",
        }
    }
}

/// Adds `at=kind` to a list.
pub(super) fn push_non_finite(list: &mut String, at: usize, kind: NonFinite) {
    push_position(list, at);
    list.push('=');
    list.push_str(kind.name());
}

/// Adds a position to a list.
pub(super) fn push_position(list: &mut String, at: usize) {
    if !list.is_empty() {
        list.push(' ');
    }
    // Writing to a String cannot fail.
    let _ = write!(list, "{at}");
}

/// Reads a list of `at=kind`; the error says what is wrong, and the caller of what.
pub(super) fn parse_non_finite(list: &str) -> Result<Vec<(usize, NonFinite)>> {
    let kinds = [NonFinite::Nan, NonFinite::Infinity, NonFinite::MinusInfinity];
    let one = |item: &str| {
        let (at, name) = item.split_once('=')?;
        Some((position(at)?, *kinds.iter().find(|kind| kind.name() == name)?))
    };
    list.split_ascii_whitespace().map(one).collect::<Option<_>>().ok_or_else(|| {
        Error::invalid("parameter \"non_finite\" is not like \"2=NaN 5=Infinity 7=-Infinity\"")
    })
}

/// Reads a list of positions.
pub(super) fn parse_positions(list: &str) -> Result<Vec<usize>> {
    let positions: Option<_> = list.split_ascii_whitespace().map(position).collect();
    positions.ok_or_else(|| Error::invalid("parameter \"nulls\" is not like \"3 8\""))
}

fn position(text: &str) -> Option<usize> {
    // `parse` alone would take "+3".
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
