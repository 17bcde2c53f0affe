//! The folder of a backup: whose it is, and which of its files are a backup's.

use super::super::{
    connection::{Connection, folder_of, values},
    restore,
    words::int,
};
use super::{ARTIFACTS, BackupNote};
use crate::disk;
use mlops_core::{Error, ErrorKind, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What SQLite keeps beside a database, by what its name ends with.
pub(in crate::store) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Stands in a folder until its first note does: what else is there was made for a backup.
const UNFINISHED: &str = "backup.unfinished";

/// Makes sure that a folder may become a backup of this record: it is new or empty, or holds an earlier
/// backup of the same record, finished or not.
pub(super) async fn claim(
    folder: &Path,
    db: &mut Connection,
    record: &Path,
    artifacts: Option<&Path>,
) -> Result<()> {
    disk::create_dirs(folder)?;
    apart(folder, record, artifacts)?;
    match restore::note(folder) {
        Ok(note) => of_same(folder, &note, db, record).await,
        Err(error) if error.kind() == ErrorKind::NotFound => begin(folder),
        Err(error) => Err(error),
    }
}

/// Refuses a folder in which a backup would lie among what it is a backup of.
fn apart(folder: &Path, record: &Path, artifacts: Option<&Path>) -> Result<()> {
    let real =
        |path: &Path| path.canonicalize().map_err(|source| Error::io(path.display(), source));
    let own = real(folder)?;
    // The file may be a link: neither the link nor what it leads to is ours to remove.
    if own == real(&folder_of(record))? || own == folder_of(&real(record)?) {
        let (folder, record) = (folder.display(), record.display());
        let text = format!("the record {record} lies in {folder}: its backup needs another folder");
        return Err(Error::invalid(text));
    }
    let inside = folder.join(ARTIFACTS);
    if let Some(artifacts) = artifacts.filter(|_| inside.exists())
        && real(artifacts)? == real(&inside)?
    {
        let (inside, record) = (inside.display(), record.display());
        let text =
            format!("the artifacts of {record} lie in {inside}: its backup needs another folder");
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// Refuses the backup of another record: its last event never happened in this one.
async fn of_same(
    folder: &Path,
    note: &BackupNote,
    db: &mut Connection,
    record: &Path,
) -> Result<()> {
    if note.last_event.is_empty() {
        return Ok(());
    }
    // Positions leave no gap.
    let sql = "select 1 from events where position = $1 and hash = $2";
    if db.row(sql, &values![int(note.events)?, &note.last_event]).await?.is_some() {
        return Ok(());
    }
    let (folder, record) = (folder.display(), record.display());
    let text = format!("{folder} holds the backup of another record: its last event is not one of");
    Err(Error::conflict(format!("{text} {record}'s; give another folder")))
}

/// Begins the first backup of a folder, or goes on with one that was interrupted.
fn begin(folder: &Path) -> Result<()> {
    let sign = folder.join(UNFINISHED);
    if sign.is_file() {
        return Ok(());
    }
    let failed = |source| Error::io(folder.display(), source);
    if let Some(other) = fs::read_dir(folder).map_err(failed)?.next() {
        let other = other.map_err(failed)?.file_name();
        let (folder, other) = (folder.display(), other.display());
        let text = format!("{folder} holds no backup, and something else ({other})");
        return Err(Error::conflict(format!("{text}: give a new or empty folder")));
    }
    disk::write_new(&sign, b"A backup was begun here and is not finished: make it again.\n")
}

/// A name that no database in this folder has.
pub(super) fn fresh(folder: &Path) -> Result<String> {
    let last = databases(folder)?.into_iter().map(|(number, _)| number).max();
    Ok(format!("record-{}.db", last.unwrap_or(0) + 1))
}

/// Removes what the backups before this one have left. It costs space and nothing else if it stays.
pub(super) fn tidy(folder: &Path, database: &Path) -> Result<()> {
    let _ = fs::remove_file(folder.join(UNFINISHED));
    for (_, old) in databases(folder)?.into_iter().filter(|(_, path)| path != database) {
        let _ = fs::remove_file(old);
    }
    Ok(())
}

/// The databases of finished and unfinished backups in a folder, and what is beside them.
fn databases(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let failed = |source| Error::io(folder.display(), source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(number) {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// The number in a name that we have given, or SQLite after it; other people's files have other names.
fn number(name: &str) -> Option<u64> {
    let (number, end) = name.strip_prefix("record-")?.split_once(".db")?;
    let ours = end.is_empty() || BESIDE.contains(&end);
    number.parse().ok().filter(|number: &u64| ours && format!("record-{number}.db{end}") == name)
}
