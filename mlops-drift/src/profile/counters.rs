//! Counters that one thread writes and another may read.

use super::{
    Counts,
    bins::Bins,
    categorical::{CategoryCounts, Place},
    cuts::Precision,
    numeric::{Cell, NumericCounts},
    rows::{Code, code},
    shard::Value,
    spec::KindSpec,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread changes: a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn add(&self, more: u64) {
        self.set(self.get() + more);
    }

    fn take(&self) -> u64 {
        let value = self.get();
        self.set(0);
        value
    }
}

/// A sum of 128 bits, signed.
#[derive(Debug, Default)]
struct Sum {
    low: Counter,
    high: Counter,
}

impl Sum {
    #[inline]
    fn add(&self, more: i128) {
        let sum = self.get() + more;
        let bits = sum.cast_unsigned();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let (low, high) = (bits as u64, (bits >> 64) as u64);
        self.low.set(low);
        self.high.set(high);
    }

    #[inline]
    fn get(&self) -> i128 {
        (i128::from(self.high.get().cast_signed()) << 64) | i128::from(self.low.get())
    }

    fn take(&self) -> i128 {
        let sum = self.get();
        self.low.set(0);
        self.high.set(0);
        sum
    }
}

/// The counters of one column.
#[derive(Debug)]
pub(super) enum ColumnCounters {
    Numeric(NumericCounters),
    Categories { values: Vec<Counter>, other: Counter, null: Counter },
}

#[derive(Debug)]
pub(super) struct NumericCounters {
    null: Counter,
    nan: Counter,
    squares: Sum,
    line: Vec<CellCounters>,
}

#[derive(Debug)]
struct CellCounters {
    count: Counter,
    /// The bits of the least and of the largest value.
    min: Counter,
    max: Counter,
    sum: Sum,
}

impl ColumnCounters {
    pub(super) fn new(kind: &KindSpec) -> Self {
        let listed = match kind {
            KindSpec::Numeric(spec) => {
                let line = (0..spec.cuts.len() + 2).map(|_| CellCounters::new()).collect();
                let (null, nan, squares) = Default::default();
                return Self::Numeric(NumericCounters { null, nan, squares, line });
            }
            KindSpec::Codes(codes) => codes.len(),
            KindSpec::Texts(texts) => texts.len(),
        };
        let values = (0..listed).map(|_| Counter::default()).collect();
        Self::Categories { values, other: Counter::default(), null: Counter::default() }
    }

    /// Counts a value, which fits the kind.
    #[inline]
    pub(super) fn count(&self, kind: &KindSpec, value: Value<'_>) {
        match (self, kind) {
            (Self::Numeric(counters), KindSpec::Numeric(spec)) => match value {
                Value::Number(value) => counters.count(spec.bins(Precision::Double), value),
                Value::Single(value) => {
                    counters.count(spec.bins(Precision::Single), f64::from(value));
                }
                Value::Text(_) | Value::Missing => counters.null.add(1),
            },
            (Self::Categories { values, other, null }, kind) => {
                let place = match (kind, value) {
                    (KindSpec::Codes(listed), Value::Number(value)) => place(listed, value),
                    (KindSpec::Codes(listed), Value::Single(value)) => place(listed, value.into()),
                    (KindSpec::Texts(listed), Value::Text(text)) => {
                        Place::of(listed.binary_search_by(|listed| (**listed).cmp(text)))
                    }
                    _ => Place::Null,
                };
                let counter = match place {
                    Place::Null => null,
                    Place::Other => other,
                    Place::Listed(at) => values.get(at).unwrap_or(other),
                };
                counter.add(1);
            }
            _ => super::unmatched(),
        }
    }

    /// What was counted; the counters start again.
    pub(super) fn take(&self) -> Counts {
        match self {
            Self::Numeric(counters) => Counts::Numeric(NumericCounts {
                null: counters.null.take(),
                nan: counters.nan.take(),
                line: counters.line.iter().map(CellCounters::take).collect(),
                squares: counters.squares.take(),
            }),
            Self::Categories { values, other, null } => {
                let values = values.iter().map(Counter::take).collect();
                let (other, null) = (other.take(), null.take());
                Counts::Categories(CategoryCounts { values, other, null, chose: 0 })
            }
        }
    }
}

/// Where a code is counted; NaN is how floats carry a null.
pub(super) fn place(listed: &[i64], value: f64) -> Place {
    match code(value) {
        _ if value.is_nan() => Place::Null,
        Code::Value(value) => Place::of(listed.binary_search(&value)),
        Code::Other => Place::Other,
    }
}

impl NumericCounters {
    #[inline]
    fn count(&self, bins: &Bins, value: f64) {
        if value.is_nan() {
            self.nan.add(1);
            return;
        }
        let placed = bins.place(value);
        self.squares.add(i128::from(placed.from_centre) * i128::from(placed.from_centre));
        let cell = &self.line[placed.at];
        cell.count.add(1);
        // Seldom true. Zeros are written without their sign, as in a batch.
        if value < f64::from_bits(cell.min.get()) {
            cell.min.set((value + 0.0).to_bits());
        }
        if value > f64::from_bits(cell.max.get()) {
            cell.max.set((value + 0.0).to_bits());
        }
        cell.sum.add(i128::from(placed.units));
    }
}

impl CellCounters {
    fn new() -> Self {
        let empty = |value: f64| Counter(AtomicU64::new(value.to_bits()));
        let (count, sum) = Default::default();
        Self { count, min: empty(Cell::EMPTY.min), max: empty(Cell::EMPTY.max), sum }
    }

    fn take(&self) -> Cell {
        let (count, sum) = (self.count.take(), self.sum.take());
        let (min, max) = (f64::from_bits(self.min.get()), f64::from_bits(self.max.get()));
        self.min.set(Cell::EMPTY.min.to_bits());
        self.max.set(Cell::EMPTY.max.to_bits());
        Cell { count, min, max, sum }
    }
}
