//! The element types of a tensor, and the Rust types that hold them.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DType {
    /// One byte an element, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// The upper 16 bits of an `f32`.
    BF16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Text of any length.
    Utf8,
    /// Bytes of any length.
    Bytes,
}

/// Our name · the Open Inference Protocol's · bytes an element (0: of any length).
#[rustfmt::skip]
const TABLE: &[(DType, &str, &str, usize)] = &[
    (DType::Bool,  "bool",   "BOOL",   1),
    (DType::U8,    "uint8",  "UINT8",  1),
    (DType::U16,   "uint16", "UINT16", 2),
    (DType::U32,   "uint32", "UINT32", 4),
    (DType::U64,   "uint64", "UINT64", 8),
    (DType::I8,    "int8",   "INT8",   1),
    (DType::I16,   "int16",  "INT16",  2),
    (DType::I32,   "int32",  "INT32",  4),
    (DType::I64,   "int64",  "INT64",  8),
    (DType::F16,   "float16",  "FP16", 2),
    (DType::BF16,  "bfloat16", "BF16", 2),
    (DType::F32,   "float32",  "FP32", 4),
    (DType::F64,   "float64",  "FP64", 8),
    (DType::Utf8,  "str",    "BYTES",  0),
    (DType::Bytes, "bytes",  "BYTES",  0),
];

impl DType {
    /// Bytes an element; `None` if elements have any length.
    pub fn size(self) -> Option<usize> {
        Some(TABLE[self as usize].3).filter(|&size| size > 0)
    }

    /// The name in MLflow signatures and numpy: `float32`, `int64`, `str` …
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The name in the Open Inference Protocol: `FP32`, `INT64`, `BYTES` …
    pub fn oip_name(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// From the Open Inference Protocol's name. `BYTES` is [`DType::Bytes`]: the protocol has no text.
    pub fn from_oip_name(name: &str) -> Result<Self> {
        let row = TABLE.iter().rev().find(|row| row.2 == name);
        row.map(|row| row.0).ok_or_else(|| Error::invalid(format!("unknown datatype {name:?}")))
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let row = TABLE.iter().find(|row| row.1 == name);
        row.map(|row| row.0).ok_or_else(|| Error::invalid(format!("unknown element type {name:?}")))
    }
}

impl TryFrom<String> for DType {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<DType> for String {
    fn from(dtype: DType) -> Self {
        dtype.name().to_owned()
    }
}

/// A Rust type that a tensor's elements can be read as.
///
/// Sealed: the layout of each is what makes reading without a copy sound.
pub trait Element: sealed::Sealed + arrow_buffer::ArrowNativeType {
    /// The element type that it holds.
    const DTYPE: DType;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => {
        $(impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
        })*
    };
}

elements! {
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    half::f16 => F16, f32 => F32, f64 => F64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_parse_back() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(row.1.parse::<DType>().unwrap(), row.0);
            assert_eq!(DType::from_oip_name(row.2).unwrap().oip_name(), row.2);
        }
    }
}
