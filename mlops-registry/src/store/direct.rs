//! What a server asks beyond the traits: single things by what names them.

use super::{SqlStore, connection::values, experiments, runs};
use mlops_core::{
    ExperimentId, Result, RunId,
    tracker::{Experiment, Run},
};

impl SqlStore {
    /// An experiment, live or deleted; an unknown one is `NotFound`.
    pub async fn experiment(&self, id: &ExperimentId) -> Result<Experiment> {
        let number = experiments::number(id)?;
        self.shared.thread.read(async move |db| experiments::get(db, number).await).await
    }

    /// The experiment of a name, live or deleted.
    pub async fn experiment_named(&self, name: &str) -> Result<Option<Experiment>> {
        let name = name.to_owned();
        let read = self.shared.thread.read(async move |db| {
            let sql = "select id from experiments where name = $1";
            match db.row(sql, &values![name]).await? {
                Some(row) => experiments::get(db, row.int(0)?).await.map(Some),
                None => Ok(None),
            }
        });
        read.await
    }

    /// A run, live or deleted; an unknown one is `NotFound`.
    pub async fn run(&self, id: &RunId) -> Result<Run> {
        let id = *id;
        self.shared.thread.read(async move |db| runs::get(db, id).await).await
    }
}
