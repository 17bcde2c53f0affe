//! Traces of single calls.

use super::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    Vec::new()
}
