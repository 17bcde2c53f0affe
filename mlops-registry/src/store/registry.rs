//! [`Registry`] of the store.

use super::{SqlStore, aliases, follow, models, search, versions};
use crate::artifacts::blocking;
use async_trait::async_trait;
use mlops_core::{
    Error, ModelName, Registry, Result, VersionId,
    event::{BoxStream, Event},
    model::ModelPackage,
    page::{Page, Search},
    registry::{
        AliasMove, CreateModel, CreateVersion, HistoryQuery, ModelChange, ModelUri, ModelVersion,
        MoveAlias, RegisteredModel, VersionChange,
    },
    search::List,
};
use std::path::Path;

#[async_trait]
impl Registry for SqlStore {
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel> {
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| models::create(tx, new).await).await
    }

    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel> {
        let (thread, name) = (&self.shared.thread, name.clone());
        thread.write(&self.actor, async move |tx| models::update(tx, &name, change).await).await
    }

    async fn delete_model(&self, name: &ModelName) -> Result<()> {
        let (thread, name) = (&self.shared.thread, name.clone());
        thread.write(&self.actor, async move |tx| models::delete(tx, &name).await).await
    }

    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find(db, List::Models, &search).await?;
            Ok(Page { items: models::load(db, &items).await?, next })
        });
        read.await
    }

    async fn create_version(&self, new: CreateVersion) -> Result<ModelVersion> {
        let (thread, wanted) = (&self.shared.thread, new.clone());
        let there = thread.read(async move |db| versions::of_key(db, &wanted).await).await?;
        if let Some(version) = there {
            return Ok(version);
        }
        let (artifacts, folder) = (self.shared.artifacts.clone(), new.package.clone());
        let transfers = self.shared.transfers.clone();
        let stored = thread.task(async move {
            let _turn = transfers.turn().await?;
            let package = blocking::run(move || ModelPackage::open(folder)).await?;
            artifacts.put_files(package.folder(), package.manifest()).await?;
            Ok(package)
        });
        // Bytes first: a version never refers to what is not on the disk.
        let package = stored.await?;
        let artifacts = self.shared.artifacts.clone();
        thread
            .write(&self.actor, async move |tx| {
                let content = versions::Content::from(&package);
                let version = versions::create(tx, new, content).await?;
                // Last, when the turn to write is taken: the collector of garbage has been here, or waits.
                artifacts.all_present(&version.manifest).await?;
                Ok(version)
            })
            .await
    }

    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion> {
        let (thread, id) = (&self.shared.thread, id.clone());
        thread.write(&self.actor, async move |tx| versions::update(tx, &id, change).await).await
    }

    async fn delete_version(&self, id: &VersionId) -> Result<()> {
        let (thread, id) = (&self.shared.thread, id.clone());
        thread.write(&self.actor, async move |tx| versions::delete(tx, &id).await).await
    }

    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find(db, List::Versions, &search).await?;
            Ok(Page { items: versions::load(db, &items).await?, next })
        });
        read.await
    }

    async fn move_alias(&self, request: MoveAlias) -> Result<AliasMove> {
        aliases::move_alias(self, request).await
    }

    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        let uri = uri.clone();
        self.shared.thread.read(async move |db| versions::resolve(db, &uri).await).await
    }

    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        let (thread, uri) = (&self.shared.thread, ModelUri::version(id.model.clone(), id.version));
        let version = thread.read(async move |db| versions::resolve(db, &uri).await).await?;
        if let (Some(source), 0) = (&version.source, version.manifest.iter().len()) {
            let text = format!("version {id} has no bytes in this record: they lie at {source}");
            return Err(Error::unsupported(text));
        }
        let (artifacts, into) = (self.shared.artifacts.clone(), into.to_owned());
        let transfers = self.shared.transfers.clone();
        let fetched = thread.task(async move {
            let _turn = transfers.turn().await?;
            artifacts.fetch_dir(&version.manifest, &into).await?;
            blocking::run(move || ModelPackage::open(into)).await
        });
        fetched.await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>> {
        follow::history(self, query).await
    }

    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        follow::watch(self.clone(), uri)
    }
}
