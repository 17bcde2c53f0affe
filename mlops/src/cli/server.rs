//! `mlops server`: the record behind MLflow's REST API.

use super::{Answer, Console, record::Record};
use crate::{
    Result,
    server::{self, Counters},
    store::{
        SqlStore, UserAuthenticator, UserConfig,
        mlflow::server::{ServerConfig, router},
    },
};
use clap::Args;
use serde_json::json;
use std::sync::Arc;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// Serve the record to MLflow's clients
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mlops server --backend-store-uri sqlite:///mlops.db --artifacts-destination artifacts --port 5000"
)]
pub(super) struct Server {
    #[command(flatten)]
    record: Record,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 lets the system choose
    #[arg(long, default_value_t = 5000)]
    port: u16,
    /// Let in only who is a user of the record (mlops users); MLflow's clients send
    /// MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN
    #[arg(long)]
    auth: bool,
    /// The longest body of a call with JSON, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_body_bytes: usize,
    /// The longest artifact, in bytes; any length if absent
    #[arg(long, value_name = "BYTES")]
    max_artifact_bytes: Option<u64>,
    #[command(flatten)]
    bounds: server::Bounds,
    #[command(flatten)]
    tls: server::TlsFiles,
    /// Announce the address as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Server {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        server::block_on(self.serve(console))
    }

    async fn serve(&self, console: &Console) -> Result<Answer> {
        // Before the record is opened: a port that is taken is known at once.
        let tls = self.tls.open()?;
        let server = server::Server::bind(&self.host, self.port, self.bounds).await?;
        let server = server.with_tls(tls.as_ref());
        let store = self.record.create().await?;
        let config = self.config(&store)?;
        let end = server::asked_to_end()?;
        if let Some(tls) = tls {
            tokio::spawn(tls.follow(server::Hangups::listen()?));
        }
        announce(&server, &store, console)?;
        let counters = Arc::<Counters>::default();
        let calls = Arc::clone(&counters).around(router(store, config));
        let app = calls.merge(server::http_metrics(move || counters.read()));
        let app = app.layer(RequestBodyTimeoutLayer::new(self.bounds.idle()));
        if !server.run(app, end).await? {
            console.note("requests were still in flight when the time to end was over");
            return Ok(Answer::No);
        }
        Ok(Answer::Yes)
    }

    /// How the calls are served. Who may call is decided here: without `--auth` everybody who reaches
    /// the port.
    fn config(&self, store: &SqlStore) -> Result<ServerConfig> {
        let mut config = ServerConfig::default().with_max_body_bytes(self.max_body_bytes);
        if self.auth {
            let users = UserAuthenticator::new(store.clone(), UserConfig::default())?;
            config = config.with_authenticator(Arc::new(users));
        }
        Ok(match self.max_artifact_bytes {
            Some(bytes) => config.with_max_artifact_bytes(bytes),
            None => config,
        })
    }
}

/// The first thing on stdout: whoever starts a server waits for it, and reads the port from it.
fn announce(server: &server::Server, store: &SqlStore, console: &Console) -> Result<()> {
    let url = server.url("http")?;
    if console.json() {
        let record = store.uri();
        return console.say_json(&json!({ "listening": url, "record": record }));
    }
    console.say(format_args!("listening on {url}"))
}
