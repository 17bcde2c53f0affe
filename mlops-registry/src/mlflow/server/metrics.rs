//! The history of metrics: whole, in pages, and as charts want it.

use super::{
    args::{Args, invalid, missing},
    call::Call,
    routes::{Route, route},
    runs::{id, run_id},
    shown,
};
use mlops_core::{
    Error, ErrorKind, Result, RunId, Tracker,
    tracker::{MetricPoint, MetricQuery},
};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// The most points of one page of the store, and of one answer for several runs.
const PAGE: usize = 25_000;
/// The most points of an answer to a call that asks for no pages; more come with a token.
const WHOLE: usize = 250_000;
/// The most runs of a call for several.
const RUNS: usize = 100;
/// The most points of each run in a chart.
const SAMPLE: usize = 2500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/mlflow/metrics/get-history" Read history),
        route!(GET "/mlflow/metrics/get-history-bulk-interval" Read interval),
        route!(GET "/mlflow/metrics/get-history-bulk" Read bulk),
    ]
}

async fn history(call: Call) -> Result<Value> {
    let (args, run) = (&call.args, id(&call.args));
    let metric = args.required_text("metric_key")?;
    let size = args.int("max_results")?;
    if let Some(size) = size.filter(|size| *size <= 0) {
        return Err(invalid(&size, "max_results", "a number above 0 is expected"));
    }
    // MLflow says of a run that is not there that it has no points.
    let Some(run) = absent(run)? else { return Ok(json!({})) };
    let wanted = size.map_or(WHOLE, |size| usize::try_from(size).unwrap_or(PAGE).min(PAGE));
    let Some((mut points, next)) = absent(pages(&call, run, metric, wanted).await)? else {
        return Ok(json!({}));
    };
    // Our client asks for all of it in the order of steps.
    let by_step = args.text("mlops_order")? == Some("step");
    if next.is_none() && args.page_token()?.is_none() && !by_step {
        // All of it, in MLflow's order; pages come in the order of steps.
        points.sort_by(|a, b| a.time.cmp(&b.time).then(a.order(b)));
    }
    let mut answer = json!({});
    if !points.is_empty() {
        let shown = points.iter().map(|point| Value::Object(shown::metric(metric, point)));
        answer["metrics"] = shown.collect();
    }
    if let Some(next) = next {
        answer["next_page_token"] = next.into();
    }
    Ok(answer)
}

/// So many points of a metric and the token of what follows.
async fn pages(
    call: &Call,
    run: RunId,
    metric: &str,
    wanted: usize,
) -> Result<(Vec<MetricPoint>, Option<String>)> {
    let (mut points, mut token) = (Vec::new(), call.args.page_token()?);
    loop {
        let query = MetricQuery::new(run, metric)
            .with_max_results((wanted - points.len()).min(PAGE))
            .with_page(token);
        let page = call.store.metric_history(query).await?;
        points.extend(page.items);
        token = page.next;
        if token.is_none() || points.len() >= wanted {
            return Ok((points, token));
        }
    }
}

/// What is not there is nothing, not an error.
fn absent<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

async fn interval(call: Call) -> Result<Value> {
    let args = &call.args;
    let runs = args.texts("run_ids")?;
    if runs.is_empty() {
        return Err(missing("run_ids"));
    }
    let runs = several(&runs)?;
    let metric = args.required_text("metric_key")?;
    let most = match args.int("max_results")? {
        None => Some(SAMPLE),
        Some(most) => usize::try_from(most).ok().filter(|most| (1..=SAMPLE).contains(most)),
    };
    let most =
        most.ok_or_else(|| Error::invalid(format!("max_results must be between 1 and {SAMPLE}")))?;
    let steps = steps(args)?;
    let points = call.store.sample_metric(&runs, metric, steps, most).await?;
    if points.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({ "metrics": with_runs(metric, &points) }))
}

/// From which step to which; both or neither.
fn steps(args: &Args) -> Result<Option<RangeInclusive<i64>>> {
    match (args.int("start_step")?, args.int("end_step")?) {
        (None, None) => Ok(None),
        (Some(start), Some(end)) if start <= end => Ok(Some(start..=end)),
        (Some(start), Some(end)) => {
            Err(Error::invalid(format!("end_step {end} is before start_step {start}")))
        }
        _ => Err(Error::invalid("start_step and end_step must be given together")),
    }
}

async fn bulk(call: Call) -> Result<Value> {
    let args = &call.args;
    let runs = args.texts("run_id")?;
    if runs.is_empty() {
        return Err(Error::invalid("at least one run_id is expected"));
    }
    let runs = several(&runs)?;
    let metric = args.text("metric_key")?;
    let metric = metric.ok_or_else(|| Error::invalid("a metric_key is expected"))?;
    let most = args.int("max_results")?;
    let most = most.map_or(PAGE, |most| usize::try_from(most).unwrap_or_default().min(PAGE));
    let points = call.store.first_points(&runs, metric, most).await?;
    Ok(json!({ "metrics": with_runs(metric, &points) }))
}

/// Runs that a call names; those that cannot be there are left out.
fn several(texts: &[&str]) -> Result<Vec<RunId>> {
    if texts.len() > RUNS {
        let count = texts.len();
        return Err(Error::invalid(format!(
            "{count} runs are asked for, and at most {RUNS} can be"
        )));
    }
    Ok(texts.iter().filter_map(|text| run_id(text).ok()).collect())
}

fn with_runs(metric: &str, points: &[(RunId, MetricPoint)]) -> Vec<Value> {
    let shown = points.iter().map(|(run, point)| {
        let mut shown = shown::metric(metric, point);
        shown.insert("run_id".to_owned(), run.to_string().into());
        Value::Object(shown)
    });
    shown.collect()
}
