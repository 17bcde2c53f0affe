//! What a monitor promises, and how much it may hold.

use super::{budget::AlarmBudget, season::Strata};
use mlops_core::{Clock, Error, IdSource, RandomIds, Result, SystemClock};
use statrs::distribution::{ContinuousCDF, Normal};
use std::{sync::Arc, time::Duration};

/// What a column of a monitor with strata is judged by.
///
/// Tests over rows are exact where rows are independent within their stratum. Where those of a day
/// depend on one another, whole days are what may be exchanged, and tests over days are exact: one
/// number a day and set of cells, by its rank among the days of the reference. They take some days
/// to find anything: three at least, or more beside a short reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// By rows; by days where the reference's days (14 at least, read with their times) vary more
    /// than independent rows let them, or the monitor has noticed that windows do.
    #[default]
    Noticed,
    /// By rows, and of unsteady columns by seasons.
    Rows,
    /// By days. A reference of fewer than 14 is refused.
    Days,
}

/// Promises and bounds of a [`Monitor`](super::Monitor). The default is right as it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MonitorConfig {
    /// How many alarms to expect in a year in which nothing changes, over all columns together and
    /// however often anyone looks; 1.
    pub false_alarms_per_year: f64,
    /// What the monitor before it left to spend of them; none: an hour's.
    pub budget: Option<AlarmBudget>,
    /// The total variation distance up to which a change is negligible, however sure it is; 0.05:
    /// one row in twenty is elsewhere, for a normal law a mean moved by an eighth of a deviation.
    pub margin: f64,
    /// The same for the share of rows that are missing, not listed, or outside of the reference's
    /// range; 0.02.
    pub unusual_margin: f64,
    /// The same for rows that are missing in a column of which the reference misses none, and for
    /// values that are not listed where it lists all; 0.001. From never to sometimes is another kind
    /// of change than more often: a warning is due sooner, once the interval lies beyond. How bad it is
    /// `unusual_margin` says, and no margin is wider than that.
    pub novel_margin: f64,
    /// How many margins a change must surely exceed to be critical; 4.
    pub critical: f64,
    /// The level of intervals; 0.95.
    pub level: f64,
    /// Rows after which a window ends; 1,000.
    pub window_rows: u64,
    /// Time after which a window ends that has `min_rows`; an hour.
    pub window_time: Duration,
    /// Rows below which nothing is said, of the reference or of a window; 100.
    pub min_rows: u64,
    /// The time in which what is usual comes round; a day. A column whose shorter windows differ
    /// from one another more than chance allows is judged by whole seasons.
    pub season: Duration,
    /// The reference by hour or weekday; none.
    pub strata: Option<Strata>,
    /// What columns are judged by, where there are strata; what is noticed.
    pub unit: Unit,
    /// Columns whose values tell where a change comes from; none. Each takes up to 33 segments' coarse
    /// counts of all columns (150 bytes a numeric column), of those that it has rows of: a window, and
    /// a thread that counts in the request path.
    pub segments: Vec<Arc<str>>,
    /// The share of rows that the request path counts, drawn at random; 1.
    pub sampling: f64,
    /// Threads that count at the same time in the request path, at most; 16. Each takes about
    /// 80 KiB a numeric column, once it has counted. With strata, rows of hours that are over wait
    /// for a look in one profile a stratum for all threads, of about 40 KiB a numeric column (by
    /// the hour of the week at most 168, if nobody looks for a week); a thread that finds another
    /// one there keeps its own until its next request.
    pub shards: usize,
    /// Alarms that wait for one who receives them; 256. The oldest make room, and are counted.
    pub max_waiting: usize,
    /// What the alarms' events are about: `model/risk`, `endpoint/loans`; `monitor`.
    pub subject: Arc<str>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where alarms get their ids from.
    pub ids: Arc<dyn IdSource>,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            false_alarms_per_year: 1.0,
            budget: None,
            margin: 0.05,
            unusual_margin: 0.02,
            novel_margin: 0.001,
            critical: 4.0,
            level: 0.95,
            window_rows: 1_000,
            window_time: Duration::from_hours(1),
            min_rows: 100,
            season: Duration::from_hours(24),
            strata: None,
            unit: Unit::Noticed,
            segments: Vec::new(),
            sampling: 1.0,
            shards: 16,
            max_waiting: 256,
            subject: "monitor".into(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        }
    }
}

impl MonitorConfig {
    /// Sets how many alarms a year are expected while nothing changes.
    #[must_use]
    pub fn with_false_alarms_per_year(mut self, alarms: f64) -> Self {
        self.false_alarms_per_year = alarms;
        self
    }

    /// Goes on with what another monitor [left](super::Monitor::budget), instead of an hour's error
    /// anew: so a monitor that is restarted often keeps its promise, too. The time since then has
    /// earned as if it had run on.
    #[must_use]
    pub fn with_budget(mut self, left: AlarmBudget) -> Self {
        self.budget = Some(left);
        self
    }

    /// Sets the largest negligible total variation distance.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets the largest negligible change of the share of missing, unlisted or out-of-range rows.
    #[must_use]
    pub fn with_unusual_margin(mut self, margin: f64) -> Self {
        self.unusual_margin = margin;
        self
    }

    /// Sets the largest negligible share of rows that are missing, or not listed, where the reference
    /// has none such.
    #[must_use]
    pub fn with_novel_margin(mut self, margin: f64) -> Self {
        self.novel_margin = margin;
        self
    }

    /// Sets how many margins a change must surely exceed to be critical.
    #[must_use]
    pub fn with_critical(mut self, margins: f64) -> Self {
        self.critical = margins;
        self
    }

    /// Sets the level of intervals.
    #[must_use]
    pub fn with_level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// Sets the rows after which a window ends.
    #[must_use]
    pub fn with_window_rows(mut self, rows: u64) -> Self {
        self.window_rows = rows;
        self
    }

    /// Sets the time after which a window ends.
    #[must_use]
    pub fn with_window_time(mut self, time: Duration) -> Self {
        self.window_time = time;
        self
    }

    /// Sets the rows below which nothing is said.
    #[must_use]
    pub fn with_min_rows(mut self, rows: u64) -> Self {
        self.min_rows = rows;
        self
    }

    /// Sets the time in which what is usual comes round.
    #[must_use]
    pub fn with_season(mut self, season: Duration) -> Self {
        self.season = season;
        self
    }

    /// Compares rows with those of the reference of their own hour or weekday. A window then may be
    /// shorter than a season, and the promise still holds.
    #[must_use]
    pub fn with_strata(mut self, strata: Strata) -> Self {
        self.strata = Some(strata);
        self
    }

    /// Sets what columns are judged by, where there are strata.
    #[must_use]
    pub fn with_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Adds a column whose values tell where a change comes from: its 32 most frequent ones in the
    /// reference, of which it must be a column of categories.
    #[must_use]
    pub fn with_segment(mut self, column: impl Into<Arc<str>>) -> Self {
        self.segments.push(column.into());
        self
    }

    /// Sets the share of rows that the request path counts.
    #[must_use]
    pub fn with_sampling(mut self, share: f64) -> Self {
        self.sampling = share;
        self
    }

    /// Sets how many threads count at the same time in the request path.
    #[must_use]
    pub fn with_shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// Sets how many alarms wait for one who receives them.
    #[must_use]
    pub fn with_max_waiting(mut self, alarms: usize) -> Self {
        self.max_waiting = alarms;
        self
    }

    /// Sets what the alarms' events are about.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Takes the time from here.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes ids from here.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Up to where the share of a cell that the reference hardly knew is negligible; `novel` if it had
    /// no row of it.
    pub(super) fn margin_of_unusual(&self, novel: bool) -> f64 {
        if novel { self.unusual_margin.min(self.novel_margin) } else { self.unusual_margin }
    }

    /// Effects by name, and up to where each is negligible; of a shift, as that of a normal law. What
    /// is [novel](Self::novel_margin) is told sooner.
    pub(super) fn margins(&self) -> Vec<(&'static str, f64)> {
        // Two such laws so far apart have this total variation distance.
        let shift = 2.0 * Normal::standard().inverse_cdf(f64::midpoint(1.0, self.margin));
        let shares = ["missing_share", "other_share", "below_share", "above_share"];
        let mut margins = vec![("total_variation", self.margin), ("shift_sd", shift)];
        margins.extend(shares.map(|effect| (effect, self.unusual_margin)));
        margins.push(("novel", self.margin_of_unusual(true)));
        margins
    }

    pub(super) fn check(&self) -> Result<()> {
        let alarms = self.false_alarms_per_year;
        if !(alarms > 0.0 && alarms <= 1e9) {
            return Err(Error::invalid(format!(
                "false alarms per year lie between 0 and 1e9, not at {alarms}"
            )));
        }
        self.budget.as_ref().map_or(Ok(()), AlarmBudget::check)?;
        let shares = [
            ("margin", self.margin),
            ("unusual margin", self.unusual_margin),
            ("novel margin", self.novel_margin),
        ];
        for (name, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::invalid(format!("{name} is 0 to below 1, not {value}")));
            }
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            let level = self.level;
            return Err(Error::invalid(format!("level lies between 0 and 1, not at {level}")));
        }
        if !(self.sampling > 0.0 && self.sampling <= 1.0) {
            let share = self.sampling;
            return Err(Error::invalid(format!("sampling is above 0 to 1, not {share}")));
        }
        if self.critical.is_nan() || self.critical < 1.0 {
            let margins = self.critical;
            return Err(Error::invalid(format!("critical is at least 1 margin, not {margins}")));
        }
        let counts = [
            ("window rows", self.window_rows),
            ("min rows", self.min_rows),
            ("shards", self.shards as u64),
            ("max waiting", self.max_waiting as u64),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(Error::invalid(format!("{name} is at least 1"))),
            None => Ok(()),
        }
    }
}
