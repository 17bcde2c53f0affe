//! Who acts, and how a server learns it.

use crate::Result;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, fmt::Debug, sync::Arc};

/// Who acts: a person, a service, a schedule. Part of every event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Principal {
    /// A name that a person recognises.
    pub name: Arc<str>,
    /// What it may approve as: `risk`, `admin` …
    #[serde(default)]
    pub roles: BTreeSet<Arc<str>>,
}

impl Principal {
    /// Somebody without roles.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), roles: BTreeSet::new() }
    }

    /// The host's own process: what acts where nobody has said who does.
    pub fn host() -> Self {
        Self::new("host")
    }

    /// Adds a role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Arc<str>>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// Whether it has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Tells who sent a request from the credentials that came with it.
pub trait Authenticator: Debug + Send + Sync {
    /// The value of the `Authorization` header, if there was one.
    ///
    /// # Behavior
    /// - unknown or missing credentials are `Unauthenticated`
    /// - neither the error nor `Debug` shows a credential
    fn authenticate(&self, authorization: Option<&str>) -> Result<Principal>;
}
