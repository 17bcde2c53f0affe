//! `mlops serve`: models behind the Open Inference Protocol.

use super::{
    Answer, Console,
    engines::Engines,
    home,
    source::{DEFAULT_REGISTRY, NamedSource, Source},
};
use crate::{
    Error, Predictor, Result, ResultExt,
    inference_log::OutcomeLog,
    server::{self, App, Composed, Metered, Server},
};
use clap::{Args, ValueEnum};
use composed::Plan;
use futures_util::FutureExt;
use logged::Logged;
use mlops_core::inference_log::{InferenceLog, InferenceLogConfig};
use mlops_serve::{
    BatchingConfig, Endpoint, EndpointConfig, LocalConfig, MemoryBudget,
    compose::definition::ModelDefinition,
    engines::remote::{RemoteConfig, RemotePredictor},
    grpc::GrpcService,
    http::{ApiKeys, HttpConfig, ModelStatus, RateLimit, Service},
};
use serde_json::json;
use std::{
    num::{NonZeroUsize, ParseIntError},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{sync::oneshot, task::JoinError};

mod composed;
mod logged;
mod repository;
mod stores;

/// Serve models over HTTP and gRPC
#[expect(clippy::doc_markdown, reason = "help is printed as it stands")]
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  mlops serve --model risk=models:/risk@champion --inference-log log --port 8080"
)]
pub(super) struct Serve {
    /// What to serve, once a model: a file of ONNX, LightGBM, XGBoost or CatBoost, a folder of MLmodel or Sentence Transformers, models:/NAME@ALIAS, or a model of another server: http://HOST:PORT/v2/models/NAME, grpc://…
    #[arg(
        long = "model",
        value_name = "[NAME=]SOURCE",
        required_unless_present_any = ["config", "model_repository"]
    )]
    models: Vec<NamedSource>,
    #[command(flatten)]
    repository: repository::Repository,
    /// Models, what is made of them, and in [serve] where to listen, TLS, keys and log, as TOML; flags and variables like MLOPS__SERVE__PORT win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on; 127.0.0.1 if nothing says another
    #[arg(long, visible_alias = "addr")]
    host: Option<String>,
    /// The port to listen on; 0 lets the system choose, and 8080 is it if nothing says another
    #[arg(long)]
    port: Option<u16>,
    /// The port to listen on for gRPC, beside the other; 0 lets the system choose, and without it there is no gRPC
    #[arg(long, value_name = "PORT")]
    grpc_port: Option<u16>,
    /// Where answers and outcomes are logged, and the models that answered are kept for `mlops why`
    #[arg(long, value_name = "DIR")]
    inference_log: Option<PathBuf>,
    /// The record that models:/ names are looked up in
    #[arg(long, value_name = "URI", default_value = DEFAULT_REGISTRY)]
    registry_uri: String,
    /// Where models of the record are kept, so that the server starts when the record is away
    #[arg(long, value_name = "DIR", default_value = ".mlops/cache")]
    cache_dir: PathBuf,
    /// The longest body of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_body_bytes: usize,
    /// Threads that compute, for each model; as many as the machine runs at once if absent
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Requests that wait for a model while all its threads compute, 1 or more; what comes beyond them is refused
    #[arg(long, value_name = "N")]
    queue: Option<NonZeroUsize>,
    /// Gather requests that wait while all threads compute, up to so many rows a call; each runs by itself if absent
    #[arg(long, value_name = "ROWS")]
    max_batch_rows: Option<usize>,
    /// What becomes of a model of the record when its alias moves: it answers until the new one is warm, or is freed first
    #[arg(long, value_name = "WAY", default_value = "overlap")]
    swap: Swapping,
    /// The most memory that models of the record take together; what would not fit is not loaded, and what answers stays
    #[arg(long = "memory-bytes", value_name = "BYTES", value_parser = memory)]
    memory: Option<MemoryBudget>,
    /// Answer only callers with a key of this file, but for health and metrics; a line each: NAME KEY, or NAME sha256:HEX, and then admin if it may load models
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,
    /// Requests a second that each caller may send, all together if there are no keys; more are refused
    #[arg(long, value_name = "N")]
    rate_limit: Option<f64>,
    #[command(flatten)]
    engines: Engines,
    #[command(flatten)]
    bounds: server::Bounds,
    #[command(flatten)]
    tls: server::TlsFiles,
    #[cfg(feature = "otlp")]
    #[command(flatten)]
    pub(super) otlp: server::OtlpFlags,
    /// Announce what is served as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// [`Swap`](mlops_serve::Swap), as it is said here.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Swapping {
    Overlap,
    DrainFirst,
}

/// One model, ready to answer.
#[derive(Debug)]
struct Served {
    endpoint: Endpoint,
    log: Option<Arc<InferenceLog>>,
    predictor: Arc<dyn Predictor>,
}

impl Serve {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let plan = self.plan()?;
        server::block_on(self.configured(&plan).serve(&plan, console))
    }

    async fn serve(&self, plan: &Plan, console: &Console) -> Result<Answer> {
        let (access, loaded) = self.access()?;
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let port = self.port.unwrap_or(8080);
        // Before the models are loaded: a port that is taken is known at once.
        let tls = self.tls.open()?;
        let bind = async |port| Server::bind(host, port, self.bounds).await;
        let server = bind(port).await?.with_tls(tls.as_ref());
        let grpc_server = match self.grpc_port {
            None => None,
            Some(port) => Some(bind(port).await?.with_tls(tls.as_ref())),
        };
        let url = server.url("http")?;
        let grpc_url = grpc_server.as_ref().map(|server| server.url("grpc")).transpose()?;
        // Until then a signal ends the process as it ends any.
        let (told, end) = oneshot::channel::<()>();
        let end = end.map(drop).shared();
        let scratch = super::scratch()?;
        // Streams that began before end when there is more to say.
        let (loading, loaded_all) = oneshot::channel::<()>();
        let (app, grpc) = Self::starting(&access, loaded_all.map(drop));
        let over_http = tokio::spawn(server.run(app.clone(), end.clone()));
        let over_grpc = grpc_server.map(|server| server.run_grpc(grpc.clone(), end.clone()));
        let over_grpc = over_grpc.map(tokio::spawn);
        if let Some(tls) = tls {
            tokio::spawn(tls.follow(server::Hangups::listen()?));
        }
        let (models, composed) = self.open_all(plan, scratch.path(), console).await?;
        let asked = server::asked_to_end()?;
        tokio::spawn(async move {
            asked.await;
            drop(told);
        });
        let (whole, whole_grpc) = Self::apps((access, loaded), &models, composed, end);
        #[cfg(feature = "otlp")]
        let (whole, whole_grpc) = match self.otlp.endpoint() {
            None => (whole, whole_grpc),
            Some(_) => (server::traced(whole), server::traced(whole_grpc)),
        };
        app.complete(whole);
        grpc.complete(whole_grpc);
        drop(loading);
        announce(&url, grpc_url.as_deref(), &models, console)?;
        let over_grpc = async {
            match over_grpc {
                None => Ok(true),
                Some(running) => ended(running.await),
            }
        };
        let (over_http, over_grpc) = tokio::try_join!(over_http.map(ended), over_grpc)?;
        let all_answered = over_http && over_grpc;
        for Served { endpoint, log, .. } in &models {
            if let Some(log) = log {
                log.flush()
                    .await
                    .context(|| format!("the inference log of {}", endpoint.name()))?;
            }
        }
        if !all_answered {
            console.note("requests were still in flight when the time to end was over");
            return Ok(Answer::No);
        }
        Ok(Answer::Yes)
    }

    fn queue(&self) -> Option<usize> {
        self.queue.map(NonZeroUsize::get)
    }

    /// A model, and where a copy of it comes from.
    async fn open(
        &self,
        name: &Arc<str>,
        source: &Source,
        definition: &ModelDefinition,
        scratch: &Path,
    ) -> Result<(Endpoint, logged::Keeper)> {
        let queue = definition.queue.or(self.queue());
        let local = local(definition.threads.or(self.threads), queue);
        let rows = definition.max_batch_rows.or(self.max_batch_rows);
        let batching = rows.map(|rows| batching(rows, queue));
        if !matches!(source, Source::Remote(_)) && definition.remote.is_some() {
            return Err(Error::invalid("`remote` is for models of another server"));
        }
        if matches!(source, Source::Remote(_)) && definition.candle_device.is_some() {
            return Err(Error::invalid("`candle_device` is for models that are loaded here"));
        }
        let engines = self.engines.clone();
        let engines = engines.with_candle_device(definition.candle_device.as_deref())?;
        if let Source::Registry(uri) = source {
            let store = home::registry(&self.registry_uri)?;
            let mut config =
                EndpointConfig::new(&self.cache_dir).with_name(Arc::clone(name)).with_local(local);
            config.batching = batching;
            config.engines = engines.list()?;
            config.memory = self.memory.clone();
            if matches!(self.swap, Swapping::DrainFirst) {
                config = config.with_drain_first();
            }
            let endpoint = Endpoint::connect(&uri.to_string(), Arc::clone(&store), config).await?;
            return Ok((endpoint, logged::Keeper::of_registry(store)));
        }
        if let Source::Remote(config) = source {
            let own = definition.remote.clone().unwrap_or_default();
            let config = RemoteConfig::clone(config).with_definition(&own);
            let remote = RemotePredictor::connect(config).await?;
            return Ok((endpoint(name, remote, batching), logged::Keeper::elsewhere()));
        }
        let opened = source.open(None, scratch).await?;
        let model = tokio::task::block_in_place(|| opened.predictor(name, &engines, &local))?;
        Ok((endpoint(name, model, batching), logged::Keeper::of_package(opened.package)))
    }

    /// One that is served, with a log of its answers if they are logged; `count` are.
    async fn logged(
        &self,
        name: &Arc<str>,
        endpoint: Endpoint,
        keeper: logged::Keeper,
        count: usize,
        console: &Console,
    ) -> Result<Served> {
        let log = self.log(name, count, console)?;
        let predictor: Arc<dyn Predictor> = match &log {
            None => Arc::new(endpoint.clone()),
            Some((log, folder)) => {
                let logged = Logged::new(endpoint.clone(), Arc::clone(log), keeper, folder);
                Arc::new(logged.prepared().await?)
            }
        };
        Ok(Served { endpoint, log: log.map(|(log, _)| log), predictor })
    }

    /// The log of one model: in the folder itself, or below it if there are several models.
    fn log(
        &self,
        name: &str,
        count: usize,
        console: &Console,
    ) -> Result<Option<(Arc<InferenceLog>, PathBuf)>> {
        let Some(folder) = &self.inference_log else { return Ok(None) };
        let folder = if count == 1 { folder.clone() } else { folder.join(name) };
        let log = InferenceLog::open(&folder, InferenceLogConfig::default().with_endpoint(name))?;
        for gap in log.recovered() {
            console
                .note(format_args!("inference log {}: lost at a crash: {gap:?}", folder.display()));
        }
        Ok(Some((Arc::new(log), folder)))
    }

    /// What says that the server lives, over HTTP and gRPC, while models are loaded.
    fn starting(whole: &Service, end: impl Future<Output = ()> + Send + 'static) -> (App, App) {
        let service = whole.starting().with_hosting();
        let grpc = GrpcService::new(service.clone()).with_end(end).into_router();
        (App::starting(service.into_router()), App::starting(grpc))
    }

    /// A service without models, that lets in who may ask.
    fn access(&self) -> Result<(Service, repository::Loaded)> {
        let config = HttpConfig::default()
            .with_max_body_bytes(self.max_body_bytes)
            .with_pause(Some(self.bounds.idle()));
        let mut service = Service::new().with_config(config);
        if let Some(path) = &self.api_keys {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| Error::io(path.display(), source))?;
            let keys = ApiKeys::parse(&text).context(|| path.display().to_string())?;
            if keys.is_empty() {
                return Err(Error::invalid(format!("{}: there is no key", path.display())));
            }
            service = service.with_authenticator(Arc::new(keys));
        }
        if let Some(rate) = self.rate_limit {
            service = service.with_rate_limit(RateLimit::new(rate).context(|| "--rate-limit")?);
        }
        let local = local(self.threads, self.queue());
        let batching = self.max_batch_rows.map(|rows| batching(rows, self.queue()));
        self.repository.offered(service, &self.engines, local, batching)
    }

    /// The same models over HTTP, with metrics beside them, and over gRPC.
    fn apps(
        (mut service, loaded): (Service, repository::Loaded),
        served: &[Served],
        composed: Vec<Composed>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> (axum::Router, axum::Router) {
        for Served { endpoint, log, predictor } in served {
            let name = Arc::clone(endpoint.name());
            let handle = endpoint.clone();
            let status = move || {
                if handle.status().stale {
                    ModelStatus::stale("the record is away, or its version did not come up")
                } else {
                    ModelStatus::fresh()
                }
            };
            service = service
                .with_named(Arc::clone(&name), Arc::clone(predictor))
                .with_status(Arc::clone(&name), status);
            if let Some(log) = log {
                let log: Arc<dyn OutcomeLog> = Arc::<InferenceLog>::clone(log);
                service = service.with_outcomes_of(name, log);
            }
        }
        if let [only] = served {
            service = service.with_invocations(Arc::clone(only.endpoint.name()));
        }
        service = service.with_hosting();
        let metered = served.iter().map(|Served { endpoint, log, .. }| Metered {
            endpoint: endpoint.clone(),
            log: log.clone(),
        });
        let own: Vec<Metered> = metered.collect();
        let metered = move || {
            let loaded = loaded.endpoints().into_iter();
            let loaded = loaded.map(|endpoint| Metered { endpoint, log: None });
            own.iter().cloned().chain(loaded).collect()
        };
        let metrics = server::metrics(service.counters(), metered, composed);
        let grpc = GrpcService::new(service.clone()).with_end(end).into_router();
        (service.into_router().merge(metrics), grpc)
    }
}

/// One for all models: clones share it.
fn memory(bytes: &str) -> std::result::Result<MemoryBudget, ParseIntError> {
    bytes.parse().map(MemoryBudget::new)
}

fn local(threads: Option<usize>, queue: Option<usize>) -> LocalConfig {
    let local = LocalConfig::default();
    let (own_threads, own_queue) = (local.threads, local.queue);
    local.with_threads(threads.unwrap_or(own_threads)).with_queue(queue.unwrap_or(own_queue))
}

fn batching(rows: usize, queue: Option<usize>) -> BatchingConfig {
    let batching = BatchingConfig::default().with_max_batch_rows(rows);
    let own = batching.max_waiting_requests;
    batching.with_max_waiting_requests(queue.unwrap_or(own))
}

fn endpoint(
    name: &Arc<str>,
    model: impl Predictor + 'static,
    batching: Option<BatchingConfig>,
) -> Endpoint {
    let name = Arc::clone(name);
    match batching {
        None => Endpoint::from_predictor(name, model),
        Some(batching) => Endpoint::from_batched(name, model, batching),
    }
}

/// How a server's own task ended.
fn ended(joined: std::result::Result<Result<bool>, JoinError>) -> Result<bool> {
    joined.map_err(|cause| Error::internal("a server's task was lost").with_source(cause))?
}

/// The first thing on stdout: whoever starts a server waits for it, and reads the port from it.
fn announce(url: &str, grpc: Option<&str>, models: &[Served], console: &Console) -> Result<()> {
    let models = models.iter().map(|model| {
        let info = model.endpoint.info();
        (model.endpoint.name(), Arc::clone(&info.version))
    });
    if console.json() {
        let models: Vec<_> =
            models.map(|(name, version)| json!({ "name": name, "version": version })).collect();
        let mut said = json!({ "listening": url, "models": models });
        if let Some(grpc) = grpc {
            said["grpc"] = json!(grpc);
        }
        return console.say_json(&said);
    }
    for (name, version) in models {
        console.say(format_args!("model {name} version {version} is ready"))?;
    }
    if let Some(grpc) = grpc {
        console.say(format_args!("listening on {grpc}"))?;
    }
    console.say(format_args!("listening on {url}"))
}
