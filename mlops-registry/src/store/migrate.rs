//! The schema and its versions. A fresh file or database gets the newest; changing an old one is an explicit act.

use super::connection::{Connection, Location, Mode, values};
use mlops_core::{Error, Result, Timestamp};

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub(super) version: i64,
    pub(super) name: &'static str,
    /// The oldest version whose builds still work with the schema after this step.
    pub(super) oldest: i64,
    pub(super) script: &'static str,
}

/// Every step, in order.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "ground",
    oldest: 1,
    script: include_str!("../../migrations/0001_ground.sql"),
}];

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// The schema's version before; 0 of a fresh file.
    pub from: i64,
    /// The schema's version now.
    pub to: i64,
}

/// Creates the schema in a fresh file or database; in another one, checks that this build can work with it.
pub(super) async fn prepare(
    db: &mut Connection,
    migrations: &[Migration],
    now: Timestamp,
    thing: &Location,
) -> Result<()> {
    if let Some(found) = version(db).await? {
        return check(found, migrations, thing);
    }
    // Two processes may find the file fresh; the second to get here finds the first one's schema.
    db.begin(Mode::Write);
    let outcome = match version(db).await {
        Ok(Some(found)) => check(found, migrations, thing),
        Ok(None) => apply(db, migrations, 0, now).await,
        Err(error) => Err(error),
    };
    end(db, outcome).await
}

/// Brings an older schema up to this build's, in one transaction.
pub(super) async fn migrate(
    db: &mut Connection,
    migrations: &[Migration],
    now: Timestamp,
    thing: &Location,
) -> Result<Migrated> {
    db.begin(Mode::Write);
    let outcome = async {
        let found = version(db).await?.unwrap_or(Found { version: 0, oldest: 0 });
        let to = newest(migrations);
        if found.version > to {
            check(found, migrations, thing)?;
        }
        apply(db, migrations, found.version, now).await?;
        Ok(Migrated { from: found.version, to: to.max(found.version) })
    }
    .await;
    end(db, outcome).await
}

async fn end<T>(db: &mut Connection, outcome: Result<T>) -> Result<T> {
    match outcome {
        Ok(value) => db.commit().await.map(|()| value),
        Err(error) => {
            // The error that led here is the one to tell.
            let _ = db.rollback().await;
            Err(error)
        }
    }
}

async fn apply(
    db: &mut Connection,
    migrations: &[Migration],
    after: i64,
    now: Timestamp,
) -> Result<()> {
    for step in migrations.iter().filter(|step| step.version > after) {
        db.script(step.script).await?;
        let sql =
            "insert into schema_version (version, name, oldest, applied) values ($1, $2, $3, $4)";
        db.execute(sql, &values![step.version, step.name, step.oldest, now]).await?;
        if step.version == 1 {
            first_experiment(db, now).await?;
        }
    }
    Ok(())
}

/// Experiment 0 is there from the beginning.
async fn first_experiment(db: &mut Connection, now: Timestamp) -> Result<()> {
    let sql = "insert into experiments (id, name, lifecycle, created, updated)
        values (0, 'Default', 'active', $1, $1)";
    db.execute(sql, &values![now]).await.map(drop)
}

/// A schema as it stands in a file.
#[derive(Clone, Copy, Debug)]
struct Found {
    version: i64,
    oldest: i64,
}

async fn version(db: &mut Connection) -> Result<Option<Found>> {
    if !db.has_table("schema_version").await? {
        return Ok(None);
    }
    let sql = "select version, oldest from schema_version order by version desc limit 1";
    let row = db.row(sql, &[]).await?;
    row.map(|row| Ok(Found { version: row.int(0)?, oldest: row.int(1)? })).transpose()
}

fn newest(migrations: &[Migration]) -> i64 {
    migrations.last().map_or(0, |step| step.version)
}

fn check(found: Found, migrations: &[Migration], thing: &Location) -> Result<()> {
    let (Found { version, oldest }, known) = (found, newest(migrations));
    if version < known {
        return Err(Error::unsupported(format!(
            "{thing} has schema {version}, this build needs {known}: \
             run `mlops migrate --backend-store-uri {thing}`"
        )));
    }
    if oldest > known {
        return Err(Error::unsupported(format!(
            "{thing} has schema {version}, this build knows schemas up to {known}: use a newer release"
        )));
    }
    Ok(())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use mlops_core::ErrorKind;
    use std::time::Duration;

    const SECOND: Migration = Migration {
        version: 2,
        name: "second",
        oldest: 1,
        script: "alter table runs add column note text",
    };

    #[tokio::test]
    async fn old_and_new_schemas_are_named_and_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let home = Location::File(folder.path().join("mlops.db"));
        let (mut db, now) =
            (home.open(Duration::from_secs(5)).await.unwrap(), Timestamp::default());
        prepare(&mut db, MIGRATIONS, now, &home).await.unwrap();
        prepare(&mut db, MIGRATIONS, now, &home).await.unwrap();

        let both = [MIGRATIONS[0], SECOND];
        let error = prepare(&mut db, &both, now, &home).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("mlops migrate --backend-store-uri"), "{error}");
        let done = migrate(&mut db, &both, now, &home).await.unwrap();
        assert_eq!(done, Migrated { from: 1, to: 2 });
        prepare(&mut db, &both, now, &home).await.unwrap();
        // The previous release goes on working until a step says otherwise.
        prepare(&mut db, MIGRATIONS, now, &home).await.unwrap();

        let script = "alter table runs drop column note";
        let third = Migration { version: 3, name: "third", oldest: 3, script };
        let three = [MIGRATIONS[0], SECOND, third];
        migrate(&mut db, &three, now, &home).await.unwrap();
        let error = prepare(&mut db, MIGRATIONS, now, &home).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("schema 3"), "{error}");
        let error = migrate(&mut db, MIGRATIONS, now, &home).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
