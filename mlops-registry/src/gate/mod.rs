//! Conditions of a promotion: bounds for a first model, a paired comparison for whoever comes after it.

mod champion;
mod metric;

pub use champion::ChampionGate;
pub use metric::MetricGate;
