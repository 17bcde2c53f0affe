//! A simple detector passes the suite of drift detectors; each saboteur fails exactly its check.

use mlops_core::{
    DriftDetector, Error, Result,
    arrow::array::{ArrayRef, Float64Array, RecordBatch, cast::AsArray, types::Float64Type},
    conformance::drift::{self as suite, Subject},
    drift::{DetectorInfo, DetectorState, Drift, Effect, Evidence, Merging, Verdict},
    stats::{Interval, normal_quantile},
};
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Whether the mean of column `x` moved by over a quarter of a deviation. Sums count units of
/// 2^-20, so that merging is exact.
#[derive(Clone, Debug)]
struct MeanDetector {
    info: DetectorInfo,
    mean: f64,
    deviation: f64,
    rows: u32,
    sum: i128,
}

const UNIT: f64 = 1_048_576.0;

impl MeanDetector {
    fn open(mean: f64, deviation: f64) -> Self {
        let info = DetectorInfo::new("mean", [Arc::from("x")], Merging::Exact);
        Self { info, mean, deviation, rows: 0, sum: 0 }
    }

    fn window(&self) -> (u32, i128) {
        (self.rows, self.sum)
    }
}

impl DriftDetector for MeanDetector {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn update(&mut self, rows: &RecordBatch) -> Result<()> {
        let column = rows.column_by_name("x").and_then(|x| x.as_primitive_opt::<Float64Type>());
        let column = column.ok_or_else(|| Error::invalid("no column \"x\" of floats"))?;
        for value in column.iter().flatten() {
            self.rows += 1;
            #[expect(clippy::cast_possible_truncation, reason = "the test's values are small")]
            let units = (value * UNIT).round() as i128;
            self.sum += units;
        }
        Ok(())
    }

    fn evaluate(&self) -> Result<Drift> {
        if self.rows < 100 {
            return Ok(Drift::too_few("x", self.rows.into()));
        }
        let rows = f64::from(self.rows);
        #[expect(clippy::cast_precision_loss, reason = "a double of a detector")]
        let shift = (self.sum as f64 / UNIT / rows - self.mean) / self.deviation;
        let reach = normal_quantile(0.99)? / rows.sqrt();
        let interval = Interval { low: shift - reach, high: shift + reach, level: 0.99 };
        let moved = interval.low > 0.25 || interval.high < -0.25;
        let verdict = if moved { Verdict::Drifted } else { Verdict::Stable };
        let effect = Effect::new("mean_shift_sd", shift).with_interval(interval);
        Ok(Drift::new("x", self.rows.into(), shift, effect, Evidence::Interval, verdict))
    }

    fn state(&self) -> Result<DetectorState> {
        let reference = [self.mean.to_le_bytes(), self.deviation.to_le_bytes()].concat();
        let window = [&self.rows.to_le_bytes()[..], &self.sum.to_le_bytes()[..]].concat();
        Ok(DetectorState::new("mean", 1, [reference, window].concat()))
    }

    fn merge(&mut self, other: &DetectorState) -> Result<()> {
        let bytes = other.open("mean", 1)?;
        let (Some((reference, window)), 36) = (bytes.split_at_checked(16), bytes.len()) else {
            return Err(Error::corrupt("a state of the wrong length"));
        };
        if reference != &self.state()?.bytes[..16] {
            return Err(Error::invalid("a state beside another reference"));
        }
        self.rows += u32::from_le_bytes(window[..4].try_into().unwrap());
        self.sum += i128::from_le_bytes(window[4..].try_into().unwrap());
        Ok(())
    }

    fn reset(&mut self) {
        (self.rows, self.sum) = (0, 0);
    }
}

/// 1,400 rows of mean 0 and deviation 1, moved.
fn rows(shift: f64) -> RecordBatch {
    let x = (0..1400).map(|row| f64::from(row * 5 % 7 - 3) / 2.0 + shift);
    let x: ArrayRef = Arc::new(Float64Array::from_iter_values(x));
    RecordBatch::try_from_iter([("x", x)]).unwrap()
}

fn subject() -> Subject {
    let restore = |state: &DetectorState| -> Result<Box<dyn DriftDetector>> {
        let mut detector = MeanDetector::open(0.0, 1.0);
        detector.merge(state)?;
        Ok(Box::new(detector))
    };
    let foreign = MeanDetector::open(0.5, 1.0).state().unwrap();
    let open = || Box::new(MeanDetector::open(0.0, 1.0)) as Box<dyn DriftDetector>;
    Subject::new(open, restore, rows(0.0), rows(2.0)).with_foreign(foreign)
}

mlops_core::drift_conformance!(mean, subject());

/// One broken promise each, and the check that must notice.
const SABOTAGES: &[(Sabotage, &str)] = &[
    (Sabotage::ForgivesBadRows, "bad_rows_are_named"),
    (Sabotage::NamesNoColumn, "bad_rows_are_named"),
    (Sabotage::CountsBeforeItChecks, "bad_rows_are_named"),
    (Sabotage::CountsZeroRows, "zero_rows_change_nothing"),
    (Sabotage::RefusesZeroRows, "zero_rows_change_nothing"),
    (Sabotage::CallsNothingStable, "an_empty_window_is_too_few"),
    (Sabotage::NeverAlarms, "drift_is_found_and_only_drift"),
    (Sabotage::AlwaysAlarms, "drift_is_found_and_only_drift"),
    (Sabotage::CountsQuestions, "asking_changes_nothing"),
    (Sabotage::ChangesWhenAsked, "asking_changes_nothing"),
    (Sabotage::MoreThanCertain, "numbers_are_numbers"),
    (Sabotage::InfiniteStatistic, "numbers_are_numbers"),
    (Sabotage::RestoresNothing, "a_state_continues"),
    (Sabotage::RestoresALittleMore, "a_state_continues"),
    (Sabotage::KeepsTheLastMerged, "merging_is_exact_where_it_says_so"),
    (Sabotage::ClaimsNotToMerge, "merging_is_exact_where_it_says_so"),
    (Sabotage::TakesAnyDetectorsState, "foreign_states_are_refused"),
    (Sabotage::TakesNewerStates, "foreign_states_are_refused"),
    (Sabotage::TakesAnotherReference, "foreign_states_are_refused"),
    (Sabotage::EmptiesBeforeItChecks, "foreign_states_are_refused"),
    (Sabotage::ResetsNothing, "reset_empties_the_window"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sabotage {
    ForgivesBadRows,
    NamesNoColumn,
    CountsBeforeItChecks,
    CountsZeroRows,
    RefusesZeroRows,
    CallsNothingStable,
    NeverAlarms,
    AlwaysAlarms,
    CountsQuestions,
    ChangesWhenAsked,
    MoreThanCertain,
    InfiniteStatistic,
    RestoresNothing,
    RestoresALittleMore,
    KeepsTheLastMerged,
    ClaimsNotToMerge,
    TakesAnyDetectorsState,
    TakesNewerStates,
    TakesAnotherReference,
    EmptiesBeforeItChecks,
    ResetsNothing,
}

/// Breaks one promise of the detector that it holds.
#[derive(Debug)]
struct Saboteur {
    inner: MeanDetector,
    breaks: Sabotage,
    asked: AtomicU32,
}

impl Saboteur {
    fn open(breaks: Sabotage) -> Self {
        let mut inner = MeanDetector::open(0.0, 1.0);
        if breaks == Sabotage::ClaimsNotToMerge {
            inner.info.merging = Merging::None;
        }
        Self { inner, breaks, asked: AtomicU32::new(0) }
    }

    fn restore(breaks: Sabotage, state: &DetectorState) -> Result<Self> {
        let mut detector = Self::open(breaks);
        match breaks {
            Sabotage::RestoresNothing => {}
            Sabotage::RestoresALittleMore => {
                detector.inner.merge(state)?;
                detector.inner.sum += 1;
            }
            _ => detector.inner.merge(state)?,
        }
        Ok(detector)
    }
}

impl DriftDetector for Saboteur {
    fn info(&self) -> &DetectorInfo {
        self.inner.info()
    }

    fn update(&mut self, rows: &RecordBatch) -> Result<()> {
        match (self.breaks, self.inner.update(rows)) {
            (Sabotage::CountsZeroRows, Ok(())) if rows.num_rows() == 0 => self.inner.rows += 1,
            (Sabotage::RefusesZeroRows, Ok(())) if rows.num_rows() == 0 => {
                return Err(Error::invalid("no rows"));
            }
            (Sabotage::ForgivesBadRows, Err(_)) => {}
            (Sabotage::NamesNoColumn, Err(_)) => return Err(Error::invalid("something is wrong")),
            (Sabotage::CountsBeforeItChecks, Err(error)) => {
                self.inner.rows += 1;
                return Err(error);
            }
            (_, done) => return done,
        }
        Ok(())
    }

    fn evaluate(&self) -> Result<Drift> {
        let mut drift = self.inner.evaluate()?;
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let empty = self.inner.rows == 0;
        match self.breaks {
            Sabotage::CallsNothingStable if empty => drift.verdict = Verdict::Stable,
            Sabotage::NeverAlarms if !empty => drift.verdict = Verdict::Stable,
            Sabotage::AlwaysAlarms if !empty => drift.verdict = Verdict::Drifted,
            Sabotage::CountsQuestions => drift.statistic += f64::from(asked),
            Sabotage::InfiniteStatistic => drift.statistic = f64::INFINITY,
            Sabotage::MoreThanCertain => {
                drift.evidence = Evidence::P { p: 0.5, adjusted: 1.5, exact: false };
            }
            _ => {}
        }
        Ok(drift)
    }

    fn state(&self) -> Result<DetectorState> {
        let mut window = self.inner.clone();
        if self.breaks == Sabotage::ChangesWhenAsked {
            window.rows += self.asked.load(Ordering::Relaxed);
        }
        window.state()
    }

    fn merge(&mut self, other: &DetectorState) -> Result<()> {
        let mut other = other.clone();
        match self.breaks {
            Sabotage::TakesAnyDetectorsState => other.detector = "mean".into(),
            Sabotage::TakesNewerStates => other.version = 1,
            Sabotage::TakesAnotherReference if other.bytes.len() == 36 => {
                other.bytes[..16].copy_from_slice(&self.inner.state()?.bytes[..16]);
            }
            Sabotage::KeepsTheLastMerged => {
                let before = self.inner.window();
                self.inner.reset();
                return self.inner.merge(&other).inspect_err(|_| {
                    (self.inner.rows, self.inner.sum) = before;
                });
            }
            Sabotage::EmptiesBeforeItChecks => {
                return self.inner.merge(&other).inspect_err(|_| self.inner.reset());
            }
            _ => {}
        }
        self.inner.merge(&other)
    }

    fn reset(&mut self) {
        if self.breaks != Sabotage::ResetsNothing {
            self.inner.reset();
        }
    }
}

type Check = fn(Subject) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        &[$((stringify!($check), |subject| Box::pin(suite::$check(subject)))),*]
    };
}

const CHECKS: &[(&str, Check)] = checks![
    bad_rows_are_named,
    zero_rows_change_nothing,
    an_empty_window_is_too_few,
    drift_is_found_and_only_drift,
    asking_changes_nothing,
    numbers_are_numbers,
    a_state_continues,
    merging_is_exact_where_it_says_so,
    foreign_states_are_refused,
    reset_empties_the_window,
];

/// The checks that a saboteur does not pass.
fn failed(breaks: Sabotage) -> Vec<&'static str> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fails = |check: Check| {
        let open = move || Box::new(Saboteur::open(breaks)) as Box<dyn DriftDetector>;
        let restore = move |state: &DetectorState| -> Result<Box<dyn DriftDetector>> {
            Ok(Box::new(Saboteur::restore(breaks, state)?))
        };
        let foreign = MeanDetector::open(0.5, 1.0).state().unwrap();
        let subject = Subject::new(open, restore, rows(0.0), rows(2.0)).with_foreign(foreign);
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(check(subject)))).is_err()
    };
    CHECKS.iter().filter(|(_, check)| fails(*check)).map(|(name, _)| *name).collect()
}

#[test]
fn each_saboteur_fails_exactly_its_check() {
    for (breaks, check) in SABOTAGES {
        assert_eq!(failed(*breaks), [*check], "{breaks:?}");
    }
}

/// A check without a saboteur might not be able to fail.
#[test]
fn no_check_is_without_a_saboteur() {
    let sabotaged: BTreeSet<&str> = SABOTAGES.iter().map(|(_, check)| *check).collect();
    assert_eq!(sabotaged, suite::CHECKS.iter().copied().collect());
    let run: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(run, suite::CHECKS);
}
