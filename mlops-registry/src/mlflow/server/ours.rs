//! What our own client asks beyond MLflow's API (`client` beside this, and the table in `wire::extension`),
//! so that it keeps every promise of the traits. No other client sees any of it.

use super::{
    args::{invalid, missing},
    call::Call,
    routes::{Route, route},
    runs::id,
};
use mlops_core::{Error, ErrorKind, Result, Tracker};
use serde_json::{Value, json};
use std::time::Duration;

/// The field of `server-info` by which our client knows us: the protocol that both speak.
pub(super) const PROTOCOL: u32 = 1;
/// The header of a refusal that says what MLflow's codes cannot: that somebody else was there first.
pub(super) const KIND: &str = "mlops-error";
/// Its only value so far.
pub(super) const CONFLICT: &str = "conflict";
/// The header of a request for bytes which says that the client compares them with `Repr-Digest`.
pub(super) const VERIFIES: &str = "mlops-verifies";

pub(super) fn routes() -> Vec<Route> {
    vec![route!(POST "/mlops/runs/renew-lease" Write renew_lease)]
}

/// Promises that a run's process lives and will renew again within so many milliseconds.
async fn renew_lease(call: Call) -> Result<Value> {
    let run = id(&call.args)?;
    let lasts = call.args.int("lasts_ms")?.ok_or_else(|| missing("lasts_ms"))?;
    let millis = u64::try_from(lasts);
    let millis = millis.map_err(|_| invalid(&lasts, "lasts_ms", "a time to come is expected"))?;
    call.store.renew_lease(&run, Duration::from_millis(millis)).await?;
    Ok(json!({}))
}

/// Whether MLflow's code hides a conflict, which the error's source still is.
pub(super) fn is_conflict(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    error.kind() == ErrorKind::InvalidInput
        && source.is_some_and(|source| source.kind() == ErrorKind::Conflict)
}
