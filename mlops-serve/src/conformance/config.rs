//! What is asked, and how much of it.

use std::time::Duration;

/// Which server is checked, and how.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConformanceConfig {
    /// Where the protocol's paths begin: `http://HOST:PORT`, perhaps with a path above `/v2`.
    pub url: String,
    /// `HOST:PORT` of gRPC; its checks are skipped without.
    pub grpc: Option<String>,
    /// The models that are asked, all that the server lists if none is named. The first is the subject
    /// of every check, the others lend their datatypes.
    pub models: Vec<String>,
    /// An inference request that the first model answers; made of its metadata if absent.
    pub request: Option<serde_json::Value>,
    /// Mutated bodies for each encoding.
    pub mutations: usize,
    /// What mutations are made from.
    pub seed: u64,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Only checks whose names begin with this.
    pub only: Option<String>,
}

impl ConformanceConfig {
    /// Every check of HTTP, 1,000 mutated bodies, 20 s an answer.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            grpc: None,
            models: Vec::new(),
            request: None,
            mutations: 1000,
            seed: 1,
            timeout: Duration::from_secs(20),
            only: None,
        }
    }

    /// `HOST:PORT` of gRPC.
    #[must_use]
    pub fn with_grpc(mut self, address: impl Into<String>) -> Self {
        self.grpc = Some(address.into());
        self
    }

    /// One more model to ask; the first is the subject.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>) -> Self {
        self.models.push(name.into());
        self
    }

    /// A request that the first model answers.
    #[must_use]
    pub fn with_request(mut self, request: serde_json::Value) -> Self {
        self.request = Some(request);
        self
    }

    /// Mutated bodies for each encoding.
    #[must_use]
    pub fn with_mutations(mut self, bodies: usize) -> Self {
        self.mutations = bodies;
        self
    }

    /// What mutations are made from.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long an answer may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Only checks whose names begin with this.
    #[must_use]
    pub fn with_only(mut self, prefix: impl Into<String>) -> Self {
        self.only = Some(prefix.into());
        self
    }

    pub(super) fn wants(&self, check: &str) -> bool {
        self.only.as_ref().is_none_or(|prefix| check.starts_with(prefix.as_str()))
    }
}
