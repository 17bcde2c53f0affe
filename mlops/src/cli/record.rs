//! The flags of commands that work on a record.

use super::{home, source::DEFAULT_REGISTRY};
use crate::{
    Error, Result, ResultExt,
    home::{Home, HomeConfig, Place, connect_with},
};
use clap::Args;
use mlops_registry::{ArtifactPlace, S3Config, SqlStore, StoreConfig};
use std::time::Duration;

/// Which record.
#[derive(Clone, Debug, Args)]
pub(super) struct Record {
    /// The record: sqlite:///PATH or postgresql://USER@HOST/DATABASE
    #[arg(long, value_name = "URI", default_value = DEFAULT_REGISTRY)]
    pub(super) backend_store_uri: String,
    #[command(flatten)]
    artifacts: Artifacts,
}

/// Which record, wherever it is, and how the answer is written.
#[derive(Clone, Debug, Args)]
pub(super) struct Asked {
    #[command(flatten)]
    pub(super) record: AnyRecord,
    /// Write the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Which record, wherever it is.
#[derive(Clone, Debug, Args)]
pub(super) struct AnyRecord {
    /// The record: sqlite:///PATH, postgresql://USER@HOST/DATABASE, or http://HOST:PORT of a server
    #[arg(long, visible_alias = "tracking-uri", value_name = "URI", default_value = DEFAULT_REGISTRY)]
    backend_store_uri: String,
    #[command(flatten)]
    artifacts: Artifacts,
}

impl AnyRecord {
    /// Opens one that is there, or connects to it.
    pub(super) async fn connect(&self) -> Result<Home> {
        let uri = &self.backend_store_uri;
        home::present(uri)?;
        let elsewhere = matches!(Place::of(uri)?, Place::Server(_));
        if elsewhere && self.artifacts.artifacts_destination.is_some() {
            let text = "a server says itself where its artifacts are: no --artifacts-destination";
            return Err(Error::invalid(text));
        }
        let config = HomeConfig::default().with_store(self.artifacts.config()?);
        connect_with(uri, config.with_rest(home::rest())).await
    }
}

/// Where a record's artifacts are.
#[derive(Clone, Debug, Args)]
pub(super) struct Artifacts {
    /// Where the artifacts are kept: a folder or s3://BUCKET/PREFIX, reached by AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL…; `artifacts` beside the record if absent
    #[arg(long, value_name = "PLACE")]
    artifacts_destination: Option<String>,
}

impl Record {
    pub(super) fn config(&self) -> Result<StoreConfig> {
        self.artifacts.config()
    }

    /// Opens one that is there.
    pub(super) async fn open(&self) -> Result<SqlStore> {
        home::present(&self.backend_store_uri)?;
        self.create().await
    }

    /// Opens one; makes it if it is not there.
    pub(super) async fn create(&self) -> Result<SqlStore> {
        let uri = &self.backend_store_uri;
        let shown = match Place::of(uri)? {
            Place::File(path) => path.display().to_string(),
            // Its address may hold a password.
            Place::Database(_) => "the database".to_owned(),
            Place::Server(_) | Place::Memory => {
                return Err(Error::unsupported(
                    "this is done where the record is: give sqlite:///PATH or postgresql://…",
                ));
            }
        };
        let home = connect_with(uri, HomeConfig::default().with_store(self.config()?)).await;
        let store = home.context(|| shown)?.store().cloned();
        store.ok_or_else(|| Error::internal("a record that is opened has a store"))
    }
}

impl Artifacts {
    /// A bucket is reached as boto3 and MLflow reach it: by what the environment says.
    pub(super) fn config(&self) -> Result<StoreConfig> {
        let Some(place) = &self.artifacts_destination else { return Ok(StoreConfig::default()) };
        let place: ArtifactPlace = place.parse().context(|| "--artifacts-destination")?;
        let config = StoreConfig::default();
        let config = match &place {
            ArtifactPlace::Bucket(_) => {
                config.with_s3(S3Config::from_env(|name| std::env::var(name).ok())?)
            }
            _ => config,
        };
        Ok(config.with_artifacts(place))
    }
}

/// A span of time such as `30d`, `12h`, `1d12h30m` or `0s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (mut total, mut number) = (0_u64, String::new());
    let mut parts = 0;
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let seconds = match c {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(format!("{c:?} is none of d, h, m and s")),
        };
        let count: u64 =
            number.parse().map_err(|_| "each of d, h, m, s needs a number".to_owned())?;
        let part = count.checked_mul(seconds).and_then(|part| total.checked_add(part));
        total = part.ok_or("too long")?;
        number.clear();
        parts += 1;
    }
    if parts == 0 || !number.is_empty() {
        return Err("a number and one of d, h, m, s, such as 30d".to_owned());
    }
    Ok(Duration::from_secs(total))
}

/// So many bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    let mut unit = ("bytes", 1);
    for next in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)] {
        if count >= next.1 {
            unit = next;
        }
    }
    match unit {
        (name, 1) => format!("{count} {name}"),
        (name, size) => format!("{}.{} {name}", count / size, count % size * 10 / size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_and_refused() {
        for (text, seconds) in [("0s", 0), ("30d", 2_592_000), ("1d2h3m4s", 93_784), ("90m", 5400)]
        {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "30", "d", "1w", "-1d", "1d2", "99999999999999999999d", "300000000000000d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!((bytes(5), bytes(1536)), ("5 bytes".to_owned(), "1.5 KiB".to_owned()));
    }
}
