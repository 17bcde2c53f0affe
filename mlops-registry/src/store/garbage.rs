//! Artifacts that nothing refers to: found, marked, removed.
//!
//! Bytes are reachable from the paths of runs, logged models and traces, deleted ones too as long as they
//! can be restored, and from the manifests of registered versions. What is not reachable is *marked*; what
//! has been marked for as long as the options say, and was of no use since, is *removed*: in a write
//! transaction that looks once more, so that nobody can refer to it meanwhile. Whoever stores the same bytes
//! again while that happens either keeps them alive or is told to store them once more; never does the
//! record acknowledge bytes that are gone. A kill leaves at most some bytes more than are needed.

use super::{
    SqlStore,
    connection::{Connection, Value, placeholders, values},
    events::{self, About},
    purge,
    session::Tx,
    words::int,
};
use crate::artifacts::garbage::{Aside, Stored};
use mlops_core::{
    Clock, Digest, Error, Result, SystemClock, Timestamp, artifact::Manifest, event::EventKind,
};
use serde::Serialize;
use std::{collections::HashSet, time::Duration};

/// How many objects are looked at or marked in one transaction.
const CHUNK: usize = 250;
/// What uploads leave behind is left alone for so long, whatever the options say: it may still be one.
const UPLOAD: Duration = Duration::from_hours(1);

const COLLECTED: EventKind = EventKind::of("garbage.collected");

/// What to collect.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GcOptions {
    /// How long nothing must have referred to bytes before they are removed; counted from the collection
    /// that first found it so. 24 h. Readers that know them from before have so long to finish.
    pub older_than: Duration,
    /// Removes runs, logged models and experiments for good that were deleted longer ago than this;
    /// their bytes then are garbage. `None` keeps all of them, to be restored.
    pub purge_deleted: Option<Duration>,
    /// Changes nothing; says what would be done.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self { older_than: Duration::from_hours(24), purge_deleted: None, dry_run: false }
    }
}

impl GcOptions {
    /// Sets how long nothing must have referred to bytes.
    #[must_use]
    pub fn with_older_than(mut self, age: Duration) -> Self {
        self.older_than = age;
        self
    }

    /// Purges what was deleted longer ago.
    #[must_use]
    pub fn with_purge_deleted(mut self, age: Duration) -> Self {
        self.purge_deleted = Some(age);
        self
    }

    /// Changes nothing if `true`.
    #[must_use]
    pub fn with_dry_run(mut self, dry: bool) -> Self {
        self.dry_run = dry;
        self
    }
}

/// What was collected; of a dry run, what would have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Collected {
    /// Runs that were purged.
    pub runs: u64,
    /// Logged models that were purged.
    pub logged_models: u64,
    /// Experiments that were purged.
    pub experiments: u64,
    /// Artifacts that were removed.
    pub artifacts: u64,
    /// What the artifacts and leftovers that were removed took, in bytes.
    pub bytes: u64,
    /// What interrupted uploads had left behind and was removed.
    pub leftovers: u64,
    /// Artifacts that nothing refers to, and that were kept because that is not known for long enough.
    pub waiting: u64,
}

impl SqlStore {
    /// Removes what nothing refers to any more. Safe beside everything else that any process does with
    /// this record.
    ///
    /// # Behavior
    /// - bytes that a run, a logged model, a trace or a registered version refers to stay, deleted runs
    ///   and models included unless the options purge them
    /// - bytes stay for as long as the options say after they were first found to be garbage, so that a
    ///   first collection removes nothing
    /// - nothing is removed while a backup runs: `Unavailable`
    /// - ended at any moment, it leaves nothing that the next one does not finish
    pub async fn collect_garbage(&self, options: GcOptions) -> Result<Collected> {
        let mut done = Collected::default();
        if let Some(age) = options.purge_deleted {
            purge::deleted(self, age, options.dry_run, &mut done).await?;
        }
        let roots = self.roots().await?;
        let candidates = self.unreachable(&roots).await?;
        if options.dry_run {
            return self.foresee(candidates, options, done).await;
        }
        self.mark(&candidates).await?;
        for some in candidates.chunks(self.shared.artifacts.set_aside_at_once()) {
            self.sweep(some, roots.last, options.older_than, &mut done).await?;
        }
        let since = before(options.older_than.max(UPLOAD));
        let artifacts = self.shared.artifacts.clone();
        let leftovers =
            self.shared.thread.task(async move { artifacts.remove_leftovers(since, false).await });
        let (count, bytes) = leftovers.await?;
        done.leftovers += count;
        done.bytes += bytes;
        if done.artifacts > 0 {
            let note = async move |tx: &mut Tx<'_>| note(tx, done).await;
            self.shared.thread.write(&self.actor, note).await?;
        }
        Ok(done)
    }

    /// What registered versions are made of, a few versions at a time.
    async fn roots(&self) -> Result<Roots> {
        let mut roots = Roots::default();
        loop {
            let last = roots.last;
            let read = self.shared.thread.read(async move |db| versions_after(db, last).await);
            let (found, end) = read.await?;
            if end == last {
                return Ok(roots);
            }
            roots.versions.extend(found);
            roots.last = end;
        }
    }

    /// The objects that nothing referred to when it was looked.
    async fn unreachable(&self, roots: &Roots) -> Result<Vec<Stored>> {
        let artifacts = self.shared.artifacts.clone();
        let all = self.shared.thread.task(async move { artifacts.objects().await }).await?;
        let mut candidates = Vec::new();
        for some in all.chunks(CHUNK) {
            let others = some.iter().filter(|one| !roots.versions.contains(&one.artifact.digest));
            let others: Vec<Stored> = others.copied().collect();
            let digests: Vec<Digest> = others.iter().map(|one| one.artifact.digest).collect();
            let read = self.shared.thread.read(async move |db| under_paths(db, &digests).await);
            let used = read.await?;
            candidates
                .extend(others.into_iter().filter(|one| !used.contains(&one.artifact.digest)));
        }
        Ok(candidates)
    }

    /// Notes what is garbage, and that what was noted before is not.
    async fn mark(&self, candidates: &[Stored]) -> Result<()> {
        let marked = self.shared.thread.read(async |db| marks(db, None).await).await?;
        let found: HashSet<Digest> = candidates.iter().map(|one| one.artifact.digest).collect();
        let over: Vec<Digest> = marked.difference(&found).copied().collect();
        let new: Vec<Digest> = found.difference(&marked).copied().collect();
        for (some, mark) in over
            .chunks(CHUNK)
            .map(|some| (some, false))
            .chain(new.chunks(CHUNK).map(|new| (new, true)))
        {
            let some = some.to_vec();
            let change = async move |tx: &mut Tx<'_>| {
                if mark { insert_marks(tx, &some).await } else { delete_marks(tx.db, &some).await }
            };
            self.shared.thread.write(&self.actor, change).await?;
        }
        Ok(())
    }

    /// Removes those that have been marked for long enough and are still garbage.
    async fn sweep(
        &self,
        some: &[Stored],
        last_version: i64,
        older_than: Duration,
        done: &mut Collected,
    ) -> Result<()> {
        let digests: Vec<Digest> = some.iter().map(|one| one.artifact.digest).collect();
        let artifacts = self.shared.artifacts.clone();
        let own = artifacts.clone();
        let move_aside = async move |tx: &mut Tx<'_>| {
            unpinned(tx).await?;
            let mut due = marked(tx.db, &digests, tx.now.minus(older_than)).await?;
            let used = still_used(tx.db, &due, last_version).await?;
            due.retain(|digest| !used.contains(digest));
            let moved = own.set_aside(&due, before(older_than)).await?;
            delete_marks(tx.db, &due).await?;
            Ok(moved)
        };
        let moved: Vec<Aside> = self.shared.thread.write(&self.actor, move_aside).await?;
        done.artifacts += moved.len() as u64;
        done.bytes += moved.iter().map(|aside| aside.size).sum::<u64>();
        done.waiting += (some.len() - moved.len()) as u64;
        let removed = self.shared.thread.task(async move {
            for aside in moved {
                artifacts.remove(aside).await?;
            }
            Ok(())
        });
        removed.await
    }

    /// What a collection would do now.
    async fn foresee(
        &self,
        candidates: Vec<Stored>,
        options: GcOptions,
        mut done: Collected,
    ) -> Result<Collected> {
        let (now, since) = (self.shared.clock.now(), before(options.older_than));
        let due = now.minus(options.older_than);
        let old = self.shared.thread.read(async move |db| marks(db, Some(due)).await).await?;
        // Without any grace a collection removes what it has only just found.
        let at_once = options.older_than.is_zero();
        for Stored { artifact, used } in candidates {
            if used <= since && (at_once || old.contains(&artifact.digest)) {
                done.artifacts += 1;
                done.bytes += artifact.size;
            } else {
                done.waiting += 1;
            }
        }
        let since = before(options.older_than.max(UPLOAD));
        let artifacts = self.shared.artifacts.clone();
        let leftovers =
            self.shared.thread.task(async move { artifacts.remove_leftovers(since, true).await });
        let (count, bytes) = leftovers.await?;
        done.leftovers += count;
        done.bytes += bytes;
        Ok(done)
    }
}

/// What registered versions refer to.
#[derive(Debug, Default)]
struct Roots {
    versions: HashSet<Digest>,
    /// The last version that was looked at. Later ones have greater numbers, and none ever changes what
    /// it is made of.
    last: i64,
}

/// The time of files, whatever time the record's clock tells.
fn before(age: Duration) -> Timestamp {
    SystemClock.now().minus(age)
}

/// What some versions after this one are made of, and the last of them.
async fn versions_after(db: &mut Connection, last: i64) -> Result<(HashSet<Digest>, i64)> {
    let sql = "select id, manifest from versions where id > $1 order by id limit $2";
    let (mut found, mut end) = (HashSet::new(), last);
    for row in db.rows(sql, &values![last, int(CHUNK as u64)?]).await? {
        let manifest: Manifest = row.json(1)?;
        found.extend(manifest.iter().map(|(_, artifact)| artifact.digest));
        end = row.int(0)?;
    }
    Ok((found, end))
}

/// Those of these that something has under a path.
async fn under_paths(db: &mut Connection, digests: &[Digest]) -> Result<HashSet<Digest>> {
    if digests.is_empty() {
        return Ok(HashSet::new());
    }
    let list = placeholders(1, digests.len());
    let sql = format!("select distinct digest from artifact_paths where digest in ({list})");
    let rows = db.rows(sql, &texts(digests)).await?;
    rows.iter().map(|row| row.parsed(0)).collect()
}

/// Those of these that something refers to by now: in a write transaction it stays so until its end.
async fn still_used(
    db: &mut Connection,
    digests: &[Digest],
    last_version: i64,
) -> Result<HashSet<Digest>> {
    let (mut used, mut last) = (under_paths(db, digests).await?, last_version);
    loop {
        let (found, end) = versions_after(db, last).await?;
        if end == last {
            return Ok(used);
        }
        used.extend(found);
        last = end;
    }
}

/// What is marked, or was before a time.
async fn marks(db: &mut Connection, before: Option<Timestamp>) -> Result<HashSet<Digest>> {
    let sql = "select digest from garbage where marked <= $1";
    let rows = db.rows(sql, &values![before.map_or(i64::MAX, Timestamp::unix_micros)]).await?;
    rows.iter().map(|row| row.parsed(0)).collect()
}

/// Those of these that were marked before a time.
async fn marked(db: &mut Connection, digests: &[Digest], before: Timestamp) -> Result<Vec<Digest>> {
    if digests.is_empty() {
        return Ok(Vec::new());
    }
    let (list, time) = (placeholders(1, digests.len()), digests.len() + 1);
    let sql = format!("select digest from garbage where digest in ({list}) and marked <= ${time}");
    let mut values = texts(digests);
    values.push(before.into());
    db.rows(sql, &values).await?.iter().map(|row| row.parsed(0)).collect()
}

async fn insert_marks(tx: &mut Tx<'_>, digests: &[Digest]) -> Result<()> {
    for digest in digests {
        let sql =
            "insert into garbage (digest, marked) values ($1, $2) on conflict (digest) do nothing";
        tx.db.execute(sql, &values![digest.to_string(), tx.now]).await?;
    }
    Ok(())
}

async fn delete_marks(db: &mut Connection, digests: &[Digest]) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    let sql = format!("delete from garbage where digest in ({})", placeholders(1, digests.len()));
    db.execute(sql, &texts(digests)).await.map(drop)
}

fn texts(digests: &[Digest]) -> Vec<Value> {
    digests.iter().map(|digest| Value::from(digest.to_string())).collect()
}

/// Refuses to go on while a backup copies what it has seen; forgets those that were killed.
async fn unpinned(tx: &mut Tx<'_>) -> Result<()> {
    tx.db.execute("delete from artifact_pins where until <= $1", &values![tx.now]).await?;
    match tx.db.row("select until from artifact_pins order by until desc limit 1", &[]).await? {
        Some(row) => {
            let until = row.time(0)?;
            let text =
                format!("the record: a backup needs every artifact, until {until} at the latest");
            Err(Error::unavailable(text))
        }
        None => Ok(()),
    }
}

async fn note(tx: &mut Tx<'_>, done: Collected) -> Result<()> {
    let detail = serde_json::to_value(done)
        .map_err(|cause| Error::internal("what was collected has no JSON").with_source(cause))?;
    let event = tx.event(COLLECTED, "artifacts").with_detail(detail);
    events::append(tx, &event, &About::default()).await.map(drop)
}
