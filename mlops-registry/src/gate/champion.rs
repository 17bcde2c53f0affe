//! Better than what is there, or good enough where nothing is.

use super::MetricGate;
use mlops_core::{
    Digest, Result,
    evaluation::{Comparison, ComparisonRule},
    registry::{Gate, ModelVersion, Unmet},
};
use std::fmt;

/// The usual condition of a promotion: a first model keeps absolute bounds; whoever comes after it is
/// better than the champion by a paired interval, and in no deciding slice shown to be worse by more than
/// a margin.
///
/// Which of the two applies is decided by what the alias points at when it moves, not when the caller
/// looked: a comparison with another version than today's champion, or of other bytes than the
/// candidate's, says nothing and does not meet the condition.
///
/// ```
/// use mlops_core::evaluation::{ComparisonRule, Metric};
/// use mlops_registry::{ChampionGate, MetricGate};
///
/// let gate = ChampionGate::new(ComparisonRule::better_by(Metric::RocAuc).with_slice_margin(0.02))
///     .with_first(MetricGate::at_least("roc_auc", 0.82));
/// assert_eq!(
///     gate.to_string(),
///     "roc_auc better than the champion's, no slice worse by more than 0.02; \
///      of a first model: roc_auc at least 0.82"
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ChampionGate {
    rule: ComparisonRule,
    first: Vec<MetricGate>,
    compared: Option<Compared>,
}

/// What was found about two versions, by the digests of their bytes.
#[derive(Clone, Debug, PartialEq)]
struct Compared {
    champion: Digest,
    candidate: Digest,
    comparison: Comparison,
}

impl ChampionGate {
    /// A condition without bounds for a first model and, as yet, without a comparison.
    pub fn new(rule: ComparisonRule) -> Self {
        Self { rule, first: Vec::new(), compared: None }
    }

    /// Adds a bound that a first model keeps.
    #[must_use]
    pub fn with_first(mut self, bound: MetricGate) -> Self {
        self.first.push(bound);
        self
    }

    /// Hands in how the candidate compared with the champion, on the same rows.
    #[must_use]
    pub fn with_comparison(
        mut self,
        champion: &ModelVersion,
        candidate: &ModelVersion,
        comparison: Comparison,
    ) -> Self {
        let (champion, candidate) = (champion.digest(), candidate.digest());
        self.compared = Some(Compared { champion, candidate, comparison });
        self
    }

    fn against(&self, candidate: &ModelVersion, champion: &ModelVersion) -> Vec<Unmet> {
        let not_compared = |found: String| vec![Unmet::new(self.better(), found)];
        let (new, old) = (&candidate.id, &champion.id);
        let Some(compared) = &self.compared else {
            return not_compared(format!("{new} was not compared with {old}"));
        };
        if compared.candidate != candidate.digest() || compared.champion != champion.digest() {
            return not_compared(format!("the comparison is not of {new} with {old}"));
        }
        let improvements = &compared.comparison.improvements;
        let decides = |own: &mlops_core::evaluation::Measured| {
            own.slice.is_none() && own.metric == self.rule.metric
        };
        if !improvements.iter().any(decides) {
            return not_compared(format!("{new} was compared with {old} by other metrics"));
        }
        compared.comparison.decide(&self.rule).unmet
    }

    fn better(&self) -> String {
        format!("{} better than the champion's", self.rule.metric)
    }
}

impl fmt::Display for ChampionGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let margin = self.rule.slice_margin;
        write!(f, "{}, no slice worse by more than {margin}", self.better())?;
        for (index, bound) in self.first.iter().enumerate() {
            let before = if index == 0 { "; of a first model: " } else { ", " };
            write!(f, "{before}{bound}")?;
        }
        Ok(())
    }
}

impl Gate for ChampionGate {
    fn unmet(
        &self,
        candidate: &ModelVersion,
        champion: Option<&ModelVersion>,
    ) -> Result<Vec<Unmet>> {
        if let Some(champion) = champion {
            return Ok(self.against(candidate, champion));
        }
        let mut unmet = Vec::new();
        for bound in &self.first {
            unmet.extend(bound.unmet(candidate, None)?);
        }
        Ok(unmet)
    }
}
