//! Integration tests of the record: one binary, modules inside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "main/artifacts.rs"]
mod artifacts;
#[cfg(feature = "http")]
#[path = "main/auth.rs"]
mod auth;
#[cfg(feature = "sqlite")]
#[path = "main/backup.rs"]
mod backup;
#[cfg(feature = "mlflow")]
#[path = "main/client.rs"]
mod client;
#[cfg(feature = "sqlite")]
#[path = "main/conformance.rs"]
mod conformance;
#[cfg(feature = "sqlite")]
#[path = "main/durability.rs"]
mod durability;
#[cfg(feature = "sqlite")]
#[path = "main/events.rs"]
mod events;
#[cfg(feature = "sqlite")]
#[path = "main/export.rs"]
mod export;
#[path = "main/gates.rs"]
mod gates;
#[cfg(feature = "sqlite")]
#[path = "main/gc.rs"]
mod gc;
#[cfg(feature = "sqlite")]
#[path = "main/hostile.rs"]
mod hostile;
#[cfg(feature = "sqlite")]
#[path = "main/hosts.rs"]
mod hosts;
#[path = "main/import.rs"]
mod import;
#[cfg(feature = "sqlite")]
#[path = "main/metrics.rs"]
mod metrics;
#[cfg(feature = "sqlite")]
#[path = "main/migrate.rs"]
mod migrate;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
#[path = "main/postgres.rs"]
mod postgres;
#[cfg(feature = "sqlite")]
#[path = "main/processes.rs"]
mod processes;
#[cfg(all(feature = "sqlite", feature = "s3"))]
#[path = "main/s3.rs"]
mod s3;
#[cfg(feature = "sqlite")]
#[path = "main/search.rs"]
mod search;
#[cfg(feature = "http")]
#[path = "main/secrets.rs"]
mod secrets;
#[cfg(feature = "http")]
#[path = "main/server.rs"]
mod server;
#[cfg(feature = "sqlite")]
#[path = "main/story.rs"]
mod story;
#[cfg(feature = "sqlite")]
#[path = "main/transfers.rs"]
mod transfers;
#[cfg(feature = "sqlite")]
#[path = "main/writers.rs"]
mod writers;
