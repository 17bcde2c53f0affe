//! Outcomes: acknowledged when the log has them, and not before.

use super::{Host, model};
use axum::http::StatusCode;
use mlops_core::{
    Error, Result,
    inference_log::{Outcome, OutcomeLog},
};
use mlops_serve::http::{HttpConfig, Service};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Keeps outcomes in memory; waits for a permit each time.
#[derive(Debug)]
struct MemoryLog {
    kept: Mutex<Vec<Outcome>>,
    permits: Semaphore,
}

impl MemoryLog {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), permits: Semaphore::new(permits) })
    }

    fn len(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl OutcomeLog for MemoryLog {
    async fn append(&self, outcomes: &[Outcome]) -> Result<()> {
        let away = |_| Error::unavailable("the log is away");
        self.permits.acquire().await.map_err(away)?.forget();
        self.kept.lock().unwrap().extend_from_slice(outcomes);
        Ok(())
    }
}

fn host(log: &Arc<MemoryLog>) -> Host {
    let log: Arc<dyn OutcomeLog> = Arc::<MemoryLog>::clone(log);
    let config = HttpConfig::default().with_max_outcomes(3);
    Host::of(Service::new().with_model(model("sum")).with_outcomes(log).with_config(config))
}

const PATH: &str = "/v2/models/sum/outcomes";
const ONE: &str =
    r#"{"key": "customer 7", "time": "2018-03-01T00:00:00Z", "name": "sum", "value": 1}"#;

#[tokio::test]
async fn one_or_an_array() {
    let log = MemoryLog::new(10);
    let host = host(&log);
    let answer = host.post(PATH, ONE).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "accepted": 1 })));
    let answer = host.post(PATH, format!(" [{ONE}, {ONE}]")).await;
    assert_eq!(answer.json(), json!({ "accepted": 2 }));
    assert_eq!(log.len(), 3);
    assert_eq!(host.post(PATH, "[]").await.json(), json!({ "accepted": 0 }));
}

#[tokio::test]
async fn the_answer_waits_for_the_log() {
    let log = MemoryLog::new(0);
    let host = host(&log);
    let sent = host.post(PATH, ONE);
    tokio::pin!(sent);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut sent).await;
    assert!(early.is_err(), "answered before the log had it");
    log.permits.add_permits(1);
    assert_eq!(sent.await.status, StatusCode::OK);
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn a_log_that_fails_is_no_200() {
    let log = MemoryLog::new(0);
    let host = host(&log);
    log.permits.close();
    let answer = host.post(PATH, ONE).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.error(), "the log is away");
}

#[tokio::test]
async fn mistakes_are_named_and_nothing_of_the_request_is_kept() {
    let log = MemoryLog::new(100);
    let host = host(&log);
    let deep = "[".repeat(100_000);
    for (body, status, names) in [
        (String::new(), 400, "outcome"),
        ("{}".to_owned(), 400, "outcome"),
        (format!("[{ONE}, 7]"), 400, "outcome 1"),
        (format!("[{ONE}, {}]", ONE.replace("sum", "s\\ud800")), 400, "outcome 1"),
        (ONE.replace("2018-03-01", "soon"), 400, "time"),
        (ONE.replace(", \"value\": 1", ""), 400, "\"value\""),
        (format!("[{ONE}"), 400, "outcomes"),
        (deep.clone(), 400, "outcome"),
        (format!("{{\"key\":{deep}"), 400, "outcome"),
        (format!("[{ONE},{ONE},{ONE},{ONE}]"), 413, "4 outcomes at once"),
    ] {
        let answer = host.post(PATH, body.clone()).await;
        let shown: String = body.chars().take(100).collect();
        assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.text());
        assert!(answer.error().contains(names), "{shown}: {}", answer.error());
    }
    assert_eq!(log.len(), 0);
    let answer = host.post("/v2/models/none/outcomes", ONE).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let keeps_none = Host::new(HttpConfig::default()).post(PATH, ONE).await;
    assert_eq!(keeps_none.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(keeps_none.error(), "this server keeps no outcomes");
    host.still_answers().await;
}
