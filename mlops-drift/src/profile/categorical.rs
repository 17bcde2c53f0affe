//! Counts of a column of categories.

use super::{
    fit::chooses,
    rows::{Code, codes, texts},
};
use mlops_core::{Error, Result, arrow::array::ArrayRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Counts of a column of categories: every row falls into one cell, or chose the cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CategoryCounts {
    /// Of the listed values, in their order.
    pub(super) values: Vec<u64>,
    /// Of values that are not listed: never seen in the reference, or rare there.
    pub(super) other: u64,
    pub(super) null: u64,
    /// Rows that chose the listed values and so are not counted above.
    pub(super) chose: u64,
}

impl CategoryCounts {
    pub(super) fn empty(listed: usize) -> Self {
        Self { values: vec![0; listed], other: 0, null: 0, chose: 0 }
    }

    /// Counts codes; given the rows' numbers in the fit, those that chose are left out.
    pub(super) fn update_codes(&mut self, listed: &[i64], array: &ArrayRef, own: Option<&[u64]>) {
        let mut numbers = own.map(|numbers| numbers.iter().copied());
        codes(array, |code| {
            let at = match code {
                None => Place::Null,
                Some(Code::Other) => Place::Other,
                Some(Code::Value(value)) => Place::of(listed.binary_search(&value)),
            };
            self.add(numbers.as_mut().and_then(Iterator::next), at);
        });
    }

    /// Counts texts; given the rows' numbers in the fit, those that chose are left out.
    pub(super) fn update_texts(
        &mut self,
        listed: &[Arc<str>],
        array: &ArrayRef,
        own: Option<&[u64]>,
    ) {
        let mut numbers = own.map(|numbers| numbers.iter().copied());
        texts(array, |text| {
            let at = text.map_or(Place::Null, |text| {
                Place::of(listed.binary_search_by(|value| (**value).cmp(text)))
            });
            self.add(numbers.as_mut().and_then(Iterator::next), at);
        });
    }

    /// Counts a row: null, a listed value, or another.
    fn add(&mut self, row: Option<u64>, at: Place) {
        if row.is_some_and(chooses) {
            self.chose += 1;
            return;
        }
        let count = match at {
            Place::Null => &mut self.null,
            Place::Other => &mut self.other,
            Place::Listed(at) => self.values.get_mut(at).unwrap_or(&mut self.other),
        };
        *count += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.null += other.null;
        self.other += other.other;
        self.chose += other.chose;
        for (count, more) in self.values.iter_mut().zip(&other.values) {
            *count += more;
        }
    }

    /// Whether `rows` rows could have made these counts.
    pub(super) fn check(&self, listed: usize, rows: u64) -> Result<()> {
        let counts = self.values.iter().chain([&self.other, &self.null, &self.chose]);
        let total = counts.map(|count| u128::from(*count)).sum::<u128>();
        if total == u128::from(rows) && self.values.len() == listed {
            return Ok(());
        }
        Err(Error::corrupt("counts that no rows could have made"))
    }
}

/// Where a row is counted.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Null,
    /// A value by its place in the list.
    Listed(usize),
    Other,
}

impl Place {
    pub(super) fn of(found: Result<usize, usize>) -> Self {
        found.map_or(Self::Other, Self::Listed)
    }
}
