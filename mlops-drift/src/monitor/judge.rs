//! A look at the end of a window: which columns changed, and who is to be told.

mod by_days;

use super::{
    Alarm, MonitorConfig, Severity,
    alarm::AlarmCause,
    blocks::Blocks,
    budget::Budget,
    cells::{Column, Counts, Set},
    episode::Episode,
    exact,
    moved::Moved,
    segments::Segments,
    steady::{Change, Steadiness},
    windows::{SPANS, Windows},
};
use crate::{profile::Profile, tests::real};
use mlops_core::{
    EventId, Result, Timestamp,
    drift::{Contribution, Drift, Effect, Evidence, Verdict},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What a column is compared over: some windows, and a season. Errors are divided among them.
const COMPARED: usize = SPANS.len() + 1;

/// All that is known between looks.
#[derive(Debug)]
pub(super) struct Judge {
    config: Arc<MonitorConfig>,
    pub(super) columns: Vec<Column>,
    pub(super) segments: Option<Arc<Segments>>,
    pub(super) windows: Windows,
    pub(super) budget: Budget,
    /// Days, if the reference has them.
    blocks: Option<Blocks>,
    /// A column spends of one or of the other.
    budget_of_days: Budget,
    /// What all looks so far have spent.
    pub(super) spent: f64,
    followed: Vec<Followed>,
    /// Until when which column's alarms are held back; `None` is all of them.
    silent: HashMap<Option<Arc<str>>, Timestamp>,
    pub(super) alarms: u64,
}

/// A column over time.
#[derive(Debug, Default)]
struct Followed {
    steadiness: Steadiness,
    /// By windows, or by days.
    episode: Episode,
    by_days: bool,
    /// Whether it was told that days of the reference depend on one another.
    weeks_told: bool,
    /// Of the last look, after correction.
    adjusted: f64,
}

/// What a look found out about a column.
pub(super) struct Found {
    /// The least probability, after correction for everything that was looked at.
    pub(super) adjusted: f64,
    /// The sets that surely changed, each with the rows that show it most surely.
    changed: Vec<(Set, Over, Sure)>,
}

/// How surely a set changed.
#[derive(Clone, Copy)]
struct Sure {
    /// The probability, after correction.
    adjusted: f64,
    /// About minus the logarithm of the probability, which orders those that are too small to.
    sureness: f64,
}

impl Found {
    fn add(&mut self, set: Set, over: Over, sure: Sure) {
        match self.changed.iter_mut().find(|(own, ..)| *own == set) {
            None => self.changed.push((set, over, sure)),
            Some(own) if sure.sureness > own.2.sureness => *own = (set, over, sure),
            Some(_) => {}
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Over {
    Windows,
    Season,
}

/// A change beyond the margin.
pub(super) struct Beyond {
    pub(super) severity: Severity,
    pub(super) since: Timestamp,
    moved: Moved,
    set: Set,
    sure: Sure,
}

impl Beyond {
    fn is_worse_than(&self, other: &Self) -> bool {
        let surer = self.sure.sureness.total_cmp(&other.sure.sureness);
        self.severity.cmp(&other.severity).then(surer).is_gt()
    }
}

impl Judge {
    pub(super) fn new(
        reference: &Profile,
        config: Arc<MonitorConfig>,
        segments: Option<Arc<Segments>>,
    ) -> Result<Self> {
        let strata: Vec<(u32, &Profile)> = match &config.strata {
            Some(strata) => strata.iter().collect(),
            None => vec![(0, reference)],
        };
        let columns: Vec<Column> =
            reference.columns().map(|column| Column::of(&column, &strata)).collect();
        let now = config.clock.now();
        let blocks = Blocks::new(&columns, &config)?;
        let mut windows = Windows::new(reference, now, &config);
        if let (Some(strata), true) = (&config.strata, blocks.is_some()) {
            windows.gather_days(strata);
        }
        let budget = Budget::new(config.false_alarms_per_year, now, config.budget);
        Ok(Self {
            windows,
            blocks,
            budget,
            budget_of_days: budget,
            spent: 0.0,
            followed: columns.iter().map(|_| Followed::default()).collect(),
            silent: HashMap::new(),
            alarms: 0,
            columns,
            segments,
            config,
        })
    }

    /// Begins at an earlier time, if there are no rows yet: those of a log are older than the monitor.
    pub(super) fn begin_by(&mut self, at: Timestamp) {
        if self.windows.are_empty() && at < self.windows.now {
            self.windows.begin(at, &self.config);
            self.budget.begin(at);
            self.budget_of_days.begin(at);
        }
    }

    /// Ends the window in progress and looks at what it shows.
    pub(super) fn end_window(&mut self) -> Result<Vec<Alarm>> {
        self.windows.end();
        let now = self.windows.now;
        self.silent.retain(|_, until| *until > now);
        let allowed = self.budget.spend(now);
        self.spent += allowed * (1.0 - self.part_by_days());
        let season_over = self.windows.season_over(&self.config);
        let mut alarms = Vec::new();
        for at in 0..self.columns.len() {
            alarms.extend(self.watch_steadiness(at));
            if self.settle_by_days(at) {
                continue;
            }
            let found = self.examine(at, season_over, allowed);
            self.followed[at].adjusted = found.adjusted;
            let beyond = self.beyond(at, &found)?;
            alarms.extend(self.follow(at, beyond, season_over)?);
        }
        if season_over {
            self.windows.begin_season();
        }
        self.alarms += alarms.len() as u64;
        Ok(alarms)
    }

    /// Whether a column is judged by days from now on, and not here.
    fn settle_by_days(&mut self, at: usize) -> bool {
        let by_days = self.is_by_days(at);
        let count = match &self.blocks {
            Some(blocks) if by_days => blocks.count,
            _ => self.windows.count,
        };
        let followed = &mut self.followed[at];
        if followed.by_days != by_days {
            followed.by_days = by_days;
            followed.episode = followed.episode.counted_otherwise(count);
        }
        by_days
    }

    /// Tests every set over every span. An unsteady column is judged by whole seasons only.
    fn examine(&self, at: usize, season_over: bool, allowed: f64) -> Found {
        let (column, followed) = (&self.columns[at], &self.followed[at]);
        let tests = column.sets.len() * COMPARED * self.columns.len();
        let mut found = Found { adjusted: 1.0, changed: Vec::new() };
        let mut test = |window: &BTreeMap<u32, Counts>, over: Over| {
            for set in &column.sets {
                let p = exact::probability(*set, &column.reference, window);
                // Bonferroni's correction bounds the number of false alarms, and not only whether
                // there is one, as Holm's does.
                let adjusted = (p * real(tests as u64)).min(1.0);
                if adjusted <= allowed {
                    let sureness = exact::sureness(p, *set, &column.reference, window);
                    found.add(*set, over, Sure { adjusted, sureness });
                }
                found.adjusted = found.adjusted.min(adjusted);
            }
        };
        if !followed.steadiness.is_unsteady() {
            let there = self.windows_since(followed.episode.fresh());
            let mut before = 0;
            for span in SPANS.map(|span| span.min(there)) {
                if span > before {
                    test(&self.windows.sum(at, span), Over::Windows);
                    before = span;
                }
            }
        }
        // Rows of an episode that has ended are of the past.
        if season_over && followed.episode.fresh() <= self.windows.season_begun {
            test(&self.season(at), Over::Season);
        }
        found
    }

    /// Windows that are kept and ended after this one.
    fn windows_since(&self, fresh: u64) -> usize {
        let since = usize::try_from(self.windows.count - fresh).unwrap_or(usize::MAX);
        since.min(self.windows.latest().count())
    }

    fn season(&self, at: usize) -> BTreeMap<u32, Counts> {
        let mut sum = BTreeMap::new();
        self.windows.season.add_column(at, &mut sum);
        sum
    }

    /// The worst of what surely changed, if that is large enough; of what is as bad, the surest. Each
    /// is sized over the rows that show it best: what is negligible does not hide what is not.
    fn beyond(&self, at: usize, found: &Found) -> Result<Option<Beyond>> {
        let column = &self.columns[at];
        let changed: Vec<Set> = found.changed.iter().map(|(set, ..)| *set).collect();
        let mut worst: Option<Beyond> = None;
        for (set, over, sure) in found.changed.iter().copied() {
            let (window, since) = match over {
                Over::Season => (self.season(at), self.windows.season.from),
                Over::Windows => self.since(at, set),
            };
            let Some(moved) = Moved::of(column, &window, &self.config)? else { continue };
            let Some(severity) = moved.severity(&changed, &self.config) else { continue };
            let one = Beyond { severity, since, moved, set, sure };
            if worst.as_ref().is_none_or(|worst| one.is_worse_than(worst)) {
                worst = Some(one);
            }
        }
        Ok(worst)
    }

    /// The latest windows over which the set's share is furthest from the reference's.
    fn since(&self, at: usize, set: Set) -> (BTreeMap<u32, Counts>, Timestamp) {
        let there = self.windows_since(self.followed[at].episode.fresh());
        let (mut sum, mut best) = (BTreeMap::new(), (BTreeMap::new(), self.windows.now));
        let mut furthest = -1.0;
        for window in self.windows.latest().take(there) {
            window.add_column(at, &mut sum);
            let score = exact::score(exact::shares(set, &self.columns[at].reference, &sum)).abs();
            if score > furthest {
                (furthest, best) = (score, (sum.clone(), window.from));
            }
        }
        best
    }

    fn watch_steadiness(&mut self, at: usize) -> Option<Alarm> {
        if self.blocks.as_ref().is_some_and(|blocks| blocks.are_needed(at)) {
            return None;
        }
        let (column, window) = (&self.columns[at], self.windows.sum(at, 1));
        let set = column.half?;
        let steadiness = &mut self.followed[at].steadiness;
        let change = steadiness.update(set, &column.reference, &window, self.columns.len());
        let Change::BecameUnsteady(times, p) = change else { return None };
        if self.is_silent(&column.name) {
            return None;
        }
        let evidence = Evidence::P { p, adjusted: p, exact: false };
        let effect = Effect::new("overdispersion", times);
        let rows = self.windows.latest().map(|window| window.rows).sum();
        let finding =
            Drift::new(column.name.clone(), rows, times, effect, evidence, Verdict::Warning);
        let from_now_on = if self.blocks.is_some() {
            "whole days are judged from now on"
        } else {
            "whole seasons alone are judged, unless the reference comes in strata (hour, weekday)"
        };
        let words = format!(
            "varies from window to window {times:.1} times as much as chance allows: the promised \
             rate of false alarms does not hold for windows shorter than a season; {from_now_on}"
        );
        let since = self.windows.now;
        Some(self.alarm(AlarmCause::Unsteady, Severity::Info, since, words, finding))
    }

    fn follow(
        &mut self,
        at: usize,
        beyond: Option<Beyond>,
        season_over: bool,
    ) -> Result<Option<Alarm>> {
        let count = self.windows.count;
        let Some(beyond) = beyond else {
            let noticed = self.followed[at].episode.noticed();
            // Windows from before it was noticed would make it look smaller than it is.
            let later = noticed.is_some_and(|window| count - window >= SPANS[1] as u64);
            if later && self.is_calm(at, season_over)? {
                self.followed[at].episode.end(count);
            }
            return Ok(None);
        };
        let silent = self.is_silent(&self.columns[at].name);
        let begun = (beyond.since, count);
        let told = self.followed[at].episode.continue_with(begun, beyond.severity, silent);
        let Some(told) = told else { return Ok(None) };
        let column = &self.columns[at];
        let finding = finding(column, &beyond.moved, beyond.sure.adjusted, true, &self.config);
        let words = beyond.moved.words(column);
        let mut alarm = self.alarm(AlarmCause::Drift, beyond.severity, told.since, words, finding);
        alarm.again = told.again;
        alarm.segments = self.explain(at, beyond.set, beyond.since);
        Ok(Some(alarm))
    }

    /// The segments that the change since then comes from.
    fn explain(&self, at: usize, set: Set, since: Timestamp) -> Arc<[Contribution]> {
        let Some(segments) = &self.segments else { return Arc::new([]) };
        let (before, now) = self.windows.joint(since);
        let column = &self.columns[at];
        let mut reference = (0, 0);
        for counts in column.reference.values() {
            let (inside, of) = set.share(counts);
            reference = (reference.0 + inside, reference.1 + of);
        }
        segments.explain(at, column, set, (&before, &now), reference).into()
    }

    fn is_silent(&self, column: &Arc<str>) -> bool {
        let until = |key: Option<Arc<str>>| self.silent.get(&key).copied();
        let latest = until(None).max(until(Some(Arc::clone(column))));
        latest.is_some_and(|until| until > self.windows.now)
    }

    /// Whether the latest windows are surely not beyond the margin any more.
    fn is_calm(&self, at: usize, season_over: bool) -> Result<bool> {
        let followed = &self.followed[at];
        let unsteady = followed.steadiness.is_unsteady();
        let window = match (unsteady, season_over) {
            (false, _) => self.windows.sum(at, SPANS[1]),
            (true, true) => self.season(at),
            (true, false) => return Ok(false),
        };
        let moved = Moved::of(&self.columns[at], &window, &self.config)?;
        Ok(moved.is_none_or(|moved| moved.is_calm(&self.config)))
    }

    fn alarm(
        &self,
        cause: AlarmCause,
        severity: Severity,
        since: Timestamp,
        words: String,
        finding: Drift,
    ) -> Alarm {
        let at = self.windows.now;
        Alarm {
            id: EventId::from_u128(self.config.ids.next(at)),
            at,
            since,
            subject: Arc::clone(&self.config.subject),
            cause,
            severity,
            again: false,
            words: words.into(),
            finding: Arc::new(finding),
            segments: Arc::new([]),
        }
    }

    /// Holds back the alarms of a column, or of all, until then.
    pub(super) fn silence(&mut self, column: Option<Arc<str>>, until: Timestamp) {
        self.silent.insert(column, until);
    }

    /// Columns whose change has begun and not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = &Arc<str>> {
        let both = self.columns.iter().zip(&self.followed);
        both.filter(|(_, followed)| followed.episode.is_open()).map(|(column, _)| &column.name)
    }

    /// Columns that are judged by whole seasons only.
    pub(super) fn unsteady(&self) -> impl Iterator<Item = &Arc<str>> {
        let both = self.columns.iter().zip(&self.followed);
        both.filter(|(_, own)| own.steadiness.is_unsteady()).map(|(column, _)| &column.name)
    }

    /// All columns over the latest windows, as of the last look.
    pub(super) fn drift(&self) -> Result<Drift> {
        let spans = SPANS[SPANS.len() - 1];
        let rows = self.windows.latest().map(|window| window.rows).sum();
        let parts = self.columns.iter().zip(&self.followed).enumerate();
        let parts = parts.map(|(at, (column, followed))| {
            if self.is_by_days(at) {
                let drift = self.drift_of_days(at);
                return Ok(drift.unwrap_or_else(|| Drift::too_few(column.name.clone(), rows)));
            }
            let moved = Moved::of(column, &self.windows.sum(at, spans), &self.config)?;
            let Some(moved) = moved else { return Ok(Drift::too_few(column.name.clone(), rows)) };
            let open = followed.episode.is_open();
            Ok(finding(column, &moved, followed.adjusted, open, &self.config))
        });
        Ok(crate::detector::whole(rows, parts.collect::<Result<_>>()?))
    }
}

/// A column's finding; `open` if its change is beyond the margin.
fn finding(
    column: &Column,
    moved: &Moved,
    adjusted: f64,
    open: bool,
    config: &MonitorConfig,
) -> Drift {
    let verdict = match open {
        false => Verdict::Stable,
        true if moved.surely(config) => Verdict::Drifted,
        true => Verdict::Warning,
    };
    let evidence = Evidence::P { p: adjusted, adjusted, exact: true };
    let (effect, statistic) = (moved.effect(column), moved.total.observed);
    Drift::new(column.name.clone(), moved.rows, statistic, effect, evidence, verdict)
        .with_contributions(moved.contributions(column))
}
