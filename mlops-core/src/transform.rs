//! What happens to rows before a model sees them: one trait, so that training and serving run the
//! same code.

use crate::Result;
use arrow_array::RecordBatch;
use std::{fmt::Debug, sync::Arc};

/// Turns rows into other rows. Already fitted: it learns nothing when it is applied.
///
/// # Behavior
/// - gives as many rows as it takes, in their order
/// - a row's result depends on that row alone, to the bit: one by one or in a batch
/// - a column that is missing or of a wrong type is `InvalidInput` and is named; a value never seen
///   before is no error
pub trait Transform: Debug + Send + Sync {
    /// Applies it to rows.
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch>;
}

impl<T: Transform + ?Sized> Transform for Arc<T> {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        (**self).apply(rows)
    }
}
