//! What the other tests begin with: a store in a folder of its own, a run, a package.

use mlops_core::{
    ModelName, Result, Tracker,
    artifact::ByteStream,
    model::PackageBuilder,
    registry::CreateVersion,
    tracker::{CreateExperiment, CreateRun, Run},
};
use mlops_registry::{SqlStore, StoreConfig};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

/// A store and the folder that it lives in.
pub(crate) struct Home {
    pub(crate) store: SqlStore,
    pub(crate) folder: TempDir,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await.unwrap();
        Self { store, folder }
    }

    /// A run of an experiment of this name, which is new.
    pub(crate) async fn run(&self, experiment: &str) -> Run {
        let new = CreateExperiment::new(experiment);
        let experiment = self.store.create_experiment(new).await.unwrap();
        self.store.create_run(CreateRun::new(experiment.id)).await.unwrap()
    }

    /// A version of a model from a package with this text as its only file.
    pub(crate) fn version(&self, model: &str, text: &str) -> CreateVersion {
        package(self.folder.path(), model, text)
    }
}

/// Opens the store of a folder; looks often for what other processes wrote.
pub(crate) async fn open(folder: &Path) -> Result<SqlStore> {
    let config = StoreConfig::default().with_poll_interval(Duration::from_millis(10));
    SqlStore::open(folder.join("mlops.db"), config).await
}

/// Writes a package with this text as its only file, if it is not there.
pub(crate) fn package(folder: &Path, model: &str, text: &str) -> CreateVersion {
    let path = folder.join(format!("package-{model}-{text}"));
    if !path.exists() {
        let builder = PackageBuilder::new()
            .with_flavor("text", serde_json::json!({ "data": "model.txt" }))
            .and_then(|builder| builder.with_file("model.txt", text));
        // Whole or not there: who writes it may be killed.
        let making = folder.join(format!(".making-{model}-{text}"));
        let _ = std::fs::remove_dir_all(&making);
        builder.unwrap().write(&making).unwrap();
        std::fs::rename(making, &path).unwrap();
    }
    CreateVersion::new(ModelName::new(model).unwrap(), path)
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { std::fs::copy(from, to).map(drop).unwrap() }
    }
}

/// Bytes as a stream of pieces.
pub(crate) fn stream(pieces: Vec<Vec<u8>>) -> ByteStream {
    let pieces = pieces.into_iter().map(|piece| Ok(bytes::Bytes::from(piece)));
    Box::pin(futures_util::stream::iter(pieces))
}
