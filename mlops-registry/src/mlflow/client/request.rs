//! One request, before it is sent.

use crate::mlflow::wire::extension::IDEMPOTENCY_KEY;
use mlops_core::{Error, Result};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::{Method, Url};
use serde::Serialize;
use std::sync::Arc;

/// Where MLflow's API begins.
const API: &str = "api/2.0/mlflow/";
/// What a header cannot carry as it is.
const KEY: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// A request whose answer is JSON.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the server's address.
    path: String,
    query: Vec<(&'static str, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// Whether sending it twice does what sending it once does.
    pub(super) repeatable: bool,
    key: Option<Arc<str>>,
}

impl Request {
    fn new(method: Method, path: String) -> Self {
        let repeatable = method == Method::GET;
        Self { method, path, query: Vec::new(), body: None, repeatable, key: None }
    }

    /// Reads something of MLflow's API.
    pub(super) fn get(name: &str) -> Self {
        Self::new(Method::GET, format!("{API}{name}"))
    }

    /// Reads something else.
    pub(super) fn get_at(path: &str) -> Self {
        Self::new(Method::GET, path.to_owned())
    }

    /// Sends something to MLflow's API.
    pub(super) fn send(method: Method, name: &str, body: &impl Serialize) -> Result<Self> {
        Self::send_at(method, &format!("{API}{name}"), body)
    }

    /// Creates or searches.
    pub(super) fn post(name: &str, body: &impl Serialize) -> Result<Self> {
        Self::send(Method::POST, name, body)
    }

    /// Sends something elsewhere.
    pub(super) fn send_at(method: Method, path: &str, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|cause| Error::internal(format!("{path}: no JSON")).with_source(cause))?;
        Ok(Self { body: Some(body), ..Self::new(method, path.to_owned()) })
    }

    /// Adds a parameter of the query.
    #[expect(clippy::needless_pass_by_value, reason = "what is written here is mostly made for it")]
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds one that may be missing.
    #[must_use]
    pub(super) fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Sending it twice does what sending it once does.
    #[must_use]
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// The server does it once for this key.
    #[must_use]
    pub(super) fn with_key(mut self, key: Option<&Arc<str>>) -> Self {
        self.repeatable |= key.is_some();
        self.key = key.map(Arc::clone);
        self
    }

    /// The whole address.
    pub(super) fn url(&self, base: &Url) -> Url {
        let mut url = below(base, self.path.split('/'));
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    /// The header that carries the key. One that no header can carry as it is travels in percent signs.
    pub(super) fn key_header(&self) -> Option<(&'static str, String)> {
        let key = self.key.as_ref()?;
        let text = utf8_percent_encode(key, KEY).to_string();
        Some((IDEMPOTENCY_KEY, text))
    }
}

/// An address below another; each part is encoded, so that none leaves its place.
pub(super) fn below<'a>(base: &Url, parts: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}
