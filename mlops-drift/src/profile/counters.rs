//! Counters that one thread writes and another may read.

use super::{
    Counts,
    bins::Bins,
    categorical::{CategoryCounts, Place},
    cuts::{NumericSpec, Precision, ROUNDER},
    fill::Many,
    numeric::{Cell, NumericCounts},
    rows::{Code, code},
    shard::Value,
    spec::KindSpec,
    waiting::{self, Waiting},
};
use fearless_simd::{Level, dispatch};
use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A number that one thread changes: a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn add(&self, more: u64) {
        self.set(self.get() + more);
    }

    pub(super) fn take(&self) -> u64 {
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
    waiting: Waiting,
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
                let waiting = Waiting::new();
                return Self::Numeric(NumericCounters { null, nan, squares, line, waiting });
            }
            KindSpec::Codes(codes) => codes.len(),
            KindSpec::Texts(texts) => texts.len(),
        };
        let values = (0..listed).map(|_| Counter::default()).collect();
        Self::Categories { values, other: Counter::default(), null: Counter::default() }
    }

    /// Counts a value, which fits the kind: that of the last of so many rows, in the column at that
    /// place.
    #[inline]
    pub(super) fn count(&self, kind: &KindSpec, value: Value<'_>, rows: u64, column: usize) {
        match (self, kind) {
            (Self::Numeric(counters), KindSpec::Numeric(spec)) => {
                let places = waiting::places(rows, column);
                counters.waiting.put(places.end - 1, value);
                if places.end == waiting::MOST {
                    counters.count_waiting(spec, places);
                }
            }
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

    /// Counts what still waits after so many rows.
    pub(super) fn count_waiting(&self, kind: &KindSpec, rows: u64, column: usize) {
        if let (Self::Numeric(counters), KindSpec::Numeric(spec)) = (self, kind) {
            let places = waiting::places(rows, column);
            if places.end < waiting::MOST {
                counters.count_waiting(spec, places);
            }
        }
    }

    /// What was counted; the counters start again.
    pub(super) fn take(&self) -> Counts {
        match self {
            Self::Numeric(counters) => Counts::Numeric(counters.take()),
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
    #[inline(never)]
    fn count_waiting(&self, spec: &NumericSpec, places: Range<usize>) {
        if !dispatch!(Level::new(), _simd => self.count_many(spec, places.clone())) {
            self.count_each(spec, self.waiting.values(places));
        }
    }

    /// Counts numbers of one precision that are near the reference; not, and says so, others.
    #[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
    #[inline(always)]
    fn count_many(&self, spec: &NumericSpec, places: Range<usize>) -> bool {
        let Some(copied) = self.waiting.copy(places) else { return false };
        let (values, precision) = (copied.values(), copied.precision);
        let Some(many) = Many::new(spec.bins(precision), precision) else { return false };
        let (mut places, mut units) = ([0; waiting::MOST], [0; waiting::MOST]);
        let (places, units) = (&mut places[..values.len()], &mut units[..values.len()]);
        let Some(squares) = many.place(values, places, units) else { return false };
        for ((value, place), units) in values.iter().zip(&*places).zip(&*units) {
            let units = units.wrapping_sub(ROUNDER.to_bits()).cast_signed();
            self.line[*place as usize].add(*value, units);
        }
        self.squares.add(squares);
        self.nan.add(copied.nan);
        self.null.add(copied.missing);
        true
    }

    fn count_each(&self, spec: &NumericSpec, values: impl Iterator<Item = Value<'static>>) {
        let mut squares = 0;
        for value in values {
            squares += match value {
                Value::Number(value) => self.add(spec.bins(Precision::Double), value),
                Value::Single(value) => self.add(spec.bins(Precision::Single), f64::from(value)),
                Value::Text(_) | Value::Missing => {
                    self.null.add(1);
                    0
                }
            };
        }
        self.squares.add(squares);
    }

    /// Counts a number; what it adds to the squares.
    #[inline]
    fn add(&self, bins: &Bins, value: f64) -> i128 {
        if value.is_nan() {
            self.nan.add(1);
            return 0;
        }
        let placed = bins.place(value);
        self.line[placed.at].add(value, placed.units);
        i128::from(placed.from_centre) * i128::from(placed.from_centre)
    }

    fn take(&self) -> NumericCounts {
        NumericCounts {
            null: self.null.take(),
            nan: self.nan.take(),
            line: self.line.iter().map(CellCounters::take).collect(),
            squares: self.squares.take(),
        }
    }
}

impl CellCounters {
    fn new() -> Self {
        let empty = |value: f64| Counter(AtomicU64::new(value.to_bits()));
        let (count, sum) = Default::default();
        Self { count, min: empty(Cell::EMPTY.min), max: empty(Cell::EMPTY.max), sum }
    }

    #[inline]
    fn add(&self, value: f64, units: i64) {
        self.count.add(1);
        // Seldom true. Zeros are written without their sign, as in a batch.
        if value < f64::from_bits(self.min.get()) {
            self.min.set((value + 0.0).to_bits());
        }
        if value > f64::from_bits(self.max.get()) {
            self.max.set((value + 0.0).to_bits());
        }
        self.sum.add(i128::from(units));
    }

    fn take(&self) -> Cell {
        let (count, sum) = (self.count.take(), self.sum.take());
        let (min, max) = (f64::from_bits(self.min.get()), f64::from_bits(self.max.get()));
        self.min.set(Cell::EMPTY.min.to_bits());
        self.max.set(Cell::EMPTY.max.to_bits());
        Cell { count, min, max, sum }
    }
}
