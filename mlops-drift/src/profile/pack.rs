//! Numbers and texts in few bytes.

use mlops_core::{Error, Result};

/// Writes whole numbers as groups of seven bits, the lowest first, the eighth bit of a byte saying
/// that more follow; signed ones with their sign in the lowest bit.
#[derive(Default)]
pub(super) struct Packer(Vec<u8>);

impl Packer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    pub(super) fn whole(&mut self, number: u64) {
        self.long(number.into());
    }

    pub(super) fn signed(&mut self, number: i128) {
        self.long(((number << 1) ^ (number >> 127)).cast_unsigned());
    }

    /// The bits of a float in which it differs from another, which the reader knows. The highest
    /// bits of near floats are equal, so that what differs is a small number.
    pub(super) fn float(&mut self, value: f64, near: f64) {
        self.whole(value.to_bits() ^ near.to_bits());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Bytes with their number before them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.whole(bytes.len() as u64);
        self.raw(bytes);
    }

    fn long(&mut self, mut number: u128) {
        while number > 127 {
            self.0.push(0x80 | (number & 0x7f) as u8);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Packer`] wrote; what it did not write is `Corrupt`.
pub(super) struct Unpacker<'a>(&'a [u8]);

impl<'a> Unpacker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn raw<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn whole(&mut self) -> Result<u64> {
        u64::try_from(self.long()?).map_err(|_| too_long())
    }

    /// A number of things to come, each of which takes a byte at least: no more than bytes are
    /// left, so that nothing is reserved for what is not there.
    pub(super) fn length(&mut self) -> Result<usize> {
        let length = usize::try_from(self.whole()?).map_err(|_| too_long())?;
        if length > self.0.len() { Err(cut_short()) } else { Ok(length) }
    }

    pub(super) fn signed(&mut self) -> Result<i128> {
        let number = self.long()?;
        let sign = (number & 1).cast_signed();
        Ok((number >> 1).cast_signed() ^ -sign)
    }

    /// A signed number of 64 bits.
    pub(super) fn small(&mut self) -> Result<i64> {
        i64::try_from(self.signed()?).map_err(|_| too_long())
    }

    pub(super) fn float(&mut self, near: f64) -> Result<f64> {
        Ok(f64::from_bits(self.whole()? ^ near.to_bits()))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|_| Error::corrupt("a profile with text that is none"))
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::corrupt("bytes behind a profile's end")) }
    }

    fn long(&mut self) -> Result<u128> {
        let mut number = 0_u128;
        for group in 0..19_u32 {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            // Of the nineteenth group two bits have room.
            if group == 18 && bits > 3 {
                break;
            }
            number |= bits << (7 * group);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(too_long())
    }
}

pub(super) fn cut_short() -> Error {
    Error::corrupt("a profile cut short")
}

fn too_long() -> Error {
    Error::corrupt("a profile with a number out of all bounds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            whole: u64, signed: i128, floats: (f64, f64), text in ".{0,9}",
        ) {
            let (value, near) = floats;
            let mut packer = Packer::default();
            packer.whole(whole);
            packer.signed(signed);
            packer.float(value, near);
            packer.text(&text);
            let bytes = packer.into_bytes();
            let mut from = Unpacker::new(&bytes);
            prop_assert_eq!(from.whole().unwrap(), whole);
            prop_assert_eq!(from.signed().unwrap(), signed);
            prop_assert_eq!(from.float(near).unwrap().to_bits(), value.to_bits());
            prop_assert_eq!(from.text().unwrap(), text);
            prop_assert!(from.end().is_ok() && from.byte().is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut from = Unpacker::new(&bytes);
            while from.signed().is_ok() && from.text().is_ok() {}
        }
    }
}
