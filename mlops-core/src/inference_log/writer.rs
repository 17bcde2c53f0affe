//! The log as a host holds it: an observer that never waits, a thread that writes.

use super::{
    InferenceLogConfig, Outcome, OutcomeLog,
    outcomes::FileOutcomeLog,
    record::{Answer, Entry, Series},
    segment::{self, Gap, OpenSegment},
};
use crate::{
    Digest, Error, PredictionId, Result,
    disk::{self, Lock},
    predictor::{Observer, PredictRequest, PredictResponse, PredictorInfo},
};
use async_trait::async_trait;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The most declared versions that are remembered: older ones are described by their own answers.
const DECLARED: usize = 64;

/// Writes what was asked and answered, and what came of it, into a folder.
///
/// As an [`Observer`] it never makes a request wait: a record is put into a bounded queue, or
/// dropped and counted if that is full. Its own thread writes and syncs what has gathered at least
/// every [`flush_interval`](InferenceLogConfig::flush_interval); **a crash of the process or the
/// machine loses at most the records of that interval**, and the reader says how many bytes it
/// could not use. As an [`OutcomeLog`] it acknowledges: an outcome is on the disk when `append` returns.
///
/// A folder has one writer at a time, and any number of [readers](super::LogReader).
///
/// ```
/// use mlops_core::inference_log::{InferenceLog, InferenceLogConfig, LogReader};
/// # use mlops_core::{Predictor, predictor::{Observer, PredictRequest}, signature::{ModelSignature, TensorSpec}};
/// # use mlops_core::{tensor::{DType, Tensor, Tensors}, PredictionId, predictor::PredictResponse, predictor::PredictorInfo};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// # let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
/// # let info = PredictorInfo::new("risk", "3", ModelSignature::new(vec![x], vec![TensorSpec::column("p", DType::F32)])?);
/// # let request = PredictRequest::new(Tensors::one("x", Tensor::from_vec([1, 2], vec![41_f32, 7.5])?));
/// # let p = Tensors::one("p", Tensor::from_vec([1], vec![0.25_f32])?);
/// # let response = PredictResponse::new(PredictionId::from_u128(7), &info, &request, p);
/// let log = InferenceLog::open(folder, InferenceLogConfig::default())?;
/// log.declare(&info, None)?; // names the columns of packed inputs
/// log.observe(&request, Ok(&response), std::time::Duration::from_millis(2));
/// drop(log); // writes what is left
///
/// let record = LogReader::open(folder)?.find(response.prediction, 0)?.unwrap();
/// assert_eq!(record.inputs()?.require("x")?.as_slice::<f32>()?, [41.0, 7.5]);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Debug)]
pub struct InferenceLog {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Message>>,
    closed: Mutex<Receiver<()>>,
    outcomes: FileOutcomeLog,
    recovered: Vec<Gap>,
}

/// What became of the records that a log was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogCounts {
    /// Requests that were put into the queue.
    pub accepted: u64,
    /// Requests that were dropped because the queue was full.
    pub dropped: u64,
    /// Rows that are on the disk.
    pub written: u64,
    /// Rows that could not be written: the disk failed, or their types have no column.
    pub failed: u64,
}

#[derive(Debug)]
struct Shared {
    config: InferenceLogConfig,
    waiting_bytes: AtomicUsize,
    accepted: AtomicU64,
    dropped: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    /// The last declared is the current one: failed requests are its.
    declared: Mutex<Vec<Arc<Series>>>,
    flushes: Mutex<Vec<oneshot::Sender<Result<()>>>>,
}

#[derive(Debug)]
enum Message {
    Entry(Box<Entry>),
    /// Somebody waits for a flush, or the log closes.
    Wake,
}

impl InferenceLog {
    /// Opens the log in a folder, which is created if it is not there.
    ///
    /// # Behavior
    /// - what an earlier process left is closed; [`recovered`](Self::recovered) says what was lost
    /// - a folder that another log writes is `Conflict`
    pub fn open(folder: impl AsRef<Path>, config: InferenceLogConfig) -> Result<Self> {
        let folder = folder.as_ref();
        let records = folder.join("records");
        disk::create_dirs(&records)?;
        let thing = format!("inference log {}", folder.display());
        let lock = disk::lock(&folder.join("records.lock"), &thing)?;
        let (next, mut recovered) = segment::recover(&records)?;
        let outcomes = FileOutcomeLog::open(folder, &config)?;
        recovered.extend_from_slice(outcomes.recovered());

        let (queue, inbox) = mpsc::sync_channel(config.queue.max(1));
        let (closing, closed) = mpsc::channel();
        let shared = Arc::new(Shared::new(config));
        let writer = Writer::new(Arc::clone(&shared), records, next, lock);
        let thread = move || {
            // Dropped after the writer and its lock, whichever way the end comes.
            let _closing: mpsc::Sender<()> = closing;
            writer.serve(&inbox);
        };
        std::thread::Builder::new()
            .name("mlops-inference-log".to_owned())
            .spawn(thread)
            .map_err(|source| Error::io("the inference log's thread", source))?;
        Ok(Self { shared, queue: Some(queue), closed: Mutex::new(closed), outcomes, recovered })
    }

    /// Says what a model version takes and gives, before it answers: the columns of its records,
    /// and the digest of its package. Requests that fail are logged under the version declared last.
    ///
    /// A version that was not declared is described by its own answers: a packed input without
    /// named columns is then one list column. `Unsupported` names a tensor that has no column.
    pub fn declare(&self, info: &PredictorInfo, digest: Option<Digest>) -> Result<()> {
        let (model, version) = (Arc::clone(&info.name), Arc::clone(&info.version));
        let series = Series::new(model, version, info.signature.clone(), digest)?;
        let mut declared = lock(&self.shared.declared);
        declared.retain(|old| (&old.model, &old.version) != (&series.model, &series.version));
        if declared.len() >= DECLARED {
            declared.remove(0);
        }
        declared.push(Arc::new(series));
        Ok(())
    }

    /// Waits until every record observed before is on the disk; the error says why some are not.
    pub async fn flush(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        lock(&self.shared.flushes).push(reply);
        if let Some(queue) = &self.queue {
            // A full queue needs no waking.
            let _ = queue.try_send(Message::Wake);
        }
        answer.await.unwrap_or_else(|_| Err(Error::internal("the inference log's thread ended")))
    }

    /// What became of the records so far.
    pub fn counts(&self) -> LogCounts {
        let Shared { accepted, dropped, written, failed, .. } = &*self.shared;
        let [accepted, dropped, written, failed] =
            [accepted, dropped, written, failed].map(|count| count.load(Relaxed));
        LogCounts { accepted, dropped, written, failed }
    }

    /// What an earlier process had begun to write and could not be used.
    pub fn recovered(&self) -> &[Gap] {
        &self.recovered
    }
}

impl Observer for InferenceLog {
    fn observe(
        &self,
        request: &PredictRequest,
        result: Result<&PredictResponse, &Error>,
        took: Duration,
    ) {
        let shared = &self.shared;
        let now = shared.config.clock.now();
        let outcome = match result {
            Ok(response) => Ok(Answer {
                prediction: response.prediction,
                model: Arc::clone(&response.model),
                version: Arc::clone(&response.version),
                arm: response.arm.clone(),
                outputs: response.outputs.clone(),
            }),
            Err(error) => Err((PredictionId::from_u128(shared.config.ids.next(now)), error.kind())),
        };
        let (id, key, inputs) = (request.id.clone(), request.key.clone(), request.inputs.clone());
        let entry = Entry { time: now.minus(took), took, request: id, key, inputs, outcome };
        let bytes = entry.bytes();
        let waiting = shared.waiting_bytes.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let sent = waiting <= shared.config.queue_bytes
            && self
                .queue
                .as_ref()
                .is_some_and(|queue| queue.try_send(Message::Entry(Box::new(entry))).is_ok());
        if sent {
            shared.accepted.fetch_add(1, Relaxed);
        } else {
            shared.waiting_bytes.fetch_sub(bytes, Relaxed);
            shared.dropped.fetch_add(1, Relaxed);
        }
    }
}

#[async_trait]
impl OutcomeLog for InferenceLog {
    async fn append(&self, outcomes: &[Outcome]) -> Result<()> {
        self.outcomes.append(outcomes).await
    }
}

impl Drop for InferenceLog {
    fn drop(&mut self) {
        // Without a sender the thread writes what is in line, closes its segments and ends.
        self.queue = None;
        if let Ok(closed) = self.closed.get_mut() {
            let _ = closed.recv_timeout(self.shared.config.close_within);
        }
    }
}

impl Shared {
    fn new(config: InferenceLogConfig) -> Self {
        let (declared, flushes) = (Mutex::default(), Mutex::default());
        let [accepted, dropped, written, failed] = [0; 4].map(AtomicU64::new);
        let waiting_bytes = AtomicUsize::new(0);
        Self { config, waiting_bytes, accepted, dropped, written, failed, declared, flushes }
    }
}

/// What the thread works on.
struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
    next: u64,
    lanes: Vec<Lane>,
    /// Rows that wait in all lanes, and since when the first does.
    waiting: usize,
    since: Option<Instant>,
    /// Why rows were lost since somebody last waited for a flush.
    trouble: Option<Error>,
    _lock: Lock,
}

/// The records of one series: those that wait, and the segment that they go to.
struct Lane {
    series: Arc<Series>,
    entries: Vec<Entry>,
    rows: usize,
    segment: Option<(OpenSegment, Instant)>,
    used: Instant,
}

impl Writer {
    fn new(shared: Arc<Shared>, folder: PathBuf, next: u64, lock: Lock) -> Self {
        let (lanes, waiting, since, trouble) = (Vec::new(), 0, None, None);
        Self { shared, folder, next, lanes, waiting, since, trouble, _lock: lock }
    }

    fn serve(mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(self.patience()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.serve_flushes(inbox);
            if self.waiting >= self.shared.config.flush_rows.max(1) || self.is_due() {
                self.flush();
                self.close_old();
            }
        }
        self.flush();
        let lanes = std::mem::take(&mut self.lanes);
        for lane in lanes {
            self.close(lane);
        }
        self.serve_flushes(inbox);
    }

    /// How long nothing has to be done if nothing comes.
    fn patience(&self) -> Duration {
        // An interval of zero would make waiting a busy loop.
        let interval = self.shared.config.flush_interval.max(Duration::from_millis(1));
        self.since.map_or(interval, |since| interval.saturating_sub(self.now() - since))
    }

    fn is_due(&self) -> bool {
        self.since.is_none_or(|since| self.now() - since >= self.shared.config.flush_interval)
    }

    fn now(&self) -> Instant {
        self.shared.config.clock.instant()
    }

    fn take(&mut self, message: Message) {
        let Message::Entry(entry) = message else { return };
        self.shared.waiting_bytes.fetch_sub(entry.bytes(), Relaxed);
        let rows = entry.rows();
        if rows == 0 {
            return;
        }
        match self.lane(&entry) {
            Ok(lane) => {
                lane.entries.push(*entry);
                lane.rows += rows;
                self.waiting += rows;
                self.since = self.since.or(Some(self.now()));
            }
            Err(error) => self.lose(rows, error),
        }
    }

    fn lose(&mut self, rows: usize, error: Error) {
        self.shared.failed.fetch_add(rows as u64, Relaxed);
        self.trouble = Some(error);
    }

    /// Somebody waits: first takes what was observed before, then writes all of it.
    fn serve_flushes(&mut self, inbox: &Receiver<Message>) {
        let waiting = std::mem::take(&mut *lock(&self.shared.flushes));
        if waiting.is_empty() {
            return;
        }
        for message in inbox.try_iter().take(self.shared.config.queue.max(1)) {
            self.take(message);
        }
        self.flush();
        let trouble = self.trouble.take();
        for reply in waiting {
            let outcome = trouble.as_ref().map_or(Ok(()), |error| {
                Err(Error::new(error.kind(), format!("records were lost: {error}")))
            });
            // Who gave up waiting is not told.
            let _ = reply.send(outcome);
        }
    }

    /// The lane of an entry's series; the one not used for longest makes room for a new one.
    fn lane(&mut self, entry: &Entry) -> Result<&mut Lane> {
        let now = self.now();
        // The last declared first: a failed request fits any.
        let declared =
            lock(&self.shared.declared).iter().rev().find(|series| series.fits(entry)).cloned();
        let known = match &declared {
            Some(series) => self.lanes.iter().position(|lane| Arc::ptr_eq(&lane.series, series)),
            None => self.lanes.iter().position(|lane| lane.series.describes(entry)),
        };
        let at = match (known, declared) {
            (Some(at), _) => at,
            (None, Some(series)) => self.open_lane(series, now),
            (None, None) => self.open_lane(Arc::new(Series::of(entry)?), now),
        };
        let lane = &mut self.lanes[at];
        lane.used = now;
        Ok(lane)
    }

    fn open_lane(&mut self, series: Arc<Series>, now: Instant) -> usize {
        if self.lanes.len() >= self.shared.config.open_segments.max(1) {
            let oldest = (0..self.lanes.len()).min_by_key(|&at| self.lanes[at].used);
            let mut lane = self.lanes.swap_remove(oldest.unwrap_or(0));
            self.write(&mut lane);
            self.close(lane);
        }
        let lane = Lane { series, entries: Vec::new(), rows: 0, segment: None, used: now };
        self.lanes.push(lane);
        self.lanes.len() - 1
    }

    fn flush(&mut self) {
        let mut lanes = std::mem::take(&mut self.lanes);
        for lane in &mut lanes {
            self.write(lane);
        }
        self.lanes = lanes;
        (self.waiting, self.since) = (0, None);
    }

    /// Writes what waits in a lane. After a failure its segment takes no more: its end is in doubt.
    fn write(&mut self, lane: &mut Lane) {
        let (entries, rows) = (std::mem::take(&mut lane.entries), std::mem::take(&mut lane.rows));
        if entries.is_empty() {
            return;
        }
        let written = self.append(lane, &entries);
        match written {
            Ok(()) => {
                self.shared.written.fetch_add(rows as u64, Relaxed);
            }
            Err(error) => {
                lane.segment = None;
                self.lose(rows, error);
            }
        }
        if lane
            .segment
            .as_ref()
            .is_some_and(|(open, _)| open.rows >= self.shared.config.segment_rows)
            && let Some((open, _)) = lane.segment.take()
        {
            self.close_segment(open);
        }
    }

    fn append(&mut self, lane: &mut Lane, entries: &[Entry]) -> Result<()> {
        let batch = lane.series.batch(&self.shared.config.endpoint, entries)?;
        let (open, _) = match &mut lane.segment {
            Some(open) => open,
            none => {
                let open = OpenSegment::create(&self.folder, self.next);
                self.next += 1;
                none.insert((open?, self.now()))
            }
        };
        open.append(&batch)
    }

    fn close_old(&mut self) {
        let (now, age) = (self.now(), self.shared.config.segment_interval);
        let old =
            |lane: &&mut Lane| lane.segment.as_ref().is_some_and(|(_, from)| now - *from >= age);
        let segments: Vec<_> =
            self.lanes.iter_mut().filter(old).filter_map(|lane| lane.segment.take()).collect();
        for (open, _) in segments {
            self.close_segment(open);
        }
    }

    fn close(&mut self, lane: Lane) {
        if let Some((open, _)) = lane.segment {
            self.close_segment(open);
        }
    }

    fn close_segment(&mut self, open: OpenSegment) {
        // The journal stays and is as readable; the next process that opens the log closes it.
        if let Err(error) = open.close() {
            self.trouble = Some(error.context("closing a segment; nothing was lost"));
        }
    }
}

/// What a panic elsewhere left is still a list.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
