//! One call: who calls, with what arguments.

use super::{Shared, args::Args, refusal::Refusal};
use crate::SqlStore;
use axum::{
    body::Bytes,
    extract::RawPathParams,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use mlops_core::{Error, ErrorKind, Principal, Result};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// What a call may do; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    Read,
    Write,
    Admin,
}

impl Right {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The greatest right that any of the principal's roles gives.
    fn of(principal: &Principal) -> Option<Self> {
        let all = [Self::Admin, Self::Write, Self::Read];
        all.into_iter().find(|right| principal.has_role(right.as_str()))
    }
}

/// What a call's body is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Arguments,
    /// Nothing yet: the call reads it.
    Body,
}

/// What a call is answered with: JSON, or an error.
pub(super) type Answer = BoxFuture<'static, Result<Value>>;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// The store, acting as who calls.
    pub(super) store: SqlStore,
    pub(super) args: Args,
    /// What the arguments would be read from, where the call does that itself.
    pub(super) body: Bytes,
    /// What makes a second call with it the same as the first.
    pub(super) key: Option<Arc<str>>,
    /// Whether one of our own clients asks, who reads more than MLflow's answers.
    pub(super) ours: bool,
    /// What the path holds: `model_id` …
    path: BTreeMap<String, String>,
    /// Whether somebody said who calls.
    authenticated: bool,
}

impl Call {
    /// Reads a call; refuses one that its caller may not make.
    pub(super) fn new(
        shared: &Shared,
        (needed, takes): (Right, Takes),
        (method, headers): (&Method, &HeaderMap),
        path: &RawPathParams,
        query: &str,
        mut body: Bytes,
    ) -> Result<Self> {
        let store = authorized(shared, needed, headers)?;
        let args = match *method {
            Method::GET => Args::from_query(query),
            // Without a body there is nothing that could be something else.
            Method::DELETE if body.is_empty() => Args::default(),
            _ => {
                json_only(headers)?;
                match takes {
                    Takes::Arguments => Args::from_json(&std::mem::take(&mut body))?,
                    Takes::Body => Args::default(),
                }
            }
        };
        let key = headers.get("idempotency-key").map(|key| key.to_str().map(Arc::from));
        let key = key.transpose().map_err(|_| Error::invalid("the idempotency key is no text"))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let ours = agent.is_some_and(|agent| agent.starts_with("mlops/"));
        let authenticated = shared.config.authenticator.is_some();
        Ok(Self { store, args, body, key, ours, path, authenticated })
    }

    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> Result<&str> {
        let part = self.path.get(name).map(String::as_str);
        part.ok_or_else(|| Error::internal(format!("the route has no {name}")))
    }

    /// The store acting as whom the client names, which counts only where nobody has to prove it.
    pub(super) fn store_as(&self, user: Option<&str>) -> SqlStore {
        match user.filter(|user| !user.is_empty() && !self.authenticated) {
            Some(user) => self.store.acting_as(Principal::new(user)),
            None => self.store.clone(),
        }
    }
}

/// The store acting as who calls; refuses who may not do what is needed.
pub(super) fn authorized(shared: &Shared, needed: Right, headers: &HeaderMap) -> Result<SqlStore> {
    let Some(authenticator) = &shared.config.authenticator else {
        return Ok(shared.store.clone());
    };
    let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let principal = authenticator.authenticate(credentials)?;
    match Right::of(&principal) {
        Some(right) if right >= needed => Ok(shared.store.acting_as(principal)),
        _ => {
            let text =
                format!("{principal} may not do this: it needs the role {:?}", needed.as_str());
            Err(Error::new(ErrorKind::PermissionDenied, text))
        }
    }
}

/// MLflow takes nothing but JSON in a body.
fn json_only(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let text = format!("Bad Request. Content-Type must be application/json, and is {kind:?}");
    Err(Error::invalid(text))
}

/// JSON as MLflow writes it: indented by two.
pub(super) fn json(answer: Result<Value>) -> Response {
    let body = answer.and_then(|value| {
        serde_json::to_string_pretty(&value)
            .map_err(|cause| Error::internal("an answer has no JSON").with_source(cause))
    });
    match body {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Refusal(error).into_response(),
    }
}
