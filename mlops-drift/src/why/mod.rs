//! Why a column drifted: what its difference is made of, where it comes from, which rows show it,
//! and a sentence to act on.
//!
//! | question | answer |
//! |---|---|
//! | which values moved | [`attribution`]: signed parts, a cell each, that add up to a [`Measure`] |
//! | what happened | [`explain`]: a [`Cause`] and a sentence for each column |
//! | where | [`segments`]: which segments moved under one false-discovery rate, and what each adds |
//! | show me | [`HeaviestRows`]: the rows that are most typical of the window and not of the reference |
//!
//! ```
//! use mlops_core::{DriftDetector, arrow::array::{ArrayRef, Float64Array, RecordBatch}};
//! use mlops_drift::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions, why};
//! use std::sync::Arc;
//!
//! # fn main() -> mlops_core::Result<()> {
//! let rows = |factor: f64| {
//!     let height: ArrayRef = Arc::new(Float64Array::from_iter_values(
//!         (0..2000).map(|row| (150.0 + f64::from(row * 7919 % 500) / 10.0) * factor),
//!     ));
//!     RecordBatch::try_from_iter([("height", height)]).expect("one column")
//! };
//! let reference = Profile::fit(&[rows(1.0)], &ProfileOptions::default())?;
//! let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference)?;
//! detector.update(&rows(0.01))?; // metres instead of centimetres
//! let why = why::explain(&detector.evaluate()?, detector.reference(), detector.window())?;
//! assert!(why[0].sentence().contains("multiplied by 0.01"), "{}", why[0].sentence());
//! # Ok(())
//! # }
//! ```

mod cause;
mod cells;
mod explain;
mod quartiles;
mod rows;
mod segments;

pub use cause::{Cause, ShareChange};
pub use cells::{Attribution, CellPart, Measure, attribution};
pub use explain::{Explanation, explain};
pub use rows::{HeaviestRows, RowCell, WeighedRow};
pub use segments::{ColumnBySegment, SegmentDrift, SegmentPart, SegmentsDrift, segments};
