//! The types that a dataset's columns have, and reading them cell by cell.
//!
//! Files bring more forms of the same thing than anybody wants to handle: text as `LargeUtf8`,
//! `Utf8View` or a dictionary. [`canonical`] brings them to one form at the door.

use super::rows::gather_keys;
use crate::{Error, Result, tensor::DType};
use arrow_array::{Array, ArrayRef, BinaryArray, StringArray, cast::AsArray, types as arrow};
use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// The type of a column. Prints and parses: `int64`, `str`, `date`, `timestamp[us, UTC]` …
///
/// ```
/// use mlops_core::data::ColumnType;
///
/// let time: ColumnType = "timestamp[ms, Europe/Berlin]".parse()?;
/// assert_eq!(time.to_string(), "timestamp[ms, Europe/Berlin]");
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum ColumnType {
    /// What a tensor's elements can be, too: booleans, numbers, text, bytes.
    Value(DType),
    /// Days since 1970-01-01.
    Date,
    /// Units since 1970-01-01T00:00:00Z, and the time zone that they are shown in.
    Timestamp(TimeUnit, Option<Arc<str>>),
}

/// Arrow's form of each element type that a column can have.
const VALUES: &[(DType, DataType)] = &[
    (DType::Bool, DataType::Boolean),
    (DType::I8, DataType::Int8),
    (DType::I16, DataType::Int16),
    (DType::I32, DataType::Int32),
    (DType::I64, DataType::Int64),
    (DType::U8, DataType::UInt8),
    (DType::U16, DataType::UInt16),
    (DType::U32, DataType::UInt32),
    (DType::U64, DataType::UInt64),
    (DType::F16, DataType::Float16),
    (DType::F32, DataType::Float32),
    (DType::F64, DataType::Float64),
    (DType::Utf8, DataType::Utf8),
    (DType::Bytes, DataType::Binary),
];

/// How our names spell Arrow's units: they are stored, and Arrow's may change.
const UNITS: &[(TimeUnit, &str)] = &[
    (TimeUnit::Second, "s"),
    (TimeUnit::Millisecond, "ms"),
    (TimeUnit::Microsecond, "us"),
    (TimeUnit::Nanosecond, "ns"),
];

impl ColumnType {
    /// The type of a canonical Arrow column; `None` for what a dataset does not hold.
    pub fn of(arrow: &DataType) -> Option<Self> {
        match arrow {
            DataType::Date32 => Some(Self::Date),
            DataType::Timestamp(unit, zone) => Some(Self::Timestamp(*unit, zone.clone())),
            other => VALUES.iter().find(|(_, own)| own == other).map(|row| Self::Value(row.0)),
        }
    }

    /// Whether values are integers or floating-point numbers.
    pub fn is_number(&self) -> bool {
        !matches!(self, Self::Value(DType::Bool | DType::Utf8 | DType::Bytes))
            && matches!(self, Self::Value(_))
    }

    /// Whether values are floating-point numbers.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::Value(dtype) if dtype.is_float())
    }

    /// Whether values are days or points in time.
    pub fn is_time(&self) -> bool {
        matches!(self, Self::Date | Self::Timestamp(..))
    }

    /// The type of a tensor that holds this column; `None` for days and points in time.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Self::Value(dtype) => Some(*dtype),
            Self::Date | Self::Timestamp(..) => None,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Timestamp(unit, zone) = self else {
            return f.write_str(self.dtype().map_or("date", DType::name));
        };
        let unit = UNITS.iter().find(|(own, _)| own == unit).map_or("", |row| row.1);
        match zone {
            Some(zone) => write!(f, "timestamp[{unit}, {zone}]"),
            None => write!(f, "timestamp[{unit}]"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("unknown column type {text:?}"));
        if text == "date" {
            return Ok(Self::Date);
        }
        if let Some(inner) = text.strip_prefix("timestamp[").and_then(|t| t.strip_suffix(']')) {
            let (unit, zone) = inner.split_once(", ").map_or((inner, None), |(u, z)| (u, Some(z)));
            let row = UNITS.iter().find(|(_, name)| *name == unit).ok_or_else(bad)?;
            return Ok(Self::Timestamp(row.0, zone.map(Arc::from)));
        }
        let dtype: DType = text.parse().map_err(|_| bad())?;
        VALUES.iter().find(|(own, _)| *own == dtype).map(|_| Self::Value(dtype)).ok_or_else(bad)
    }
}

impl TryFrom<String> for ColumnType {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ColumnType> for String {
    fn from(own: ColumnType) -> Self {
        own.to_string()
    }
}

/// The same values in the one form that datasets hold.
///
/// # Behavior
/// - large text, text views and dictionaries become text; large and viewed bytes become bytes
/// - a column without a type, which holds only nulls, becomes text
/// - what a dataset does not hold (lists, structs, decimals …) is `Unsupported` and named
pub(super) fn canonical(name: &str, array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        own if ColumnType::of(own).is_some() => Arc::clone(array),
        DataType::LargeUtf8 => strings(name, array.as_string::<i64>().iter())?,
        DataType::Utf8View => strings(name, array.as_string_view().iter())?,
        DataType::LargeBinary => bytes(name, array.as_binary::<i64>().iter())?,
        DataType::BinaryView => bytes(name, array.as_binary_view().iter())?,
        DataType::Null => strings(name, (0..array.len()).map(|_| None::<&str>))?,
        DataType::Dictionary(..) => {
            let coded = array.as_any_dictionary();
            let values = canonical(name, coded.values())?;
            gather_keys(name, &values, coded.keys())?
        }
        other => {
            return Err(Error::unsupported(format!(
                "column {name:?} has type {other}, which a dataset does not hold"
            )));
        }
    })
}

fn strings<'a>(
    name: &str,
    items: impl Iterator<Item = Option<&'a str>> + Clone,
) -> Result<ArrayRef> {
    check_text(name, items.clone().flatten().map(str::len))?;
    Ok(Arc::new(items.collect::<StringArray>()))
}

fn bytes<'a>(
    name: &str,
    items: impl Iterator<Item = Option<&'a [u8]>> + Clone,
) -> Result<ArrayRef> {
    check_text(name, items.clone().flatten().map(<[u8]>::len))?;
    Ok(Arc::new(items.collect::<BinaryArray>()))
}

/// Arrow's builders panic where offsets of 32 bits run out; we look first.
pub(super) fn check_text(name: &str, lengths: impl Iterator<Item = usize>) -> Result<()> {
    let total = lengths.fold(0_usize, usize::saturating_add);
    if i32::try_from(total).is_ok() {
        return Ok(());
    }
    Err(Error::too_large(format!("column {name:?} holds over 2 GiB of text in one batch")))
}

/// One value of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    /// Integers, days, and units of time.
    Int(i128),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Cell<'_> {
    /// The number that it is; `None` for nulls, text and bytes. An integer beyond 2^53 rounds.
    #[expect(clippy::cast_precision_loss, reason = "documented; rounding keeps the order")]
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Cell::Bool(value) => Some(f64::from(u8::from(value))),
            Cell::Int(value) => Some(value as f64),
            Cell::Float(value) => Some(value),
            Cell::Null | Cell::Text(_) | Cell::Bytes(_) => None,
        }
    }
}

/// Reads the cell of a row.
pub(super) type Reader<'a> = Box<dyn Fn(usize) -> Cell<'a> + 'a>;

/// What reads a canonical column.
pub(super) fn reader(array: &ArrayRef) -> Reader<'_> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let nulls = array.nulls();
    macro_rules! read {
        ($array:expr, $cell:ident) => {
            read!($array, |value| Cell::$cell(value.into()))
        };
        ($array:expr, |$value:ident| $cell:expr) => {{
            let array = $array;
            Box::new(move |row| match nulls {
                Some(nulls) if nulls.is_null(row) => Cell::Null,
                _ => {
                    let $value = array.value(row);
                    $cell
                }
            })
        }};
    }
    match array.data_type() {
        DataType::Boolean => read!(array.as_boolean(), Bool),
        DataType::Int8 => read!(array.as_primitive::<arrow::Int8Type>(), Int),
        DataType::Int16 => read!(array.as_primitive::<arrow::Int16Type>(), Int),
        DataType::Int32 => read!(array.as_primitive::<arrow::Int32Type>(), Int),
        DataType::Int64 => read!(array.as_primitive::<arrow::Int64Type>(), Int),
        DataType::UInt8 => read!(array.as_primitive::<arrow::UInt8Type>(), Int),
        DataType::UInt16 => read!(array.as_primitive::<arrow::UInt16Type>(), Int),
        DataType::UInt32 => read!(array.as_primitive::<arrow::UInt32Type>(), Int),
        DataType::UInt64 => read!(array.as_primitive::<arrow::UInt64Type>(), Int),
        DataType::Date32 => read!(array.as_primitive::<arrow::Date32Type>(), Int),
        DataType::Float16 => read!(array.as_primitive::<arrow::Float16Type>(), Float),
        DataType::Float32 => read!(array.as_primitive::<arrow::Float32Type>(), Float),
        DataType::Float64 => read!(array.as_primitive::<arrow::Float64Type>(), Float),
        DataType::Utf8 => read!(array.as_string::<i32>(), |text| Cell::Text(text)),
        DataType::Binary => read!(array.as_binary::<i32>(), |bytes| Cell::Bytes(bytes)),
        DataType::Timestamp(unit, _) => match unit {
            Second => read!(array.as_primitive::<arrow::TimestampSecondType>(), Int),
            Millisecond => read!(array.as_primitive::<arrow::TimestampMillisecondType>(), Int),
            Microsecond => read!(array.as_primitive::<arrow::TimestampMicrosecondType>(), Int),
            Nanosecond => read!(array.as_primitive::<arrow::TimestampNanosecondType>(), Int),
        },
        other => unreachable!("a dataset's columns are canonical, {other} is not"),
    }
}
