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
//! assert!(alarm.to_string().starts_with("age moved by 0.3"));
//! # Ok(())
//! # }
//! ```

mod alarm;
mod budget;
mod cells;
mod config;
mod episode;
mod exact;
mod judge;
mod moved;
mod season;
mod steady;
mod stream;
#[cfg(test)]
mod testing;
mod windows;

pub use alarm::{Alarm, Cause, Severity};
pub use config::MonitorConfig;
pub use season::{Season, Strata};
pub use stream::AlarmStream;

use crate::profile::Profile;
use judge::Judge;
use mlops_core::{Error, Result, Timestamp, arrow::array::RecordBatch, drift::Drift};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use stream::Receivers;

/// Watches a stream of rows beside a reference, with one number to set: how many alarms to expect
/// in a year in which nothing changes.
///
/// It is a handle: clones share one state. Rows come by [`update`](Self::update) (a table, an
/// inference log), or from replicas by [`merge`](Self::merge).
///
/// **When.** Rows gather in windows, which end after `window_rows` or, with `min_rows`, after
/// `window_time`. Only then is anything decided, over the last window, the last 4, the last 16 and
/// the season since it began. So it does not matter how often anyone looks.
///
/// **The promise.** Every such decision spends error that the time since the one before has earned
/// (plus an hour's at the start), divided over all sets of cells, spans and columns (Bonferroni), so
/// that the *expected number* of false alarms in a year is at most `false_alarms_per_year`. The
/// tests are exact at any size and level: the hypergeometric law of the share of each cell, each run
/// of cells from an end and each middle, nulls, values out of range and unlisted values included.
/// It holds while the rows are drawn independently from what the reference was drawn from; with
/// [`Strata`], from what it was drawn from at that hour or on that weekday.
///
/// **Where the promise does not hold.** Autocorrelated rows, and seasons in windows shorter than
/// they are, make windows differ from one another more than chance does. The monitor notices (from
/// the twelfth window on), says so once in an alarm of [`Cause::Unsteady`], and from then on judges
/// such a column by whole seasons alone. Until it has noticed, it may have raised an alarm. A season
/// that is known is better told beforehand: by strata, or by windows as long as it.
///
/// **The margin.** Whatever is sure but negligible raises nothing: the total variation distance must
/// be estimated beyond `margin`, or the share of missing, unlisted or out-of-range rows must have
/// changed by more than `unusual_margin`. It is critical when the interval lies beyond `critical`
/// margins.
///
/// **One alarm an episode**, and another if it becomes critical. An episode ends when the change has
/// fallen below half of every margin over the last 4 windows.
///
/// **Bounds.** Memory does not grow with what is observed: two profiles, and 33 windows' coarse
/// counts (19 cells a numeric column) by stratum.
#[derive(Clone)]
pub struct Monitor {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<MonitorConfig>,
    reference: Profile,
    judge: Mutex<Judge>,
    receivers: Receivers,
    actions: Mutex<Vec<Action>>,
    failed_actions: AtomicU64,
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
    /// Columns that are judged by whole seasons only, since their windows vary more than chance
    /// allows.
    pub unsteady: Vec<Arc<str>>,
    /// The false alarms that all looks together had to expect so far.
    pub expected_false_alarms: f64,
    /// Callbacks that panicked.
    pub failed_actions: u64,
}

impl Monitor {
    /// A monitor beside this reference, with no rows yet.
    ///
    /// A setting out of range, a reference without columns or with fewer than `min_rows` rows, and
    /// strata in other cells than the reference's are `InvalidInput`.
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
        let judge = Mutex::new(Judge::new(&reference, Arc::clone(&config)));
        let (receivers, actions) = (Receivers::default(), Mutex::default());
        let failed_actions = AtomicU64::new(0);
        let shared = Shared { config, reference, judge, receivers, actions, failed_actions };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes rows as of now; errors as of [`Profile::update`], and no row is taken then.
    pub fn update(&self, rows: &RecordBatch) -> Result<()> {
        self.update_at(rows, self.shared.config.clock.now())
    }

    /// Takes rows of another time: those of a log, in its order. Time never goes back: rows of an
    /// earlier time than the latest seen count as of that.
    pub fn update_at(&self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        let config = &self.shared.config;
        let mut alarms = Vec::new();
        let mut judge = self.judge();
        judge.windows.pass(at, config);
        let mut done = 0;
        while done < rows.num_rows() {
            let room = usize::try_from(judge.windows.room(config)).unwrap_or(usize::MAX);
            let part = rows.slice(done, room.clamp(1, rows.num_rows() - done));
            judge.windows.update(&part)?;
            done += part.num_rows();
            if judge.windows.due(config) {
                alarms.extend(judge.end_window()?);
            }
        }
        drop(judge);
        self.tell(&alarms);
        Ok(())
    }

    /// Adds rows that another replica counted since it was last asked, in the reference's cells:
    /// see [`hand_over`](Self::hand_over). Other cells are `InvalidInput`, and change nothing.
    pub fn merge(&self, rows: &Profile) -> Result<()> {
        let mut judge = self.judge();
        judge.windows.pass(self.shared.config.clock.now(), &self.shared.config);
        judge.windows.merge(rows)?;
        let alarms = self.end_if_due(&mut judge)?;
        drop(judge);
        self.tell(&alarms);
        Ok(())
    }

    /// Takes the rows of the window in progress away, for the monitor that judges for all replicas
    /// to [`merge`](Self::merge).
    pub fn hand_over(&self) -> Result<Profile> {
        self.judge().windows.hand_over()
    }

    /// Looks at the clock: ends the window in progress if its time has come. Whether it has.
    ///
    /// A host calls it from a task of its own, as often as it likes; more often does not make false
    /// alarms more frequent.
    pub fn look(&self) -> Result<bool> {
        let mut judge = self.judge();
        judge.windows.pass(self.shared.config.clock.now(), &self.shared.config);
        let before = judge.windows.count;
        let alarms = self.end_if_due(&mut judge)?;
        let ended = judge.windows.count > before;
        drop(judge);
        self.tell(&alarms);
        Ok(ended)
    }

    fn end_if_due(&self, judge: &mut Judge) -> Result<Vec<Alarm>> {
        if judge.windows.due(&self.shared.config) { judge.end_window() } else { Ok(Vec::new()) }
    }

    /// Alarms from now on.
    pub fn alarms(&self) -> AlarmStream {
        self.shared.receivers.open()
    }

    /// Calls this with every alarm from now on, on the thread that looked: to notify, to roll back,
    /// to retrain. It must not wait. A panic in it is counted and harms nothing.
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
    /// reaches into the margin, while its change goes on.
    pub fn drift(&self) -> Result<Drift> {
        self.judge().drift()
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

    /// How it is.
    pub fn status(&self) -> MonitorStatus {
        let judge = self.judge();
        MonitorStatus {
            windows: judge.windows.count,
            rows_in_progress: judge.windows.rows(),
            alarms: judge.alarms,
            open: judge.open().cloned().collect(),
            unsteady: judge.unsteady().cloned().collect(),
            expected_false_alarms: judge.spent,
            failed_actions: self.shared.failed_actions.load(Relaxed),
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
