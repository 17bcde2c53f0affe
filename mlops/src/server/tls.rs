//! TLS: files of a certificate and its key, read again when they change, and handshakes with a bound.

use super::connections::Connection;
use crate::{Error, Result};
use clap::Args;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};

/// The flags of every command that listens.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsFiles {
    /// Speak TLS with this certificate: PEM, the chain after it; read again when it changes, and on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(10);
/// The longest that a client may take until both can speak.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The first byte of every handshake.
const HANDSHAKE_RECORD: u8 = 22;

impl TlsFiles {
    /// The flags, or these where there is none.
    #[must_use]
    pub(crate) fn or(self, cert: Option<PathBuf>, key: Option<PathBuf>) -> Self {
        // A certificate has its own key: they are taken together.
        if self.tls_cert.is_some() { self } else { Self { tls_cert: cert, tls_key: key } }
    }

    /// Reads them, if they are given. `InvalidInput` for what is no certificate, no key, or a key of
    /// another certificate, and for one without the other.
    pub(crate) fn open(&self) -> Result<Option<Tls>> {
        let (cert, key) = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return Ok(None),
            _ => {
                return Err(Error::invalid(
                    "a certificate and its key go together: one is missing",
                ));
            }
        };
        let files = Files { cert: cert.clone(), key: key.clone() };
        let (seen, now) = (files.modified(), files.read()?);
        Ok(Some(Tls {
            current: Arc::new(Current { files, now: RwLock::new(Arc::new(now)) }),
            seen,
        }))
    }
}

/// A certificate that is in use. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    current: Arc<Current>,
    /// What the files were when they were read first.
    seen: Modified,
}

type Modified = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Accepts connections for these protocols, by their names in ALPN.
    pub(super) fn acceptor(&self, protocols: &[&[u8]]) -> Result<TlsAcceptor> {
        let failed = |cause| Error::internal("setting TLS up failed").with_source(cause);
        // Versions 1.3 and 1.2; older ones are not compiled in.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let resolver = Arc::<Current>::clone(&self.current);
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again when they change or somebody asks, until the process ends. Files that
    /// cannot be used are named in the log, and what was there stays in use.
    pub(crate) async fn follow(self, mut hangups: Hangups) {
        let mut seen = self.seen;
        loop {
            let is_asked = timeout(LOOK, hangups.next()).await.is_ok();
            let now = self.current.files.modified();
            if !is_asked && now == seen {
                continue;
            }
            seen = now;
            match self.current.files.read() {
                Ok(key) => {
                    let key = Arc::new(key);
                    // Nothing panics while it is held.
                    let mut current =
                        self.current.now.write().unwrap_or_else(PoisonError::into_inner);
                    *current = key;
                    tracing::info!("the certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(%error, "the certificate stays as it was");
                }
            }
        }
    }
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<CertifiedKey> {
        let bytes =
            |path: &Path| std::fs::read(path).map_err(|error| Error::io(path.display(), error));
        let wrong = |path: &Path, what: &str| Error::invalid(format!("{}: {what}", path.display()));
        let chain =
            CertificateDer::pem_slice_iter(&bytes(&self.cert)?).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| wrong(&self.cert, "is not valid PEM"))?;
        if chain.is_empty() {
            return Err(wrong(&self.cert, "holds no certificate in PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(&bytes(&self.key)?);
        let key = key.map_err(|_| wrong(&self.key, "holds no private key in PEM"))?;
        let provider: CryptoProvider = ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider);
        // The cause says what is wrong with either, and quotes neither.
        certified.map_err(|cause| {
            let (cert, key) = (self.cert.display(), self.key.display());
            Error::invalid(format!("{cert} and {key} do not go together: {cause}"))
        })
    }

    fn modified(&self) -> Modified {
        [&self.cert, &self.key].map(|path| {
            let about = std::fs::metadata(path).ok()?;
            Some((about.modified().ok()?, about.len()))
        })
    }
}

/// What handshakes are answered with.
struct Current {
    files: Files,
    now: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&now))
    }
}

impl fmt::Debug for Current {
    /// Keys are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The stream under a connection, once both sides can speak; `None` for a client that cannot, or takes
/// too long. One that speaks HTTP without TLS is told so in its own words.
pub(super) async fn handshake(
    acceptor: &TlsAcceptor,
    mut connection: Connection,
) -> Option<TlsStream<Connection>> {
    let handshake = async {
        if connection.first_byte().await? != Some(HANDSHAKE_RECORD) {
            let _ = connection.write_all(PLAIN).await;
            let _ = connection.shutdown().await;
            return Ok(None);
        }
        acceptor.accept(connection).await.map(Some)
    };
    match timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
        Err(_) => None,
    }
}

const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n\
    content-length: 51\r\n\r\n{\"error\":\"this port speaks TLS: ask with https://\"}";

/// SIGHUPs of this process, from when it is made; none on other systems than Unix.
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    signals: tokio::signal::unix::Signal,
}

impl Hangups {
    /// Begins to hear them: they no longer end the process.
    pub(crate) fn listen() -> Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |source| Error::io("listening for signals", source);
            let signals = signal(SignalKind::hangup()).map_err(failed)?;
            Ok(Self { signals })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        let heard = self.signals.recv().await.is_some();
        #[cfg(not(unix))]
        let heard = false;
        if !heard {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
