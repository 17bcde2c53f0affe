//! [`Registry`] of a record on another machine.

use super::{RestStore, aliases, fetch, models, versions, watch};
use async_trait::async_trait;
use mlops_core::{
    ModelName, Registry, Result, VersionId,
    event::{BoxStream, Event},
    model::ModelPackage,
    page::{Page, Search},
    registry::{
        AliasMove, CreateModel, CreateVersion, HistoryQuery, ModelChange, ModelUri, ModelVersion,
        MoveAlias, RegisteredModel, VersionChange,
    },
};
use std::path::Path;

#[async_trait]
impl Registry for RestStore {
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel> {
        self.call(|session| models::create(session, new)).await
    }

    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel> {
        let name = name.clone();
        self.call(|session| models::update(session, name, change)).await
    }

    async fn delete_model(&self, name: &ModelName) -> Result<()> {
        let name = name.clone();
        self.call(|session| models::delete(session, name)).await
    }

    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>> {
        self.call(|session| models::find(session, search)).await
    }

    async fn create_version(&self, new: CreateVersion) -> Result<ModelVersion> {
        self.call(|session| versions::create(session, new)).await
    }

    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion> {
        let id = id.clone();
        self.call(|session| versions::update(session, id, change)).await
    }

    async fn delete_version(&self, id: &VersionId) -> Result<()> {
        let id = id.clone();
        self.call(|session| versions::delete(session, id)).await
    }

    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>> {
        self.call(|session| versions::find(session, search)).await
    }

    async fn move_alias(&self, request: MoveAlias) -> Result<AliasMove> {
        aliases::move_alias(self, request).await
    }

    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        let uri = uri.clone();
        self.call(|session| versions::resolve(session, uri)).await
    }

    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        let (id, into) = (id.clone(), into.to_owned());
        self.call(|session| fetch::fetch(session, id, into)).await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>> {
        self.call(|session| watch::history(session, query)).await
    }

    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        watch::watch(self.clone(), uri)
    }
}
