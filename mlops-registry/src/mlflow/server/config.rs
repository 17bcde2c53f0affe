//! How the server behaves.

use mlops_core::auth::Authenticator;
use std::sync::Arc;

/// How the server behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Says who calls; without one every call is the host's own.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// The longest body of a call with JSON, in bytes. 16 MiB.
    pub max_body_bytes: usize,
    /// The longest artifact, in bytes; `None` takes any.
    pub max_artifact_bytes: Option<u64>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { authenticator: None, max_body_bytes: 16 << 20, max_artifact_bytes: None }
    }
}

impl ServerConfig {
    /// Asks this who calls.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Sets the longest body of a call with JSON.
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Sets the longest artifact.
    #[must_use]
    pub fn with_max_artifact_bytes(mut self, bytes: u64) -> Self {
        self.max_artifact_bytes = Some(bytes);
        self
    }
}
