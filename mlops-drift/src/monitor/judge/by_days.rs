//! A look at the end of a day, at the columns that are judged by whole days.

use super::{Followed, Judge};
use crate::{
    monitor::{
        Alarm, AlarmCause, Severity,
        blocks::{Apart, Numbers, SPANS, contributions},
    },
    tests::real,
};
use mlops_core::drift::{Drift, Effect, Evidence, Verdict};
use std::sync::Arc;

/// The probability, over all columns, with which exchangeable days of a reference are taken for days
/// that depend on one another.
const LEVEL: f64 = 1e-4;

impl Judge {
    /// Whether a column is judged by days.
    pub(super) fn is_by_days(&self, at: usize) -> bool {
        let unsteady = || self.followed[at].steadiness.is_unsteady();
        self.blocks.as_ref().is_some_and(|blocks| blocks.are_needed(at) || unsteady())
    }

    /// The part of the columns that is judged by days.
    pub(super) fn part_by_days(&self) -> f64 {
        let by_days = (0..self.columns.len()).filter(|at| self.is_by_days(*at)).count();
        real(by_days as u64) / real(self.columns.len() as u64)
    }

    /// Columns that are judged by days.
    pub(in crate::monitor) fn by_days(&self) -> impl Iterator<Item = &Arc<str>> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(at, _)| self.is_by_days(*at)).map(|(_, column)| &column.name)
    }

    /// Looks at each day that has ended.
    pub(in crate::monitor) fn end_days(&mut self) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for day in self.windows.ended_days() {
            if self.blocks.as_mut().is_some_and(|blocks| blocks.take(day)) {
                alarms.extend(self.look_at_days());
            }
        }
        alarms
    }

    fn look_at_days(&mut self) -> Vec<Alarm> {
        let now = self.windows.now;
        self.silent.retain(|_, until| *until > now);
        let allowed = self.budget_of_days.spend(now);
        self.spent += allowed * self.part_by_days();
        let mut alarms = Vec::new();
        for at in 0..self.columns.len() {
            if self.settle_by_days(at) {
                alarms.extend(self.warn_of_weeks(at));
                alarms.extend(self.judge_days(at, allowed));
            }
        }
        self.alarms += alarms.len() as u64;
        alarms
    }

    /// The column's numbers since its last episode.
    fn numbers(&self, at: usize) -> Option<Numbers> {
        let fresh = self.followed[at].episode.fresh();
        Some(self.blocks.as_ref()?.numbers(at, &self.columns[at], fresh))
    }

    fn judge_days(&mut self, at: usize, allowed: f64) -> Option<Alarm> {
        let (numbers, blocks) = (self.numbers(at)?, self.blocks.as_ref()?);
        let column = &self.columns[at];
        let (sets, count) = (column.sets.len(), blocks.count);
        let tests = real((sets * SPANS.len() * self.columns.len()) as u64);
        let adjusted: Vec<f64> =
            blocks.probabilities(&numbers, sets).iter().map(|p| (p * tests).min(1.0)).collect();
        self.followed[at].adjusted = adjusted.iter().copied().fold(1.0, f64::min);
        let changed = (0..sets).filter(|set| adjusted[*set] <= allowed);
        let beyond = changed.filter_map(|set| {
            let blocks = numbers.furthest(set);
            let apart = numbers.size(column, set, blocks, self.config.level)?;
            Some((apart.severity(&self.config)?, adjusted[set], apart, set))
        });
        // The worst; of what is as bad, the surest.
        let worst = beyond.max_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let Some((severity, adjusted, apart, set)) = worst else {
            let noticed = self.followed[at].episode.noticed();
            let later = noticed.is_some_and(|block| count - block >= SPANS[1] as u64);
            if later && self.are_days_calm(at, &numbers) {
                self.followed[at].episode.end(count);
            }
            return None;
        };
        self.tell_of_days(at, (severity, adjusted, apart, set))
    }

    fn are_days_calm(&self, at: usize, numbers: &Numbers) -> bool {
        let column = &self.columns[at];
        (0..column.sets.len())
            .filter_map(|set| numbers.size(column, set, SPANS[1], self.config.level))
            .all(|apart| apart.is_calm(&self.config))
    }

    /// The alarm of a change beyond the margin, if it has not been told.
    fn tell_of_days(
        &mut self,
        at: usize,
        (severity, adjusted, apart, set): (Severity, f64, Apart, usize),
    ) -> Option<Alarm> {
        let blocks = self.blocks.as_ref()?;
        let (since, rows) = blocks.since(apart.blocks);
        let begun = (since, blocks.count);
        let silent = self.is_silent(&self.columns[at].name);
        let told = self.followed[at].episode.continue_with(begun, severity, silent)?;
        let column = &self.columns[at];
        let shares = self.blocks.as_ref()?.shares(at, column, apart.blocks);
        let verdict = if apart.surely(&self.config) { Verdict::Drifted } else { Verdict::Warning };
        let evidence = Evidence::P { p: adjusted, adjusted, exact: true };
        let (name, statistic) = (column.name.clone(), apart.value.abs());
        let finding = Drift::new(name, rows, statistic, apart.effect(), evidence, verdict)
            .with_contributions(contributions(column, &shares));
        let (words, changed) = (apart.words(&shares), column.sets[set]);
        let mut alarm = self.alarm(AlarmCause::Drift, severity, told.since, words, finding);
        alarm.again = told.again;
        alarm.segments = self.explain(at, changed, since);
        Some(alarm)
    }

    /// Says once that the days of the reference depend on one another, too.
    fn warn_of_weeks(&mut self, at: usize) -> Option<Alarm> {
        let column = &self.columns[at];
        if std::mem::replace(&mut self.followed[at].weeks_told, true) {
            return None;
        }
        let (times, p) = self.blocks.as_ref()?.weeks(at, column)?;
        if p >= LEVEL / real(self.columns.len() as u64) || self.is_silent(&column.name) {
            return None;
        }
        let evidence = Evidence::P { p, adjusted: p, exact: false };
        let effect = Effect::new("overdispersion", times);
        let rows = self.windows.rows();
        let finding =
            Drift::new(column.name.clone(), rows, times, effect, evidence, Verdict::Warning);
        let words = format!(
            "varies in the reference from week to week {times:.1} times as much as days would that \
             do not depend on one another: it is judged by days, and the promised rate of false \
             alarms does not hold for it"
        );
        let since = self.windows.now;
        Some(self.alarm(AlarmCause::Unsteady, Severity::Info, since, words, finding))
    }

    /// A column that is judged by days over the latest of them, as of the last look.
    pub(super) fn drift_of_days(&self, at: usize) -> Option<Drift> {
        let (column, own) = (&self.columns[at], &self.followed[at]);
        let numbers = self.numbers(at)?;
        let latest = numbers.latest();
        let sizes = (0..column.sets.len())
            .filter_map(|set| numbers.size(column, set, latest, self.config.level));
        let apart =
            sizes.max_by(|a, b| a.scales(&self.config).total_cmp(&b.scales(&self.config)))?;
        let blocks = self.blocks.as_ref()?;
        let shares = blocks.shares(at, column, latest);
        let verdict = own.verdict(apart.surely(&self.config));
        let evidence = Evidence::P { p: own.adjusted, adjusted: own.adjusted, exact: true };
        let (name, rows, statistic) =
            (column.name.clone(), blocks.since(latest).1, apart.value.abs());
        let drift = Drift::new(name, rows, statistic, apart.effect(), evidence, verdict);
        Some(drift.with_contributions(contributions(column, &shares)))
    }
}

impl Followed {
    fn verdict(&self, surely: bool) -> Verdict {
        match self.episode.is_open() {
            false => Verdict::Stable,
            true if surely => Verdict::Drifted,
            true => Verdict::Warning,
        }
    }
}
