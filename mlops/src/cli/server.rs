//! `mlops server`: the record behind MLflow's REST API.

use super::{Answer, Console, home, source::DEFAULT_REGISTRY};
use crate::{
    Error, Result, ResultExt,
    server::{self, Counters},
    store::{
        SqliteStore, StoreConfig,
        mlflow::server::{ServerConfig, router},
    },
};
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Serve the record to MLflow's clients
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mlops server --backend-store-uri sqlite:///mlops.db --artifacts-destination artifacts --port 5000"
)]
pub(super) struct Server {
    /// The record; created if it is not there
    #[arg(long, value_name = "URI", default_value = DEFAULT_REGISTRY)]
    backend_store_uri: String,
    /// The folder of the artifacts; `artifacts` beside the record if absent
    #[arg(long, value_name = "DIR")]
    artifacts_destination: Option<String>,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 lets the system choose
    #[arg(long, default_value_t = 5000)]
    port: u16,
    /// The longest body of a call with JSON, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_body_bytes: usize,
    /// The longest artifact, in bytes; any length if absent
    #[arg(long, value_name = "BYTES")]
    max_artifact_bytes: Option<u64>,
    /// Connections at a time; more wait
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_connections: usize,
    /// How long requests in flight may take once the server is asked to end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    shutdown_seconds: u64,
    /// Announce the address as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Server {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        server::block_on(self.serve(console))
    }

    async fn serve(&self, console: &Console) -> Result<Answer> {
        let grace = Duration::from_secs(self.shutdown_seconds);
        // Before the record is opened: a port that is taken is known at once.
        let server =
            server::Server::bind(&self.host, self.port, self.max_connections, grace).await?;
        let store = self.open().await?;
        let config = self.config(&store)?;
        let counters = Arc::<Counters>::default();
        let calls = Arc::clone(&counters).around(router(store, config));
        let app = calls.merge(server::http_metrics(move || counters.read()));
        self.announce(&server, console)?;
        if !server.run(app, server::asked_to_end()).await? {
            console.note("requests were still in flight when the time to end was over");
            return Ok(Answer::No);
        }
        Ok(Answer::Yes)
    }

    async fn open(&self) -> Result<SqliteStore> {
        let path = home::path(&self.backend_store_uri)?.ok_or_else(|| {
            Error::unsupported("--backend-store-uri names no file: give sqlite:///PATH")
        })?;
        let mut config = StoreConfig::default();
        if let Some(place) = &self.artifacts_destination {
            config = config.with_artifacts(folder(place)?);
        }
        SqliteStore::open(path, config).await.context(|| self.backend_store_uri.clone())
    }

    /// How the calls are served. Who may call is decided here: without an authenticator everybody
    /// who reaches the port.
    #[expect(clippy::unnecessary_wraps, reason = "an authenticator's configuration can be wrong")]
    fn config(&self, _store: &SqliteStore) -> Result<ServerConfig> {
        let config = ServerConfig::default().with_max_body_bytes(self.max_body_bytes);
        Ok(match self.max_artifact_bytes {
            Some(bytes) => config.with_max_artifact_bytes(bytes),
            None => config,
        })
    }

    /// The first thing on stdout: whoever starts a server waits for it, and reads the port from it.
    fn announce(&self, server: &server::Server, console: &Console) -> Result<()> {
        let url = format!("http://{}", server.address()?);
        if console.json() {
            let record = &self.backend_store_uri;
            return console.say_json(&json!({ "listening": url, "record": record }));
        }
        console.say(format_args!("listening on {url}"))
    }
}

/// The folder that a place of artifacts means.
fn folder(place: &str) -> Result<PathBuf> {
    match place.split_once("://") {
        None if place.is_empty() => Err(Error::invalid("--artifacts-destination names no folder")),
        None => Ok(PathBuf::from(place)),
        Some(("file", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some((scheme, _)) => Err(Error::unsupported(format!(
            "no artifacts are kept at {scheme:?} URIs; give a folder"
        ))),
    }
}
