//! Fields of a protobuf message, one by one, without a copy.
//!
//! Requests are walked and not derived: two bytes make an empty element of a repeated field, and a struct
//! for each of millions of them would be more memory than anybody bounded.

use mlops_core::{Error, Result, arrow::buffer::Buffer};

/// Walks the fields of one message.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    message: &'a Buffer,
    at: usize,
    end: usize,
}

/// A field's value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(&'a [u8]),
    Fixed32(&'a [u8]),
    /// Text, bytes, a message, or packed numbers.
    Bytes(Bytes<'a>),
}

/// A stretch of the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    message: &'a Buffer,
    from: usize,
    to: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn slice(&self) -> &'a [u8] {
        &self.message.as_slice()[self.from..self.to]
    }

    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    /// The same bytes; they share the message's memory.
    pub(super) fn buffer(&self) -> Buffer {
        self.message.slice_with_length(self.from, self.len())
    }

    /// The fields of the message that they are.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields { message: self.message, at: self.from, end: self.to }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a Buffer) -> Self {
        Self { message, at: 0, end: message.len() }
    }

    /// The next field's number and value; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        if self.at == self.end {
            return Ok(None);
        }
        let start = self.at;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or_else(|| malformed(start))?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.take(8)?.slice()),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => Value::Fixed32(self.take(4)?.slice()),
            _ => return Err(malformed(start)),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64> {
        let (value, length) = varint(&self.message.as_slice()[self.at..self.end])
            .ok_or_else(|| malformed(self.at))?;
        self.at += length;
        Ok(value)
    }

    fn take(&mut self, length: usize) -> Result<Bytes<'a>> {
        let to = self.at.checked_add(length).filter(|&to| to <= self.end);
        let to = to.ok_or_else(|| malformed(self.at))?;
        let taken = Bytes { message: self.message, from: self.at, to };
        self.at = to;
        Ok(taken)
    }
}

/// The number at the start, and how many bytes it has; none if it is cut off or longer than 64 bits.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}

fn malformed(at: usize) -> Error {
    Error::invalid(format!("the message is not valid protobuf at byte {at}"))
}
