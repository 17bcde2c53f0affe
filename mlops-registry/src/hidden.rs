//! A text that is sent and never shown.

use mlops_core::{Result, config::Secret};
use std::fmt;

/// What nobody may see.
#[derive(Clone)]
pub(crate) enum Hidden {
    /// Read when it is needed.
    Kept(Secret),
    Text(String),
}

impl Hidden {
    pub(crate) fn reveal(&self) -> Result<String> {
        match self {
            Self::Kept(secret) => secret.reveal().map(|text| text.expose().to_owned()),
            Self::Text(text) => Ok(text.clone()),
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(secret) => fmt::Debug::fmt(secret, f),
            Self::Text(_) => f.write_str("…"),
        }
    }
}
