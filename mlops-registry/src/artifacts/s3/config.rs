//! How a bucket is reached.

use crate::hidden::Hidden;
use crate::setters::setters;
use mlops_core::{Error, Result, config::Secret};
use std::{fmt, time::Duration};

/// How a bucket of S3, or of a service that speaks its protocol, is reached.
///
/// Nothing is read from the environment unless a host [asks for it](Self::from_env).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Config {
    /// The service's address, `http://HOST:PORT` or `https://HOST`; Amazon's own of the region if `None`.
    pub endpoint: Option<String>,
    /// The region that requests are signed for. `us-east-1`.
    pub region: String,
    /// Who asks; requests are not signed if `None`, which only a public bucket answers.
    pub keys: Option<S3Keys>,
    /// Puts the bucket into the host's name instead of the path. `false`.
    pub virtual_hosted: bool,
    /// A proxy that every request goes through. The environment's is not used unless it is named here.
    pub proxy: Option<String>,
    /// The longest that it tries to reach the service. 5 s.
    pub connect_timeout: Duration,
    /// The longest that an answer may take, the sending of at most 8 MiB before it included, and that a
    /// transfer may stand still. 60 s.
    pub timeout: Duration,
    /// How often a request is sent, at most, and how often in a row a download that breaks off is taken up
    /// where it stopped. 4.
    pub attempts: u32,
    /// How long a request may be tried again. 60 s.
    pub patience: Duration,
    /// The longest that the record is kept locked while the bucket is asked whether bytes are there. 10 s.
    pub locked_timeout: Duration,
    /// The largest object that the service copies at once, in bytes; a larger one goes through this process
    /// once more. 5 GiB, which is Amazon's.
    pub largest_copy: u64,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            keys: None,
            virtual_hosted: false,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_mins(1),
            attempts: 4,
            patience: Duration::from_mins(1),
            locked_timeout: Duration::from_secs(10),
            largest_copy: 5 << 30,
        }
    }
}

impl S3Config {
    /// As boto3 and MLflow are configured: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`;
    /// `AWS_DEFAULT_REGION` or `AWS_REGION`; `MLFLOW_S3_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` or
    /// `AWS_ENDPOINT_URL`, each the first that is set. Asked of `lookup`: a host decides what an environment
    /// is. One of the two keys without the other is `InvalidInput`.
    ///
    /// ```
    /// use mlops_registry::S3Config;
    ///
    /// let config = S3Config::from_env(|name| match name {
    ///     "AWS_ACCESS_KEY_ID" => Some("AKIAEXAMPLE".to_owned()),
    ///     "AWS_SECRET_ACCESS_KEY" => Some("s3cret".to_owned()),
    ///     "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:9000".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert!(!format!("{config:?}").contains("s3cret"));
    /// # Ok::<(), mlops_core::Error>(())
    /// ```
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| lookup(name).filter(|text| !text.is_empty()))
        };
        let mut config = Self {
            endpoint: first(&["MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            ..Self::default()
        };
        if let Some(region) = first(&["AWS_DEFAULT_REGION", "AWS_REGION"]) {
            config.region = region;
        }
        let (id, secret) = (first(&["AWS_ACCESS_KEY_ID"]), first(&["AWS_SECRET_ACCESS_KEY"]));
        config.keys = match (id, secret) {
            (Some(id), Some(secret)) => {
                let token = first(&["AWS_SESSION_TOKEN"]).map(Hidden::Text);
                Some(S3Keys { id: Hidden::Text(id), secret: Hidden::Text(secret), token })
            }
            (None, None) => None,
            (None, Some(_)) => return Err(alone("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
            (Some(_), None) => return Err(alone("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        };
        Ok(config)
    }
}

fn alone(set: &str, missing: &str) -> Error {
    Error::invalid(format!("{set} is set and {missing} is not"))
}

setters!(S3Config {
    /// Asks the service at this address.
    with_endpoint => endpoint: String,
    /// Signs requests for this region.
    with_region => region: String,
    /// Signs requests by these keys.
    with_keys => keys: S3Keys,
    /// Puts the bucket into the host's name.
    with_virtual_hosted => virtual_hosted: bool,
    /// Sends every request through a proxy.
    with_proxy => proxy: String,
    /// Sets the longest that it tries to reach the service.
    with_connect_timeout => connect_timeout: Duration,
    /// Sets the longest that an answer may take.
    with_timeout => timeout: Duration,
    /// Sets how often a request is sent, at most.
    with_attempts => attempts: u32,
    /// Sets how long a request may be tried again.
    with_patience => patience: Duration,
    /// Sets the longest that the record is kept locked.
    with_locked_timeout => locked_timeout: Duration,
    /// Sets the largest object that the service copies at once.
    with_largest_copy => largest_copy: u64,
});

/// Who asks for a bucket: an access key, its secret and, of a session, its token.
///
/// ```
/// use mlops_core::config::Secret;
/// use mlops_registry::S3Keys;
///
/// let keys = S3Keys::new("AKIAEXAMPLE", Secret::Env("BUCKET_SECRET".into()));
/// assert_eq!(format!("{keys:?}"), "S3Keys(Secret($BUCKET_SECRET))");
/// ```
#[derive(Clone)]
pub struct S3Keys {
    id: Hidden,
    secret: Hidden,
    token: Option<Hidden>,
}

impl S3Keys {
    /// An access key and where its secret is; that is read when the record is opened.
    pub fn new(id: impl Into<String>, secret: Secret) -> Self {
        Self { id: Hidden::Text(id.into()), secret: Hidden::Kept(secret), token: None }
    }

    /// Adds where the token of a session is.
    #[must_use]
    pub fn with_token(mut self, token: Secret) -> Self {
        self.token = Some(Hidden::Kept(token));
        self
    }

    /// The access key, the secret and the token.
    pub(super) fn reveal(&self) -> Result<(String, String, Option<String>)> {
        let token = self.token.as_ref().map(Hidden::reveal).transpose()?;
        Ok((self.id.reveal()?, self.secret.reveal()?, token))
    }
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Keys({:?})", self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(set: &[(&str, &str)]) -> Result<S3Config> {
        let found = |name: &str| set.iter().find(|(own, _)| *own == name);
        S3Config::from_env(|name| found(name).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_environment_is_read_as_boto3_and_mlflow_read_it() {
        let all = config(&[
            ("AWS_ENDPOINT_URL", "http://third"),
            ("AWS_ENDPOINT_URL_S3", "http://second"),
            ("MLFLOW_S3_ENDPOINT_URL", "http://first"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", ""),
        ])
        .unwrap();
        assert_eq!(all.endpoint.as_deref(), Some("http://first"));
        assert_eq!(all.region, "eu-west-1");
        let keys = ("key".to_owned(), "secret".to_owned(), None);
        assert_eq!(all.keys.unwrap().reveal().unwrap(), keys);
        let none = config(&[]).unwrap();
        assert!(none.keys.is_none() && none.endpoint.is_none());
        for one in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            let error = config(&[(one, "hush")]).unwrap_err().to_string();
            assert!(error.starts_with(one) && !error.contains("hush"), "{error}");
        }
    }
}
