//! Shares, and keys that stay where they are.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use super::{Hasty, arms, ask, failing, kind, offset, other_shape, panicking, request, subject, y};
use mlops_core::{ErrorKind, Predictor, testing::FnPredictor};
use mlops_serve::compose::{Arm, Split};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

fn split(weights: &[f64]) -> Split {
    let arm = |(at, weight): (usize, &f64)| {
        Arm::new(format!("arm {at}"), offset(1.0)).with_weight(*weight)
    };
    Split::new("s", "7", weights.iter().enumerate().map(arm).collect()).unwrap()
}

mlops_core::predictor_conformance!(split_conforms, subject(split(&[0.25, 0.75])));

#[test]
fn a_key_goes_where_sha_256_says() {
    // Python: `int.from_bytes(hashlib.sha256(b"s\0" + key).digest()[:8], "big") / 2**64`.
    let points = [
        ("ada", 0.256_905_051_173),
        ("grace", 0.591_787_345_073),
        ("", 0.158_749_987_655),
        ("é", 0.037_456_353_946),
    ];
    for (key, point) in points {
        let split = split(&[point - 1e-9, 2e-9, 1.0 - point - 1e-9]);
        assert_eq!(split.arm_of(key).name.as_ref(), "arm 1", "{key:?}");
    }
}

#[test]
fn the_answer_names_its_arm_and_its_composition() {
    let arms = vec![
        Arm::new("old", offset(1.0)),
        Arm::new("new", offset(100.0)),
        Arm::new("off", offset(-1.0)).with_weight(0.0),
    ];
    let split = Split::new("risk", "3", arms).unwrap();
    let mut counts = BTreeMap::new();
    for number in 0..2000 {
        // With a key and without one.
        let keyed = request().with_key(format!("caller {number}"));
        let keyed_arm = Arc::clone(&split.arm_of(&format!("caller {number}")).name);
        let answer = ask(&split, keyed).unwrap();
        assert_eq!(answer.arm, Some(keyed_arm));
        let answer = ask(&split, request()).unwrap();
        let arm = answer.arm.clone().unwrap();
        assert_eq!(y(&answer), if arm.as_ref() == "old" { 2.0 } else { 101.0 });
        assert_eq!((answer.model.as_ref(), answer.version.as_ref()), ("risk", "3"));
        *counts.entry(arm).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 2, "an arm of weight 0 gets nothing");
    // Six standard deviations of a fair coin thrown 2,000 times are 134.
    assert!(counts.values().all(|count| count.abs_diff(1000) < 134), "{counts:?}");
}

#[test]
fn an_arm_that_fails_or_panics_loses_its_requests_alone() {
    let (down, _) = failing(ErrorKind::Unavailable);
    let hasty: Arc<dyn Predictor> = Arc::new(Hasty(offset(1.0)));
    let parts = [("up", offset(1.0)), ("down", down), ("bad", panicking()), ("hasty", hasty)];
    let split = Split::new("s", "1", arms(parts)).unwrap();
    let mut seen = BTreeMap::new();
    for number in 0..60 {
        let key = format!("{number}");
        let arm = Arc::clone(&split.arm_of(&key).name);
        let outcome = ask(&split, request().with_key(key)).map_err(|error| error.kind());
        seen.insert(arm, outcome.map(|answer| y(&answer)));
    }
    assert_eq!(seen["up"], Ok(2.0));
    assert_eq!(seen["down"], Err(ErrorKind::Unavailable));
    assert_eq!(seen["bad"], Err(ErrorKind::Internal));
    assert_eq!(seen["hasty"], Err(ErrorKind::Internal));
}

#[test]
fn arms_of_arms_are_named_from_outside_in() {
    let inner = Split::new("inner", "1", arms([("b", offset(1.0))])).unwrap();
    let outer = Split::new("outer", "1", arms([("a", Arc::new(inner) as _)])).unwrap();
    assert_eq!(ask(&outer, request()).unwrap().arm.as_deref(), Some("a/b"));
}

#[test]
fn mistakes_are_named_when_it_is_built() {
    let why = |arms: Vec<Arm>| Split::new("s", "1", arms).unwrap_err().to_string();
    assert_eq!(why(vec![]), "split \"s\": a composition needs an arm");
    let twice = arms([("a", offset(1.0)), ("a", offset(2.0))]);
    assert_eq!(why(twice), "split \"s\": arm \"a\" has no name of its own");
    let odd = arms([("a", offset(1.0)), ("b", other_shape())]);
    let text = "split \"s\": arm \"b\" cannot stand in for arm \"a\": the signature would break callers: the shape of output \"y\" changes";
    assert_eq!(why(odd), text);
    for weight in [-1.0, f64::NAN, f64::INFINITY, 0.0] {
        assert!(why(vec![Arm::new("a", offset(1.0)).with_weight(weight)]).contains("weight"));
    }
    let vast = ["a", "b"].map(|name| Arm::new(name, offset(1.0)).with_weight(f64::MAX));
    assert!(why(vast.to_vec()).contains("inf together"));
    assert_eq!(kind(split(&[1.0]).with_salt("a\0b")), ErrorKind::InvalidInput);
}

#[test]
fn width_and_rows_are_those_of_arms_with_a_share() {
    let wide = FnPredictor::new("m", crate::doubles::offset_signature(), |_| unreachable!());
    let arms = vec![Arm::new("a", Arc::new(wide)), Arm::new("b", offset(0.0)).with_weight(0.0)];
    assert_eq!(Split::new("s", "1", arms).unwrap().info().width, usize::MAX);
}

proptest! {
    /// 4,000 keys of a binomial share: six standard deviations, at most 0.048.
    #[test]
    fn keys_stay_and_shares_are_kept(weights in prop::collection::vec(0.0..1.0_f64, 2..5), salt in "[a-z]{1,8}") {
        prop_assume!(weights.iter().sum::<f64>() > 0.1);
        let make = || split(&weights).with_salt(salt.as_str()).unwrap();
        let (first, second) = (make(), make());
        let mut counts = BTreeMap::new();
        for number in 0..4000 {
            let key = number.to_string();
            let arm = &first.arm_of(&key).name;
            prop_assert_eq!(arm, &second.arm_of(&key).name);
            *counts.entry(arm.to_string()).or_insert(0.0) += 1.0 / 4000.0;
        }
        let sum: f64 = weights.iter().sum();
        for (at, weight) in weights.iter().enumerate() {
            let share = counts.get(&format!("arm {at}")).copied().unwrap_or(0.0);
            prop_assert!((share - weight / sum).abs() < 0.048, "arm {}: {} of {}", at, share, weight / sum);
        }
    }

    #[test]
    fn a_growing_arm_takes_keys_only_from_its_neighbour(from in 0.0..0.5_f64, more in 0.0..0.5_f64, key: u64) {
        let key = key.to_string();
        let before = split(&[0.25, 0.75 - 0.75 * from, 0.75 * from]);
        let after = split(&[0.25, 0.75 - 0.75 * (from + more), 0.75 * (from + more)]);
        let (before, after) = (&before.arm_of(&key).name, &after.arm_of(&key).name);
        prop_assert!(before == after || (before.as_ref(), after.as_ref()) == ("arm 1", "arm 2"));
    }
}
