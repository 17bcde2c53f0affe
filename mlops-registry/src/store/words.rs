//! How values lie in the database: one word for each case of an enum, bits in the order of the numbers.

use mlops_core::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// The word of a case, as its serde form has it.
pub(super) fn word<T: Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Error::internal("a case of an enum has no word")),
    }
}

/// The case of a word.
pub(super) fn case<T: DeserializeOwned>(word: &str) -> Result<T> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|cause| Error::corrupt("the record: an unknown word").with_source(cause))
}

/// JSON of a value that serialises without fail.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::internal("a value has no JSON").with_source(cause))
}

/// A number of our own counting as the database holds it; beyond `i64` is `InvalidInput`.
pub(super) fn int(number: u64) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| Error::invalid(format!("{number} is more than the record can hold")))
}

/// The bits of a number so that they sort as `f64::total_cmp` does; NaN and infinities are kept to the bit.
pub(super) fn ordered_bits(number: f64) -> i64 {
    flip(number.to_bits().cast_signed())
}

/// The number of such bits.
pub(super) fn from_ordered_bits(bits: i64) -> f64 {
    f64::from_bits(flip(bits).cast_unsigned())
}

/// Below zero the larger magnitude comes first: all bits but the sign are turned over. Its own inverse.
fn flip(bits: i64) -> i64 {
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_sort_as_the_numbers_and_come_back(a: u64, b: u64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assert_eq!(ordered_bits(a).cmp(&ordered_bits(b)), a.total_cmp(&b));
            prop_assert_eq!(from_ordered_bits(ordered_bits(a)).to_bits(), a.to_bits());
        }
    }

    #[test]
    fn cases_have_words() {
        use mlops_core::tracker::RunStatus;
        assert_eq!(word(&RunStatus::Killed).unwrap(), "KILLED");
        assert_eq!(case::<RunStatus>("KILLED").unwrap(), RunStatus::Killed);
        assert!(case::<RunStatus>("SLEEPING").is_err());
    }
}
