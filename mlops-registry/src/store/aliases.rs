//! Aliases: moved by compare-and-swap, through gates, with a reason that stays.
//!
//! Gates are foreign code. They judge where the caller is, while nothing of the store waits for them; the
//! transaction that moves the alias checks that it still points at what was judged.

use super::{
    SqlStore,
    connection::{Connection, values},
    events::{self, About},
    models,
    session::Tx,
    versions,
};
use mlops_core::{
    Alias, Error, EventId, Result, ResultExt, VersionId,
    event::EventKind,
    registry::{AliasMove, AliasMoved, Expected, ModelVersion, MoveAlias, Unmet},
};
use serde_json::json;

/// How often gates are asked again because another moved the alias meanwhile.
const TRIES: usize = 16;

/// A place that an alias points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    version: i64,
    number: u64,
}

/// Where an alias points and shall point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    model: i64,
    from: Option<Place>,
    to: Option<Place>,
}

/// Moves an alias, or says what keeps it.
pub(super) async fn move_alias(store: &SqlStore, request: MoveAlias) -> Result<AliasMove> {
    for _ in 0..TRIES {
        let seen = if request.gates.is_empty() {
            None
        } else {
            let wanted = request.clone();
            Some(store.shared.thread.read(async move |db| look(db, &wanted).await).await?)
        };
        let judged = seen.map(|seen| Ok::<_, Error>((seen.step, seen.unmet(&request)?)));
        let (judged, request) = (judged.transpose()?, request.clone());
        let settled = store
            .shared
            .thread
            .write(&store.actor, async move |tx| settle(tx, &request, judged).await)
            .await?;
        if let Some(answer) = settled {
            return Ok(answer);
        }
    }
    let alias = format!("{}@{}", request.model, request.alias);
    Err(Error::conflict(format!("alias {alias} moved {TRIES} times while its gates judged")))
}

/// Writes down what kept an alias where it is, for a client that has asked the gates itself.
#[cfg(feature = "http")]
pub(super) async fn note_refusal(
    tx: &mut Tx<'_>,
    request: &MoveAlias,
    unmet: &[Unmet],
) -> Result<()> {
    let step = step(tx.db, request).await?;
    record(tx, request, step, Some(unmet)).await
}

/// What gates look at.
struct Seen {
    step: Step,
    champion: Option<ModelVersion>,
    candidate: Option<ModelVersion>,
}

async fn look(db: &mut Connection, request: &MoveAlias) -> Result<Seen> {
    let step = step(db, request).await?;
    let mut versions = Vec::new();
    for place in [step.from, step.to] {
        versions.push(match place {
            Some(place) => Some(versions::get(db, place.version).await?),
            None => None,
        });
    }
    let (candidate, champion) = (versions.pop().flatten(), versions.pop().flatten());
    Ok(Seen { step, champion, candidate })
}

impl Seen {
    /// Every condition that is not met. Removing an alias has none, since gates judge a candidate; nor
    /// has leaving it where it is.
    fn unmet(&self, request: &MoveAlias) -> Result<Vec<Unmet>> {
        let moves = self.step.from != self.step.to;
        let Some(candidate) = self.candidate.as_ref().filter(|_| moves) else {
            return Ok(Vec::new());
        };
        let mut unmet = Vec::new();
        for gate in &request.gates {
            let found = gate.unmet(candidate, self.champion.as_ref());
            unmet.extend(found.context(|| format!("gate \"{gate}\""))?);
        }
        Ok(unmet)
    }
}

/// Moves the alias, or writes down what kept it; `None` if it moved since it was judged.
async fn settle(
    tx: &mut Tx<'_>,
    request: &MoveAlias,
    judged: Option<(Step, Vec<Unmet>)>,
) -> Result<Option<AliasMove>> {
    let step = step(tx.db, request).await?;
    let unmet = match judged {
        Some((then, _)) if then != step => return Ok(None),
        Some((_, unmet)) => unmet,
        None => Vec::new(),
    };
    let moved = AliasMove::Moved { from: number(step.from), to: number(step.to) };
    if step.from == step.to {
        return Ok(Some(moved));
    }
    if !unmet.is_empty() {
        record(tx, request, step, Some(&unmet)).await?;
        return Ok(Some(AliasMove::Refused { unmet }));
    }
    if let Some(undone) = request.undoes {
        a_move(tx.db, step.model, &request.alias, undone).await?;
    }
    point(tx, step.model, &request.alias, step.to).await?;
    record(tx, request, step, None).await?;
    Ok(Some(moved))
}

/// Finds what a request is about; one that nothing could meet is an error.
async fn step(db: &mut Connection, request: &MoveAlias) -> Result<Step> {
    let model = models::id(db, &request.model).await?;
    let from = place(db, model, &request.alias).await?;
    expected(db, model, request, from).await?;
    let to = match request.to {
        Some(number) => {
            let id = VersionId::new(request.model.clone(), number);
            Some(Place { version: versions::find(db, &id).await?, number })
        }
        None => None,
    };
    Ok(Step { model, from, to })
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

async fn expected(
    db: &mut Connection,
    model: i64,
    request: &MoveAlias,
    found: Option<Place>,
) -> Result<()> {
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
    let who = last_mover(db, model, &request.alias).await?;
    let alias = format!("{}@{}", request.model, request.alias);
    Err(Error::conflict(match (found, who) {
        (Some(version), Some(who)) => {
            format!("alias {alias} points at version {version}: {who} moved it there")
        }
        (Some(version), None) => format!("alias {alias} points at version {version}"),
        (None, Some(who)) => format!("alias {alias} does not exist: {who} removed it"),
        (None, None) => format!("alias {alias} does not exist"),
    }))
}

/// Who brought an alias to where it is.
async fn last_mover(db: &mut Connection, model: i64, alias: &Alias) -> Result<Option<String>> {
    let sql = "select actor from events where model = $1 and alias = $2 and kind = $3
        order by position desc limit 1";
    let row = values![model, alias.as_str(), EventKind::ALIAS_MOVED.as_str()];
    db.row(sql, &row).await?.map(|row| row.text(0)).transpose()
}

/// Refuses to undo what is no move of the alias.
async fn a_move(db: &mut Connection, model: i64, alias: &Alias, event: EventId) -> Result<()> {
    let sql = "select 1 from events where id = $1 and model = $2 and alias = $3 and kind = $4";
    let kind = EventKind::ALIAS_MOVED;
    let row = values![event.to_string(), model, alias.as_str(), kind.as_str()];
    let unknown = || Error::invalid(format!("event {event} is no move of alias {alias}"));
    db.row(sql, &row).await?.map(drop).ok_or_else(unknown)
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

/// Removes every alias of a version that goes.
#[cfg(feature = "http")]
pub(super) async fn remove_all(tx: &mut Tx<'_>, id: &VersionId, reason: &str) -> Result<()> {
    let model = models::id(tx.db, &id.model).await?;
    let version = versions::find(tx.db, id).await?;
    let sql = "select alias from aliases where model = $1 and version = $2 order by alias";
    for row in tx.db.rows(sql, &values![model, version]).await? {
        let alias = row.parsed(0)?;
        let request = MoveAlias::new(id.model.clone(), alias, id.version, reason).removing();
        let from = Some(Place { version, number: id.version });
        point(tx, model, &request.alias, None).await?;
        record(tx, &request, Step { model, from, to: None }, None).await?;
    }
    Ok(())
}

/// Writes down who moved what and why, or what kept it where it is.
async fn record(
    tx: &mut Tx<'_>,
    request: &MoveAlias,
    Step { model, from, to }: Step,
    unmet: Option<&[Unmet]>,
) -> Result<()> {
    let moved = AliasMoved::new(request.alias.clone(), number(from), number(to));
    let (kind, detail) = match unmet {
        None => (EventKind::ALIAS_MOVED, json!(moved.with_undoes(request.undoes))),
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
