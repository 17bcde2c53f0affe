//! JSON numbers into floats, correctly rounded, for the most part without the general algorithm.

/// Reads the JSON number at the start of `text`: its value, and its length. Nothing where none stands, or one
/// that the type does not hold as a finite number.
pub(super) trait Float: Copy {
    /// The number of these digits, shifted by so many places; nothing if it takes more to round it correctly.
    fn quickly(digits: u64, places: i32) -> Option<Self>;
    /// The same, however long it takes.
    fn slowly(number: &str) -> Option<Self>;
    fn negated(self) -> Self;

    fn read(text: &[u8]) -> Option<(Self, usize)> {
        let number = Number::read(text)?;
        let quick = number.digits.and_then(|digits| Self::quickly(digits, number.places));
        let value = match quick {
            Some(value) if number.is_negative => value.negated(),
            Some(value) => value,
            None => Self::slowly(std::str::from_utf8(&text[..number.length]).ok()?)?,
        };
        Some((value, number.length))
    }
}

impl Float for f64 {
    /// Both numbers are exact, so what is computed of them is rounded once.
    fn quickly(digits: u64, places: i32) -> Option<Self> {
        if digits > 1 << 53 {
            return None;
        }
        let tens = TENS.get(usize::try_from(places.unsigned_abs()).ok()?)?;
        #[expect(clippy::cast_precision_loss, reason = "it is at most 2^53")]
        let digits = digits as Self;
        Some(if places < 0 { digits / tens } else { digits * tens })
    }

    fn slowly(number: &str) -> Option<Self> {
        number.parse().ok().filter(|value: &Self| value.is_finite())
    }

    fn negated(self) -> Self {
        -self
    }
}

impl Float for f32 {
    /// By way of `f64`. Rounding twice is wrong only where the first result lies half way between two `f32`.
    fn quickly(digits: u64, places: i32) -> Option<Self> {
        /// The bits that an `f64` has more, and what stands in them half way.
        const MORE: u64 = (1 << 29) - 1;
        const HALF: u64 = 1 << 28;
        let wide = f64::quickly(digits, places)?;
        let is_normal = wide >= f64::from(Self::MIN_POSITIVE) && wide <= f64::from(Self::MAX);
        if wide != 0.0 && (!is_normal || wide.to_bits() & MORE == HALF) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest")]
        let value = wide as Self;
        Some(value)
    }

    fn slowly(number: &str) -> Option<Self> {
        number.parse().ok().filter(|value: &Self| value.is_finite())
    }

    fn negated(self) -> Self {
        -self
    }
}

/// The powers of ten that an `f64` holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// What a JSON number says.
struct Number {
    is_negative: bool,
    /// All digits before the exponent; nothing if they are more than 19.
    digits: Option<u64>,
    /// By how many places they are shifted to the left.
    places: i32,
    /// Of its text.
    length: usize,
}

impl Number {
    /// By JSON's grammar and no other: no `+1`, `01`, `.5` or `1.`.
    fn read(text: &[u8]) -> Option<Self> {
        let is_negative = text.first() == Some(&b'-');
        let whole = Digits::read(text, usize::from(is_negative), 0)?;
        let begins = text[usize::from(is_negative)];
        if begins == b'0' && whole.count > 1 {
            return None;
        }
        let (mut all, mut places) = (whole, 0_i32);
        if text.get(all.end) == Some(&b'.') {
            let part = Digits::read(text, all.end + 1, all.value)?;
            places = -i32::try_from(part.count).ok()?;
            all = Digits { count: all.count + part.count, ..part };
        }
        if let Some(b'e' | b'E') = text.get(all.end) {
            let sign = text.get(all.end + 1).filter(|sign| b"+-".contains(sign));
            let from = all.end + 1 + usize::from(sign.is_some());
            let exponent = Digits::read(text, from, 0)?;
            // Longer ones are left to the general algorithm.
            let shift = i32::try_from(exponent.value).ok().filter(|_| exponent.count <= 4)?;
            places += if sign == Some(&b'-') { -shift } else { shift };
            all.end = exponent.end;
        }
        let digits = (all.count <= 19).then_some(all.value);
        Some(Self { is_negative, digits, places, length: all.end })
    }
}

/// A stretch of decimal digits, at least one.
#[derive(Clone, Copy)]
struct Digits {
    value: u64,
    count: usize,
    end: usize,
}

impl Digits {
    /// Continues the number that `value` begins; past 19 digits it says nothing any more.
    fn read(text: &[u8], from: usize, mut value: u64) -> Option<Self> {
        let mut rest = text.get(from..)?;
        while let Some((first, after)) = rest.split_first_chunk()
            && let Some(eight) = eight_digits(u64::from_le_bytes(*first))
        {
            value = value.wrapping_mul(100_000_000).wrapping_add(eight);
            rest = after;
        }
        while let Some((byte @ b'0'..=b'9', after)) = rest.split_first() {
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            rest = after;
        }
        let end = text.len() - rest.len();
        (end > from).then_some(Self { value, count: end - from, end })
    }
}

/// Eight bytes at once, if all are digits: pairs, then fours, then all. It halves the time of a number, since
/// those of a float are mostly one or two such stretches.
fn eight_digits(bytes: u64) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let below = bytes.wrapping_sub(EACH * 0x30);
    let above = bytes.wrapping_add(EACH * 0x46);
    if (below | above) & (EACH * 0x80) != 0 {
        return None;
    }
    let pairs = (below.wrapping_mul(10).wrapping_add(below >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the type's own parser makes of it.
    fn agrees(text: &str) {
        let single = f32::read(text.as_bytes()).map(|(value, length)| (value.to_bits(), length));
        let double = f64::read(text.as_bytes()).map(|(value, length)| (value.to_bits(), length));
        let finite = |value: f64| value.is_finite().then_some((value.to_bits(), text.len()));
        assert_eq!(double, finite(text.parse().unwrap()), "{text}");
        let value: f32 = text.parse().unwrap();
        assert_eq!(single, value.is_finite().then_some((value.to_bits(), text.len())), "{text}");
    }

    #[test]
    fn what_is_hard_to_round_is_rounded_right() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0e5",
            "1",
            "0.1",
            "16777217",
            "16777217.0000000001",
            "9007199254740993",
            // Half way between two f32, and a little beside.
            "1.000000059604644775390625",
            "1.0000000596046448",
            "1.00000005960464477539",
            "1.0000000596046447",
            "3.4028235e38",
            "3.4028236e38",
            "1e39",
            "1.17549435e-38",
            "1e-45",
            "7e-46",
            "1e-400",
            "1e308",
            "123456789012345678901234567890",
            "0.000000000000000000000000000001",
            "1e22",
            "1e23",
            "-2.5E-3",
        ] {
            agrees(text);
        }
    }

    #[test]
    fn what_is_no_json_number_is_not_read() {
        for text in ["", "-", "+1", "01", "-01", ".5", "1.", "1.e5", "1e", "1e+", "NaN", "inf", "x"]
        {
            assert!(
                f64::read(text.as_bytes()).is_none_or(|(_, length)| length < text.len()),
                "{text}"
            );
            assert!(
                !matches!(text.as_bytes(), [b'+' | b'.', ..])
                    || f64::read(text.as_bytes()).is_none()
            );
        }
        assert!(
            f32::read(b"01").is_none() && f32::read(b"1.").is_none() && f32::read(b"1e").is_none()
        );
        assert_eq!(f32::read(b"1.5,2"), Some((1.5, 3)));
    }

    proptest! {
        #[test]
        fn every_number_is_rounded_as_the_library_does(
            bits in any::<u32>(), wide in any::<u64>(), digits in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?",
        ) {
            agrees(&digits);
            let (single, double) = (f32::from_bits(bits), f64::from_bits(wide));
            if single.is_finite() {
                agrees(&format!("{single:?}"));
                agrees(&format!("{:?}", f64::from(single)));
            }
            if double.is_finite() {
                agrees(&format!("{double:e}"));
            }
        }
    }
}
