#![doc = include_str!("../README.md")]

pub mod artifacts;
mod disk;
mod gate;
#[cfg(feature = "http")]
pub mod mlflow;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod store;

pub use artifacts::ArtifactStore;
pub use gate::{ChampionGate, MetricGate};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::{SqliteStore, StoreConfig};
