//! What only a program may do in its process: listen, speak TLS, bound connections, shut down,
//! serve `/metrics`.

mod app;
mod connections;
mod counters;
mod metrics;
mod quiet;
mod tls;
#[cfg(feature = "otlp")]
mod traces;

pub(crate) use app::App;
pub(crate) use counters::Counters;
pub(crate) use metrics::{Composed, Metered, http_metrics, metrics};
pub(crate) use tls::{Hangups, Tls, TlsFiles};
#[cfg(feature = "otlp")]
pub(crate) use traces::{OtlpFlags, Traces, traced};

use crate::{Error, Result};
use axum::serve::Listener;
use clap::Args;
use connections::{Bounded, Connection, Prompt};
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use quiet::{Activity, Quiet};
use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// How a program listens.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Bounds {
    /// Connections at a time, on each port; more wait
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_connections: usize,
    /// Close a connection that sends no request, not the whole head of one, or nothing more of its body, for so
    /// many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    idle_seconds: u64,
    /// How long requests in flight may take once the server is asked to end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    shutdown_seconds: u64,
}

impl Bounds {
    /// How long a client may say nothing.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}

/// An address that is listened on, not yet served.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    bounds: Bounds,
    tls: Option<Tls>,
}

impl Server {
    /// Listens; clients that come before [`run`](Self::run) wait.
    pub(crate) async fn bind(host: &str, port: u16, bounds: Bounds) -> Result<Self> {
        let bound = TcpListener::bind((host, port)).await;
        let listener = bound.map_err(|source| {
            let what = format!("listening on {host}:{port}");
            match source.kind() {
                // Another has it, for now.
                io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => {
                    Error::unavailable(format!("{what}: {source}")).with_source(source)
                }
                _ => Error::io(what, source),
            }
        })?;
        Ok(Self { listener, bounds, tls: None })
    }

    /// Speaks TLS, if there is a certificate.
    #[must_use]
    pub(crate) fn with_tls(mut self, tls: Option<&Tls>) -> Self {
        self.tls = tls.cloned();
        self
    }

    /// Where it listens: the port that the system chose if none was asked for.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|source| Error::io("the server's address", source))
    }

    /// The same as clients are told it; with TLS the scheme has an `s`.
    pub(crate) fn url(&self, scheme: &str) -> Result<String> {
        let s = if self.tls.is_some() { "s" } else { "" };
        Ok(format!("{scheme}{s}://{}", self.address()?))
    }

    /// Serves HTTP/1 until `stop` is done, then answers what is in flight, for as long as the grace
    /// lasts. Whether everything was answered.
    pub(crate) async fn run(
        self,
        app: impl Into<App>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<bool> {
        let http = http1::Builder::new();
        // Counts from when the connection is accepted, and again from each answer.
        let (quiet, app) = (Quiet::new(self.bounds.idle()), app.into());
        let serve = move |stream: Stream, open: Watcher, activity: Arc<Activity>| {
            let stream = TokioIo::new(activity.heard(stream));
            open.watch(http.serve_connection(stream, activity.around(app.of_connection())))
        };
        self.accept(b"http/1.1", serve, Some(quiet), stop).await
    }

    /// The same over HTTP/2, as clients of gRPC speak it. Their connections stay open while they
    /// answer pings: between calls they are quiet for as long as they like.
    pub(crate) async fn run_grpc(
        self,
        app: impl Into<App>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<bool> {
        let mut http = http2::Builder::new(TokioExecutor::new());
        let (idle, app) = (self.bounds.idle(), app.into());
        http.timer(TokioTimer::new()).keep_alive_interval(idle).keep_alive_timeout(idle);
        let serve = move |stream: Stream, open: Watcher, _| {
            let service = TowerToHyperService::new(app.of_connection());
            // Pings begin after what every client of HTTP/2 says first.
            let stream = Prompt::new(stream, HTTP2_PREFACE, idle);
            open.watch(http.serve_connection(TokioIo::new(stream), service))
        };
        self.accept(b"h2", serve, None, stop).await
    }

    /// Accepts connections until `stop` is done, then waits for those that are open. Whether all ended.
    async fn accept<C>(
        self,
        protocol: &[u8],
        serve: impl Fn(Stream, Watcher, Arc<Activity>) -> C + Clone + Send + 'static,
        mut quiet: Option<Quiet>,
        stop: impl Future<Output = ()>,
    ) -> Result<bool>
    where
        C: Future<Output = hyper::Result<()>> + Send + 'static,
    {
        let acceptor = self.tls.map(|tls| tls.acceptor(&[protocol])).transpose()?;
        let mut listener = Bounded::new(self.listener, self.bounds.max_connections);
        let (open, mut stop) = (GracefulShutdown::new(), pin!(stop));
        loop {
            let (connection, _) = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
                () = looked(quiet.as_mut()) => continue,
            };
            let (serve, watcher, acceptor) = (serve.clone(), open.watcher(), acceptor.clone());
            let activity = Arc::<Activity>::default();
            let own = Arc::clone(&activity);
            let task = tokio::spawn(async move {
                let stream = match acceptor {
                    None => Some(Either::Left(connection)),
                    Some(acceptor) => {
                        tls::handshake(&acceptor, connection).await.map(Either::Right)
                    }
                };
                let Some(stream) = stream else { return };
                // A client that breaks off harms nobody else.
                if let Err(error) = serve(stream, watcher, own).await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
            if let Some(quiet) = &mut quiet {
                quiet.watch(&activity, task.abort_handle());
            }
        }
        drop(listener);
        let grace = Duration::from_secs(self.bounds.shutdown_seconds);
        let mut ending = pin!(tokio::time::timeout(grace, open.shutdown()));
        loop {
            tokio::select! {
                ended = &mut ending => return Ok(ended.is_ok()),
                () = looked(quiet.as_mut()) => {}
            }
        }
    }
}

async fn looked(quiet: Option<&mut Quiet>) {
    match quiet {
        Some(quiet) => quiet.look().await,
        None => std::future::pending().await,
    }
}

/// A client's bytes, without TLS or under it.
type Stream = Either<Connection, TlsStream<Connection>>;

/// Bytes that a client of HTTP/2 begins with.
const HTTP2_PREFACE: usize = 24;

/// Serves on threads of its own until the work is done.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::io("starting the runtime", source))?;
    let outcome = runtime.block_on(work);
    // What was given up on must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Done when the process is asked to end: by ctrl-c, or, on Unix, by SIGTERM. It hears from now on, not
/// from when it is first waited for: whoever is told the address may ask at once.
#[cfg(unix)]
pub(crate) fn asked_to_end() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |source| Error::io("listening for signals", source);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Done when the process is asked to end by ctrl-c.
#[cfg(not(unix))]
pub(crate) fn asked_to_end() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "no signal can end this server gracefully");
            std::future::pending::<()>().await;
        }
    })
}
