//! Who is promoted, and every reason why not.

use mlops_core::{
    ModelName, Timestamp, VersionId,
    artifact::{ArtifactPath, ArtifactRef, Manifest},
    evaluation::{Comparison, ComparisonRule, EvaluationOptions, Metric, Slices},
    registry::{Gate, ModelVersion},
};
use mlops_registry::{ChampionGate, MetricGate};

const ROWS: usize = 2_000;

fn version(number: u64, auc: f64) -> ModelVersion {
    let mut manifest = Manifest::default();
    let bytes = ArtifactRef::of(number.to_le_bytes());
    manifest.insert(ArtifactPath::new("model").unwrap(), bytes);
    let id = VersionId::new(ModelName::new("risk").unwrap(), number);
    let mut version = ModelVersion::new(id, manifest, Timestamp::default());
    version.metrics.insert("roc_auc".to_owned(), auc);
    version
}

/// Scores that are right in so many of ten rows, for men and for women.
fn scores(labels: &[bool], right: [usize; 2]) -> Vec<f64> {
    let score = |(row, &label): (usize, &bool)| {
        let right = row / 2 % 10 < right[row % 2];
        if label == right { 0.8 } else { 0.2 }
    };
    labels.iter().enumerate().map(score).collect()
}

fn compared(champion: [usize; 2], candidate: [usize; 2]) -> Comparison {
    let labels: Vec<bool> = (0..ROWS).map(|row| row / 20 % 2 == 0).collect();
    let sex = (0..ROWS).map(|row| if row % 2 == 0 { "f" } else { "m" });
    let slices = Slices::new(ROWS).with("sex", sex).unwrap();
    let (old, new) = (scores(&labels, champion), scores(&labels, candidate));
    Comparison::binary(&labels, &old, &new, &slices, &EvaluationOptions::default()).unwrap()
}

fn gate() -> ChampionGate {
    ChampionGate::new(ComparisonRule::better_by(Metric::Accuracy))
        .with_first(MetricGate::at_least("roc_auc", 0.82))
}

fn reasons(
    gate: &dyn Gate,
    candidate: &ModelVersion,
    champion: Option<&ModelVersion>,
) -> Vec<String> {
    let unmet = gate.unmet(candidate, champion).unwrap();
    unmet.into_iter().map(|unmet| unmet.to_string()).collect()
}

#[test]
fn a_first_model_keeps_the_bounds() {
    assert_eq!(reasons(&gate(), &version(1, 0.9), None), Vec::<String>::new());
    assert_eq!(reasons(&gate(), &version(1, 0.8), None), ["roc_auc at least 0.82: 0.8"]);
}

#[test]
fn who_comes_after_is_better_and_hurts_no_slice() {
    // The bounds of a first model are no longer asked about.
    let (old, new) = (version(1, 0.9), version(2, 0.5));
    let with = |candidate| gate().with_comparison(&old, &new, compared([7, 7], candidate));
    assert_eq!(reasons(&with([9, 9]), &new, Some(&old)), Vec::<String>::new());
    let same = reasons(&with([7, 7]), &new, Some(&old));
    assert_eq!(same.len(), 1);
    assert!(
        same[0].starts_with("accuracy better than the champion's: improves by 0.0000"),
        "{same:?}"
    );
    let hurts = reasons(&with([5, 10]), &new, Some(&old));
    assert_eq!(hurts.len(), 1);
    assert!(hurts[0].starts_with("accuracy of sex=f not worse by more than 0.01: worse by 0.2000"));
}

#[test]
fn a_comparison_of_others_decides_nothing() {
    let (old, new, other) = (version(1, 0.9), version(2, 0.9), version(3, 0.9));
    let missing = reasons(&gate(), &new, Some(&old));
    assert_eq!(
        missing,
        ["accuracy better than the champion's: risk/2 was not compared with risk/1"]
    );
    let gate = gate().with_comparison(&old, &new, compared([7, 7], [9, 9]));
    assert_eq!(reasons(&gate, &new, Some(&other)).len(), 1);
    assert_eq!(reasons(&gate, &other, Some(&old)).len(), 1);
    assert_eq!(reasons(&gate, &new, None), Vec::<String>::new());
}
