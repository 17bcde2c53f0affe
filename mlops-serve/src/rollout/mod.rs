//! Which model answers, and how another takes its place.

pub mod endpoint;
mod memory;

pub use memory::{MemoryBudget, MemoryReservation};
