//! The columns of a segment: numbers that mostly grow evenly, and values of which neighbours are alike.
//!
//! A column begins with a byte that says how it is written. Whole numbers: the first one, then the first
//! difference, then how much each difference differs from the one before it; or only the first two, where
//! all differences are the same. Signed numbers are written as zigzag varints: 7 bits a byte, the lowest
//! first, small magnitudes short. Arithmetic wraps, so that every number has its way back.

use mlops_core::{Error, Result};

/// All differences are the same.
const EVEN: u8 = 0;
/// Differences of differences.
const CHANGES: u8 = 1;
/// Added to either: numbers are multiples of 1000, as times in whole milliseconds are.
const THOUSANDS: u8 = 2;

/// One value for all points, as 8 bytes.
const SAME: u8 = 0;
/// 8 bytes a value, the lowest first.
const RAW: u8 = 1;
/// Each value's bits by those that differ from the value before: a byte of how many of 8 bytes are
/// zero above and how many are written, then these.
const ALIKE: u8 = 2;
/// Added to how many decimal places: whole numbers that many places to the left, as a column of them.
const DECIMAL: u8 = 16;
/// Powers of ten by which values are tried to be whole numbers.
const TENS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
/// Below this magnitude every whole number is a value.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// What is left to read.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

pub(super) fn damaged(what: &str) -> Error {
    Error::corrupt(format!("a segment of metric points: {what}"))
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.0.split_first().ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged("a number is too long"))
    }

    fn signed(&mut self) -> Result<i64> {
        let bits = self.varint()?;
        Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    fn word(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }
}

pub(super) fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    into.push(number.to_le_bytes()[0]);
}

fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_varint(into, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
}

pub(super) fn put_ints(into: &mut Vec<u8>, numbers: &[i64]) {
    if !numbers.is_empty() && numbers.iter().all(|number| number % 1000 == 0) {
        let scaled: Vec<_> = numbers.iter().map(|number| number / 1000).collect();
        put_scaled(into, &scaled, THOUSANDS);
    } else {
        put_scaled(into, numbers, 0);
    }
}

fn put_scaled(into: &mut Vec<u8>, numbers: &[i64], mark: u8) {
    let differences = || numbers.windows(2).map(|two| two[1].wrapping_sub(two[0]));
    let first = differences().next();
    let even = differences().all(|own| Some(own) == first);
    into.push(mark + if even { EVEN } else { CHANGES });
    if let Some(number) = numbers.first() {
        put_signed(into, *number);
    }
    let Some(mut before) = first else { return };
    put_signed(into, before);
    if !even {
        for own in differences().skip(1) {
            put_signed(into, own.wrapping_sub(before));
            before = own;
        }
    }
}

pub(super) fn take_ints(from: &mut Reader<'_>, count: usize) -> Result<Vec<i64>> {
    let kind = from.byte()?;
    let unit = if kind & THOUSANDS == 0 { 1 } else { 1000 };
    let even = match kind & !THOUSANDS {
        EVEN => true,
        CHANGES => false,
        _ => return Err(damaged("a column of an unknown kind")),
    };
    let mut numbers = Vec::with_capacity(count);
    let (mut number, mut difference) = (0_i64, 0_i64);
    for at in 0..count {
        match at {
            0 => number = from.signed()?,
            1 => difference = from.signed()?,
            _ if even => {}
            _ => difference = difference.wrapping_add(from.signed()?),
        }
        number = number.wrapping_add(if at > 0 { difference } else { 0 });
        numbers.push(number.checked_mul(unit).ok_or_else(|| damaged("a number is too large"))?);
    }
    Ok(numbers)
}

pub(super) fn put_values(into: &mut Vec<u8>, values: &[f64]) {
    let bits = |at: usize| values[at].to_bits();
    if (1..values.len()).all(|at| bits(at) == bits(0)) {
        into.push(SAME);
        into.extend(values.first().copied().unwrap_or_default().to_le_bytes());
        return;
    }
    if let Some((places, whole)) = whole(values) {
        into.push(DECIMAL + places);
        return put_ints(into, &whole);
    }
    let start = into.len();
    into.push(ALIKE);
    put_alike(into, values);
    if into.len() - start > 1 + 8 * values.len() {
        into.truncate(start);
        into.push(RAW);
        into.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

fn put_alike(into: &mut Vec<u8>, values: &[f64]) {
    let mut before = 0;
    for value in values {
        let own = value.to_bits();
        let differs = own ^ before;
        before = own;
        let zero = if differs == 0 { 8 } else { differs.leading_zeros() / 8 };
        let low = if differs == 0 { 0 } else { differs.trailing_zeros() / 8 };
        let written = 8 - zero - low;
        into.push((zero << 4 | written).to_le_bytes()[0]);
        let bytes = (differs >> (8 * low)).to_le_bytes();
        into.extend(bytes.iter().take(written as usize));
    }
}

/// Values as whole numbers, and the decimal places that they have; `None` if one of them is none, or a
/// way back would change a bit.
fn whole(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    (0_u8..).zip(TENS).find_map(|(places, ten)| {
        let whole = values.iter().map(|value| {
            let moved = (value * ten).round();
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
            let number = (moved.abs() < WHOLE).then_some(moved as i64)?;
            (decimal(number, ten).to_bits() == value.to_bits()).then_some(number)
        });
        Some((places, whole.collect::<Option<_>>()?))
    })
}

#[expect(clippy::cast_precision_loss, reason = "as it was written: below 2^53 nothing is lost")]
fn decimal(number: i64, ten: f64) -> f64 {
    number as f64 / ten
}

pub(super) fn take_values(from: &mut Reader<'_>, count: usize) -> Result<Vec<f64>> {
    match from.byte()? {
        SAME => Ok(vec![f64::from_bits(from.word()?); count]),
        RAW => (0..count).map(|_| from.word().map(f64::from_bits)).collect(),
        ALIKE => take_alike(from, count),
        kind => {
            let ten = kind.checked_sub(DECIMAL).and_then(|places| TENS.get(usize::from(places)));
            let ten = ten.ok_or_else(|| damaged("a column of an unknown kind"))?;
            Ok(take_ints(from, count)?.into_iter().map(|number| decimal(number, *ten)).collect())
        }
    }
}

fn take_alike(from: &mut Reader<'_>, count: usize) -> Result<Vec<f64>> {
    let mut values = Vec::with_capacity(count);
    let mut bits = 0;
    for _ in 0..count {
        let head = from.byte()?;
        let (zero, written) = (u32::from(head >> 4), usize::from(head & 15));
        let low = 8_usize.checked_sub(zero as usize + written);
        let low = low.ok_or_else(|| damaged("a value is too long"))?;
        let mut bytes = [0; 8];
        bytes[low..low + written].copy_from_slice(from.take(written)?);
        bits ^= u64::from_le_bytes(bytes);
        values.push(f64::from_bits(bits));
    }
    Ok(values)
}
