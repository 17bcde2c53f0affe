//! The client keeps every promise of both traits on our own server.

use crate::conformance::damage;
use axum::serve::ListenerExt;
use mlops_core::{
    conformance::{registry, tracker},
    testing::ManualClock,
};
use mlops_registry::{
    RestConfig, RestStore, SqlStore, StoreConfig,
    mlflow::server::{ServerConfig, router},
};
use std::{fs, path::Path, sync::Arc, thread, time::Duration};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server on a thread of its own; ends when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    _end: oneshot::Sender<()>,
}

impl Server {
    pub(crate) async fn start(store: SqlStore) -> Self {
        let (listens, address) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                listens.send(listener.local_addr().unwrap()).unwrap();
                // Small answers leave at once.
                let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
                let app = router(store, ServerConfig::default());
                let serve = async { axum::serve(listener, app).await };
                let _ = futures_util::future::select(std::pin::pin!(serve), ended).await;
            });
        });
        Self { url: format!("http://{}", address.await.unwrap()), _end: end }
    }

    async fn client(&self) -> RestStore {
        let config = RestConfig::default().with_poll_interval(Duration::from_millis(20));
        let client = RestStore::connect(&self.url, config).await.unwrap();
        assert!(client.is_ours());
        client
    }
}

async fn store(folder: &Path, config: StoreConfig) -> SqlStore {
    SqlStore::open(folder.join("mlops.db"), config).await.unwrap()
}

async fn tracker() -> tracker::Subject {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let config = StoreConfig::default().with_clock(Arc::<ManualClock>::clone(&clock));
    let server = Server::start(store(folder.path(), config).await).await;
    let path = folder.path().to_owned();
    tracker::Subject::new(server.client().await)
        .with_clock(clock)
        .with_damage(move |_, _, artifact| damage(&path, artifact))
        .keeping((server, folder))
}

async fn registry() -> registry::Subject {
    let folder = TempDir::new().unwrap();
    let server = Server::start(store(folder.path(), StoreConfig::default()).await).await;
    let (path, packages) = (folder.path().to_owned(), folder.path().join("packages"));
    fs::create_dir(&packages).unwrap();
    let client = server.client().await;
    registry::Subject::new(client.clone(), packages)
        .with_tracker(client)
        .with_damage(move |version, file| damage(&path, version.manifest.get(file).unwrap()))
        .keeping((server, folder))
}

mlops_core::tracker_conformance!(rest_tracker, tracker().await);
mlops_core::registry_conformance!(rest_registry, registry().await);
