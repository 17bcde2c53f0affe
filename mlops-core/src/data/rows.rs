//! Picking rows: the one kernel behind `take`, `filter_rows`, `concat` and the splits.
//!
//! Small and our own: Arrow's `take` lives in a crate that costs a minute to compile.

use super::column::check_text;
use crate::{Error, Result};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
    cast::AsArray, downcast_integer_array, types as arrow,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

/// Where a row is: which piece, and which row of it. `None` gives a null.
pub(super) type Place = Option<(u32, usize)>;

/// The rows at these places of one column that lies in several pieces of one canonical type.
///
/// The caller has checked that places exist. Text over 2 GiB is `TooLarge`.
pub(super) fn gather(name: &str, pieces: &[&ArrayRef], places: &[Place]) -> Result<ArrayRef> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let Some(first) = pieces.first() else {
        return Err(Error::internal(format!("column {name:?} has no pieces")));
    };
    macro_rules! primitive {
        ($arrow:ty) => {
            gather_primitive::<$arrow>(pieces, places)
        };
    }
    Ok(match first.data_type() {
        DataType::Int8 => primitive!(arrow::Int8Type),
        DataType::Int16 => primitive!(arrow::Int16Type),
        DataType::Int32 => primitive!(arrow::Int32Type),
        DataType::Int64 => primitive!(arrow::Int64Type),
        DataType::UInt8 => primitive!(arrow::UInt8Type),
        DataType::UInt16 => primitive!(arrow::UInt16Type),
        DataType::UInt32 => primitive!(arrow::UInt32Type),
        DataType::UInt64 => primitive!(arrow::UInt64Type),
        DataType::Float16 => primitive!(arrow::Float16Type),
        DataType::Float32 => primitive!(arrow::Float32Type),
        DataType::Float64 => primitive!(arrow::Float64Type),
        DataType::Date32 => primitive!(arrow::Date32Type),
        DataType::Timestamp(Second, _) => primitive!(arrow::TimestampSecondType),
        DataType::Timestamp(Millisecond, _) => primitive!(arrow::TimestampMillisecondType),
        DataType::Timestamp(Microsecond, _) => primitive!(arrow::TimestampMicrosecondType),
        DataType::Timestamp(Nanosecond, _) => primitive!(arrow::TimestampNanosecondType),
        DataType::Boolean => {
            let arrays: Vec<_> = pieces.iter().map(|piece| piece.as_boolean()).collect();
            let items = places.iter().map(|place| valid(&arrays, *place, BooleanArray::value));
            Arc::new(items.collect::<BooleanArray>())
        }
        DataType::Utf8 => {
            let arrays: Vec<_> = pieces.iter().map(|piece| piece.as_string::<i32>()).collect();
            let items = places.iter().map(|place| valid(&arrays, *place, StringArray::value));
            check_text(name, items.clone().flatten().map(str::len))?;
            Arc::new(items.collect::<StringArray>())
        }
        DataType::Binary => {
            let arrays: Vec<_> = pieces.iter().map(|piece| piece.as_binary::<i32>()).collect();
            let items = places.iter().map(|place| valid(&arrays, *place, BinaryArray::value));
            check_text(name, items.clone().flatten().map(<[u8]>::len))?;
            Arc::new(items.collect::<BinaryArray>())
        }
        other => return Err(Error::internal(format!("column {name:?} of type {other}"))),
    })
}

#[expect(clippy::unnecessary_fallible_conversions, reason = "one body for every width of key")]
/// Row `keys[i]` of the values for each i: what a dictionary spells out.
pub(super) fn gather_keys(name: &str, values: &ArrayRef, keys: &dyn Array) -> Result<ArrayRef> {
    let mut places: Vec<Place> = Vec::with_capacity(keys.len());
    downcast_integer_array!(
        keys => for key in keys {
            let Some(key) = key else {
                places.push(None);
                continue;
            };
            let row = usize::try_from(key).ok().filter(|row| *row < values.len());
            let row = row.ok_or_else(|| {
                Error::corrupt(format!("column {name:?} has a code outside its dictionary"))
            })?;
            places.push(Some((0, row)));
        },
        other => return Err(Error::unsupported(format!("column {name:?} has codes of type {other}")))
    );
    gather(name, &[values], &places)
}

fn gather_primitive<T: ArrowPrimitiveType>(pieces: &[&ArrayRef], places: &[Place]) -> ArrayRef {
    let arrays: Vec<_> = pieces.iter().map(|piece| piece.as_primitive::<T>()).collect();
    let picked = places.iter().map(|place| valid(&arrays, *place, PrimitiveArray::value));
    let values: ScalarBuffer<T::Native> = picked.clone().map(Option::unwrap_or_default).collect();
    let holds_nulls =
        pieces.iter().any(|piece| piece.null_count() > 0) || places.iter().any(Option::is_none);
    let nulls = holds_nulls.then(|| picked.map(|value| value.is_some()).collect::<NullBuffer>());
    // The type carries a time zone where there is one.
    let data_type = pieces[0].data_type().clone();
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type))
}

/// The value at a place; `None` where it is null.
fn valid<'a, A: Array, V>(
    arrays: &[&'a A],
    place: Place,
    value: impl Fn(&'a A, usize) -> V,
) -> Option<V> {
    let (piece, row) = place?;
    let array = arrays[piece as usize];
    array.is_valid(row).then(|| value(array, row))
}
