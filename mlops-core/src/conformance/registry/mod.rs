//! What every [`Registry`] promises, a check a promise.

mod aliases;
mod bytes;
mod gates;
mod models;
mod versions;

pub use aliases::{
    a_conflict_names_who_moved, a_move_is_compared_and_swapped, a_move_needs_model_and_version,
    a_move_undoes_a_move, a_watch_begins_with_what_is, a_watch_sees_each_move, an_alias_is_removed,
    moves_and_refusals_are_in_the_history, of_racing_moves_one_wins, rollbacks_go_back_one_by_one,
};
pub use bytes::{
    a_folder_that_is_there_stays, an_abandoned_fetch_leaves_all_or_nothing,
    damaged_bytes_are_never_fetched, every_byte_is_fetched,
};
pub use gates::{
    a_gate_may_call_the_registry, a_promotion_lists_every_unmet_condition,
    gates_judge_what_is_there_at_last, metrics_logged_later_change_no_version, unmet_gates_refuse,
};
pub use models::{
    a_changed_model_is_given_back, a_deleted_model_is_gone, a_model_name_is_taken_once,
    a_renamed_model_keeps_its_versions, models_come_by_name,
};
pub use versions::{
    a_changed_version_is_given_back, a_folder_that_is_no_package_spends_no_number,
    a_model_is_made_by_its_first_version, a_uri_means_one_version, a_version_is_created_once_a_key,
    a_version_keeps_what_it_is_made_of, a_version_under_an_alias_stays, an_unknown_uri_is_named,
    version_numbers_never_come_again, versions_come_newest_first,
};

use super::check;
use crate::{
    Alias, ErrorKind, ModelName, Registry, Result, Tracker, VersionId,
    artifact::ArtifactPath,
    model::{ModelPackage, PackageBuilder},
    page::Search,
    registry::{AliasMove, CreateVersion, ModelUri, ModelVersion, MoveAlias},
};
use std::{
    any::Any,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

type Damage = dyn Fn(&ModelVersion, &ArtifactPath) + Send + Sync;

/// A fresh registry to check, in which nothing is registered yet.
pub struct Subject {
    registry: Arc<dyn Registry>,
    tracker: Option<Arc<dyn Tracker>>,
    folder: PathBuf,
    folders: AtomicU32,
    actor: Arc<str>,
    damage: Option<Box<Damage>>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", self.registry)
    }
}

impl Subject {
    /// A registry in which nothing is registered yet, whose handle acts as `host`, and an empty
    /// folder for the packages that the checks make and fetch.
    pub fn new(registry: impl Registry + 'static, folder: impl Into<PathBuf>) -> Self {
        Self {
            registry: Arc::new(registry),
            tracker: None,
            folder: folder.into(),
            folders: AtomicU32::new(0),
            actor: Arc::from("host"),
            damage: None,
            kept: Vec::new(),
        }
    }

    /// Who acts through the registry's handle.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<Arc<str>>) -> Self {
        self.actor = actor.into();
        self
    }

    /// The tracker of the same record: where the runs are that versions come from.
    #[must_use]
    pub fn with_tracker(mut self, tracker: impl Tracker + 'static) -> Self {
        self.tracker = Some(Arc::new(tracker));
        self
    }

    /// Changes stored bytes of a version behind the registry's back: the file at a path of it.
    #[must_use]
    pub fn with_damage(
        mut self,
        damage: impl Fn(&ModelVersion, &ArtifactPath) + Send + Sync + 'static,
    ) -> Self {
        self.damage = Some(Box::new(damage));
        self
    }

    /// Keeps something, such as a folder, for as long as the subject is there.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    /// A path at which nothing lies.
    fn path(&self) -> PathBuf {
        self.folder.join(self.folders.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// A package with these bytes in it.
    fn package(&self, bytes: &str) -> ModelPackage {
        let package = PackageBuilder::new().with_file("weights/layer.bin", bytes);
        let package = package.expect("a file that is free");
        package
            .with_file("notes.txt", "")
            .expect("a file that is free")
            .write(self.path())
            .expect("a package")
    }

    /// A new version of a model.
    fn new_version(&self, model: &str, bytes: &str) -> CreateVersion {
        CreateVersion::new(name(model), self.package(bytes).folder())
    }

    async fn create(&self, model: &str) -> ModelVersion {
        let bytes = format!("weights of a version of {model}");
        let new = self.new_version(model, &bytes);
        self.registry.create_version(new).await.expect("a version is registered")
    }

    async fn versions(&self, search: Search) -> Vec<VersionId> {
        let page = self.registry.versions(search).await.expect("a valid search");
        page.items.into_iter().map(|version| version.id).collect()
    }

    async fn resolve(&self, uri: &str) -> Result<u64> {
        self.registry.resolve(&uri_of(uri)).await.map(|version| version.id.version)
    }

    async fn move_to(&self, to: u64) {
        let moved = self.registry.move_alias(to_champion(to)).await.expect("a move");
        assert!(matches!(moved, AliasMove::Moved { .. }), "{moved:?}");
    }
}

fn name(text: &str) -> ModelName {
    ModelName::new(text).expect("a valid name")
}

fn alias(text: &str) -> Alias {
    Alias::new(text).expect("a valid alias")
}

fn uri_of(text: &str) -> ModelUri {
    text.parse().expect("a valid URI")
}

/// Points the alias `champion` of the model `risk` somewhere.
fn to_champion(to: u64) -> MoveAlias {
    MoveAlias::new(name("risk"), alias("champion"), to, "to see")
}

/// A refusal that names each of these.
fn refused<T: fmt::Debug>(result: Result<T>, kind: ErrorKind, named: &[&str]) {
    let error = result.expect_err("a refusal");
    assert_eq!(error.kind(), kind, "{error}");
    for named in named {
        assert!(error.to_string().contains(named), "{error} does not name {named}");
    }
}

super::suite! {
    /// One named test a promise of [`Registry`](crate::Registry), on a backend that an expression
    /// makes, which may await: a [`Subject`](crate::conformance::registry::Subject).
    registry_conformance, registry: [
        a_model_name_is_taken_once, a_changed_model_is_given_back, a_renamed_model_keeps_its_versions,
        a_deleted_model_is_gone, models_come_by_name, version_numbers_never_come_again,
        a_model_is_made_by_its_first_version, a_version_is_created_once_a_key,
        a_folder_that_is_no_package_spends_no_number, a_version_keeps_what_it_is_made_of,
        a_changed_version_is_given_back, a_version_under_an_alias_stays, versions_come_newest_first,
        a_uri_means_one_version, an_unknown_uri_is_named, a_move_is_compared_and_swapped,
        of_racing_moves_one_wins, a_conflict_names_who_moved, unmet_gates_refuse,
        a_promotion_lists_every_unmet_condition, a_gate_may_call_the_registry,
        gates_judge_what_is_there_at_last, metrics_logged_later_change_no_version,
        moves_and_refusals_are_in_the_history, a_move_needs_model_and_version, an_alias_is_removed,
        a_move_undoes_a_move, rollbacks_go_back_one_by_one, every_byte_is_fetched,
        damaged_bytes_are_never_fetched, a_folder_that_is_there_stays,
        an_abandoned_fetch_leaves_all_or_nothing, a_watch_begins_with_what_is, a_watch_sees_each_move,
    ]
}
