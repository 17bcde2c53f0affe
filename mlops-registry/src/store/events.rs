//! The event log: appended in order, each event bound to the one before it by a hash.

use super::{
    connection::{Connection, Row, Value, placeholders, values},
    session::Tx,
    words::{int, json},
};
use mlops_core::{
    Digest, Error, ErrorKind, Principal, Result,
    event::{Cursor, Event, EventKind},
};
use std::sync::Arc;

/// The columns that [`event`] reads.
const COLUMNS: &str = "position, id, time, kind, subject, actor, reason, detail";

/// What an event is about, so that the history of a model finds it.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) model: Option<i64>,
    pub(super) alias: Option<String>,
    pub(super) versions: Vec<i64>,
}

/// The position of the last event.
pub(super) async fn end(db: &mut Connection) -> Result<Cursor> {
    let row = db.row("select value from counters where name = 'event'", &[]).await?;
    let row = row.ok_or_else(|| Error::corrupt("the record: no counter of events"))?;
    row.count(0).map(Cursor)
}

/// Refuses events that say that another acted than who does. The host speaks for all whom it serves.
pub(super) fn may_append(actor: &Principal, events: &[Event]) -> Result<()> {
    if *actor == Principal::host() {
        return Ok(());
    }
    match events.iter().find(|event| event.actor != actor.name) {
        None => Ok(()),
        Some(event) => {
            let text = format!("{actor} may not append an event of {}", event.actor);
            Err(Error::new(ErrorKind::PermissionDenied, text))
        }
    }
}

/// Adds what a caller hands in, each event once; gives the position that the last one has.
pub(super) async fn append_all(tx: &mut Tx<'_>, events: &[Event]) -> Result<Cursor> {
    let mut last = None;
    for event in events {
        let sql = "select position from events where id = $1";
        if let Some(row) = tx.db.row(sql, &values![event.id.to_string()]).await? {
            last = Some(Cursor(row.count(0)?));
            continue;
        }
        let about = About::of_subject(tx.db, &event.subject).await?;
        last = Some(append(tx, event, &about).await?);
    }
    match last {
        Some(cursor) => Ok(cursor),
        None => end(tx.db).await,
    }
}

/// Adds one event that is new; gives its position.
pub(super) async fn append(tx: &mut Tx<'_>, event: &Event, about: &About) -> Result<Cursor> {
    let id = event.id.to_string();
    let position = tx.number("event", 1).await?;
    let (detail, previous) = (json(&event.detail)?, previous(tx.db).await?);
    let hash = seal(position, event, &detail, &previous)?;
    let sql = "insert into events
        (position, id, time, kind, subject, actor, reason, detail, previous, hash, model, alias)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let row = values![
        position,
        id,
        event.time,
        event.kind.as_str(),
        &event.subject,
        &event.actor,
        event.reason.as_ref(),
        detail,
        previous,
        hash,
        about.model,
        about.alias.as_deref(),
    ];
    tx.db.execute(sql, &row).await?;
    for &version in &about.versions {
        let sql = "insert into event_versions (position, version) values ($1, $2)
            on conflict (position, version) do nothing";
        tx.db.execute(sql, &values![position, version]).await?;
    }
    let cursor = Cursor(position.unsigned_abs());
    tx.appended = Some(cursor);
    Ok(cursor)
}

/// The hash of the last event; nothing before the first.
async fn previous(db: &mut Connection) -> Result<String> {
    let row = db.row("select hash from events order by position desc limit 1", &[]).await?;
    row.map_or_else(|| Ok(String::new()), |row| row.text(0))
}

/// Binds an event to its place. The text of the detail as it is stored is what is hashed, so that no
/// reader has to write JSON as we did.
fn seal(position: i64, event: &Event, detail: &str, previous: &str) -> Result<String> {
    let Event { id, time, kind, subject, actor, reason, .. } = event;
    let bound = (position, id, time, kind, subject, actor, reason, detail, previous);
    Ok(Digest::of(json(&bound)?).to_hex())
}

impl About {
    /// What a subject names: `model/NAME` or `model/NAME/NUMBER`. Others belong to no model.
    async fn of_subject(db: &mut Connection, subject: &str) -> Result<Self> {
        let Some(name) = subject.strip_prefix("model/") else { return Ok(Self::default()) };
        let (name, number) = match name.split_once('/') {
            Some((name, number)) => (name, number.parse::<i64>().ok()),
            None => (name, None),
        };
        let model = db.row("select id from models where name = $1", &values![name]).await?;
        let Some(model) = model.map(|row| row.int(0)).transpose()? else {
            return Ok(Self::default());
        };
        let sql = "select id from versions where model = $1 and number = $2";
        let version = db.row(sql, &values![model, number]).await?;
        let versions = version.iter().map(|row| row.int(0)).collect::<Result<_>>()?;
        Ok(Self { model: Some(model), alias: None, versions })
    }
}

/// Which events.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) after: Option<Cursor>,
    pub(super) kinds: Vec<EventKind>,
    /// Only those about this.
    pub(super) about: Option<Reach>,
}

/// A part of a model's history.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    Model(i64),
    Alias(i64, String),
    Version(i64),
}

/// The first events of those wanted, at most so many, with their places.
pub(super) async fn page(
    db: &mut Connection,
    wanted: &Wanted,
    limit: usize,
) -> Result<Vec<(Cursor, Event)>> {
    let mut values = values![int(wanted.after.unwrap_or_default().0)?].to_vec();
    let mut conditions = vec!["position > $1".to_owned()];
    match &wanted.about {
        None => {}
        Some(Reach::Model(model)) => {
            values.push((*model).into());
            conditions.push("model = $2".to_owned());
        }
        Some(Reach::Alias(model, alias)) => {
            values.extend(values![*model, alias]);
            conditions.push("model = $2 and alias = $3".to_owned());
        }
        Some(Reach::Version(version)) => {
            values.push((*version).into());
            let about = "position in (select position from event_versions where version = $2)";
            conditions.push(about.to_owned());
        }
    }
    if !wanted.kinds.is_empty() {
        let list = placeholders(values.len() + 1, wanted.kinds.len());
        conditions.push(format!("kind in ({list})"));
        values.extend(wanted.kinds.iter().map(|kind| Value::from(kind.as_str())));
    }
    values.push(int(limit as u64)?.into());
    let (conditions, limit) = (conditions.join(" and "), values.len());
    let sql =
        format!("select {COLUMNS} from events where {conditions} order by position limit ${limit}");
    db.rows(sql, &values).await?.iter().map(event).collect()
}

fn event(row: &Row) -> Result<(Cursor, Event)> {
    let kind = EventKind::new(row.text(3)?);
    let actor = Principal::new(row.text(5)?);
    let subject = row.text(4)?;
    let mut event = Event::new(row.parsed(1)?, row.time(2)?, kind, subject, &actor);
    event.reason = row.optional_text(6)?.map(Arc::from);
    event.detail = row.json(7)?;
    Ok((Cursor(row.count(0)?), event))
}

/// Checks that no event was changed, removed, moved or put in between; gives how many there are.
pub(super) async fn verify(db: &mut Connection) -> Result<u64> {
    let (mut previous, mut last) = (String::new(), 0_u64);
    let end = end(db).await?.0;
    let sql = format!(
        "select {COLUMNS}, previous, hash from events where position > $1 order by position limit 1000"
    );
    loop {
        let rows = db.rows(sql.clone(), &values![int(last)?]).await?;
        if rows.is_empty() {
            // Positions leave no gap, so the last one is known.
            return if last == end { Ok(last) } else { Err(damaged(last + 1, "is missing")) };
        }
        for row in &rows {
            let wanted = last + 1;
            if row.count(0)? != wanted {
                return Err(damaged(wanted, "is missing"));
            }
            if wanted > end {
                return Err(damaged(wanted, "was put there by somebody else"));
            }
            let (position, (_, event)) = (row.int(0)?, event(row)?);
            let hash = seal(position, &event, &row.text(7)?, &previous)?;
            if row.text(8)? != previous || row.text(9)? != hash {
                return Err(why_damaged(row, &event, end)?);
            }
            (previous, last) = (hash, wanted);
        }
    }
}

fn damaged(position: u64, what: &str) -> Error {
    Error::corrupt(format!("the record: event {position} {what}"))
}

/// What happened to an event that does not follow from the one before it. One that is whole but for its
/// place tells where it was appended.
fn why_damaged(row: &Row, event: &Event, end: u64) -> Result<Error> {
    let (here, detail, previous, hash) = (row.count(0)?, row.text(7)?, row.text(8)?, row.text(9)?);
    for position in 1..=end {
        if seal(int(position)?, event, &detail, &previous)? != hash {
            continue;
        }
        return Ok(if position == here {
            damaged(here, "does not follow from the one before it, which is not what was written")
        } else {
            damaged(here, &format!("is the one that was written as event {position}"))
        });
    }
    Ok(damaged(here, "is not what was written"))
}
