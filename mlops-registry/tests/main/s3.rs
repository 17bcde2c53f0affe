//! Artifacts in a bucket keep what they promise in a folder. The server is one of our own; where s3s-fs is
//! not installed, each test says so.

#[path = "s3/bytes.rs"]
mod bytes;
#[path = "s3/cuts.rs"]
mod cuts;
#[path = "s3/record.rs"]
mod record;
#[path = "s3/refusals.rs"]
mod refusals;
#[cfg(feature = "http")]
#[path = "s3/router.rs"]
mod router;
#[path = "s3/service.rs"]
mod service;

use crate::conformance::damage;
use mlops_core::{
    conformance::{registry, tracker},
    registry::ModelVersion,
    testing::ManualClock,
};
use mlops_registry::SqlStore;
use service::Service;
use std::{fs, sync::Arc};

/// Ends a check where there is no server.
macro_rules! there {
    ($made:expr) => {
        match $made {
            Some(subject) => subject,
            None => return,
        }
    };
}
pub(crate) use there;

async fn a_tracker() -> Option<tracker::Subject> {
    let service = Service::start()?;
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let config = service.record_config().with_clock(Arc::<ManualClock>::clone(&clock));
    let store = SqlStore::open(folder.path().join("mlops.db"), config).await.unwrap();
    let bucket = service.bucket();
    let subject = tracker::Subject::new(store).with_clock(clock);
    let subject = subject.with_damage(move |_, _, artifact| damage(&bucket, artifact));
    Some(subject.keeping((service, folder)))
}

async fn a_registry() -> Option<registry::Subject> {
    let service = Service::start()?;
    let folder = tempfile::tempdir().unwrap();
    let store = service.record(folder.path()).await;
    let (bucket, packages) = (service.bucket(), folder.path().join("packages"));
    fs::create_dir(&packages).unwrap();
    let subject = registry::Subject::new(store.clone(), packages).with_tracker(store);
    let damaged = move |version: &ModelVersion, file: &_| {
        damage(&bucket, version.manifest.get(file).unwrap());
    };
    Some(subject.with_damage(damaged).keeping((service, folder)))
}

mlops_core::tracker_conformance!(s3_tracker, there!(a_tracker().await));
mlops_core::registry_conformance!(s3_registry, there!(a_registry().await));
