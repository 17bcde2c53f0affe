//! Events of `tracing` as metrics of a run.

use super::MetricSender;
use std::fmt;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

/// What the fields of an event begin with that are metrics.
const PREFIX: &str = "metric.";
/// The field with the step that they belong to; 0 if there is none.
const STEP: &str = "step";

/// Turns events into metrics of a run: `tracing::info!(metric.loss = loss, step = epoch)`.
///
/// A layer for the host's own subscriber; installing it is the host's business. Fields that begin with
/// `metric.` and hold a number are metrics, under the rest of their name; `step` is their step. Never
/// waits. What comes after the run has ended is ignored.
///
/// ```
/// use mlops_core::{testing::MemoryStore, tracker::{MetricsLayer, RunOptions, TrackerExt}};
/// use std::sync::Arc;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// # async fn train() -> mlops_core::Result<()> {
/// let run = Arc::new(MemoryStore::new()).start_run("income", RunOptions::new()).await?;
/// let subscriber = tracing_subscriber::registry().with(MetricsLayer::new(run.sender()));
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info!(metric.loss = 0.5, step = 3, "an epoch is done");
/// });
/// run.finish().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MetricsLayer {
    run: MetricSender,
}

impl MetricsLayer {
    /// Gives metrics to this run.
    pub fn new(run: MetricSender) -> Self {
        Self { run }
    }
}

impl<S: Subscriber> Layer<S> for MetricsLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        for (name, value) in found.metrics {
            // The run may have ended; code that logs does not care.
            let _ = self.run.push_metric(name, value, found.step);
        }
    }
}

/// What an event holds for a run.
#[derive(Default)]
struct Found {
    step: i64,
    metrics: Vec<(&'static str, f64)>,
}

impl Found {
    fn metric(&mut self, field: &Field, value: f64) {
        if let Some(name) = field.name().strip_prefix(PREFIX).filter(|name| !name.is_empty()) {
            self.metrics.push((name, value));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float, whatever it was counted in")]
impl Visit for Found {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.metric(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == STEP {
            self.step = value;
        }
        self.metric(field, value as f64);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == STEP {
            self.step = i64::try_from(value).unwrap_or(i64::MAX);
        }
        self.metric(field, value as f64);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
