//! Which model of which server is meant, and every bound on asking it.

use super::address::Address;
use crate::http::oip::Limits;
use mlops_core::{Result, config::Secret, signature::ModelSignature};
use std::{fmt, sync::Arc, time::Duration};

/// A model of another server, and how it is asked.
///
/// ```
/// use mlops_core::config::Secret;
/// use mlops_serve::engines::remote::RemoteConfig;
/// use std::time::Duration;
///
/// let config = RemoteConfig::of_model("https://models.example/v2/models/risk/versions/3")?
///     .with_timeout(Duration::from_millis(200))
///     .with_api_key(Secret::Env("RISK_KEY".to_owned()));
/// assert_eq!((&*config.url, &*config.model), ("https://models.example", "risk"));
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct RemoteConfig {
    /// The server: `http://`, `https://`, `grpc://` or `grpcs://`, host and port; over HTTP a path may
    /// follow, below which `/v2` lies.
    pub url: String,
    /// The model's name there.
    pub model: Arc<str>,
    /// The version that must answer; whichever does if `None`.
    pub version: Option<Arc<str>>,
    /// What the protocol cannot say of the model: which BYTES are text, what may be null, names of
    /// columns. Types and shapes must be those that the server says, if it says any. With it the server may come
    /// later than its callers.
    pub signature: Option<ModelSignature>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may take, with all that is tried again; a request's own deadline may be earlier.
    pub timeout: Duration,
    /// Requests that the server has to answer at a time.
    pub max_in_flight: usize,
    /// Requests that wait for their turn; more are `Overloaded`.
    pub queue: usize,
    /// Connections that are kept open while nobody needs them.
    pub max_idle: usize,
    /// How long they are. A server that closes one just as a request is sent has not answered it, so this
    /// is shorter than servers wait: those of Python often do for 5 s.
    pub idle_timeout: Duration,
    /// Bytes of one answer; more is `TooLarge`.
    pub max_answer_bytes: usize,
    /// Requests and answers over this many bytes are written and read on a thread of their own each.
    pub max_inline_bytes: usize,
    /// Bounds on what an answer may hold.
    pub limits: Limits,
    /// Whether tensors travel as raw bytes over HTTP; if `None`, where the server says that it knows how.
    pub binary: Option<bool>,
    /// Headers of every request, by name.
    pub headers: Vec<(String, HeaderSource)>,
    /// What is tried again.
    pub retries: Retries,
    /// So many failures in a row and the server is left alone; at least 1.
    pub failures: u32,
    /// For how long it is; then one request tries it.
    pub cool_down: Duration,
}

/// Where a header's value comes from.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderSource {
    /// It is this.
    Plain(String),
    /// It is read when the server is connected to: what stands before it, and where it is.
    Secret(&'static str, Secret),
}

/// What is tried again, how often and how soon.
///
/// Always safe, for the server says that it computed nothing: no connection came about, 429 and 503,
/// `RESOURCE_EXHAUSTED` and `UNAVAILABLE`. A connection that broke before the answer began, and 502, say
/// nothing of what the server did: see [`unanswered`](Self::unanswered). Whatever comes after the first
/// byte of an answer is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// How often a request is sent at most; at least 1.
    pub attempts: u32,
    /// The longest wait before the second time; it doubles with each, and each is a random part of it.
    pub base: Duration,
    /// The longest wait of all. A server that asks for more with `Retry-After` gets it, if the deadline is
    /// not before.
    pub most: Duration,
    /// Whether a request that the server may have computed, and did not answer, is sent again.
    pub unanswered: bool,
}

impl Default for Retries {
    /// 3 times, 50 ms, 2 s; not what may have been computed.
    fn default() -> Self {
        let (base, most) = (Duration::from_millis(50), Duration::from_secs(2));
        Self { attempts: 3, base, most, unanswered: false }
    }
}

impl Retries {
    /// Sets how often a request is sent at most; at least 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the longest wait before the second time, and of all.
    #[must_use]
    pub fn with_waits(mut self, base: Duration, most: Duration) -> Self {
        (self.base, self.most) = (base, most);
        self
    }

    /// Sets whether a request that the server may have computed is sent again.
    #[must_use]
    pub fn with_unanswered(mut self, unanswered: bool) -> Self {
        self.unanswered = unanswered;
        self
    }
}

impl RemoteConfig {
    /// A model of this server: 2 s to connect, 30 s to answer, 64 requests at a time and 256 waiting, 16
    /// idle connections for 4 s, answers of 64 MiB, 5 failures and 10 s.
    pub fn new(url: impl Into<String>, model: impl Into<Arc<str>>) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            version: None,
            signature: None,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(30),
            max_in_flight: 64,
            queue: 256,
            max_idle: 16,
            idle_timeout: Duration::from_secs(4),
            max_answer_bytes: 64 << 20,
            max_inline_bytes: 256 << 10,
            limits: Limits::default(),
            binary: None,
            headers: Vec::new(),
            retries: Retries::default(),
            failures: 5,
            cool_down: Duration::from_secs(10),
        }
    }

    /// The model that a URL names: `http://host:port/v2/models/NAME`, perhaps with `/versions/N`; with
    /// `grpc://` the same. `InvalidInput` if it is no such URL.
    pub fn of_model(url: &str) -> Result<Self> {
        let (server, model, version) = Address::parse_model(url)?;
        let mut config = Self::new(server, model);
        config.version = version;
        Ok(config)
    }

    /// As a configuration file says it.
    #[cfg(feature = "definitions")]
    #[must_use]
    pub fn with_definition(
        mut self,
        definition: &crate::compose::definition::RemoteDefinition,
    ) -> Self {
        let set = |own: &mut Duration, ms: Option<u64>| {
            *own = ms.map_or(*own, Duration::from_millis);
        };
        set(&mut self.connect_timeout, definition.connect_timeout_ms);
        set(&mut self.timeout, definition.timeout_ms);
        set(&mut self.cool_down, definition.cool_down_ms);
        self.max_in_flight = definition.max_in_flight.unwrap_or(self.max_in_flight);
        self.queue = definition.queue.unwrap_or(self.queue);
        self.failures = definition.failures.unwrap_or(self.failures);
        self.retries.attempts = definition.attempts.unwrap_or(self.retries.attempts);
        let unanswered = definition.retry_unanswered;
        self.retries.unanswered = unanswered.unwrap_or(self.retries.unanswered);
        self.binary = definition.binary.or(self.binary);
        for (name, secret) in &definition.headers {
            self = self.with_secret_header(name, secret.clone());
        }
        match &definition.api_key {
            Some(key) => self.with_api_key(key.clone()),
            None => self,
        }
    }

    /// Sends this header's value with every request.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), HeaderSource::Plain(value.into())));
        self
    }

    /// Sends this header with every request.
    #[must_use]
    pub fn with_secret_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.push((name.into(), HeaderSource::Secret("", value)));
        self
    }

    /// Presents this key: `Authorization: Bearer …`.
    #[must_use]
    pub fn with_api_key(mut self, key: Secret) -> Self {
        self.headers.push(("authorization".to_owned(), HeaderSource::Secret("Bearer ", key)));
        self
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $with:ident => $field:ident: $type:ty,)*) => {
        impl RemoteConfig {
            $($(#[$doc])*
            #[must_use]
            pub fn $with(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

setters! {
    /// Sets the version that must answer.
    with_version => version: Option<Arc<str>>,
    /// Sets what the protocol cannot say of the model.
    with_signature => signature: Option<ModelSignature>,
    /// Sets how long a connection may take to come about.
    with_connect_timeout => connect_timeout: Duration,
    /// Sets how long an answer may take.
    with_timeout => timeout: Duration,
    /// Sets how many requests the server has to answer at a time.
    with_max_in_flight => max_in_flight: usize,
    /// Sets how many requests wait for their turn.
    with_queue => queue: usize,
    /// Sets how many connections are kept open while nobody needs them.
    with_max_idle => max_idle: usize,
    /// Sets for how long they are.
    with_idle_timeout => idle_timeout: Duration,
    /// Sets the most bytes of one answer.
    with_max_answer_bytes => max_answer_bytes: usize,
    /// Sets what is written and read on the client's own thread.
    with_max_inline_bytes => max_inline_bytes: usize,
    /// Sets bounds on what an answer may hold.
    with_limits => limits: Limits,
    /// Sets whether tensors travel as raw bytes over HTTP.
    with_binary => binary: Option<bool>,
    /// Sets what is tried again.
    with_retries => retries: Retries,
    /// Sets after how many failures in a row the server is left alone.
    with_failures => failures: u32,
    /// Sets for how long it is.
    with_cool_down => cool_down: Duration,
}

impl fmt::Debug for RemoteConfig {
    /// Names of headers, never what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = Address::parse(&self.url).map(|address| address.to_string());
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("RemoteConfig")
            .field("server", &server.unwrap_or_default())
            .field("model", &self.model)
            .field("version", &self.version)
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HeaderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Secret(_, secret) => secret.fmt(f),
        }
    }
}
