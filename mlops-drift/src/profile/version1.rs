//! Version 1 of a profile's bytes: JSON with a version and a digest.

use super::{
    Counts, Profile, ProfileSpec,
    bytes::{Parts, mismatched, newer},
};
use mlops_core::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

const FORMAT: &str = "mlops-profile";
const VERSION: u32 = 1;

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

pub(super) fn write(profile: &Profile) -> Result<Vec<u8>> {
    let body = Body {
        rows: profile.rows,
        made_its_cells: profile.own_cells,
        spec: Cow::Borrowed(&profile.spec),
        counts: Cow::Borrowed(&profile.counts),
    };
    let body = serde_json::value::to_raw_value(&body).map_err(unwritable)?;
    let envelope = Envelope {
        format: FORMAT.into(),
        version: VERSION,
        digest: digest(VERSION, body.get()),
        profile: Cow::Owned(body),
    };
    serde_json::to_vec(&envelope).map_err(unwritable)
}

pub(super) fn read(bytes: &[u8]) -> Result<Parts> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    let sound = envelope.digest == digest(envelope.version, envelope.profile.get());
    if envelope.format != FORMAT || !sound {
        return Err(mismatched());
    }
    if envelope.version != VERSION {
        return Err(newer(envelope.version));
    }
    let body: Body<'_> = serde_json::from_str(envelope.profile.get()).map_err(unreadable)?;
    Ok(Parts {
        spec: body.spec.into_owned(),
        own_cells: body.made_its_cells,
        rows: body.rows,
        counts: body.counts.into_owned(),
        source: None,
    })
}

/// Covers the version as well: a damaged one is not taken for a newer one.
fn digest(version: u32, profile: &str) -> Digest {
    Digest::of(format!("{FORMAT} {version}\n{profile}"))
}

fn unwritable(cause: serde_json::Error) -> Error {
    Error::internal("a profile could not be written").with_source(cause)
}

fn unreadable(cause: serde_json::Error) -> Error {
    Error::corrupt("bytes that are not a profile").with_source(cause)
}
