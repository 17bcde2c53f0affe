//! Who may ask, and how often.

use super::{Host, good, model};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use mlops_core::{Clock, Principal, testing::ManualClock};
use mlops_serve::http::{ApiKeys, RateLimit, Service};
use std::{sync::Arc, time::Duration};

const KEY: &str = "c2hvcC1zZWNyZXQtMQ";

fn keys() -> Arc<ApiKeys> {
    let keys = ApiKeys::new().with_key(Principal::new("shop"), KEY).unwrap();
    Arc::new(keys.with_key(Principal::new("other"), "b3RoZXItc2VjcmV0LTE").unwrap())
}

fn service() -> Service {
    Service::new().with_model(model("sum")).with_invocations("sum")
}

async fn ask(host: &Host, path: &str, credentials: Option<(&str, &str)>) -> super::Answer {
    let is_post = path.ends_with("infer") || path == "/invocations";
    let mut request = Request::builder().uri(path);
    request = request.method(if is_post { Method::POST } else { Method::GET });
    if let Some((name, value)) = credentials {
        request = request.header(name, value);
    }
    let body = if is_post { Body::from(good().to_string()) } else { Body::empty() };
    host.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn without_a_key_nobody_but_a_probe_is_answered() {
    let host = Host::of(service().with_authenticator(keys()));
    for path in ["/v2/health/live", "/v2/health/ready", "/ping", "/health"] {
        assert_eq!(ask(&host, path, None).await.status, StatusCode::OK, "{path}");
    }
    let closed = [
        "/v2",
        "/v2/models",
        "/v2/models/sum",
        "/v2/models/sum/ready",
        "/v2/models/sum/infer",
        "/v2/models/none/infer",
        "/v2/nowhere",
        "/invocations",
        "/version",
    ];
    let bearer = format!("Bearer {KEY}");
    for path in closed {
        for wrong in
            [None, Some(("authorization", "Bearer c2hvcC1zZWNyZXQtMg")), Some(("x-api-key", "x"))]
        {
            let answer = ask(&host, path, wrong).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
            assert!(answer.text().contains("key") && !answer.text().contains("c2hv"));
        }
        for right in [("authorization", bearer.as_str()), ("X-API-Key", KEY)] {
            let answer = ask(&host, path, Some(right)).await;
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    assert_eq!(ask(&host, "/invocations", None).await.json()["error_code"], "UNAUTHENTICATED");
    let answer = ask(&host, "/v2/models/sum/infer", Some(("x-api-key", KEY))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(host.counters.read().panics, 0);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again_and_harms_nobody() {
    let clock = Arc::new(ManualClock::default());
    let limit = RateLimit::new(0.5).unwrap().with_burst(2);
    let limited = || service().with_rate_limit(limit).with_clock(clock.clone());
    let host = Host::of(limited().with_authenticator(keys()));
    let path = "/v2/models/sum/infer";
    let (shop, other) = (Some(("x-api-key", KEY)), Some(("x-api-key", "b3RoZXItc2VjcmV0LTE")));
    for _ in 0..2 {
        assert_eq!(ask(&host, path, shop).await.status, StatusCode::OK);
    }
    let refused = ask(&host, path, shop).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers[header::RETRY_AFTER], "3");
    assert_eq!(ask(&host, path, other).await.status, StatusCode::OK);
    assert_eq!(ask(&host, "/v2/health/ready", shop).await.status, StatusCode::OK);
    assert_eq!(clock.instant(), clock.instant());
    clock.advance(Duration::from_secs(2));
    assert_eq!(ask(&host, path, shop).await.status, StatusCode::OK);
    assert_eq!(ask(&host, path, shop).await.status, StatusCode::TOO_MANY_REQUESTS);

    // Where nobody is asked who he is, all are one.
    let open = Host::of(limited());
    for _ in 0..2 {
        assert_eq!(ask(&open, path, None).await.status, StatusCode::OK);
    }
    assert_eq!(
        ask(&open, "/invocations", None).await.json()["error_code"],
        "REQUEST_LIMIT_EXCEEDED"
    );
}
