//! Keys and values of whatever has them: one table each, all of one shape.

use super::connection::{Connection, Value, placeholders, values};
use mlops_core::{Result, tracker::Tags};
use std::collections::{BTreeMap, HashMap};

/// A table of keys and values, and its column that says whose they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagTable {
    pub(super) name: &'static str,
    pub(super) owner: &'static str,
}

pub(super) const EXPERIMENT: TagTable = TagTable { name: "experiment_tags", owner: "experiment" };
pub(super) const RUN: TagTable = TagTable { name: "run_tags", owner: "run" };
pub(super) const PARAM: TagTable = TagTable { name: "run_params", owner: "run" };
pub(super) const MODEL: TagTable = TagTable { name: "model_tags", owner: "model" };
pub(super) const LOGGED_MODEL: TagTable = TagTable { name: "logged_model_tags", owner: "model" };
pub(super) const LOGGED_MODEL_PARAM: TagTable =
    TagTable { name: "logged_model_params", owner: "model" };
pub(super) const TRACE: TagTable = TagTable { name: "trace_tags", owner: "trace" };
pub(super) const TRACE_METADATA: TagTable = TagTable { name: "trace_metadata", owner: "trace" };
pub(super) const VERSION: TagTable = TagTable { name: "version_tags", owner: "version" };

impl TagTable {
    /// Sets a key; its last value stays.
    pub(super) async fn set(
        self,
        db: &mut Connection,
        owner: &Value,
        key: &str,
        value: &str,
    ) -> Result<()> {
        let Self { name, owner: column } = self;
        let sql = format!(
            "insert into {name} ({column}, key, value) values ($1, $2, $3)
             on conflict ({column}, key) do update set value = excluded.value"
        );
        db.execute(sql, &[owner.clone(), key.into(), value.into()]).await.map(drop)
    }

    pub(super) async fn set_all(
        self,
        db: &mut Connection,
        owner: &Value,
        tags: &Tags,
    ) -> Result<()> {
        for (key, value) in tags {
            self.set(db, owner, key, value).await?;
        }
        Ok(())
    }

    pub(super) async fn remove(self, db: &mut Connection, owner: &Value, key: &str) -> Result<()> {
        let sql = format!("delete from {} where {} = $1 and key = $2", self.name, self.owner);
        db.execute(sql, &[owner.clone(), key.into()]).await.map(drop)
    }

    /// Sets and, for `None`, removes.
    pub(super) async fn change(
        self,
        db: &mut Connection,
        owner: &Value,
        tags: &BTreeMap<String, Option<String>>,
    ) -> Result<()> {
        for (key, value) in tags {
            match value {
                Some(value) => self.set(db, owner, key, value).await?,
                None => self.remove(db, owner, key).await?,
            }
        }
        Ok(())
    }

    /// One key's value.
    pub(super) async fn get(
        self,
        db: &mut Connection,
        owner: &Value,
        key: &str,
    ) -> Result<Option<String>> {
        let sql = format!("select value from {} where {} = $1 and key = $2", self.name, self.owner);
        let row = db.row(sql, &values![owner.clone(), key]).await?;
        row.map(|row| row.text(0)).transpose()
    }

    /// What several owners have, by the owner's text.
    pub(super) async fn of(
        self,
        db: &mut Connection,
        owners: &[Value],
    ) -> Result<HashMap<String, Tags>> {
        let Self { name, owner } = self;
        let list = placeholders(1, owners.len());
        let sql = format!(
            "select cast({owner} as text), key, value from {name} where {owner} in ({list})"
        );
        let mut found = HashMap::<String, Tags>::new();
        for row in db.rows(sql, owners).await? {
            found.entry(row.text(0)?).or_default().insert(row.text(1)?, row.text(2)?);
        }
        Ok(found)
    }
}
