//! What endpoints count arrives at the recorder of a host: here that of Prometheus.

use crate::doubles::{OffsetEngine, Shelf, offset_inputs, offset_signature};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use mlops_core::{Error, Predictor, predictor::PredictRequest, testing::FnPredictor};
use mlops_serve::{
    BatchingConfig, DURATION_BOUNDS, Endpoint, EndpointConfig, batching::ROWS_BOUNDS,
    telemetry::Telemetry,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// With the bounds of the endpoint's own cells.
fn recorder() -> PrometheusRecorder {
    let seconds = DURATION_BOUNDS.map(|bound| bound.as_secs_f64());
    let rows = ROWS_BOUNDS.map(|bound| f64::from(u32::try_from(bound).unwrap()));
    let buckets = |builder: PrometheusBuilder, name: &str, bounds: &[f64]| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds).unwrap()
    };
    let builder = buckets(PrometheusBuilder::new(), "mlops_endpoint_request_seconds", &seconds);
    let builder = buckets(builder, "mlops_batcher_wait_seconds", &seconds);
    buckets(builder, "mlops_batcher_rows", &rows).build_recorder()
}

fn updated(recorder: &PrometheusRecorder, telemetry: &Telemetry) -> String {
    metrics::with_local_recorder(recorder, || telemetry.update());
    recorder.handle().render()
}

/// The value of a series whose labels stand in whichever order.
fn value(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let series = page.lines().filter_map(|line| line.rsplit_once(' '));
    let mut fitting = series.filter(|(series, _)| {
        let (own, rest) = series.split_once('{').unwrap_or((series, ""));
        own == name && labels.iter().all(|label| rest.contains(label))
    });
    let value = fitting.next().map(|(_, value)| value.parse().unwrap());
    assert!(fitting.next().is_none(), "{name} {labels:?} stands twice in {page}");
    value
}

fn doubling() -> FnPredictor {
    FnPredictor::new("twice", offset_signature(), |inputs| {
        let x = inputs.require("x")?.as_slice::<f32>()?;
        if x[0] < 0.0 {
            return Err(Error::invalid("x is negative"));
        }
        Ok(inputs.clone())
    })
}

fn ask(x: f32) -> PredictRequest {
    PredictRequest::new(offset_inputs(&[x, x]))
}

#[tokio::test]
async fn a_recorder_hears_what_an_endpoint_counted_once() {
    let batching = BatchingConfig::default();
    let endpoint = Endpoint::from_batched("risk", doubling(), batching);
    let (telemetry, recorder) = (Telemetry::new().with_endpoint(&endpoint), recorder());
    let own = "endpoint=\"risk\"";
    let page = updated(&recorder, &telemetry);
    assert_eq!(value(&page, "mlops_endpoint_requests_total", &[own]), Some(0.0), "{page}");
    for x in [1.0, 2.0, -1.0] {
        let _ = endpoint.predict(ask(x)).await;
    }
    for turn in 0..2 {
        let page = updated(&recorder, &telemetry);
        for (name, labels, wanted) in [
            ("mlops_endpoint_requests_total", &[own][..], 3.0),
            ("mlops_endpoint_answered_total", &[own], 2.0),
            ("mlops_endpoint_rows_total", &[own], 4.0),
            ("mlops_endpoint_errors_total", &[own, "kind=\"InvalidInput\""], 1.0),
            ("mlops_endpoint_version_answered_total", &[own, "version=\"1\""], 2.0),
            ("mlops_endpoint_version_failed_total", &[own, "version=\"1\""], 1.0),
            ("mlops_endpoint_info", &[own, "model=\"twice\"", "version=\"1\""], 1.0),
            ("mlops_endpoint_in_flight", &[own], 0.0),
            ("mlops_batcher_at_once_total", &[own], 3.0),
            ("mlops_batcher_waiting", &[own], 0.0),
            ("mlops_endpoint_request_seconds_count", &[own], 3.0),
        ] {
            assert_eq!(value(&page, name, labels), Some(wanted), "look {turn}: {name} in {page}");
        }
        let durations = endpoint.stats().durations;
        let mut up_to = 0;
        for (bound, count) in DURATION_BOUNDS.iter().zip(durations.counts) {
            up_to += u32::try_from(count).unwrap();
            let le = format!("le=\"{}\"", bound.as_secs_f64());
            let bucket = value(&page, "mlops_endpoint_request_seconds_bucket", &[own, &le]);
            assert_eq!(bucket, Some(f64::from(up_to)), "{le} in {page}");
        }
        let sum = value(&page, "mlops_endpoint_request_seconds_sum", &[own]).unwrap();
        assert!(sum >= durations.sum.as_secs_f64(), "a cell's upper bound is no less");
    }
    drop(endpoint);
    let page = updated(&recorder, &telemetry);
    assert_eq!(value(&page, "mlops_endpoint_requests_total", &[own]), Some(3.0));
    assert_eq!(format!("{telemetry:?}"), "Telemetry([])");
}

#[tokio::test]
async fn each_version_counts_for_itself_and_a_number_that_comes_back_counts_on() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    for offset in [1.0, 2.0] {
        shelf.add_offset(offset, &offset_signature());
    }
    shelf.point("champion", 1);
    let config = EndpointConfig::new(cache.path()).with_engine(OffsetEngine);
    let config = config.with_check_every(Duration::from_millis(50));
    let uri = "models:/m@champion";
    let endpoint = Endpoint::connect(uri, Arc::new(shelf.clone()), config).await.unwrap();
    let (telemetry, recorder) = (Telemetry::new().with_endpoint(&endpoint), recorder());
    // Looks at the recorder happen only between whole turns: what a version did last is not lost.
    for (turn, version) in [(1, 1), (2, 2), (3, 1)] {
        shelf.point("champion", version);
        let limit = Instant::now() + Duration::from_secs(20);
        while *endpoint.info().version != *version.to_string() {
            assert!(Instant::now() < limit, "never swapped");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if turn > 1 {
            updated(&recorder, &telemetry);
        }
        for _ in 0..5 {
            endpoint.predict(ask(1.0)).await.unwrap();
        }
    }
    let page = updated(&recorder, &telemetry);
    let answered = |version: &str| {
        value(&page, "mlops_endpoint_version_answered_total", &[&format!("version=\"{version}\"")])
    };
    assert_eq!((answered("1"), answered("2")), (Some(10.0), Some(5.0)), "{page}");
    let info =
        |version: &str| value(&page, "mlops_endpoint_info", &[&format!("version=\"{version}\"")]);
    assert_eq!((info("1"), info("2")), (Some(1.0), Some(0.0)), "{page}");
    assert_eq!(value(&page, "mlops_endpoint_swaps_total", &[]), Some(2.0));
}

/// The dashboard of `mlops serve` shows a host's metrics as well; the logs are the program's.
#[cfg(feature = "http")]
#[tokio::test]
async fn the_dashboard_finds_its_names() {
    use mlops_serve::http::Service;
    let endpoint = Endpoint::from_batched("risk", doubling(), BatchingConfig::default());
    let service = Service::new().with_model(endpoint.clone());
    let telemetry = Telemetry::new().with_endpoint(&endpoint).with_router(service.counters());
    let _ = endpoint.predict(ask(-1.0)).await;
    let page = updated(&recorder(), &telemetry);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/serving.json");
    let dashboard = std::fs::read_to_string(file).unwrap();
    let words = dashboard.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("mlops_") && !word.contains("inference_log"));
    // What has recorded nothing yet is declared by nobody: a histogram appears with its first value.
    let nothing_waited = |name: &str| {
        name.starts_with("mlops_batcher_wait_seconds") || name.starts_with("mlops_batcher_rows")
    };
    let mut looked_at = 0;
    for name in names {
        assert!(page.contains(name) || nothing_waited(name), "{name} is not in {page}");
        looked_at += 1;
    }
    assert!(looked_at > 10, "{dashboard}");
}
