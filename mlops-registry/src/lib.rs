#![doc = include_str!("../README.md")]

pub mod artifacts;
#[cfg(feature = "http")]
mod auth;
mod disk;
mod gate;
#[cfg(feature = "http")]
pub mod mlflow;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod store;

pub use artifacts::ArtifactStore;
#[cfg(feature = "http")]
pub use auth::{UserAuthenticator, UserConfig};
pub use gate::{ChampionGate, MetricGate};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::{SqliteStore, StoreConfig};
