//! What siblings need to say how sure they are: intervals, corrections, evidence.
//!
//! Plain functions over plain numbers. Counts are `u64`, probabilities lie in 0..=1, levels in
//! 0..1 (0.95 is usual); anything else is `InvalidInput`.

mod auc;
mod beta;
mod evidence;
mod interval;
mod mean;
mod multiple;
mod proportion;
mod student;

pub use auc::{Auc, auc_difference};
pub use evidence::{EProcess, e_benjamini_hochberg};
pub use interval::Interval;
pub use mean::mean_interval;
pub use multiple::{benjamini_hochberg, bonferroni, holm};
pub use proportion::{
    PairedCounts, clopper_pearson, difference_interval, mcnemar_p, paired_difference_interval,
    wilson,
};
pub use student::{f_upper_tail, student_quantile, student_two_sided};

use crate::{Error, Result};

/// Half of what lies outside an interval of this level, or the error that names the level.
fn tail(level: f64) -> Result<f64> {
    if level > 0.0 && level < 1.0 {
        return Ok((1.0 - level) / 2.0);
    }
    Err(Error::invalid(format!("a level lies between 0 and 1; {level} does not")))
}

/// How many standard errors a two-sided normal interval of this level reaches to either side: 1.96
/// for 0.95.
pub fn normal_quantile(level: f64) -> Result<f64> {
    use statrs::distribution::{ContinuousCDF, Normal};
    Ok(-Normal::standard().inverse_cdf(tail(level)?))
}

/// A count as a number: exact below 2^53, which no count of rows here reaches.
#[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// A length as a number.
fn real_len(len: usize) -> f64 {
    real(len as u64)
}
