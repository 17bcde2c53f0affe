//! The points of metrics.
//!
//! A point first waits in its series' row, the tail. When there are enough of them they become a
//! [segment](segment), many points in one row, and small segments become larger ones: each point is
//! written again a few times, however it came, and what one call has to do stays bounded. Whoever reads
//! puts tail and segments together and takes each point once, so that writing one again changes nothing
//! that is read.

mod columns;
mod history;
mod samples;
pub mod segment;
mod series;
mod walk;
mod write;

use super::SqlStore;
use mlops_core::{Result, RunId, tracker::MetricPoint};
use std::{ops::RangeInclusive, sync::Arc};

pub(super) use history::history;
pub(super) use series::find;
pub(super) use write::{NamedPoints, add, by_name};

impl SqlStore {
    /// A metric of several runs as a chart wants it: of each run at most `most` points (at least one) with
    /// steps in a range, or with any, spread evenly over those there are, the last always among them.
    ///
    /// Runs come in the order asked for, each one's points in the order of (step, time, value). A run that
    /// is not there, or lacks the metric, has none.
    pub async fn sample_metric(
        &self,
        runs: &[RunId],
        metric: impl Into<Arc<str>>,
        steps: Option<RangeInclusive<i64>>,
        most: usize,
    ) -> Result<Vec<(RunId, MetricPoint)>> {
        let (runs, metric) = (runs.to_vec(), metric.into());
        let thread = &self.shared.thread;
        thread.read(async move |db| samples::sampled(db, &runs, &metric, steps, most).await).await
    }

    /// The first points of a metric of several runs, at most `most` in all: run after run in the order of
    /// their identities, each one's points in the order of (time, step, value). A run that is not there,
    /// or lacks the metric, has none.
    pub async fn first_points(
        &self,
        runs: &[RunId],
        metric: impl Into<Arc<str>>,
        most: usize,
    ) -> Result<Vec<(RunId, MetricPoint)>> {
        let (runs, metric) = (runs.to_vec(), metric.into());
        let thread = &self.shared.thread;
        thread.read(async move |db| samples::first_by_time(db, &runs, &metric, most).await).await
    }
}
