#![doc = include_str!("../README.md")]

pub mod artifacts;
#[cfg(feature = "http")]
mod auth;
mod disk;
mod gate;
#[cfg(any(feature = "mlflow", feature = "s3"))]
mod hidden;
#[cfg(any(feature = "http", feature = "mlflow"))]
pub mod mlflow;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mlflow", feature = "s3"))]
mod setters;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod store;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mlflow"))]
mod thread;

pub use artifacts::{ArtifactPlace, ArtifactStore, Bucket};
#[cfg(feature = "s3")]
pub use artifacts::{S3Config, S3Keys};
#[cfg(feature = "http")]
pub use auth::{UserAuthenticator, UserConfig};
pub use gate::{ChampionGate, MetricGate};
#[cfg(feature = "mlflow")]
pub use mlflow::{RestConfig, RestStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::{SqlStore, StoreConfig};
