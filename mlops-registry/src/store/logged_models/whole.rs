//! A logged model and all that belongs to it.

use super::{
    calls::Status,
    metrics::{self, ModelPoint},
    unknown,
};
use crate::store::{
    connection::{Connection, Row, Value, placeholders, values},
    tags,
    words::case,
};
use mlops_core::{
    ExperimentId, Result, Timestamp,
    tracker::{Lifecycle, Tags},
};
use std::{collections::HashMap, sync::Arc};

/// How many models are read at once.
const CHUNK: usize = 500;
const COLUMNS: &str =
    "id, experiment, name, model_type, status, status_message, source_run, lifecycle,
    created, updated";

/// A logged model.
#[derive(Clone, Debug)]
pub(crate) struct LoggedModel {
    pub(crate) id: Arc<str>,
    pub(crate) experiment: ExperimentId,
    pub(crate) name: Arc<str>,
    pub(crate) model_type: Option<Arc<str>>,
    pub(crate) status: Status,
    pub(crate) status_message: Option<Arc<str>>,
    pub(crate) source_run: Option<Arc<str>>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) tags: Tags,
    pub(crate) params: Tags,
    /// Every point, in the order of (metric, time, step, run).
    pub(crate) metrics: Vec<ModelPoint>,
}

/// One model; a deleted one only if it is asked for.
pub(super) async fn get(db: &mut Connection, id: &str, also_deleted: bool) -> Result<LoggedModel> {
    let found = load(db, &values![id]).await?.pop();
    let found = found.filter(|model| also_deleted || model.lifecycle == Lifecycle::Active);
    found.ok_or_else(|| unknown(id))
}

/// Whole models in the order asked for; those that are not there are left out.
pub(super) async fn load(db: &mut Connection, ids: &[Value]) -> Result<Vec<LoggedModel>> {
    let mut models = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        let list = placeholders(1, some.len());
        let sql = format!("select {COLUMNS} from logged_models where id in ({list})");
        let mut found = HashMap::with_capacity(some.len());
        for row in db.rows(sql, some).await? {
            found.insert(row.text(0)?, model(&row)?);
        }
        for (id, tags) in tags::LOGGED_MODEL.of(db, some).await? {
            found.entry(id).and_modify(|model| model.tags = tags);
        }
        for (id, params) in tags::LOGGED_MODEL_PARAM.of(db, some).await? {
            found.entry(id).and_modify(|model| model.params = params);
        }
        let sql = format!(
            "select {} from logged_model_metrics where model in ({list})
             order by model, metric, time, step, run",
            metrics::COLUMNS
        );
        for row in db.rows(sql, some).await? {
            let point = metrics::point(&row)?;
            if let Some(model) = found.get_mut(point.model.as_ref()) {
                model.metrics.push(point);
            }
        }
        models.extend(some.iter().filter_map(|id| match id {
            Value::Text(id) => found.remove(id),
            _ => None,
        }));
    }
    Ok(models)
}

fn model(row: &Row) -> Result<LoggedModel> {
    Ok(LoggedModel {
        id: row.text(0)?.into(),
        experiment: ExperimentId::new(row.int(1)?.to_string())?,
        name: row.text(2)?.into(),
        model_type: row.optional_text(3)?.map(Arc::from),
        status: case(&row.text(4)?)?,
        status_message: row.optional_text(5)?.map(Arc::from),
        source_run: row.optional_text(6)?.map(Arc::from),
        lifecycle: case(&row.text(7)?)?,
        created: row.time(8)?,
        updated: row.time(9)?,
        tags: Tags::new(),
        params: Tags::new(),
        metrics: Vec::new(),
    })
}
