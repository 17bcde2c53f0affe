//! Tracking: what was tried, with what data and settings, and what came of it.
//! Writes `target/track/mlops.db`; a second start adds to it. `cargo run --example track`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use mlops::page::Search;
use mlops::store::{SqlStore, StoreConfig};
use mlops::tracker::{DatasetInput, MetricsLayer, RunOptions, TrackerExt};
use mlops::{Digest, Result, Tracker};
use std::{sync::Arc, time::Duration};
use tracing_subscriber::layer::SubscriberExt;

/// Your data: hours of light and the height of a plant.
const ROWS: [(f64, f64); 8] = [
    (1.0, 2.1),
    (2.0, 3.9),
    (3.0, 6.2),
    (4.0, 7.8),
    (5.0, 10.1),
    (6.0, 12.2),
    (7.0, 13.8),
    (8.0, 16.1),
];

/// Your training: a line through the origin, by gradient descent. It knows nothing of runs: what it says
/// to `tracing` is recorded, too.
fn fit(rate: f64, epochs: u32) -> f64 {
    let mut slope = 0.0;
    for epoch in 0..epochs {
        let errors = ROWS.map(|(x, y)| (x, slope * x - y));
        let loss = errors.iter().map(|(_, error)| error * error).sum::<f64>() / 8.0;
        slope -= rate * errors.iter().map(|(x, error)| x * error).sum::<f64>() / 8.0;
        tracing::info!(metric.loss = loss, step = epoch, "epoch");
    }
    slope
}

async fn attempt(record: &Arc<dyn Tracker>, rate: f64) -> Result<()> {
    let options = RunOptions::new()
        .with_name(format!("rate-{rate}"))
        .with_tag("team", "plants")
        .with_system_metrics(Duration::from_secs(1));
    let run = record.start_run("growth", options).await?;
    let bytes: Vec<u8> =
        ROWS.iter().flat_map(|(x, y)| [x.to_le_bytes(), y.to_le_bytes()].concat()).collect();
    let data = DatasetInput::new("plants", Digest::of(bytes), "training").with_rows(8_u64);
    run.log_input(&data, "training").await?;
    run.log_params([("rate", rate.into()), ("epochs", 40.into())]).await?;

    // Your own subscriber, if you have one, takes the layer as one of its own.
    let subscriber = tracing_subscriber::registry().with(MetricsLayer::new(run.sender()));
    let slope = tracing::subscriber::with_default(subscriber, || fit(rate, 40));
    if !slope.is_finite() {
        return run.fail("the slope ran away").await;
    }
    run.log_artifact("model/slope.txt", slope.to_string().into_bytes()).await?;
    run.log_metrics([("slope", slope)]).await?;
    // All of it is on the disk when this returns; left by `?` or a panic the run counts as failed.
    run.finish().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let store = SqlStore::open("target/track/mlops.db", StoreConfig::default()).await?;
    let record: Arc<dyn Tracker> = Arc::new(store);
    for rate in [0.001, 0.01, 0.05, 10.0] {
        attempt(&record, rate).await?;
    }
    let best = Search::new()
        .with_filter("status = 'FINISHED' AND tags.team = 'plants' AND metrics.loss < 5")
        .with_order_by("metrics.loss ASC")
        .with_max_results(3);
    for run in record.runs(best).await?.items {
        println!(
            "{:12} loss {:.5} slope {:.4}",
            run.name, run.metrics["loss"].value, run.metrics["slope"].value
        );
    }
    Ok(())
}
