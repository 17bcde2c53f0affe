//! Doubles for a host's own tests: fixed time, fixed identities, predictors of known behaviour.
//!
//! Each passes the same conformance suite as the real thing.

mod clock;
mod ids;
mod predictor;

pub use clock::ManualClock;
pub use ids::SequentialIds;
pub use predictor::FnPredictor;
