//! What a client is connected with.

use super::Auth;
use crate::setters::setters;
use mlops_core::{Clock, SystemClock};
use reqwest::Url;
use std::{fmt, sync::Arc, time::Duration};

/// How a client behaves. Its `Debug` shows no credentials, those in the proxy's URL neither.
#[derive(Clone)]
#[non_exhaustive]
pub struct RestConfig {
    /// How it signs in; a user and a password in the URL if it does not say.
    pub auth: Auth,
    /// Who starts runs, where the server does not know who asks. Nobody by default.
    pub user: Option<Arc<str>>,
    /// A proxy that every request goes through. The environment's is not used unless it is named here.
    pub proxy: Option<String>,
    /// The longest that it tries to reach the server. 10 s.
    pub connect_timeout: Duration,
    /// The longest that one answer may take, and that a transfer may stand still. 60 s.
    pub timeout: Duration,
    /// How often a request is sent that may be repeated, at most. 5.
    pub attempts: u32,
    /// How long a request may be tried again, also where the server asks to wait longer. 60 s.
    pub patience: Duration,
    /// How many calls wait in line; more wait outside. 256.
    pub queue: usize,
    /// How many calls are under way at the same time. 32.
    pub calls: usize,
    /// The most bytes of one answer that is no artifact. 256 MiB.
    pub answer_limit: usize,
    /// How often `watch` looks. 1 s.
    pub poll_interval: Duration,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Default for RestConfig {
    fn default() -> Self {
        Self {
            auth: Auth::none(),
            user: None,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_mins(1),
            attempts: 5,
            patience: Duration::from_mins(1),
            queue: 256,
            calls: 32,
            answer_limit: 256 << 20,
            poll_interval: Duration::from_secs(1),
            clock: Arc::new(SystemClock),
        }
    }
}

impl RestConfig {
    /// As MLflow's own clients are configured: `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and
    /// `MLFLOW_TRACKING_PASSWORD`, asked of `lookup`: a host decides what an environment is.
    ///
    /// ```
    /// use mlops_registry::RestConfig;
    ///
    /// let config = RestConfig::from_env(|name| (name == "MLFLOW_TRACKING_TOKEN").then(|| "s3cret".into()));
    /// assert!(!format!("{config:?}").contains("s3cret"));
    /// ```
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let auth = match lookup("MLFLOW_TRACKING_TOKEN") {
            Some(token) => Auth::bearer_text(token),
            None => match lookup("MLFLOW_TRACKING_USERNAME") {
                Some(user) => {
                    let password = lookup("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
                    Auth::basic_text(user, password)
                }
                None => Auth::none(),
            },
        };
        Self::default().with_auth(auth)
    }
}

impl fmt::Debug for RestConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestConfig")
            .field("auth", &self.auth)
            .field("user", &self.user)
            .field("proxy", &self.proxy.as_deref().map(without_credentials))
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("patience", &self.patience)
            .field("queue", &self.queue)
            .field("calls", &self.calls)
            .field("answer_limit", &self.answer_limit)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

/// Where a URL leads; nothing of one that cannot be read.
fn without_credentials(url: &str) -> String {
    let place = |url: Url| Some(format!("{}://{}", url.scheme(), url.host_str()?));
    Url::parse(url).ok().and_then(place).unwrap_or_else(|| "…".to_owned())
}

setters!(RestConfig {
    /// Signs in like this.
    with_auth => auth: Auth,
    /// Says who starts runs.
    with_user => user: Arc<str>,
    /// Sends every request through a proxy.
    with_proxy => proxy: String,
    /// Sets the longest that it tries to reach the server.
    with_connect_timeout => connect_timeout: Duration,
    /// Sets the longest that one answer may take.
    with_timeout => timeout: Duration,
    /// Sets how often a request is sent, at most.
    with_attempts => attempts: u32,
    /// Sets how long a request may be tried again.
    with_patience => patience: Duration,
    /// Sets how many calls wait in line.
    with_queue => queue: usize,
    /// Sets how many calls are under way at the same time.
    with_calls => calls: usize,
    /// Sets the most bytes of one answer.
    with_answer_limit => answer_limit: usize,
    /// Sets how often `watch` looks.
    with_poll_interval => poll_interval: Duration,
    /// Takes the time from here.
    with_clock => clock: Arc<dyn Clock>,
});
