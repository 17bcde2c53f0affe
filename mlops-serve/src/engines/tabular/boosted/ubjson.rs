//! UBJSON (draft 12, ubjson.org), as far as XGBoost writes it: a deserializer over bytes in memory.
//!
//! No bytes make it panic, recurse deeply, or take more memory than a small multiple of their length.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor, value::Error},
    forward_to_deserialize_any,
};

/// The deepest nesting that is read.
const DEPTH: usize = 64;

/// The value that the bytes hold.
pub(super) fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let mut reader = Reader { bytes, at: 0, depth: 0 };
    let value = T::deserialize(Value { reader: &mut reader, marker: None })?;
    match reader.bytes.len() - reader.at {
        0 => Ok(value),
        left => Err(Error::custom(format!("{left} bytes follow the end"))),
    }
}

struct Reader<'de> {
    bytes: &'de [u8],
    at: usize,
    depth: usize,
}

impl<'de> Reader<'de> {
    fn take(&mut self, count: usize) -> Result<&'de [u8], Error> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| Error::custom(format!("the bytes end at {}", self.at)))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(Error::custom)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is not a filler.
    fn marker(&mut self) -> Result<u8, Error> {
        loop {
            let [marker] = self.array()?;
            if marker != b'N' {
                return Ok(marker);
            }
        }
    }

    fn int(&mut self, marker: u8) -> Result<i64, Error> {
        Ok(match marker {
            b'i' => i8::from_be_bytes(self.array()?).into(),
            b'U' => u8::from_be_bytes(self.array()?).into(),
            b'I' => i16::from_be_bytes(self.array()?).into(),
            b'l' => i32::from_be_bytes(self.array()?).into(),
            b'L' => i64::from_be_bytes(self.array()?),
            _ => return Err(self.unknown(marker)),
        })
    }

    /// A length, and the type before it.
    fn length(&mut self) -> Result<usize, Error> {
        let marker = self.marker()?;
        let length = self.int(marker)?;
        usize::try_from(length).map_err(|_| Error::custom(format!("a length of {length}")))
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(Error::custom)
    }

    fn unknown(&self, marker: u8) -> Error {
        Error::custom(format!("the type {marker:#x} at {}", self.at.saturating_sub(1)))
    }

    /// The type and the number of items of a container, as far as they stand at its beginning.
    fn head(&mut self) -> Result<(Option<u8>, Option<usize>), Error> {
        let mut kind = None;
        if self.peek() == Some(b'$') {
            self.at += 1;
            let [marker] = self.array()?;
            // Items of no size would take for ever.
            if !b"iUIlLdDCS[{".contains(&marker) {
                return Err(self.unknown(marker));
            }
            kind = Some(marker);
        }
        let count = if self.peek() == Some(b'#') {
            self.at += 1;
            Some(self.length()?)
        } else {
            None
        };
        match (kind, count) {
            (Some(_), None) => Err(Error::custom("a container with a type and no number of items")),
            head => Ok(head),
        }
    }
}

/// The next value; its type stands before it, or before all items of its container.
struct Value<'a, 'de> {
    reader: &'a mut Reader<'de>,
    marker: Option<u8>,
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let reader = self.reader;
        let marker = match self.marker {
            Some(marker) => marker,
            None => reader.marker()?,
        };
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.array()?)),
            b'C' => visitor.visit_char(char::from(u8::from_be_bytes(reader.array()?))),
            b'S' => visitor.visit_borrowed_str(reader.text()?),
            b'[' | b'{' => {
                reader.depth += 1;
                if reader.depth > DEPTH {
                    return Err(Error::custom(format!("containers nested {DEPTH} deep")));
                }
                let (kind, left) = reader.head()?;
                let end = if marker == b'[' { b']' } else { b'}' };
                let mut items = Items { reader, kind, left, end };
                let value = if marker == b'[' {
                    visitor.visit_seq(&mut items)?
                } else {
                    visitor.visit_map(&mut items)?
                };
                items.finish()?;
                items.reader.depth -= 1;
                Ok(value)
            }
            _ => visitor.visit_i64(reader.int(marker)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.marker.is_none() && self.reader.peek() == Some(b'Z') {
            self.reader.at += 1;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// What is left of a container: so many items, or those up to its end.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    kind: Option<u8>,
    left: Option<usize>,
    end: u8,
}

impl Items<'_, '_> {
    /// Whether another item follows.
    fn more(&mut self) -> Result<bool, Error> {
        if let Some(left) = &mut self.left {
            let more = *left > 0;
            *left = left.saturating_sub(1);
            return Ok(more);
        }
        while self.reader.peek() == Some(b'N') {
            self.reader.at += 1;
        }
        match self.reader.peek() {
            Some(byte) => Ok(byte != self.end),
            None => Err(Error::custom("the bytes end within a container")),
        }
    }

    /// Its end stands there unless the number of items does.
    fn finish(&mut self) -> Result<(), Error> {
        if self.more()? {
            return Err(Error::custom("a container with too many items"));
        }
        self.reader.at += usize::from(self.left.is_none());
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if !self.more()? {
            return Ok(None);
        }
        seed.deserialize(Value { reader: self.reader, marker: self.kind }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if !self.more()? {
            return Ok(None);
        }
        // A key is a text without a mark of its type.
        seed.deserialize(Value { reader: self.reader, marker: Some(b'S') }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Value { reader: self.reader, marker: self.kind })
    }
}
