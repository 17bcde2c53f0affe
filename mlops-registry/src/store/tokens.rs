//! Where a page begins, in a form that callers hand back and do not read.

use super::words::json;
use mlops_core::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Write as _;

/// The token of a place: JSON in hexadecimal digits, fit for a URL.
pub(super) fn write<T: Serialize>(place: &T) -> Result<String> {
    Ok(json(place)?.bytes().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The place of a token; anything but one of ours is `InvalidInput`.
pub(super) fn read<T: DeserializeOwned>(token: &str) -> Result<T> {
    let bytes: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| Error::invalid("not a page that this record gave out"))
}

/// How many items a page has; none, or more than allowed, is `InvalidInput`.
pub(super) fn limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize> {
    match asked {
        None => Ok(default),
        Some(count) if (1..=most).contains(&count) => Ok(count),
        Some(count) => {
            Err(Error::invalid(format!("max_results is {count} and not between 1 and {most}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_foreign_tokens_are_named() {
        let token = write(&(7_usize, "é\"")).unwrap();
        assert_eq!(read::<(usize, String)>(&token).unwrap(), (7, "é\"".to_owned()));
        for foreign in ["", "x", "zz", "+1", "31é", "7b7d"] {
            assert!(read::<usize>(foreign).is_err(), "{foreign}");
        }
        assert!(limit(Some(0), 1, 9).is_err() && limit(Some(10), 1, 9).is_err());
    }
}
