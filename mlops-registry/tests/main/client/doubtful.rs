//! The way to a server that is away, slow, full, broken or curious.

use bytes::Bytes;
use mlops_core::{
    ErrorKind, ExperimentId, Registry, Result, RunId, Tracker,
    artifact::ArtifactPath,
    page::Search,
    testing::collected,
    tracker::{Batch, CreateRun},
};
use mlops_registry::{RestConfig, RestStore, mlflow::Auth};
use proptest::prelude::*;
use std::{
    fmt::Debug,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// What a server says to a request, given how many came before; nothing closes the connection.
type Says = dyn FnMut(usize, &str) -> String + Send;

/// A socket that answers as a test tells it. It remembers what it was asked.
struct Socket {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socket {
    fn new(mut says: impl FnMut(usize, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let _ = serve(connection.unwrap(), &seen, &mut says);
            }
        });
        Self { url, asked }
    }

    /// Greets as a plain server, then says this.
    fn after_greeting(mut says: impl FnMut(usize, &str) -> String + Send + 'static) -> Self {
        Self::new(move |before, request| match before {
            0 => answer("200 OK", "{}"),
            _ => says(before - 1, request),
        })
    }

    async fn store(&self, config: RestConfig) -> Result<RestStore> {
        RestStore::connect(&self.url, config).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Vec<String>>,
    says: &mut Says,
) -> std::io::Result<()> {
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    let whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        (body.len() >= length.unwrap_or(0)).then_some(())
    };
    while whole(&text).is_none() {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    let before = asked.lock().unwrap().len();
    asked.lock().unwrap().push(text.clone());
    stream.write_all(says(before, &text).as_bytes())
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn refusal(status: &str, code: &str, message: &str) -> String {
    answer(status, &serde_json::json!({ "error_code": code, "message": message }).to_string())
}

fn hasty() -> RestConfig {
    RestConfig::default().with_timeout(Duration::from_millis(300)).with_attempts(3)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn kind<T: Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

const RUN: RunId = RunId::from_u128(7);

#[test]
fn what_does_no_harm_is_tried_again_and_what_does_is_not() {
    let busy = || refusal("503 Service Unavailable", "TEMPORARILY_UNAVAILABLE", "busy");
    run(async {
        let socket = Socket::after_greeting(move |before, _| match before {
            0 | 1 => busy(),
            _ => answer("200 OK", r#"{"experiments": []}"#),
        });
        let store = socket.store(hasty()).await.unwrap();
        assert!(store.experiments(Search::new()).await.unwrap().items.is_empty());
        assert_eq!(socket.asked().len(), 4);

        let socket = Socket::after_greeting(move |_, _| busy());
        let store = socket.store(hasty()).await.unwrap();
        let experiment = ExperimentId::new("0").unwrap();
        assert_eq!(
            kind(store.create_run(CreateRun::new(experiment)).await),
            ErrorKind::Unavailable
        );
        assert_eq!(socket.asked().len(), 2, "a run that may have been created was created again");
        let batch = Batch::new().with_params(vec![("a".into(), "1".into())]);
        assert_eq!(kind(store.log_batch(&RUN, batch).await), ErrorKind::Unavailable);
        assert_eq!(socket.asked().len(), 5, "a batch is idempotent");
    });
}

#[test]
fn a_server_of_ours_is_given_the_key_and_asked_again() {
    run(async {
        let socket = Socket::new(|before, _| match before {
            0 => answer("200 OK", r#"{"store_type": "SqlStore", "mlops": {"protocol": 1}}"#),
            1 => refusal("503 Service Unavailable", "TEMPORARILY_UNAVAILABLE", "busy"),
            _ => answer(
                "200 OK",
                r#"{"run": {"info": {"run_id": "00000000000000000000000000000007", "experiment_id": "0",
                    "status": "RUNNING", "start_time": "1500000000000"}}}"#,
            ),
        });
        let store = socket.store(hasty()).await.unwrap();
        assert!(store.is_ours());
        let new =
            CreateRun::new(ExperimentId::new("0").unwrap()).with_idempotency_key("k é".into());
        let run = store.create_run(new).await.unwrap();
        assert_eq!((run.id, run.started.unix_millis()), (RUN, 1_500_000_000_000));
        let asked = socket.asked();
        assert_eq!(asked.len(), 3);
        assert!(
            asked[1..].iter().all(|request| request.contains("idempotency-key: k%20%C3%A9\r\n"))
        );
    });
}

#[test]
fn how_long_a_server_asks_to_wait_is_honoured_within_patience() {
    let full = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    run(async {
        let socket = Socket::after_greeting(move |before, _| match before {
            0 => full.to_owned(),
            _ => answer("200 OK", "{}"),
        });
        let store = socket.store(hasty()).await.unwrap();
        let start = std::time::Instant::now();
        store.experiments(Search::new()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1));

        let socket = Socket::after_greeting(move |_, _| full.to_owned());
        let store = socket.store(hasty().with_patience(Duration::from_millis(500))).await.unwrap();
        assert_eq!(kind(store.experiments(Search::new()).await), ErrorKind::Overloaded);
        assert_eq!(socket.asked().len(), 2);
    });
}

#[test]
fn a_server_that_is_away_slow_or_strange_is_told_apart() {
    run(async {
        let nobody = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
        let away = RestStore::connect(&format!("http://{nobody}"), hasty().with_attempts(1)).await;
        assert_eq!(kind(away), ErrorKind::Unavailable);
        let socket = Socket::after_greeting(|_, _| {
            thread::sleep(Duration::from_millis(500));
            answer("200 OK", "{}")
        });
        let store = socket.store(hasty().with_attempts(1)).await.unwrap();
        assert_eq!(kind(store.experiments(Search::new()).await), ErrorKind::TimedOut);
        let socket = Socket::after_greeting(|_, _| answer("200 OK", "<html>"));
        let store = socket.store(hasty()).await.unwrap();
        assert_eq!(kind(store.models(Search::new()).await), ErrorKind::Corrupt);
        let long = format!(r#"{{"experiments": [], "more": "{}"}}"#, "x".repeat(3_000));
        let socket = Socket::after_greeting(move |_, _| answer("200 OK", &long));
        let store = socket.store(hasty().with_answer_limit(1_000)).await.unwrap();
        assert_eq!(kind(store.experiments(Search::new()).await), ErrorKind::TooLarge);
        // Nobody is sent elsewhere with the credentials of here.
        let socket = Socket::after_greeting(|_, _| {
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
        });
        let store = socket.store(hasty()).await.unwrap();
        assert_eq!(kind(store.experiments(Search::new()).await), ErrorKind::Unsupported);
    });
}

#[test]
fn bytes_that_break_off_are_not_all_of_them() {
    let run_answer = r#"{"run": {"info": {"run_id": "00000000000000000000000000000007", "experiment_id": "0",
        "status": "RUNNING", "artifact_uri": "mlflow-artifacts:/0/7/artifacts"}}}"#;
    let halves = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_owned(),
        // The digest of something else.
        format!(
            "HTTP/1.1 200 OK\r\nrepr-digest: sha-256=:{}:\r\ncontent-length: 4\r\n\r\nhalf",
            "RBNvCIOgspYcCkfBqtFyjFnxGrBHCU29dGqEDh3ECvk="
        ),
    ];
    for (half, wanted) in
        halves.into_iter().zip([ErrorKind::Unavailable, ErrorKind::Unavailable, ErrorKind::Corrupt])
    {
        run(async {
            let socket = Socket::after_greeting(move |_, request| {
                if request.contains("runs/get") {
                    answer("200 OK", run_answer)
                } else {
                    half.clone()
                }
            });
            let store = socket.store(hasty()).await.unwrap();
            let path = ArtifactPath::new("a b/c").unwrap();
            let read = async { collected(store.read_artifact(&RUN, &path).await?).await };
            assert_eq!(kind(read.await), wanted);
            let asked = socket.asked();
            let get = asked.last().unwrap().lines().next().unwrap().to_owned();
            assert_eq!(
                get,
                "GET /api/2.0/mlflow-artifacts/artifacts/0/7/artifacts/a%20b/c HTTP/1.1"
            );
        });
    }
}

#[test]
fn a_body_whose_source_fails_ends_with_its_own_error() {
    run(async {
        let socket = Socket::after_greeting(|_, _| {
            answer(
                "200 OK",
                r#"{"run": {"info": {"artifact_uri": "mlflow-artifacts:/0/7/artifacts"}}}"#,
            )
        });
        let store = socket.store(hasty()).await.unwrap();
        let pieces =
            [Ok(Bytes::from_static(b"some")), Err(mlops_core::Error::corrupt("a torn page"))];
        let body = Box::pin(futures_util::stream::iter(pieces));
        let error =
            store.write_artifact(&RUN, &ArtifactPath::new("a").unwrap(), body).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupt, "a torn page"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_secret_is_in_what_anybody_sees(secret in "[!-~]{8,30}", basic: bool) {
        let lookup = |name: &str| match (name, basic) {
            ("MLFLOW_TRACKING_TOKEN", false) | ("MLFLOW_TRACKING_PASSWORD", true) => Some(secret.clone()),
            ("MLFLOW_TRACKING_USERNAME", true) => Some("ada".to_owned()),
            _ => None,
        };
        let config = RestConfig::from_env(lookup).with_attempts(1);
        run(async {
            // It repeats what it was told.
            let socket = Socket::after_greeting(|_, request| {
                let line = request.lines().find(|line| line.to_lowercase().starts_with("authorization:"));
                refusal("401 Unauthorized", "UNAUTHENTICATED", line.unwrap_or_default())
            });
            let store = socket.store(config.clone()).await.unwrap();
            let error = store.models(Search::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            let sent = socket.asked().pop().unwrap();
            let sent = sent.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap();
            let sent = sent.split_once(' ').unwrap().1.to_owned();
            for shown in [format!("{error} {error:?}"), format!("{store:?} {config:?} {:?}", Auth::none())] {
                assert!(!shown.contains(&secret) && !shown.contains(&sent), "{shown}");
            }
        });
    }
}

#[test]
fn a_password_in_the_address_signs_in_and_is_not_shown() {
    run(async {
        let socket = Socket::new(|_, _| answer("404 Not Found", ""));
        let url = socket.url.replace("http://", "http://ada:s3cret-s3cret@");
        let store = RestStore::connect(&url, hasty()).await.unwrap();
        // RFC 7617's form: base 64 of `ada:s3cret-s3cret`.
        assert!(socket.asked()[0].contains("authorization: Basic YWRhOnMzY3JldC1zM2NyZXQ=\r\n"));
        assert!(!format!("{store:?}").contains("s3cret") && !store.is_ours());
    });
}
