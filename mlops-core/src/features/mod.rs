//! Features of entities, as they are known now: what a model is asked with beside what its caller sends.
//!
//! [`OnlineStore`] is the seam: a look-up in the request's path asks it, whatever materialises features
//! writes to it. [`MemoryOnlineStore`] holds them in this process.

mod memory;
mod online;
mod view;

pub use memory::{MemoryOnlineConfig, MemoryOnlineStore};
pub use online::{OnlineRead, OnlineRows, OnlineStore, OnlineWrite};
pub use view::FeatureView;
