//! A model on its way to production: measured, judged by gates, promoted, taken back, with reasons that stay.
//! `cargo run --example promote`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use mlops::model::PackageBuilder;
use mlops::registry::{AliasMove, CreateVersion, Gate, HistoryQuery, ModelUri, RegistryExt};
use mlops::store::{MetricGate, SqlStore, StoreConfig};
use mlops::tracker::{RunOptions, TrackerExt};
use mlops::{Alias, Error, ModelName, Principal, Registry, Result, VersionId};
use std::{path::Path, sync::Arc};

/// Trains, measures, registers. The version keeps what its run had measured by now: what a gate sees later
/// is what you see today.
async fn register(store: &SqlStore, folder: &Path, slope: f64, auc: f64) -> Result<VersionId> {
    let run = Arc::new(store.clone()).start_run("risk", RunOptions::new()).await?;
    run.log_params([("slope", slope.into())]).await?;
    run.log_metrics([("roc_auc", auc), ("brier", 0.3 - auc / 5.0)]).await?;
    let id = run.id();
    run.finish().await?;
    let weights = slope.to_le_bytes().to_vec();
    let package = PackageBuilder::new().with_file("weights.bin", weights)?;
    let package = package.write(folder.join(format!("slope-{slope}")))?;
    let new = CreateVersion::new(ModelName::new("risk")?, package.folder()).with_run(id);
    Ok(store.create_version(new).await?.id)
}

/// What every champion keeps. Yours may compare with the champion (`ChampionGate`) or ask another service:
/// a gate may take its time, nobody waits for it.
fn gates() -> Vec<Arc<dyn Gate>> {
    vec![
        Arc::new(MetricGate::at_least("roc_auc", 0.80)),
        Arc::new(MetricGate::at_most("brier", 0.15)),
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("mlops-promote-{}", std::process::id()));
    let store = SqlStore::open(folder.join("mlops.db"), StoreConfig::default()).await?;
    let (model, champion) = (ModelName::new("risk")?, Alias::new("champion")?);

    // Who acts is part of the handle, and of every event.
    let ada = store.acting_as(Principal::new("ada"));
    for (slope, auc, reason) in
        [(1.0, 0.84, "the first"), (2.0, 0.71, "a try"), (3.0, 0.88, "more rows")]
    {
        let version = register(&store, &folder, slope, auc).await?;
        match ada.promote(&version, &champion, gates(), reason).await? {
            AliasMove::Moved { .. } => println!("{version} is the champion"),
            AliasMove::Refused { unmet } => {
                println!("{version} is not, for");
                for condition in unmet {
                    println!("  - {condition}");
                }
            }
            other => println!("{version} waits: {other:?}"),
        }
    }

    // One call, and what answered before answers again.
    let bob = store.acting_as(Principal::new("bob"));
    bob.rollback(&model, &champion, "complaint 4711").await?;
    let uri = ModelUri::alias(model, champion);
    let now = store.resolve(&uri).await?;
    println!("{} is the champion again", now.id);

    for event in store.history(HistoryQuery::new(uri)).await?.items {
        let why = event.reason.as_deref().unwrap_or_default();
        println!("{:<14} {:<5} {why:<16} {}", event.kind.as_str(), event.actor, event.detail);
    }
    println!("{} events, none changed since", store.verify_events().await?);
    assert_eq!(now.id.version, 1);
    drop((store, ada, bob));
    std::fs::remove_dir_all(&folder).map_err(|source| Error::io("the example's folder", source))
}
