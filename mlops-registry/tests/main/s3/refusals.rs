//! A bucket that is not there, or not for us: said clearly, soon, and without a secret.

use super::{
    service::{KEY, SECRET, Service, config, keys, record_config, store_with},
    there,
};
use crate::{
    artifacts::body,
    story::{package, stream},
};
use futures_util::TryStreamExt;
use mlops_core::{
    Error, ErrorKind, ExperimentId, Registry, Tracker,
    artifact::{ArtifactPath, ArtifactRef},
    tracker::{Batch, CreateRun},
};
use mlops_registry::{ArtifactStore, Bucket, S3Config, SqlStore};
use std::{
    error::Error as _,
    fmt::Write as _,
    io::{Read, Write as _},
    net::TcpListener,
    time::Duration,
};

/// Everything that an error shows to anybody.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, " {cause} {cause:?}").unwrap();
        source = cause.source();
    }
    text
}

async fn refusals(store: &ArtifactStore) -> Vec<Error> {
    let some = ArtifactRef::of(b"some bytes");
    vec![
        store.put(body(b"some bytes", 4)).await.unwrap_err(),
        store.get(&some).await.err().unwrap(),
        store.put(body(&vec![1; 9 << 20], 1 << 20)).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn wrong_credentials_are_said_and_not_repeated() {
    let service = there!(Service::start());
    let other = "another-secret-nobody-may-see";
    for (id, secret) in [(KEY, other), ("AKIASOMEBODYELSE", SECRET)] {
        let store = store_with(&config(service.port()).with_keys(keys(id, secret)));
        for error in refusals(&store).await {
            let kinds = [ErrorKind::PermissionDenied, ErrorKind::Unauthenticated];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            let shown = shown(&error) + &format!("{store:?}");
            assert!(shown.contains("s3://models/artifacts"), "{shown}");
            assert!(shown.contains("refuses access"), "{shown}");
            for hidden in [id, secret, "Signature=", "AWS4-HMAC"] {
                assert!(!shown.contains(hidden), "{hidden}: {shown}");
            }
        }
    }
    assert!(service.files().is_empty());
}

/// A service that answers everything with this status and code, and repeats what it was sent.
fn answering(status: &'static str, code: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (mut head, mut piece) = (Vec::new(), [0; 16 << 10]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match client.read(&mut piece).unwrap_or(0) {
                    0 => break,
                    read => head.extend_from_slice(&piece[..read]),
                }
            }
            let sent = String::from_utf8_lossy(&head).into_owned();
            let said =
                format!("<Error><Code>{code}</Code><StringToSign>{sent}</StringToSign></Error>");
            let length = if sent.starts_with("HEAD") { 0 } else { said.len() };
            let _ = write!(
                client,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{}",
                &said[..length],
            );
        }
    });
    port
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let bucket = Bucket::new("nowhere", "").unwrap();
    let port = answering("404 Not Found", "NoSuchBucket");
    let store = ArtifactStore::open_bucket(&bucket, &config(port)).unwrap();
    let error = store.put(body(b"some bytes", 4)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "s3://nowhere: there is no such bucket");
    let error = store.get(&ArtifactRef::of(b"some bytes")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("s3://nowhere"), "{error}");
}

#[tokio::test]
async fn what_a_service_repeats_is_not_shown() {
    let token = "a-token-that-nobody-may-see";
    for (status, code) in [
        ("400 Bad Request", "ExpiredToken"),
        ("403 Forbidden", "SignatureDoesNotMatch"),
        ("500 Internal Server Error", "InternalError"),
    ] {
        let keys = S3Config::from_env(|name| match name {
            "AWS_ACCESS_KEY_ID" => Some(KEY.to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
            "AWS_SESSION_TOKEN" => Some(token.to_owned()),
            _ => None,
        });
        let config = config(answering(status, code)).with_keys(keys.unwrap().keys.unwrap());
        let bucket = Bucket::new("models", "artifacts").unwrap();
        let store = ArtifactStore::open_bucket(&bucket, &config).unwrap();
        for error in refusals(&store).await {
            let shown = shown(&error) + &format!("{store:?} {config:?}");
            assert!(shown.contains("s3://models/artifacts"), "{shown}");
            for hidden in [token, KEY, SECRET, "Signature=", "AWS4-HMAC"] {
                assert!(!shown.contains(hidden), "{hidden}: {shown}");
            }
        }
        let error = store.get(&ArtifactRef::of(b"some bytes")).await.err().unwrap();
        assert!(error.to_string().contains(code), "{error}");
    }
}

/// A port at which nobody listens.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_record_without_its_bucket_opens_and_tracks() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [nobody(), silent.local_addr().unwrap().port()] {
        let s3 = config(port).with_timeout(Duration::from_millis(200));
        let config = record_config(port).with_s3(s3.with_attempts(2_u32));
        let path = folder.path().join(format!("{port}.db"));
        let store = SqlStore::open(path, config).await.unwrap();
        let run = store.create_run(CreateRun::new(ExperimentId::new("0").unwrap())).await.unwrap();
        let batch = Batch::new().with_params(vec![("a".to_owned(), "1".to_owned())]);
        store.log_batch(&run.id, batch).await.unwrap();
        let path = ArtifactPath::new("a").unwrap();
        let body = stream(vec![b"some bytes".to_vec()]);
        let error = store.write_artifact(&run.id, &path, body).await.unwrap_err();
        let version = package(folder.path(), "risk", "first");
        let second = store.create_version(version).await.unwrap_err();
        for error in [error, second] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            let shown = shown(&error);
            assert!(shown.contains("s3://models/artifacts"), "{shown}");
            assert!(!shown.contains(SECRET) && !shown.contains(KEY), "{shown}");
        }
        assert!(Tracker::artifacts(&store, &run.id, &path).await.unwrap().items.is_empty());
    }
}

#[test]
fn without_a_runtime_it_is_an_error() {
    let store = ArtifactStore::open_bucket(
        &Bucket::new("models", "").unwrap(),
        &config(nobody()).with_endpoint("http://127.0.0.1:1".to_owned()),
    );
    let store = store.unwrap();
    let some = ArtifactRef::of(b"some bytes");
    let error = futures_util::FutureExt::now_or_never(store.get(&some)).unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[tokio::test]
async fn a_record_reads_what_is_there_and_says_what_is_not() {
    let service = there!(Service::start());
    let folder = tempfile::tempdir().unwrap();
    let store = service.record(folder.path()).await;
    let run = store.create_run(CreateRun::new(ExperimentId::new("0").unwrap())).await.unwrap();
    let path = ArtifactPath::new("a").unwrap();
    let wrote = store.write_artifact(&run.id, &path, stream(vec![b"text".to_vec()])).await.unwrap();
    std::fs::remove_file(service.object(&wrote)).unwrap();
    let read = async || -> Result<Vec<_>, Error> {
        store.read_artifact(&run.id, &path).await?.try_collect().await
    };
    let error = read().await.unwrap_err();
    assert!(error.to_string().contains(&wrote.digest.to_hex()), "{error}");
    store.write_artifact(&run.id, &path, stream(vec![b"text".to_vec()])).await.unwrap();
    assert_eq!(read().await.unwrap().concat(), b"text");
}

#[test]
fn addresses_are_checked_and_not_repeated() {
    let bucket = Bucket::new("models", "").unwrap();
    for address in [
        "127.0.0.1:9000",
        "ftp://127.0.0.1",
        "http://key:s3cret-of-the-address@127.0.0.1:9000",
        "https://127.0.0.1/?s3cret-of-the-address",
    ] {
        let config = config(1).with_endpoint(address.to_owned());
        let error = ArtifactStore::open_bucket(&bucket, &config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
        assert!(!shown(&error).contains("s3cret"), "{error:?}");
    }
}
