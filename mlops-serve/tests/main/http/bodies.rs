//! Bounds on bodies: one, all together, and in time.

use super::{Answer, Host, good, socket::Server};
use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode},
};
use futures_util::{StreamExt, stream};
use mlops_serve::http::HttpConfig;
use serde_json::Value;
use std::{convert::Infallible, time::Duration};

/// 100 MB of spaces, made as they are read.
fn hundred_megabytes() -> Body {
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    Body::from_stream(stream::iter((0..100).map(move |_| Ok::<_, Infallible>(chunk.clone()))))
}

fn infer(body: Body) -> Request<Body> {
    Request::post("/v2/models/sum/infer").body(body).unwrap()
}

#[tokio::test]
async fn a_hundred_megabytes_are_too_large() {
    let host = Host::new(HttpConfig::default());
    let answer = host.send(infer(hundred_megabytes())).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error(), "the body is longer than 67108864 bytes");
    host.still_answers().await;
}

#[test]
fn a_hundred_megabytes_over_a_socket_are_too_large() {
    let server = Server::start(Host::new(HttpConfig::default()));
    let (status, body) = server.post("/v2/models/sum/infer", &vec![b' '; 100 << 20]);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 413);
    assert_eq!(body["error"], "the body is longer than 67108864 bytes");
    server.still_answers();
}

#[tokio::test]
async fn a_large_body_within_the_bound_is_answered() {
    let host = Host::new(HttpConfig::default());
    let padded = format!("{}{}", good(), " ".repeat(2 << 20));
    assert_eq!(host.infer(padded).await.status, StatusCode::OK);
}

/// The bodies of all requests share one memory; what one gives back, the next may have.
#[tokio::test]
async fn bodies_share_a_bound_and_give_it_back() {
    let host = Host::new(HttpConfig::default().with_max_bytes_in_flight(500));
    let never = stream::once(async { Ok::<_, Infallible>(Bytes::from(vec![b' '; 400])) });
    let hangs = Body::from_stream(never.chain(stream::pending()));
    let first = host.send(infer(hangs));
    tokio::pin!(first);
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut first).await;
    assert!(waited.is_err(), "the first body is still coming");
    let second: Answer = host.infer(good().to_string()).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(second.headers.contains_key("retry-after"));
    assert!(second.error().contains("memory"), "{}", second.error());
}

#[tokio::test]
async fn a_request_that_was_dropped_gives_its_share_back() {
    let host = Host::new(HttpConfig::default().with_max_bytes_in_flight(500));
    for _ in 0..3 {
        let some = stream::once(async { Ok::<_, Infallible>(Bytes::from(vec![b' '; 400])) });
        let hangs = Body::from_stream(some.chain(stream::pending()));
        let gone = tokio::time::timeout(Duration::from_millis(5), host.send(infer(hangs))).await;
        assert!(gone.is_err());
    }
    host.still_answers().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_408() {
    let host = Host::new(HttpConfig::default().with_timeout(Some(Duration::from_millis(300))));
    let hangs = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let answer = host.send(infer(hangs)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(answer.error().contains("in time"), "{}", answer.error());
    host.still_answers().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let host = Host::new(HttpConfig::default());
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
    let answer = host.send(infer(Body::from_stream(broken))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    host.still_answers().await;
}

#[tokio::test]
async fn methods_and_headers_are_refused_by_name() {
    let host = Host::new(HttpConfig::default());
    let path = "/v2/models/sum/infer";
    let answer = host.get(path).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST");
    assert_eq!(answer.error(), "method GET is not for this path");

    for (length, names) in
        [("seven", "Content-Length"), ("-1", "Content-Length"), ("999999", "999999")]
    {
        let request = Request::post(path).header("inference-header-content-length", length);
        let answer = host.send(request.body(Body::from(good().to_string())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.error().contains(names), "{}", answer.error());
    }
    host.still_answers().await;
}
