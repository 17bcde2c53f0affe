//! Why a column drifted: parts that add up, causes that were planted, segments and rows.

use super::random::{Random, batch, floats, texts};
use mlops_core::{DriftDetector, ErrorKind, arrow::array::RecordBatch, drift::Verdict};
use mlops_drift::{
    Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions,
    profile::{ColumnProfile, Segments, frequent_values},
    tests::{Order, total_variation},
    why::{Attribution, Cause, HeaviestRows, Measure, attribution, explain, segments},
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    lines: Vec<LineCase>,
    tables: Vec<TableCase>,
}

#[derive(Deserialize)]
struct LineCase {
    reference: Vec<f64>,
    window: Vec<f64>,
    wasserstein: f64,
    mean_change: f64,
}

#[derive(Deserialize)]
struct TableCase {
    reference: Vec<u64>,
    window: Vec<u64>,
    jensen_shannon: f64,
    psi: f64,
    observed: f64,
}

fn cases() -> File {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/why.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn profiles(reference: &RecordBatch, window: &RecordBatch) -> (Profile, Profile) {
    let reference = Profile::fit(std::slice::from_ref(reference), &ProfileOptions::default());
    let reference = reference.unwrap();
    let mut now = Profile::empty_like(&reference);
    now.update(window).unwrap();
    (reference, now)
}

fn column(values: &[f64]) -> RecordBatch {
    batch(vec![("x", floats(values.iter().map(|value| Some(*value))))])
}

fn of(before: &Profile, now: &Profile, measure: Measure) -> Option<Attribution> {
    let x = |profile| -> ColumnProfile<'_> { Profile::column(profile, "x").unwrap() };
    attribution(&x(before), &x(now), measure).unwrap()
}

fn sum(of: &Attribution) -> f64 {
    of.cells.iter().map(|cell| cell.value.abs()).sum()
}

fn near(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-10 * theirs.abs() + 1e-12
}

#[test]
fn parts_along_a_line_add_up_to_scipys_distance_and_to_the_change_of_the_mean() {
    let cases = cases().lines;
    assert_eq!(cases.len(), 200);
    let (mut far, mut exact) = (0, 0);
    for (at, case) in cases.iter().enumerate() {
        let (before, now) = profiles(&column(&case.reference), &column(&case.window));
        // Values further out than a thousand ranges of the reference are not summed.
        let Some(moved) = of(&before, &now, Measure::Wasserstein) else {
            far += 1;
            continue;
        };
        exact += u32::from(moved.exact);
        assert_eq!(moved.value.to_bits(), sum(&moved).to_bits(), "case {at}");
        // Beyond the reference a cell may hold several values of which the sum is known.
        if moved.exact {
            assert!(near(moved.value, case.wasserstein), "case {at}: {moved:?}");
        }
        let line = |profile: &Profile| profile.column("x").unwrap().line().unwrap();
        let pair = mlops_drift::tests::cells::LinePair::new(&line(&before), &line(&now)).unwrap();
        let along = pair.wasserstein_stretches().unwrap();
        let change: f64 = along.iter().map(|stretch| stretch.moved).sum();
        assert!((change - case.mean_change).abs() < 1e-9 * (1.0 + case.mean_change.abs()), "{at}");
        let (low, high) =
            along.iter().fold((0.0, 0.0), |(low, high), s| (low + s.area.low, high + s.area.high));
        assert!(low <= case.wasserstein + 1e-9 && case.wasserstein <= high + 1e-9, "case {at}");
    }
    assert!(far < 40 && exact > 50, "{far} far, {exact} exact");
}

#[test]
fn parts_of_a_table_add_up_to_scipys_divergences() {
    let cases = cases().tables;
    assert_eq!(cases.len(), 200);
    let rows = |counts: &[u64]| {
        let values = counts.iter().enumerate().flat_map(|(at, count)| {
            let name = format!("{at:02}");
            (0..*count).map(move |_| Some(name.clone()))
        });
        batch(vec![("x", texts(values.collect::<Vec<_>>()))])
    };
    for (at, case) in cases.iter().enumerate() {
        let (before, now) = profiles(&rows(&case.reference), &rows(&case.window));
        for (measure, wanted) in
            [(Measure::JensenShannon, case.jensen_shannon), (Measure::Psi, case.psi)]
        {
            let moved = of(&before, &now, measure).unwrap();
            assert!(near(moved.value, wanted) && near(sum(&moved), wanted), "case {at}: {moved:?}");
        }
        let kept = of(&before, &now, Measure::TotalVariation).unwrap();
        let direct = total_variation(&case.reference, &case.window, Order::Unordered, 0.95);
        let direct = direct.unwrap().unwrap();
        assert!(near(direct.observed, case.observed) && near(kept.value, direct.value), "{at}");
        assert_eq!(of(&before, &now, Measure::Wasserstein), None);
    }
}

/// Values of all sorts: tied, far out, missing.
fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![
        4 => (-50_i32..50).prop_map(|value| Some(f64::from(value) / 4.0)),
        4 => (-3.0_f64..3.0).prop_map(Some),
        1 => (-1e6_f64..1e6).prop_map(Some),
        1 => Just(None),
    ];
    prop::collection::vec(value, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_measure_is_the_sum_of_its_parts(
        reference in values(),
        window in values(),
        max_cells in 2_usize..200,
    ) {
        let rows = |values: &[Option<f64>]| batch(vec![("x", floats(values.to_vec()))]);
        let options = ProfileOptions::default().with_max_cells(max_cells);
        let before = Profile::fit(&[rows(&reference)], &options).unwrap();
        let mut now = Profile::empty_like(&before);
        now.update(&rows(&window)).unwrap();
        for measure in Measure::ALL {
            let Some(moved) = of(&before, &now, measure) else { continue };
            prop_assert!(near(sum(&moved), moved.value), "{moved:?}");
            for cell in &moved.cells {
                let more = cell.window - cell.reference;
                prop_assert!(measure == Measure::Wasserstein || cell.value * more >= 0.0);
            }
        }
        // Each cell's part is the area between the distribution functions over its stretch.
        if let Some(moved) = of(&before, &now, Measure::Wasserstein) {
            let line = |profile: &Profile| profile.column("x").unwrap().line().unwrap();
            let pair = mlops_drift::tests::cells::LinePair::new(&line(&before), &line(&now)).unwrap();
            let bounds = pair.wasserstein().unwrap();
            prop_assert!(near(moved.value, f64::midpoint(bounds.low, bounds.high)));
        }
    }

    #[test]
    fn what_segments_add_is_the_change_of_the_whole(
        rows in prop::collection::vec((0_usize..4, -20_i32..20), 1..300),
        later in prop::collection::vec((0_usize..5, -25_i32..25), 1..300),
    ) {
        let side = |rows: &[(usize, i32)]| {
            let places = rows.iter().map(|(place, _)| Some(format!("p{place}")));
            let numbers = rows.iter().map(|(_, number)| Some(f64::from(*number)));
            batch(vec![("place", texts(places.collect::<Vec<_>>())), ("x", floats(numbers))])
        };
        let (before, now) = planted(&(side(&rows), side(&later)));
        let by = segments(&before, &now, &ProfileDetectorConfig::default()).unwrap();
        prop_assert!(by.segments.len() <= 4);
        let (whole_before, whole_now) = (whole(&before), whole(&now));
        for column in &by.columns {
            let cells = |profile: &Profile| -> Vec<u64> {
                let column = profile.column(&column.column).unwrap();
                column.coarse_cells(16).iter().map(|cell| cell.count).collect()
            };
            let order = Order::Unordered;
            let direct = total_variation(&cells(&whole_before), &cells(&whole_now), order, 0.95);
            let observed = direct.unwrap().unwrap().observed;
            prop_assert!((column.change - observed).abs() < 1e-12, "{column:?} {observed}");
            let parts: f64 = column.parts.iter().map(|part| part.total()).sum();
            prop_assert!((parts - observed).abs() < 1e-12);
        }
    }
}

fn whole(segments: &Segments) -> Profile {
    let mut all = segments.rest().clone();
    segments.iter().for_each(|(_, profile)| all.merge(profile).unwrap());
    all
}

/// Segments by place, in the cells of the whole.
fn planted((before, now): &(RecordBatch, RecordBatch)) -> (Segments, Segments) {
    let options = ProfileOptions::default();
    let profile = Profile::fit(std::slice::from_ref(before), &options).unwrap();
    let values = frequent_values(std::slice::from_ref(before), "place", 3, 1).unwrap();
    let mut reference = Segments::in_cells_of(&profile, "place", values);
    let mut window = Segments::empty_like(&reference);
    reference.update_own(before, &profile).unwrap();
    window.update(now).unwrap();
    (reference, window)
}

/// Income by place: in one place it moved, in another there are more people.
fn incomes(seed: u64, count: usize, moved: f64, weights: &[f64]) -> RecordBatch {
    let mut random = Random::new(seed);
    let places: Vec<usize> = (0..count).map(|_| random.choice(weights)).collect();
    let income = places.iter().map(|place| {
        let shift = if *place == 1 { moved } else { 0.0 };
        Some(f64::from(u8::try_from(*place).unwrap()) * 2.0 + shift + random.normal())
    });
    let income: Vec<Option<f64>> = income.collect();
    let names = places.iter().map(|place| Some(["MA", "NY", "VT"][*place].to_owned()));
    batch(vec![("place", texts(names.collect::<Vec<_>>())), ("income", floats(income))])
}

const EVEN: [f64; 3] = [1.0, 1.0, 1.0];

#[test]
fn the_segment_that_moved_is_found_and_has_the_change() {
    let sides = (incomes(1, 6000, 0.0, &EVEN), incomes(2, 6000, 1.5, &EVEN));
    let (before, now) = planted(&sides);
    let by = segments(&before, &now, &ProfileDetectorConfig::default()).unwrap();
    let moved: Vec<_> = by.moved().iter().map(|segment| segment.value.as_deref()).collect();
    assert_eq!(moved, [Some("NY")]);
    let income = by.columns.iter().find(|column| &*column.column == "income").unwrap();
    let ny = income.parts[1];
    assert!(ny.total() / income.change > 0.7 && ny.mix.abs() < 0.02, "{income:?}");
    assert_eq!(
        (by.segments[3].value.as_ref(), by.segments[3].drift.verdict),
        (None, Verdict::TooFewRows)
    );
}

#[test]
fn people_who_moved_are_told_from_incomes_that_did() {
    let sides = (incomes(1, 8000, 0.0, &EVEN), incomes(2, 8000, 0.0, &[1.0, 1.0, 4.0]));
    let (before, now) = planted(&sides);
    let by = segments(&before, &now, &ProfileDetectorConfig::default()).unwrap();
    assert!(by.moved().is_empty(), "no segment is different in itself");
    let income = by.columns.iter().find(|column| &*column.column == "income").unwrap();
    let (within, mix) = income.parts.iter().fold((0.0, 0.0), |s, p| (s.0 + p.within, s.1 + p.mix));
    assert!(income.change > 0.2 && mix > 8.0 * within.abs(), "{income:?}");
}

#[test]
fn among_many_segments_without_drift_few_are_said_to_have_moved() {
    // 30 windows of 20 segments; without correction each would have a finding below 5% on average.
    let weights = [1.0; 20];
    let rows = |seed: u64| {
        let mut random = Random::new(seed);
        let places: Vec<_> =
            (0..3000).map(|_| Some(format!("{:02}", random.choice(&weights)))).collect();
        let x: Vec<_> = (0..3000).map(|_| Some(random.normal())).collect();
        batch(vec![("place", texts(places)), ("x", floats(x))])
    };
    let options = ProfileOptions::default().with_columns(["x"]);
    let reference = rows(0);
    let batches = std::slice::from_ref(&reference);
    let profile = Profile::fit(batches, &options).unwrap();
    let values = frequent_values(batches, "place", 20, 100).unwrap();
    let mut before = Segments::in_cells_of(&profile, "place", values);
    before.update_own(&reference, &profile).unwrap();
    // Only the probability decides.
    let config = ProfileDetectorConfig::default().with_margin(0.0);
    let mut wrong = 0;
    for seed in 1..=30 {
        let mut now = Segments::empty_like(&before);
        now.update(&rows(seed)).unwrap();
        let by = segments(&before, &now, &config).unwrap();
        wrong += usize::from(!by.moved().is_empty());
    }
    // One or two windows on average at a rate of 5%.
    assert!(wrong <= 5, "{wrong} of 30");
}

fn why(before: &RecordBatch, now: &RecordBatch) -> (Cause, String) {
    let reference = Profile::fit(std::slice::from_ref(before), &ProfileOptions::default()).unwrap();
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
    detector.update(now).unwrap();
    let drift = detector.evaluate().unwrap();
    let mut why = explain(&drift, detector.reference(), detector.window()).unwrap();
    assert_eq!(why.len(), 1);
    let why = why.remove(0);
    (why.cause.clone(), why.sentence())
}

fn normals(seed: u64, change: impl Fn(f64) -> Option<f64>) -> RecordBatch {
    let mut random = Random::new(seed);
    let values: Vec<_> = (0..4000).map(|_| change(50.0 + 8.0 * random.normal())).collect();
    batch(vec![("x", floats(values))])
}

#[test]
fn causes_that_were_planted_are_named() {
    let before = normals(1, Some);
    let mut coin = Random::new(9);
    let hidden: Vec<bool> = (0..4000).map(|_| coin.unit() < 0.3).collect();
    let at = std::cell::Cell::new(0);
    let missing = normals(2, |value| {
        at.set(at.get() + 1);
        (!hidden[at.get() - 1]).then_some(value)
    });
    let (cause, sentence) = why(&before, &missing);
    assert!(
        matches!(cause, Cause::Missing { before, now } if before == 0.0 && now > 0.25),
        "{cause:?}"
    );
    assert!(sentence.starts_with("\"x\": missing values rose from 0 % to 3"), "{sentence}");

    let (cause, sentence) = why(&before, &normals(3, |value| Some(value * 2.54)));
    assert!(matches!(cause, Cause::Scaled { factor } if (factor - 2.54).abs() < 0.1), "{cause:?}");
    assert!(sentence.contains("check whether its unit changed"), "{sentence}");

    let (cause, sentence) = why(&before, &normals(4, |value| Some(value + 4.0)));
    let Cause::Shifted { before: from, now, superiority } = cause else { panic!("{cause:?}") };
    assert!(
        (from - 50.0).abs() < 1.0 && (now - 54.0).abs() < 1.0 && superiority > 0.6,
        "{sentence}"
    );

    let (cause, _) = why(&before, &normals(5, |value| Some(50.0 + (value - 50.0) * 1.6)));
    assert!(matches!(cause, Cause::Spread { factor } if (factor - 1.6).abs() < 0.15), "{cause:?}");

    let outside = normals(6, |value| Some(if value > 52.0 { value + 500.0 } else { value }));
    let (cause, _) = why(&before, &outside);
    assert!(matches!(cause, Cause::OutOfRange { now, .. } if now > 0.3), "{cause:?}");

    let (cause, sentence) = why(&before, &normals(7, Some));
    assert_eq!(cause, Cause::Unmoved);
    assert!(sentence.contains("did not move: at most"), "{sentence}");
}

#[test]
fn one_far_value_is_no_cause() {
    let (cause, _) = why(
        &normals(1, Some),
        &normals(4, |value| Some(if (value - 50.0).abs() < 0.002 { 1e9 } else { value + 4.0 })),
    );
    assert!(matches!(cause, Cause::Shifted { now, .. } if now < 60.0), "{cause:?}");
}

#[test]
fn categories_say_what_gained_and_what_lost_and_what_is_new() {
    let words = |seed: u64, weights: &[f64]| {
        let mut random = Random::new(seed);
        let word = |at: usize| ["bus", "car", "rail", "zeppelin"][at].to_owned();
        let words: Vec<_> = (0..3000).map(|_| Some(word(random.choice(weights)))).collect();
        batch(vec![("way", texts(words))])
    };
    let before = words(1, &[1.0, 2.0, 1.0, 0.0]);
    let (cause, sentence) = why(&before, &words(2, &[3.0, 2.0, 1.0, 0.0]));
    let Cause::Shares { gained: Some(gained), lost: Some(_) } = cause else { panic!("{cause:?}") };
    assert_eq!(&*gained.cell, "bus");
    assert!(sentence.contains("\"bus\" rose from 2"), "{sentence}");
    let (cause, _) = why(&before, &words(3, &[1.0, 2.0, 1.0, 2.0]));
    assert!(matches!(cause, Cause::NotListed { before, .. } if before == 0.0), "{cause:?}");
    let (_, sentence) = why(&before, &words(4, &[1.0, 2.0, 1.0, 0.03]));
    assert!(sentence.starts_with("\"way\": values that the reference has not"), "{sentence}");
}

#[test]
fn the_heaviest_rows_are_those_of_all_rows_however_they_come() {
    let (first, second) = (incomes(1, 3000, 0.0, &EVEN), incomes(2, 2000, 2.0, &[1.0, 3.0, 1.0]));
    let (before, now) = profiles(&first, &second);
    let heaviest = |batches: &[RecordBatch], most: usize| {
        let mut rows = HeaviestRows::new(&before, &now, ["income", "place"], most).unwrap();
        for batch in batches {
            rows.look(batch).unwrap();
        }
        rows.finish()
    };
    let all = heaviest(std::slice::from_ref(&second), 2000);
    assert_eq!(all.len(), 2000);
    assert!(all.is_sorted_by(|a, b| (b.weight, a.row) <= (a.weight, b.row)));
    for row in &all {
        assert!((row.cells.iter().map(|cell| cell.weight).sum::<f64>() - row.weight).abs() < 1e-12);
    }
    let pieces: Vec<_> = (0..20).map(|at| second.slice(at * 100, 100)).collect();
    assert_eq!(heaviest(&pieces, 25), all[..25]);
    assert!(heaviest(&pieces, 0).is_empty());
    // Without a change of where people live, a weight is about incomes alone; it says so first.
    assert_eq!(&*all[0].cells[0].column, "income");
    let error = HeaviestRows::new(&before, &now, ["income", "income"], 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(HeaviestRows::new(&before, &now, ["absent"], 1).is_err());
}

#[test]
fn columns_profiled_one_at_a_time_give_the_bytes_of_all_at_once() {
    let rows = [incomes(1, 500, 0.0, &EVEN), incomes(2, 400, 0.0, &EVEN)];
    let options = ProfileOptions::default();
    let alone = |name: &str| Profile::fit(&rows, &options.clone().with_columns([name])).unwrap();
    let joined = Profile::join([alone("place"), alone("income")]).unwrap();
    let whole = Profile::fit(&rows, &options).unwrap();
    assert_eq!(joined.to_bytes().unwrap(), whole.to_bytes().unwrap());
    for parts in [
        vec![],
        vec![alone("place"), alone("place")],
        vec![
            alone("place"),
            Profile::fit(&rows[..1], &options.clone().with_columns(["income"])).unwrap(),
        ],
    ] {
        assert_eq!(Profile::join(parts).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
