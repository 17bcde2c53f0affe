//! Traces: what MLflow's clients record of single calls.

#[cfg(feature = "http")]
mod calls;
#[cfg(feature = "http")]
mod search;
#[cfg(feature = "http")]
mod spans;

#[cfg(feature = "http")]
pub(crate) use calls::DeleteTraces;
#[cfg(feature = "http")]
pub(crate) use search::TraceSearch;
#[cfg(feature = "http")]
pub(crate) use spans::Span;

use super::connection::{Connection, values};
use mlops_core::{Error, Result};

/// Refuses a trace that is not there.
pub(super) async fn known(db: &mut Connection, id: &str) -> Result<()> {
    let row = db.row("select 1 from traces where id = $1", &values![id]).await?;
    row.map(drop).ok_or_else(|| unknown(id))
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(format!("Trace with ID '{id}' not found."))
}

#[cfg(feature = "http")]
pub(crate) use whole::Trace;
#[cfg(feature = "http")]
mod whole;
