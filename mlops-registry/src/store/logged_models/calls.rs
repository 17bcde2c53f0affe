//! What the server asks of logged models.

use super::{
    LoggedModelSearch, search, unknown,
    whole::{LoggedModel, get, load},
};
use crate::store::{SqlStore, connection::values, experiments, session::Tx, tags, words::word};
use mlops_core::{
    Error, ExperimentId, Result,
    page::Page,
    tracker::{Lifecycle, Tags},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether a logged model's files are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Unspecified,
    Pending,
    Ready,
    Failed,
}

/// A model to note; its files come later.
#[derive(Clone, Debug)]
pub(crate) struct NewLoggedModel {
    pub(crate) experiment: ExperimentId,
    /// Made up if `None`.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) model_type: Option<Arc<str>>,
    pub(crate) source_run: Option<Arc<str>>,
    pub(crate) params: Tags,
    pub(crate) tags: Tags,
}

impl SqlStore {
    /// Notes a model whose files are still to come.
    pub(crate) async fn create_logged_model(&self, new: NewLoggedModel) -> Result<LoggedModel> {
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| create(tx, new).await).await
    }

    /// A logged model; a deleted one only if it is asked for.
    pub(crate) async fn logged_model(&self, id: &str, also_deleted: bool) -> Result<LoggedModel> {
        let (thread, id) = (&self.shared.thread, id.to_owned());
        thread.read(async move |db| get(db, &id, also_deleted).await).await
    }

    /// Says that the files are complete, or never will be.
    pub(crate) async fn finalize_logged_model(
        &self,
        id: &str,
        status: Status,
    ) -> Result<LoggedModel> {
        let (thread, id) = (&self.shared.thread, id.to_owned());
        let write = thread.write(&self.actor, async move |tx| {
            known(tx, &id).await?;
            let sql = "update logged_models set status = $2, updated = $3 where id = $1";
            tx.db.execute(sql, &values![&id, word(&status)?, tx.now]).await?;
            get(tx.db, &id, true).await
        });
        write.await
    }

    /// Deletes a model; its files stay until the garbage is collected.
    pub(crate) async fn delete_logged_model(&self, id: &str) -> Result<()> {
        let (thread, id) = (&self.shared.thread, id.to_owned());
        let write = thread.write(&self.actor, async move |tx| {
            known(tx, &id).await?;
            let sql = "update logged_models set lifecycle = $2, updated = $3 where id = $1";
            let row = values![&id, word(&Lifecycle::Deleted)?, tx.now];
            tx.db.execute(sql, &row).await.map(drop)
        });
        write.await
    }

    /// Sets tags; those not named stay.
    pub(crate) async fn tag_logged_model(&self, id: &str, new: Tags) -> Result<()> {
        let (thread, id) = (&self.shared.thread, id.to_owned());
        let write = thread.write(&self.actor, async move |tx| {
            known(tx, &id).await?;
            tags::LOGGED_MODEL.set_all(tx.db, &id.into(), &new).await
        });
        write.await
    }

    /// Removes a tag; one that is not there is `NotFound`.
    pub(crate) async fn untag_logged_model(&self, id: &str, key: &str) -> Result<()> {
        let (thread, id, key) = (&self.shared.thread, id.to_owned(), key.to_owned());
        let write = thread.write(&self.actor, async move |tx| {
            known(tx, &id).await?;
            let owner = id.as_str().into();
            if tags::LOGGED_MODEL.get(tx.db, &owner, &key).await?.is_none() {
                let text = format!("No tag with key {key:?} found for model with ID '{id}'.");
                return Err(Error::not_found(text));
            }
            tags::LOGGED_MODEL.remove(tx.db, &owner, &key).await
        });
        write.await
    }

    /// Adds parameters; one that is there keeps its value, and another value is refused.
    pub(crate) async fn add_logged_model_params(&self, id: &str, new: Tags) -> Result<()> {
        let (thread, id) = (&self.shared.thread, id.to_owned());
        let write = thread.write(&self.actor, async move |tx| {
            known(tx, &id).await?;
            let owner = id.as_str().into();
            for (key, value) in &new {
                match tags::LOGGED_MODEL_PARAM.get(tx.db, &owner, key).await? {
                    Some(there) if there == *value => {}
                    Some(_) => {
                        let text = format!("parameter {key:?} of logged model {id} has a value");
                        return Err(Error::invalid(text));
                    }
                    None => tags::LOGGED_MODEL_PARAM.set(tx.db, &owner, key, value).await?,
                }
            }
            Ok(())
        });
        write.await
    }

    /// The models that a search finds.
    pub(crate) async fn logged_models(
        &self,
        asked: LoggedModelSearch,
    ) -> Result<Page<LoggedModel>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find(db, &asked).await?;
            Ok(Page { items: load(db, &items).await?, next })
        });
        read.await
    }
}

/// Also a deleted model is one.
async fn known(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    let row = tx.db.row("select 1 from logged_models where id = $1", &values![id]).await?;
    row.map(drop).ok_or_else(|| unknown(id))
}

async fn create(tx: &mut Tx<'_>, new: NewLoggedModel) -> Result<LoggedModel> {
    let number = experiments::number(&new.experiment)?;
    if experiments::get(tx.db, number).await?.lifecycle != Lifecycle::Active {
        return Err(Error::invalid(format!("experiment {number} is deleted")));
    }
    let id = format!("m-{:032x}", tx.id());
    let name = new.name.unwrap_or_else(|| Arc::from(format!("model-{}", &id[26..])));
    let sql = "insert into logged_models
        (id, experiment, name, model_type, status, source_run, lifecycle, created, updated)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
    let (status, active) = (word(&Status::Pending)?, word(&Lifecycle::Active)?);
    let (kind, run) = (new.model_type.as_ref(), new.source_run.as_ref());
    let row = values![&id, number, &name, kind, status, run, active, tx.now];
    tx.db.execute(sql, &row).await?;
    tags::LOGGED_MODEL_PARAM.set_all(tx.db, &id.as_str().into(), &new.params).await?;
    tags::LOGGED_MODEL.set_all(tx.db, &id.as_str().into(), &new.tags).await?;
    get(tx.db, &id, false).await
}
