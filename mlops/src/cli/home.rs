//! The record that a URI names.

mod lazy;

use crate::{Error, Registry, Result};
use mlops_registry::{SqliteStore, StoreConfig};
use std::{path::PathBuf, sync::Arc};

/// Opens the record at `sqlite:///PATH`, or a path alone. It must be there: a mistyped path makes no
/// empty record.
pub(super) async fn open(uri: &str) -> Result<SqliteStore> {
    let path = path(uri)?;
    if !path.exists() {
        return Err(Error::unavailable(format!("there is no record at {}", path.display())));
    }
    SqliteStore::open(path, StoreConfig::default()).await
}

/// The record as a registry that is opened when it is first asked: a server that has what it needs
/// in its cache starts while the record is away.
pub(super) fn registry(uri: &str) -> Result<Arc<dyn Registry>> {
    path(uri)?;
    Ok(Arc::new(lazy::Lazy::new(uri)))
}

/// The file that a URI means. As elsewhere in the field, three slashes begin a path relative to the
/// working folder, four an absolute one.
pub(super) fn path(uri: &str) -> Result<PathBuf> {
    let path = match uri.split_once("://") {
        None => uri,
        Some(("sqlite", rest)) => rest.strip_prefix('/').unwrap_or(rest),
        Some((scheme, _)) => {
            return Err(Error::unsupported(format!(
                "no record is read from {scheme:?} URIs; give sqlite:///PATH"
            )));
        }
    };
    if path.is_empty() {
        return Err(Error::invalid(format!("{uri:?} names no file")));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_slashes_are_relative_and_four_absolute() {
        for (uri, file) in [
            ("sqlite:///mlops.db", "mlops.db"),
            ("sqlite:////var/lib/mlops.db", "/var/lib/mlops.db"),
            ("sqlite://mlops.db", "mlops.db"),
            ("mlops.db", "mlops.db"),
        ] {
            assert_eq!(path(uri).unwrap(), PathBuf::from(file), "{uri}");
        }
        assert!(path("postgresql://host/db").is_err() && path("sqlite:///").is_err());
    }
}
