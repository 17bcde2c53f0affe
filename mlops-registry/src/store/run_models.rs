//! Which logged models a run read or made.

use super::connection::{Connection, Row, Value, placeholders, values};
use mlops_core::{Error, Result};
use std::{collections::HashMap, sync::Arc};

/// What a run had to do with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelRole {
    Input,
    Output,
}

impl ModelRole {
    fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// A logged model that a run read or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunModel {
    pub(crate) role: ModelRole,
    pub(crate) model: Arc<str>,
    /// The step of training that made it; 0 of one that was read.
    pub(crate) step: i64,
}

/// Notes models of a run; one that is noted already stays as it is.
pub(super) async fn add(db: &mut Connection, run: &Value, models: &[RunModel]) -> Result<()> {
    for RunModel { role, model, step } in models {
        let sql = "insert into run_models (run, model, role, step, position)
            select $1, $2, $3, $4, coalesce(max(position), 0) + 1 from run_models where run = $1
            on conflict (run, role, model, step) do nothing";
        db.execute(sql, &values![run.clone(), model, role.as_str(), *step]).await?;
    }
    Ok(())
}

/// The models of runs, by the run's text, each run's in the order in which they came.
pub(super) async fn of(
    db: &mut Connection,
    runs: &[Value],
) -> Result<HashMap<String, Vec<RunModel>>> {
    let list = placeholders(1, runs.len());
    let sql = format!(
        "select run, role, model, step from run_models where run in ({list}) order by run, position"
    );
    let mut found = HashMap::<String, Vec<RunModel>>::new();
    for row in db.rows(sql, runs).await? {
        found.entry(row.text(0)?).or_default().push(model(&row)?);
    }
    Ok(found)
}

fn model(row: &Row) -> Result<RunModel> {
    let role = match row.text(1)?.as_str() {
        "input" => ModelRole::Input,
        "output" => ModelRole::Output,
        _ => return Err(Error::corrupt("the record: a model of a run has an unknown role")),
    };
    Ok(RunModel { role, model: row.text(2)?.into(), step: row.int(3)? })
}
