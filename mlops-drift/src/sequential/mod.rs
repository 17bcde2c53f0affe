//! Tests that may be looked at all the time: evidence over single rows, as they come.
//!
//! A p-value holds for one look; thirty daily looks at 5% alarm four years in five. Here each row
//! is compared with all rows before it, reference included, and *evidence* grows by betting
//! against "nothing has changed": it ever reaches 1/α with probability at most α, whenever and
//! however often anyone looks.
//!
//! Rows come as cells: indices into counts of the reference, such as those of a profile's columns.
//! Fix the cells beforehand, or count other reference rows in them than those that made them
//! ([`Profile::empty_like`](crate::Profile::empty_like)).
//!
//! ```
//! # fn main() -> mlops_core::Result<()> {
//! use mlops_drift::sequential::{ConformalConfig, ConformalTest};
//!
//! let mut test = ConformalTest::open(ConformalConfig::default(), &[250, 250, 250, 250])?;
//! for row in 0..400 {
//!     test.update([2, 3, 3, 3][row % 4])?; // the lower half of the values is gone
//! }
//! assert!(test.rejects() && test.alarms() > 0);
//! # Ok(())
//! # }
//! ```

mod bets;
mod config;
mod conformal;
mod pool;
mod state;

pub use config::ConformalConfig;
pub use conformal::{ConformalTest, averaged_evidence};
