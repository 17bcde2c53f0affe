//! Where a URL leads, and that what is secret in it stays there.

use super::{Place, config};
use mlops_core::{Error, ErrorKind, Tracker, page::Search};
use mlops_registry::{SqlStore, StoreConfig};
use proptest::prelude::*;
use std::{error::Error as _, time::Duration};

const SECRET: &str = "Xq7secretZ";

/// Whatever of an error anybody could print.
fn everything(error: &Error) -> String {
    let mut said = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        said.extend([" ", &cause.to_string(), &format!("{cause:?}")]);
        source = cause.source();
    }
    said
}

#[tokio::test]
async fn wrong_turns_are_named_without_the_password() {
    let Some(place) = Place::new() else { return };
    let folder = place.folder.path();
    let url = place.url.replace("mlops@", &format!("mlops:{SECRET}@"));
    let store = SqlStore::connect(&url, config(folder)).await.unwrap();
    assert!(!format!("{store:?}").contains(SECRET));
    for (url, kind) in [
        (url.replace("/postgres?", "/nowhere?"), ErrorKind::NotFound),
        (url.replace("mlops:", "stranger:"), ErrorKind::PermissionDenied),
        (format!("postgresql://mlops:{SECRET}@localhost:1/x"), ErrorKind::Unavailable),
        (url.replace("&options", "&pasword=Xq7secretZ&options"), ErrorKind::InvalidInput),
        (url.replace("search_path", "search_path%3Dnowhere%20-cnothing"), ErrorKind::Internal),
        (format!("postgresql://mlops:12/{SECRET}@localhost/x"), ErrorKind::InvalidInput),
        (format!("mysql://mlops:{SECRET}@localhost/x"), ErrorKind::InvalidInput),
    ] {
        let error = SqlStore::connect(&url, config(folder)).await.unwrap_err();
        if kind != ErrorKind::Internal {
            assert_eq!(error.kind(), kind, "{}", everything(&error));
        }
        assert!(!everything(&error).contains(SECRET), "{}", everything(&error));
    }
    let nowhere = url.replace("search_path%3Drecord", "search_path%3Dnowhere");
    let error = SqlStore::connect(&nowhere, config(folder)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("schema"), "{error}");
    let error = SqlStore::connect(&url, StoreConfig::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("artifacts"), "{error}");
}

proptest! {
    #[test]
    fn no_url_is_repeated(before in "[a-z:/@?#&=%.]{0,12}", after in "[a-z0-9:/@?#&=%.]{0,12}") {
        let url = format!("postgresql://{before}{SECRET}{after}@127.0.0.1:1/x");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path()).with_busy_timeout(Duration::from_millis(200));
        if let Err(error) = runtime.block_on(SqlStore::connect(&url, config)) {
            // A user's name is no secret, and neither is where the server is.
            let after_colon = before.contains(':');
            prop_assert!(!after_colon || !everything(&error).contains(SECRET), "{url}: {}", everything(&error));
        }
    }
}

#[tokio::test]
async fn who_asks_for_tls_gets_it() {
    let Some(place) = Place::new() else { return };
    if !place.cluster.tls {
        println!("skipped: postgres over TLS: openssl is not installed");
        return;
    }
    let schema = format!("options=-csearch_path%3D{}", place.schema);
    let url = |mode: &str| {
        format!("{}?{schema}&application_name=tls&sslmode={mode}", place.cluster.tcp("mlops"))
    };
    let folder = place.folder.path();
    let connect = |url: String| async move { SqlStore::connect(&url, config(folder)).await };
    let encrypted = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid)
        where ssl and application_name = 'tls'";
    let plain = connect(url("disable")).await.unwrap();
    assert_eq!(place.cluster.sql(encrypted), "0");
    let store = connect(url("require")).await.unwrap();
    assert_eq!(place.cluster.sql(encrypted), "1");
    assert_eq!(store.experiments(Search::new()).await.unwrap().items.len(), 1);
    // Nobody here has signed it.
    let error = connect(url("verify-full")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    drop(plain);
}

#[tokio::test]
async fn a_server_that_forgets_is_refused() {
    let Some(cluster) = super::Cluster::start() else { return };
    let (_, url) = cluster.schema();
    let folder = tempfile::tempdir().unwrap();
    cluster.sql("alter system set fsync = off");
    cluster.sql("alter role mlops set synchronous_commit = off");
    cluster.sql("select pg_reload_conf(), pg_sleep(0.3)");
    let error = SqlStore::connect(&url, config(folder.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("fsync"), "{error}");
    cluster.sql("alter system set fsync = on");
    cluster.sql("select pg_reload_conf(), pg_sleep(0.3)");
    // What a role says about its own sessions is overruled.
    SqlStore::connect(&url, config(folder.path())).await.unwrap();
}
