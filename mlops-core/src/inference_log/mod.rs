//! What was asked, what was answered, and what came of it later: the form of the records.
//!
//! One record a row of a request. A record is joined to its outcome by prediction id and row, or,
//! where the outcome's sender knows no prediction id, by the caller's business key.
//!
//! With the feature `inference-log` an `InferenceLog` keeps them in a folder: `records/` and
//! `outcomes/` hold segments, of which the last ones grow. A segment is a journal of whole frames
//! while it grows and an Arrow IPC file once it is closed; whatever happens in between, what was
//! flushed is read.

#[cfg(feature = "inference-log")]
mod config;
#[cfg(feature = "inference-log")]
mod join;
#[cfg(feature = "inference-log")]
mod journal;
mod outcome;
#[cfg(feature = "inference-log")]
mod outcomes;
#[cfg(feature = "inference-log")]
mod reader;
#[cfg(feature = "inference-log")]
mod record;
mod schema;
#[cfg(feature = "inference-log")]
mod segment;
#[cfg(feature = "inference-log")]
mod writer;

#[cfg(feature = "inference-log")]
pub use config::InferenceLogConfig;
#[cfg(feature = "inference-log")]
pub use join::{JoinCounts, Performance, PerformanceOptions, VersionPerformance};
pub use outcome::{Outcome, OutcomeValue};
#[cfg(feature = "inference-log")]
pub use outcomes::FileOutcomeLog;
#[cfg(feature = "inference-log")]
pub use reader::{LogReader, Record, Segment};
pub use schema::{LOG_VERSION, columns, outcome_schema, record_schema};
#[cfg(feature = "inference-log")]
pub use segment::Gap;
#[cfg(feature = "inference-log")]
pub use writer::{InferenceLog, LogCounts};

use crate::Result;
use async_trait::async_trait;
use std::{fmt::Debug, sync::Arc};

/// Where outcomes go.
#[async_trait]
pub trait OutcomeLog: Debug + Send + Sync {
    /// Adds outcomes. Durable when it returns.
    ///
    /// # Behavior
    /// - all of them or none
    /// - an outcome sent twice is kept once for every reader: the last one known wins
    /// - an unknown prediction is no error: the answer may be in another replica's log
    async fn append(&self, outcomes: &[Outcome]) -> Result<()>;
}

#[async_trait]
impl<L: OutcomeLog + ?Sized> OutcomeLog for Arc<L> {
    async fn append(&self, outcomes: &[Outcome]) -> Result<()> {
        (**self).append(outcomes).await
    }
}
