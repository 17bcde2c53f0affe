//! Counting in the request path: a thread's own counters, merged by whoever reads.

use super::{
    Counts, Profile, ProfileSpec,
    counters::{ColumnCounters, Counter},
    spec::KindSpec,
};
use mlops_core::{Error, Result};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number; NaN is a missing one.
    Number(f64),
    /// A number of single precision.
    Single(f32),
    /// Text.
    Text(&'a str),
    /// No value.
    Missing,
}

/// Counters of one thread that counts rows one by one, in the request path.
///
/// Counting a row locks nothing, allocates nothing and waits for nobody: the counters are plain
/// numbers that only this thread writes. There are two sets of them; a reader directs the thread to
/// the other set, lets the row in progress end, and has the first set to itself. Numbers wait until
/// there are 128 of a column, which are counted together, of each column in another row. The profile that
/// [`ShardReader::profile`] gathers is, byte for byte, that of the same rows in batches.
///
/// Give each thread its own and merge the readers' profiles. Memory: about 80 KiB a numeric column
/// of 1,024 cells. Dropping it loses nothing: its readers go on reading what it counted.
///
/// ```
/// # use mlops_core::arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// # use std::sync::Arc;
/// use mlops_drift::profile::{Profile, ProfileOptions, ProfileShard, Value};
///
/// # fn main() -> mlops_core::Result<()> {
/// # let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0]));
/// # let rows = RecordBatch::try_from_iter([("x", x)]).expect("one column");
/// let reference = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default())?;
/// let mut shard = ProfileShard::new(&reference);
/// let reader = shard.reader();
/// for x in [1.0, 2.0, 4.0] {
///     shard.count(&[Value::Number(x)])?;
/// }
/// let mut batch = Profile::empty_like(&reference);
/// batch.update(&rows)?;
/// assert_eq!(reader.profile()?.to_bytes()?, batch.to_bytes()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ProfileShard {
    shared: Arc<Shared>,
}

/// Reads what a [`ProfileShard`] has counted, from any thread.
#[derive(Clone, Debug)]
pub struct ShardReader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spec: Arc<ProfileSpec>,
    /// The set that rows are counted in.
    active: AtomicUsize,
    /// Odd while a row is being counted.
    step: AtomicU64,
    sets: [CounterSet; 2],
    /// What readers took from the sets so far; only readers lock it.
    gathered: Mutex<Profile>,
}

#[derive(Debug)]
struct CounterSet {
    rows: Counter,
    columns: Vec<ColumnCounters>,
}

impl ProfileShard {
    /// Counters for the cells of this reference, all at zero.
    pub fn new(reference: &Profile) -> Self {
        let spec = Arc::clone(&reference.spec);
        let set = || CounterSet {
            rows: Counter::default(),
            columns: spec.columns.iter().map(|column| ColumnCounters::new(&column.kind)).collect(),
        };
        let (sets, gathered) = ([set(), set()], Mutex::new(Profile::empty_like(reference)));
        let (active, step) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { spec, active, step, sets, gathered }) }
    }

    /// A reader of these counters.
    pub fn reader(&self) -> ShardReader {
        ShardReader { shared: Arc::clone(&self.shared) }
    }

    /// Counts one row: a value for each column of the profile, in its order.
    ///
    /// A row of another length, text for a column of numbers and a number for one of text are
    /// `InvalidInput`, named, and not counted.
    pub fn count(&mut self, row: &[Value<'_>]) -> Result<()> {
        let spec = &self.shared.spec;
        if row.len() != spec.columns.len() {
            return Err(wrong_length(row.len(), spec));
        }
        for (column, value) in spec.columns.iter().zip(row) {
            let is_text = matches!(column.kind, KindSpec::Texts(_));
            if matches!(value, Value::Number(_) | Value::Single(_)) && is_text {
                return Err(Error::invalid(format!("column {:?} counts text", column.name)));
            }
            if matches!(value, Value::Text(_)) && !is_text {
                return Err(Error::invalid(format!("column {:?} counts numbers", column.name)));
            }
        }
        self.shared.count(row.iter().copied());
        Ok(())
    }

    /// Counts one row of numbers, as [`count`](Self::count) does; `InvalidInput` if the profile has
    /// a column of text.
    pub fn count_numbers(&mut self, row: &[f64]) -> Result<()> {
        let spec = &self.shared.spec;
        if row.len() != spec.columns.len() {
            return Err(wrong_length(row.len(), spec));
        }
        let text = |kind: &KindSpec| matches!(kind, KindSpec::Texts(_));
        if let Some(column) = spec.columns.iter().find(|column| text(&column.kind)) {
            return Err(Error::invalid(format!("column {:?} counts text", column.name)));
        }
        self.shared.count(row.iter().copied().map(Value::Number));
        Ok(())
    }
}

fn wrong_length(length: usize, spec: &ProfileSpec) -> Error {
    let columns = spec.columns.len();
    Error::invalid(format!("a row of {length} values for a profile of {columns} columns"))
}

impl CounterSet {
    #[inline]
    fn count<'a>(&self, spec: &ProfileSpec, row: impl Iterator<Item = Value<'a>>) {
        let rows = self.rows.get() + 1;
        self.rows.set(rows);
        let columns = self.columns.iter().zip(&spec.columns);
        for (at, ((counters, column), value)) in columns.zip(row).enumerate() {
            counters.count(&column.kind, value, rows, at);
        }
    }

    /// The rows and what was counted of them; they start again.
    fn take(&self, spec: &ProfileSpec) -> (u64, Vec<Counts>) {
        let rows = self.rows.take();
        for (at, (counters, column)) in self.columns.iter().zip(&spec.columns).enumerate() {
            counters.count_waiting(&column.kind, rows, at);
        }
        (rows, self.columns.iter().map(ColumnCounters::take).collect())
    }
}

impl Shared {
    /// Counts a row in the active set; only the shard's own thread calls it.
    fn count<'a>(&self, row: impl Iterator<Item = Value<'a>>) {
        let step = self.step.load(Ordering::Relaxed);
        // In one order with the reader's change of the active set: either this row sees the
        // change, or the reader sees this row and waits for its end.
        self.step.store(step + 1, Ordering::SeqCst);
        let set = &self.sets[self.active.load(Ordering::SeqCst) & 1];
        set.count(&self.spec, row);
        self.step.store(step + 2, Ordering::Release);
    }

    /// Directs the thread to the other set and waits until it has left this one.
    fn swap(&self) -> &CounterSet {
        let old = self.active.load(Ordering::SeqCst) & 1;
        self.active.store(1 - old, Ordering::SeqCst);
        let seen = self.step.load(Ordering::SeqCst);
        if seen % 2 == 1 {
            // A row takes about a microsecond, unless its thread was put to sleep.
            while self.step.load(Ordering::Acquire) == seen {
                std::thread::yield_now();
            }
        }
        &self.sets[old]
    }
}

impl ShardReader {
    /// A profile of all rows counted so far. Readers wait for one another, and for a row that is
    /// being counted; the counting thread waits for nobody.
    ///
    /// Rows beyond [`MAX_ROWS`](super::MAX_ROWS) are `TooLarge`.
    pub fn profile(&self) -> Result<Profile> {
        self.gather().map(|gathered| gathered.clone())
    }

    /// As [`profile`](Self::profile), of the rows counted since the last time they were taken.
    pub fn take(&self) -> Result<Profile> {
        let mut gathered = self.gather()?;
        let empty = Profile::empty(Arc::clone(&self.shared.spec));
        Ok(std::mem::replace(&mut *gathered, empty))
    }

    /// What was counted so far, with what the thread has counted since.
    fn gather(&self) -> Result<MutexGuard<'_, Profile>> {
        // Merging checks before it changes: what a panic left behind is whole.
        let mut gathered = self.shared.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let set = self.shared.swap();
        let mut taken = Profile::empty(Arc::clone(&self.shared.spec));
        (taken.rows, taken.counts) = set.take(&self.shared.spec);
        gathered.merge(&taken)?;
        Ok(gathered)
    }
}
