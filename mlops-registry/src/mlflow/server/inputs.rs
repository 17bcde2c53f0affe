//! What runs read and made: data and logged models.

use super::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    Vec::new()
}
