//! How connections of ours are encrypted.

use crate::{Error, Result};
use std::sync::Arc;

/// How a client of ours speaks TLS: by ring, whatever the host has or has not installed, and trusting
/// whom the machine trusts. For an address that is not `encrypted` it trusts nobody, and reads no
/// certificates.
///
/// `Unavailable` if this machine's certificates cannot be used.
pub fn client_config(encrypted: bool) -> Result<rustls::ClientConfig> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_process_is_installed() {
        assert!(client_config(false).unwrap().alpn_protocols.is_empty());
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
