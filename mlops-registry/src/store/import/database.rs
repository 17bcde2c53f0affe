//! The SQLite database of MLflow 3.17, read table by table.

use super::{
    super::connection::{Connection, Row, Value, values},
    Imported,
    found::{FoundExperiment, FoundModel, FoundPoint, FoundRegistered, FoundRun, FoundVersion},
    unknown_status,
};
use mlops_core::{
    Error, ErrorKind, Result, ResultExt, RunId, Timestamp,
    tracker::{DatasetInput, Metric, RunStatus, Tags},
};
use std::{path::Path, time::Duration};

/// How many points are read at once.
const POINTS: i64 = 5000;
/// Tables whose rows are things of their own that this record has no room for.
const UNKNOWN: [(&str, &str); 6] = [
    ("trace_info", "traces are not imported"),
    ("assessments", "assessments are not imported"),
    ("scorers", "scorers are not imported"),
    ("entity_associations", "links between entities are not imported"),
    ("evaluation_datasets", "evaluation datasets are not imported"),
    ("webhooks", "webhooks are not imported"),
];

/// A database that is only read: it is attached to an empty one in memory, where nothing may be written.
pub(super) struct Database(Connection);

impl Database {
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let thing = || path.display().to_string();
        if !path.is_file() {
            return Err(Error::not_found(format!("{} is no file", path.display())));
        }
        let wait = Duration::from_secs(30);
        let mut db = Connection::open_sqlite(Path::new(":memory:"), wait).await?;
        let name = path.to_string_lossy().into_owned();
        db.execute("attach database $1 as mlflow", &values![name]).await.context(thing)?;
        db.execute("pragma query_only = on", &[]).await?;
        let sql = "select count(*) from mlflow.sqlite_master
            where name in ('alembic_version', 'experiments', 'runs', 'metrics', 'latest_metrics')";
        let row = db.row(sql, &[]).await.context(thing)?;
        if row.map(|row| row.int(0)).transpose()? != Some(5) {
            let text = format!("{} is no database of MLflow's", path.display());
            return Err(Error::invalid(text));
        }
        Ok(Self(db))
    }

    pub(super) async fn close(self) -> Result<()> {
        self.0.close().await
    }

    pub(super) async fn unknown(&mut self, done: &mut Imported) -> Result<()> {
        for (table, why) in UNKNOWN {
            if !self.has(table).await? {
                continue;
            }
            let row = self.0.row(format!("select count(*) from mlflow.{table}"), &[]).await?;
            let count = row.map_or(Ok(0), |row| row.int(0))?;
            if count > 0 {
                done.left(format!("{count} rows of {table}"), why);
            }
        }
        Ok(())
    }

    async fn has(&mut self, table: &str) -> Result<bool> {
        let sql = "select 1 from mlflow.sqlite_master where type = 'table' and name = $1";
        Ok(self.0.row(sql, &values![table]).await?.is_some())
    }

    pub(super) async fn experiments(
        &mut self,
        done: &mut Imported,
    ) -> Result<Vec<FoundExperiment>> {
        let sql = "select cast(experiment_id as text), name, lifecycle_stage,
            coalesce(creation_time, 0), coalesce(last_update_time, creation_time, 0),
            artifact_location
            from mlflow.experiments order by experiment_id";
        let mut found = Vec::new();
        for row in self.0.rows(sql, &[]).await? {
            let one = self.experiment(&row).await;
            found.extend(done.given(|| format!("experiment {}", words(&row)), one)?);
        }
        Ok(found)
    }

    async fn experiment(&mut self, row: &Row) -> Result<FoundExperiment> {
        let key = row.text(0)?;
        let sql = "select key, coalesce(value, '') from mlflow.experiment_tags
            where experiment_id = cast($1 as integer)";
        Ok(FoundExperiment {
            tags: self.tags(sql, &values![&key]).await?,
            key,
            name: row.text(1)?,
            deleted: row.optional_text(2)?.as_deref() == Some("deleted"),
            created: millis(row, 3)?,
            updated: millis(row, 4)?,
            place: row.optional_text(5)?.unwrap_or_default(),
        })
    }

    pub(super) async fn runs(
        &mut self,
        experiment: &FoundExperiment,
        done: &mut Imported,
    ) -> Result<Vec<RunId>> {
        let sql = "select run_uuid from mlflow.runs where experiment_id = cast($1 as integer)
            order by start_time, run_uuid";
        let mut found = Vec::new();
        for row in self.0.rows(sql, &values![&experiment.key]).await? {
            let Some(id) = done.given(|| "a run".to_owned(), row.text(0))? else { continue };
            match id.parse() {
                Ok(id) => found.push(id),
                Err(_) => {
                    done.left(format!("run {id:?}"), "its identity is not 32 hexadecimal digits");
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn run(&mut self, id: RunId) -> Result<FoundRun> {
        let key = values![id.to_string()];
        let sql = "select coalesce(name, ''), status, lifecycle_stage, coalesce(user_id, ''),
            coalesce(start_time, 0), end_time, deleted_time, coalesce(artifact_uri, '')
            from mlflow.runs where run_uuid = $1";
        let row = self.0.row(sql, &key).await?;
        let row = row.ok_or_else(|| gone(&format!("run {id}")))?;
        let params = "select key, value from mlflow.params where run_uuid = $1";
        let tags = "select key, coalesce(value, '') from mlflow.tags where run_uuid = $1";
        Ok(FoundRun {
            id,
            name: row.text(0)?,
            status: status(&row.text(1)?)?,
            deleted: row.optional_text(2)?.as_deref() == Some("deleted"),
            deleted_at: optional_millis(&row, 6)?,
            actor: row.text(3)?,
            started: millis(&row, 4)?,
            ended: optional_millis(&row, 5)?,
            params: self.tags(params, &key).await?,
            tags: self.tags(tags, &key).await?,
            inputs: self.inputs(id).await?,
            models: self.models(id).await?,
            place: row.text(7)?,
        })
    }

    async fn inputs(&mut self, run: RunId) -> Result<Vec<DatasetInput>> {
        let sql = "select data.name, data.digest, data.dataset_source, data.dataset_source_type,
            data.dataset_schema, data.dataset_profile, own.input_uuid
            from mlflow.inputs own join mlflow.datasets data on data.dataset_uuid = own.source_id
            where own.source_type = 'DATASET' and own.destination_type = 'RUN'
            and own.destination_id = $1 order by own.rowid";
        let mut found = Vec::new();
        for row in self.0.rows(sql, &values![run.to_string()]).await? {
            let sql = "select name, value from mlflow.input_tags where input_uuid = $1";
            let mut tags = self.tags(sql, &values![row.text(6)?]).await?;
            let context = tags.remove("mlflow.data.context").unwrap_or_default();
            let mut input = DatasetInput::new(row.text(0)?, row.text(1)?, context);
            input.source = row.optional_text(2)?.map(Into::into);
            input.source_type = row.optional_text(3)?.map(Into::into);
            input.schema = row.optional_text(4)?.map(Into::into);
            input.profile = row.optional_text(5)?.map(Into::into);
            input.tags = tags;
            found.push(input);
        }
        Ok(found)
    }

    /// What a run read is an input whose destination it is; what it made, an output whose source it is.
    async fn models(&mut self, run: RunId) -> Result<Vec<(bool, String, i64)>> {
        let sql = "select 0, source_id, step from mlflow.inputs
            where destination_type in ('RUN', 'RUN_INPUT') and destination_id = $1
                and source_type in ('MODEL', 'MODEL_INPUT')
            union all select 0, destination_id, step from mlflow.inputs
            where source_type = 'RUN_INPUT' and source_id = $1 and destination_type = 'MODEL_INPUT'
            union all select 1, destination_id, step from mlflow.inputs
            where source_type = 'RUN_OUTPUT' and source_id = $1";
        let rows = self.0.rows(sql, &values![run.to_string()]).await?;
        rows.iter().map(|row| Ok((row.int(0)? == 1, row.text(1)?, row.int(2)?))).collect()
    }

    pub(super) async fn points(
        &mut self,
        id: RunId,
        after: u64,
    ) -> Result<(Vec<Metric>, Option<u64>)> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        // In the order of their rows, which has an index of its own.
        let sql = "select key, cast(value as real), step, timestamp, cast(is_nan as integer), rowid
            from mlflow.metrics where run_uuid = $1 and rowid > $2 order by rowid limit $3";
        let rows = self.0.rows(sql, &values![id.to_string(), after, POINTS]).await?;
        let next = rows.last().map(|row| row.count(5)).transpose()?;
        let point = |row: &Row| {
            let value = if row.int(4)? == 1 { f64::NAN } else { number(row, 1)? };
            Ok(Metric::new(row.text(0)?, value, row.int(2)?, millis(row, 3)?))
        };
        Ok((rows.iter().map(point).collect::<Result<_>>()?, next))
    }

    pub(super) async fn logged_models(&mut self, done: &mut Imported) -> Result<Vec<FoundModel>> {
        if !self.has("logged_models").await? {
            return Ok(Vec::new());
        }
        let sql = "select model_id, cast(experiment_id as text), name, model_type, status,
            status_message, source_run_id, lifecycle_stage, creation_timestamp_ms,
            last_updated_timestamp_ms, artifact_location
            from mlflow.logged_models order by creation_timestamp_ms, model_id";
        let mut found = Vec::new();
        for row in self.0.rows(sql, &[]).await? {
            let one = self.logged_model(&row).await;
            found.extend(done.given(|| format!("logged model {}", words(&row)), one)?);
        }
        Ok(found)
    }

    async fn logged_model(&mut self, row: &Row) -> Result<FoundModel> {
        let id = row.text(0)?;
        let key = values![&id];
        let tags = "select tag_key, tag_value from mlflow.logged_model_tags where model_id = $1";
        let params =
            "select param_key, param_value from mlflow.logged_model_params where model_id = $1";
        Ok(FoundModel {
            tags: self.tags(tags, &key).await?,
            params: self.tags(params, &key).await?,
            metrics: self.model_points(&key).await?,
            id,
            experiment: row.text(1)?,
            name: row.text(2)?,
            model_type: row.optional_text(3)?,
            status: match row.int(4)? {
                1 => "PENDING",
                2 => "READY",
                3 => "FAILED",
                _ => "UNSPECIFIED",
            },
            status_message: row.optional_text(5)?,
            source_run: row.optional_text(6)?,
            deleted: row.optional_text(7)?.as_deref() == Some("deleted"),
            created: millis(row, 8)?,
            updated: millis(row, 9)?,
            place: row.text(10)?,
        })
    }

    async fn model_points(&mut self, model: &[Value]) -> Result<Vec<FoundPoint>> {
        let sql = "select metric_name, run_id, coalesce(dataset_name, ''),
            coalesce(dataset_digest, ''), metric_step, metric_timestamp_ms, cast(metric_value as real)
            from mlflow.logged_model_metrics where model_id = $1 and metric_value is not null";
        let point = |row: &Row| {
            Ok(FoundPoint {
                metric: row.text(0)?,
                run: row.text(1)?,
                dataset: (row.text(2)?, row.text(3)?),
                step: row.int(4)?,
                time: millis(row, 5)?,
                value: number(row, 6)?,
            })
        };
        self.0.rows(sql, model).await?.iter().map(point).collect()
    }

    pub(super) async fn registered(&mut self, done: &mut Imported) -> Result<Vec<FoundRegistered>> {
        let sql = "select name, description, coalesce(creation_time, 0),
            coalesce(last_updated_time, creation_time, 0) from mlflow.registered_models order by name";
        let mut found = Vec::new();
        for row in self.0.rows(sql, &[]).await? {
            let one = self.registered_model(&row, done).await;
            found.extend(done.given(|| format!("registered model {}", words(&row)), one)?);
        }
        Ok(found)
    }

    async fn registered_model(
        &mut self,
        row: &Row,
        done: &mut Imported,
    ) -> Result<FoundRegistered> {
        let name = row.text(0)?;
        let key = values![&name];
        let tags = "select key, coalesce(value, '') from mlflow.registered_model_tags
            where name = $1";
        let aliases = "select alias, version from mlflow.registered_model_aliases
            where name = $1 order by alias";
        let aliases = self.0.rows(aliases, &key).await?;
        Ok(FoundRegistered {
            tags: self.tags(tags, &key).await?,
            versions: self.versions(&name, done).await?,
            aliases: aliases
                .iter()
                .map(|row| Ok((row.text(0)?, row.int(1)?)))
                .collect::<Result<_>>()?,
            name,
            description: row.optional_text(1)?,
            created: millis(row, 2)?,
            updated: millis(row, 3)?,
        })
    }

    async fn versions(&mut self, model: &str, done: &mut Imported) -> Result<Vec<FoundVersion>> {
        let sql = "select version, coalesce(creation_time, 0),
            coalesce(last_updated_time, creation_time, 0), user_id, description,
            coalesce(current_stage, 'None'), coalesce(source, ''), storage_location, run_id, run_link
            from mlflow.model_versions
            where name = $1 and current_stage <> 'Deleted_Internal' order by version";
        let mut found = Vec::new();
        for row in self.0.rows(sql, &values![model]).await? {
            let one = self.version(model, &row).await;
            found.extend(done.given(|| format!("version {} of {model}", words(&row)), one)?);
        }
        Ok(found)
    }

    async fn version(&mut self, model: &str, row: &Row) -> Result<FoundVersion> {
        let number = row.int(0)?;
        let sql = "select key, coalesce(value, '') from mlflow.model_version_tags
            where name = $1 and version = $2";
        Ok(FoundVersion {
            tags: self.tags(sql, &values![model, number]).await?,
            number,
            created: millis(row, 1)?,
            updated: millis(row, 2)?,
            actor: row.optional_text(3)?,
            description: row.optional_text(4)?,
            stage: row.text(5)?,
            source: row.text(6)?,
            place: row.optional_text(7)?,
            run: row.optional_text(8)?,
            run_link: row.optional_text(9)?,
            said: None,
        })
    }

    async fn tags(&mut self, sql: &'static str, key: &[Value]) -> Result<Tags> {
        let rows = self.0.rows(sql, key).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }
}

fn gone(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the source changed meanwhile: {what} is gone"))
}

/// What the first column calls a row, as far as it can be read.
fn words(row: &Row) -> String {
    let number = || row.int(0).map(|number| number.to_string());
    row.text(0).or_else(|_| number()).unwrap_or_else(|_| "without a name".to_owned())
}

fn status(text: &str) -> Result<RunStatus> {
    super::super::words::case(text).map_err(|_| unknown_status(text))
}

fn number(row: &Row, column: usize) -> Result<f64> {
    match row.any(column)? {
        Value::Real(value) => Ok(value),
        _ => Err(Error::corrupt("the source: a metric's value is no number")),
    }
}

fn millis(row: &Row, column: usize) -> Result<Timestamp> {
    row.int(column).map(Timestamp::from_unix_millis)
}

fn optional_millis(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.optional_int(column)?.map(Timestamp::from_unix_millis))
}
