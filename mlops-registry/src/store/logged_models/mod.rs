//! Models that runs made and that are not registered: what MLflow's clients log since version 3.

#[cfg(feature = "http")]
mod calls;
#[cfg(feature = "http")]
mod metrics;
#[cfg(feature = "http")]
mod search;
#[cfg(feature = "http")]
mod whole;

#[cfg(feature = "http")]
pub(crate) use calls::{NewLoggedModel, Status};
#[cfg(feature = "http")]
pub(crate) use metrics::{ModelPoint, log_metrics};
#[cfg(feature = "http")]
pub(crate) use search::{LoggedModelOrder, LoggedModelSearch};
#[cfg(feature = "http")]
pub(crate) use whole::LoggedModel;

use super::{
    connection::{Connection, values},
    words::case,
};
use mlops_core::{Error, Result, tracker::Lifecycle};

/// Whether a logged model is deleted; an unknown one is `NotFound`.
pub(super) async fn lifecycle(db: &mut Connection, id: &str) -> Result<Lifecycle> {
    let row = db.row("select lifecycle from logged_models where id = $1", &values![id]).await?;
    case(&row.ok_or_else(|| unknown(id))?.text(0)?)
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(format!("Logged model with ID '{id}' not found."))
}
