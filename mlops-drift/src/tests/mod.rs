//! Tests of two samples: plain functions over slices of values or of cell counts.
//!
//! Each answers `Ok(None)` where there are too few rows to say anything, and a named error where
//! the input itself is wrong. All compare a *reference* with a *window* and treat the two sides
//! alike: nothing here takes the reference for the true law.
//!
//! | function | over | says |
//! |---|---|---|
//! | [`ks`] | values | whether two distributions differ anywhere along the line |
//! | [`ks_cells`] | counts of ordered cells | the same, from profiles |
//! | [`chi_square`] | counts of unordered cells | whether the shares of categories differ |
//! | [`homogeneity`] | counts of unordered cells | the same, right at any size: Pearson, G, Fisher |
//! | [`fisher`] | counts of two cells | Fisher's exact test, with the odds ratio |
//! | [`two_proportions`] | two shares | the pooled z-test, exact where few rows are expected |
//! | [`cramers_v`] | counts of unordered cells | how far the shares differ, with an interval |
//! | [`share_difference`] | two shares | whether one share differs: nulls, unseen values |
//! | [`total_variation`] | counts of cells | how much mass has moved, with an interval |
//! | [`psi`] | counts of cells | the population stability index beside its noise floor |
//! | [`mean_shift`] | means and deviations | how far the mean moved, in reference deviations |
//! | [`mann_whitney`] | values | whether one sample's values tend to exceed the other's |
//! | [`welch`] | values | whether the means differ |
//! | [`brown_forsythe`] | values | whether the spreads differ |
//! | [`energy`] | values | whether two distributions differ, by the energy distance |
//! | [`mean_equivalence`] | moments | whether the means surely differ by less than a margin |
//! | [`shift_equivalence`] | moments | the same in deviations of the reference |
//! | [`share_equivalence`] | two shares | whether they surely differ by less than a margin |
//! | [`superiority`] | counts of ordered cells | how often a window value exceeds a reference value |
//! | [`cells`] | two profiles of a column | four distances with bounds that surely hold |

mod brown_forsythe;
pub mod cells;
mod chi_square;
mod cramers_v;
mod energy;
mod equivalence;
mod exponent;
mod fisher;
mod hypergeometric;
mod ks;
mod ks_law;
mod mann_whitney;
mod permutation;
mod proportions;
mod psi;
mod rows;
mod share;
mod shift;
mod strata;
mod table;
mod total_variation;
mod welch;

pub use brown_forsythe::{BrownForsythe, SpreadRatio, brown_forsythe};
pub use chi_square::{ChiSquare, MIN_EXPECTED, chi_square};
pub use cramers_v::{CramersV, cramers_v};
pub use energy::{Energy, energy};
pub use equivalence::{
    Equivalence, equivalence, mean_equivalence, share_equivalence, shift_equivalence,
};
pub use fisher::{Fisher, fisher};
pub use ks::{EXACT_CELLS, Ks, ks, ks_cells};
pub use mann_whitney::{MannWhitney, mann_whitney};
pub use permutation::{Law, PermutationOptions};
pub use proportions::{NORMAL_EXPECTED, TwoProportions, two_proportions};
pub use psi::{Psi, psi};
pub use share::{ShareDifference, share_difference};
pub use shift::{MeanShift, Moments, Superiority, mean_shift, superiority};
pub use table::{Homogeneity, TableStatistic, homogeneity};
pub use total_variation::{Order, TotalVariation, total_variation};
pub use welch::{Welch, welch};

use chi_square::table_statistic;
pub(crate) use exponent::tail_exponent;
use mlops_core::{Error, Result};
pub(crate) use share::dealt_tails;
pub(crate) use strata::summed_tails;

/// The most rows that a side may have: integers of 128 bits then hold every product of counts.
pub const MAX_ROWS: u64 = 1 << 38;

/// Rows of each side, after the checks that every test of cells makes.
fn rows_of_cells(reference: &[u64], window: &[u64]) -> Result<(u64, u64)> {
    if reference.len() != window.len() {
        let (left, right) = (reference.len(), window.len());
        return Err(Error::invalid(format!(
            "the reference has {left} cells, the window {right}: they must be the same cells"
        )));
    }
    Ok((rows(reference)?, rows(window)?))
}

fn rows(counts: &[u64]) -> Result<u64> {
    let total = counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    total
        .filter(|&total| total <= MAX_ROWS)
        .ok_or_else(|| Error::too_large(format!("the cells count over {MAX_ROWS} rows")))
}

/// A count as a real number; counts are at most [`MAX_ROWS`], which a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts are under 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// A probability that a float can hold: in (0, 1], since no finite sample makes a p-value of 0.
fn probability(p: f64) -> f64 {
    p.clamp(f64::MIN_POSITIVE, 1.0)
}
