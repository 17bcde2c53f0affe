//! Reading the columns of record batches, whatever their width of number or form of text.

use mlops_core::arrow::{
    array::{Array, ArrayRef, cast::AsArray, types},
    schema::DataType,
};
use std::fmt;

/// What a profile can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Float,
    Integer,
    Boolean,
    Text,
    /// Arrow's type of columns that hold nothing but nulls.
    Null,
}

impl Content {
    /// `None` for types that no profile describes.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float,
            other if other.is_integer() => Self::Integer,
            DataType::Boolean => Self::Boolean,
            text if is_plain_text(text) => Self::Text,
            DataType::Dictionary(_, values) if is_plain_text(values) => Self::Text,
            DataType::Null => Self::Null,
            _ => return None,
        })
    }

    pub(super) fn is_number(self) -> bool {
        self != Self::Text
    }
}

fn is_plain_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "floats",
            Self::Integer => "integers",
            Self::Boolean => "booleans",
            Self::Text => "text",
            Self::Null => "nulls",
        })
    }
}

/// A value of a column of codes: integers, booleans, whole floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Value(i64),
    /// Not a whole number of 64 bits.
    Other,
}

macro_rules! for_each {
    ($array:expr, $each:expr, $from:expr, $kind:ty) => {
        if let Some(array) = $array.as_primitive_opt::<$kind>() {
            let from = $from;
            if array.null_count() == 0 {
                // Without the question whether each is there.
                array.values().iter().for_each(|value| $each(Some(from(*value))));
            } else {
                array.iter().for_each(|value| $each(value.map(from)));
            }
        }
    };
}

/// The values of a column of 64-bit floats that has no nulls.
pub(super) fn plain_doubles(array: &ArrayRef) -> Option<&[f64]> {
    let array = array.as_primitive_opt::<types::Float64Type>()?;
    (array.null_count() == 0).then(|| &**array.values())
}

/// Passes on every value as a 64-bit float, integers rounded if they must; text passes nothing.
pub(crate) fn numbers(array: &ArrayRef, mut each: impl FnMut(Option<f64>)) {
    #[expect(clippy::cast_precision_loss, reason = "rounding into a float is documented")]
    fn rounded(value: i64) -> f64 {
        value as f64
    }
    #[expect(clippy::cast_precision_loss, reason = "rounding into a float is documented")]
    fn rounded_unsigned(value: u64) -> f64 {
        value as f64
    }
    match array.data_type() {
        DataType::Float16 => for_each!(array, each, f64::from, types::Float16Type),
        DataType::Float32 => for_each!(array, each, f64::from, types::Float32Type),
        DataType::Float64 => for_each!(array, each, std::convert::identity, types::Float64Type),
        DataType::Int8 => for_each!(array, each, f64::from, types::Int8Type),
        DataType::Int16 => for_each!(array, each, f64::from, types::Int16Type),
        DataType::Int32 => for_each!(array, each, f64::from, types::Int32Type),
        DataType::Int64 => for_each!(array, each, rounded, types::Int64Type),
        DataType::UInt8 => for_each!(array, each, f64::from, types::UInt8Type),
        DataType::UInt16 => for_each!(array, each, f64::from, types::UInt16Type),
        DataType::UInt32 => for_each!(array, each, f64::from, types::UInt32Type),
        DataType::UInt64 => for_each!(array, each, rounded_unsigned, types::UInt64Type),
        DataType::Boolean => {
            let values = array.as_boolean_opt().into_iter().flatten();
            values.for_each(|value| each(value.map(f64::from)));
        }
        _ => (0..array.len()).for_each(|_| each(None)),
    }
}

/// Passes on every value as a code. NaN is null: that is how a float tensor carries a null.
pub(super) fn codes(array: &ArrayRef, mut each: impl FnMut(Option<Code>)) {
    match array.data_type() {
        DataType::Int64 => for_each!(array, each, Code::Value, types::Int64Type),
        DataType::UInt64 => for_each!(
            array,
            each,
            |value| i64::try_from(value).map_or(Code::Other, Code::Value),
            types::UInt64Type
        ),
        // The values of every other type pass through a float unharmed.
        _ => numbers(array, |value| each(value.filter(|value| !value.is_nan()).map(code))),
    }
}

pub(super) fn code(value: f64) -> Code {
    /// 2⁶³, the first float that is too large.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (-END..END).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return Code::Value(value as i64);
    }
    Code::Other
}

/// Passes on every text; a column that is not text passes nulls.
pub(crate) fn texts(array: &ArrayRef, each: impl FnMut(Option<&str>)) {
    match array.data_type() {
        DataType::Dictionary(..) => dictionary(array, each),
        _ => plain_texts(array, each),
    }
}

fn plain_texts(array: &ArrayRef, mut each: impl FnMut(Option<&str>)) {
    match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().into_iter().flatten().for_each(each),
        DataType::LargeUtf8 => array.as_string_opt::<i64>().into_iter().flatten().for_each(each),
        DataType::Utf8View => array.as_string_view_opt().into_iter().flatten().for_each(each),
        _ => (0..array.len()).for_each(|_| each(None)),
    }
}

fn dictionary(array: &ArrayRef, mut each: impl FnMut(Option<&str>)) {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return };
    let mut values = Vec::with_capacity(dictionary.values().len());
    plain_texts(dictionary.values(), |text| values.push(text.map(str::to_owned)));
    if values.is_empty() {
        // `normalized_keys` would panic; without values every key is null.
        return (0..array.len()).for_each(|_| each(None));
    }
    for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
        let text = values.get(key).and_then(Option::as_deref);
        each(text.filter(|_| array.is_valid(row)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::arrow::array::{
        BooleanArray, DictionaryArray, Float32Array, LargeStringArray, NullArray, StringViewArray,
        UInt64Array, types::Int8Type,
    };
    use std::sync::Arc;

    fn all_codes(array: impl Array + 'static) -> Vec<Option<Code>> {
        let array: ArrayRef = Arc::new(array);
        let mut codes_seen = Vec::new();
        codes(&array, |code| codes_seen.push(code));
        codes_seen
    }

    #[test]
    fn codes_come_from_every_number() {
        let floats = Float32Array::from(vec![Some(3.0), Some(2.5), Some(f32::NAN), None]);
        let (three, other) = (Some(Code::Value(3)), Some(Code::Other));
        assert_eq!(all_codes(floats), [three, other, None, None]);
        assert_eq!(all_codes(UInt64Array::from(vec![3, u64::MAX])), [three, other]);
        let booleans = BooleanArray::from(vec![Some(true), None]);
        assert_eq!(all_codes(booleans), [Some(Code::Value(1)), None]);
        assert_eq!(all_codes(NullArray::new(2)), [None, None]);
    }

    #[test]
    fn text_comes_from_every_form_of_text() {
        let dictionary: DictionaryArray<Int8Type> =
            [Some("a"), None, Some("b")].into_iter().collect();
        let empty: DictionaryArray<Int8Type> = [None::<&str>].into_iter().collect();
        let forms: [(ArrayRef, usize); 4] = [
            (Arc::new(dictionary.slice(0, 2)), 2),
            (Arc::new(empty), 1),
            (Arc::new(LargeStringArray::from(vec!["a", "b"])), 2),
            (Arc::new(StringViewArray::from(vec!["a", "b"])), 2),
        ];
        for (array, rows) in forms {
            assert_eq!(Content::of(array.data_type()), Some(Content::Text));
            let mut seen = Vec::new();
            texts(&array, |text| seen.push(text.map(str::to_owned)));
            assert_eq!(seen.len(), rows);
        }
    }
}
