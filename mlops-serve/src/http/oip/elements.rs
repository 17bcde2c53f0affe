//! JSON elements into typed values, by datatype.

use mlops_core::{Error, Result};
use std::borrow::Cow;

/// One element as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// With its quotes.
    Text(&'a str),
    Object,
}

/// Takes a tensor's elements in row-major order.
pub(super) trait Sink<'a> {
    /// Takes the next one; the error continues "element 3 …".
    fn take(&mut self, token: Token<'a>) -> Result<()>;
}

/// Numbers of one type, and where nulls stood.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    pub(super) values: Vec<T>,
    pub(super) nulls: Vec<usize>,
}

impl<T> Numbers<T> {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { values: Vec::with_capacity(count), nulls: Vec::new() }
    }
}

impl<T: Number> Sink<'_> for Numbers<T> {
    fn take(&mut self, token: Token<'_>) -> Result<()> {
        let value = match token {
            Token::Number(digits) => T::read(digits)?,
            Token::Null => {
                self.nulls.push(self.values.len());
                T::UNDER_NULL
            }
            _ => return Err(Error::invalid(format!("is no number, in datatype {}", T::DATATYPE))),
        };
        self.values.push(value);
        Ok(())
    }
}

/// A type of number that JSON text is read as.
pub(super) trait Number: Copy {
    /// The protocol's name of it.
    const DATATYPE: &'static str;
    /// What stands where a null is: NaN, for engines that know no nulls, or zero.
    const UNDER_NULL: Self;
    /// Reads a JSON number; the error continues "element 3 …".
    fn read(digits: &str) -> Result<Self>;
}

macro_rules! integers {
    ($($rust:ty => $datatype:literal),* $(,)?) => {
        $(impl Number for $rust {
            const DATATYPE: &'static str = $datatype;
            const UNDER_NULL: Self = 0;

            fn read(digits: &str) -> Result<Self> {
                match digits.parse() {
                    Ok(value) => Ok(value),
                    Err(_) if digits == "-0" => Ok(0),
                    Err(_) => Err(no_integer(digits, Self::DATATYPE)),
                }
            }
        })*
    };
}

integers! {
    u8 => "UINT8", u16 => "UINT16", u32 => "UINT32", u64 => "UINT64",
    i8 => "INT8", i16 => "INT16", i32 => "INT32", i64 => "INT64",
}

fn no_integer(digits: &str, datatype: &str) -> Error {
    if digits.contains(['.', 'e', 'E']) {
        return Error::invalid(format!("is not a whole number, in datatype {datatype}"));
    }
    out_of_range(datatype)
}

impl Number for f32 {
    const DATATYPE: &'static str = "FP32";
    const UNDER_NULL: Self = Self::NAN;

    /// Straight to `f32`: by way of `f64` it would round twice.
    fn read(digits: &str) -> Result<Self> {
        finite(digits.parse().ok().filter(|value: &Self| value.is_finite()), Self::DATATYPE)
    }
}

impl Number for f64 {
    const DATATYPE: &'static str = "FP64";
    const UNDER_NULL: Self = Self::NAN;

    fn read(digits: &str) -> Result<Self> {
        finite(digits.parse().ok().filter(|value: &Self| value.is_finite()), Self::DATATYPE)
    }
}

impl Number for half::f16 {
    const DATATYPE: &'static str = "FP16";
    const UNDER_NULL: Self = Self::NAN;

    fn read(digits: &str) -> Result<Self> {
        let value = digits.parse().ok().map(Self::from_f64);
        finite(value.filter(|value| value.is_finite()), Self::DATATYPE)
    }
}

impl Number for half::bf16 {
    const DATATYPE: &'static str = "BF16";
    const UNDER_NULL: Self = Self::NAN;

    fn read(digits: &str) -> Result<Self> {
        let value = digits.parse().ok().map(Self::from_f64);
        finite(value.filter(|value| value.is_finite()), Self::DATATYPE)
    }
}

fn finite<T>(value: Option<T>, datatype: &str) -> Result<T> {
    value.ok_or_else(|| out_of_range(datatype))
}

fn out_of_range(datatype: &str) -> Error {
    Error::invalid(format!("is out of the range of datatype {datatype}"))
}

/// Booleans, one byte each.
#[derive(Debug)]
pub(super) struct Bools {
    pub(super) values: Vec<bool>,
    pub(super) nulls: Vec<usize>,
}

impl Sink<'_> for Bools {
    fn take(&mut self, token: Token<'_>) -> Result<()> {
        let value = match token {
            Token::Bool(value) => value,
            Token::Null => {
                self.nulls.push(self.values.len());
                false
            }
            _ => return Err(Error::invalid("is neither true nor false, in datatype BOOL")),
        };
        self.values.push(value);
        Ok(())
    }
}

/// Texts; one without an escape is borrowed.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    pub(super) values: Vec<Cow<'a, str>>,
    pub(super) nulls: Vec<usize>,
    pub(super) max_bytes: usize,
}

impl<'a> Sink<'a> for Texts<'a> {
    fn take(&mut self, token: Token<'a>) -> Result<()> {
        let value = match token {
            Token::Text(quoted) => unquoted(quoted)?,
            Token::Null => {
                self.nulls.push(self.values.len());
                Cow::Borrowed("")
            }
            _ => return Err(Error::invalid("is no text, in datatype BYTES")),
        };
        if value.len() > self.max_bytes {
            return Err(Error::too_large(format!("is longer than {} bytes", self.max_bytes)));
        }
        self.values.push(value);
        Ok(())
    }
}

fn unquoted(quoted: &str) -> Result<Cow<'_, str>> {
    if !quoted.contains('\\') {
        return Ok(Cow::Borrowed(quoted.trim_matches('"')));
    }
    // A valid JSON string can still hold half of a surrogate pair.
    let text = serde_json::from_str(quoted).map(Cow::Owned);
    text.map_err(|_| Error::invalid("has an escape that is no character"))
}
