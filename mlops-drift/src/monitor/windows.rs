//! Windows that end by count or by time, and what is kept of those that have ended.

use super::{
    MonitorConfig,
    blocks::{Block, Days},
    cells::{Counts, add, coarse},
    season::{Strata, day},
    segments::{Joint, Segments},
};
use crate::profile::Profile;
use mlops_core::{Result, Timestamp, arrow::array::RecordBatch};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many windows are compared together: the last one, and as many as these.
pub(super) const SPANS: [usize; 3] = [1, 4, 16];
/// Windows that are kept: the longest span.
const KEPT: usize = SPANS[SPANS.len() - 1];

/// Rows of some time: counts of each column by stratum.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) rows: u64,
    parts: BTreeMap<u32, Vec<Counts>>,
    pub(super) joint: Joint,
}

impl Window {
    fn beginning(from: Timestamp) -> Self {
        Self { from, ..Self::default() }
    }

    fn take_in(&mut self, stratum: u32, rows: u64, columns: &[Counts]) {
        self.rows += rows;
        let own = self.parts.entry(stratum).or_insert_with(|| vec![Counts::new(); columns.len()]);
        own.iter_mut().zip(columns).for_each(|(sum, more)| add(sum, more));
    }

    /// Adds a column's rows to sums by stratum.
    pub(super) fn add_column(&self, at: usize, sum: &mut BTreeMap<u32, Counts>) {
        for (stratum, columns) in &self.parts {
            if let Some(counts) = columns.get(at) {
                add(sum.entry(*stratum).or_default(), counts);
            }
        }
    }
}

/// The window in progress, the latest that ended, and the season in progress.
#[derive(Debug)]
pub(super) struct Windows {
    /// Rows since the stratum changed, in the reference's cells.
    piece: Profile,
    stratum: u32,
    day: i64,
    days: Option<Gathering>,
    /// Rows of the window in progress that are of earlier strata.
    earlier: Option<Profile>,
    open: Window,
    ended: VecDeque<Window>,
    /// Windows that ever ended.
    pub(super) count: u64,
    pub(super) season: Window,
    /// Windows that had ended before it.
    pub(super) season_begun: u64,
    last: Option<Profile>,
    /// Rows by segment of all windows that are not kept any more.
    older: Joint,
    /// The latest time seen.
    pub(super) now: Timestamp,
}

/// Days whose rows are gathered, of the strata of which the reference has rows.
#[derive(Debug)]
struct Gathering {
    known: BTreeSet<u32>,
    days: Days,
}

/// The stratum of a time; 0 where there are none.
fn stratum(at: Timestamp, config: &MonitorConfig) -> u32 {
    config.strata.as_ref().map_or(0, |strata| strata.season().stratum(at))
}

impl Windows {
    pub(super) fn new(reference: &Profile, now: Timestamp, config: &MonitorConfig) -> Self {
        Self {
            piece: Profile::empty_like(reference),
            stratum: stratum(now, config),
            day: day(now),
            days: None,
            earlier: None,
            open: Window::beginning(now),
            ended: VecDeque::with_capacity(KEPT),
            count: 0,
            season: Window::beginning(now),
            season_begun: 0,
            last: None,
            older: Joint::default(),
            now,
        }
    }

    /// From now on gathers days, too.
    pub(super) fn gather_days(&mut self, strata: &Strata) {
        let known = strata.iter().map(|(stratum, _)| stratum).collect();
        self.days = Some(Gathering { known, days: Days::default() });
    }

    /// Takes the days that have ended.
    pub(super) fn ended_days(&mut self) -> Vec<Block> {
        let today = day(self.now);
        self.days.as_mut().map(|own| own.days.end_before(today)).unwrap_or_default()
    }

    /// Whether there were no rows yet.
    pub(super) fn are_empty(&self) -> bool {
        self.count == 0 && self.rows() == 0
    }

    /// Begins at this time instead, before there are rows.
    pub(super) fn begin(&mut self, at: Timestamp, config: &MonitorConfig) {
        self.now = at;
        self.stratum = stratum(at, config);
        self.day = day(at);
        (self.open, self.season) = (Window::beginning(at), Window::beginning(at));
    }

    /// Time goes on; it does not go back.
    pub(super) fn pass(&mut self, at: Timestamp, config: &MonitorConfig) {
        self.now = self.now.max(at);
        let (stratum, day) = (stratum(self.now, config), day(self.now));
        if stratum != self.stratum || (self.days.is_some() && day != self.day) {
            self.end_piece();
            (self.stratum, self.day) = (stratum, day);
        }
    }

    /// Rows until the window is full.
    pub(super) fn room(&self, config: &MonitorConfig) -> u64 {
        config.window_rows.saturating_sub(self.rows())
    }

    pub(super) fn rows(&self) -> u64 {
        self.open.rows + self.piece.rows()
    }

    pub(super) fn update(&mut self, rows: &RecordBatch, segments: Option<&Segments>) -> Result<()> {
        self.piece.update(rows)?;
        if let Some(segments) = segments {
            segments.update(&mut self.open.joint, &self.piece, rows);
        }
        Ok(())
    }

    /// Adds rows by segment that were merged before.
    pub(super) fn merge_joint(&mut self, joint: &Joint) {
        self.open.joint.add(joint);
    }

    pub(super) fn merge(&mut self, rows: &Profile) -> Result<()> {
        self.piece.merge(rows)
    }

    /// Adds rows of this stratum; `None` is the one in progress.
    pub(super) fn merge_of(
        &mut self,
        stratum: Option<u32>,
        rows: &Profile,
        config: &MonitorConfig,
    ) -> Result<()> {
        match stratum.filter(|stratum| *stratum != self.stratum) {
            None => self.piece.merge(rows),
            Some(other) => {
                self.piece.same_cells(rows)?;
                let season = config.strata.as_ref().map(Strata::season);
                let day = season.map_or(self.day, |season| {
                    season.latest_day(other, self.now.max(config.clock.now()))
                });
                self.put(day, other, rows.clone());
                Ok(())
            }
        }
    }

    /// The rows of the window in progress, which begins anew. Days are judged where they go to.
    pub(super) fn hand_over(&mut self) -> Result<Profile> {
        let empty = Profile::empty_like(&self.piece);
        let mut rows = self.earlier.clone().unwrap_or_else(|| empty.clone());
        rows.merge(&self.piece)?;
        self.piece = empty;
        (self.earlier, self.days) = (None, None);
        self.open = Window::beginning(self.now);
        Ok(rows)
    }

    /// All rows of the last window that ended, in the reference's cells.
    pub(super) fn last_ended(&self) -> Option<&Profile> {
        self.last.as_ref()
    }

    /// Whether the window in progress has ended.
    pub(super) fn due(&self, config: &MonitorConfig) -> bool {
        let rows = self.rows();
        let full = rows >= config.window_rows;
        let old = self.now.since(self.open.from) >= config.window_time;
        rows > 0 && (full || (old && rows >= config.min_rows))
    }

    /// Ends the window in progress.
    pub(super) fn end(&mut self) {
        self.end_piece();
        self.last = self.earlier.take();
        let ended = std::mem::replace(&mut self.open, Window::beginning(self.now));
        for (stratum, columns) in &ended.parts {
            self.season.take_in(*stratum, 0, columns);
        }
        self.season.rows += ended.rows;
        if self.ended.len() == KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.older.add(&oldest.joint);
        }
        self.ended.push_back(ended);
        self.count += 1;
    }

    /// Puts the rows of the stratum so far into the window.
    fn end_piece(&mut self) {
        let empty = Profile::empty_like(&self.piece);
        let piece = std::mem::replace(&mut self.piece, empty);
        self.put(self.day, self.stratum, piece);
    }

    fn put(&mut self, day: i64, stratum: u32, piece: Profile) {
        let rows = piece.rows();
        if rows == 0 {
            return;
        }
        let counts: Vec<Counts> = piece.columns().map(|column| coarse(&column)).collect();
        if let Some(own) = self.days.as_mut().filter(|own| own.known.contains(&stratum)) {
            own.days.add(day, stratum, rows, &counts);
        }
        match &mut self.earlier {
            // The same cells; rows beyond the bound of a profile are in the counts alone.
            Some(earlier) => drop(earlier.merge(&piece)),
            None => self.earlier = Some(piece),
        }
        self.open.take_in(stratum, rows, &counts);
    }

    /// Whether the season in progress is over.
    pub(super) fn season_over(&self, config: &MonitorConfig) -> bool {
        self.now.since(self.season.from) >= config.season
    }

    pub(super) fn begin_season(&mut self) {
        self.season = Window::beginning(self.now);
        self.season_begun = self.count;
    }

    /// The latest windows that have ended, the last one first.
    pub(super) fn latest(&self) -> impl Iterator<Item = &Window> {
        self.ended.iter().rev()
    }

    /// Rows by segment before this time and since.
    pub(super) fn joint(&self, since: Timestamp) -> (Joint, Joint) {
        let (mut before, mut now) = (self.older.clone(), Joint::default());
        for window in &self.ended {
            let side = if window.from < since { &mut before } else { &mut now };
            side.add(&window.joint);
        }
        (before, now)
    }

    /// A column's rows in the latest windows, by stratum.
    pub(super) fn sum(&self, column: usize, windows: usize) -> BTreeMap<u32, Counts> {
        let mut sum = BTreeMap::new();
        self.latest().take(windows).for_each(|window| window.add_column(column, &mut sum));
        sum
    }
}
