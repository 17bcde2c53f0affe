//! What was asked, what was answered, and what came of it later: the form of the records.
//!
//! One record a row of a request. A record is joined to its outcome by prediction id and row, or,
//! where the outcome's sender knows no prediction id, by the caller's business key.

mod outcome;
mod schema;

pub use outcome::{Outcome, OutcomeValue};
pub use schema::{LOG_VERSION, columns, outcome_schema, record_schema};
