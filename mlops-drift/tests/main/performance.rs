//! Accuracy from late outcomes: beside a batch computation, in any order, within bounds.

use super::random::Random;
use mlops_core::{
    ErrorKind, PredictionId, Timestamp,
    inference_log::{Outcome, OutcomeValue},
    stats::wilson,
};
use mlops_drift::performance::{
    Answer, JoinCounts, LateAccuracy, LateAccuracyConfig, VersionAccuracy,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400_000;

#[derive(Clone, Debug)]
enum Input {
    Answer(Answer),
    Outcome(Outcome),
}

fn config() -> LateAccuracyConfig {
    LateAccuracyConfig::new("employed")
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_unix_millis(day * DAY)
}

fn id(number: u32) -> PredictionId {
    PredictionId::from_u128(number.into())
}

fn taken(config: LateAccuracyConfig, inputs: &[Input]) -> LateAccuracy {
    let mut accuracy = LateAccuracy::new(config);
    for input in inputs {
        match input {
            Input::Answer(answer) => accuracy.answer(answer).unwrap(),
            Input::Outcome(outcome) => accuracy.outcome(outcome).unwrap(),
        }
    }
    accuracy
}

fn shuffled<T: Clone>(random: &mut Random, all: &[T]) -> Vec<T> {
    let mut keyed: Vec<(f64, T)> = all.iter().map(|one| (random.unit(), one.clone())).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().map(|(_, one)| one).collect()
}

/// Answered, known and right rows by version.
fn numbers(versions: &[VersionAccuracy]) -> BTreeMap<String, (u64, u64, u64)> {
    let of = |one: &VersionAccuracy| {
        assert_eq!(one.incomparable, 0);
        (one.version.to_string(), (one.answered, one.known, one.right))
    };
    versions.iter().map(of).collect()
}

/// 1 to 90 days late, out of order, 5 % twice, 2 % of nobody's; one in ten by its key.
#[test]
fn late_outcomes_give_the_accuracy_of_a_batch_computation() {
    let mut random = Random::new(21);
    let (mut inputs, mut batch) = (Vec::new(), BTreeMap::new());
    let (mut repeated, mut unknown, mut outcomes) = (0_u64, 0_u64, 0_u64);
    for request in 0..3000_u32 {
        let version = format!("employment/{}", 1 + request / 1000);
        let asked = i64::from(request % 365);
        let by_key = random.unit() < 0.1;
        for row in 0..2 {
            let (class, truth) = (random.unit() < 0.5, random.unit() < 0.5);
            let right = class == truth;
            let value = |class: bool| OutcomeValue::Number(f64::from(class));
            let answer = Answer::new(id(request), day(asked), version.as_str(), value(class));
            inputs.push(Input::Answer(answer.with_row(row).with_key(format!("person {request}"))));
            let counted = batch.entry(version.clone()).or_insert((0, 0, 0));
            counted.0 += 1;
            if random.unit() < 0.3 {
                continue;
            }
            (counted.1, counted.2) = (counted.1 + 1, counted.2 + u64::from(right));
            let late =
                day(asked + 1 + i64::from(u32::try_from(random.choice(&[1.0; 90])).unwrap()));
            let outcome = if by_key {
                Outcome::of_key(format!("person {request}"), late, "employed", value(truth))
            } else {
                Outcome::new(id(request), late, "employed", value(truth))
            };
            let (twice, nobodys) = (random.unit() < 0.05, random.unit() < 0.02);
            let outcome = outcome.with_row(row);
            outcomes += 1 + u64::from(twice) + u64::from(nobodys);
            (repeated, unknown) = (repeated + u64::from(twice), unknown + u64::from(nobodys));
            if nobodys {
                let stranger = Outcome::new(id(1_000_000 + request), late, "employed", value(true));
                inputs.push(Input::Outcome(stranger.with_row(row)));
            }
            inputs.extend((0..=u32::from(twice)).map(|_| Input::Outcome(outcome.clone())));
        }
    }
    inputs.push(Input::Outcome(Outcome::new(id(1), day(1), "income", OutcomeValue::Number(3.0))));
    for _ in 0..3 {
        let accuracy = taken(config(), &shuffled(&mut random, &inputs));
        let versions = accuracy.versions().unwrap();
        assert_eq!(numbers(&versions), batch);
        for version in &versions {
            let interval = wilson(version.right, version.known, 0.95).unwrap();
            assert_eq!(version.accuracy.unwrap().1, interval);
            assert_eq!(version.row().unwrap().rows, version.known);
        }
        let counts = accuracy.counts();
        let seen = (counts.outcomes, counts.repeated, counts.unknown, counts.other_names);
        assert_eq!(seen, (outcomes, repeated, unknown, 1));
    }
    assert!(unknown > 50 && repeated > 150);
}

/// What the documentation says, written down once more without any order.
fn by_definition(inputs: &[Input]) -> (BTreeMap<String, [u64; 4]>, JoinCountsSeen) {
    let wins = |value: &OutcomeValue| match value {
        OutcomeValue::Number(number) => (0, format!("{number}")),
        OutcomeValue::Label(label) => (1, label.to_string()),
        _ => unreachable!(),
    };
    let mut best: BTreeMap<(String, u32), &Outcome> = BTreeMap::new();
    let mut came = 0;
    for input in inputs {
        let Input::Outcome(outcome) = input else { continue };
        came += 1;
        let thing = outcome.prediction.map_or_else(
            || format!("key {}", outcome.key.as_ref().unwrap()),
            |prediction| prediction.to_string(),
        );
        let held = best.entry((thing, outcome.row)).or_insert(outcome);
        if (outcome.time, wins(&outcome.value)) > (held.time, wins(&held.value)) {
            *held = outcome;
        }
    }
    let (mut versions, mut seen, mut joined) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for input in inputs {
        let Input::Answer(answer) = input else { continue };
        if !seen.insert((answer.prediction, answer.row)) {
            continue;
        }
        let own = (answer.prediction.to_string(), answer.row);
        let by_key = answer.key.as_ref().map(|key| (format!("key {key}"), answer.row));
        joined.insert(own.clone());
        joined.extend(by_key.clone());
        let later = |outcome: &&Outcome| outcome.time >= answer.time;
        let outcome = best.get(&own).copied();
        let outcome = outcome.or_else(|| best.get(&by_key?).copied().filter(later));
        let counted: &mut [u64; 4] = versions.entry(answer.version.to_string()).or_default();
        counted[0] += 1;
        match (outcome.map(|outcome| &outcome.value), &answer.value) {
            (None, _) => {}
            (Some(OutcomeValue::Number(a)), OutcomeValue::Number(b)) => {
                counted[1] += 1;
                counted[2] += u64::from((a - b).abs() < 0.5);
            }
            (Some(OutcomeValue::Label(a)), OutcomeValue::Label(b)) => {
                counted[1] += 1;
                counted[2] += u64::from(a == b);
            }
            _ => counted[3] += 1,
        }
    }
    let unknown = best.keys().filter(|thing| !joined.contains(*thing)).count();
    (versions, (came, came - best.len() as u64, unknown as u64))
}

/// Outcomes, repeated ones, unknown things.
type JoinCountsSeen = (u64, u64, u64);

fn value() -> impl Strategy<Value = OutcomeValue> {
    prop_oneof![
        (0..3).prop_map(|class| OutcomeValue::Number(f64::from(class))),
        prop::sample::select(vec!["a", "b"]).prop_map(|label| OutcomeValue::Label(label.into())),
    ]
}

/// Few ids, rows, keys and times, so that they often meet. The id decides everything but the row:
/// what comes again is the same.
fn input() -> impl Strategy<Value = Input> {
    let answer = (0..12_u32, 0..2_u32).prop_map(|(number, row)| {
        let value = match number % 3 {
            2 => OutcomeValue::Label("a".into()),
            class => OutcomeValue::Number(f64::from(class)),
        };
        let version = if number < 6 { "m/1" } else { "m/2" };
        let answer = Answer::new(id(number), day(i64::from(number % 4)), version, value);
        let answer = answer.with_row(row);
        if number < 9 { answer.with_key(format!("k{}", number % 4)) } else { answer }
    });
    let outcome = (any::<bool>(), 0..14_u32, 0..2_u32, 0..5_i64, value());
    let outcome = outcome.prop_map(|(by_key, number, row, time, value)| {
        let of_key =
            || Outcome::of_key(format!("k{}", number % 5), day(time), "employed", value.clone());
        let of_row = || Outcome::new(id(number), day(time), "employed", value.clone());
        if by_key { of_key() } else { of_row() }.with_row(row)
    });
    prop_oneof![answer.prop_map(Input::Answer), outcome.prop_map(Input::Outcome)]
}

proptest! {
    #[test]
    fn any_order_gives_what_the_definition_says(
        inputs in prop::collection::vec(input(), 0..80),
        seed: u64,
    ) {
        let (versions, counts) = by_definition(&inputs);
        let mut random = Random::new(seed);
        for inputs in [inputs.clone(), shuffled(&mut random, &inputs)] {
            let accuracy = taken(config(), &inputs);
            let found: BTreeMap<String, [u64; 4]> = accuracy
                .versions()
                .unwrap()
                .into_iter()
                .map(|one| (one.version.to_string(), [one.answered, one.known, one.right, one.incomparable]))
                .collect();
            prop_assert_eq!(&found, &versions);
            let JoinCounts { outcomes, repeated, unknown, .. } = accuracy.counts();
            prop_assert_eq!((outcomes, repeated, unknown), counts);
        }
    }

    /// Whatever is held, every answer and every outcome is counted somewhere.
    #[test]
    fn small_bounds_lose_no_answer(
        inputs in prop::collection::vec(input(), 0..80),
        answers in 0..6_usize,
        outcomes in 0..6_usize,
    ) {
        let bounds = config().with_max_answers(answers).with_max_outcomes(outcomes);
        let accuracy = taken(bounds, &inputs);
        let versions = accuracy.versions().unwrap();
        let came = inputs.iter().filter(|input| matches!(input, Input::Answer(_))).count() as u64;
        let counts = accuracy.counts();
        let answered: u64 = versions.iter().map(|one| one.answered).sum();
        prop_assert_eq!(answered + counts.repeated_answers, came);
        for one in versions {
            prop_assert!(one.right <= one.known && one.known + one.incomparable <= one.answered);
        }
    }
}

#[test]
fn what_is_held_stays_bounded_and_what_is_known_is_counted() {
    let bounds = config().with_max_answers(64).with_max_outcomes(64);
    let mut accuracy = LateAccuracy::new(bounds);
    let one = || OutcomeValue::Number(1.0);
    let mut largest = 0;
    for number in 0..20_000_u32 {
        let time = Timestamp::from_unix_millis(number.into());
        let key = format!("k{number}");
        let answer = Answer::new(id(number), time, "m/1", one()).with_key(key.as_str());
        accuracy.answer(&answer).unwrap();
        let (by_row, by_key) = (
            Outcome::new(id(number), time, "employed", one()),
            Outcome::of_key(key.as_str(), time, "employed", one()),
        );
        accuracy.outcome(if number % 2 == 0 { &by_row } else { &by_key }).unwrap();
        accuracy.outcome(&Outcome::new(id(number + 1_000_000), time, "employed", one())).unwrap();
        accuracy.outcome(&Outcome::of_key(format!("?{number}"), time, "employed", one())).unwrap();
        if number % 500 == 0 {
            largest = largest.max(format!("{accuracy:?}").len());
        }
    }
    assert!(largest < 200_000, "{largest}");
    let versions = accuracy.versions().unwrap();
    assert_eq!(numbers(&versions)["m/1"], (20_000, 20_000, 20_000));
    assert!(accuracy.counts().settled >= 20_000 - 64 && accuracy.counts().unknown >= 40_000);
}

#[test]
fn what_is_too_large_or_of_nobody_is_named_and_changes_nothing() {
    let mut accuracy = LateAccuracy::new(config().with_max_versions(1).with_max_text(8));
    let answer = |version: &str| Answer::new(id(1), day(0), version, OutcomeValue::Number(1.0));
    accuracy.answer(&answer("m/1")).unwrap();
    let before = format!("{accuracy:?}");
    let label = OutcomeValue::Label("a long label".into());
    for error in [
        accuracy.answer(&answer("m/2")).unwrap_err(),
        accuracy.answer(&answer("m/1").with_key("a long key")).unwrap_err(),
        accuracy.outcome(&Outcome::new(id(1), day(1), "employed", label)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(!error.to_string().contains("a long"), "{error}");
    }
    let mut nobodys = Outcome::new(id(1), day(1), "employed", OutcomeValue::Number(1.0));
    nobodys.prediction = None;
    assert_eq!(accuracy.outcome(&nobodys).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(format!("{accuracy:?}"), before);
}
