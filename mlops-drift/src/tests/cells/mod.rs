//! Distances of two columns from their profiles, with bounds that surely hold.
//!
//! A profile's cell keeps how many values fell there, the least, the largest and their sum. That
//! bounds how far two samples are apart, often to a point: [`Certified`] has the bounds and says
//! whether they have met. Where they have not, and the rows of both sides can be read again, a
//! second pass needs the values of the undecided cells only ([`LinePair::read_again`]); the
//! distance is then that of the values themselves.
//!
//! Beside them stand distances over counts of cells, each with the noise that is to be expected
//! without drift: [`jensen_shannon`], [`kullback_leibler`], [`hellinger`], [`largest_difference`].
//!
//! ```
//! use mlops_core::arrow::array::{ArrayRef, Float64Array, RecordBatch};
//! use mlops_drift::{Profile, ProfileOptions, tests::cells::{Distance, LinePair}};
//! use std::sync::Arc;
//!
//! # fn main() -> mlops_core::Result<()> {
//! let column = |values: &[f64]| {
//!     let array: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
//!     RecordBatch::try_from_iter([("x", array)]).expect("one column")
//! };
//! let before: Vec<f64> = (0..900).map(f64::from).collect();
//! let now: Vec<f64> = (0..500).map(|value| f64::from(value) + 40.5).collect();
//! let options = ProfileOptions::default().with_max_cells(8);
//! let reference = Profile::fit(&[column(&before)], &options)?;
//! let mut window = Profile::empty_like(&reference);
//! window.update(&column(&now))?;
//!
//! let line = |profile: &Profile| profile.column("x").and_then(|x| x.line()).expect("numbers");
//! let pair = LinePair::new(&line(&reference), &line(&window))?;
//! let bounds = pair.wasserstein().expect("rows on both sides");
//!
//! let mut again = pair.read_again(&[Distance::Wasserstein]);
//! again.reference(&before);
//! again.window(&now);
//! let exact = again.finish()?.wasserstein().expect("rows on both sides");
//! assert!(exact.exact && bounds.low <= exact.high && exact.low <= bounds.high);
//! # Ok(())
//! # }
//! ```

mod again;
mod deals;
mod divergence;
mod ks;
mod limit_law;
mod line;
mod squares;
mod wasserstein;

pub use again::ReadAgain;
pub use divergence::{
    Divergence, LargestDifference, hellinger, jensen_shannon, kullback_leibler, largest_difference,
};
pub use line::{CellValues, Line, LinePair};
pub use wasserstein::Stretch;

/// Bounds of a number that surely hold, but for the rounding of floats (a share of 10⁻¹² of it).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Certified {
    /// It is at least this.
    pub low: f64,
    /// It is at most this.
    pub high: f64,
    /// Whether nothing is left to decide: what is between the bounds is rounding.
    pub exact: bool,
}

/// A test statistic with bounds, and its probability at the safe end of them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CertifiedTest {
    /// The statistic.
    pub statistic: Certified,
    /// Its probability without drift; `None` where the rows are too many to deal in every way and
    /// too few for the law of many.
    pub p: Option<SafeP>,
}

/// A probability that is not too small.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SafeP {
    /// Probability of a statistic at least as large as the *lower* bound, if both samples have one
    /// source; in (0, 1].
    pub value: f64,
    /// Whether it is the exact law of dealing these values at random, and the statistic is exact.
    /// Otherwise it is the law of many rows, or one of a bound.
    pub exact: bool,
}

/// The distances that have bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distance {
    /// [`LinePair::ks`].
    Ks,
    /// [`LinePair::wasserstein`].
    Wasserstein,
    /// [`LinePair::cramer_von_mises`].
    CramerVonMises,
    /// [`LinePair::anderson_darling`].
    AndersonDarling,
}

impl Certified {
    fn new(low: f64, high: f64, exact: bool) -> Self {
        Self { low, high: high.max(low), exact }
    }
}
