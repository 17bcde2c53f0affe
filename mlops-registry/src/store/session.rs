//! What runs on the store's thread: one call after the other on one connection, writes that wait at the
//! same time in one transaction.

use super::{
    config::StoreConfig,
    connection::{Connection, Location, Mode, values},
    events,
    migrate::{self, MIGRATIONS},
    thread::{Settle, Work, Write, panicked, stopped},
    words::int,
};
use crate::disk;
use futures_util::FutureExt;
use mlops_core::{
    Error, EventId, IdSource, Principal, Result, Timestamp,
    event::{Cursor, Event, EventKind},
};
use std::{panic::AssertUnwindSafe, sync::Arc};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

/// The connection, and what every call needs beside it.
pub(super) struct Session {
    location: Location,
    config: StoreConfig,
    /// Gone after a failure that left it in an unknown state; opened again by the next call.
    db: Option<Connection>,
    /// Whether a transaction is open that other writes may join.
    open: bool,
    /// How many calls have taken part in it.
    parts: usize,
    /// The last event of that transaction.
    appended: Option<Cursor>,
    announce: watch::Sender<Cursor>,
}

impl Session {
    pub(super) async fn open(
        location: Location,
        config: StoreConfig,
        announce: watch::Sender<Cursor>,
    ) -> Result<Self> {
        let folder = location.folder();
        folder.as_deref().map_or(Ok(()), disk::create_dirs)?;
        let mut db = location.open(config.busy_timeout).await?;
        let now = config.clock.now();
        migrate::prepare(&mut db, MIGRATIONS, now, &location).await?;
        // The file's own entry; SQLite sees to the entry of its log.
        folder.as_deref().map_or(Ok(()), disk::sync_dir)?;
        announce.send_replace(events::end(&mut db).await?);
        Ok(Self { location, config, db: Some(db), open: false, parts: 0, appended: None, announce })
    }

    pub(super) async fn serve(&mut self, queue: &mut mpsc::Receiver<Work>) {
        let mut tasks = JoinSet::new();
        let (mut held, mut listens) = (None, false);
        let mut next_look = Instant::now() + self.config.poll_interval;
        loop {
            if !listens && self.followed() {
                let listener = self.location.listener(&self.announce, self.config.poll_interval);
                listener.map(|listener| tasks.spawn(listener));
                listens = true;
            }
            let work = match held.take() {
                Some(work) => Ok(Some(work)),
                // Who begins to follow also reads, so that this is left.
                None if !self.followed() => Ok(queue.recv().await),
                None => tokio::time::timeout_at(next_look, queue.recv()).await,
            };
            match work {
                Ok(Some(Work::Read(job))) => job(self).await,
                Ok(Some(Work::Write(job))) => held = self.write_together(job, queue).await,
                Ok(Some(Work::Task(task))) => {
                    while tasks.try_join_next().is_some() {}
                    tasks.spawn(task);
                }
                Ok(None) => return,
                Err(_) => {}
            }
            // Also while calls keep coming, which would let no timeout pass.
            if Instant::now() >= next_look {
                self.look().await;
                next_look = Instant::now() + self.config.poll_interval;
            }
        }
    }

    /// Does a write together with those that wait behind it, in one transaction; gives back the first
    /// call that is no write.
    async fn write_together(
        &mut self,
        first: Write,
        queue: &mut mpsc::Receiver<Work>,
    ) -> Option<Work> {
        let (mut next, mut held, mut settles) = (Some(first), None, Vec::new());
        for together in 1.. {
            let Some(job) = next.take() else { break };
            let settle = job(self).await;
            if !self.open {
                // The transaction is gone, and with it what those before this one had written.
                self.lose(&mut settles);
            }
            settles.extend(settle);
            if together >= self.config.group {
                break;
            }
            match queue.try_recv() {
                Ok(Work::Write(job)) => next = Some(job),
                Ok(work) => held = Some(work),
                Err(_) => {}
            }
        }
        if self.open {
            let committed = self.commit().await;
            settles.drain(..).for_each(|settle| settle(committed.as_ref().map(|&()| ())));
        }
        held
    }

    fn lose(&mut self, settles: &mut Vec<Settle>) {
        self.appended = None;
        let lost = Error::unavailable("the record: a write beside this one failed and ended both");
        settles.drain(..).for_each(|settle| settle(Err(&lost)));
    }

    /// One call's part of the open transaction; begins one if none is open.
    pub(super) async fn part<T>(
        &mut self,
        actor: Principal,
        turn: Turn,
        job: impl AsyncFnOnce(&mut Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let first = !self.open;
        let (clock, ids) = (Arc::clone(&self.config.clock), Arc::clone(&self.config.ids));
        self.connection().await?;
        let (parts, Some(db)) = (self.parts, &mut self.db) else { return Err(stopped()) };
        if first {
            // The first part needs no mark: there is nothing before it that would have to stay.
            db.begin(Mode::Write);
        } else {
            db.begin_part(parts == 1);
        }
        self.open = true;
        self.parts = if first { 1 } else { parts + 1 };
        let waited = if turn == Turn::First { db.begun().await } else { Ok(()) };
        let mut tx = Tx { db, now: clock.now(), actor, ids: ids.as_ref(), appended: None };
        let job = async {
            waited?;
            job(&mut tx).await
        };
        let outcome = AssertUnwindSafe(job).catch_unwind().await;
        let appended = tx.appended;
        match outcome {
            Ok(Ok(value)) => {
                self.appended = appended.or(self.appended);
                Ok(value)
            }
            Ok(Err(error)) => {
                let undone = if first {
                    self.open = false;
                    db.rollback().await
                } else {
                    db.undo_part().await
                };
                // Some failures end the whole transaction: those before this one are told so.
                if undone.is_err() {
                    self.abandon().await;
                }
                Err(error)
            }
            Err(_) => {
                self.abandon().await;
                Err(panicked())
            }
        }
    }

    /// Ends the open transaction; on the disk when it returns.
    async fn commit(&mut self) -> Result<()> {
        let appended = self.appended.take();
        self.open = false;
        // Never one that was opened since: what is committed is what was written on this one.
        let Some(db) = &mut self.db else { return Err(stopped()) };
        if let Some(end) = appended {
            db.tell(end);
        }
        if let Err(error) = db.commit().await {
            if db.is_broken() || db.rollback().await.is_err() {
                self.abandon().await;
            }
            return Err(error);
        }
        if let Some(end) = appended {
            self.announce.send_replace(end);
        }
        Ok(())
    }

    /// Whether anybody waits for what comes. One receiver is the store's own.
    fn followed(&self) -> bool {
        self.announce.receiver_count() > 1
    }

    /// Announces what other processes have appended, if anybody listens.
    async fn look(&mut self) {
        if !self.followed() {
            return;
        }
        // A look that fails is made up for by the next one.
        if let Ok(db) = self.connection().await
            && let Ok(end) = events::end(db).await
        {
            self.announce.send_if_modified(|seen| std::mem::replace(seen, end) != end);
        }
    }

    async fn connection(&mut self) -> Result<&mut Connection> {
        // Not within a transaction: whose part was lost with it has to be told.
        if !self.open && self.db.as_ref().is_some_and(Connection::is_broken) {
            self.abandon().await;
        }
        if self.db.is_none() {
            self.db = Some(self.location.open(self.config.busy_timeout).await?);
        }
        self.db.as_mut().ok_or_else(|| Error::internal("a connection just opened is there"))
    }

    pub(super) async fn read<T>(
        &mut self,
        job: impl AsyncFnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T> {
        let db = self.connection().await?;
        db.begin(Mode::Read);
        let outcome = AssertUnwindSafe(job(db)).catch_unwind().await;
        // Ending a transaction that wrote nothing.
        let ended = db.commit().await;
        if ended.is_err() || outcome.is_err() {
            self.abandon().await;
        }
        outcome.unwrap_or_else(|_| Err(panicked()))
    }

    /// Lets go of a connection whose state is not known; the database undoes what it had not committed.
    pub(super) async fn abandon(&mut self) {
        self.open = false;
        if let Some(db) = self.db.take() {
            let _ = db.close().await;
        }
    }
}

/// Whether a call asks what time it is before or after its turn to write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// After, so that the times of what it writes follow the order of the writes.
    First,
    /// Before, since it writes no time: its first statement also begins.
    WithStatement,
}

/// One transaction that writes.
pub(super) struct Tx<'a> {
    pub(super) db: &'a mut Connection,
    pub(super) now: Timestamp,
    pub(super) actor: Principal,
    ids: &'a dyn IdSource,
    /// The last event of this transaction.
    pub(super) appended: Option<Cursor>,
}

impl Tx<'_> {
    /// A new identity.
    pub(super) fn id(&self) -> u128 {
        self.ids.next(self.now)
    }

    /// The next number of a kind, or the first of several: a number is never given twice.
    pub(super) async fn number(&mut self, kind: &str, count: usize) -> Result<i64> {
        let count = int(count as u64)?;
        let sql = "update counters set value = value + $2 where name = $1 returning value";
        let row = self.db.row(sql, &values![kind, count]).await?;
        let row = row.ok_or_else(|| Error::corrupt(format!("the record: no counter {kind}")))?;
        Ok(row.int(0)? - count + 1)
    }

    /// An event of now, by who acts.
    pub(super) fn event(&self, kind: EventKind, subject: impl Into<Arc<str>>) -> Event {
        Event::new(EventId::from_u128(self.id()), self.now, kind, subject, &self.actor)
    }
}
