//! Cutting data into parts that do not know of each other.

use super::{
    column::{Cell, ColumnType},
    content::{Fingerprint, Fingerprints, draw},
    dataset::{Any, Dataset, Part, Test, Train, Valid, wrong_type},
    random::SplitMix64,
};
use crate::{Error, Result, Timestamp};
use arrow_schema::TimeUnit;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, time::Duration};

/// The parts of a dataset, each with its own type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Split {
    /// What models and transforms are fitted on.
    pub train: Dataset<Train>,
    /// What choices are made by.
    pub valid: Dataset<Valid>,
    /// What the last word is said by.
    pub test: Dataset<Test>,
    /// Rows that are in no part.
    pub dropped: Dropped,
}

/// Rows that are in no part, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dropped {
    /// Too close before a cut.
    pub embargo: usize,
    /// Without a time or an entity, so that nobody can say where they belong.
    pub null: usize,
}

/// Where time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeCut {
    /// A point in time, for days and timestamps; one without a zone is taken as UTC.
    Time(Timestamp),
    /// A number, for columns of integers: a year, a sequence number.
    Number(i64),
}

impl From<Timestamp> for TimeCut {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<i64> for TimeCut {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// How long before a cut rows are dropped, so that what is known late does not leak over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Embargo {
    /// For days and timestamps; zero fits every column.
    Time(Duration),
    /// For columns of integers, in their own unit.
    Number(u64),
}

impl From<Duration> for Embargo {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl From<u64> for Embargo {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// How many rows, or entities, two parts share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Overlap {
    /// In training and validation.
    pub train_valid: usize,
    /// In training and test.
    pub train_test: usize,
    /// In validation and test.
    pub valid_test: usize,
}

impl Overlap {
    /// Whether no two parts share anything.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Which part a row goes to.
#[derive(Clone, Copy)]
enum Side {
    Train,
    Valid,
    Test,
}

impl Dataset<Any> {
    /// Cuts at random: shares of rows for training, validation and test. Each part keeps the rows'
    /// order; the same seed gives the same parts on every machine.
    ///
    /// # Behavior
    /// - shares that are negative or do not add up to 1 are `InvalidInput`
    /// - parts have the share's number of rows, rounded
    ///
    /// ```
    /// use mlops_core::data::{CsvOptions, Dataset};
    ///
    /// let text: String = (0..100).map(|row| format!("{row}\n")).collect();
    /// let rows = Dataset::from_csv("rows", text, &CsvOptions::new().with_header(false))?;
    /// let split = rows.split_random([0.7, 0.1, 0.2], 42)?;
    /// assert_eq!((split.train.rows(), split.valid.rows(), split.test.rows()), (70, 10, 20));
    /// assert!(split.duplicate_rows().is_none());
    /// # Ok::<(), mlops_core::Error>(())
    /// ```
    pub fn split_random(&self, shares: [f64; 3], seed: u64) -> Result<Split> {
        let [train, valid] = ends(shares)?;
        let rows = self.rows();
        let mut sides = vec![Side::Test; rows];
        let (train, valid) = (rounded(train, rows), rounded(valid, rows));
        for (at, row) in SplitMix64::new(seed).permutation(rows).into_iter().enumerate() {
            if at < valid {
                sides[row] = if at < train { Side::Train } else { Side::Valid };
            }
        }
        self.parts(sides.into_iter().map(Some), Dropped::default())
    }

    /// Cuts by time: training before the first cut, validation from there to the second, test from
    /// there on. Rows closer before a cut than the embargo are dropped and counted, as are rows
    /// without a time.
    ///
    /// # Behavior
    /// - a column of days or timestamps takes cuts in time, one of integers takes numbers; another
    ///   combination, and cuts in the wrong order, are `InvalidInput`
    /// - equal cuts leave validation empty; nothing before the first cut is `InvalidInput`
    pub fn split_by_time(
        &self,
        column: &str,
        cuts: [impl Into<TimeCut>; 2],
        embargo: impl Into<Embargo>,
    ) -> Result<Split> {
        let kind = self.column_type(column)?;
        let scale = Scale::of(column, &kind)?;
        let [first, second] = cuts.map(|cut| scale.cut(cut.into()));
        let (first, second, embargo) = (first?, second?, scale.embargo(embargo.into())?);
        if first > second {
            return Err(Error::invalid(format!("the cuts of {column:?} are in the wrong order")));
        }
        let side = |time: i128| match time {
            _ if time >= second => Some(Side::Test),
            _ if time >= second - embargo && first < second => None,
            _ if time >= first => Some(Side::Valid),
            _ if time >= first - embargo => None,
            _ => Some(Side::Train),
        };
        let mut dropped = Dropped::default();
        let mut sides = Vec::with_capacity(self.rows());
        for cell in self.cells(self.position(column)?) {
            let Cell::Int(time) = cell else {
                dropped.null += 1;
                sides.push(None);
                continue;
            };
            let side = side(time * scale.unit);
            dropped.embargo += usize::from(side.is_none());
            sides.push(side);
        }
        let split = self.parts(sides.into_iter(), dropped)?;
        if split.train.rows() == 0 {
            return Err(Error::invalid(format!("no row of {column:?} lies before the first cut")));
        }
        Ok(split)
    }

    /// Cuts so that all rows of an entity, as a customer, are in one part. Where an entity goes
    /// depends on the seed and itself alone: it stays there when rows are added. Shares are shares
    /// of entities, and only on average. Rows without an entity are dropped and counted.
    ///
    /// # Behavior
    /// - shares that are negative or do not add up to 1 are `InvalidInput`, and so is a column of
    ///   floating-point numbers
    pub fn split_by_entity(&self, column: &str, shares: [f64; 3], seed: u64) -> Result<Split> {
        let [train, valid] = ends(shares)?;
        let kind = self.column_type(column)?;
        if kind.is_float() {
            return Err(wrong_type(column, &kind, "entities"));
        }
        let mut dropped = Dropped::default();
        let side = |cell: Cell<'_>| {
            if cell == Cell::Null {
                dropped.null += 1;
                return None;
            }
            Some(match draw(seed, cell) {
                at if at < train => Side::Train,
                at if at < valid => Side::Valid,
                _ => Side::Test,
            })
        };
        let sides: Vec<_> = self.cells(self.position(column)?).map(side).collect();
        self.parts(sides.into_iter(), dropped)
    }

    fn parts(&self, sides: impl Iterator<Item = Option<Side>>, dropped: Dropped) -> Result<Split> {
        let mut rows = [Vec::new(), Vec::new(), Vec::new()];
        for (row, side) in sides.enumerate() {
            if let Some(side) = side {
                rows[side as usize].push(row);
            }
        }
        let [train, valid, test] = rows;
        Ok(Split {
            train: self.take(&train)?.declare(),
            valid: self.take(&valid)?.declare(),
            test: self.take(&test)?.declare(),
            dropped,
        })
    }
}

impl Split {
    /// How many entities, by these columns together, two parts share: what leaks if it is not none.
    /// Rows whose columns are all null count as no entity.
    pub fn overlap<N: AsRef<str>>(&self, columns: &[N]) -> Result<Overlap> {
        let positions: Vec<usize> =
            columns.iter().map(|name| self.train.position(name.as_ref())).collect::<Result<_>>()?;
        Ok(self.shared(&positions))
    }

    /// How many different rows are, in all columns, in two parts. Where columns take few values,
    /// people who have nothing to do with each other look the same.
    pub fn duplicate_rows(&self) -> Overlap {
        self.shared(&(0..self.train.columns().len()).collect::<Vec<_>>())
    }

    fn shared(&self, columns: &[usize]) -> Overlap {
        let train = fingerprints(&self.train, columns);
        let valid = fingerprints(&self.valid, columns);
        let test = fingerprints(&self.test, columns);
        Overlap {
            train_valid: train.intersection(&valid).count(),
            train_test: train.intersection(&test).count(),
            valid_test: valid.intersection(&test).count(),
        }
    }
}

fn fingerprints<S: Part>(dataset: &Dataset<S>, columns: &[usize]) -> HashSet<Fingerprint> {
    let mut all = HashSet::new();
    for batch in dataset.batches() {
        let mut prints = Fingerprints::new(batch, columns);
        all.extend((0..batch.num_rows()).filter_map(|row| prints.of(row)));
    }
    all
}

/// Where training and validation end, of 1.
fn ends([train, valid, test]: [f64; 3]) -> Result<[f64; 2]> {
    let shares = [train, valid, test];
    let sum: f64 = shares.iter().sum();
    if shares.iter().all(|share| *share >= 0.0) && (sum - 1.0).abs() < 1e-9 {
        // Without a part, rounding must not make one.
        let to_valid = if test > 0.0 { train + valid } else { 1.0 };
        let to_train = if test > 0.0 || valid > 0.0 { train } else { 1.0 };
        return Ok([to_train, to_valid]);
    }
    Err(Error::invalid(format!("shares {shares:?} are not three shares that add up to 1")))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count of rows, which is far below 2^53"
)]
fn rounded(share: f64, rows: usize) -> usize {
    ((share * rows as f64).round() as usize).min(rows)
}

/// What a column's numbers mean: nanoseconds for times, themselves for integers.
struct Scale<'a> {
    column: &'a str,
    unit: i128,
    is_time: bool,
}

impl<'a> Scale<'a> {
    fn of(column: &'a str, kind: &ColumnType) -> Result<Self> {
        let (unit, is_time) = match kind {
            ColumnType::Date => (86_400_000_000_000, true),
            ColumnType::Timestamp(TimeUnit::Second, _) => (1_000_000_000, true),
            ColumnType::Timestamp(TimeUnit::Millisecond, _) => (1_000_000, true),
            ColumnType::Timestamp(TimeUnit::Microsecond, _) => (1000, true),
            ColumnType::Timestamp(TimeUnit::Nanosecond, _) => (1, true),
            kind if kind.is_number() && !kind.is_float() => (1, false),
            kind => return Err(wrong_type(column, kind, "times")),
        };
        Ok(Self { column, unit, is_time })
    }

    fn cut(&self, cut: TimeCut) -> Result<i128> {
        match cut {
            TimeCut::Time(time) if self.is_time => Ok(i128::from(time.unix_micros()) * 1000),
            TimeCut::Number(number) if !self.is_time => Ok(i128::from(number)),
            _ => Err(self.mismatch("cut")),
        }
    }

    fn embargo(&self, embargo: Embargo) -> Result<i128> {
        match embargo {
            Embargo::Time(time) if self.is_time || time.is_zero() => {
                Ok(i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 2))
            }
            Embargo::Number(number) if !self.is_time || number == 0 => Ok(i128::from(number)),
            _ => Err(self.mismatch("embargo")),
        }
    }

    fn mismatch(&self, what: &str) -> Error {
        let (holds, takes) =
            if self.is_time { ("times", "a time") } else { ("integers", "a number") };
        let column = self.column;
        Error::invalid(format!("column {column:?} holds {holds}: its {what} must be {takes}"))
    }
}
