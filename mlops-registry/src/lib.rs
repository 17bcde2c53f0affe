#![doc = include_str!("../README.md")]

pub mod artifacts;
mod disk;
mod gate;
#[cfg(any(feature = "http", feature = "mlflow"))]
pub mod mlflow;
#[cfg(feature = "sqlite")]
pub mod store;
#[cfg(any(feature = "mlflow", feature = "sqlite"))]
mod thread;

pub use artifacts::ArtifactStore;
pub use gate::{ChampionGate, MetricGate};
#[cfg(feature = "mlflow")]
pub use mlflow::{RestConfig, RestStore};
#[cfg(feature = "sqlite")]
pub use store::{SqliteStore, StoreConfig};
