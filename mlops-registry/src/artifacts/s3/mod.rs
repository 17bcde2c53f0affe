//! Artifacts in a bucket.

mod config;
mod http;

pub use config::{S3Config, S3Keys};

use super::{ArtifactStore, Bucket, Reached, failure::Named};
use http::Connector;
use mlops_core::{Error, Result};
use object_store::{
    BackoffConfig, ObjectStore, RetryConfig, aws::AmazonS3Builder, path::Path as ObjectPath,
    prefix::PrefixStore,
};
use reqwest::Url;
use std::{sync::Arc, time::Duration};

/// How long the first pause between two tries is; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl ArtifactStore {
    /// Objects in a bucket, which has to be there. Asks nobody: a service that is away shows with the first
    /// call, as `Unavailable` with the bucket's name, after the time that the configuration allows.
    ///
    /// Its calls belong on a tokio runtime with sockets and a timer; elsewhere they are `Unavailable`.
    /// Requests are signed with a digest of what they carry, so that the service stores what was sent.
    pub fn open_bucket(bucket: &Bucket, config: &S3Config) -> Result<Self> {
        let invalid = |what: &str| Error::invalid(format!("{bucket}: {what}"));
        let endpoint = config.endpoint.as_deref().map(|text| {
            endpoint(text).ok_or_else(|| {
                invalid("not a service's address: give http://HOST:PORT or https://HOST")
            })
        });
        let endpoint = endpoint.transpose()?;
        let encrypted = endpoint.as_ref().is_none_or(|endpoint| endpoint.scheme() == "https");
        let mut s3 = AmazonS3Builder::new()
            .with_bucket_name(bucket.name())
            .with_region(&config.region)
            .with_virtual_hosted_style_request(config.virtual_hosted)
            .with_allow_http(!encrypted)
            // Not every service deletes many at once.
            .with_disable_bulk_delete(true)
            .with_retry(retries(config))
            .with_http_connector(Connector::new(config, encrypted)?);
        if let Some(endpoint) = &endpoint {
            s3 = s3.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        s3 = match &config.keys {
            None => s3.with_skip_signature(true),
            Some(keys) => {
                let (id, secret, token) = keys.reveal()?;
                let s3 = s3.with_access_key_id(id).with_secret_access_key(secret);
                token.into_iter().fold(s3, AmazonS3Builder::with_token)
            }
        };
        // The cause could show what it was configured with.
        let s3 = s3.build().map_err(|_| invalid("no client can be made of this configuration"))?;
        let objects: Arc<dyn ObjectStore> = match bucket.prefix() {
            "" => Arc::new(s3),
            prefix => Arc::new(PrefixStore::new(s3, ObjectPath::from(prefix))),
        };
        let reached = Reached {
            attempts: config.attempts.max(1),
            locked_timeout: Some(config.locked_timeout),
            largest_copy: config.largest_copy,
        };
        Ok(Self { root: None, named: Named::bucket(bucket), reached, ..Self::new(objects) })
    }
}

/// A service's address, without credentials.
fn endpoint(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let bare = url.query().is_none() && url.fragment().is_none() && url.has_host();
    (plain && bare && matches!(url.scheme(), "http" | "https")).then_some(url)
}

fn retries(config: &S3Config) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
        max_retries: config.attempts.saturating_sub(1) as usize,
        retry_timeout: config.patience,
    }
}
