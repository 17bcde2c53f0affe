//! A profile as bytes: JSON with a version and a digest.

use super::{Counts, MAX_ROWS, Profile, ProfileSpec};
use mlops_core::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

const FORMAT: &str = "mlops-profile";
/// The version that this build writes; it reads 1 to this.
const VERSION: u32 = 1;

/// What any version looks like from outside.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    format: Cow<'a, str>,
    version: u32,
    /// Of format, version and the bytes of `profile`.
    digest: Digest,
    #[serde(borrow)]
    profile: Cow<'a, RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    rows: u64,
    made_its_cells: bool,
    spec: Cow<'a, ProfileSpec>,
    counts: Cow<'a, [Counts]>,
}

impl Profile {
    /// Its bytes, the same for the same counts whatever the order they came in: a JSON object with
    /// format, version, digest and profile.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let body = Body {
            rows: self.rows,
            made_its_cells: self.own_cells,
            spec: Cow::Borrowed(&self.spec),
            counts: Cow::Borrowed(&self.counts),
        };
        let profile = serde_json::value::to_raw_value(&body).map_err(unwritable)?;
        let envelope = Envelope {
            format: FORMAT.into(),
            version: VERSION,
            digest: digest(VERSION, profile.get()),
            profile: Cow::Owned(profile),
        };
        serde_json::to_vec(&envelope).map_err(unwritable)
    }

    /// A profile from its bytes. Damaged ones are `Corrupt`, those of a newer version
    /// `Unsupported`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
        let sound = envelope.digest == digest(envelope.version, envelope.profile.get());
        if envelope.format != FORMAT || !sound {
            return Err(Error::corrupt("a profile whose digest does not match its bytes"));
        }
        if envelope.version == 0 || envelope.version > VERSION {
            return Err(Error::unsupported(format!(
                "profile version {}; this build reads 1 to {VERSION}",
                envelope.version
            )));
        }
        let body: Body<'_> = serde_json::from_str(envelope.profile.get()).map_err(unreadable)?;
        body.checked()
    }
}

/// Covers the version as well: a damaged one is not taken for a newer one.
fn digest(version: u32, profile: &str) -> Digest {
    Digest::of(format!("{FORMAT} {version}\n{profile}"))
}

impl Body<'_> {
    fn checked(self) -> Result<Profile> {
        self.spec.check()?;
        if self.rows > MAX_ROWS || self.spec.columns.len() != self.counts.len() {
            return Err(Error::corrupt(
                "a profile of too many rows, or without counts of a column",
            ));
        }
        for (column, counts) in self.spec.columns.iter().zip(self.counts.iter()) {
            let checked = counts.check(&column.kind, self.rows);
            checked.map_err(|error| error.context(format!("column {:?}", column.name)))?;
        }
        Ok(Profile {
            spec: Arc::new(self.spec.into_owned()),
            own_cells: self.made_its_cells,
            rows: self.rows,
            counts: self.counts.into_owned(),
        })
    }
}

fn unwritable(cause: serde_json::Error) -> Error {
    Error::internal("a profile could not be written").with_source(cause)
}

fn unreadable(cause: serde_json::Error) -> Error {
    Error::corrupt("bytes that are not a profile").with_source(cause)
}
