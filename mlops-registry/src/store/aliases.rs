//! Aliases: moved by compare-and-swap, through gates, with a reason that stays.

use super::{
    connection::{Connection, values},
    events::{self, About},
    models, runs,
    session::Tx,
    versions,
};
use mlops_core::{
    Alias, Error, Result, ResultExt, VersionId,
    event::EventKind,
    registry::{AliasMove, AliasMoved, Expected, ModelVersion, MoveAlias, Unmet},
};
use serde_json::json;

/// A place that an alias points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    version: i64,
    number: u64,
}

pub(super) async fn move_alias(tx: &mut Tx<'_>, request: MoveAlias) -> Result<AliasMove> {
    let model = models::id(tx.db, &request.model).await?;
    let from = place(tx.db, model, &request.alias).await?;
    expected(&request, from)?;
    let to = match request.to {
        Some(number) => {
            let id = VersionId::new(request.model.clone(), number);
            Some(Place { version: versions::find(tx.db, &id).await?, number })
        }
        None => None,
    };
    let moved = AliasMove::Moved { from: number(from), to: number(to) };
    if from == to {
        return Ok(moved);
    }
    let unmet = unmet(tx.db, &request, from, to).await?;
    if !unmet.is_empty() {
        record(tx, &request, model, (from, to), Some(&unmet)).await?;
        return Ok(AliasMove::Refused { unmet });
    }
    point(tx, model, &request.alias, to).await?;
    record(tx, &request, model, (from, to), None).await?;
    models::touch(tx, model).await?;
    Ok(moved)
}

fn number(place: Option<Place>) -> Option<u64> {
    place.map(|place| place.number)
}

async fn place(db: &mut Connection, model: i64, alias: &Alias) -> Result<Option<Place>> {
    let sql = "select version.id, version.number from aliases alias
        join versions version on version.id = alias.version
        where alias.model = $1 and alias.alias = $2";
    let row = db.row(sql, &values![model, alias.as_str()]).await?;
    row.map(|row| Ok(Place { version: row.int(0)?, number: row.count(1)? })).transpose()
}

fn expected(request: &MoveAlias, found: Option<Place>) -> Result<()> {
    let found = number(found);
    let as_expected = match request.from {
        Expected::Any => true,
        Expected::Absent => found.is_none(),
        Expected::Version(version) => found == Some(version),
        _ => return Err(Error::unsupported("this record does not know the expectation")),
    };
    if as_expected {
        return Ok(());
    }
    let alias = format!("{}@{}", request.model, request.alias);
    Err(Error::conflict(match found {
        Some(version) => format!("alias {alias} points at version {version}"),
        None => format!("alias {alias} does not exist"),
    }))
}

/// Every condition that is not met. Removing an alias has none: gates judge a candidate.
async fn unmet(
    db: &mut Connection,
    request: &MoveAlias,
    from: Option<Place>,
    to: Option<Place>,
) -> Result<Vec<Unmet>> {
    let Some(to) = to.filter(|_| !request.gates.is_empty()) else { return Ok(Vec::new()) };
    let candidate = judged(db, to).await?;
    let champion = match from {
        Some(from) => Some(judged(db, from).await?),
        None => None,
    };
    let mut unmet = Vec::new();
    for gate in &request.gates {
        let found = gate.unmet(&candidate, champion.as_ref());
        unmet.extend(found.context(|| format!("gate \"{gate}\""))?);
    }
    Ok(unmet)
}

/// A version as gates see it: beside what was measured when it was made, the latest metrics of its run.
async fn judged(db: &mut Connection, place: Place) -> Result<ModelVersion> {
    let mut version = versions::get(db, place.version).await?;
    let run = runs::load(db, version.run.as_slice()).await?.pop();
    for (metric, point) in run.into_iter().flat_map(|run| run.metrics) {
        version.metrics.entry(metric).or_insert(point.value);
    }
    Ok(version)
}

async fn point(tx: &mut Tx<'_>, model: i64, alias: &Alias, to: Option<Place>) -> Result<()> {
    let Some(to) = to else {
        let sql = "delete from aliases where model = $1 and alias = $2";
        return tx.db.execute(sql, &values![model, alias.as_str()]).await.map(drop);
    };
    let sql = "insert into aliases (model, alias, version, moved) values ($1, $2, $3, $4)
        on conflict (model, alias) do update
        set version = excluded.version, moved = excluded.moved";
    tx.db.execute(sql, &values![model, alias.as_str(), to.version, tx.now]).await.map(drop)
}

/// Writes down who moved what and why, or what kept it where it is.
async fn record(
    tx: &mut Tx<'_>,
    request: &MoveAlias,
    model: i64,
    (from, to): (Option<Place>, Option<Place>),
    unmet: Option<&[Unmet]>,
) -> Result<()> {
    let moved = AliasMoved::new(request.alias.clone(), number(from), number(to));
    let (kind, detail) = match unmet {
        None => (EventKind::ALIAS_MOVED, json!(moved)),
        Some(unmet) => {
            let AliasMoved { alias, from, to, .. } = moved;
            let detail = json!({ "alias": alias, "from": from, "to": to, "unmet": unmet });
            (EventKind::ALIAS_REFUSED, detail)
        }
    };
    let event = tx
        .event(kind, models::subject(&request.model))
        .with_reason(request.reason.clone())
        .with_detail(detail);
    let versions = from.into_iter().chain(to).map(|place| place.version).collect();
    let alias = Some(request.alias.to_string());
    let about = About { model: Some(model), alias, versions };
    events::append(tx, &event, &about).await.map(drop)
}
