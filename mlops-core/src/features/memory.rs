//! Features in this process, as many as its bounds allow.

use super::{FeatureView, OnlineRead, OnlineRows, OnlineStore, OnlineWrite};
use crate::{
    Clock, Error, ErrorKind, Result, SystemClock, Timestamp,
    signature::TensorSpec,
    tensor::{Tensor, Tensors},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// How much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryOnlineConfig {
    /// The most entities of each view; a write that would make more is `TooLarge`.
    pub max_rows: usize,
    /// The most bytes of values and keys of each view; a write that would make more is `TooLarge`.
    pub max_bytes: usize,
}

impl Default for MemoryOnlineConfig {
    /// A million entities and 256 MiB.
    fn default() -> Self {
        Self { max_rows: 1_000_000, max_bytes: 256 << 20 }
    }
}

impl MemoryOnlineConfig {
    /// Sets the most entities of each view.
    #[must_use]
    pub fn with_max_rows(mut self, rows: usize) -> Self {
        self.max_rows = rows;
        self
    }

    /// Sets the most bytes of values and keys of each view.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// Features in this process: for tests, for small sets that are loaded at start, and as a pattern for
/// other stores. What it holds is gone when it is.
pub struct MemoryOnlineStore {
    tables: BTreeMap<Arc<str>, Table>,
    config: MemoryOnlineConfig,
    clock: Arc<dyn Clock>,
}

struct Table {
    view: Arc<FeatureView>,
    rows: RwLock<Rows>,
}

#[derive(Default)]
struct Rows {
    by_entity: HashMap<Vec<u8>, Row>,
    bytes: usize,
}

/// One entity's features, in the order of the view; each a tensor of one row of its own.
struct Row {
    time: Timestamp,
    features: Vec<Tensor>,
}

impl Row {
    fn bytes(&self) -> usize {
        self.features.iter().map(Tensor::size_bytes).sum()
    }
}

impl MemoryOnlineStore {
    /// Empty, with these views; `AlreadyExists` if two have one name.
    pub fn new(
        views: impl IntoIterator<Item = FeatureView>,
        config: MemoryOnlineConfig,
    ) -> Result<Self> {
        let mut tables = BTreeMap::new();
        for view in views {
            let (name, view) = (Arc::clone(&view.name), Arc::new(view));
            if tables.insert(Arc::clone(&name), Table { view, rows: RwLock::default() }).is_some() {
                return Err(Error::already_exists(format!("two views are named {name:?}")));
            }
        }
        Ok(Self { tables, config, clock: Arc::new(SystemClock) })
    }

    /// Takes the time for deadlines from here.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn table(&self, name: &str) -> Result<&Table> {
        let unknown = || Error::not_found(format!("there is no view {name:?}"));
        self.tables.get(name).ok_or_else(unknown)
    }
}

impl Table {
    fn read(&self, question: &OnlineRead) -> Result<OnlineRows> {
        let entities = self.view.entities(&question.keys)?;
        let known = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Option<&Row>> =
            entities.iter().map(|entity| known.by_entity.get(entity)).collect();
        let mut features = Tensors::new();
        for name in &question.features {
            let spec = self.view.require(name)?;
            let at = self.view.features.iter().position(|own| own.name == spec.name);
            let at = at.ok_or_else(|| Error::internal("a feature was there just now"))?;
            features.push(Arc::clone(name), gathered(spec, at, &found)?)?;
        }
        let times = found.iter().map(|row| row.map(|row| row.time)).collect();
        Ok(OnlineRows::new(features, times))
    }

    fn write(&self, rows: &OnlineWrite, config: MemoryOnlineConfig) -> Result<()> {
        let entities = self.view.entities(&rows.keys)?;
        let given = self.given(rows, entities.len())?;
        let mut known = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let mut newest: HashMap<&[u8], usize> = HashMap::new();
        for (at, entity) in entities.iter().enumerate() {
            let earlier = newest.get(entity.as_slice()).map(|&at| rows.times[at]);
            let held = earlier.or_else(|| known.by_entity.get(entity).map(|row| row.time));
            if held.is_none_or(|held| held <= rows.times[at]) {
                newest.insert(entity, at);
            }
        }
        let mut made = Vec::with_capacity(newest.len());
        let (mut count, mut bytes) = (known.by_entity.len(), known.bytes);
        for (entity, at) in newest {
            // Copied: a slice would hold the memory of all that was written with it.
            let one = |tensor: &&Tensor| tensor.take_rows(&[at]);
            let features = given.iter().map(one).collect::<Result<Vec<_>>>()?;
            let row = Row { time: rows.times[at], features };
            bytes += row.bytes();
            if let Some(old) = known.by_entity.get(entity) {
                bytes -= old.bytes();
            } else {
                (count, bytes) = (count + 1, bytes + entity.len());
            }
            made.push((entity.to_vec(), row));
        }
        if count > config.max_rows || bytes > config.max_bytes {
            let (rows, bytes) = (config.max_rows, config.max_bytes);
            let name = &self.view.name;
            return Err(Error::too_large(format!(
                "view {name:?} holds at most {rows} entities of {bytes} bytes together"
            )));
        }
        known.bytes = bytes;
        known.by_entity.extend(made);
        Ok(())
    }

    /// The features that are written, in the order of the view.
    fn given<'a>(&self, rows: &'a OnlineWrite, count: usize) -> Result<Vec<&'a Tensor>> {
        if rows.times.len() != count {
            let times = rows.times.len();
            return Err(Error::invalid(format!("there are {times} times for {count} rows")));
        }
        for (name, _) in rows.features.iter() {
            self.view.require(name)?;
        }
        let one = |spec: &TensorSpec| {
            let tensor = rows.features.require(&spec.name)?;
            spec.clone().with_nullable(true).check(tensor)?;
            if tensor.rows() != count {
                let (name, has) = (&spec.name, tensor.rows());
                return Err(Error::invalid(format!(
                    "feature {name:?} has {has} rows, not {count}"
                )));
            }
            Ok(tensor)
        };
        self.view.features.iter().map(one).collect()
    }
}

/// One feature of all that was found, a row each.
fn gathered(spec: &TensorSpec, at: usize, found: &[Option<&Row>]) -> Result<Tensor> {
    if found.is_empty() {
        return FeatureView::unknown(spec, 0);
    }
    let unknown = FeatureView::unknown(spec, 1)?;
    let parts: Vec<&Tensor> =
        found.iter().map(|row| row.map_or(&unknown, |row| &row.features[at])).collect();
    Tensor::concat(&parts)
}

impl fmt::Debug for MemoryOnlineStore {
    /// Views and how much they hold, never of whom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, table) in &self.tables {
            let rows = table.rows.read().unwrap_or_else(PoisonError::into_inner);
            map.entry(name, &rows.by_entity.len());
        }
        map.finish()
    }
}

#[async_trait]
impl OnlineStore for MemoryOnlineStore {
    async fn view(&self, name: &str) -> Result<Arc<FeatureView>> {
        self.table(name).map(|table| Arc::clone(&table.view))
    }

    async fn read(&self, question: OnlineRead) -> Result<OnlineRows> {
        if question.deadline.is_some_and(|deadline| deadline <= self.clock.instant()) {
            let what = format!("the deadline of a read of view {:?} has passed", question.view);
            return Err(Error::new(ErrorKind::TimedOut, what));
        }
        self.table(&question.view)?.read(&question)
    }

    async fn write(&self, rows: OnlineWrite) -> Result<()> {
        self.table(&rows.view)?.write(&rows, self.config)
    }
}
