//! The connections to a bucket's service: timed, encrypted as all of ours are.

use super::S3Config;
use async_trait::async_trait;
use mlops_core::{Error, Result, tls};
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    },
};
use reqwest::{Client, Proxy, redirect};
use std::io;

/// Hands out one client.
#[derive(Clone, Debug)]
pub(super) struct Connector(Client);

impl Connector {
    pub(super) fn new(config: &S3Config, encrypted: bool) -> Result<Self> {
        let failed = |cause: reqwest::Error| {
            Error::invalid("no HTTP client can be made of this configuration")
                .with_source(cause.without_url())
        };
        let mut http = Client::builder()
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("mlops/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .http1_only()
            .tls_backend_preconfigured(tls::client_config(encrypted)?)
            .no_proxy();
        if let Some(proxy) = &config.proxy {
            http = http.proxy(Proxy::all(proxy).map_err(failed)?);
        }
        Ok(Self(http.build().map_err(failed)?))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Sockets and timers of tokio panic where there is none.
        if tokio::runtime::Handle::try_current().is_err() {
            let cause = io::Error::other("a bucket is reached from a tokio runtime only");
            return Err(HttpError::new(HttpErrorKind::Unknown, cause));
        }
        self.0.call(request).await
    }
}
