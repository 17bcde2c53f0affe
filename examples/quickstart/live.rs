//! The server of the story: an endpoint that follows the champion, its log, and HTTP in front of both.

use crate::home::{CHAMPION, Home, MODEL};
use axum::{Router, serve::ListenerExt};
use mlops::{
    Error, Predictor, RandomIds, Result,
    inference_log::{InferenceLog, InferenceLogConfig, OutcomeLog},
    model::ModelPackage,
    predictor::PredictorInfo,
    registry::ModelVersion,
    serve::{
        Endpoint, EndpointConfig,
        http::{ModelStatus, Service},
    },
};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// An endpoint that follows the alias, its inference log, and the server in front of it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) endpoint: Endpoint,
    pub(crate) log: Arc<InferenceLog>,
    pub(crate) log_folder: PathBuf,
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Live {
    /// Serves the champion on a port of this machine that the system chooses.
    pub(crate) async fn start(home: &Home) -> Result<Self> {
        let config = EndpointConfig::new(home.folder.join("cache"))
            .with_clock_and_ids(home.clock(), Arc::new(RandomIds));
        let uri = format!("models:/{MODEL}@{CHAMPION}");
        let endpoint = Endpoint::connect(&uri, home.registry(), config).await?;

        let log_folder = home.folder.join("log");
        let config = InferenceLogConfig::default().with_endpoint(MODEL).with_clock(home.clock());
        let log = Arc::new(InferenceLog::open(&log_folder, config)?);
        log.declare(&endpoint.info(), endpoint.status().digest)?;
        let endpoint = endpoint.with_observer(Arc::<InferenceLog>::clone(&log));

        let (stop, stopped) = oneshot::channel();
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|source| Error::io("listening", source))?;
        let address = listener.local_addr().map_err(|source| Error::io("listening", source))?;
        // A small answer must not wait for the acknowledgement of the one before.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let router = router(&endpoint, &log);
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            // An error says that the sender is gone, which ends it as well.
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async move { serving.await });
        let url = format!("http://{address}");
        Ok(Self { endpoint, log, log_folder, url, stop, serving })
    }

    /// Tells the log what a version takes and gives, before it may answer.
    pub(crate) fn meet(&self, version: &ModelVersion, package: &ModelPackage) -> Result<()> {
        let signature = package.signature().cloned().unwrap_or_default();
        let number = version.id.version.to_string();
        let info = PredictorInfo::new(version.id.model.as_str(), number, signature);
        self.log.declare(&info, Some(version.digest()))
    }

    /// Waits until this version answers.
    pub(crate) async fn answers_with(&self, version: u64) -> Result<Duration> {
        let began = Instant::now();
        while *self.endpoint.info().version != *version.to_string() {
            if began.elapsed() > Duration::from_secs(30) {
                let problem = self.endpoint.status().problem.unwrap_or_default();
                return Err(Error::unavailable(format!(
                    "version {version} does not come: {problem}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(began.elapsed())
    }

    /// Ends the server when everybody is answered, and the log when everything is written.
    pub(crate) async fn end(self) -> Result<()> {
        drop(self.stop);
        let served = self.serving.await.map_err(|cause| Error::internal(cause.to_string()))?;
        served.map_err(|source| Error::io("serving", source))?;
        // Last: requests that were under way have been logged by now.
        self.log.flush().await
    }
}

/// The Open Inference Protocol below `/v2`; a host nests it into a router of its own.
fn router(endpoint: &Endpoint, log: &Arc<InferenceLog>) -> Router {
    let followed = endpoint.clone();
    // Why it is stale names files and hosts: that is for those who operate it, not for callers.
    let status = move || {
        if followed.status().stale {
            return ModelStatus::stale("the record is away, or its version did not come up");
        }
        ModelStatus::fresh()
    };
    let outcomes: Arc<dyn OutcomeLog> = Arc::<InferenceLog>::clone(log);
    Service::new()
        .with_named(MODEL, endpoint.clone())
        .with_status(MODEL, status)
        .with_outcomes(outcomes)
        .into_router()
}
