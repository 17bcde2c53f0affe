//! Stored JSON says which version it is; what we do not know is refused by name.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// Writes 1, reads nothing but 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version1;

impl Serialize for Version1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for Version1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format!("version {other} is not 1"))),
        }
    }
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// Reads versioned JSON: another version is `Unsupported`, other mistakes are `InvalidInput`.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    let bad =
        |cause: serde_json::Error| Error::invalid(format!("{what}: {cause}")).with_source(cause);
    let Head { version } = serde_json::from_str(text).map_err(bad)?;
    if version != 1 {
        return Err(Error::unsupported(format!("{what}: version {version}, only 1 is known")));
    }
    serde_json::from_str(text).map_err(bad)
}

/// Writes JSON that people can read.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("text keys and finite numbers are valid JSON")
}
