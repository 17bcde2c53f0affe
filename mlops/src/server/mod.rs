//! What only a program may do in its process: listen, bound connections, shut down, serve `/metrics`.

mod connections;
mod counters;
mod metrics;

pub(crate) use counters::Counters;
pub(crate) use metrics::{Metered, http_metrics, metrics};

use crate::{Error, Result};
use connections::Bounded;
use std::{
    future::{Future, IntoFuture},
    net::SocketAddr,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};

/// An address that is listened on, not yet served.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    max_connections: usize,
    grace: Duration,
}

impl Server {
    /// Listens; clients that come before [`run`](Self::run) wait.
    pub(crate) async fn bind(
        host: &str,
        port: u16,
        max_connections: usize,
        grace: Duration,
    ) -> Result<Self> {
        let bound = TcpListener::bind((host, port)).await;
        let listener =
            bound.map_err(|source| Error::io(format!("listening on {host}:{port}"), source))?;
        Ok(Self { listener, max_connections, grace })
    }

    /// Where it listens: the port that the system chose if none was asked for.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|source| Error::io("the server's address", source))
    }

    /// Serves until `stop` is done, then answers what is in flight, for as long as the grace lasts.
    /// Whether everything was answered.
    pub(crate) async fn run(
        self,
        app: axum::Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<bool> {
        let (told, mut stopping) = watch::channel(false);
        let stop = async move {
            stop.await;
            let _ = told.send(true);
        };
        let listener = Bounded::new(self.listener, self.max_connections);
        let serving = axum::serve(listener, app).with_graceful_shutdown(stop).into_future();
        let late = async {
            // The sender lives as long as what is served.
            let _ = stopping.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::select! {
            served = serving => {
                served.map(|()| true).map_err(|source| Error::io("serving", source))
            }
            () = late => Ok(false),
        }
    }
}

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
