//! One column of a window beside the reference.

use super::ProfileDetectorConfig;
use crate::{
    profile::{CellKind, CellView, ColumnProfile, ColumnType},
    tests::{
        MIN_EXPECTED, Order, TotalVariation, chi_square, ks_cells, mean_shift, psi, real,
        share_difference, superiority, total_variation,
    },
};
use mlops_core::{
    Result,
    drift::{Contribution, Drift, Effect, Evidence, Verdict},
};

/// Numeric effects are measured over at most this many cells between the ends: enough to see any
/// shift, few enough that a thousand rows fill them.
pub(crate) const EFFECT_CELLS: usize = 16;

/// What a column shows, before columns are judged together.
pub(crate) struct Examined {
    tests: Vec<Test>,
    moved: TotalVariation,
    novel: Option<Novel>,
    contributions: Vec<Contribution>,
    /// The same difference in other units.
    effects: Vec<(f64, Effect, Evidence)>,
}

/// One test of the column.
struct Test {
    name: &'static str,
    statistic: f64,
    p: f64,
    exact: bool,
    effect: Effect,
}

/// What no row of the reference has: missing ones, or values that it does not list.
struct Novel {
    /// Of the window's rows.
    share: f64,
    p: f64,
}

/// Compares a column; `None` if either side counts nothing.
pub(crate) fn examine(
    reference: &ColumnProfile<'_>,
    window: &ColumnProfile<'_>,
    config: &ProfileDetectorConfig,
) -> Result<Option<Examined>> {
    let fixed = !reference.made_its_cells() && !window.made_its_cells();
    let cells = Pair::of(reference.counted_cells(), &window.counted_cells());
    let coarse = Pair::of(reference.coarse_cells(EFFECT_CELLS), &window.coarse_cells(EFFECT_CELLS));
    let numeric = reference.column_type() == ColumnType::Numeric;
    let order = if numeric { Order::Ordered } else { Order::Unordered };
    let moved = total_variation(&coarse.reference, &coarse.window, order, config.level)?;
    let Some(moved) = moved else { return Ok(None) };
    let mut tests = Vec::new();
    tests.extend(if numeric {
        ks_test(&cells, fixed)?
    } else {
        table_test(&cells, fixed, config)?
    });
    // Of two categories one share is the whole table.
    if numeric || cells.held().count() > 2 {
        tests.extend(share_test(&cells, CellKind::Missing, true, config)?);
        tests.extend(share_test(&cells, CellKind::Other, fixed, config)?);
    }
    let mut effects = Vec::new();
    if let Some(index) = psi(&coarse.reference, &coarse.window)? {
        effects.push((index.value, Effect::new("psi", index.excess()), Evidence::Rule));
    }
    if numeric {
        effects.extend(shifts(reference, window, &cells, config)?);
    }
    let contributions = coarse.contributions(&moved);
    let novel = novel(&cells, config)?;
    Ok(Some(Examined { tests, moved, novel, contributions, effects }))
}

impl Examined {
    /// The probability of the column's most surprising test, times their number (Bonferroni).
    pub(crate) fn p(&self) -> f64 {
        let least = self.tests.iter().map(|test| test.p).fold(1.0, f64::min);
        (least * real(self.tests.len() as u64)).clamp(least, 1.0)
    }

    fn exact(&self) -> bool {
        self.tests.iter().all(|test| test.exact)
    }

    /// Significance alone moves nothing: the effect must be beyond the margin, surely or perhaps. What
    /// is novel has a margin of its own.
    fn verdict(&self, adjusted: f64, config: &ProfileDetectorConfig) -> Verdict {
        let is_novel = |novel: &Novel| novel.p < config.alpha && novel.share > config.novel_margin;
        match () {
            () if adjusted >= config.alpha => Verdict::Stable,
            () if self.moved.interval.low > config.margin => Verdict::Drifted,
            () if self.moved.value > config.margin => Verdict::Warning,
            () if self.novel.as_ref().is_some_and(is_novel) => Verdict::Warning,
            () => Verdict::Stable,
        }
    }

    /// The finding, once its probability was adjusted for the number of columns.
    pub(crate) fn judged(
        self,
        name: &str,
        rows: u64,
        adjusted: f64,
        config: &ProfileDetectorConfig,
    ) -> Drift {
        let (p, exact) = (self.p(), self.exact());
        let verdict = self.verdict(adjusted, config);
        let statistic = self.tests.first().map_or(0.0, |test| test.statistic);
        let effect =
            Effect::new("total_variation", self.moved.value).with_interval(self.moved.interval);
        let several = real(self.tests.len() as u64);
        let tests = self.tests.into_iter().map(|test| {
            let adjusted = (test.p * several).min(1.0);
            let evidence = Evidence::P { p: test.p, adjusted, exact: test.exact };
            Drift::new(test.name, rows, test.statistic, test.effect, evidence, verdict)
        });
        let effects = self.effects.into_iter().map(|(statistic, effect, evidence)| {
            Drift::new(effect.name.clone(), rows, statistic, effect, evidence, verdict)
        });
        Drift::new(name, rows, statistic, effect, Evidence::P { p, adjusted, exact }, verdict)
            .with_contributions(self.contributions)
            .with_parts(tests.chain(effects).collect())
    }
}

/// The same cells of both sides.
struct Pair {
    cells: Vec<CellView>,
    reference: Vec<u64>,
    window: Vec<u64>,
}

impl Pair {
    fn of(reference: Vec<CellView>, window: &[CellView]) -> Self {
        let counts = |cells: &[CellView]| cells.iter().map(|cell| cell.count).collect();
        Self { reference: counts(&reference), window: counts(window), cells: reference }
    }

    fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.reference.iter().copied().zip(self.window.iter().copied())
    }

    /// Cells that hold rows.
    fn held(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts().filter(|(a, b)| a + b > 0)
    }

    fn rows(&self) -> (u64, u64) {
        (self.reference.iter().sum(), self.window.iter().sum())
    }

    /// The counts of the values alone, which come after the missing ones.
    fn values(&self) -> (&[u64], &[u64]) {
        (self.reference.get(1..).unwrap_or_default(), self.window.get(1..).unwrap_or_default())
    }

    /// Whether every value seen is listed: which ones are does not depend on the reference then.
    fn all_listed(&self) -> bool {
        let mut cells = self.cells.iter().zip(self.counts());
        cells.all(|(cell, (a, b))| cell.kind != CellKind::Other || a + b == 0)
    }

    fn contributions(&self, moved: &TotalVariation) -> Vec<Contribution> {
        let (n, m) = self.rows();
        let parts = self.cells.iter().zip(self.counts()).zip(&moved.contributions);
        let mut contributions: Vec<Contribution> = parts
            .filter(|((_, (a, b)), _)| a + b > 0)
            .map(|((cell, (a, b)), part)| {
                let (reference, window) = (real(a) / real(n), real(b) / real(m));
                Contribution::new(cell.label.clone(), reference, window, part.abs())
            })
            .collect();
        contributions.sort_by(|a, b| b.value.total_cmp(&a.value));
        contributions
    }
}

fn ks_test(cells: &Pair, fixed: bool) -> Result<Option<Test>> {
    let (reference, window) = cells.values();
    Ok(ks_cells(reference, window)?.map(|test| Test {
        name: "ks",
        statistic: test.statistic,
        p: test.p,
        exact: test.exact && fixed,
        effect: Effect::new("largest_distance", test.statistic),
    }))
}

/// Homogeneity of all cells; where that is one share, or so few rows that pooling leaves one cell,
/// the exact test of the largest cell's share.
fn table_test(cells: &Pair, fixed: bool, config: &ProfileDetectorConfig) -> Result<Option<Test>> {
    let held = cells.held().count();
    let table = chi_square(&cells.reference, &cells.window, MIN_EXPECTED)?;
    if let Some(test) = table.filter(|_| held > 2) {
        return Ok(Some(Test {
            name: "chi_square",
            statistic: test.statistic,
            p: test.p,
            exact: test.exact && (fixed || cells.all_listed()),
            effect: Effect::new("cramers_v", test.cramers_v),
        }));
    }
    let largest = cells.held().max_by_key(|(a, b)| a + b).filter(|_| held > 1);
    let Some((a, b)) = largest else { return Ok(None) };
    let (n, m) = cells.rows();
    let test = share_difference((a, n), (b, m), config.level)?;
    Ok(test.map(|test| Test {
        name: "largest_share",
        statistic: test.value,
        p: test.p,
        exact: fixed || cells.all_listed(),
        effect: Effect::new("share_difference", test.value).with_interval(test.interval),
    }))
}

/// The largest share of what only the window has; its exact probability, for both kinds together.
fn novel(cells: &Pair, config: &ProfileDetectorConfig) -> Result<Option<Novel>> {
    let kinds = [CellKind::Missing, CellKind::Other];
    let known = cells.cells.iter().zip(cells.counts());
    let novel = known.filter(|(cell, (a, b))| kinds.contains(&cell.kind) && *a == 0 && *b > 0);
    let Some(b) = novel.map(|(_, (_, b))| b).max() else { return Ok(None) };
    let (n, m) = cells.rows();
    let test = share_difference((0, n), (b, m), config.level)?;
    Ok(test.map(|test| Novel { share: test.value, p: (2.0 * test.p).min(1.0) }))
}

/// The exact test of the share of one kind of cell, if any row is there and any is not.
fn share_test(
    cells: &Pair,
    kind: CellKind,
    exact: bool,
    config: &ProfileDetectorConfig,
) -> Result<Option<Test>> {
    let of_kind = cells.cells.iter().zip(cells.counts()).find(|(cell, _)| cell.kind == kind);
    let (n, m) = cells.rows();
    let Some((_, (a, b))) = of_kind.filter(|(_, (a, b))| (1..n + m).contains(&(a + b))) else {
        return Ok(None);
    };
    let test = share_difference((a, n), (b, m), config.level)?;
    Ok(test.map(|test| Test {
        name: if kind == CellKind::Missing { "missing" } else { "other" },
        statistic: test.value,
        p: test.p,
        exact,
        effect: Effect::new("share_difference", test.value).with_interval(test.interval),
    }))
}

fn shifts(
    reference: &ColumnProfile<'_>,
    window: &ColumnProfile<'_>,
    cells: &Pair,
    config: &ProfileDetectorConfig,
) -> Result<Vec<(f64, Effect, Evidence)>> {
    let mut effects = Vec::new();
    if let (Some(before), Some(now)) = (reference.moments(), window.moments())
        && let Some(shift) = mean_shift(before, now, config.level)?
    {
        let effect = Effect::new("mean_shift_sd", shift.value).with_interval(shift.interval);
        effects.push((shift.value, effect, Evidence::Interval));
    }
    let (reference, window) = cells.values();
    if let Some(above) = superiority(reference, window, config.level)? {
        let effect = Effect::new("superiority", above.value).with_interval(above.interval);
        effects.push((above.value, effect, Evidence::Interval));
    }
    Ok(effects)
}
