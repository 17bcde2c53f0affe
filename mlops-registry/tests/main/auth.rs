//! Who may call.

use crate::server::Server;
use axum::{
    body::Body,
    http::{
        Method, Request,
        header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use mlops_core::{ErrorKind, auth::Authenticator};
use mlops_registry::{
    SqlStore, StoreConfig, UserAuthenticator, UserConfig,
    mlflow::server::ServerConfig,
    store::{Role, SHORTEST_PASSWORD},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const PASSWORD: &str = "correct horse battery";

pub(crate) async fn store() -> (SqlStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mlops.db");
    (SqlStore::open(path, StoreConfig::default()).await.unwrap(), folder)
}

pub(crate) fn authenticator(store: &SqlStore, config: UserConfig) -> Arc<UserAuthenticator> {
    Arc::new(UserAuthenticator::new(store.clone(), config).unwrap())
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

#[tokio::test]
async fn passwords_and_tokens_say_who_it_is() {
    let (store, _folder) = store().await;
    store.add_user("ada", Role::Write, Some(PASSWORD)).await.unwrap();
    store.add_user("robot", Role::Read, None).await.unwrap();
    let (ada, robot) = (
        store.create_token("ada", "laptop").await.unwrap(),
        store.create_token("robot", "nightly").await.unwrap(),
    );
    let door = authenticator(&store, UserConfig::default());
    let right = [
        (basic("ada", PASSWORD), "ada", "write"),
        (format!("Bearer {}", ada.expose()), "ada", "write"),
        (format!("bearer {}", robot.expose()), "robot", "read"),
    ];
    for (credentials, name, role) in &right {
        for _ in 0..2 {
            let principal = door.authenticate(Some(credentials)).unwrap();
            assert_eq!(principal.name.as_ref(), *name);
            assert!(principal.has_role(role));
        }
    }
    let wrong = [
        basic("ada", "wrong horse battery"),
        basic("ada", ""),
        basic("robot", "none"),
        basic("nobody", PASSWORD),
        format!("Bearer {}x", ada.expose()),
        "Bearer ".to_owned(),
        "Basic %%%".to_owned(),
        format!("Basic {}", BASE64_STANDARD.encode("no colon")),
        "Digest ada".to_owned(),
        String::new(),
    ];
    for credentials in wrong.iter().map(|one| Some(one.as_str())).chain([None]) {
        let error = door.authenticate(credentials).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }

    // Who is removed, or loses a token, is out; at once where nothing is remembered.
    let strict = authenticator(&store, UserConfig::default().with_remember(Duration::ZERO));
    assert_eq!(store.revoke_tokens("ada").await.unwrap(), 1);
    strict.authenticate(Some(&right[0].0)).unwrap();
    strict.authenticate(Some(&right[1].0)).unwrap_err();
    store.change_user("ada", Some(Role::Admin), Some("another horse battery")).await.unwrap();
    strict.authenticate(Some(&right[0].0)).unwrap_err();
    let now = basic("ada", "another horse battery");
    assert!(strict.authenticate(Some(&now)).unwrap().has_role("admin"));
    store.remove_user("robot").await.unwrap();
    strict.authenticate(Some(&right[2].0)).unwrap_err();
    let users = store.users().await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!((users[0].name.as_ref(), users[0].role, users[0].tokens), ("ada", Role::Admin, 0));
    store.verify_events().await.unwrap();
}

#[tokio::test]
async fn what_is_no_user_is_refused() {
    let (store, _folder) = store().await;
    for name in ["", "a:b", " a", "a\n", &"a".repeat(300)] {
        let error = store.add_user(name, Role::Read, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    let short = "x".repeat(SHORTEST_PASSWORD - 1);
    let error = store.add_user("ada", Role::Read, Some(&short)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    store.add_user("ada", Role::Read, None).await.unwrap();
    let error = store.add_user("ada", Role::Read, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    for error in [
        store.remove_user("bob").await.unwrap_err(),
        store.change_user("bob", None, None).await.unwrap_err(),
        store.create_token("bob", "").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

/// Argon2 takes tens of milliseconds; credentials that were right a moment ago take none of it.
#[tokio::test]
async fn a_password_is_not_checked_at_each_call() {
    let (store, _folder) = store().await;
    store.add_user("ada", Role::Read, Some(PASSWORD)).await.unwrap();
    let (door, credentials) =
        (authenticator(&store, UserConfig::default()), basic("ada", PASSWORD));
    let begun = Instant::now();
    door.authenticate(Some(&credentials)).unwrap();
    let first = begun.elapsed();
    let begun = Instant::now();
    for _ in 0..100 {
        door.authenticate(Some(&credentials)).unwrap();
    }
    assert!(
        begun.elapsed() < first * 20,
        "a hundred took {:?}, the first {first:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn the_server_asks_who_calls_and_events_say_it() {
    let server = Server::with(ServerConfig::default()).await;
    server.store.add_user("ada", Role::Write, Some(PASSWORD)).await.unwrap();
    let door = authenticator(&server.store, UserConfig::default());
    let config = ServerConfig::default().with_authenticator(door);
    let server = server.again(config);
    let ask = |path: &'static str, credentials: Option<String>| {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_TYPE, "application/json");
        if let Some(credentials) = credentials {
            request = request.header(AUTHORIZATION, credentials);
        }
        request.body(Body::from(r#"{"name": "mine"}"#)).unwrap()
    };
    let path = "/api/2.0/mlflow/experiments/create";
    for credentials in [None, Some(basic("ada", "wrong horse battery"))] {
        let (status, headers, body) = server.send(ask(path, credentials)).await;
        assert_eq!(status, 401);
        assert_eq!(headers[WWW_AUTHENTICATE], "Basic realm=\"mlops\"");
        assert!(String::from_utf8_lossy(&body).contains("UNAUTHENTICATED"));
    }
    let (status, _, _) = server.send(ask(path, Some(basic("ada", PASSWORD)))).await;
    assert_eq!(status, 200);
    // Nobody learns what calls there are.
    let (status, _, _) = server.send(ask("/api/2.0/mlflow/nothing", None)).await;
    assert_eq!(status, 401);
    for path in ["/health", "/version"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.0, 200, "{path}");
    }
}
