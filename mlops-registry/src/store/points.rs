//! One metric of several runs at once, as MLflow's charts ask for it.

use super::SqliteStore;
use mlops_core::{
    ErrorKind, Result, RunId, Tracker,
    tracker::{MetricPoint, MetricQuery},
};
use std::{ops::RangeInclusive, sync::Arc};

impl SqliteStore {
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
        let (metric, mut found) = (metric.into(), Vec::new());
        for &run in runs {
            let mut points = self.all_points(run, &metric).await?;
            points.retain(|point| steps.as_ref().is_none_or(|steps| steps.contains(&point.step)));
            found.extend(places(points.len(), most).into_iter().map(|place| (run, points[place])));
        }
        Ok(found)
    }

    /// The first points of a metric of several runs, at most `most` in all: run after run in the order of
    /// their identities, each one's points in the order of (time, step, value).
    pub async fn first_points(
        &self,
        runs: &[RunId],
        metric: impl Into<Arc<str>>,
        most: usize,
    ) -> Result<Vec<(RunId, MetricPoint)>> {
        let (metric, mut found) = (metric.into(), Vec::new());
        let mut runs = runs.to_vec();
        runs.sort_unstable_by_key(ToString::to_string);
        runs.dedup();
        for run in runs {
            let mut points = self.all_points(run, &metric).await?;
            points.sort_by(|a, b| a.time.cmp(&b.time).then(a.order(b)));
            points.truncate(most - found.len());
            found.extend(points.into_iter().map(|point| (run, point)));
        }
        Ok(found)
    }

    async fn all_points(&self, run: RunId, metric: &Arc<str>) -> Result<Vec<MetricPoint>> {
        let mut query = MetricQuery::new(run, Arc::clone(metric));
        let mut points = Vec::new();
        loop {
            let page = match self.metric_history(query.clone()).await {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(points),
                page => page?,
            };
            points.extend(page.items);
            if page.next.is_none() {
                return Ok(points);
            }
            query.page = page.next;
        }
    }
}

/// Which of so many points are the sample, in order: the first of each of `most` groups of one size.
fn places(total: usize, most: usize) -> Vec<usize> {
    let groups = most.max(1).min(total);
    if groups == 0 {
        return Vec::new();
    }
    let (size, larger) = (total / groups, total % groups);
    let mut places: Vec<_> = (0..groups).map(|group| group * size + group.min(larger)).collect();
    let last = total - 1;
    if places.last() != Some(&last) {
        if places.len() >= most.max(1) {
            places.pop();
        }
        places.push(last);
    }
    places
}
