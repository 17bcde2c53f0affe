//! `GET /metrics`: what endpoints, router and logs have counted, in Prometheus' text format 0.0.4.

mod composed;

pub(crate) use composed::Composed;

use axum::{Router, http::header, routing::get};
use mlops_core::inference_log::{InferenceLog, LogCounts};
use mlops_serve::{
    DURATION_BOUNDS, Durations, Endpoint,
    batching::{BatchingStats, ROWS_BOUNDS},
    http::{HttpCounters, HttpCounts},
    rollout::endpoint::VersionStats,
};
use std::{fmt::Write, sync::Arc};

/// One endpoint and where its answers are logged.
#[derive(Clone, Debug)]
pub(crate) struct Metered {
    pub(crate) endpoint: Endpoint,
    pub(crate) log: Option<Arc<InferenceLog>>,
}

/// A router with the one route, for the endpoints that are there whenever it is asked, and what is
/// made of models from the start.
pub(crate) fn metrics(
    counters: Arc<HttpCounters>,
    endpoints: impl Fn() -> Vec<Metered> + Clone + Send + Sync + 'static,
    composed: Vec<Composed>,
) -> Router {
    let composed: Arc<[Composed]> = composed.into();
    route(move || {
        let mut page = Page::of(&counters, &endpoints());
        page.composed(&composed);
        page
    })
}

/// A router with the one route, for a server without endpoints.
pub(crate) fn http_metrics(
    read: impl Fn() -> HttpCounts + Clone + Send + Sync + 'static,
) -> Router {
    route(move || {
        let mut page = Page(String::new());
        page.http(read());
        page
    })
}

fn route(page: impl Fn() -> Page + Clone + Send + Sync + 'static) -> Router {
    let text = move || {
        let text = page().0;
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    Router::new().route("/metrics", get(text))
}

struct Page(String);

impl Page {
    fn of(counters: &HttpCounters, endpoints: &[Metered]) -> Self {
        let mut page = Self(String::new());
        page.http(counters.read());
        page.endpoints(endpoints);
        page.versions(endpoints);
        page.durations(
            ("mlops_endpoint_request_seconds", "How long answers and errors took in the process"),
            endpoints,
            |endpoint| endpoint.stats().durations,
        );
        page.batching(endpoints);
        page.durations(
            ("mlops_batcher_wait_seconds", "How long requests waited that ran in a batch"),
            endpoints,
            |endpoint| endpoint.stats().batching.waited,
        );
        page.logs(endpoints);
        page
    }

    fn http(&mut self, counts: HttpCounts) {
        let facts = [
            ("requests", "Requests answered, over gRPC too", counts.requests),
            ("refused", "Requests answered with a 4xx, or its like in gRPC", counts.refused),
            ("failed", "Requests answered with a 5xx, or its like in gRPC", counts.failed),
            (
                "internal_errors",
                "Requests answered with a 500, or its like in gRPC",
                counts.internal_errors,
            ),
            ("panics", "Panics caught by the router", counts.panics),
        ];
        for (name, help, value) in facts {
            self.family(&format!("mlops_http_{name}_total"), "counter", help);
            self.line(&format!("mlops_http_{name}_total"), &[], value);
        }
    }

    fn endpoints(&mut self, endpoints: &[Metered]) {
        type Read = fn(&Endpoint) -> u64;
        let facts: [(&str, &str, &str, Read); 7] = [
            ("requests_total", "counter", "Requests that came", |e| e.stats().requests),
            ("answered_total", "counter", "Requests answered", |e| e.stats().answered),
            ("abandoned_total", "counter", "Requests given up by callers", |e| e.stats().abandoned),
            ("in_flight", "gauge", "Requests being answered", |e| e.stats().in_flight),
            ("rows_total", "counter", "Rows in answers", |e| e.stats().rows),
            ("swaps_total", "counter", "Models that took another's place", |e| e.stats().swaps),
            ("stale", "gauge", "Whether the registry is not followed", |e| {
                u64::from(e.status().stale)
            }),
        ];
        for (name, kind, help, read) in facts {
            let name = format!("mlops_endpoint_{name}");
            self.family(&name, kind, help);
            for Metered { endpoint, .. } in endpoints {
                self.line(&name, &[("endpoint", endpoint.name())], read(endpoint));
            }
        }
        let name = "mlops_endpoint_seconds_total";
        self.family(name, "counter", "Time that answers took, together");
        for Metered { endpoint, .. } in endpoints {
            let labels = [("endpoint", &**endpoint.name())];
            self.line(name, &labels, endpoint.stats().took.as_secs_f64());
        }
        let name = "mlops_endpoint_panics_total";
        self.family(name, "counter", "Calls lost to a panic");
        for Metered { endpoint, .. } in endpoints {
            self.line(name, &[("endpoint", &**endpoint.name())], endpoint.stats().panics);
        }
        let name = "mlops_endpoint_errors_total";
        self.family(name, "counter", "Requests that failed, by kind");
        for Metered { endpoint, .. } in endpoints {
            for (kind, count) in &endpoint.stats().errors {
                let labels = [("endpoint", &**endpoint.name()), ("kind", &format!("{kind:?}"))];
                self.line(name, &labels, count);
            }
        }
    }

    /// What answers now. A version that is gone has no more series.
    fn versions(&mut self, endpoints: &[Metered]) {
        type Read = fn(&VersionStats) -> u64;
        self.family("mlops_endpoint_info", "gauge", "The model that answers, always 1");
        for Metered { endpoint, .. } in endpoints {
            let (name, live) = (endpoint.name(), endpoint.stats().live);
            let labels =
                [("endpoint", &**name), ("model", &*live.model), ("version", &*live.version)];
            self.line("mlops_endpoint_info", &labels, 1);
        }
        let facts: [(&str, &str, Read); 2] = [
            ("answered", "Requests that this version answered", |live| live.answered),
            ("failed", "Requests that failed with this version", |live| live.failed),
        ];
        for (name, help, read) in facts {
            let name = format!("mlops_endpoint_version_{name}_total");
            self.family(&name, "counter", help);
            for Metered { endpoint, .. } in endpoints {
                let (own, live) = (endpoint.name(), endpoint.stats().live);
                let labels = [("endpoint", &**own), ("version", &*live.version)];
                self.line(&name, &labels, read(&live));
            }
        }
    }

    /// A histogram of seconds.
    fn durations(
        &mut self,
        (name, help): (&str, &str),
        endpoints: &[Metered],
        read: impl Fn(&Endpoint) -> Durations,
    ) {
        self.family(name, "histogram", help);
        let bounds = DURATION_BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string());
        let bounds: Vec<String> = bounds.chain(["+Inf".to_owned()]).collect();
        for Metered { endpoint, .. } in endpoints {
            let (own, durations) = (endpoint.name(), read(endpoint));
            let mut up_to = 0;
            for (bound, count) in bounds.iter().zip(durations.counts) {
                up_to += count;
                let labels = [("endpoint", &**own), ("le", bound.as_str())];
                self.line(&format!("{name}_bucket"), &labels, up_to);
            }
            let labels = [("endpoint", &**own)];
            self.line(&format!("{name}_sum"), &labels, durations.sum.as_secs_f64());
            self.line(&format!("{name}_count"), &labels, up_to);
        }
    }

    fn batching(&mut self, endpoints: &[Metered]) {
        type Read = fn(&BatchingStats) -> u64;
        let facts: [(&str, &str, &str, Read); 8] = [
            ("at_once_total", "counter", "Requests that did not wait", |b| b.at_once),
            ("requests_total", "counter", "Requests that waited and ran", |b| b.batched_requests),
            ("refused_total", "counter", "Requests refused as too much waited", |b| b.refused),
            ("abandoned_total", "counter", "Requests given up while they waited", |b| b.abandoned),
            ("expired_total", "counter", "Requests too late before they ran", |b| b.expired),
            ("bisected_total", "counter", "Failed batches run again in halves", |b| b.bisected),
            ("panics_total", "counter", "Batches lost to a panic", |b| b.panics),
            ("waiting", "gauge", "Requests that wait", |b| b.waiting),
        ];
        for (name, kind, help, read) in facts {
            let name = format!("mlops_batcher_{name}");
            self.family(&name, kind, help);
            for Metered { endpoint, .. } in endpoints {
                let labels = [("endpoint", &**endpoint.name())];
                self.line(&name, &labels, read(&endpoint.stats().batching));
            }
        }
        self.family("mlops_batcher_rows", "histogram", "Rows of batches of requests that waited");
        for Metered { endpoint, .. } in endpoints {
            self.rows(endpoint.name(), &endpoint.stats().batching);
        }
    }

    fn rows(&mut self, endpoint: &str, stats: &BatchingStats) {
        let bounds = ROWS_BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut up_to = 0;
        for (bound, count) in bounds.zip(stats.rows_per_batch) {
            up_to += count;
            let labels = [("endpoint", endpoint), ("le", &bound)];
            self.line("mlops_batcher_rows_bucket", &labels, up_to);
        }
        let labels = [("endpoint", endpoint)];
        self.line("mlops_batcher_rows_sum", &labels, stats.batched_rows);
        self.line("mlops_batcher_rows_count", &labels, stats.batches);
    }

    fn logs(&mut self, endpoints: &[Metered]) {
        type Read = fn(&LogCounts) -> u64;
        let facts: [(&str, Read); 4] = [
            ("accepted", |counts| counts.accepted),
            ("dropped", |counts| counts.dropped),
            ("written", |counts| counts.written),
            ("failed", |counts| counts.failed),
        ];
        for (name, read) in facts {
            let name = format!("mlops_inference_log_{name}_total");
            self.family(&name, "counter", "Records of the inference log");
            for Metered { endpoint, log } in endpoints {
                let Some(counts) = log.as_ref().map(|log| log.counts()) else { continue };
                self.line(&name, &[("endpoint", &**endpoint.name())], read(&counts));
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.0, "{name}");
        if !labels.is_empty() {
            let labels = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text)));
            let _ = write!(self.0, "{{{}}}", labels.collect::<Vec<_>>().join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
