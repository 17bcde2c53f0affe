//! A bound that a metric keeps.

use mlops_core::{
    Result,
    registry::{Gate, ModelVersion, Unmet},
};
use std::{fmt, sync::Arc};

/// A bound that a metric of the candidate keeps: `roc_auc at least 0.82`.
///
/// A metric that was not measured, or is not a number, does not keep it.
///
/// ```
/// use mlops_registry::MetricGate;
///
/// assert_eq!(MetricGate::at_least("roc_auc", 0.82).to_string(), "roc_auc at least 0.82");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MetricGate {
    metric: Arc<str>,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl MetricGate {
    /// This or more.
    pub fn at_least(metric: impl Into<Arc<str>>, bound: f64) -> Self {
        Self { metric: metric.into(), bound: Bound::AtLeast(bound) }
    }

    /// This or less.
    pub fn at_most(metric: impl Into<Arc<str>>, bound: f64) -> Self {
        Self { metric: metric.into(), bound: Bound::AtMost(bound) }
    }
}

impl fmt::Display for MetricGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound {
            Bound::AtLeast(bound) => write!(f, "{} at least {bound}", self.metric),
            Bound::AtMost(bound) => write!(f, "{} at most {bound}", self.metric),
        }
    }
}

impl Gate for MetricGate {
    fn unmet(&self, candidate: &ModelVersion, _: Option<&ModelVersion>) -> Result<Vec<Unmet>> {
        let found = match (candidate.metrics.get(self.metric.as_ref()), self.bound) {
            (None, _) => "not measured".to_owned(),
            (Some(value), Bound::AtLeast(bound)) if *value >= bound => return Ok(Vec::new()),
            (Some(value), Bound::AtMost(bound)) if *value <= bound => return Ok(Vec::new()),
            (Some(value), _) => value.to_string(),
        };
        Ok(vec![Unmet::new(self.to_string(), found)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::{ModelName, Timestamp, VersionId, artifact::Manifest};

    #[test]
    fn a_bound_is_kept_or_named() {
        let id = VersionId::new(ModelName::new("risk").unwrap(), 1);
        let mut version = ModelVersion::new(id, Manifest::default(), Timestamp::default());
        version.metrics = [("auc".to_owned(), 0.8), ("loss".to_owned(), f64::NAN)].into();
        let unmet = |gate: MetricGate| gate.unmet(&version, None).unwrap();
        assert!(unmet(MetricGate::at_least("auc", 0.8)).is_empty());
        assert!(unmet(MetricGate::at_most("auc", 0.8)).is_empty());
        assert_eq!(unmet(MetricGate::at_least("auc", 0.9))[0].to_string(), "auc at least 0.9: 0.8");
        assert_eq!(unmet(MetricGate::at_most("loss", 9.0))[0].found.as_ref(), "NaN");
        assert_eq!(unmet(MetricGate::at_most("brier", 1.0))[0].found.as_ref(), "not measured");
    }
}
