//! Data that can say what it is, for the record of what a run read.

use super::DatasetInput;
use std::sync::Arc;

/// Data that a run can read: it says what it is, and never gives its rows away.
pub trait InputData {
    /// Its name, its digest and how much there is, used for `context`: `training`, `validation` …
    fn input(&self, context: &str) -> DatasetInput;
}

impl InputData for DatasetInput {
    fn input(&self, context: &str) -> DatasetInput {
        Self { context: Arc::from(context), ..self.clone() }
    }
}
