//! How much a column has moved, and in whose words.

use super::{
    MonitorConfig, Severity,
    cells::{Column, Counts, Set},
};
use crate::{
    profile::CellKind,
    tests::{Order, TotalVariation, real, superiority, total_variation},
};
use mlops_core::{
    Result,
    drift::{Contribution, Effect},
    stats::{Interval, difference_interval},
};
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// A column's rows beside those that the reference would have at the same times.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) rows: u64,
    pub(super) total: TotalVariation,
    /// Up to where the total is negligible.
    margin: f64,
    unusual: Vec<Unusual>,
    /// Of the values, in deviations of a normal law.
    shift: Option<(f64, Interval)>,
    shares: Vec<(f64, f64)>,
}

/// The share of a cell that the reference hardly knew.
#[derive(Debug)]
struct Unusual {
    at: usize,
    kind: CellKind,
    /// Whether the reference has no row of it.
    novel: bool,
    /// Up to where its difference is negligible.
    margin: f64,
    difference: f64,
    interval: Interval,
}

impl Moved {
    /// `None` if either side counts nothing.
    pub(super) fn of(
        column: &Column,
        window: &BTreeMap<u32, Counts>,
        config: &MonitorConfig,
    ) -> Result<Option<Self>> {
        let (before, now) = mixed(&column.reference, window);
        let total = total_variation(&before, &now, column.order, config.level)?;
        let Some(total) = total else { return Ok(None) };
        let unusual = column.unusual().map(|(at, kind)| {
            let set = column.cell_set(at);
            let (a, b) = (set.share(&before), set.share(&now));
            let empty = a.1 == 0 || b.1 == 0;
            let interval = if empty {
                Interval { low: 0.0, high: 0.0, level: config.level }
            } else {
                difference_interval(a, b, config.level)?
            };
            let difference = if empty { 0.0 } else { share(b) - share(a) };
            let novel = column.is_novel(at);
            let margin = config.margin_of_unusual(novel);
            Ok(Unusual { at, kind, novel, margin, difference, interval })
        });
        let unusual = unusual.collect::<Result<_>>()?;
        let shift =
            if column.order == Order::Ordered { shift(&before, &now, config)? } else { None };
        let (n, m) = (before.iter().sum::<u64>(), now.iter().sum::<u64>());
        let shares = before.iter().zip(&now).map(|(a, b)| (share((*a, n)), share((*b, m))));
        let shares = shares.collect();
        Ok(Some(Self { rows: m, total, margin: config.margin, unusual, shift, shares }))
    }

    /// How bad it is, if the estimate is beyond the margin. The share of an unusual cell counts by
    /// itself only if it is one of those that surely changed; what is novel is none the worse for it.
    pub(super) fn severity(&self, changed: &[Set], config: &MonitorConfig) -> Option<Severity> {
        let over = |value: f64, margin: f64| if value > 0.0 { value / margin } else { 0.0 };
        let mut estimate = over(self.total.value, config.margin);
        let mut surely = over(self.total.interval.low, config.margin);
        for own in
            self.unusual.iter().filter(|own| changed.iter().any(|s| s.only() == Some(own.at)))
        {
            let least = own.interval.low.max(-own.interval.high);
            // Of so small a margin one row is easily beyond: what is novel has to be so surely.
            let size = if own.novel { least } else { own.difference.abs() };
            estimate = estimate.max(over(size, own.margin));
            surely = surely.max(over(least, config.unusual_margin));
        }
        match () {
            () if estimate <= 1.0 => None,
            () if surely > config.critical => Some(Severity::Critical),
            () => Some(Severity::Warning),
        }
    }

    /// Whether the interval too lies beyond the margin.
    pub(super) fn surely(&self, config: &MonitorConfig) -> bool {
        self.total.interval.low > config.margin
            || self
                .unusual
                .iter()
                .any(|own| own.interval.low.max(-own.interval.high) > config.unusual_margin)
    }

    /// Whether it has fallen below half of every margin. Noise alone lies beyond a margin of 0: there
    /// it is calm if it may be nothing, and so is what is novel.
    pub(super) fn is_calm(&self, config: &MonitorConfig) -> bool {
        let calm = |value: f64, interval: &Interval, margin: f64| {
            value.abs() <= margin / 2.0 || (margin == 0.0 && interval.contains(0.0))
        };
        let unusual = |own: &Unusual| {
            let may_be_nothing = own.novel && own.interval.contains(0.0);
            may_be_nothing || calm(own.difference, &own.interval, own.margin)
        };
        calm(self.total.value, &self.total.interval, config.margin)
            && self.unusual.iter().all(unusual)
    }

    /// The change in the unit that says most of it.
    pub(super) fn effect(&self, column: &Column) -> Effect {
        match self.main(column) {
            Main::Unusual(own) => {
                Effect::new(effect_name(own.kind), own.difference).with_interval(own.interval)
            }
            Main::Shift(value, interval) => Effect::new("shift_sd", value).with_interval(interval),
            Main::Cell(_) | Main::Shape => {
                Effect::new("total_variation", self.total.value).with_interval(self.total.interval)
            }
        }
    }

    /// `moved by 0.31 sd [0.24, 0.38]`.
    pub(super) fn words(&self, column: &Column) -> String {
        let at = |at: usize| self.shares.get(at).copied().unwrap_or_default();
        let elsewhere = || {
            let Interval { low, high, .. } = self.total.interval;
            let (value, low, high) = (self.total.value * 100.0, low * 100.0, high * 100.0);
            format!("changed: {value:.0}% of rows are elsewhere [{low:.0}%, {high:.0}%]")
        };
        match self.main(column) {
            Main::Shift(value, interval) => format!("moved by {value:.2} sd {interval}"),
            Main::Unusual(own) => {
                let [before, now] = percents(at(own.at));
                let (what, points) = (unusual_words(own.kind), points(own.interval));
                format!("{what} in {now} of rows, {before} in the reference ({points} points)")
            }
            Main::Cell(cell) => {
                let [before, now] = percents(at(cell));
                let label = column.cells.get(cell).map_or("", |(_, label)| label.as_ref());
                format!("{}, most in {label:?}: {now} instead of {before}", elsewhere())
            }
            Main::Shape => elsewhere(),
        }
    }

    /// What makes up at least half of the total, or is beyond its margin where the total is not.
    fn main(&self, column: &Column) -> Main<'_> {
        let half = self.total.value / 2.0;
        let largest =
            self.unusual.iter().max_by(|a, b| a.difference.abs().total_cmp(&b.difference.abs()));
        if let Some(own) = largest
            && own.difference.abs() > 0.0
            && own.difference.abs() >= half
        {
            return Main::Unusual(own);
        }
        if self.total.value <= self.margin
            && let Some(own) = self.loudest()
        {
            return Main::Unusual(own);
        }
        if let Some((value, interval)) = self.shift
            && !interval.contains(0.0)
        {
            // The total variation distance of two normal laws so far apart.
            let explained = 2.0 * Normal::standard().cdf(value.abs() / 2.0) - 1.0;
            if explained >= half {
                return Main::Shift(value, interval);
            }
        }
        let parts = self.total.contributions.iter().enumerate();
        match parts.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) {
            Some((at, _)) if column.order == Order::Unordered => Main::Cell(at),
            _ => Main::Shape,
        }
    }

    /// What is furthest beyond its margin of the cells that the reference hardly knew.
    fn loudest(&self) -> Option<&Unusual> {
        let margins = |own: &Unusual| own.difference.abs() / own.margin;
        let beyond = self.unusual.iter().filter(|own| own.difference.abs() > own.margin);
        beyond.max_by(|a, b| margins(a).total_cmp(&margins(b)))
    }

    /// The cells' shares and what each adds, the largest first.
    pub(super) fn contributions(&self, column: &Column) -> Vec<Contribution> {
        let parts = column.cells.iter().zip(&self.shares).zip(&self.total.contributions);
        let mut parts: Vec<Contribution> = parts
            .filter(|((_, (before, now)), _)| before + now > 0.0)
            .map(|(((_, label), (before, now)), part)| {
                Contribution::new(label.clone(), *before, *now, part.abs())
            })
            .collect();
        parts.sort_by(|a, b| b.value.total_cmp(&a.value));
        parts
    }
}

/// What a change mostly is.
enum Main<'a> {
    Unusual(&'a Unusual),
    Shift(f64, Interval),
    Cell(usize),
    Shape,
}

/// The effect of a cell that the reference hardly knew.
pub(super) fn effect_name(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Missing => "missing_share",
        CellKind::Below => "below_share",
        CellKind::Above => "above_share",
        CellKind::Value | CellKind::Other => "other_share",
    }
}

/// What the rows of such a cell do: `is missing`.
pub(super) fn unusual_words(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Missing => "is missing",
        CellKind::Below => "lies below the reference's range",
        CellKind::Above => "lies above the reference's range",
        CellKind::Value | CellKind::Other => "has a value that the reference does not list",
    }
}

/// `12.3%` and `0.5%`; below one in a hundred both with another digit, since what is novel is told
/// from one in a thousand on.
pub(super) fn percents((before, now): (f64, f64)) -> [String; 2] {
    let decimals = decimals(before.max(now));
    [before, now].map(|share| format!("{:.decimals$}%", share * 100.0))
}

/// `[+0.12, +0.83]`, in points of a hundred.
pub(super) fn points(Interval { low, high, .. }: Interval) -> String {
    let decimals = decimals(low.abs().max(high.abs()));
    format!("[{:+.decimals$}, {:+.decimals$}]", low * 100.0, high * 100.0)
}

fn decimals(share: f64) -> usize {
    if share < 0.01 { 2 } else { 1 }
}

fn share((part, all): (u64, u64)) -> f64 {
    real(part) / real(all.max(1))
}

/// How far the values moved, in deviations of a normal law: √2·Φ⁻¹ of the probability that a value
/// of the window exceeds one of the reference. One outlier moves it as any value does.
fn shift(before: &[u64], now: &[u64], config: &MonitorConfig) -> Result<Option<(f64, Interval)>> {
    let values = |counts: &'_ [u64]| counts.get(1..).unwrap_or_default().to_vec();
    let above = superiority(&values(before), &values(now), config.level)?;
    let normal = Normal::standard();
    let deviations = |p: f64| {
        std::f64::consts::SQRT_2 * normal.inverse_cdf(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
    };
    Ok(above.map(|above| {
        let Interval { low, high, level } = above.interval;
        let interval = Interval { low: deviations(low), high: deviations(high), level };
        (deviations(above.value), interval)
    }))
}

/// Counts of the window, and of a reference that has as large a part of its rows in each stratum;
/// of as many rows as say as much about it.
fn mixed(reference: &BTreeMap<u32, Counts>, window: &BTreeMap<u32, Counts>) -> (Counts, Counts) {
    let rows = |counts: &Counts| counts.iter().sum::<u64>();
    let parts = window.iter().filter_map(|(stratum, own)| Some((reference.get(stratum)?, own)));
    let parts: Vec<_> = parts.filter(|(a, b)| rows(a) > 0 && rows(b) > 0).collect();
    if let [(before, now)] = parts.as_slice() {
        return ((*before).clone(), (*now).clone());
    }
    let Some((first, _)) = parts.first() else { return (Counts::new(), Counts::new()) };
    let all = real(parts.iter().map(|(_, now)| rows(now)).sum());
    let (mut shares, mut now) = (vec![0.0; first.len()], vec![0; first.len()]);
    let mut noise = 0.0;
    for (before, own) in parts {
        let (n, weight) = (real(rows(before)), real(rows(own)) / all);
        noise += weight * weight / n;
        shares.iter_mut().zip(before).for_each(|(sum, count)| *sum += weight * real(*count) / n);
        now.iter_mut().zip(own).for_each(|(sum, count)| *sum += count);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of rows")]
    let before = shares.into_iter().map(|share| (share / noise).round() as u64).collect();
    (before, now)
}
