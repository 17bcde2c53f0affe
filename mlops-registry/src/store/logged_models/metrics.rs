//! What runs measured of logged models.

use super::unknown;
use crate::store::{
    connection::{Row, values},
    session::Tx,
    words::{from_ordered_bits, ordered_bits},
};
use mlops_core::{Result, RunId, tracker::MetricPoint};
use std::{collections::BTreeSet, sync::Arc};

pub(super) const COLUMNS: &str =
    "model, metric, run, dataset_name, dataset_digest, step, time, value";

/// A point that a run measured of a logged model, on some data or on none that it names.
#[derive(Clone, Debug)]
pub(crate) struct ModelPoint {
    pub(crate) model: Arc<str>,
    pub(crate) metric: Arc<str>,
    pub(crate) run: RunId,
    /// Name and digest of the data; the digest may be empty.
    pub(crate) dataset: Option<(Arc<str>, Arc<str>)>,
    pub(crate) point: MetricPoint,
}

/// Notes what a run measured; the same point again changes nothing. `NotFound` names a model that is
/// not there.
pub(crate) async fn log_metrics(tx: &mut Tx<'_>, points: &[ModelPoint]) -> Result<()> {
    let models: BTreeSet<&str> = points.iter().map(|point| point.model.as_ref()).collect();
    for model in models {
        let sql = "select 1 from logged_models where id = $1";
        tx.db.row(sql, &values![model]).await?.ok_or_else(|| unknown(model))?;
    }
    let sql = "insert into logged_model_metrics
        (model, metric, run, dataset_name, dataset_digest, step, time, value, number)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";
    for ModelPoint { model, metric, run, dataset, point } in points {
        let (name, digest) = dataset.clone().unwrap_or_default();
        let MetricPoint { value, step, time } = *point;
        let known = Some(value).filter(|value| !value.is_nan());
        let (run, bits) = (run.to_string(), ordered_bits(value));
        let row = values![model, metric, run, &name, &digest, step, time, bits, known];
        tx.db.execute(sql, &row).await?;
    }
    Ok(())
}

/// The point of a row of [`COLUMNS`].
pub(super) fn point(row: &Row) -> Result<ModelPoint> {
    let name = row.text(3)?;
    let digest = row.text(4)?;
    let value = from_ordered_bits(row.int(7)?);
    Ok(ModelPoint {
        model: row.text(0)?.into(),
        metric: row.text(1)?.into(),
        run: row.parsed(2)?,
        dataset: (!name.is_empty() || !digest.is_empty()).then(|| (name.into(), digest.into())),
        point: MetricPoint { value, step: row.int(5)?, time: row.time(6)? },
    })
}
