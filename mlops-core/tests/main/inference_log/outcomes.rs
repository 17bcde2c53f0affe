//! Late, unordered, repeated and unknown outcomes give what a batch computation gives.

use super::{DAY, answer, ask, open, risk, start, wait};
use mlops_core::{
    Clock, PredictionId, Timestamp,
    inference_log::{
        InferenceLog, InferenceLogConfig, LogReader, Outcome, OutcomeLog, OutcomeValue,
        PerformanceOptions,
    },
    predictor::Observer,
    stats::wilson,
    testing::ManualClock,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A small generator of repeatable numbers: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.next() % u64::from(n)).unwrap()
    }
    fn share(&mut self) -> f64 {
        f64::from(self.below(u32::MAX)) / f64::from(u32::MAX)
    }
    /// One of the floats k / 1024, so that exactly 0.5 comes too.
    fn probability(&mut self) -> f32 {
        f32::from(u16::try_from(self.below(1024)).unwrap()) / 1024.0
    }
}

/// What was answered and what came of it: (version, prediction, row) → (said, truth).
type Truth = BTreeMap<(String, u128, u32), (bool, bool)>;

fn serve(log: &InferenceLog, clock: &ManualClock, random: &mut Random) -> Truth {
    let mut truth = Truth::new();
    for number in 0..4000_u128 {
        let version = if number < 2500 && number % 10 != 0 { "1" } else { "2" };
        let info = risk(version);
        let rows = 1 + random.below(4);
        let p: Vec<f32> = (0..rows).map(|_| random.probability()).collect();
        let request = ask(&vec![[1.0, 2.0]; p.len()]);
        let id = (number + 1) << 40;
        log.observe(&request, Ok(&answer(id, &info, &request, &p)), Duration::from_millis(1));
        for (row, p) in (0..rows).zip(p) {
            let right = random.share() < if version == "1" { 0.83 } else { 0.81 };
            let said = p >= 0.5;
            truth.insert((version.to_owned(), id, row), (said, said == right));
        }
        clock.advance(Duration::from_mins(1));
        if number % 500 == 0 {
            wait(log.flush()).unwrap();
        }
    }
    truth
}

/// Outcomes of 90% of the rows, 1–90 days late, 5% twice (half of those corrected later), and 2%
/// of unknown ids; shuffled.
fn outcomes(truth: &Truth, random: &mut Random) -> (Vec<Outcome>, BTreeMap<(u128, u32), bool>) {
    let of = |id, row, time, value: bool| {
        let value = OutcomeValue::Number(f64::from(u8::from(value)));
        Outcome::new(PredictionId::from_u128(id), time, "employed", value).with_row(row)
    };
    let (mut sent, mut last) = (Vec::new(), BTreeMap::new());
    for ((_, id, row), (_, value)) in truth {
        if random.share() >= 0.9 {
            continue;
        }
        let time = start().plus(DAY * (1 + random.below(90)));
        let kind = random.below(40);
        let first = if kind == 0 { !value } else { *value };
        sent.push(of(*id, *row, time, first));
        if kind < 2 {
            sent.push(of(*id, *row, time.plus(Duration::from_secs(1 + u64::from(kind))), *value));
        }
        if random.share() < 0.02 {
            sent.push(of(random.next().into(), *row, time, *value));
        }
        last.insert((*id, *row), if kind == 0 { *value } else { first });
    }
    sent.sort_by_cached_key(|_| random.next());
    (sent, last)
}

#[test]
fn late_outcomes_give_the_accuracy_of_a_batch_computation() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(start()));
    let config = InferenceLogConfig::default()
        .with_clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .with_flush_interval(Duration::from_millis(50))
        .with_segment_rows(1500_usize);
    let log = InferenceLog::open(folder.path(), config.clone()).unwrap();
    let mut random = Random(7);
    let truth = serve(&log, &clock, &mut random);
    wait(log.flush()).unwrap();
    assert_eq!((log.counts().dropped, log.counts().failed), (0, 0));
    assert_eq!(log.counts().written, truth.len() as u64);

    let (sent, last) = outcomes(&truth, &mut random);
    let (before, after) = sent.split_at(sent.len() / 2);
    for some in before.chunks(97) {
        wait(log.append(some)).unwrap();
    }
    drop(log); // a restart in between
    let log = InferenceLog::open(folder.path(), config).unwrap();
    for some in after.chunks(1013) {
        wait(log.append(some)).unwrap();
    }

    // The batch computation: over what was served and what is true, nothing of the log.
    let mut expected: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for ((version, id, row), (said, _)) in &truth {
        let (answered, known, right) = expected.entry(version).or_default();
        *answered += 1;
        if let Some(truth) = last.get(&(*id, *row)) {
            *known += 1;
            *right += u64::from(truth == said);
        }
    }
    let options = PerformanceOptions::new("employed").with_output("p");
    let found = LogReader::open(folder.path()).unwrap().performance(&options).unwrap();
    assert_eq!(found.versions.len(), 2);
    for version in &found.versions {
        let wanted = expected[version.version.as_ref()];
        assert_eq!((version.answered, version.known, version.right), wanted);
        let (accuracy, interval) = version.accuracy.unwrap();
        #[expect(clippy::cast_precision_loss)]
        let batch = wanted.2 as f64 / wanted.1 as f64;
        assert!((accuracy - batch).abs() < 1e-15);
        assert_eq!(interval, wilson(wanted.2, wanted.1, 0.95).unwrap());
        println!("{} {accuracy:.4} {interval:.4} {wanted:?}", version.version);
    }
    let ids: std::collections::BTreeSet<_> = truth.keys().map(|(_, id, _)| *id).collect();
    let strange = |o: &&Outcome| !ids.contains(&o.prediction.unwrap().as_u128());
    let unknown = sent.iter().filter(strange).count();
    assert!(unknown > 100);
    assert_eq!(found.joins.appended, sent.len() as u64);
    assert_eq!(found.joins.unknown, unknown as u64);
    assert_eq!(found.joins.repeated, (sent.len() - unknown - last.len()) as u64);
    assert!(found.gaps.is_empty());
}

fn number(value: f64) -> OutcomeValue {
    OutcomeValue::Number(value)
}

#[test]
fn an_outcome_of_a_key_is_that_of_the_predictions_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(start()));
    let config = InferenceLogConfig::default().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let log = InferenceLog::open(folder.path(), config).unwrap();
    let info = risk("1");
    for id in 1..=3 {
        let request = ask(&[[0.0; 2]]).with_key("customer 7");
        log.observe(&request, Ok(&answer(id, &info, &request, &[0.9])), Duration::ZERO);
        clock.advance(DAY);
    }
    let at = |days: u32| start().plus(DAY * days);
    wait(log.append(&[
        Outcome::of_key("customer 7", at(1), "bad", number(1.0)), // known when 1 and 2 were answered
        Outcome::new(PredictionId::from_u128(1), at(9), "bad", number(0.0)), // its own
        Outcome::of_key("customer 8", at(9), "bad", number(1.0)),
        Outcome::of_key("customer 7", at(9), "other", number(0.0)),
    ]))
    .unwrap();
    wait(log.flush()).unwrap();
    let options = PerformanceOptions::new("bad").with_output("p");
    let found = LogReader::open(folder.path()).unwrap().performance(&options).unwrap();
    let version = &found.versions[0];
    assert_eq!((version.answered, version.known, version.right), (3, 2, 1));
    assert_eq!((found.joins.appended, found.joins.unknown, found.joins.repeated), (3, 1, 0));
    let missing = PerformanceOptions::new("bad").with_output("q");
    let error = LogReader::open(folder.path()).unwrap().performance(&missing).unwrap_err();
    assert_eq!(error.kind(), mlops_core::ErrorKind::NotFound);
}

#[test]
fn outcomes_come_back_and_many_calls_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open(folder.path()));
    let odd = [
        Outcome::of_key("k", Timestamp::from_unix_micros(-5), "n", OutcomeValue::Label("ä".into())),
        Outcome::new(PredictionId::from_u128(u128::MAX), start(), "n", number(f64::INFINITY))
            .with_row(9),
    ];
    wait(log.append(&odd)).unwrap();
    let threads: Vec<_> = (0..16_u128)
        .map(|thread| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for call in 0..10 {
                    let id = PredictionId::from_u128(thread << 64 | call);
                    wait(log.append(&[Outcome::new(id, start(), "n", number(1.0))])).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let (found, gaps) = LogReader::open(folder.path()).unwrap().outcomes().unwrap();
    assert_eq!(&found[..2], &odd);
    assert_eq!((found.len(), gaps.len()), (162, 0));
    let nameless = {
        let mut outcome = odd[0].clone();
        outcome.key = None;
        outcome
    };
    let error = wait(log.append(&[nameless])).unwrap_err();
    assert_eq!(error.kind(), mlops_core::ErrorKind::InvalidInput);
}
