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

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_champion_is_followed_by_a_better_one() {
    use crate::story::Home;
    use mlops_core::{
        Alias, Registry,
        registry::{AliasMove, MoveAlias},
    };

    let home = Home::new().await;
    let create = async |text: &str, auc: f64| {
        let metrics = [("roc_auc".to_owned(), auc)].into();
        let new = home.version("risk", text).with_metrics(metrics);
        home.store.create_version(new).await.unwrap()
    };
    let promote = async |to: u64, gate: ChampionGate| {
        let (model, champion) = (ModelName::new("risk").unwrap(), Alias::new("champion").unwrap());
        let request = MoveAlias::new(model, champion, to, "the next").with_gate(gate);
        home.store.move_alias(request).await.unwrap()
    };
    let (poor, first, next) =
        (create("poor", 0.7).await, create("first", 0.9).await, create("next", 0.6).await);
    assert!(matches!(promote(poor.id.version, gate()).await, AliasMove::Refused { .. }));
    assert_eq!(promote(2, gate()).await, AliasMove::Moved { from: None, to: Some(2) });
    let refused = promote(3, gate()).await;
    assert!(matches!(&refused, AliasMove::Refused { unmet } if unmet.len() == 1), "{refused:?}");
    let compared = gate().with_comparison(&first, &next, compared([7, 7], [9, 9]));
    assert_eq!(promote(3, compared).await, AliasMove::Moved { from: Some(2), to: Some(3) });
}
