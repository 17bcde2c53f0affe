//! Where backups and restored records go, and what they leave alone there.

use super::{files, read, restore, write};
use crate::story::{Home, open};
use mlops_core::{Digest, Error, ErrorKind, RunId};
use mlops_registry::{SqlStore, StoreConfig};
use std::fs;

#[track_caller]
fn refused(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for words in words {
        assert!(error.to_string().contains(words), "{words} in {error}");
    }
}

/// A record with a run of one file.
async fn record(text: &str) -> (Home, RunId) {
    let home = Home::new().await;
    let run = home.run("here").await.id;
    write(&home.store, run, "a", text).await;
    (home, run)
}

/// Of a record that was moved away after a crash its log was left: the next to open the place would write
/// that into whatever is there.
#[tokio::test]
async fn what_another_record_left_is_not_mixed_into_a_restored_one() {
    let (home, run) = record("one").await;
    let to = home.folder.path().join("backup");
    home.store.backup(&to, |_| ()).await.unwrap();
    let log = fs::read(home.folder.path().join("mlops.db-wal")).unwrap();
    assert!(!log.is_empty());

    let back = tempfile::tempdir().unwrap();
    for end in ["-wal", "-shm", "-journal"] {
        let name = format!("mlops.db{end}");
        let left = back.path().join(&name);
        fs::write(&left, &log).unwrap();
        let error = restore(&to, back.path()).await.unwrap_err();
        refused(&error, ErrorKind::AlreadyExists, &[&name, "has to go"]);
        assert_eq!(files(back.path()), std::slice::from_ref(&left));
        assert_eq!(fs::read(&left).unwrap(), log);
        fs::remove_file(left).unwrap();
    }
    // Also if it comes while the artifacts are copied.
    let left = back.path().join("mlops.db-wal");
    let (late, config) = (left.clone(), StoreConfig::default());
    let comes = move |_| fs::write(&late, "late").unwrap();
    let place = back.path().join("mlops.db");
    let error = SqlStore::restore(&to, &place, config, comes).await.unwrap_err();
    refused(&error, ErrorKind::AlreadyExists, &["mlops.db-wal"]);
    assert!(!place.exists());
    fs::remove_file(left).unwrap();

    restore(&to, back.path()).await.unwrap();
    assert_eq!(read(&open(back.path()).await.unwrap(), run, "a").await, "one");
}

#[tokio::test]
async fn files_that_no_backup_made_stay() {
    let (home, run) = record("one").await;
    let to = home.folder.path().join("backup");
    home.store.backup(&to, |_| ()).await.unwrap();
    let others = [
        "record-2024.csv",
        "record-7.db.old",
        "record-07.db",
        "record-+7.db",
        "record-7.db-wal2",
        "record-.db",
        "record-7",
        "notes.txt",
    ];
    let left_by_us = ["record-8.db", "record-8.db-wal", "record-8.db-shm", "record-8.db-journal"];
    for name in others.iter().chain(&left_by_us) {
        fs::write(to.join(name), "x").unwrap();
    }
    write(&home.store, run, "a", "two").await;
    let done = home.store.backup(&to, |_| ()).await.unwrap();
    for name in others {
        assert!(to.join(name).exists(), "{name} is gone");
    }
    for name in left_by_us.into_iter().chain(["record-1.db", "backup.unfinished"]) {
        assert!(!to.join(name).exists(), "{name} is still there");
    }
    assert_eq!(done.note.database, "record-9.db");
}

#[tokio::test]
async fn a_backup_lies_apart_from_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    let file = home.join("record-1.db");
    let store = SqlStore::open(&file, StoreConfig::default()).await.unwrap();
    let (named, own) = (home.display().to_string(), file.display().to_string());
    let error = store.backup(&home, |_| ()).await.unwrap_err();
    refused(&error, ErrorKind::InvalidInput, &[&named, &own]);
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&home, &link).unwrap();
        let error = store.backup(&link, |_| ()).await.unwrap_err();
        refused(&error, ErrorKind::InvalidInput, &["link", &own]);
    }
    assert!(file.exists() && !home.join("backup.json").exists());

    // Nor are the record's artifacts a copy of themselves.
    let other = tempfile::tempdir().unwrap();
    let config = StoreConfig::default().with_artifacts(other.path().join("artifacts"));
    let store = SqlStore::open(home.join("second.db"), config).await.unwrap();
    let error = store.backup(other.path(), |_| ()).await.unwrap_err();
    refused(&error, ErrorKind::InvalidInput, &["artifacts", "second.db"]);
}

#[tokio::test]
async fn the_backup_of_another_record_stays() {
    let ((first, run), (second, _)) = (record("one").await, record("two").await);
    let to = first.folder.path().join("backup");
    let done = first.store.backup(&to, |_| ()).await.unwrap();
    let before = files(&to);
    let error = second.store.backup(&to, |_| ()).await.unwrap_err();
    let named = to.display().to_string();
    refused(&error, ErrorKind::Conflict, &[&named, "another record"]);
    assert_eq!(files(&to), before);
    let back = tempfile::tempdir().unwrap();
    assert_eq!(restore(&to, back.path()).await.unwrap(), done.note);
    // A restored record is the same one.
    let store = open(back.path()).await.unwrap();
    write(&store, run, "b", "three").await;
    store.backup(&to, |_| ()).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_no_backup_is_not_made_one() {
    let (home, _) = record("one").await;
    for name in ["notes.txt", "record-1.db"] {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join(name);
        fs::write(&there, "of somebody").unwrap();
        let error = home.store.backup(folder.path(), |_| ()).await.unwrap_err();
        refused(&error, ErrorKind::Conflict, &[name, "no backup"]);
        assert_eq!(files(folder.path()), std::slice::from_ref(&there));
        assert_eq!(fs::read_to_string(there).unwrap(), "of somebody");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("backup.json"), "{").unwrap();
    let error = home.store.backup(folder.path(), |_| ()).await.unwrap_err();
    refused(&error, ErrorKind::Corrupt, &["backup.json"]);
    home.store.backup(tempfile::tempdir().unwrap().path(), |_| ()).await.unwrap();
}

#[tokio::test]
async fn an_interrupted_first_backup_is_gone_on_with() {
    let (home, run) = record("the truth").await;
    let hex = Digest::of("the truth").to_hex();
    let object = home.folder.path().join("artifacts/sha256").join(&hex[..2]).join(&hex);
    fs::write(&object, "the tryth").unwrap();
    let to = home.folder.path().join("backup");
    home.store.backup(&to, |_| ()).await.unwrap_err();
    assert!(to.join("backup.unfinished").exists() && to.join("record-1.db").exists());
    fs::write(&object, "the truth").unwrap();
    let done = home.store.backup(&to, |_| ()).await.unwrap();
    assert!(!to.join("backup.unfinished").exists() && !to.join("record-1.db").exists());
    let back = tempfile::tempdir().unwrap();
    assert_eq!(restore(&to, back.path()).await.unwrap(), done.note);
    assert_eq!(read(&open(back.path()).await.unwrap(), run, "a").await, "the truth");
}
