//! Whether the accuracy seen now falls short of the one that was promised.

use crate::tests::real;
use mlops_core::{
    Error, Result,
    drift::{Drift, Effect, Evidence, Verdict},
    stats::difference_interval,
};

/// From when on a fall of accuracy is one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AccuracyRule {
    /// The largest fall that is negligible; 0.02: two rows in a hundred.
    pub margin: f64,
    /// The level of the interval; 0.95.
    pub level: f64,
    /// Rows below which, on either side, nothing is said; 300.
    pub min_rows: u64,
}

impl Default for AccuracyRule {
    fn default() -> Self {
        Self { margin: 0.02, level: 0.95, min_rows: 300 }
    }
}

impl AccuracyRule {
    /// Sets the largest negligible fall.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets the level of the interval.
    #[must_use]
    pub fn with_level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// Sets the rows below which nothing is said.
    #[must_use]
    pub fn with_min_rows(mut self, rows: u64) -> Self {
        self.min_rows = rows;
        self
    }
}

/// The window's accuracy less the reference's, each (right, known) of rows of its own.
///
/// [`Drifted`](Verdict::Drifted) if the whole interval (Newcombe's, see
/// [`difference_interval`]) lies below −margin, [`Warning`](Verdict::Warning) if only the estimate
/// does, else [`Stable`](Verdict::Stable): a rise is no alarm. More right than known rows, or a
/// margin outside 0..1, is `InvalidInput`.
pub fn accuracy_change(
    reference: (u64, u64),
    window: (u64, u64),
    rule: &AccuracyRule,
) -> Result<Drift> {
    const NAME: &str = "accuracy";
    if !(0.0..1.0).contains(&rule.margin) {
        return Err(Error::invalid(format!("margin lies between 0 and 1, not at {}", rule.margin)));
    }
    let known = window.1;
    if reference.1.min(known) < rule.min_rows.max(1) {
        return Ok(Drift::too_few(NAME, known));
    }
    let interval = difference_interval(reference, window, rule.level)?;
    let share = |(right, known): (u64, u64)| real(right) / real(known);
    let change = share(window) - share(reference);
    let verdict = match () {
        () if interval.high < -rule.margin => Verdict::Drifted,
        () if change < -rule.margin => Verdict::Warning,
        () => Verdict::Stable,
    };
    let effect = Effect::new("accuracy_change", change).with_interval(interval);
    Ok(Drift::new(NAME, known, share(window), effect, Evidence::Interval, verdict))
}
