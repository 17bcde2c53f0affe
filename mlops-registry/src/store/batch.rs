//! What is written into a run at once.

use super::{
    connection::{Connection, Dialect, Value, placeholders, values},
    many,
    metrics::{self, NamedPoints},
    runs,
    session::Tx,
    words::{int, json},
};
use mlops_core::{
    Error, Result, RunId,
    tracker::{Batch, DatasetInput, Lifecycle},
};
use std::collections::BTreeMap;

/// A batch, taken apart before its turn has come.
#[derive(Debug)]
pub(super) struct Parts {
    metrics: NamedPoints,
    params: Vec<(String, String)>,
    /// The last value of each.
    tags: BTreeMap<String, String>,
    inputs: Vec<DatasetInput>,
}

impl Parts {
    pub(super) fn new(batch: Batch) -> Result<Self> {
        let Batch { metrics, params, tags, inputs, .. } = batch;
        params.iter().try_for_each(|(key, _)| named("parameter", key))?;
        tags.iter().try_for_each(|(key, _)| named("tag", key))?;
        let metrics = metrics::by_name(metrics)?;
        Ok(Self { metrics, params, tags: tags.into_iter().collect(), inputs })
    }

    /// Refuses now what the database would refuse once other batches are on their way with this one.
    fn fit(&self, dialect: Dialect) -> Result<()> {
        let pairs = self.params.iter().map(|(key, value)| (key, value)).chain(&self.tags);
        for (key, value) in pairs {
            dialect.takes_key(key)?;
            dialect.takes(value)?;
        }
        self.metrics.iter().try_for_each(|(name, _)| dialect.takes_key(name))?;
        for input in &self.inputs {
            let texts = [Some(&input.name), Some(&input.digest), Some(&input.context)];
            let more = [&input.source, &input.source_type, &input.schema, &input.profile];
            let mut texts = texts.into_iter().chain(more.map(Option::as_ref)).flatten();
            texts.try_for_each(|text| dialect.takes(text))?;
        }
        Ok(())
    }
}

fn named(kind: &str, name: &str) -> Result<()> {
    if name.is_empty() { Err(Error::invalid(format!("a {kind} needs a name"))) } else { Ok(()) }
}

/// All of it, or an error and nothing.
pub(super) async fn log(tx: &mut Tx<'_>, id: RunId, batch: Parts) -> Result<()> {
    batch.fit(tx.db.dialect())?;
    let run = Value::from(id.to_string());
    let names: Vec<_> = batch.metrics.iter().map(|(name, _)| name).collect();
    let found = metrics::find(tx.db, &run, tx.now, &names).await?;
    let found = found.ok_or_else(|| runs::unknown(id))?;
    if found.due {
        runs::expire(tx).await?;
    }
    if found.lifecycle == Lifecycle::Deleted {
        return Err(Error::conflict(format!("run {id} is deleted")));
    }
    set_params(tx.db, &run, batch.params).await?;
    set_tags(tx.db, &run, batch.tags);
    for input in &batch.inputs {
        add_input(tx.db, &run, input)?;
    }
    metrics::add(tx, &run, found, batch.metrics).await
}

/// A parameter is written once.
async fn set_params(db: &mut Connection, run: &Value, params: Vec<(String, String)>) -> Result<()> {
    let mut known = BTreeMap::new();
    let keys: Vec<_> = params.iter().map(|(key, _)| key.as_str()).collect();
    for list in many::lists(&keys) {
        let mut values = vec![run.clone()];
        values.extend(list.iter().map(|key| Value::from(*key)));
        let list = placeholders(2, list.len());
        let sql = format!("select key, value from run_params where run = $1 and key in ({list})");
        for row in db.rows(sql, &values).await? {
            known.insert(row.text(0)?, row.text(1)?);
        }
    }
    let mut rows = Vec::new();
    for (key, value) in params {
        match known.get(&key) {
            Some(first) if *first == value => {}
            Some(first) => {
                return Err(Error::conflict(format!(
                    "parameter {key:?} is {first:?} already and keeps its first value"
                )));
            }
            None => {
                rows.extend(values![run.clone(), &key, &value]);
                known.insert(key, value);
            }
        }
    }
    many::insert(db, ("insert into run_params (run, key, value) values", ""), 3, rows);
    Ok(())
}

fn set_tags(db: &mut Connection, run: &Value, tags: BTreeMap<String, String>) {
    let rows = tags.into_iter().flat_map(|(key, value)| values![run.clone(), key, value]);
    let (head, rest) = (
        "insert into run_tags (run, key, value) values",
        "on conflict (run, key) do update set value = excluded.value",
    );
    many::insert(db, (head, rest), 3, rows.collect());
}

fn add_input(db: &mut Connection, run: &Value, input: &DatasetInput) -> Result<()> {
    let rows = input.rows.map(int).transpose()?;
    let sql = "insert into run_inputs (run, position, name, digest, context, dataset_rows, source,
            source_type, columns, profile, tags)
        select $1, coalesce(max(position), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10
        from run_inputs where run = $1
        on conflict (run, name, digest, context) do nothing";
    let tags = (!input.tags.is_empty()).then(|| json(&input.tags)).transpose()?;
    let row = values![
        run.clone(),
        &input.name,
        &input.digest,
        &input.context,
        rows,
        input.source.as_ref(),
        input.source_type.as_ref(),
        input.schema.as_ref(),
        input.profile.as_ref(),
        tags,
    ];
    db.later(sql, row.to_vec());
    Ok(())
}
