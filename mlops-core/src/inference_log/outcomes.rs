//! Outcomes on the disk before they are acknowledged.

use super::{
    InferenceLogConfig, Outcome, OutcomeLog, OutcomeValue, columns, outcome_schema,
    segment::{self, Gap, OpenSegment, arrow},
};
use crate::{
    Clock, Error, PredictionId, Result, Timestamp,
    disk::{self, Lock},
};
use arrow_array::{
    Array, RecordBatch,
    builder::{
        FixedSizeBinaryBuilder, Float64Builder, StringBuilder, TimestampMicrosecondBuilder,
        UInt32Builder,
    },
    cast::AsArray,
    types::{Float64Type, TimestampMicrosecondType, UInt32Type},
};
use async_trait::async_trait;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// The most outcomes that share one fsync.
const GROUP_ROWS: usize = 65_536;

/// An [`OutcomeLog`] in a folder: calls that wait at the same time share one fsync.
///
/// Its own thread writes, so `append` can be awaited on any runtime or none. A folder has one
/// writer at a time.
#[derive(Debug)]
pub struct FileOutcomeLog {
    queue: Option<mpsc::Sender<Append>>,
    closed: Mutex<std::sync::mpsc::Receiver<()>>,
    close_within: Duration,
    recovered: Vec<Gap>,
}

#[derive(Debug)]
struct Append {
    outcomes: Vec<Outcome>,
    reply: oneshot::Sender<Result<()>>,
}

impl FileOutcomeLog {
    /// Opens the outcomes of the log in a folder, which is created if it is not there.
    ///
    /// # Behavior
    /// - what an earlier process left is closed; every outcome that it acknowledged is there
    /// - a folder that another log writes is `Conflict`
    pub fn open(folder: impl AsRef<Path>, config: &InferenceLogConfig) -> Result<Self> {
        let folder = folder.as_ref();
        let own = folder.join("outcomes");
        disk::create_dirs(&own)?;
        let thing = format!("outcomes of inference log {}", folder.display());
        let lock = disk::lock(&folder.join("outcomes.lock"), &thing)?;
        let (next, recovered) = segment::recover(&own)?;
        let (queue, inbox) = mpsc::channel(config.outcome_queue.max(1));
        let (closing, closed) = std::sync::mpsc::channel();
        let writer = Writer {
            folder: own,
            next,
            open: None,
            clock: Arc::clone(&config.clock),
            segment_rows: config.segment_rows,
            segment_interval: config.segment_interval,
            _lock: lock,
        };
        let thread = move || {
            // Dropped after the writer and its lock, whichever way the end comes.
            let _closing: std::sync::mpsc::Sender<()> = closing;
            writer.serve(inbox);
        };
        std::thread::Builder::new()
            .name("mlops-outcomes".to_owned())
            .spawn(thread)
            .map_err(|source| Error::io("the outcomes' thread", source))?;
        let (closed, close_within) = (Mutex::new(closed), config.close_within);
        Ok(Self { queue: Some(queue), closed, close_within, recovered })
    }

    /// What an earlier process had begun to write; nothing of it had been acknowledged.
    pub fn recovered(&self) -> &[Gap] {
        &self.recovered
    }
}

#[async_trait]
impl OutcomeLog for FileOutcomeLog {
    async fn append(&self, outcomes: &[Outcome]) -> Result<()> {
        if outcomes.is_empty() {
            return Ok(());
        }
        if let Some(lost) = outcomes.iter().find(|o| o.prediction.is_none() && o.key.is_none()) {
            let name = &lost.name;
            return Err(Error::invalid(format!(
                "outcome {name:?} names neither prediction nor key"
            )));
        }
        let stopped = || Error::internal("the outcomes' thread ended");
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let append = Append { outcomes: outcomes.to_vec(), reply };
        queue.send(append).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for FileOutcomeLog {
    fn drop(&mut self) {
        // Without a sender the thread writes what is in line, closes its segment and ends.
        self.queue = None;
        if let Ok(closed) = self.closed.get_mut() {
            let _ = closed.recv_timeout(self.close_within);
        }
    }
}

/// What the thread works on.
struct Writer {
    folder: PathBuf,
    next: u64,
    open: Option<(OpenSegment, Instant)>,
    clock: Arc<dyn Clock>,
    segment_rows: usize,
    segment_interval: Duration,
    _lock: Lock,
}

impl Writer {
    fn serve(mut self, mut inbox: mpsc::Receiver<Append>) {
        while let Some(first) = inbox.blocking_recv() {
            let (mut group, mut rows) = (vec![first], 0);
            // Whoever came while the disk was busy shares the next fsync.
            while rows < GROUP_ROWS
                && let Ok(append) = inbox.try_recv()
            {
                rows += append.outcomes.len();
                group.push(append);
            }
            self.answer(group);
        }
        self.close();
    }

    fn answer(&mut self, group: Vec<Append>) {
        let outcomes: Vec<&Outcome> = group.iter().flat_map(|append| &append.outcomes).collect();
        let written = self.write(&outcomes);
        if written.is_err() {
            // The end of its file is in doubt: nothing may be added any more.
            self.open = None;
        }
        for append in group {
            let outcome = match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::new(error.kind(), format!("outcomes: {error}"))),
            };
            let _ = append.reply.send(outcome);
        }
        let (rows, age) = (self.segment_rows, self.segment_interval);
        let now = self.clock.instant();
        if self.open.as_ref().is_some_and(|(open, from)| open.rows >= rows || now - *from >= age) {
            self.close();
        }
    }

    fn write(&mut self, outcomes: &[&Outcome]) -> Result<()> {
        let batch = batch(outcomes)?;
        let (open, _) = match &mut self.open {
            Some(open) => open,
            none => {
                let open = OpenSegment::create(&self.folder, self.next);
                self.next += 1;
                none.insert((open?, self.clock.instant()))
            }
        };
        open.append(&batch)
    }

    fn close(&mut self) {
        if let Some((open, _)) = self.open.take() {
            // A journal that stays is as readable; whoever opens the log next closes it.
            let _ = open.close();
        }
    }
}

/// Outcomes as rows of [`outcome_schema`].
fn batch(outcomes: &[&Outcome]) -> Result<RecordBatch> {
    let (mut prediction, mut row) = (FixedSizeBinaryBuilder::new(16), UInt32Builder::new());
    let [mut key, mut name, mut label] = [(); 3].map(|()| StringBuilder::new());
    let mut time = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let mut value = Float64Builder::new();
    for outcome in outcomes {
        match outcome.prediction {
            Some(id) => prediction.append_value(id.as_u128().to_be_bytes()).map_err(arrow)?,
            None => prediction.append_null(),
        }
        key.append_option(outcome.key.as_deref());
        row.append_value(outcome.row);
        time.append_value(outcome.time.unix_micros());
        name.append_value(&outcome.name);
        let (number, text) = match &outcome.value {
            OutcomeValue::Number(number) => (Some(*number), None),
            OutcomeValue::Label(text) => (None, Some(text)),
        };
        value.append_option(number);
        label.append_option(text);
    }
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(prediction.finish()),
        Arc::new(key.finish()),
        Arc::new(row.finish()),
        Arc::new(time.finish()),
        Arc::new(name.finish()),
        Arc::new(value.finish()),
        Arc::new(label.finish()),
    ];
    RecordBatch::try_new(Arc::new(outcome_schema()), columns).map_err(arrow)
}

/// The outcomes of a batch that [`batch`] made.
pub(super) fn outcomes(batch: &RecordBatch) -> Result<Vec<Outcome>> {
    use columns as c;
    let missing = |name: &str| Error::corrupt(format!("outcomes without column {name:?}"));
    let column = |name| batch.column_by_name(name).ok_or_else(|| missing(name));
    let text = |name| column(name)?.as_string_opt::<i32>().ok_or_else(|| missing(name));
    let (key, name, label) = (text(c::KEY)?, text(c::NAME)?, text(c::LABEL)?);
    let prediction = column(c::PREDICTION)?.as_fixed_size_binary_opt();
    let prediction = prediction.ok_or_else(|| missing(c::PREDICTION))?;
    let row = column(c::ROW)?.as_primitive_opt::<UInt32Type>().ok_or_else(|| missing(c::ROW))?;
    let time = column(c::TIME)?.as_primitive_opt::<TimestampMicrosecondType>();
    let time = time.ok_or_else(|| missing(c::TIME))?;
    let value = column(c::VALUE)?.as_primitive_opt::<Float64Type>();
    let value = value.ok_or_else(|| missing(c::VALUE))?;
    let one = |at: usize| {
        let id = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).ok().map(u128::from_be_bytes);
        Outcome {
            prediction: (prediction.is_valid(at))
                .then(|| id(prediction.value(at)).map(PredictionId::from_u128))
                .flatten(),
            key: key.is_valid(at).then(|| Arc::from(key.value(at))),
            row: row.value(at),
            time: Timestamp::from_unix_micros(time.value(at)),
            name: Arc::from(name.value(at)),
            value: if label.is_valid(at) {
                OutcomeValue::Label(Arc::from(label.value(at)))
            } else {
                OutcomeValue::Number(value.value(at))
            },
        }
    };
    Ok((0..batch.num_rows()).map(one).collect())
}
