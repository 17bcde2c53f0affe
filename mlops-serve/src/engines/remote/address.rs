//! Where a server is, and which of its models is meant.

use axum::http::Uri;
use mlops_core::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::{fmt, sync::Arc};

/// A server, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) is_grpc: bool,
    pub(super) is_encrypted: bool,
    /// Host and port.
    pub(super) authority: String,
    /// Of every path over HTTP: empty, or `/` and more.
    pub(super) prefix: String,
}

/// What of a name stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Address {
    /// Of a server; the error does not repeat the URL, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::invalid(format!("the URL of a remote model {what}")));
        let Some((scheme, rest)) = url.split_once("://") else {
            return wrong("has no scheme: http, https, grpc or grpcs, then ://");
        };
        let (is_grpc, is_encrypted) = match scheme {
            "http" => (false, false),
            "https" => (false, true),
            "grpc" => (true, false),
            "grpcs" => (true, true),
            _ => return wrong("begins with neither http, https, grpc nor grpcs"),
        };
        if rest.contains(['?', '#']) {
            return wrong("has a query or a fragment");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return wrong("holds credentials: give them as a header, by a secret");
        }
        let address = Self {
            is_grpc,
            is_encrypted,
            authority: authority.to_owned(),
            prefix: path.trim_end_matches('/').to_owned(),
        };
        if is_grpc && !address.prefix.is_empty() {
            return wrong("has a path, which gRPC has not");
        }
        match address.uri("/v2") {
            Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(address),
            _ => wrong("is not valid"),
        }
    }

    /// Of a server and a model of it: `http://host:port/v2/models/NAME`, perhaps with `/versions/N`.
    pub(super) fn parse_model(url: &str) -> Result<(String, Arc<str>, Option<Arc<str>>)> {
        let wrong = || {
            Error::invalid(
                "the URL of a remote model does not end with /v2/models/NAME or /v2/models/NAME/versions/N",
            )
        };
        let (server, model) = url.split_once("/v2/models/").ok_or_else(wrong)?;
        let (name, version) = match model.split_once("/versions/") {
            Some((name, version)) => (name, Some(version)),
            None => (model, None),
        };
        let decoded = |text: &str| -> Result<Arc<str>> {
            let text = text.trim_end_matches('/');
            let plain = percent_decode_str(text).decode_utf8().map_err(|_| wrong())?;
            if text.is_empty() || text.contains(['/', '?', '#']) {
                return Err(wrong());
            }
            Ok(plain.as_ref().into())
        };
        Self::parse(server)?;
        Ok((server.to_owned(), decoded(name)?, version.map(decoded).transpose()?))
    }

    /// This path on the server.
    pub(super) fn uri(&self, path: &str) -> Result<Uri> {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        let prefix = if self.is_grpc { "" } else { &self.prefix };
        let uri = format!("{scheme}://{}{prefix}{path}", self.authority);
        uri.parse().map_err(|_| Error::invalid("the URL of a remote model is not valid"))
    }

    /// The path of a model.
    pub(super) fn model_path(model: &str, version: Option<&str>) -> String {
        let name = utf8_percent_encode(model, PLAIN);
        match version {
            None => format!("/v2/models/{name}"),
            Some(version) => {
                format!("/v2/models/{name}/versions/{}", utf8_percent_encode(version, PLAIN))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.is_grpc { "grpc" } else { "http" };
        let encrypted = if self.is_encrypted { "s" } else { "" };
        write!(f, "{protocol}{encrypted}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let address = Address::parse("https://host:8443/ml/").unwrap();
        assert_eq!(address.to_string(), "https://host:8443/ml");
        let path = Address::model_path("a b/c", Some("3"));
        assert_eq!(
            address.uri(&path).unwrap(),
            "https://host:8443/ml/v2/models/a%20b%2Fc/versions/3"
        );
        let model = |url| Address::parse_model(url).unwrap();
        assert_eq!(
            model("grpc://h:1/v2/models/a%20b"),
            ("grpc://h:1".to_owned(), "a b".into(), None)
        );
        assert_eq!(
            model("http://h/ml/v2/models/m/versions/3"),
            ("http://h/ml".to_owned(), "m".into(), Some("3".into()))
        );
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_repeating_it() {
        for (url, why) in [
            ("host:1", "no scheme"),
            ("ftp://hunter2", "begins with neither"),
            ("http://me:hunter2@host", "holds credentials"),
            ("http://host/?key=hunter2", "a query"),
            ("grpc://host/hunter2", "has a path"),
            ("http:///x", "is not valid"),
            ("http://ho st/", "is not valid"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
        for url in
            ["http://h", "http://h/v2/models/", "http://h/v2/models/a/b", "http://h/v2/models/a?b"]
        {
            assert!(Address::parse_model(url).is_err(), "{url}");
        }
    }
}
