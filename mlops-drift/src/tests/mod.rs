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
//! | [`share_difference`] | two shares | whether one share differs: nulls, unseen values |
//! | [`total_variation`] | counts of cells | how much mass has moved, with an interval |
//! | [`psi`] | counts of cells | the population stability index beside its noise floor |
//! | [`mean_shift`] | means and deviations | how far the mean moved, in reference deviations |
//! | [`cells`] | two profiles of a column | four distances with bounds that surely hold |
//! | [`superiority`] | counts of ordered cells | how often a window value exceeds a reference value |

pub mod cells;
mod chi_square;
mod ks;
mod ks_law;
mod psi;
mod share;
mod shift;
mod total_variation;

pub use chi_square::{ChiSquare, MIN_EXPECTED, chi_square};
pub use ks::{EXACT_CELLS, Ks, ks, ks_cells};
pub use psi::{Psi, psi};
pub use share::{ShareDifference, share_difference};
pub use shift::{MeanShift, Moments, Superiority, mean_shift, superiority};
pub use total_variation::{Order, TotalVariation, total_variation};

use mlops_core::{Error, Result};

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
