//! Requests on their way: signed, timed, tried again where that does no harm.

use super::{
    RestConfig,
    failure::{Again, Failure},
    request::Request,
    sign_in::{Auth, SignIn},
};
use crate::mlflow::wire::extension::{PROTOCOL, ServerInfo};
use bytes::{Bytes, BytesMut};
use mlops_core::{Error, ErrorKind, Result, ResultExt, tls};
use reqwest::{Client, Proxy, RequestBuilder, Response, Url, header, redirect};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// How long the first pause between two tries is; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What every call needs.
#[derive(Clone)]
pub(super) struct Session {
    http: Client,
    pub(super) base: Url,
    pub(super) sign_in: SignIn,
    pub(super) config: RestConfig,
    pub(super) peer: Peer,
    /// Held while an alias is compared and set, where the server cannot do both at once.
    pub(super) aliases: Arc<Mutex<()>>,
    /// Manifests of versions that others registered.
    pub(super) measured: Arc<Mutex<super::fetch::Measured>>,
}

/// What the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// MLflow, or another that speaks its API.
    Plain,
    /// Ours.
    Ours,
}

impl Session {
    pub(super) fn new(url: &str, mut config: RestConfig) -> Result<Self> {
        let base = address(url, &mut config.auth)?;
        let sign_in = config.auth.sign_in()?;
        let failed = |cause: reqwest::Error| {
            Error::invalid("no HTTP client can be made of this configuration")
                .with_source(cause.without_url())
        };
        let mut http = Client::builder()
            .connect_timeout(config.connect_timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("mlops/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .tls_backend_preconfigured(tls::client_config(base.scheme() == "https")?)
            .no_proxy();
        if let Some(proxy) = &config.proxy {
            http = http.proxy(Proxy::all(proxy).map_err(failed)?);
        }
        let (aliases, measured) = (Arc::default(), Arc::default());
        let http = http.build().map_err(failed)?;
        Ok(Self { http, base, sign_in, config, peer: Peer::Plain, aliases, measured })
    }

    /// Asks who is there.
    pub(super) async fn greet(self) -> Result<Peer> {
        let request = Request::get_at("api/3.0/mlflow/server-info");
        match self.ask::<ServerInfo>(&request).await {
            Ok(ServerInfo { mlops: Some(ours), .. }) if ours.protocol == PROTOCOL => Ok(Peer::Ours),
            // A server of ours that speaks another protocol is still MLflow's API.
            Ok(_) => Ok(Peer::Plain),
            // Servers before 3.6 do not know the question.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => {
                Ok(Peer::Plain)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.peer == Peer::Ours
    }

    /// Names the server in messages.
    pub(super) fn server(&self) -> String {
        format!("the server at {}", self.base)
    }

    /// Sends a request and reads its answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        let body = self.tried(request).await?;
        serde_json::from_slice(&body).map_err(|cause| {
            let what = format!("{} answered something else than was asked", self.server());
            Error::corrupt(what).with_source(cause)
        })
    }

    /// Sends a request whose answer says nothing.
    pub(super) async fn tell(&self, request: &Request) -> Result<()> {
        self.tried(request).await.map(drop)
    }

    async fn tried(&self, request: &Request) -> Result<Bytes> {
        let (start, mut tries) = (Instant::now(), 0);
        loop {
            let failure = match self.once(request).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            tries += 1;
            match self.pause(&failure, request.repeatable, tries, start) {
                Some(pause) => tokio::time::sleep(pause).await,
                None if tries > 1 => {
                    return Err(failure.error).context(|| format!("tried {tries} times"));
                }
                None => return Err(failure.error),
            }
        }
    }

    /// How long to wait before trying again; `None` if that is of no use.
    pub(super) fn pause(
        &self,
        failure: &Failure,
        repeatable: bool,
        tries: u32,
        start: Instant,
    ) -> Option<Duration> {
        let may = match failure.again {
            Again::Always => true,
            Again::IfRepeatable => repeatable,
            Again::Never => false,
        };
        let doubled = PAUSE.saturating_mul(1_u32.checked_shl(tries - 1).unwrap_or(u32::MAX));
        let pause = failure.after.unwrap_or_default().max(doubled.min(LONGEST_PAUSE));
        let in_time = start.elapsed().saturating_add(pause) <= self.config.patience;
        (may && tries < self.config.attempts && in_time).then_some(pause)
    }

    async fn once(&self, request: &Request) -> Result<Bytes, Failure> {
        let url = request.url(&self.base);
        let mut builder =
            self.http.request(request.method.clone(), url).timeout(self.config.timeout);
        if let Some(body) = &request.body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some((name, key)) = request.key_header() {
            builder = builder.header(name, key);
        }
        let response = self.sent(builder).await?;
        self.body(response).await
    }

    /// Something else than JSON.
    pub(super) fn request(&self, method: reqwest::Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Signs and sends; anything but success is a failure.
    pub(super) async fn sent(&self, mut request: RequestBuilder) -> Result<Response, Failure> {
        if let Some(header) = &self.sign_in.header {
            request = request.header(header::AUTHORIZATION, header.clone());
        }
        let sent = request.send().await;
        let response = sent.map_err(|cause| Failure::transport(self, cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        // A refusal that breaks off is a refusal all the same.
        let body = self.body(response).await.unwrap_or_default();
        Err(Failure::refused(self, status, &headers, &body))
    }

    async fn body(&self, mut response: Response) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        let failed = |cause| Failure::transport(self, cause);
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > self.config.answer_limit {
                let limit = self.config.answer_limit;
                let what = format!("{} answered more than {limit} bytes", self.server());
                return Err(Failure::never(Error::too_large(what)));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

/// The server's address without credentials, which go where they belong.
fn address(text: &str, auth: &mut Auth) -> Result<Url> {
    // The text may hold a password, so that no message repeats it.
    let bad = || Error::invalid("not a server's address: give http://HOST:PORT or https://HOST");
    let mut url = Url::parse(text).map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad());
    }
    // A password with a slash in it, which ends the host: the rest would be taken for a path, and shown.
    let rest = [Some(url.path()), url.query(), url.fragment()];
    if rest.into_iter().flatten().any(|part| part.contains('@')) {
        return Err(Error::invalid(
            "not a server's address: an @ after the host; write what is special in a password with %",
        ));
    }
    let (user, password) = (decoded(url.username()), url.password().map(decoded));
    if auth.is_none() && (!user.is_empty() || password.is_some()) {
        *auth = Auth::basic_text(user, password.unwrap_or_default());
    }
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| bad())?;
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// A part of an address without its percent signs.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_shows_no_password(password in "[a-zA-Z0-9]{9,20}") {
            let mut auth = Auth::none();
            let url = address(&format!("https://ada:{password}@record.example:5000/a/b"), &mut auth).unwrap();
            prop_assert_eq!(url.as_str(), "https://record.example:5000/a/b");
            let line = format!("Basic {}", STANDARD.encode(format!("ada:{password}")));
            prop_assert_eq!(auth.sign_in().unwrap().header.unwrap(), line.as_str());
            for bad in ["ftp://ada:", "http://ada:/", "http://ada:1/", "http://ada:?", "http://ada:1#"] {
                let error = address(&format!("{bad}{password}@host"), &mut auth).unwrap_err();
                let shown = format!("{error:?} {auth:?}");
                prop_assert!(!shown.contains(&password));
            }
        }
    }
}
