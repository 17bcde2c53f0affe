//! Evidence that may be looked at after every row.

use super::random::Random;
use mlops_core::{ErrorKind, drift::DetectorState};
use mlops_drift::sequential::{ConformalConfig, ConformalTest, averaged_evidence};

const CELLS: usize = 32;

/// The cell of a value: normal values fill the cells evenly.
fn cell(value: f64) -> usize {
    // Cuts at the normal law's quantiles, near enough.
    let share = 1.0 / (1.0 + (-1.702 * value).exp());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of cells")]
    let at = (share * 32.0) as usize;
    at.min(CELLS - 1)
}

fn reference(random: &mut Random, rows: usize) -> Vec<u64> {
    let mut counts = vec![0; CELLS];
    (0..rows).for_each(|_| counts[cell(random.normal())] += 1);
    counts
}

fn opened(random: &mut Random, rows: usize) -> ConformalTest {
    let config = ConformalConfig::default().with_seed(random.bits());
    ConformalTest::open(config, &reference(random, rows)).unwrap()
}

/// Rows until the evidence rejects and until the first alarm.
fn delays(random: &mut Random, moved: impl Fn(f64) -> f64) -> (Option<u64>, Option<u64>) {
    let mut test = opened(random, 2000);
    let (mut rejected, mut alarmed) = (None, None);
    for row in 1..=6000 {
        test.update(cell(moved(random.normal()))).unwrap();
        rejected = rejected.or_else(|| test.rejects().then_some(row));
        alarmed = alarmed.or_else(|| (test.alarms() > 0).then_some(row));
    }
    (rejected, alarmed)
}

#[test]
fn looking_after_every_row_alarms_one_stream_in_twenty_at_most() {
    let (mut random, streams) = (Random::new(1), 200);
    let mut ever = 0;
    for _ in 0..streams {
        let mut test = opened(&mut random, 300);
        for _ in 0..2000 {
            test.update(cell(random.normal())).unwrap();
        }
        ever += u32::from(test.rejects());
    }
    // 5% of 200, and three deviations.
    assert!(ever <= 19, "{ever} of {streams}");
}

#[test]
fn alarms_are_as_rare_as_promised() {
    let (mut random, mut alarms, streams) = (Random::new(2), 0, 100);
    for _ in 0..streams {
        let config =
            ConformalConfig::default().with_mean_run_length(1000.0).with_seed(random.bits());
        let mut test = ConformalTest::open(config, &reference(&mut random, 500)).unwrap();
        for _ in 0..2000 {
            test.update(cell(random.normal())).unwrap();
        }
        alarms += test.alarms();
    }
    // At most one in 1,000 rows: 200 of 200,000, and three deviations.
    assert!(alarms <= 242, "{alarms}");
}

#[test]
fn shifts_and_scales_are_found_soon() {
    let median = |moved: &dyn Fn(f64) -> f64| {
        let mut random = Random::new(3);
        let mut delays: Vec<_> = (0..15).map(|_| delays(&mut random, moved)).collect();
        delays.sort_by_key(|delay| delay.0.unwrap_or(u64::MAX));
        let rejected = delays[7].0;
        delays.sort_by_key(|delay| delay.1.unwrap_or(u64::MAX));
        (rejected, delays[7].1)
    };
    for (name, moved, rejected_within, alarmed_within) in [
        ("half a deviation up", &(|x| x + 0.5) as &dyn Fn(f64) -> f64, 150, 150),
        ("half a deviation down", &|x| x - 0.5, 150, 150),
        ("a fifth up", &|x| x + 0.2, 900, 900),
        ("a third wider", &|x| 1.3 * x, 400, 400),
        ("two humps", &|x| if x > 0.0 { x + 0.7 } else { x - 0.7 }, 250, 250),
    ] {
        let (rejected, alarmed) = median(moved);
        println!("{name}: rejected after {rejected:?} rows, alarm after {alarmed:?}");
        assert!(rejected.is_some_and(|rows| rows <= rejected_within), "{name}: {rejected:?}");
        assert!(alarmed.is_some_and(|rows| rows <= alarmed_within), "{name}: {alarmed:?}");
    }
}

/// A night of low values and a day of high ones: no drift, but for who mixes them up.
#[test]
fn seasons_need_strata() {
    let mut random = Random::new(4);
    let value =
        |random: &mut Random, hour: u32| random.normal() + if hour < 12 { -1.0 } else { 1.0 };
    let mut of_hour = vec![vec![0_u64; CELLS]; 24];
    for row in 0..4800_u32 {
        of_hour[(row % 24) as usize][cell(value(&mut random, row % 24))] += 1;
    }
    let all: Vec<u64> = (0..CELLS).map(|at| of_hour.iter().map(|hour| hour[at]).sum()).collect();
    let config = ConformalConfig::default();
    let mut mixed = ConformalTest::open(config.clone(), &all).unwrap();
    let references = (0..24).zip(of_hour.iter().map(Vec::as_slice));
    let mut stratified = ConformalTest::open_stratified(config, references).unwrap();
    for row in 0..4800_u32 {
        let hour = row / 20 % 24;
        let cell = cell(value(&mut random, hour));
        mixed.update(cell).unwrap();
        stratified.update_in(hour, cell).unwrap();
    }
    assert!(mixed.rejects() && mixed.alarms() > 3, "{}", mixed.alarms());
    assert!(!stratified.rejects() && stratified.alarms() <= 2, "{}", stratified.alarms());
    // And drift in all hours is found in their own terms.
    for row in 0..1200_u32 {
        let hour = row / 20 % 24;
        stratified.update_in(hour, cell(value(&mut random, hour) + 0.5)).unwrap();
    }
    assert!(stratified.rejects());
}

#[test]
fn a_state_goes_on_as_if_never_interrupted() {
    let mut random = Random::new(5);
    let mut whole = opened(&mut random, 400);
    for row in 0..900 {
        whole.update(cell(random.normal() + f64::from(row) / 900.0)).unwrap();
    }
    let state = whole.state().unwrap();
    let mut restored = ConformalTest::restore(&state).unwrap();
    assert_eq!((restored.state().unwrap(), &restored), (state.clone(), &whole));
    let counts = reference(&mut random, 300);
    for test in [&mut whole, &mut restored] {
        test.update(7).unwrap();
        test.update_counts(0, &counts).unwrap();
    }
    assert_eq!(restored.state().unwrap(), whole.state().unwrap());

    let foreign = DetectorState::new("profile", 1, state.bytes.clone());
    assert_eq!(ConformalTest::restore(&foreign).unwrap_err().kind(), ErrorKind::InvalidInput);
    let cut = DetectorState::new("conformal", 1, state.bytes[..90].to_vec());
    assert_eq!(ConformalTest::restore(&cut).unwrap_err().kind(), ErrorKind::Corrupt);
    let text = String::from_utf8(state.bytes).unwrap();
    let bent = text.replace("\"shares\":[0.", "\"shares\":[7.");
    let bent = DetectorState::new("conformal", 1, bent.into_bytes());
    assert_eq!(ConformalTest::restore(&bent).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// The version-1 state that an earlier build wrote.
#[test]
fn a_state_of_version_one_loads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/conformal_v1.json");
    let state = DetectorState::new("conformal", 1, std::fs::read(path).unwrap());
    let mut test = ConformalTest::restore(&state).unwrap();
    assert_eq!((test.rows(), test.state().unwrap()), (3, state));
    test.update_in(9, 1).unwrap();
    assert_eq!(test.rows(), 4);
}

#[test]
fn a_merge_interval_has_no_order_of_its_own() {
    let mut random = Random::new(6);
    let counts = reference(&mut random, 500);
    let moved: Vec<u64> = (0..CELLS).map(|at| if at > 20 { 12 } else { 3 }).collect();
    let run = |seed| {
        let config = ConformalConfig::default().with_seed(seed);
        let mut test = ConformalTest::open(config, &counts).unwrap();
        test.update_counts(0, &moved).unwrap();
        test
    };
    assert_eq!((run(1), run(1).rows()), (run(1), moved.iter().sum()));
    assert_ne!(run(1), run(2));
    assert!((0..20).all(|seed| run(seed).rejects()));
    // Counts in an order of their own, ascending, would be drift where there is none.
    let calm = (0..40).filter(|_| {
        let mut test = opened(&mut random, 500);
        test.update_counts(0, &reference(&mut random, 500)).unwrap();
        !test.rejects()
    });
    assert!(calm.count() >= 34);
}

#[test]
fn replicas_are_averaged_and_never_multiplied() {
    let mut random = Random::new(7);
    let counts = reference(&mut random, 200);
    let replica =
        |seed| ConformalTest::open(ConformalConfig::default().with_seed(seed), &counts).unwrap();
    let mut replicas: Vec<_> = (0..8).map(replica).collect();
    let start = averaged_evidence(&replicas).unwrap();
    assert!(start.abs() < 1e-15 && averaged_evidence([]).is_none());
    for row in 0..1600 {
        replicas[row % 8].update(cell(random.normal() + 0.6)).unwrap();
    }
    let logs: Vec<f64> = replicas.iter().map(|test| test.evidence().ln_value()).collect();
    let mean = logs.iter().map(|log| log.exp()).sum::<f64>() / 8.0;
    let own = averaged_evidence(&replicas).unwrap();
    assert!((own - mean.ln()).abs() < 1e-12 && own > 20.0_f64.ln(), "{own} {logs:?}");
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let config = ConformalConfig::default;
    let open = |counts: &[u64]| ConformalTest::open(config(), counts);
    assert_eq!(open(&[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(open(&[u64::MAX, 1]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(open(&vec![1; 5000]).unwrap_err().kind(), ErrorKind::TooLarge);
    let alpha = ConformalTest::open(config().with_alpha(0.0), &[1]);
    assert_eq!(alpha.unwrap_err().kind(), ErrorKind::InvalidInput);
    let two: [&[u64]; 2] = [&[1], &[2]];
    let twice = ConformalTest::open_stratified(config(), two.map(|counts| (3, counts)));
    assert_eq!(twice.unwrap_err().to_string(), "stratum 3 comes twice");
    let many = config().with_max_strata(1);
    let many = ConformalTest::open_stratified(many, [(1, two[0]), (2, two[1])]);
    assert_eq!(many.unwrap_err().kind(), ErrorKind::TooLarge);

    let mut test = open(&[0, 0]).unwrap();
    let before = test.clone();
    assert_eq!(test.update(2).unwrap_err().to_string(), "cell 2 of 2");
    assert_eq!(test.update_in(1, 0).unwrap_err().to_string(), "no reference for stratum 1");
    assert_eq!(test.update_counts(0, &[1]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(test, before);
    // A reference without rows is one, too: the stream is ranked among itself.
    test.update(1).unwrap();
    assert_eq!(test.rows(), 1);
}
