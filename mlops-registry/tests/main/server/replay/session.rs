//! A server and what was captured from its answers so far.

use super::{Case, normal};
use crate::server::Server;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write, time::Duration};

/// What a client reads of an answer with a file.
const HEADERS: [&str; 3] = ["content-type", "content-disposition", "x-content-type-options"];

pub(super) struct Session {
    server: Server,
    /// In the order in which they were first captured.
    variables: Vec<(String, Value)>,
}

impl Session {
    pub(super) async fn new() -> Self {
        Self { server: Server::new().await, variables: Vec::new() }
    }

    /// Sends a case; gives status and normalised answer, or what could not be captured or filled in.
    pub(super) async fn ask(&mut self, case: &Case) -> Result<(u16, Value), String> {
        let (status, answer) = self.exchange(case).await?;
        if case.method != "GET" {
            // No two records are of one millisecond.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for (name, path) in &case.capture {
            let value = found(&answer, path);
            let value = value.ok_or_else(|| format!("no {path} in {status} {answer}"))?.clone();
            match self.variables.iter_mut().find(|(own, _)| own == name) {
                Some((_, own)) => *own = value,
                None => self.variables.push((name.clone(), value)),
            }
        }
        Ok((status, normal::normalised(&answer, &self.variables, "")))
    }

    /// Sends a case; gives status and answer as they are.
    pub(super) async fn exchange(&self, case: &Case) -> Result<(u16, Value), String> {
        let (status, headers, bytes) = self.server.send(self.request(case)?).await;
        Ok((status.as_u16(), parsed(&headers, &bytes)))
    }

    /// The first variable that has this value.
    pub(super) fn name_of(&self, value: &str) -> Option<&str> {
        let known = self.variables.iter().find(|(_, own)| own.as_str() == Some(value));
        known.map(|(name, _)| name.as_str())
    }

    fn request(&self, case: &Case) -> Result<Request<Body>, String> {
        let mut target = encoded(&text(&self.filled(&json!(case.path), None)?));
        if !case.query.is_empty() {
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in &case.query {
                query.append_pair(name, &text(&self.filled(value, None)?));
            }
            let _ = write!(target, "?{}", query.finish());
        }
        let body = match (&case.json, &case.text) {
            (Some(json), _) => Some(self.filled(json, None)?.to_string()),
            (None, Some(own)) => Some(text(&self.filled(&json!(own), None)?)),
            (None, None) => None,
        };
        let own = if body.is_some() { "application/json" } else { "" };
        let kind = case.kind.as_deref().unwrap_or(own);
        let mut request = Request::builder().method(case.method.as_str()).uri(target);
        for (name, value) in &case.headers {
            request = request.header(name, text(&self.filled(&json!(value), None)?));
        }
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        request.body(body.map_or_else(Body::empty, Body::from)).map_err(|e| e.to_string())
    }

    /// A value with variables put in and repetitions written out.
    fn filled(&self, value: &Value, index: Option<u64>) -> Result<Value, String> {
        match value {
            Value::Object(fields) if fields.contains_key("$repeat") => {
                let count = fields["$repeat"].as_u64().unwrap_or_default();
                (0..count).map(|index| self.filled(&fields["of"], Some(index))).collect()
            }
            Value::Object(fields) => {
                let field = |(key, value): (&String, &Value)| {
                    let key = text(&self.filled(&json!(key), index)?);
                    Ok((key, self.filled(value, index)?))
                };
                fields.iter().map(field).collect::<Result<_, String>>().map(Value::Object)
            }
            Value::Array(items) => items.iter().map(|item| self.filled(item, index)).collect(),
            Value::String(own) => self.filled_text(own, index),
            other => Ok(other.clone()),
        }
    }

    fn filled_text(&self, own: &str, index: Option<u64>) -> Result<Value, String> {
        let (mut filled, mut rest) = (String::new(), own);
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            if before.is_empty() && filled.is_empty() && after.is_empty() && !name.contains('*') {
                return self.variable(name, index);
            }
            filled.push_str(before);
            match name.split_once('*') {
                Some((c, count)) => filled.push_str(&c.repeat(count.parse().unwrap_or_default())),
                None => filled.push_str(&text(&self.variable(name, index)?)),
            }
            rest = after;
        }
        Ok(Value::String(filled + rest))
    }

    fn variable(&self, name: &str, index: Option<u64>) -> Result<Value, String> {
        if let (Some(index), "i") = (index, name) {
            return Ok(index.into());
        }
        let known = self.variables.iter().find(|(own, _)| own == name);
        known.map(|(_, value)| value.clone()).ok_or_else(|| format!("{name} was never captured"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"_.-~/%?=&:".contains(&byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn found<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(answer, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

fn parsed(headers: &HeaderMap, bytes: &Bytes) -> Value {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let file = header("content-disposition").is_some();
    if !file && let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    let known: BTreeSet<&str> = if file { HEADERS.into() } else { ["content-type"].into() };
    let kept: serde_json::Map<String, Value> = known
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), header(name)?.into())))
        .collect();
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text, "headers": kept }),
        Err(_) => json!({ "bytes": base64(bytes), "headers": kept }),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for some in bytes.chunks(3) {
        let part = |at: usize| u32::from(some.get(at).copied().unwrap_or_default());
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= some.len() { digit.into() } else { '=' });
        }
    }
    out
}
