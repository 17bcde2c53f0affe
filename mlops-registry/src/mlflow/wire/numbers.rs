//! Numbers as protobuf's JSON writes them, and as others do.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A 64-bit integer: written as a number, read from a number or a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Int(pub(crate) i64);

/// A double: written as a number, or as `"NaN"`, `"Infinity"`, `"-Infinity"`; read from either.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Double(pub(crate) f64);

impl Double {
    /// The value that an answer of MLflow means: it keeps an infinity as the largest finite number.
    pub(crate) fn meant(self) -> f64 {
        match self.0 {
            value if value >= f64::MAX => f64::INFINITY,
            value if value <= f64::MIN => f64::NEG_INFINITY,
            value => value,
        }
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntVisitor)
    }
}

struct IntVisitor;

impl de::Visitor<'_> for IntVisitor {
    type Value = Int;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer as a number or a text")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int, E> {
        Ok(Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int, E> {
        i64::try_from(value).map(Int).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Int, E> {
        // `1e3` and `3.0` are integers to protobuf, too. Beyond 2^53 not every integer is a double.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 54 bits")]
            return Ok(Int(value as i64));
        }
        Err(E::invalid_value(de::Unexpected::Float(value), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Int, E> {
        text.parse().map(Int).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            value => serializer.serialize_f64(value),
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoubleVisitor)
    }
}

struct DoubleVisitor;

impl de::Visitor<'_> for DoubleVisitor {
    type Value = Double;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Double, E> {
        Ok(Double(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "what a double is")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "what a double is")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Double, E> {
        // Rust reads these three words and numbers, as protobuf does.
        text.parse().map(Double).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_are_read_as_written_and_as_texts(value: i64) {
            prop_assert_eq!(serde_json::to_string(&Int(value)).unwrap(), value.to_string());
            for text in [value.to_string(), format!("\"{value}\"")] {
                prop_assert_eq!(serde_json::from_str::<Int>(&text).unwrap(), Int(value));
            }
        }

        #[test]
        fn doubles_keep_every_bit(bits: u64) {
            let value = f64::from_bits(bits);
            let text = serde_json::to_string(&Double(value)).unwrap();
            let again = serde_json::from_str::<Double>(&text).unwrap().0;
            prop_assert!(again.to_bits() == bits || (value.is_nan() && again.is_nan()));
        }
    }

    #[test]
    fn words_are_numbers_and_nonsense_is_none() {
        assert!(serde_json::from_str::<Double>("\"NaN\"").unwrap().0.is_nan());
        assert_eq!(
            serde_json::from_str::<Double>("\"-Infinity\"").unwrap(),
            Double(f64::NEG_INFINITY)
        );
        assert_eq!(serde_json::from_str::<Double>("3").unwrap(), Double(3.0));
        assert_eq!(serde_json::from_str::<Int>("3.0").unwrap(), Int(3));
        assert!(serde_json::from_str::<Int>("3.5").is_err());
        assert!(serde_json::from_str::<Int>("\"three\"").is_err());
        assert!(serde_json::from_str::<Double>("\"many\"").is_err());
        assert!(Double(f64::MAX).meant().is_infinite());
    }
}
