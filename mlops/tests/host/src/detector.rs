//! A detector that a team has written by hand: the mean of one column.

use mlops::{
    DriftDetector, Error, Result,
    arrow::array::{Array, Float64Array, RecordBatch, cast::AsArray, types::Float64Type},
    drift::{DetectorInfo, DetectorState, Drift, Effect, Evidence, Merging, Verdict},
};
use std::sync::Arc;

const NAME: &str = "mean";

/// Compares a window's mean with the reference's, in reference standard deviations.
#[derive(Debug)]
pub struct MeanDetector {
    info: DetectorInfo,
    reference: (f64, f64),
    /// In thousandths, so that any order of adding gives the same sum.
    sum: i128,
    count: u64,
}

impl MeanDetector {
    pub fn open(column: &str, reference: &RecordBatch) -> Result<Self> {
        let info = DetectorInfo::new(NAME, [Arc::from(column)], Merging::Exact);
        let values = column_of(reference, column)?;
        let n = values.len() as f64;
        let mean = values.iter().flatten().sum::<f64>() / n;
        let variance = values.iter().flatten().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        Ok(Self { info, reference: (mean, variance.sqrt()), sum: 0, count: 0 })
    }

    pub fn restore(column: &str, reference: &RecordBatch, state: &DetectorState) -> Result<Self> {
        let mut detector = Self::open(column, reference)?;
        detector.merge(state)?;
        Ok(detector)
    }
}

fn column_of<'a>(rows: &'a RecordBatch, column: &str) -> Result<&'a Float64Array> {
    let array = rows.column_by_name(column);
    let array = array.ok_or_else(|| Error::invalid(format!("column {column:?} is missing")))?;
    let wrong = || Error::invalid(format!("column {column:?} is not float64"));
    array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)
}

impl DriftDetector for MeanDetector {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn update(&mut self, rows: &RecordBatch) -> Result<()> {
        let values = column_of(rows, &self.info.columns[0])?;
        self.sum += values.iter().flatten().map(|x| (x * 1e3).round() as i128).sum::<i128>();
        self.count += (values.len() - values.null_count()) as u64;
        Ok(())
    }

    fn evaluate(&self) -> Result<Drift> {
        let column = Arc::clone(&self.info.columns[0]);
        if self.count < 100 {
            return Ok(Drift::too_few(column, self.count));
        }
        let (mean, sd) = self.reference;
        let shift = (self.sum as f64 / 1e3 / self.count as f64 - mean) / sd;
        let verdict = if shift.abs() > 0.5 { Verdict::Drifted } else { Verdict::Stable };
        let effect = Effect::new("mean_shift_sd", shift);
        Ok(Drift::new(column, self.count, shift.abs(), effect, Evidence::Rule, verdict))
    }

    fn state(&self) -> Result<DetectorState> {
        let bytes = [self.sum.to_le_bytes().as_slice(), &self.count.to_le_bytes()].concat();
        Ok(DetectorState::new(NAME, 1, bytes))
    }

    fn merge(&mut self, other: &DetectorState) -> Result<()> {
        let bytes = other.open(NAME, 1)?;
        let damaged = || Error::corrupt("a state of detector \"mean\" has 24 bytes");
        let (sum, count) = bytes.split_at_checked(16).ok_or_else(damaged)?;
        let sum = i128::from_le_bytes(sum.try_into().map_err(|_| damaged())?);
        let count = u64::from_le_bytes(count.try_into().map_err(|_| damaged())?);
        (self.sum, self.count) = (self.sum + sum, self.count + count);
        Ok(())
    }

    fn reset(&mut self) {
        (self.sum, self.count) = (0, 0);
    }
}
