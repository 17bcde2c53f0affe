//! Numbers of a column that wait in the request path until there are some to count together.
//!
//! A row has one number for each of many columns, whose tables and counters fill no near cache: to
//! count it at once is to wait for memory several times a column. So they are put down first, and
//! those of one column are counted together, whose waits overlap; with each row another column's.

use super::{counters::Counter, cuts::Precision, shard::Value};
use std::ops::Range;

/// Numbers that wait, at most. With 64 a feature takes 1.23 times as long, with 256 0.84 times, on a
/// machine that others use as well; but all of them are counted within one request.
pub(super) const MOST: usize = 128;

/// A column's numbers, each in one word.
#[derive(Debug)]
pub(super) struct Waiting(Box<[Counter; MOST]>);

/// Numbers that waited, and how many others did.
pub(super) struct Copied {
    values: [f64; MOST],
    count: usize,
    pub(super) precision: Precision,
    pub(super) nan: u64,
    pub(super) missing: u64,
}

impl Copied {
    #[inline]
    pub(super) fn values(&self) -> &[f64] {
        self.values.get(..self.count).unwrap_or_default()
    }
}

/// Words for what is no double: the first bits of a NaN. That of a double is always the plain one.
const MISSING: u64 = 0x7ff9;
const SINGLE: u64 = 0x7ffa;

/// Where in its turn a column is after so many rows: which places hold numbers that wait; all up to
/// the last place when they are to be counted. Each column has another turn than the one beside it.
#[inline]
pub(super) fn places(rows: u64, column: usize) -> Range<usize> {
    #[expect(clippy::cast_possible_truncation, reason = "a rest")]
    let end = (rows.wrapping_add(column as u64) % MOST as u64) as usize + 1;
    end - usize::try_from(rows).unwrap_or(end).min(end)..end
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self(Box::new(std::array::from_fn(|_| Counter::default())))
    }

    #[inline]
    pub(super) fn put(&self, place: usize, value: Value<'_>) {
        let word = match value {
            Value::Number(value) if value.is_nan() => f64::NAN.to_bits(),
            Value::Single(value) if value.is_nan() => f64::NAN.to_bits(),
            Value::Number(value) => value.to_bits(),
            Value::Single(value) => SINGLE << 48 | u64::from(value.to_bits()),
            Value::Text(_) | Value::Missing => MISSING << 48,
        };
        self.0[place % MOST].set(word);
    }

    /// Copies the numbers among those at these places, if they are all of one precision.
    #[inline]
    pub(super) fn copy(&self, places: Range<usize>) -> Option<Copied> {
        let (mut values, mut count, mut singles) = ([0.0; MOST], 0, 0);
        let (mut nan, mut missing) = (0, 0);
        for waiting in self.values(places) {
            let value = match waiting {
                Value::Number(value) if value.is_nan() => {
                    nan += 1;
                    continue;
                }
                Value::Text(_) | Value::Missing => {
                    missing += 1;
                    continue;
                }
                Value::Number(value) => value,
                Value::Single(value) => {
                    singles += 1;
                    f64::from(value)
                }
            };
            values[count % MOST] = value;
            count += 1;
        }
        let precision = match singles {
            0 => Precision::Double,
            all if all == count => Precision::Single,
            _ => return None,
        };
        Some(Copied { values, count, precision, nan, missing })
    }

    #[inline]
    pub(super) fn values(&self, places: Range<usize>) -> impl Iterator<Item = Value<'static>> {
        self.0.get(places).unwrap_or_default().iter().map(|word| value(word.get()))
    }
}

#[inline]
fn value(word: u64) -> Value<'static> {
    let number = f64::from_bits(word);
    if !number.is_nan() {
        return Value::Number(number);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    match word >> 48 {
        SINGLE => Value::Single(f32::from_bits(word as u32)),
        MISSING => Value::Missing,
        _ => Value::Number(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_comes_back(double in any::<f64>(), single in any::<f32>(), place in 0..MOST) {
            let waiting = Waiting::new();
            for value in [Value::Number(double), Value::Single(single), Value::Missing] {
                waiting.put(place, value);
                let back = waiting.values(place..place + 1).next().unwrap();
                match (value, back) {
                    (Value::Number(a), Value::Number(b)) if a.is_nan() => prop_assert!(b.is_nan()),
                    (Value::Single(a), Value::Number(b)) if a.is_nan() => prop_assert!(b.is_nan()),
                    (value, back) => prop_assert_eq!(value, back),
                }
            }
        }

        #[test]
        fn each_row_is_counted_once(column in 0_usize..200, rows in 0_u64..1000) {
            let mut counted = 0;
            for row in 1..=rows {
                let places = places(row, column);
                if places.end == MOST {
                    counted += places.len() as u64;
                }
            }
            let left = places(rows, column);
            let left = if left.end == MOST { 0 } else { left.len() as u64 };
            prop_assert_eq!(counted + left, rows);
        }
    }
}
