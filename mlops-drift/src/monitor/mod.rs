//! The monitor: a stream of rows beside a reference, and alarms that can be trusted.
//!
//! ```
//! # use mlops_core::arrow::array::{ArrayRef, Float64Array, RecordBatch};
//! # use std::sync::Arc;
//! use mlops_drift::{Monitor, MonitorConfig, Profile, ProfileOptions};
//!
//! # fn main() -> mlops_core::Result<()> {
//! # let ages = |shift: f64| {
//! #     let age: Float64Array = (0..3000).map(|row| Some(f64::from(row % 83) + shift)).collect();
//! #     RecordBatch::try_from_iter([("age", Arc::new(age) as ArrayRef)]).expect("one column")
//! # };
//! let reference = Profile::fit(&[ages(0.0)], &ProfileOptions::default())?;
//! let monitor = Monitor::new(reference, MonitorConfig::default())?;
//! let mut alarms = monitor.alarms();
//! monitor.update(&ages(0.0))?;
//! assert!(alarms.try_next().is_none());
//! monitor.update(&ages(9.0))?;
//! let alarm = alarms.try_next().expect("three windows of a thousand rows have ended");
//! assert!(alarm.to_string().starts_with("age lies above"), "{alarm}");
//! # Ok(())
//! # }
//! ```

mod alarm;
mod blocks;
mod budget;
mod cells;
mod config;
mod each;
mod episode;
mod exact;
mod judge;
mod lanes;
mod moved;
mod season;
mod segments;
mod steady;
mod stream;
#[cfg(test)]
mod testing;
mod watch;
mod watched;
mod windows;

pub use alarm::{Alarm, AlarmCause, Severity};
pub use budget::AlarmBudget;
pub use config::{MonitorConfig, Unit};
pub use season::{Season, Strata};
pub use stream::AlarmStream;
pub use watch::Watch;

use crate::profile::Profile;
use judge::Judge;
use lanes::Lanes;
use mlops_core::{
    Error, Observer, Predictor, Result, Timestamp, arrow::array::RecordBatch, drift::Drift,
    signature::ModelSignature,
};
use segments::Segments;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use stream::Receivers;
use watched::{Plan, Watched, Watching};

/// Watches a stream of rows beside a reference, with one number to set: how many alarms to expect
/// in a year in which nothing changes.
///
/// It is a handle: clones share one state. Rows come from the requests of a predictor
/// ([`wrap`](Self::wrap)) or an endpoint ([`observer`](Self::observer)), by
/// [`update`](Self::update) (a table, an inference log), or from replicas by
/// [`merge`](Self::merge).
///
/// **When.** Rows gather in windows, which end after `window_rows` or, with `min_rows`, after
/// `window_time`. Only then is anything decided, over the last window, the last 4, the last 16 and
/// the season since it began. So it does not matter how often anyone looks.
///
/// **The promise.** Every such decision spends error that the time since the one before has earned
/// (plus an hour's at the start, and so at each restart that does not go on with its
/// [`budget`](Self::budget)), divided over all sets of cells, spans and columns (Bonferroni), so that the *expected number* of false alarms in a year is at most `false_alarms_per_year`. The
/// tests are exact at any size and level: the hypergeometric law of the share of each cell, each run
/// of cells from an end and each middle, nulls, values out of range and unlisted values included.
/// It holds while the rows are drawn independently from what the reference was drawn from; with
/// [`Strata`], from what it was drawn from at that hour or on that weekday. With strata of 14 days or
/// more it holds, too, where rows of a day depend on one another and days do not: in which columns
/// that is so is read off the reference's days, and those are judged by days ([`Unit`]).
///
/// **Where the promise does not hold.** Autocorrelated rows without strata, days that depend on one
/// another (which is said once, where the reference's weeks show it), and seasons in windows shorter than
/// they are, make windows differ from one another more than chance does. The monitor notices (from
/// the twelfth window on), says so once in an alarm of [`AlarmCause::Unsteady`], and from then on judges
/// such a column by whole seasons alone, or by days where there are strata of them. Until it has noticed, it may have raised an alarm. A season
/// that is known is better told beforehand: by strata, or by windows as long as it.
///
/// **The margin.** Whatever is sure but negligible raises nothing: the total variation distance must
/// be estimated beyond `margin`, or the share of missing, unlisted or out-of-range rows must have
/// changed by more than `unusual_margin`; what the reference has no row of, missing ones or unlisted
/// values, by more than `novel_margin`. It is critical when the interval lies beyond `critical`
/// margins.
///
/// **One alarm an episode**, and another if it becomes critical. An episode ends when the change has
/// fallen below half of every margin over the last 4 windows; of a margin of 0, when its interval
/// reaches 0.
///
/// **Where from.** With [`with_segment`](MonitorConfig::with_segment) an alarm says which values of
/// that column the change comes from, beside the windows before it began: each adds the difference of
/// the shares that rows with the value and in the cells that moved had then and have now. Rows that
/// replicas [`merge`](Self::merge) are not told apart.
///
/// **Bounds.** Memory does not grow with what is observed: two profiles, and 33 windows' coarse
/// counts (19 cells a numeric column) by stratum, and the request path's counters (`shards`), beside
/// which a profile for each stratum that ended since the last look waits for the next.
#[derive(Clone)]
pub struct Monitor {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<MonitorConfig>,
    reference: Profile,
    judge: Mutex<Judge>,
    lanes: Lanes,
    receivers: Receivers,
    actions: Mutex<Vec<Action>>,
    failed_actions: AtomicU64,
    failed_looks: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("config", &self.config).finish_non_exhaustive()
    }
}

type Action = Arc<dyn Fn(&Alarm) + Send + Sync>;

/// How a monitor is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MonitorStatus {
    /// Windows that have ended.
    pub windows: u64,
    /// Rows of the window in progress.
    pub rows_in_progress: u64,
    /// Alarms raised.
    pub alarms: u64,
    /// Columns whose change has begun and not ended.
    pub open: Vec<Arc<str>>,
    /// Columns that are judged by whole seasons only, or by days, since their windows vary more than
    /// chance allows.
    pub unsteady: Vec<Arc<str>>,
    /// Columns that are judged by days, whose rows depend on one another.
    pub by_days: Vec<Arc<str>>,
    /// The false alarms that all looks together had to expect so far.
    pub expected_false_alarms: f64,
    /// Callbacks that panicked.
    pub failed_actions: u64,
    /// Looks of a [`Watch`] that failed, or panicked; it goes on looking.
    pub failed_looks: u64,
    /// Rows of the request path that were not counted: more threads at the same time than `shards`,
    /// or tensors of another shape than the signature's.
    pub missed_rows: u64,
}

impl Monitor {
    /// A monitor beside this reference, with no rows yet.
    ///
    /// A setting out of range, a reference without columns or with fewer than `min_rows` rows, and
    /// strata in other cells than the reference's are `InvalidInput`; so are segments by a column that
    /// is none of the reference's categories.
    pub fn new(reference: Profile, config: MonitorConfig) -> Result<Self> {
        config.check()?;
        if reference.columns().next().is_none() {
            return Err(Error::invalid("a reference profile without columns"));
        }
        let (rows, least) = (reference.rows(), config.min_rows);
        if rows < least {
            return Err(Error::invalid(format!("a reference of {rows} rows; {least} at least")));
        }
        if let Some(strata) = &config.strata {
            strata.check(&reference)?;
        }
        let config = Arc::new(config);
        let segments = Segments::new(&reference, &config)?;
        let lanes = Lanes::new(&config, segments.clone());
        let judge = Mutex::new(Judge::new(&reference, Arc::clone(&config), segments)?);
        let (receivers, actions) = (Receivers::default(), Mutex::default());
        let (failed_actions, failed_looks) = Default::default();
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                reference,
                judge,
                lanes,
                receivers,
                actions,
                failed_actions,
                failed_looks,
            }),
        })
    }

    /// A predictor that answers as this one does and whose answered requests are counted: inputs,
    /// and outputs where the reference has columns of their names.
    ///
    /// Counting takes some nanoseconds a feature on the thread that answers, which waits for nobody; with strata
    /// the first request of each hour also puts away what its thread had counted in the hour before, or the
    /// next one does, if another thread is at it.
    /// What was counted is judged when somebody [`look`](Self::look)s, or a [`watch`](Self::watch)
    /// does. A column of the reference that is neither an input nor an output, or of a type whose
    /// values cannot be counted as the reference counts them (half precision and bytes cannot at all),
    /// is `InvalidInput` and named.
    pub fn wrap(&self, predictor: Arc<dyn Predictor>) -> Result<Arc<dyn Predictor>> {
        let info = predictor.info();
        self.wrap_as(predictor, &info.signature)
    }

    /// As [`wrap`](Self::wrap), where this signature names the columns of packed tensors and the
    /// predictor's own does not.
    pub fn wrap_as(
        &self,
        predictor: Arc<dyn Predictor>,
        signature: &ModelSignature,
    ) -> Result<Arc<dyn Predictor>> {
        let watching = self.watching(signature)?;
        Ok(Arc::new(Watched { inner: predictor, watching }))
    }

    /// The same for whatever takes observers: an endpoint whose models have this signature.
    pub fn observer(&self, signature: &ModelSignature) -> Result<Arc<dyn Observer>> {
        Ok(Arc::new(self.watching(signature)?))
    }

    fn watching(&self, signature: &ModelSignature) -> Result<Watching> {
        let plan = Plan::new(&self.shared.reference, signature)?;
        Ok(Watching { shared: Arc::clone(&self.shared), plan })
    }

    /// Looks that often on a thread of its own, until what it returns is dropped.
    pub fn watch(&self, every: Duration) -> Result<Watch> {
        Watch::start(Arc::downgrade(&self.shared), every)
    }

    /// Takes rows as of now; errors as of [`Profile::update`], and no row is taken then.
    pub fn update(&self, rows: &RecordBatch) -> Result<()> {
        self.update_at(rows, self.shared.config.clock.now())
    }

    /// Takes rows of another time: those of a log, in its order. The first ones may be older than the
    /// monitor, which then begins with them; after that time never goes back: rows of an earlier time
    /// than the latest seen count as of that.
    pub fn update_at(&self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        let mut alarms = Vec::new();
        // What was found before an error is told all the same.
        let taken = self.take(rows, at, &mut alarms);
        self.tell(&alarms);
        taken
    }

    fn take(&self, rows: &RecordBatch, at: Timestamp, alarms: &mut Vec<Alarm>) -> Result<()> {
        let config = &self.shared.config;
        let mut judge = self.judge();
        judge.begin_by(at);
        judge.windows.pass(at, config);
        // What is due does not wait for these rows to come into it.
        alarms.extend(self.end_if_due(&mut judge)?);
        let mut done = 0;
        while done < rows.num_rows() {
            let room = usize::try_from(judge.windows.room(config)).unwrap_or(usize::MAX);
            let part = rows.slice(done, room.clamp(1, rows.num_rows() - done));
            let segments = judge.segments.clone();
            judge.windows.update(&part, segments.as_deref())?;
            done += part.num_rows();
            if judge.windows.due(config) {
                alarms.extend(judge.end_window()?);
            }
        }
        Ok(())
    }

    /// Adds rows that another replica counted since it was last asked, in the reference's cells:
    /// see [`hand_over`](Self::hand_over). Other cells are `InvalidInput`, and change nothing.
    pub fn merge(&self, rows: &Profile) -> Result<()> {
        let mut judge = self.judge();
        // They were counted before now: they are of the stratum so far.
        judge.windows.merge(rows)?;
        judge.windows.pass(self.shared.config.clock.now(), &self.shared.config);
        let alarms = self.end_if_due(&mut judge)?;
        drop(judge);
        self.tell(&alarms);
        Ok(())
    }

    /// Takes the rows of the window in progress away, for the monitor that judges for all replicas
    /// to [`merge`](Self::merge), in whose stratum of that moment they count: with strata, hand over
    /// when each ends. A replica that is to judge nothing by itself has windows that do not
    /// end: [`with_window_rows`](MonitorConfig::with_window_rows) and
    /// [`with_window_time`](MonitorConfig::with_window_time) above what comes between two of these.
    pub fn hand_over(&self) -> Result<Profile> {
        let mut judge = self.judge();
        self.gather(&mut judge)?;
        judge.windows.hand_over()
    }

    /// Gathers what the request path has counted and ends the window in progress if its time has
    /// come or its rows are there. Whether it has ended.
    ///
    /// A host calls it from a task of its own, as often as it likes; more often does not make false
    /// alarms more frequent.
    pub fn look(&self) -> Result<bool> {
        let mut judge = self.judge();
        let gathered = self.gather(&mut judge);
        judge.windows.pass(self.shared.config.clock.now(), &self.shared.config);
        gathered?;
        let before = judge.windows.count;
        let alarms = self.end_if_due(&mut judge)?;
        let ended = judge.windows.count > before;
        drop(judge);
        self.tell(&alarms);
        Ok(ended)
    }

    /// Rows of the request path, each of the stratum in which it was counted.
    fn gather(&self, judge: &mut Judge) -> Result<()> {
        let Shared { lanes, reference, .. } = &*self.shared;
        if !lanes.are_used() {
            return Ok(());
        }
        if judge.segments.is_some() {
            judge.windows.merge_joint(&lanes.take_joint());
        }
        for (stratum, rows) in lanes.take(reference)? {
            judge.windows.merge_of(stratum, &rows, &self.shared.config)?;
        }
        Ok(())
    }

    fn end_if_due(&self, judge: &mut Judge) -> Result<Vec<Alarm>> {
        let mut alarms = judge.end_days();
        if judge.windows.due(&self.shared.config) {
            alarms.extend(judge.end_window()?);
        }
        Ok(alarms)
    }

    /// Alarms from now on.
    pub fn alarms(&self) -> AlarmStream {
        self.shared.receivers.open()
    }

    /// Calls this with every alarm from now on, on the thread that looked: to notify, to roll back,
    /// to retrain. It must not wait, nor own a clone of this monitor, which would then never end. A panic in it is counted and harms nothing.
    pub fn on_alarm(&self, action: impl Fn(&Alarm) + Send + Sync + 'static) {
        locked(&self.shared.actions).push(Arc::new(action));
    }

    fn tell(&self, alarms: &[Alarm]) {
        if alarms.is_empty() {
            return;
        }
        let actions = locked(&self.shared.actions).clone();
        for alarm in alarms {
            self.shared.receivers.send(alarm, self.shared.config.max_waiting);
            for action in &actions {
                if catch_unwind(AssertUnwindSafe(|| action(alarm))).is_err() {
                    self.shared.failed_actions.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Holds back a column's alarms until then. If its change still goes on, it is told then.
    ///
    /// A column that the reference does not have is `NotFound`.
    pub fn silence(&self, column: &str, until: Timestamp) -> Result<()> {
        let mut judge = self.judge();
        let known = judge.columns.iter().find(|own| *own.name == *column);
        let name = known.map(|column| Arc::clone(&column.name));
        let name = name.ok_or_else(|| Error::not_found(format!("no column {column:?}")))?;
        judge.silence(Some(name), until);
        Ok(())
    }

    /// Holds back all alarms until then.
    pub fn silence_all(&self, until: Timestamp) {
        self.judge().silence(None, until);
    }

    /// All columns over the last 16 windows, as of the last look: for a [`Report`](crate::Report).
    /// A column is [`Drifted`](mlops_core::drift::Verdict::Drifted), or `Warning` if its interval
    /// reaches into the margin or what it has is novel, while its change goes on.
    pub fn drift(&self) -> Result<Drift> {
        self.judge().drift()
    }

    /// What it may still spend of the false alarms that it promised: to keep, after each look, for
    /// the monitor that takes its place ([`with_budget`](MonitorConfig::with_budget)).
    pub fn budget(&self) -> AlarmBudget {
        self.judge().budget.left()
    }

    /// The rows of the last window that ended, in the reference's cells.
    pub fn last_window(&self) -> Option<Profile> {
        let judge = self.judge();
        judge.windows.last_ended().cloned()
    }

    /// The reference.
    pub fn reference(&self) -> &Profile {
        &self.shared.reference
    }

    /// Up to where each of its effects is negligible.
    pub(crate) fn margins(&self) -> Vec<(&'static str, f64)> {
        self.shared.config.margins()
    }

    /// How it is.
    pub fn status(&self) -> MonitorStatus {
        let judge = self.judge();
        MonitorStatus {
            windows: judge.windows.count,
            rows_in_progress: judge.windows.rows(),
            alarms: judge.alarms,
            open: judge.open().cloned().collect(),
            unsteady: judge.unsteady().cloned().collect(),
            by_days: judge.by_days().cloned().collect(),
            expected_false_alarms: judge.spent,
            failed_actions: self.shared.failed_actions.load(Relaxed),
            failed_looks: self.shared.failed_looks.load(Relaxed),
            missed_rows: self.shared.lanes.missed(),
        }
    }

    /// Rows are checked before they are counted: a panic leaves nothing half done that would be
    /// wrong rather than late.
    fn judge(&self) -> MutexGuard<'_, Judge> {
        locked(&self.shared.judge)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("status", &self.status()).finish_non_exhaustive()
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
