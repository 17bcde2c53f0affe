//! How connections are encrypted.

use mlops_core::{Error, Result};
use std::sync::Arc;

/// By ring, whatever the host has or has not installed, and trusting whom the machine trusts. An address
/// that is not encrypted trusts nobody.
pub(crate) fn config(encrypted: bool) -> Result<rustls::ClientConfig> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let failed = |cause: rustls::Error| {
        Error::unavailable("the certificates of this machine cannot be used").with_source(cause)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(failed)?;
    let config = if encrypted {
        config.with_platform_verifier().map_err(failed)?
    } else {
        config.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(config.with_no_client_auth())
}
