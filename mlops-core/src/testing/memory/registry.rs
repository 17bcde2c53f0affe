//! [`Registry`] of the store.

use super::{MemoryStore, aliases, log::Watching, models, pages, versions};
use crate::{
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
use async_trait::async_trait;
use std::path::Path;

#[async_trait]
impl Registry for MemoryStore {
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel> {
        self.write(|tx| models::create(tx, new))
    }

    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel> {
        self.write(|tx| models::update(tx, name, change))
    }

    async fn delete_model(&self, name: &ModelName) -> Result<()> {
        self.write(|tx| models::delete(tx, name))
    }

    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>> {
        let all: Vec<_> =
            self.read(|state| state.models.values().map(|held| held.model.clone()).collect());
        pages::find(List::Models, &search, &all, |model| model.name.to_string(), |_| true)
    }

    async fn create_version(&self, new: CreateVersion) -> Result<ModelVersion> {
        if let Some(there) = self.read(|state| versions::of_key(state, &new)) {
            return Ok(there);
        }
        let package = ModelPackage::open(&new.package)?;
        // Bytes first: a version never refers to what is not there.
        self.bytes().put_files(package.folder(), package.manifest())?;
        Ok(self.write(|tx| versions::create(tx, new, &package)))
    }

    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion> {
        self.write(|tx| versions::update(tx, id, change))
    }

    async fn delete_version(&self, id: &VersionId) -> Result<()> {
        self.write(|tx| versions::delete(tx, id))
    }

    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>> {
        let all: Vec<_> = self.read(|state| {
            let numbers = |held: &models::Held| held.versions.keys().copied().collect::<Vec<_>>();
            let of = |held| numbers(held).into_iter().filter_map(|number| held.version(number));
            state.models.values().flat_map(of).collect()
        });
        pages::find(List::Versions, &search, &all, |version| version.id.to_string(), |_| true)
    }

    async fn move_alias(&self, request: MoveAlias) -> Result<AliasMove> {
        // Gates are foreign code: they judge while nothing is locked, and again if meanwhile another
        // moved the alias.
        for _ in 0..aliases::TRIES {
            let judged = self.read(|state| aliases::judged(state, &request))?;
            let unmet = judged.unmet(&request)?;
            let settled = self.write(|tx| aliases::settle(tx, &request, &judged, &unmet))?;
            if let Some(answer) = settled {
                return Ok(answer);
            }
        }
        let (alias, tries) = (format!("{}@{}", request.model, request.alias), aliases::TRIES);
        Err(Error::conflict(format!("alias {alias} moved {tries} times while its gates judged")))
    }

    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        self.read(|state| versions::resolve(state, uri))
    }

    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        let version = self.read(|state| versions::get(state, id))?;
        self.bytes().fetch_dir(&version.manifest, into)?;
        ModelPackage::open(into)
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>> {
        self.read(|state| models::history(state, &query))
    }

    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        Box::pin(Watching::new(self, uri))
    }
}
