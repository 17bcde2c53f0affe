//! The record that a flag names.

mod lazy;

use crate::{
    Error, Registry, Result,
    home::{Home, HomeConfig, Place, connect_with},
};
use mlops_registry::RestConfig;
use std::{path::PathBuf, sync::Arc};

/// Opens or connects to the record at a URI, as [`connect`](crate::connect) reads it. A file must be
/// there: a mistyped path makes no empty record. Who signs in to a server is asked of the environment
/// by the names that MLflow's own clients know.
pub(super) async fn open(uri: &str) -> Result<Home> {
    present(uri)?;
    connect_with(uri, HomeConfig::default().with_rest(rest())).await
}

/// How to sign in to a server: as the environment says.
pub(super) fn rest() -> RestConfig {
    RestConfig::from_env(|name| std::env::var(name).ok())
}

/// Refuses a file that is not there.
pub(super) fn present(uri: &str) -> Result<()> {
    match path(uri)?.filter(|path| !path.exists()) {
        Some(path) => Err(Error::unavailable(format!("there is no record at {}", path.display()))),
        None => Ok(()),
    }
}

/// The record as a registry that is opened when it is first asked: a server that has what it needs
/// in its cache starts while the record is away.
pub(super) fn registry(uri: &str) -> Result<Arc<dyn Registry>> {
    Place::of(uri)?;
    Ok(Arc::new(lazy::Lazy::new(uri)))
}

/// The file that a URI must mean for what only a file can do. The URI may hold a password.
pub(super) fn file(uri: &str) -> Result<PathBuf> {
    path(uri)?.ok_or_else(|| {
        Error::unsupported("only a record in a file can be used here: give sqlite:///PATH")
    })
}

/// The file that a URI means, if it means one.
pub(super) fn path(uri: &str) -> Result<Option<PathBuf>> {
    Ok(match Place::of(uri)? {
        Place::File(path) => Some(path),
        _ => None,
    })
}
