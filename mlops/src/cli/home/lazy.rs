//! A record that may not be there yet.

use super::open;
use crate::{
    ModelName, Registry, Result, VersionId,
    event::{BoxStream, Event},
    model::ModelPackage,
    page::{Page, Search},
    registry::{
        AliasMove, CreateModel, CreateVersion, HistoryQuery, ModelChange, ModelUri, ModelVersion,
        MoveAlias, RegisteredModel, VersionChange,
    },
};
use async_trait::async_trait;
use futures_util::{TryStreamExt, stream};
use std::{path::Path, sync::Arc};
use tokio::sync::OnceCell;

/// Opens the record when it is first asked, and again until it is there.
#[derive(Clone, Debug)]
pub(super) struct Lazy {
    uri: Arc<str>,
    store: Arc<OnceCell<Arc<dyn Registry>>>,
}

impl Lazy {
    pub(super) fn new(uri: &str) -> Self {
        Self { uri: uri.into(), store: Arc::default() }
    }

    async fn store(&self) -> Result<&Arc<dyn Registry>> {
        let opened = async || Ok(Arc::clone(open(&self.uri).await?.registry()));
        self.store.get_or_try_init(opened).await
    }
}

#[async_trait]
impl Registry for Lazy {
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel> {
        self.store().await?.create_model(new).await
    }
    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel> {
        self.store().await?.update_model(name, change).await
    }
    async fn delete_model(&self, name: &ModelName) -> Result<()> {
        self.store().await?.delete_model(name).await
    }
    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>> {
        self.store().await?.models(search).await
    }
    async fn create_version(&self, new: CreateVersion) -> Result<ModelVersion> {
        self.store().await?.create_version(new).await
    }
    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion> {
        self.store().await?.update_version(id, change).await
    }
    async fn delete_version(&self, id: &VersionId) -> Result<()> {
        self.store().await?.delete_version(id).await
    }
    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>> {
        self.store().await?.versions(search).await
    }
    async fn move_alias(&self, request: MoveAlias) -> Result<AliasMove> {
        self.store().await?.move_alias(request).await
    }
    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        self.store().await?.resolve(uri).await
    }
    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        self.store().await?.fetch(id, into).await
    }
    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>> {
        self.store().await?.history(query).await
    }
    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        let lazy = self.clone();
        let opened = async move { lazy.store().await.map(|store| store.watch(uri)) };
        Box::pin(stream::once(opened).try_flatten())
    }
}
