//! A profile as bytes: a version, a digest, and the profile in that version's form.

use super::{Counts, MAX_ROWS, Profile, ProfileSpec, Source, version1, version2};
use mlops_core::{Error, Result};
use std::sync::Arc;

/// The version that a fit of this build is written in; it reads 1 to this.
pub(super) const VERSION: u32 = 2;

/// What all versions hold, before it is known whether rows could have made it.
pub(super) struct Parts {
    pub(super) spec: ProfileSpec,
    pub(super) own_cells: bool,
    pub(super) rows: u64,
    pub(super) counts: Vec<Counts>,
    pub(super) source: Option<Source>,
}

impl Profile {
    /// Its bytes, the same for the same counts whatever the order they came in.
    ///
    /// Version 2 is binary: `mlops-profile`, a line feed, the version, a SHA-256 of all that
    /// follows and of the version, the profile; a numeric column of 1,024 cells takes 20 to 40 KiB.
    /// Cells that were read from version 1 are written as version 1, a JSON object, so that
    /// replicas of the release before can still read windows counted beside the same reference.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if self.spec.version == 1 { version1::write(self) } else { Ok(version2::write(self)) }
    }

    /// A profile from its bytes. Damaged ones are `Corrupt`, those of a newer version
    /// `Unsupported`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let parts = match version2::body(bytes)? {
            Some(body) => version2::read(body)?,
            None => version1::read(bytes)?,
        };
        parts.checked()
    }
}

/// What a reader says of a profile by a later build.
pub(super) fn newer(version: u32) -> Error {
    Error::unsupported(format!("profile version {version}; this build reads 1 to {VERSION}"))
}

/// What a reader says of a digest that is another's.
pub(super) fn mismatched() -> Error {
    Error::corrupt("a profile whose digest does not match its bytes")
}

impl Parts {
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
            spec: Arc::new(self.spec),
            own_cells: self.own_cells,
            rows: self.rows,
            counts: self.counts,
            source: self.source,
        })
    }
}
