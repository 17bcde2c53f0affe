//! What is opened as a record is one, or a file that is new; the files of other programs stay as they are.

use crate::story::open;
use mlops_core::{ErrorKind, Tracker, page::Search};
use mlops_registry::{SqlStore, StoreConfig};
use std::{fs, path::Path};

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let mlflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mlflow-3.17/mlflow.db");
    let before = fs::read(mlflow).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mlflow.db");
    fs::write(&file, &before).unwrap();
    let opened = SqlStore::open(&file, StoreConfig::default()).await.unwrap_err();
    let migrated = SqlStore::migrate(&file, StoreConfig::default()).await.unwrap_err();
    for error in [opened, migrated] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&file.display().to_string()) && text.contains("mlops import"),
            "{text}"
        );
    }
    assert!(fs::read(&file).unwrap() == before, "its bytes have changed");
    let there: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().path()).collect();
    assert_eq!(there, [file]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_fresh_file_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        // An empty file is a new one.
        fs::write(folder.path().join("mlops.db"), "").unwrap();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let folder = folder.path().to_owned();
                tokio::spawn(async move { open(&folder).await })
            })
            .collect();
        for store in opening {
            let found = store.await.unwrap().unwrap().experiments(Search::new()).await.unwrap();
            assert_eq!(found.items.len(), 1);
        }
    }
}
