//! Which version of a model is which, who moved it there, and every byte of it.

mod extension;
mod types;
mod uri;

pub use extension::RegistryExt;
pub use types::{
    AliasMove, AliasMoved, CreateModel, CreateVersion, Expected, Gate, HistoryQuery, ModelChange,
    ModelVersion, MoveAlias, RegisteredModel, Unmet, VersionChange,
};
pub use uri::{ModelUri, Which};

use crate::{
    ModelName, Result, VersionId,
    event::{BoxStream, Event},
    model::ModelPackage,
    page::{Page, Search},
};
use async_trait::async_trait;
use std::{fmt::Debug, path::Path, sync::Arc};

/// Registers models and says which version is which.
///
/// Who acts is part of the handle. The suite is `conformance::registry`: each bullet is one check.
#[async_trait]
pub trait Registry: Debug + Send + Sync {
    /// Creates a model without versions.
    ///
    /// # Behavior
    /// - a name that is taken is `AlreadyExists`
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel>;

    /// Renames, describes or tags a model; gives it as it is afterwards.
    ///
    /// # Behavior
    /// - an unknown model is `NotFound`
    /// - renaming carries versions and aliases along; a name that is taken is `AlreadyExists`
    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel>;

    /// Deletes a model with all versions and aliases.
    ///
    /// # Behavior
    /// - an unknown model is `NotFound`
    async fn delete_model(&self, name: &ModelName) -> Result<()>;

    /// Models that a search finds, in the order of their names.
    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>>;

    /// Registers a version: stores its bytes, then gives it the next number.
    ///
    /// # Behavior
    /// - numbers are 1, 2, 3 … and never come again, not after a deletion either
    /// - the model is created if it is not there
    /// - a version keeps what it is made of, whatever becomes of the folder
    /// - beside the metrics given it keeps the latest of its run; what is logged later changes nothing
    /// - the same idempotency key again gives the same version
    /// - a folder that is no package is an error, and no number is spent
    async fn create_version(&self, new: CreateVersion) -> Result<ModelVersion>;

    /// Tags a version; gives it as it is afterwards.
    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion>;

    /// Deletes a version.
    ///
    /// # Behavior
    /// - one that an alias points at is `Conflict` and names the alias
    async fn delete_version(&self, id: &VersionId) -> Result<()>;

    /// Versions that a search finds, the newest first.
    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>>;

    /// Points an alias at a version, if every gate is met.
    ///
    /// # Behavior
    /// - compare-and-swap: another `from` than where it points is `Conflict` and names where it points
    /// - of two racing moves from the same place one wins
    /// - a `Conflict` names who moved it to where it points
    /// - unmet gates are `Refused` with every unmet condition, and the alias stays
    /// - a gate may call the registry: nothing waits for it
    /// - gates judge what the alias points at when it moves, again if it moved meanwhile
    /// - a move is in the history with actor, reason, from and to; so is a refusal
    /// - an unknown model or version is `NotFound`
    /// - an alias that is removed points nowhere
    /// - what a move undoes is a move of the same alias, else `InvalidInput`
    async fn move_alias(&self, request: MoveAlias) -> Result<AliasMove>;

    /// The version that a URI means now.
    ///
    /// # Behavior
    /// - an unknown model, version or alias is `NotFound` and is named
    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion>;

    /// Copies a version's bytes into a folder that does not exist yet.
    ///
    /// # Behavior
    /// - every byte is verified before the folder appears
    /// - bytes that differ are `Corrupt`, are named, and no folder appears
    /// - a folder that is there already stays as it is: `AlreadyExists`
    /// - a fetch that is given up leaves the whole folder or none
    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage>;

    /// What happened to a model, oldest first.
    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>>;

    /// What a URI means now, then each change. Backends that cannot push poll.
    ///
    /// # Behavior
    /// - the first item is what `resolve` gives
    /// - each move of the alias comes, or a later one in its place
    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>>;
}

#[async_trait]
impl<R: Registry + ?Sized> Registry for Arc<R> {
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel> {
        (**self).create_model(new).await
    }
    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel> {
        (**self).update_model(name, change).await
    }
    async fn delete_model(&self, name: &ModelName) -> Result<()> {
        (**self).delete_model(name).await
    }
    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>> {
        (**self).models(search).await
    }
    async fn create_version(&self, new: CreateVersion) -> Result<ModelVersion> {
        (**self).create_version(new).await
    }
    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion> {
        (**self).update_version(id, change).await
    }
    async fn delete_version(&self, id: &VersionId) -> Result<()> {
        (**self).delete_version(id).await
    }
    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>> {
        (**self).versions(search).await
    }
    async fn move_alias(&self, request: MoveAlias) -> Result<AliasMove> {
        (**self).move_alias(request).await
    }
    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        (**self).resolve(uri).await
    }
    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        (**self).fetch(id, into).await
    }
    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>> {
        (**self).history(query).await
    }
    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        (**self).watch(uri)
    }
}
