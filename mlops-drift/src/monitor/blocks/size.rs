//! How far the latest days are from the reference's.

use super::GRAIN;
use crate::{
    monitor::{
        MonitorConfig, Severity,
        cells::Column,
        moved::{effect_name, percents, points, unusual_words},
    },
    profile::CellKind,
    tests::real,
};
use mlops_core::{
    drift::{Contribution, Effect},
    stats::Interval,
};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A column's number of each set: of the reference's blocks, and of the latest ones, the last first.
#[derive(Debug)]
pub(in crate::monitor) struct Numbers {
    pub(super) before: Vec<Vec<i64>>,
    pub(super) latest: Vec<Vec<i64>>,
}

/// The share of a set over some blocks, above what the reference says.
#[derive(Clone, Debug)]
pub(in crate::monitor) struct Apart {
    /// The set, if it is one cell.
    only: Option<usize>,
    /// Set if the reference hardly knew that.
    unusual: Option<CellKind>,
    /// Set if the reference had no row of that.
    novel: bool,
    pub(in crate::monitor) value: f64,
    interval: Interval,
    pub(in crate::monitor) blocks: usize,
}

impl Numbers {
    /// How many there are of the latest.
    pub(in crate::monitor) fn latest(&self) -> usize {
        self.latest.len()
    }

    /// Over how many of the latest blocks the set's share is furthest from the reference's: those of
    /// the largest mean in its deviations.
    pub(in crate::monitor) fn furthest(&self, set: usize) -> usize {
        let n = real(self.before.len() as u64);
        let (mut sum, mut best) = (0.0, (0.0, 1));
        for (block, blocks) in self.latest.iter().zip(1_usize..) {
            sum += share(block[set]);
            let m = real(blocks as u64);
            let score = sum.abs() / (m * (1.0 + m / n)).sqrt();
            if score > best.0 {
                best = (score, blocks);
            }
        }
        best.1
    }

    /// The mean of so many of the latest blocks, with Student's interval around it, whose deviation
    /// is that of the reference's blocks. `None` if there are none.
    pub(in crate::monitor) fn size(
        &self,
        column: &Column,
        set: usize,
        blocks: usize,
        level: f64,
    ) -> Option<Apart> {
        let of = |blocks: &[Vec<i64>]| -> Vec<f64> {
            blocks.iter().map(|block| share(block[set])).collect()
        };
        let (before, now) = (of(&self.before), of(self.latest.get(..blocks)?));
        let (n, m) = (real(before.len() as u64), real(now.len() as u64));
        if n < 2.0 || m < 1.0 {
            return None;
        }
        let usual = before.iter().sum::<f64>() / n;
        let squares: f64 = before.iter().map(|own| (own - usual).powi(2)).sum();
        let error = (squares / (n - 1.0) * (1.0 / n + 1.0 / m)).sqrt();
        let law = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
        let most = error * law.inverse_cdf(f64::midpoint(1.0, level));
        let value = now.iter().sum::<f64>() / m - usual;
        let (low, high) = ((value - most).max(-1.0), (value + most).min(1.0));
        let only = column.sets.get(set).and_then(|set| set.only());
        let kind = only.and_then(|cell| column.cells.get(cell)).map(|(kind, _)| *kind);
        let unusual = kind.filter(|kind| *kind != CellKind::Value);
        let novel = only.is_some_and(|cell| column.is_novel(cell));
        let interval = Interval { low, high, level };
        Some(Apart { only, unusual, novel, value, interval, blocks })
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn share(grains: i64) -> f64 {
    grains as f64 / GRAIN
}

impl Apart {
    /// Up to where it is negligible.
    fn margin(&self, config: &MonitorConfig) -> f64 {
        if self.unusual.is_some() { config.margin_of_unusual(self.novel) } else { config.margin }
    }

    /// By what its size is judged.
    fn scale(&self, config: &MonitorConfig) -> f64 {
        if self.unusual.is_some() { config.unusual_margin } else { config.margin }
    }

    /// The least that it may be.
    fn least(&self) -> f64 {
        self.interval.low.max(-self.interval.high)
    }

    /// How many margins it is.
    pub(in crate::monitor) fn margins(&self, config: &MonitorConfig) -> f64 {
        over(self.value.abs(), self.margin(config))
    }

    /// How much it is of what would matter: for what is novel, more than its margin.
    pub(in crate::monitor) fn scales(&self, config: &MonitorConfig) -> f64 {
        over(self.value.abs(), self.scale(config))
    }

    /// How bad it is, if it is beyond the margin.
    pub(in crate::monitor) fn severity(&self, config: &MonitorConfig) -> Option<Severity> {
        match () {
            () if self.margins(config) <= 1.0 => None,
            () if over(self.least(), self.scale(config)) > config.critical => {
                Some(Severity::Critical)
            }
            () => Some(Severity::Warning),
        }
    }

    /// Whether it is surely beyond the margin.
    pub(in crate::monitor) fn surely(&self, config: &MonitorConfig) -> bool {
        self.least() > self.scale(config)
    }

    /// Whether it has fallen below half of the margin, or may be nothing.
    pub(in crate::monitor) fn is_calm(&self, config: &MonitorConfig) -> bool {
        self.value.abs() <= self.margin(config) / 2.0 || self.interval.contains(0.0)
    }

    /// Of a cell that the reference hardly knew the difference of its share; else the share of rows
    /// that are elsewhere, of which the set shows no more than all.
    pub(in crate::monitor) fn effect(&self) -> Effect {
        match self.unusual {
            Some(kind) => Effect::new(effect_name(kind), self.value).with_interval(self.interval),
            None => Effect::new("total_variation", self.value.abs()).with_interval(self.away()),
        }
    }

    /// The interval of the distance, whatever its direction.
    fn away(&self) -> Interval {
        let Interval { low, high, level } = self.interval;
        Interval { low: self.least().max(0.0), high: high.max(-low), level }
    }

    /// `changed over 7 days: 23% of rows are elsewhere [12%, 34%]`, and why by days.
    pub(in crate::monitor) fn words(&self, shares: &[(f64, f64)]) -> String {
        let days = if self.blocks == 1 { "a day".into() } else { format!("{} days", self.blocks) };
        let judged = "judged by days, whose rows depend on one another";
        let cell = self.only.and_then(|only| shares.get(only));
        if let (Some(kind), Some(shares)) = (self.unusual, cell) {
            let [before, now] = percents(*shares);
            let (what, points) = (unusual_words(kind), points(self.interval));
            return format!(
                "{what} in {now} of rows over {days}, {before} in the reference ({points} points; \
                 {judged})"
            );
        }
        let away = self.away();
        let (value, low, high) = (self.value.abs() * 100.0, away.low * 100.0, away.high * 100.0);
        format!(
            "changed over {days}: {value:.0}% of rows are elsewhere [{low:.0}%, {high:.0}%] ({judged})"
        )
    }
}

/// So many margins; noise alone lies beyond a margin of 0.
fn over(value: f64, margin: f64) -> f64 {
    if value > 0.0 { value / margin } else { 0.0 }
}

/// The cells' shares and what each adds, the largest first.
pub(in crate::monitor) fn contributions(
    column: &Column,
    shares: &[(f64, f64)],
) -> Vec<Contribution> {
    let cells = column.cells.iter().zip(shares).filter(|(_, (before, now))| before + now > 0.0);
    let mut parts: Vec<Contribution> = cells
        .map(|((_, label), (before, now))| {
            Contribution::new(label.clone(), *before, *now, (now - before).abs() / 2.0)
        })
        .collect();
    parts.sort_by(|a, b| b.value.total_cmp(&a.value));
    parts
}
