//! Traces: what MLflow's clients record of single calls.

use super::connection::{Connection, values};
use mlops_core::{Error, Result};

/// Refuses a trace that is not there.
pub(super) async fn known(db: &mut Connection, id: &str) -> Result<()> {
    let row = db.row("select 1 from traces where id = $1", &values![id]).await?;
    row.map(drop).ok_or_else(|| unknown(id))
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(format!("trace {id:?} does not exist"))
}
