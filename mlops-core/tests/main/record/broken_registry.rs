//! Registries that break one promise each.

use super::{Shortened, saboteurs};
use async_trait::async_trait;
use mlops_core::{
    Error, ErrorKind, ModelName, Registry, Result, Tracker, VersionId,
    conformance::registry::{self as suite, Subject},
    event::{BoxStream, Event},
    model::ModelPackage,
    page::{Page, Search},
    registry::{
        AliasMove, CreateModel, CreateVersion, Expected, HistoryQuery, ModelChange, ModelUri,
        ModelVersion, MoveAlias, RegisteredModel, Unmet, VersionChange, Which,
    },
    testing::MemoryStore,
};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

saboteurs!(suite, subject: {
    a_model_name_is_taken_once: GivesNamesTwice,
    a_changed_model_is_given_back: GivesNoDescriptionBack,
    a_renamed_model_keeps_its_versions: LosesAliases,
    a_deleted_model_is_gone: DeletesNoModel,
    models_come_by_name: ReversesModels,
    version_numbers_never_come_again: CountsWhatIsThere,
    a_model_is_made_by_its_first_version: HidesModels,
    a_version_is_created_once_a_key: ForgetsKeys,
    a_folder_that_is_no_package_spends_no_number: ForgivesNoPackage,
    a_version_keeps_what_it_is_made_of: ForgetsMetrics,
    a_changed_version_is_given_back: GivesNoTagsBack,
    a_version_under_an_alias_stays: DeletesUnderAliases,
    versions_come_newest_first: ReversesVersions,
    a_uri_means_one_version: TakesTheFirstForTheLatest,
    an_unknown_uri_is_named: NamesNothing,
    a_move_is_compared_and_swapped: Swaps,
    of_racing_moves_one_wins: ComparesThenSwaps,
    a_conflict_names_who_moved: HidesWhoMoved,
    unmet_gates_refuse: AsksOneGate,
    a_promotion_lists_every_unmet_condition: StopsAtTheFirst,
    a_gate_may_call_the_registry: IsLockedForGates,
    gates_judge_what_is_there_at_last: JudgesOnce,
    metrics_logged_later_change_no_version: ShowsLaterMetrics,
    moves_and_refusals_are_in_the_history: KeepsNoReason,
    a_move_needs_model_and_version: ForgivesUnknownVersions,
    an_alias_is_removed: RemovesNoAlias,
    a_move_undoes_a_move: UndoesAnything,
    rollbacks_go_back_one_by_one: ForgetsWhatItUndoes,
    every_byte_is_fetched: FetchesNotAll,
    damaged_bytes_are_never_fetched: ShowsTheFolderFirst,
    a_folder_that_is_there_stays: ReplacesTheFolder,
    an_abandoned_fetch_leaves_all_or_nothing: LeavesHalfAFolder,
    a_watch_begins_with_what_is: WatchesTheFirst,
    a_watch_sees_each_move: StopsWatching,
});

/// Breaks one promise of the store that it holds.
#[derive(Debug)]
struct Saboteur {
    inner: MemoryStore,
    breaks: Breaks,
    /// Whether an alias is being moved.
    moving: AtomicBool,
}

fn subject(breaks: Breaks) -> Subject {
    let (inner, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let (bytes, tracker) = (inner.clone(), inner.clone());
    Subject::new(Saboteur { inner, breaks, moving: AtomicBool::new(false) }, folder.path())
        .with_tracker(tracker)
        .with_damage(move |version, path| bytes.bytes().damage(version.manifest.get(path).unwrap()))
        .keeping(folder)
}

impl Saboteur {
    async fn place(&self, request: &MoveAlias) -> Option<u64> {
        let uri = ModelUri::alias(request.model.clone(), request.alias.clone());
        self.inner.resolve(&uri).await.ok().map(|version| version.id.version)
    }

    /// What the gates say of what is there now.
    async fn judge(&self, request: &MoveAlias) -> Result<Vec<Unmet>> {
        let Some(to) = request.to else { return Ok(Vec::new()) };
        let candidate = self.inner.resolve(&ModelUri::version(request.model.clone(), to)).await?;
        let uri = ModelUri::alias(request.model.clone(), request.alias.clone());
        let champion = self.inner.resolve(&uri).await.ok();
        let judged = request.gates.iter().map(|gate| gate.unmet(&candidate, champion.as_ref()));
        Ok(judged.collect::<Result<Vec<_>>>()?.concat())
    }

    async fn with_later_metrics(&self, mut version: ModelVersion) -> Result<ModelVersion> {
        let Some(run) = version.run else { return Ok(version) };
        let search = Search::new().with_filter(format!("run_id = '{run}'"));
        for run in self.inner.runs(search).await?.items {
            version
                .metrics
                .extend(run.metrics.into_iter().map(|(name, point)| (name, point.value)));
        }
        Ok(version)
    }

    async fn remove_aliases(&self, model: &RegisteredModel) -> Result<()> {
        for alias in model.aliases.keys() {
            let removal = MoveAlias::new(model.name.clone(), alias.clone(), 1, "sabotage");
            self.inner.move_alias(removal.removing()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Registry for Saboteur {
    async fn create_model(&self, new: CreateModel) -> Result<RegisteredModel> {
        if self.moving.load(Ordering::SeqCst) {
            return Err(Error::unavailable("an alias is being moved"));
        }
        let made = self.inner.create_model(new.clone()).await;
        if self.breaks == Breaks::GivesNamesTwice && made.is_err() {
            return self.inner.update_model(&new.name, ModelChange::default()).await;
        }
        made
    }

    async fn update_model(&self, name: &ModelName, change: ModelChange) -> Result<RegisteredModel> {
        let mut changed = self.inner.update_model(name, change).await?;
        match self.breaks {
            Breaks::GivesNoDescriptionBack => changed.description = None,
            Breaks::LosesAliases => self.remove_aliases(&changed).await?,
            _ => {}
        }
        Ok(changed)
    }

    async fn delete_model(&self, name: &ModelName) -> Result<()> {
        if self.breaks == Breaks::DeletesNoModel {
            return Ok(());
        }
        self.inner.delete_model(name).await
    }

    async fn models(&self, search: Search) -> Result<Page<RegisteredModel>> {
        let mut page = self.inner.models(search).await?;
        match self.breaks {
            Breaks::ReversesModels => page.items.reverse(),
            Breaks::HidesModels => page.items.clear(),
            _ => {}
        }
        Ok(page)
    }

    async fn create_version(&self, mut new: CreateVersion) -> Result<ModelVersion> {
        match self.breaks {
            Breaks::ForgetsKeys => new.idempotency_key = None,
            Breaks::ForgetsMetrics => new.metrics.clear(),
            _ => {}
        }
        let model = new.model.clone();
        let made = self.inner.create_version(new).await;
        if self.breaks == Breaks::ForgivesNoPackage && made.is_err() {
            return self.inner.resolve(&ModelUri::latest(model)).await;
        }
        let mut made = made?;
        if self.breaks == Breaks::CountsWhatIsThere {
            let search = Search::new().with_filter(format!("name = '{model}'"));
            made.id.version = self.inner.versions(search).await?.items.len() as u64;
        }
        Ok(made)
    }

    async fn update_version(&self, id: &VersionId, change: VersionChange) -> Result<ModelVersion> {
        let mut changed = self.inner.update_version(id, change).await?;
        if self.breaks == Breaks::GivesNoTagsBack {
            changed.tags.clear();
        }
        Ok(changed)
    }

    async fn delete_version(&self, id: &VersionId) -> Result<()> {
        if self.breaks == Breaks::DeletesUnderAliases {
            let search = Search::new().with_filter(format!("name = '{}'", id.model));
            for model in self.inner.models(search).await?.items {
                self.remove_aliases(&model).await?;
            }
        }
        self.inner.delete_version(id).await
    }

    async fn versions(&self, search: Search) -> Result<Page<ModelVersion>> {
        let mut page = self.inner.versions(search).await?;
        if self.breaks == Breaks::ReversesVersions {
            page.items.reverse();
        }
        Ok(page)
    }

    async fn move_alias(&self, mut request: MoveAlias) -> Result<AliasMove> {
        let from = self.place(&request).await;
        match self.breaks {
            Breaks::Swaps => request.from = Expected::Any,
            Breaks::ComparesThenSwaps
                if request.from == from.map_or(Expected::Absent, Expected::Version) =>
            {
                tokio::task::yield_now().await;
                request.from = Expected::Any;
            }
            Breaks::AsksOneGate => request.gates.truncate(1),
            Breaks::ForgetsWhatItUndoes => request.undoes = None,
            Breaks::JudgesOnce => {
                let unmet = self.judge(&request).await?;
                if !unmet.is_empty() {
                    return Ok(AliasMove::Refused { unmet });
                }
                request.gates.clear();
            }
            Breaks::KeepsNoReason => request.reason = "".into(),
            Breaks::RemovesNoAlias if request.to.is_none() => {
                return Ok(AliasMove::Moved { from, to: None });
            }
            _ => {}
        }
        let (to, asked) = (request.to, request.clone());
        self.moving.store(self.breaks == Breaks::IsLockedForGates, Ordering::SeqCst);
        let answer = self.inner.move_alias(request).await;
        self.moving.store(false, Ordering::SeqCst);
        match answer {
            Ok(AliasMove::Refused { mut unmet }) if self.breaks == Breaks::StopsAtTheFirst => {
                unmet.truncate(1);
                Ok(AliasMove::Refused { unmet })
            }
            Err(error)
                if self.breaks == Breaks::UndoesAnything
                    && error.kind() == ErrorKind::InvalidInput =>
            {
                let mut again = asked;
                again.undoes = None;
                self.inner.move_alias(again).await
            }
            Err(error) if self.breaks == Breaks::HidesWhoMoved => {
                let text = error.message().split(": ").next().unwrap_or_default().to_owned();
                Err(Error::new(error.kind(), text))
            }
            Err(error)
                if self.breaks == Breaks::ForgivesUnknownVersions
                    && error.kind() == ErrorKind::NotFound =>
            {
                Ok(AliasMove::Moved { from, to })
            }
            answer => answer,
        }
    }

    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        match self.breaks {
            Breaks::TakesTheFirstForTheLatest if uri.which == Which::Latest => {
                self.inner.resolve(&ModelUri::version(uri.model.clone(), 1)).await
            }
            Breaks::NamesNothing => {
                let found = self.inner.resolve(uri).await;
                found.map_err(|error| Error::new(error.kind(), "it does not exist"))
            }
            Breaks::ShowsLaterMetrics => {
                let found = self.inner.resolve(uri).await?;
                self.with_later_metrics(found).await
            }
            _ => self.inner.resolve(uri).await,
        }
    }

    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        let broken = |_| Error::internal("the sabotage failed");
        match self.breaks {
            Breaks::ReplacesTheFolder if into.exists() => {
                fs::remove_dir_all(into).map_err(broken)?;
            }
            Breaks::LeavesHalfAFolder => {
                fs::create_dir(into).map_err(broken)?;
                tokio::task::yield_now().await;
                fs::remove_dir(into).map_err(broken)?;
            }
            _ => {}
        }
        let fetched = self.inner.fetch(id, into).await;
        match self.breaks {
            Breaks::FetchesNotAll if fetched.is_ok() => {
                fs::remove_file(into.join("notes.txt")).map_err(broken)?;
            }
            Breaks::ShowsTheFolderFirst if fetched.is_err() => {
                fs::create_dir(into).map_err(broken)?;
            }
            _ => {}
        }
        fetched
    }

    async fn history(&self, query: HistoryQuery) -> Result<Page<Event>> {
        self.inner.history(query).await
    }

    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        match self.breaks {
            Breaks::WatchesTheFirst => self.inner.watch(ModelUri::version(uri.model, 1)),
            Breaks::StopsWatching => Box::pin(Shortened::to(1, self.inner.watch(uri))),
            _ => self.inner.watch(uri),
        }
    }
}
