//! Names and identities: each parses, prints back the same, and says what is wrong with a bad one.

use crate::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

/// Where identities come from. Passed in, so that a test or a replay can fix them.
pub trait IdSource: fmt::Debug + Send + Sync {
    /// A value that no other call, on this or any machine, returns.
    fn next(&self, now: Timestamp) -> u128;
}

/// UUID version 7: sorts by time, 74 random bits from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next(&self, now: Timestamp) -> u128 {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        let random = uuid::Uuid::new_v4().into_bytes();
        let mut tail = [0_u8; 10];
        tail.copy_from_slice(&random[..10]);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid().as_u128()
    }
}

/// As [`RandomIds`], several times faster: asks the operating system for the random bits of 64
/// identities at once. Shared, it is one pool; a process that forks without `exec` needs another.
#[derive(Default)]
pub struct PooledIds(Mutex<Pool>);

/// Random bytes, of which the last ones are left.
struct Pool {
    bytes: [u8; 64 * TAIL],
    left: usize,
}

/// Bytes of an identity beside its time.
const TAIL: usize = 10;

impl Default for Pool {
    fn default() -> Self {
        Self { bytes: [0; 64 * TAIL], left: 0 }
    }
}

impl PooledIds {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    fn tail(&self) -> [u8; TAIL] {
        // A thread that panicked here has at worst used bytes up.
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Pool { bytes, left } = &mut *pool;
        if *left < TAIL {
            getrandom::fill(bytes).expect("the operating system gives random bits");
            *left = bytes.len();
        }
        *left -= TAIL;
        let mut tail = [0; TAIL];
        tail.copy_from_slice(&bytes[*left..*left + TAIL]);
        tail
    }
}

impl IdSource for PooledIds {
    fn next(&self, now: Timestamp) -> u128 {
        let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.tail()).into_uuid().as_u128()
    }
}

impl fmt::Debug for PooledIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: they are identities to come.
        f.write_str("PooledIds")
    }
}

/// A 128-bit identity that prints as 32 hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// From its 128 bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// Its 128 bits.
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_hex(text).map(Self).ok_or_else(|| {
                    Error::invalid(format!(
                        concat!("not a ", stringify!($name), " (32 hexadecimal digits): {:?}"), text))
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

/// Lower or upper case; nothing but digits, so no sign as `from_str_radix` would allow.
fn parse_hex(text: &str) -> Option<u128> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

hex_id! {
    /// Names one answered request for ever: outcomes, the inference log and `mlops why` refer to it.
    /// A request of several rows has one id; records and outcomes carry the `row` beside it.
    PredictionId
}
hex_id! {
    /// Names one tracked execution.
    RunId
}
hex_id! {
    /// Names one event of the record; appending the same id twice adds it once.
    EventId
}

/// A checked piece of text, shared when cloned.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text; the error says which rule it breaks.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self> {
                let text = text.into();
                let check: fn(&str) -> Result<(), String> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(rule) => Err(Error::invalid(format!(
                        concat!("not a ", stringify!($name), ": {:?} {}"), text, rule))),
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id! {
    /// A decimal number, as MLflow clients expect; `0` is the default experiment.
    ExperimentId, |text| match text.parse::<i64>() {
        Ok(number) if number >= 0 && number.to_string() == text => Ok(()),
        _ => Err("is not a decimal number".to_owned()),
    }
}
text_id! {
    /// A registered model: 1 to 256 characters, no `/`, `:`, `@` or control characters.
    ModelName, |text| {
        let banned = |c: char| matches!(c, '/' | ':' | '@') || c.is_control();
        match text {
            "" => Err("is empty".to_owned()),
            "." | ".." => Err("would name a folder".to_owned()),
            _ if text.chars().count() > 256 => Err("has more than 256 characters".to_owned()),
            _ => text.chars().find(|&c| banned(c)).map_or(Ok(()), |c| Err(format!("contains {c:?}"))),
        }
    }
}
text_id! {
    /// A movable name of a model version: word characters and `-`, 1 to 255;
    /// `latest` and `v1`, `v2` … mean something already.
    Alias, |text| {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let digits = text.strip_prefix(['v', 'V']).unwrap_or_default();
        match text {
            "" => Err("is empty".to_owned()),
            _ if text.chars().count() > 255 => Err("has more than 255 characters".to_owned()),
            _ if text.eq_ignore_ascii_case("latest") => Err("is reserved".to_owned()),
            _ if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
                Err("looks like a version number".to_owned()),
            _ => text.chars().find(|&c| !word(c)).map_or(Ok(()), |c| Err(format!("contains {c:?}"))),
        }
    }
}

/// One immutable version of a registered model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VersionId {
    /// The registered model.
    pub model: ModelName,
    /// Its number: 1, 2, 3 …
    pub version: u64,
}

impl VersionId {
    /// The version with this number.
    pub fn new(model: ModelName, version: u64) -> Self {
        Self { model, version }
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.model, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hex_ids_print_and_parse(bits: u128) {
            let id = PredictionId::from_u128(bits);
            prop_assert_eq!(id.to_string().parse::<PredictionId>().unwrap(), id);
        }

        #[test]
        fn text_ids_print_and_parse(text in "\\PC{0,12}") {
            if let Ok(name) = ModelName::new(text.as_str()) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn pooled_identities_are_of_version_7_and_all_different() {
        let ids = Arc::new(PooledIds::new());
        let now = Timestamp::from_unix_millis(1_700_000_000_000);
        let threads = (0..4).map(|_| {
            let ids = Arc::clone(&ids);
            std::thread::spawn(move || (0..1000).map(|_| ids.next(now)).collect::<Vec<_>>())
        });
        let threads: Vec<_> = threads.collect();
        let mut all: Vec<u128> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        for &id in &all {
            let id = uuid::Uuid::from_u128(id);
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(id.as_u128() >> 80, 1_700_000_000_000);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4000);
    }

    #[test]
    fn bad_ones_say_why() {
        let why = |error: Error| error.to_string();
        assert_eq!(
            why(ModelName::new("a/b").unwrap_err()),
            "not a ModelName: \"a/b\" contains '/'"
        );
        assert_eq!(
            why(Alias::new("v12").unwrap_err()),
            "not a Alias: \"v12\" looks like a version number"
        );
        assert!(
            Alias::new("Latest").is_err() && Alias::new("v12a").is_ok() && Alias::new("v").is_ok()
        );
        assert!(ExperimentId::new("007").is_err() && ExperimentId::new("7").is_ok());
        assert!("+0000000000000000000000000000001".parse::<RunId>().is_err());
    }

    #[test]
    fn random_ids_sort_by_time_and_differ() {
        let early = RandomIds.next(Timestamp::from_unix_millis(1_000));
        let late = RandomIds.next(Timestamp::from_unix_millis(2_000));
        assert!(early < late);
        assert_ne!(late, RandomIds.next(Timestamp::from_unix_millis(2_000)));
    }
}
