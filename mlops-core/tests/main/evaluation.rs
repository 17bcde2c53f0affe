//! Evaluations and comparisons decide as they say.

use mlops_core::evaluation::{
    Comparison, ComparisonRule, Evaluation, EvaluationOptions, Finding, Metric, Requirement, Slice,
    Slices,
};

/// Numbers in 0..1 that look random and are the same everywhere.
fn uniform(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((x ^ (x >> 31)) >> 32).unwrap()) / 4_294_967_296.0
}

/// Labels, the probabilities that they were drawn by, and poorer ones.
fn data(rows: u64) -> (Vec<bool>, Vec<f64>, Vec<f64>) {
    let good: Vec<f64> = (0..rows).map(|row| uniform(3 * row)).collect();
    let labels = (0..rows).zip(&good).map(|(row, p)| uniform(3 * row + 1) < *p).collect();
    let poor = (0..rows).zip(&good).map(|(row, p)| 0.5 * p + 0.5 * uniform(3 * row + 2)).collect();
    (labels, good, poor)
}

fn groups(rows: usize) -> Slices {
    let sex = (0..rows).map(|row| if row % 2 == 0 { "f" } else { "m" });
    let rare = (0..rows).map(|row| if row < 100 { "yes" } else { "no" });
    Slices::new(rows).with("sex", sex).and_then(|slices| slices.with("rare", rare)).unwrap()
}

#[test]
fn a_small_slice_is_reported_and_decides_nothing() {
    let (labels, good, _) = data(4_000);
    let options = EvaluationOptions::default();
    let evaluation = Evaluation::binary(&labels, &good, &groups(4_000), &options).unwrap();
    let rare = Slice::new("rare", "yes");
    let measured = evaluation.get(Metric::Accuracy, Some(&rare)).unwrap();
    assert_eq!((measured.rows, &measured.finding), (100, &Finding::TooFewRows));
    let requirement = Requirement::at_least(Metric::Accuracy, 0.99).of(rare);
    assert!(evaluation.decide(&[requirement]).blessed());
    assert_eq!(evaluation.measured.len(), 4 * 5, "four metrics for all rows and four slices");
}

#[test]
fn every_missed_requirement_is_listed() {
    let (labels, good, _) = data(4_000);
    let evaluation =
        Evaluation::binary(&labels, &good, &groups(4_000), &EvaluationOptions::default()).unwrap();
    let decision = evaluation.decide(&[
        Requirement::at_least(Metric::RocAuc, 0.99),
        Requirement::at_least(Metric::Accuracy, 0.5),
        Requirement::at_most(Metric::LogLoss, 0.1).of(Slice::new("sex", "f")),
        Requirement::at_most(Metric::Brier, 0.9).of(Slice::new("sex", "x")),
    ]);
    let gates: Vec<&str> = decision.unmet.iter().map(|unmet| unmet.gate.as_ref()).collect();
    assert_eq!(
        gates,
        ["roc_auc at least 0.99", "log_loss of sex=f at most 0.1", "brier of sex=x at most 0.9"]
    );
    assert!(
        decision.to_string().starts_with("refused\n- roc_auc at least 0.99: 0.8"),
        "{decision}"
    );
}

#[test]
fn a_better_model_is_blessed_and_a_worse_one_is_not() {
    let (labels, good, poor) = data(4_000);
    let options = EvaluationOptions::default();
    let compare = |champion: &[f64], challenger: &[f64]| {
        Comparison::binary(&labels, champion, challenger, &groups(4_000), &options).unwrap()
    };
    for metric in Metric::ALL {
        let rule = ComparisonRule::better_by(metric);
        assert!(compare(&poor, &good).decide(&rule).blessed(), "{metric}");
        let refused = compare(&good, &poor).decide(&rule);
        assert!(refused.unmet.len() >= 2, "{metric}: all rows, and slices too: {refused}");
        assert!(!compare(&good, &good).decide(&rule).blessed(), "no better than itself");
    }
}

#[test]
fn a_slice_that_is_shown_to_be_worse_refuses_a_better_model() {
    let (labels, good, poor) = data(8_000);
    let slices = groups(8_000);
    // Better for most, and turned upside down for half of the men.
    let harms = |row: usize| row % 4 == 1;
    let challenger: Vec<f64> =
        good.iter().enumerate().map(|(row, p)| if harms(row) { 1.0 - p } else { *p }).collect();
    let champion: Vec<f64> =
        poor.iter().enumerate().map(|(row, p)| if harms(row) { 0.5 } else { 1.0 - p }).collect();
    let options = EvaluationOptions::default();
    let comparison =
        Comparison::binary(&labels, &champion, &challenger, &slices, &options).unwrap();
    let rule = ComparisonRule::better_by(Metric::Brier);
    assert!(comparison.decide(&rule).blessed(), "the men on the whole still gain");
    let harmed =
        Slices::new(8_000).with("harmed", (0..8_000).map(|row| harms(row).to_string())).unwrap();
    let comparison =
        Comparison::binary(&labels, &champion, &challenger, &harmed, &options).unwrap();
    let decision = comparison.decide(&rule);
    assert_eq!(decision.unmet.len(), 1, "{decision}");
    assert!(decision.unmet[0].gate.starts_with("brier of harmed=true not worse"), "{decision}");
}

#[test]
fn bad_scores_and_single_classes_are_named() {
    let options = EvaluationOptions::default();
    let evaluate = |labels: &[bool], scores: &[f64]| {
        Evaluation::binary(labels, scores, &Slices::new(labels.len()), &options)
    };
    let error = evaluate(&[true, false], &[0.5, 1.5]).unwrap_err();
    assert_eq!(error.to_string(), "row 1: the score is no probability");
    assert!(evaluate(&[true, false], &[0.5, f64::NAN]).is_err());
    assert!(evaluate(&[true], &[0.5, 0.5]).is_err());
    let one_class = evaluate(&[true; 3], &[0.2, 0.9, 0.8]).unwrap();
    let area = &one_class.get(Metric::RocAuc, None).unwrap().finding;
    assert_eq!(area, &Finding::Undefined { why: "all rows are of one class".into() });
    // One row of a class says nothing of how its scores vary.
    let one_row = evaluate(&[true, false, false], &[0.9, 0.2, 0.8]).unwrap();
    let area = &one_row.get(Metric::RocAuc, None).unwrap().finding;
    assert_eq!(area, &Finding::Undefined { why: "one class has a single row".into() });
}

#[test]
fn an_evaluation_survives_json() {
    let (labels, good, _) = data(600);
    let evaluation =
        Evaluation::binary(&labels, &good, &groups(600), &EvaluationOptions::default()).unwrap();
    let json = serde_json::to_string(&evaluation).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), evaluation);
}
