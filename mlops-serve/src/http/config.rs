//! Every bound of the router, in one place.

use super::oip::Limits;
use std::time::Duration;

/// Bounds and names of the router.
///
/// ```
/// use mlops_serve::http::HttpConfig;
///
/// let config = HttpConfig::default().with_max_body_bytes(1 << 20);
/// assert_eq!(config.max_body_bytes, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Bytes of one body, and of what it stands for if it is compressed; more is 413.
    pub max_body_bytes: usize,
    /// Bytes of a refused request's body that are read and dropped, so that a client that writes first
    /// and reads later sees why, and can go on on its connection; past this it is closed on it.
    pub max_drained_bytes: usize,
    /// Bytes of all bodies held at a time; more is 429.
    pub max_bytes_in_flight: usize,
    /// Bodies and outputs over this many bytes are read and written on the runtime's blocking
    /// threads, so that they delay nobody's timers.
    pub max_inline_bytes: usize,
    /// Answers of fewer bytes are not compressed, whatever their callers take.
    pub min_compressed_bytes: usize,
    /// How long a request may take, from its head to the answer: 408 while its body is still coming,
    /// 504 after. It needs a runtime with timers (`enable_time`); `None` needs none.
    pub timeout: Option<Duration>,
    /// How long a body that is still coming may pause; longer is 408. It needs timers as `timeout` does,
    /// within which it is; `None` bounds the whole alone.
    pub pause: Option<Duration>,
    /// Outcomes of one request; more is 413.
    pub max_outcomes: usize,
    /// Bounds on what one inference request may ask for.
    pub limits: Limits,
    /// The server's name in `GET /v2`.
    pub server_name: String,
    /// The server's version in `GET /v2`.
    pub server_version: String,
}

impl Default for HttpConfig {
    /// 64 MiB a body, 512 MiB in flight, 128 MiB drained, 256 KiB inline, compressed from 1 KiB, 60 s, 10,000
    /// outcomes.
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_drained_bytes: 128 << 20,
            max_bytes_in_flight: 512 << 20,
            max_inline_bytes: 256 << 10,
            min_compressed_bytes: 1 << 10,
            timeout: Some(Duration::from_mins(1)),
            pause: None,
            max_outcomes: 10_000,
            limits: Limits::default(),
            server_name: "mlops".to_owned(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl HttpConfig {
    /// Bytes of one body.
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Bytes of a body over the limit that are read and dropped.
    #[must_use]
    pub fn with_max_drained_bytes(mut self, bytes: usize) -> Self {
        self.max_drained_bytes = bytes;
        self
    }

    /// Bytes of all bodies held at a time.
    #[must_use]
    pub fn with_max_bytes_in_flight(mut self, bytes: usize) -> Self {
        self.max_bytes_in_flight = bytes;
        self
    }

    /// The largest body or output that is read or written on the runtime's own thread.
    #[must_use]
    pub fn with_max_inline_bytes(mut self, bytes: usize) -> Self {
        self.max_inline_bytes = bytes;
        self
    }

    /// The shortest answer that is compressed for a caller who asks for that.
    #[must_use]
    pub fn with_min_compressed_bytes(mut self, bytes: usize) -> Self {
        self.min_compressed_bytes = bytes;
        self
    }

    /// How long a request may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a body may pause.
    #[must_use]
    pub fn with_pause(mut self, pause: Option<Duration>) -> Self {
        self.pause = pause;
        self
    }

    /// Outcomes of one request.
    #[must_use]
    pub fn with_max_outcomes(mut self, outcomes: usize) -> Self {
        self.max_outcomes = outcomes;
        self
    }

    /// Bounds on what one inference request may ask for.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The server's name and version in `GET /v2`.
    #[must_use]
    pub fn with_server(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        (self.server_name, self.server_version) = (name.into(), version.into());
        self
    }
}
