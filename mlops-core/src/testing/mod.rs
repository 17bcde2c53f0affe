//! Doubles for a host's own tests: fixed time, fixed identities, predictors of known behaviour.
//!
//! Each passes the same conformance suite as the real thing.

mod clock;
mod ids;
mod memory;
mod predictor;
mod stream;

pub use clock::ManualClock;
pub use ids::SequentialIds;
pub use memory::{MemoryBytes, MemoryStore};
pub use predictor::FnPredictor;
pub use stream::{collected, stream_of};
