//! No secret shows: not in `Debug`, not in an error or its causes, not in what is logged, answered or kept.
//!
//! One property: whatever random secret goes in, and wherever, it is found in nothing that comes out.

#[path = "secrets/log.rs"]
mod log;

use crate::{
    auth::{authenticator, basic, store},
    server::Server,
};
use axum::{
    body::Body,
    http::{Request, header::AUTHORIZATION},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::StreamExt;
use mlops_core::{Error, EventLog, auth::Authenticator, config::Secret};
use mlops_registry::{
    SqlStore, UserConfig,
    mlflow::server::ServerConfig,
    store::{Role, SHORTEST_PASSWORD},
};
use proptest::prelude::*;
use std::{error::Error as _, fmt::Debug, fs, path::Path};

/// A secret, and whatever would give it away.
#[derive(Clone, Debug)]
struct Hidden {
    name: String,
    password: String,
    /// Letters and digits in its middle: no escape and no encoding of text changes them.
    core: String,
}

fn hidden() -> impl Strategy<Value = Hidden> {
    let parts = ("[a-z]{3,10}", "[!-~é ]{1,6}", "[a-zA-Z0-9]{14}", "[!-~]{1,6}");
    parts.prop_map(|(name, before, core, after)| {
        let password = format!("{before}{core}{after}");
        Hidden { name, password, core }
    })
}

/// Everything that was said, to be searched for secrets.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn show(&mut self, what: impl Debug) {
        self.0.push(format!("{what:?} {what:#?}"));
    }

    /// An error in all its forms, and what led to it.
    fn fails<T>(&mut self, outcome: Result<T, Error>) {
        let Err(error) = outcome else { return };
        self.0.push(format!("{error} {error:?} {:?}", error.message()));
        let mut source = error.source();
        while let Some(cause) = source {
            self.0.push(format!("{cause} {cause:?}"));
            source = cause.source();
        }
    }

    /// The bytes of every file in a folder.
    fn files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else {
                self.0.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
            }
        }
    }

    fn hides(&self, secrets: &[String]) {
        for said in &self.0 {
            for secret in secrets {
                assert!(!said.contains(secret), "a secret shows: {secret} in {said:.2000}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn no_secret_shows(own in hidden()) {
        log::listen();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            log::read();
            let (mut said, encoded) = (Said::default(), BASE64_STANDARD.encode(&own.password));
            let pair = BASE64_STANDARD.encode(format!("{}:{}", own.name, own.password));
            let mut secrets = vec![own.core.clone(), encoded, pair];
            secrets.push(users(&own, &mut said).await);
            configured(&own, &mut said);
            #[cfg(feature = "mlflow")]
            client::signs_in(&own, &mut said).await;
            #[cfg(feature = "postgres")]
            connects(&own, &mut said).await;
            said.0.push(log::read());
            said.hides(&secrets);
        });
    }
}

/// Users and their tokens, at the door and over the wire; gives the token.
async fn users(own: &Hidden, said: &mut Said) -> String {
    let (store, folder) = store().await;
    store.add_user(&own.name, Role::Admin, Some(&own.password)).await.unwrap();
    let token = store.create_token(&own.name, "a note").await.unwrap();
    let door = authenticator(&store, UserConfig::default());
    let good = [basic(&own.name, &own.password), format!("Bearer {}", token.expose())];
    let bad = [
        format!("{}x", good[0]),
        format!("{}x", good[1]),
        basic("nobody", &own.password),
        basic(&own.password, "mistaken for a name"),
        format!("Bearer {}", own.core),
        format!("Digest {}", own.password),
        own.password.clone(),
    ];
    said.show((&door, &store, &token));
    let config = ServerConfig::default().with_authenticator(door.clone());
    said.show(&config);
    for credentials in &good {
        said.show(door.authenticate(Some(credentials)).unwrap());
    }
    for credentials in &bad {
        said.fails(door.authenticate(Some(credentials)));
    }
    wire(&store, config, good.iter().chain(&bad), said).await;

    let other = format!("{}!", own.password);
    store.change_user(&own.name, Some(Role::Read), Some(&other)).await.unwrap();
    said.fails(store.change_user("nobody", None, Some(&other)).await);
    said.fails(store.add_user(&own.name, Role::Read, Some(&own.password)).await);
    // One that is too short is a secret nevertheless.
    let short = &own.core[..SHORTEST_PASSWORD - 1];
    said.fails(store.add_user("other", Role::Read, Some(short)).await);
    said.fails(store.add_user(&format!("{}\n", own.name), Role::Read, Some(&own.password)).await);
    said.show(store.users().await.unwrap());
    store.revoke_tokens(&own.name).await.unwrap();
    let end = store.append(&[]).await.unwrap();
    let mut events = store.follow(None, Vec::new());
    for _ in 0..end.0 {
        said.show(events.next().await.unwrap().unwrap());
    }
    drop((events, door, store));
    said.files(folder.path());
    token.expose().to_owned()
}

/// Calls with these credentials: what is answered, and the record of what was done.
async fn wire(
    store: &SqlStore,
    config: ServerConfig,
    credentials: impl Iterator<Item = &String>,
    said: &mut Said,
) {
    let server = Server::of(store.clone(), tempfile::tempdir().unwrap()).again(config);
    for (number, credentials) in credentials.enumerate() {
        for body in [format!("{{\"name\": \"experiment {number}\"}}"), "no JSON".to_owned()] {
            let request = Request::post("/api/2.0/mlflow/experiments/create")
                .header("content-type", "application/json")
                .header(AUTHORIZATION, credentials);
            // Not all texts can be sent.
            let Ok(request) = request.body(Body::from(body)) else { continue };
            let (_, headers, body) = server.send(request).await;
            said.show((headers, String::from_utf8_lossy(&body)));
        }
    }
}

/// What configuration holds is where a secret is.
fn configured(own: &Hidden, said: &mut Said) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, format!("{}\n", own.password)).unwrap();
    let secret = Secret::File(path);
    let revealed = secret.reveal().unwrap();
    assert_eq!(revealed.expose(), own.password);
    said.show((&secret, &revealed, serde_json::to_string(&secret).unwrap()));
    said.fails(Secret::File(folder.path().to_owned()).reveal());
    fs::write(folder.path().join("bytes"), [own.password.as_bytes(), &[0xff]].concat()).unwrap();
    said.fails(Secret::File(folder.path().join("bytes")).reveal());
}

#[cfg(feature = "postgres")]
async fn connects(own: &Hidden, said: &mut Said) {
    use mlops_registry::StoreConfig;
    use std::time::Duration;

    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::default()
        .with_artifacts(folder.path().to_owned())
        .with_busy_timeout(Duration::from_millis(100));
    said.show(&config);
    let escaped: String = form_urlencoded::byte_serialize(own.password.as_bytes()).collect();
    let escaped = escaped.replace('+', "%20");
    for password in [&escaped, &own.password, &own.core] {
        for url in [
            format!("postgresql://{}:{password}@127.0.0.1:1/record", own.name),
            format!("postgresql://{}:{password}@127.0.0.1:nowhere/record", own.name),
            format!("postgresql://{}@127.0.0.1:1/record?password={password}", own.name),
            format!("postgresql://{}@127.0.0.1:1/record?pasword={password}", own.name),
            format!("mysql://{}:{password}@127.0.0.1:1/record", own.name),
            format!("{}:{password}", own.name),
        ] {
            said.fails(SqlStore::connect(&url, config.clone()).await);
            said.fails(SqlStore::migrate_url(&url, config.clone()).await);
        }
    }
}

#[cfg(feature = "mlflow")]
mod client {
    use super::{Hidden, Said};
    use axum::{
        Router,
        http::{HeaderMap, StatusCode},
    };
    use mlops_core::{Tracker, config::Secret, page::Search};
    use mlops_registry::{RestConfig, RestStore, mlflow::Auth};
    use std::{fs, time::Duration};

    /// Clients that sign in, at a server that repeats whatever it is told and at none.
    pub(super) async fn signs_in(own: &Hidden, said: &mut Said) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, &own.password).unwrap();
        let kept = || Secret::File(file.clone());
        let base = RestConfig::default()
            .with_attempts(1_u32)
            .with_connect_timeout(Duration::from_millis(300))
            .with_timeout(Duration::from_secs(5));
        let plain = base.clone().with_auth(Auth::none());
        let token = |name: &str| (name == "MLFLOW_TRACKING_TOKEN").then(|| own.password.clone());
        let pair = |name: &str| match name {
            "MLFLOW_TRACKING_USERNAME" => Some(own.name.clone()),
            "MLFLOW_TRACKING_PASSWORD" => Some(own.password.clone()),
            _ => None,
        };
        let escaped: String = form_urlencoded::byte_serialize(own.password.as_bytes()).collect();
        let escaped = escaped.replace('+', "%20");
        let proxies = [&own.password, &escaped, &own.core].map(|password| {
            plain.clone().with_proxy(format!("http://{}:{password}@127.0.0.1:1", own.name))
        });
        let configs = [
            base.clone().with_auth(Auth::bearer(kept())),
            base.clone().with_auth(Auth::basic(own.name.clone(), kept())),
            base.clone().with_auth(RestConfig::from_env(token).auth),
            base.clone().with_auth(RestConfig::from_env(pair).auth),
        ];
        let parrot = parrot().await;
        let in_url = parrot.replace("//", &format!("//{}:{escaped}@", own.name));
        let in_bad_url = parrot.replace("//", &format!("//{}:{}@", own.name, own.password));
        for config in configs.iter().chain(&proxies) {
            said.show(config);
            for url in [&parrot, "http://127.0.0.1:1", "ftp://127.0.0.1"] {
                try_all(url, config, said).await;
            }
        }
        for url in [&in_url, &in_bad_url, &in_url.replace("http", "nothing")] {
            try_all(url, &plain, said).await;
        }
    }

    async fn try_all(url: &str, config: &RestConfig, said: &mut Said) {
        match RestStore::connect(url, config.clone()).await {
            Ok(store) => {
                said.show((&store, store.url()));
                for filter in ["refused", "told", "wrong"] {
                    said.fails(store.runs(Search::new().with_filter(filter)).await);
                }
            }
            Err(error) => said.fails::<()>(Err(error)),
        }
    }

    /// A server that has no manners: it says again what nobody may hear.
    async fn parrot() -> String {
        let answer = async |headers: HeaderMap, body: String| {
            let heard = headers.get("authorization").and_then(|line| line.to_str().ok());
            let heard = heard.unwrap_or_default().to_owned();
            let (status, said) = match &body {
                body if body.contains("told") => (StatusCode::BAD_REQUEST, heard.clone()),
                body if body.contains("wrong") => {
                    let answer = serde_json::json!({ "runs": heard }).to_string();
                    return (StatusCode::OK, answer);
                }
                body if body.is_empty() => (StatusCode::NOT_FOUND, heard.clone()),
                _ => (StatusCode::UNAUTHORIZED, format!("not {heard}")),
            };
            let code = "INVALID_PARAMETER_VALUE";
            let answer = serde_json::json!({ "error_code": code, "message": said }).to_string();
            (status, answer)
        };
        let app = Router::new().fallback(answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }
}
