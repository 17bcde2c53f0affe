//! Values that name a kind of thing: counting them, putting them in order, finding them again.

use super::column::Cell;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A value and how often it was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Text as it is, an integer in decimal, a boolean as `true` or `false`.
    pub value: String,
    /// The number of rows that have it.
    pub count: usize,
}

/// How labels are read back: by the type of the column that they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Bool,
    Number,
    Text,
}

/// Whole numbers below this are the same as integers and as doubles.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// What a cell is as a category.
enum Key<'a> {
    Number(i128),
    Text(&'a str),
}

impl<'a> Key<'a> {
    /// `None` for nulls, bytes and numbers that are not whole.
    fn of(cell: Cell<'a>) -> Option<Self> {
        match cell {
            Cell::Bool(value) => Some(Self::Number(i128::from(value))),
            Cell::Int(value) => Some(Self::Number(value)),
            Cell::Float(value) => whole(value).map(Self::Number),
            Cell::Text(text) => Some(Self::Text(text)),
            Cell::Null | Cell::Bytes(_) => None,
        }
    }
}

/// The integer that a number is. Data frames turn integers with gaps into floats: code 1 and code
/// 1.0 are one category.
#[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
pub(super) fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < WHOLE).then_some(number as i128)
}

/// How a cell is written as a category; `None` if it cannot be one.
pub(super) fn label(cell: Cell<'_>) -> Option<String> {
    match (cell, Key::of(cell)?) {
        (Cell::Bool(value), _) => Some(value.to_string()),
        (_, Key::Number(number)) => Some(number.to_string()),
        (_, Key::Text(text)) => Some(text.to_owned()),
    }
}

/// Counts of distinct values.
#[derive(Debug, Default)]
pub(super) struct Tally {
    bools: bool,
    numbers: HashMap<i128, usize>,
    texts: HashMap<Box<str>, usize>,
    /// Values that cannot be categories.
    pub(super) other: usize,
    /// Values that can.
    pub(super) total: usize,
}

impl Tally {
    /// Counts a cell; a null counts as nothing.
    pub(super) fn see(&mut self, cell: Cell<'_>) {
        self.bools |= matches!(cell, Cell::Bool(_));
        match Key::of(cell) {
            Some(Key::Number(number)) => *self.numbers.entry(number).or_default() += 1,
            Some(Key::Text(text)) => match self.texts.get_mut(text) {
                Some(count) => *count += 1,
                None => _ = self.texts.insert(text.into(), 1),
            },
            None => {
                self.other += usize::from(cell != Cell::Null);
                return;
            }
        }
        self.total += 1;
    }

    /// How many values differ.
    pub(super) fn distinct(&self) -> usize {
        self.numbers.len() + self.texts.len()
    }

    /// Values and counts in the order of the values: by number, by bytes of text.
    pub(super) fn categories(&self) -> Vec<Category> {
        let mut numbers: Vec<_> = self.numbers.iter().collect();
        numbers.sort_unstable();
        let mut texts: Vec<_> = self.texts.iter().collect();
        texts.sort_unstable();
        let label =
            |number: i128| if self.bools { (number != 0).to_string() } else { number.to_string() };
        let numbers = numbers.into_iter().map(|(&key, &count)| (label(key), count));
        let texts = texts.into_iter().map(|(key, &count)| (key.to_string(), count));
        numbers.chain(texts).map(|(value, count)| Category { value, count }).collect()
    }

    /// The `most` most frequent, still in the order of the values; of two equally frequent ones
    /// the first stays.
    pub(super) fn frequent(&self, most: usize) -> Vec<Category> {
        let mut all: Vec<(usize, Category)> = self.categories().into_iter().enumerate().collect();
        all.sort_by_key(|(at, category)| (usize::MAX - category.count, *at));
        all.truncate(most);
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, category)| category).collect()
    }
}

/// Finds the position of a category without allocating.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    numbers: HashMap<i128, usize>,
    texts: HashMap<Box<str>, usize>,
}

impl Positions {
    /// Of these labels of one kind. A label that is none of its kind, and one that is there twice,
    /// are `InvalidInput`.
    pub(super) fn new<'a>(kind: Kind, labels: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut all = Self::default();
        for (at, label) in labels.into_iter().enumerate() {
            let bad = || Error::invalid(format!("category {label:?} is no {kind:?}"));
            let earlier = match kind {
                Kind::Text => all.texts.insert(label.into(), at),
                Kind::Bool => {
                    let value: bool = label.parse().map_err(|_| bad())?;
                    all.numbers.insert(i128::from(value), at)
                }
                Kind::Number => all.numbers.insert(label.parse().map_err(|_| bad())?, at),
            };
            if earlier.is_some() {
                return Err(Error::invalid(format!("category {label:?} is there twice")));
            }
        }
        Ok(all)
    }

    /// Where the category of a cell is.
    pub(super) fn find(&self, cell: Cell<'_>) -> Option<usize> {
        match Key::of(cell)? {
            Key::Number(number) => self.numbers.get(&number).copied(),
            Key::Text(text) => self.texts.get(text).copied(),
        }
    }
}
