//! A window's profile judged beside the reference's.

mod column;
mod config;

pub(crate) use column::{EFFECT_CELLS, Examined, examine};
pub use config::ProfileDetectorConfig;

use crate::{profile::Profile, tests::real};
use mlops_core::{
    DriftDetector, Error, Result,
    arrow::array::RecordBatch,
    drift::{DetectorInfo, DetectorState, Drift, Effect, Evidence, Merging, Verdict},
    stats::benjamini_hochberg,
};

/// Compares a window with a reference profile, column by column.
///
/// **Tests.** A numeric column: Kolmogorov–Smirnov on its cells. Categories: chi-square
/// homogeneity of listed values, others and nulls (the exact test of one share where the table
/// comes down to two cells). Beside either, exact tests of the shares of missing and of other
/// values where there are any. A column's probability is the least of its tests', times their
/// number; then columns are adjusted together (Benjamini–Hochberg).
///
/// **Effect.** The total variation distance with an interval, over up to 16 cells of a numeric
/// column with missing, below and above, or over all cells of categories: see
/// [`total_variation`](crate::tests::total_variation). Parts of a column show its tests, and the
/// same difference as population stability index, mean shift and probability of superiority; they
/// carry the column's verdict.
///
/// **Verdict.** A column is [`Drifted`](Verdict::Drifted) if its adjusted probability is below
/// `alpha` *and* the effect's interval lies beyond `margin`; [`Warning`](Verdict::Warning) if only
/// the estimate does, or if more than `novel_margin` of the rows are missing, or have a value that is
/// not listed, where no row of the reference does; else [`Stable`](Verdict::Stable), and
/// [`TooFewRows`](Verdict::TooFewRows) below `min_rows` on either side. The whole is the worst of
/// its columns; its effect is the largest of theirs, its statistic the number drifted, its
/// probability Simes' (the least adjusted one).
///
/// Probabilities say `exact` only if the reference's rows are not those that made the cells: see
/// [`Profile::empty_like`]. They hold for one look at a window filled beforehand; whoever looks
/// after each batch needs a sequential test.
#[derive(Clone, Debug)]
pub struct ProfileDetector {
    info: DetectorInfo,
    config: ProfileDetectorConfig,
    reference: Profile,
    window: Profile,
}

/// The name under which states are kept.
const NAME: &str = "profile";
/// The version of states that this build writes.
const STATE_VERSION: u32 = 1;

impl ProfileDetector {
    /// A detector with an empty window beside this reference.
    ///
    /// A threshold out of range and a reference without columns are `InvalidInput`.
    pub fn open(config: ProfileDetectorConfig, reference: Profile) -> Result<Self> {
        config.check()?;
        let names: Vec<_> = reference.spec().names().cloned().collect();
        if names.is_empty() {
            return Err(Error::invalid("a reference profile without columns"));
        }
        let info = DetectorInfo::new(NAME, names, Merging::Exact);
        let window = Profile::empty_like(&reference);
        Ok(Self { info, config, reference, window })
    }

    /// A detector with the window of a state.
    pub fn restore(
        config: ProfileDetectorConfig,
        reference: Profile,
        state: &DetectorState,
    ) -> Result<Self> {
        let mut detector = Self::open(config, reference)?;
        detector.merge(state)?;
        Ok(detector)
    }

    /// A detector whose window was counted elsewhere, in the reference's cells; others are
    /// `InvalidInput`.
    pub fn beside(
        config: ProfileDetectorConfig,
        reference: Profile,
        window: &Profile,
    ) -> Result<Self> {
        let mut detector = Self::open(config, reference)?;
        detector.window.merge(window)?;
        Ok(detector)
    }

    /// Its thresholds.
    pub fn config(&self) -> &ProfileDetectorConfig {
        &self.config
    }

    /// The reference's profile.
    pub fn reference(&self) -> &Profile {
        &self.reference
    }

    /// The window's profile.
    pub fn window(&self) -> &Profile {
        &self.window
    }

    fn examined(&self) -> Result<Option<Vec<Examined>>> {
        let enough = |profile: &Profile| profile.rows() >= self.config.min_rows.max(1);
        if !enough(&self.reference) || !enough(&self.window) {
            return Ok(None);
        }
        let pairs = self.reference.columns().zip(self.window.columns());
        pairs.map(|(before, now)| examine(&before, &now, &self.config)).collect()
    }

    fn too_few(&self) -> Drift {
        let rows = self.window.rows();
        let parts = self.info.columns.iter().map(|name| Drift::too_few(name.clone(), rows));
        Drift::too_few(WHOLE, rows).with_parts(parts.collect())
    }
}

/// The name of the finding about all columns together.
const WHOLE: &str = "all columns";

impl DriftDetector for ProfileDetector {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn update(&mut self, rows: &RecordBatch) -> Result<()> {
        self.window.update(rows)
    }

    fn evaluate(&self) -> Result<Drift> {
        let Some(examined) = self.examined()? else { return Ok(self.too_few()) };
        let rows = self.window.rows();
        let adjusted = benjamini_hochberg(&examined.iter().map(Examined::p).collect::<Vec<_>>())?;
        let columns = self.info.columns.iter().zip(examined).zip(adjusted);
        let judged =
            columns.map(|((name, examined), p)| examined.judged(name, rows, p, &self.config));
        Ok(whole(rows, judged.collect()))
    }

    fn state(&self) -> Result<DetectorState> {
        Ok(DetectorState::new(NAME, STATE_VERSION, self.window.to_bytes()?))
    }

    fn merge(&mut self, other: &DetectorState) -> Result<()> {
        self.window.merge(&Profile::from_bytes(other.open(NAME, STATE_VERSION)?)?)
    }

    fn reset(&mut self) {
        self.window = Profile::empty_like(&self.reference);
    }
}

/// The worst verdict, the largest effect, the least adjusted probability.
pub(crate) fn whole(rows: u64, columns: Vec<Drift>) -> Drift {
    let verdict = columns.iter().map(|column| column.verdict).max().unwrap_or(Verdict::Stable);
    let drifted = columns.iter().filter(|column| column.verdict == Verdict::Drifted).count();
    let size = |column: &Drift| column.effect.value.abs();
    let largest = columns.iter().max_by(|a, b| size(a).total_cmp(&size(b)));
    let effect =
        largest.map_or_else(|| Effect::new("total_variation", 0.0), |column| column.effect.clone());
    let (mut least, mut all_exact) = (1.0_f64, true);
    for column in &columns {
        if let Evidence::P { adjusted, exact, .. } = column.evidence {
            least = least.min(adjusted);
            all_exact &= exact;
        }
    }
    let evidence = Evidence::P { p: least, adjusted: least, exact: all_exact };
    Drift::new(WHOLE, rows, real(drifted as u64), effect, evidence, verdict).with_parts(columns)
}
