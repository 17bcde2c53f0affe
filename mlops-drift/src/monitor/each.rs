//! Rows that have times of their own.

use super::{Monitor, season};
use mlops_core::{Error, Result, Timestamp, arrow::array::RecordBatch};

impl Monitor {
    /// As [`update_at`](Self::update_at), where each row has a time of its own, in any order: they are
    /// taken hour by hour, each hour's rows as of the last of them. So with [`Strata`](super::Strata)
    /// each counts in its own hour, and windows end where time does.
    ///
    /// Time does not go back from one call to the next: what is older than the latest seen counts as
    /// of that. Another number of times than of rows is `InvalidInput`, as is what
    /// [`Profile::update`](crate::Profile::update) refuses, and no row is taken then.
    ///
    /// ```
    /// # use mlops_core::{Timestamp, arrow::array::{ArrayRef, Float64Array, RecordBatch}};
    /// # use std::sync::Arc;
    /// use mlops_drift::{Monitor, MonitorConfig, Profile, ProfileOptions};
    ///
    /// # fn main() -> mlops_core::Result<()> {
    /// # let x: ArrayRef = Arc::new((0..300).map(f64::from).collect::<Float64Array>());
    /// # let rows = RecordBatch::try_from_iter([("x", x)]).expect("one column");
    /// let reference = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default())?;
    /// let monitor = Monitor::new(reference, MonitorConfig::default())?;
    /// // Every other row came two hours later.
    /// let times = (0..300).map(|row| Timestamp::from_unix_millis(row % 2 * 2 * 3_600_000));
    /// monitor.update_each(&rows, &times.collect::<Vec<_>>())?;
    /// let status = monitor.status();
    /// assert_eq!((status.windows, status.rows_in_progress), (1, 150)); // a window lasts an hour
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_each(&self, rows: &RecordBatch, times: &[Timestamp]) -> Result<()> {
        if times.len() != rows.num_rows() {
            let (times, rows) = (times.len(), rows.num_rows());
            return Err(Error::invalid(format!("{times} times for {rows} rows: one a row")));
        }
        // What is not counted need not be copied.
        let rows = self.reference().counted(rows)?;
        let mut order: Vec<(Timestamp, u64)> = times.iter().copied().zip(0..).collect();
        order.sort_unstable();
        for hour in order.chunk_by(|a, b| season::hour(a.0) == season::hour(b.0)) {
            let Some((last, _)) = hour.last() else { continue };
            let places = hour.iter().map(|(_, place)| *place).collect();
            self.update_at(&season::taken(&rows, places)?, *last)?;
        }
        Ok(())
    }
}
