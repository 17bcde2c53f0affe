//! Stages: where MLflow's older clients say that a version is used. Newer ones have aliases.

use super::{
    connection::values,
    events::{self, About},
    models,
    session::Tx,
    versions,
};
use mlops_core::{Error, Result, VersionId, event::EventKind};
use serde_json::json;
use std::{fmt, str::FromStr};

const MOVED: EventKind = EventKind::of("stage.moved");

/// Where a version is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    None,
    Staging,
    Production,
    Archived,
}

impl Stage {
    const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// Whether versions in it are in use, so that a new one may send them to the archive.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Staging | Self::Production)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = Error;

    /// In whatever case.
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|stage| stage.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            let text = format!("Invalid Model Version stage: {text}. Value must be one of {all}.");
            Error::invalid(text)
        })
    }
}

/// Puts a version into a stage; moves those that are there to the archive, if asked to.
pub(super) async fn put(
    tx: &mut Tx<'_>,
    id: &VersionId,
    stage: Stage,
    archive: bool,
) -> Result<()> {
    let own = versions::find(tx.db, id).await?;
    let model = models::id(tx.db, &id.model).await?;
    let mut moving = Vec::new();
    if archive {
        let sql = "select id, number from versions
            where model = $1 and stage = $2 and id <> $3 order by number";
        for row in tx.db.rows(sql, &values![model, stage.as_str(), own]).await? {
            moving.push((row.int(0)?, row.count(1)?, Stage::Archived));
        }
    }
    moving.push((own, id.version, stage));
    for (row, number, to) in moving {
        let sql = "select stage from versions where id = $1";
        let found = tx.db.row(sql, &values![row]).await?;
        let found = found.ok_or_else(|| Error::internal("a version just found is there"))?;
        let from: Stage = found.text(0)?.parse()?;
        let sql = "update versions set stage = $2, updated = $3 where id = $1";
        tx.db.execute(sql, &values![row, to.as_str(), tx.now]).await?;
        if from != to {
            let detail = json!({ "version": number, "from": from.as_str(), "to": to.as_str() });
            let event = tx.event(MOVED, models::subject(&id.model)).with_detail(detail);
            let about = About { model: Some(model), alias: None, versions: vec![row] };
            events::append(tx, &event, &about).await?;
        }
    }
    models::touch(tx, model).await
}
