//! Areas with their errors, and whole evaluations and comparisons.

use super::{Ends, Replay};
use mlops_core::{
    evaluation::{Comparison, Evaluation, EvaluationOptions, Finding, Measured, Metric, Slices},
    stats::{Auc, auc_difference},
};
use serde::{Deserialize, Deserializer};

const FILE: &str = "metrics.json";

fn yes<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<bool>, D::Error> {
    Ok(Vec::<u8>::deserialize(source)?.into_iter().map(|label| label == 1).collect())
}

fn area(labels: &[bool], scores: &[f64]) -> Auc {
    Auc::new(labels, scores).unwrap().unwrap()
}

#[derive(Deserialize)]
struct Area {
    #[serde(deserialize_with = "yes")]
    labels: Vec<bool>,
    scores: Vec<f64>,
    #[serde(rename = "area")]
    value: f64,
    variance: f64,
    #[serde(flatten)]
    ends: Ends,
}

#[test]
fn areas_are_those_of_scikit_learn_and_their_variances_those_of_delong() {
    let (mut replay, cases) = Replay::of::<Area>(FILE, "auc");
    for (at, case) in cases.iter().enumerate() {
        let own = area(&case.labels, &case.scores);
        let interval = own.interval(case.ends.level).unwrap();
        replay.same(at, "area", own.value, case.value);
        // A variance is a mean of squares of numbers up to 1: below 1e-20 is rounding.
        replay.same_by(at, "variance", (own.variance(), case.variance), 1e-20);
        replay.same(at, "low", interval.low, case.ends.low);
        replay.same(at, "high", interval.high, case.ends.high);
    }
    replay.finish();
}

#[derive(Deserialize)]
struct AreaDifference {
    #[serde(deserialize_with = "yes")]
    labels: Vec<bool>,
    first: Vec<f64>,
    second: Vec<f64>,
    difference: f64,
    covariance: f64,
    #[serde(flatten)]
    ends: Ends,
}

#[test]
fn differences_of_areas_are_those_of_delong() {
    let (mut replay, cases) = Replay::of::<AreaDifference>(FILE, "auc_difference");
    for (at, case) in cases.iter().enumerate() {
        let (first, second) = (area(&case.labels, &case.first), area(&case.labels, &case.second));
        let (difference, own) = auc_difference(&first, &second, case.ends.level).unwrap();
        let variances = first.variance().max(second.variance());
        // Everything here is a rest of areas and of variances, which may leave nothing.
        let reach = (case.ends.high - case.ends.low).abs().max(first.value.max(second.value));
        replay.same_by(at, "difference", (difference, case.difference), reach);
        replay.same_by(at, "covariance", (first.covariance(&second), case.covariance), variances);
        // The root of a variance that is all rounding keeps half of its digits only.
        let root = variances.sqrt() * 1e-8 / 1e-10;
        let of_rounding = if case.first == case.second { root } else { reach };
        replay.same_by(at, "low", (own.low, case.ends.low), of_rounding);
        replay.same_by(at, "high", (own.high, case.ends.high), of_rounding);
    }
    replay.finish();
}

/// Value, low and high end.
type Triple = [f64; 3];

#[derive(Deserialize)]
struct Measures {
    accuracy: Triple,
    roc_auc: Option<Triple>,
    log_loss: Triple,
    brier: Triple,
}

impl Measures {
    fn of(&self, metric: Metric) -> Option<Triple> {
        match metric {
            Metric::Accuracy => Some(self.accuracy),
            Metric::RocAuc => self.roc_auc,
            Metric::LogLoss => Some(self.log_loss),
            Metric::Brier => Some(self.brier),
            other => panic!("no oracle for {other}"),
        }
    }

    fn replay(&self, replay: &mut Replay, at: usize, measured: &[Measured], least: f64) {
        assert_eq!(measured.len(), Metric::ALL.len());
        for own in measured {
            let name = own.metric.as_str();
            let Some([value, low, high]) = self.of(own.metric) else {
                let undefined = matches!(own.finding, Finding::Undefined { .. });
                assert!(undefined, "case {at}: {:?}", own.finding);
                continue;
            };
            let Finding::Value { value: own_value, interval } = &own.finding else {
                panic!("case {at}: {name} is {:?}", own.finding)
            };
            let rest_of = (high - low).abs().max(least);
            replay.same_by(at, name, (*own_value, value), rest_of);
            replay.same_by(at, &format!("{name} low"), (interval.low, low), rest_of);
            replay.same_by(at, &format!("{name} high"), (interval.high, high), rest_of);
        }
    }
}

#[derive(Deserialize)]
struct Evaluated {
    #[serde(deserialize_with = "yes")]
    labels: Vec<bool>,
    scores: Vec<f64>,
    threshold: f64,
    level: f64,
    #[serde(flatten)]
    measures: Measures,
}

#[test]
fn evaluations_are_those_of_scikit_learn() {
    let (mut replay, cases) = Replay::of::<Evaluated>(FILE, "evaluation");
    for (at, case) in cases.iter().enumerate() {
        let options =
            EvaluationOptions::default().with_level(case.level).with_threshold(case.threshold);
        let slices = Slices::new(case.labels.len());
        let own = Evaluation::binary(&case.labels, &case.scores, &slices, &options).unwrap();
        case.measures.replay(&mut replay, at, &own.measured, 0.0);
    }
    replay.finish();
}

#[derive(Deserialize)]
struct Compared {
    #[serde(deserialize_with = "yes")]
    labels: Vec<bool>,
    champion: Vec<f64>,
    challenger: Vec<f64>,
    level: f64,
    #[serde(flatten)]
    measures: Measures,
}

#[test]
fn comparisons_are_those_of_the_definitions() {
    let (mut replay, cases) = Replay::of::<Compared>(FILE, "comparison");
    for (at, case) in cases.iter().enumerate() {
        let options = EvaluationOptions::default().with_level(case.level);
        let slices = Slices::new(case.labels.len());
        let (champion, challenger) = (&case.champion, &case.challenger);
        let own =
            Comparison::binary(&case.labels, champion, challenger, &slices, &options).unwrap();
        // Improvements are rests of metrics, which are of the size of 1; of a model compared with
        // itself only the root of a rounding error of 1e-16 is left.
        let least = if champion == challenger { 1e3 } else { 1.0 };
        case.measures.replay(&mut replay, at, &own.improvements, least);
    }
    replay.finish();
}
