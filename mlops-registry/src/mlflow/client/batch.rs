//! What is written into a run at once, cut where MLflow's limits are, and the history of its metrics.

use super::{
    experiments::most,
    http::Session,
    request::Request,
    runs::{self, point, unreserved},
    search::next,
};
use crate::mlflow::wire::{
    Double, Int, Pair, datasets,
    runs::{History, LogBatch, LogInputs, Metric},
};
use mlops_core::{
    Error, Result, RunId,
    page::Page,
    tracker::{Batch, MetricPoint, MetricQuery},
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// The most of each in one request (`mlflow/utils/validation.py`).
const METRICS: usize = 1_000;
const PARAMS: usize = 100;
const TAGS: usize = 100;
const ITEMS: usize = 1_000;
const BYTES: usize = 1_000_000;
/// Room for what is around the items of a request.
const ENVELOPE: usize = 1_000;
/// What MLflow cuts off without a word: longer values of parameters and tags.
const PARAM_VALUE: usize = 6_000;
const TAG_VALUE: usize = 8_000;
/// The most points that MLflow gives at once.
const POINTS: usize = 25_000;

pub(super) async fn log(session: Arc<Session>, id: RunId, batch: Batch) -> Result<()> {
    unreserved(batch.tags.iter().map(|(key, _)| key))?;
    let params = distinct(&batch.params)?;
    // The last value of a tag counts.
    let tags: BTreeMap<&str, &str> =
        batch.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if !session.is_ours() {
        fits("parameter", &params, PARAM_VALUE)?;
        fits("tag", &tags, TAG_VALUE)?;
    }
    let mut requests = Requests::new(id);
    // What can be refused goes first.
    for (key, value) in params {
        requests.add(Pair::new(key, value), |request| &mut request.params, PARAMS)?;
    }
    for (key, value) in tags {
        requests.add(Pair::new(key, value), |request| &mut request.tags, TAGS)?;
    }
    let inputs: Vec<_> = batch.inputs.iter().map(datasets::to_wire).collect();
    let plain_inputs = if session.is_ours() {
        for input in inputs {
            requests.add(input, |request| &mut request.mlops_inputs, ITEMS)?;
        }
        Vec::new()
    } else {
        inputs
    };
    for metric in &batch.metrics {
        let point = metric.point;
        let metric = Metric {
            key: metric.name.to_string(),
            value: Double(point.value),
            timestamp: Int(point.time.unix_millis()),
            step: Int(point.step),
        };
        requests.add(metric, |request| &mut request.metrics, METRICS)?;
    }
    // An empty batch, too, is for a run that takes batches.
    for request in requests.done(plain_inputs.is_empty()) {
        session.tell(&Request::post("runs/log-batch", &request)?.repeatable()).await?;
    }
    for datasets in plain_inputs.chunks(ITEMS) {
        let body = LogInputs { run_id: id.to_string(), datasets: datasets.to_vec() };
        session.tell(&Request::post("runs/log-inputs", &body)?.repeatable()).await?;
    }
    Ok(())
}

/// Each parameter once; two values for one are a conflict.
fn distinct(params: &[(String, String)]) -> Result<BTreeMap<&str, &str>> {
    let mut distinct = BTreeMap::new();
    for (key, value) in params {
        if distinct.insert(key.as_str(), value.as_str()).is_some_and(|old| old != value) {
            return Err(Error::conflict(format!("parameter {key:?} has two values in one batch")));
        }
    }
    Ok(distinct)
}

fn fits(what: &str, pairs: &BTreeMap<&str, &str>, most: usize) -> Result<()> {
    match pairs.iter().find(|(_, value)| value.chars().count() > most) {
        Some((key, _)) => Err(Error::too_large(format!(
            "the value of {what} {key:?} has more than {most} characters, which MLflow would cut off"
        ))),
        None => Ok(()),
    }
}

/// Requests that are filled one after the other.
struct Requests {
    run: String,
    full: Vec<LogBatch>,
    open: LogBatch,
    bytes: usize,
    items: usize,
}

impl Requests {
    fn new(id: RunId) -> Self {
        let run = id.to_string();
        let open = LogBatch { run_id: run.clone(), ..LogBatch::default() };
        Self { run, full: Vec::new(), open, bytes: ENVELOPE, items: 0 }
    }

    fn add<T: Serialize>(
        &mut self,
        item: T,
        of: impl Fn(&mut LogBatch) -> &mut Vec<T>,
        most: usize,
    ) -> Result<()> {
        let text = serde_json::to_vec(&item)
            .map_err(|cause| Error::internal("an item of a batch is no JSON").with_source(cause))?;
        let bytes = text.len() + 1;
        if bytes + ENVELOPE > BYTES {
            return Err(Error::too_large(format!("one item of the batch takes {bytes} bytes")));
        }
        let full = of(&mut self.open).len() >= most || self.items >= ITEMS;
        if full || self.bytes + bytes > BYTES {
            let open = LogBatch { run_id: self.run.clone(), ..LogBatch::default() };
            self.full.push(std::mem::replace(&mut self.open, open));
            (self.bytes, self.items) = (ENVELOPE, 0);
        }
        of(&mut self.open).push(item);
        self.bytes += bytes;
        self.items += 1;
        Ok(())
    }

    /// All of them; at least one if `one` says so.
    fn done(mut self, one: bool) -> Vec<LogBatch> {
        if self.items > 0 || (one && self.full.is_empty()) {
            self.full.push(self.open);
        }
        self.full
    }
}

pub(super) async fn history(
    session: Arc<Session>,
    query: MetricQuery,
) -> Result<Page<MetricPoint>> {
    let limit = query.max_results.unwrap_or(POINTS);
    most(limit)?;
    let page = if session.is_ours() {
        ordered(&session, &query, limit).await?
    } else {
        sorted(&session, &query, limit).await?
    };
    if page.items.is_empty() && query.page.is_none() {
        // MLflow knows no points of a run that it does not know, either.
        runs::wired(&session, query.run).await?;
    }
    Ok(page)
}

/// A page of ours: in the order of (step, time).
async fn ordered(
    session: &Session,
    query: &MetricQuery,
    limit: usize,
) -> Result<Page<MetricPoint>> {
    let request =
        request(query, limit.min(POINTS), query.page.as_ref()).with("mlops_order", "step");
    let found: History = session.ask(&request).await?;
    let items = found.metrics.iter().map(point).collect();
    Ok(Page { items, next: next(found.next_page_token) })
}

/// MLflow's order is (time, step): all of it is read and sorted, and a page cut out of it.
async fn sorted(session: &Session, query: &MetricQuery, limit: usize) -> Result<Page<MetricPoint>> {
    let start = match &query.page {
        Some(page) => page.parse().map_err(|_| Error::invalid("not a page of this history"))?,
        None => 0_usize,
    };
    let (mut points, mut token) = (Vec::new(), None);
    loop {
        let found: History = session.ask(&request(query, POINTS, token.as_ref())).await?;
        points.extend(found.metrics.iter().map(point));
        token = next(found.next_page_token);
        if token.is_none() {
            break;
        }
    }
    points.sort_by(MetricPoint::order);
    let end = start.saturating_add(limit);
    let next = (end < points.len()).then(|| end.to_string());
    Ok(Page { items: points.into_iter().skip(start).take(limit).collect(), next })
}

fn request(query: &MetricQuery, limit: usize, page: Option<&String>) -> Request {
    Request::get("metrics/get-history")
        .with("run_id", query.run)
        .with("metric_key", &query.metric)
        .with("max_results", limit)
        .with_some("page_token", page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Each case is megabytes of text.
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn every_request_keeps_the_limits_and_nothing_is_lost(
            params in 0..250_usize, tags in 0..250_usize, metrics in 0..2_500_usize, long in 0..20_000_usize,
        ) {
            let mut requests = Requests::new(RunId::from_u128(7));
            for key in 0..params {
                let item = Pair::new(key.to_string(), "v".repeat(long.min(PARAM_VALUE)));
                requests.add(item, |request| &mut request.params, PARAMS).unwrap();
            }
            for key in 0..tags {
                let item = Pair::new(key.to_string(), "\n".repeat(long));
                requests.add(item, |request| &mut request.tags, TAGS).unwrap();
            }
            for key in 0..metrics {
                let item = Metric { key: key.to_string(), ..Metric::default() };
                requests.add(item, |request| &mut request.metrics, METRICS).unwrap();
            }
            let (mut found, done) = ((0, 0, 0), requests.done(true));
            for request in &done {
                prop_assert!(serde_json::to_vec(request).unwrap().len() <= BYTES);
                let (p, t, m) = (request.params.len(), request.tags.len(), request.metrics.len());
                prop_assert!(p <= PARAMS && t <= TAGS && m <= METRICS && p + t + m <= ITEMS);
                found = (found.0 + p, found.1 + t, found.2 + m);
            }
            prop_assert_eq!(found, (params, tags, metrics));
            prop_assert!(!done.is_empty());
        }
    }
}
