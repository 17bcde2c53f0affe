//! Models and versions as MLflow's clients see them: with stages, links, and the newest version a stage.

use super::{
    SqlStore, aliases,
    connection::{Connection, Value, placeholders},
    models, search,
    stages::{self, Stage},
    versions,
};
use mlops_core::{
    Error, ModelName, Result, VersionId,
    page::{Page, Search},
    registry::{CreateVersion, ModelUri, ModelVersion, MoveAlias, RegisteredModel, Unmet},
    search::List,
};
use std::{collections::HashMap, sync::Arc};

/// A model, and the newest of its versions in each stage.
#[derive(Clone, Debug)]
pub(crate) struct RegisteredName {
    pub(crate) model: RegisteredModel,
    pub(crate) newest: Vec<RegisteredVersion>,
}

/// A version, and what only MLflow's clients ask for.
#[derive(Clone, Debug)]
pub(crate) struct RegisteredVersion {
    pub(crate) version: ModelVersion,
    /// What the record calls it, whatever its model is called.
    pub(crate) row: i64,
    pub(crate) stage: Stage,
    /// The run as its registrar named it, which need not be one of ours.
    pub(crate) run: Option<Arc<str>>,
    pub(crate) run_link: Option<Arc<str>>,
    /// Also one that is empty, which MLflow tells from none.
    pub(crate) description: Option<Arc<str>>,
}

impl SqlStore {
    pub(crate) async fn registered_model(&self, name: &ModelName) -> Result<RegisteredName> {
        let name = name.clone();
        let read = self.shared.thread.read(async move |db| {
            let id = models::id(db, &name).await?;
            let found = whole_models(db, &[id.into()]).await?.pop();
            found.ok_or_else(|| Error::internal("a model just found is there"))
        });
        read.await
    }

    /// Models that a search finds, as MLflow finds them.
    pub(crate) async fn registered_models(&self, wanted: Search) -> Result<Page<RegisteredName>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find_for_mlflow(db, List::Models, &wanted).await?;
            Ok(Page { items: whole_models(db, &items).await?, next })
        });
        read.await
    }

    /// The version that a URI means now.
    pub(crate) async fn registered_version(&self, uri: ModelUri) -> Result<RegisteredVersion> {
        let read = self.shared.thread.read(async move |db| {
            let version = versions::resolve(db, &uri).await?;
            one(db, &version.id).await
        });
        read.await
    }

    /// The version that a call with this idempotency key made.
    pub(crate) async fn registered_with_key(
        &self,
        new: &CreateVersion,
    ) -> Result<Option<RegisteredVersion>> {
        let new = new.clone();
        let read =
            self.shared.thread.read(async move |db| match versions::of_key(db, &new).await? {
                Some(there) => one(db, &there.id).await.map(Some),
                None => Ok(None),
            });
        read.await
    }

    /// Versions that a search finds, as MLflow finds them.
    pub(crate) async fn registered_versions(
        &self,
        wanted: Search,
    ) -> Result<Page<RegisteredVersion>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find_for_mlflow(db, List::Versions, &wanted).await?;
            Ok(Page { items: load(db, &items).await?, next })
        });
        read.await
    }

    /// Puts a version into a stage; moves those that are there to the archive, if asked to.
    pub(crate) async fn put_into_stage(
        &self,
        id: VersionId,
        stage: Stage,
        archive: bool,
    ) -> Result<RegisteredVersion> {
        let write = self.shared.thread.write(&self.actor, async move |tx| {
            stages::put(tx, &id, stage, archive).await?;
            one(tx.db, &id).await
        });
        write.await
    }

    /// Describes a version, or takes its description away.
    pub(crate) async fn describe_version(
        &self,
        id: VersionId,
        description: Option<Arc<str>>,
    ) -> Result<RegisteredVersion> {
        let write = self.shared.thread.write(&self.actor, async move |tx| {
            let own = versions::find(tx.db, &id).await?;
            versions::describe(tx, own, description.as_deref()).await?;
            one(tx.db, &id).await
        });
        write.await
    }

    /// Writes down what kept an alias where it is, for a client that has asked the gates itself.
    pub(crate) async fn note_refusal(&self, request: MoveAlias, unmet: Vec<Unmet>) -> Result<()> {
        let write = self
            .shared
            .thread
            .write(&self.actor, async move |tx| aliases::note_refusal(tx, &request, &unmet).await);
        write.await
    }

    /// Deletes a version with the aliases that point at it, as MLflow does.
    pub(crate) async fn delete_with_aliases(&self, id: VersionId) -> Result<()> {
        let write = self.shared.thread.write(&self.actor, async move |tx| {
            aliases::remove_all(tx, &id, "its version was deleted").await?;
            versions::delete(tx, &id).await
        });
        write.await
    }
}

pub(super) async fn one(db: &mut Connection, id: &VersionId) -> Result<RegisteredVersion> {
    let row = versions::find(db, id).await?;
    let found = load(db, &[row.into()]).await?.pop();
    found.ok_or_else(|| Error::internal("a version just found is there"))
}

/// Whole versions in the order asked for.
async fn load(db: &mut Connection, rows: &[Value]) -> Result<Vec<RegisteredVersion>> {
    let mut facts = HashMap::with_capacity(rows.len());
    for some in rows.chunks(500) {
        let list = placeholders(1, some.len());
        let sql = format!(
            "select id, stage, run, run_link, description from versions where id in ({list})"
        );
        for row in db.rows(sql, some).await? {
            let text = |column| row.optional_text(column).map(|text| text.map(Arc::<str>::from));
            let stage = row.text(1)?.parse()?;
            facts.insert(row.int(0)?, (stage, text(2)?, text(3)?, text(4)?));
        }
    }
    let rows = rows.iter().filter_map(|row| match row {
        Value::Int(row) => Some(*row),
        _ => None,
    });
    let known: Vec<i64> = rows.filter(|row| facts.contains_key(row)).collect();
    let ids: Vec<Value> = known.iter().map(|row| (*row).into()).collect();
    let versions = versions::load(db, &ids).await?;
    let whole = versions.into_iter().zip(known).filter_map(|(version, row)| {
        let (stage, run, run_link, description) = facts.remove(&row)?;
        Some(RegisteredVersion { version, row, stage, run, run_link, description })
    });
    Ok(whole.collect())
}

async fn whole_models(db: &mut Connection, ids: &[Value]) -> Result<Vec<RegisteredName>> {
    let mut newest = HashMap::<ModelName, Vec<RegisteredVersion>>::new();
    for some in ids.chunks(500) {
        let rows = newest_rows(db, some).await?;
        for mut found in load(db, &rows).await? {
            // MLflow leaves the aliases out where it shows a version inside of a model.
            found.version.aliases.clear();
            newest.entry(found.version.id.model.clone()).or_default().push(found);
        }
    }
    let models = models::load(db, ids).await?.into_iter();
    let whole = models.map(|model| {
        let newest = newest.remove(&model.name).unwrap_or_default();
        RegisteredName { model, newest }
    });
    Ok(whole.collect())
}

/// The newest version of each model in each stage; the stages in the order in which they were first used.
async fn newest_rows(db: &mut Connection, models: &[Value]) -> Result<Vec<Value>> {
    let list = placeholders(1, models.len());
    let sql = format!(
        "select item.id from versions item
         join (select model, stage, min(number) as oldest, max(number) as newest from versions
               where model in ({list}) group by model, stage) part
         on part.model = item.model and part.newest = item.number
         order by part.model, part.oldest"
    );
    db.rows(sql, models).await?.iter().map(|row| row.any(0)).collect()
}
