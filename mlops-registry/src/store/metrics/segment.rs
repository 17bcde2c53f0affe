//! The form in which points of a metric lie in the record: one segment, its points in columns.
//!
//! Version 1 is a byte `1`, the count of points as a varint, the columns of steps, times (microseconds) and
//! values, and the CRC-32 (IEEE) of all that, the lowest byte first. Points are in the order of (step,
//! time, value), each once. What a column looks like is said where it is written.

use super::columns::{Reader, damaged, put_ints, put_values, put_varint, take_ints, take_values};
use mlops_core::{Result, Timestamp, tracker::MetricPoint};

const VERSION: u8 = 1;
/// The most points that a segment has.
pub const MOST_POINTS: usize = 1 << 16;
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;

/// Writes points; they are in the order of (step, time, value), each once, and at most [`MOST_POINTS`].
pub fn encode(points: &[MetricPoint]) -> Vec<u8> {
    debug_assert!(points.len() <= MOST_POINTS && in_order(points), "points are in order");
    let mut bytes = Vec::with_capacity(32 + 12 * points.len());
    bytes.push(VERSION);
    put_varint(&mut bytes, points.len() as u64);
    put_ints(&mut bytes, &points.iter().map(|point| point.step).collect::<Vec<_>>());
    put_ints(&mut bytes, &points.iter().map(|point| point.time.unix_micros()).collect::<Vec<_>>());
    put_values(&mut bytes, &points.iter().map(|point| point.value).collect::<Vec<_>>());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// Reads points back, to the bit. Whatever is not what [`encode`] writes is `Corrupt`.
pub fn decode(bytes: &[u8]) -> Result<Vec<MetricPoint>> {
    let (body, checksum) =
        bytes.split_last_chunk::<CHECKSUM>().ok_or_else(|| damaged("it ends too early"))?;
    if crc32fast::hash(body).to_le_bytes() != *checksum {
        return Err(damaged("it is not what was written"));
    }
    let mut from = Reader(body);
    let version = from.byte()?;
    if version != VERSION {
        return Err(damaged(&format!("its version is {version}, known is {VERSION}")));
    }
    let count = usize::try_from(from.varint()?).ok().filter(|count| *count <= MOST_POINTS);
    let count = count.ok_or_else(|| damaged("it has too many points"))?;
    let (steps, times) = (take_ints(&mut from, count)?, take_ints(&mut from, count)?);
    let values = take_values(&mut from, count)?;
    if !from.0.is_empty() {
        return Err(damaged("it goes on after its end"));
    }
    let points = steps.into_iter().zip(times).zip(values);
    let points: Vec<_> = points
        .map(|((step, time), value)| MetricPoint {
            value,
            step,
            time: Timestamp::from_unix_micros(time),
        })
        .collect();
    if in_order(&points) { Ok(points) } else { Err(damaged("its points are in no order")) }
}

fn in_order(points: &[MetricPoint]) -> bool {
    points.is_sorted_by(|left, right| left.order(right).is_lt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Points as programs write them, and any bits at all.
    fn points() -> impl Strategy<Value = Vec<MetricPoint>> {
        let bits = any::<u64>().prop_map(f64::from_bits);
        let value =
            prop_oneof![bits, (-500..500_i32).prop_map(|n| f64::from(n) / 100.0), Just(0.5)];
        let int = || prop_oneof![0..100_i64, any::<i64>(), (0..9_i64).prop_map(|n| n * 1000)];
        let point = (int(), int(), value).prop_map(|(step, time, value)| MetricPoint {
            step,
            time: Timestamp::from_unix_micros(time),
            value,
        });
        prop::collection::vec(point, 0..50).prop_map(|mut points| {
            points.sort_by(MetricPoint::order);
            points.dedup_by(|left, right| left.same(right));
            points
        })
    }

    proptest! {
        #[test]
        fn points_come_back_to_the_bit(points in points()) {
            let read = decode(&encode(&points)).unwrap();
            prop_assert_eq!(read.len(), points.len());
            prop_assert!(read.iter().zip(&points).all(|(read, point)| read.same(point)));
        }

        #[test]
        fn a_changed_byte_is_noticed(points in points(), at: prop::sample::Index, by in 1_u8..) {
            let mut bytes = encode(&points);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert!(decode(&bytes).is_err());
            prop_assert!(decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn even_columns_cost_next_to_nothing() {
        let point = |step: i64| MetricPoint {
            value: f64::from(i32::try_from(step % 7).unwrap()),
            step,
            time: Timestamp::from_unix_millis(1_700_000_000_000 + 250 * step),
        };
        let points: Vec<_> = (0..4096).map(point).collect();
        assert!(encode(&points).len() < 4096 + 40);
    }
}
