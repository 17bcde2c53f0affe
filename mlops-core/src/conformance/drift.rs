//! What every [`DriftDetector`] promises, a check a promise.

use super::check;
use crate::{
    DriftDetector, ErrorKind, Result,
    drift::{DetectorState, Drift, Effect, Evidence, Merging, Verdict},
};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use std::{fmt, sync::Arc};

type Open = dyn Fn() -> Box<dyn DriftDetector> + Send + Sync;
type Restore = dyn Fn(&DetectorState) -> Result<Box<dyn DriftDetector>> + Send + Sync;

/// A detector to check, just opened, and rows for it.
pub struct Subject {
    open: Box<Open>,
    restore: Box<Restore>,
    same: RecordBatch,
    moved: RecordBatch,
    foreign: Option<DetectorState>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", (self.open)())
    }
}

impl Subject {
    /// `open` makes a fresh detector and `restore` brings one back from a state; `same` are at
    /// least 1,000 rows like the reference's, `moved` as many that any detector must find far away.
    pub fn new(
        open: impl Fn() -> Box<dyn DriftDetector> + Send + Sync + 'static,
        restore: impl Fn(&DetectorState) -> Result<Box<dyn DriftDetector>> + Send + Sync + 'static,
        same: RecordBatch,
        moved: RecordBatch,
    ) -> Self {
        assert!(
            same.num_rows() >= 1_000 && moved.num_rows() >= 1_000,
            "too few rows to check with"
        );
        let (open, restore) = (Box::new(open), Box::new(restore));
        Self { open, restore, same, moved, foreign: None }
    }

    /// Adds a state of the same kind of detector beside another reference, which it must refuse.
    #[must_use]
    pub fn with_foreign(mut self, foreign: DetectorState) -> Self {
        self.foreign = Some(foreign);
        self
    }

    fn after(&self, rows: &[&RecordBatch]) -> Box<dyn DriftDetector> {
        let mut detector = (self.open)();
        for rows in rows {
            detector.update(rows).expect("valid rows are taken");
        }
        detector
    }

    /// `same`, cut into pieces of uneven lengths.
    fn pieces(&self) -> Vec<RecordBatch> {
        let total = self.same.num_rows();
        let cuts = [0, 1, total / 7, total / 3, total / 2, total];
        cuts.windows(2).map(|cut| self.same.slice(cut[0], cut[1] - cut[0])).collect()
    }
}

fn state(detector: &dyn DriftDetector) -> DetectorState {
    detector.state().expect("a detector gives its state")
}

fn finding(detector: &dyn DriftDetector) -> Drift {
    detector.evaluate().expect("a detector evaluates")
}

check! {
    "a missing or wrongly typed column is `InvalidInput`, is named, and changes nothing";
    async fn bad_rows_are_named(subject: Subject) {
        let mut detector = subject.after(&[&subject.same]);
        let before = state(&*detector);
        for column in detector.info().columns.clone() {
            for bad in [without(&subject.same, &column), as_booleans(&subject.same, &column)] {
                let error = detector.update(&bad).expect_err("bad rows are refused");
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains(column.as_ref()), "{error} does not name {column:?}");
                assert_eq!(state(&*detector), before);
            }
        }
    }
}

check! {
    "zero rows change nothing";
    async fn zero_rows_change_nothing(subject: Subject) {
        let mut detector = subject.after(&[&subject.same]);
        let before = state(&*detector);
        detector.update(&subject.same.slice(0, 0)).expect("zero rows are valid");
        assert_eq!(state(&*detector), before);
    }
}

check! {
    "an empty window is [`Verdict::TooFewRows`], not an error";
    async fn an_empty_window_is_too_few(subject: Subject) {
        assert_eq!(finding(&*(subject.open)()).verdict, Verdict::TooFewRows);
    }
}

check! {
    "rows drawn from the reference are not `Drifted`; rows moved far away are";
    async fn drift_is_found_and_only_drift(subject: Subject) {
        let same = finding(&*subject.after(&[&subject.same]));
        assert_ne!(same.verdict, Verdict::Drifted, "{same:?}");
        let moved = finding(&*subject.after(&[&subject.moved]));
        assert_eq!(moved.verdict, Verdict::Drifted, "{moved:?}");
    }
}

check! {
    "asking twice gives the same answer";
    async fn asking_changes_nothing(subject: Subject) {
        let detector = subject.after(&[&subject.same, &subject.moved]);
        let before = state(&*detector);
        assert_eq!(finding(&*detector), finding(&*detector));
        assert_eq!(state(&*detector), before);
    }
}

check! {
    "every probability lies in 0..=1, every statistic and effect is a number";
    async fn numbers_are_numbers(subject: Subject) {
        let (same, moved) = (&subject.same, &subject.moved);
        for rows in [vec![], vec![same], vec![moved], vec![same, moved]] {
            assert_numbers(&finding(&*subject.after(&rows)));
        }
    }
}

check! {
    "saved, restored and continued equals never interrupted, byte for byte";
    async fn a_state_continues(subject: Subject) {
        let pieces = subject.pieces();
        let whole = subject.after(&pieces.iter().collect::<Vec<_>>());
        let mut interrupted = subject.after(&[]);
        for piece in &pieces {
            interrupted = (subject.restore)(&state(&*interrupted)).expect("its own state is restored");
            interrupted.update(piece).expect("valid rows are taken");
        }
        assert_eq!(state(&*interrupted), state(&*whole));
        assert_eq!(finding(&*interrupted), finding(&*whole));
    }
}

check! {
    "where merging is exact, the order of merging does not change a byte";
    async fn merging_is_exact_where_it_says_so(subject: Subject) {
        let pieces = subject.pieces();
        let states: Vec<_> = pieces.iter().map(|piece| state(&*subject.after(&[piece]))).collect();
        let mut merged = subject.after(&[]);
        if merged.info().merging == Merging::None {
            let error = merged.merge(&states[0]).expect_err("it says that it cannot");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            return;
        }
        let mut backwards = subject.after(&[]);
        for (forth, back) in states.iter().zip(states.iter().rev()) {
            merged.merge(forth).expect("a state of the same detector");
            backwards.merge(back).expect("a state of the same detector");
        }
        if merged.info().merging == Merging::Exact {
            assert_eq!(state(&*merged), state(&*backwards));
            assert_eq!(state(&*merged), state(&*subject.after(&[&subject.same])));
        }
    }
}

check! {
    "a state of another detector, version or reference is `InvalidInput` and changes nothing";
    async fn foreign_states_are_refused(subject: Subject) {
        let mut detector = subject.after(&[&subject.same]);
        if detector.info().merging == Merging::None {
            return;
        }
        let before = state(&*detector);
        let mut damaged = before.clone();
        damaged.bytes.truncate(damaged.bytes.len() / 2);
        let mut newer = before.clone();
        newer.version += 1_000;
        let other = DetectorState::new("another detector", 1, before.bytes.clone());
        for bad in [Some(other), Some(newer), Some(damaged), subject.foreign].into_iter().flatten() {
            let error = detector.merge(&bad).expect_err("a foreign state is refused");
            let expected = [ErrorKind::InvalidInput, ErrorKind::Unsupported, ErrorKind::Corrupt];
            assert!(expected.contains(&error.kind()), "{error:?}");
            assert_eq!(state(&*detector), before);
        }
    }
}

check! {
    "afterwards its state equals that of one just opened";
    async fn reset_empties_the_window(subject: Subject) {
        let mut detector = subject.after(&[&subject.same, &subject.moved]);
        detector.reset();
        assert_eq!(state(&*detector), state(&*(subject.open)()));
    }
}

fn assert_numbers(drift: &Drift) {
    let number = |effect: &Effect| effect.value.is_finite();
    assert!(drift.statistic.is_finite() && number(&drift.effect), "{drift:?}");
    if let Some(interval) = drift.effect.interval {
        assert!(interval.low <= interval.high, "{drift:?}");
    }
    match drift.evidence {
        Evidence::P { p, adjusted, .. } => {
            assert!((0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&adjusted), "{drift:?}");
        }
        Evidence::E { e } => assert!(e >= 0.0, "{drift:?}"),
        Evidence::Interval | Evidence::Rule => {}
    }
    drift.parts.iter().for_each(assert_numbers);
}

fn without(rows: &RecordBatch, column: &str) -> RecordBatch {
    rebuilt(rows, |field, array| (field.name() != column).then(|| (field.clone(), array.clone())))
}

/// The column as lists of booleans, which no detector watches.
fn as_booleans(rows: &RecordBatch, column: &str) -> RecordBatch {
    rebuilt(rows, |field, array| {
        if field.name() != column {
            return Some((field.clone(), array.clone()));
        }
        let nested = Field::new("item", arrow_schema::DataType::Boolean, true);
        let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![true; rows.num_rows()]));
        let list = arrow_array::FixedSizeListArray::new(Arc::new(nested), 1, booleans, None);
        let list: ArrayRef = Arc::new(list);
        Some((Field::new(column, list.data_type().clone(), true), list))
    })
}

fn rebuilt(
    rows: &RecordBatch,
    change: impl Fn(&Field, &ArrayRef) -> Option<(Field, ArrayRef)>,
) -> RecordBatch {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let (fields, arrays): (Vec<_>, Vec<_>) =
        columns.filter_map(|(field, array)| change(field, array)).unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .expect("arrays of one length fit their own fields")
}

super::suite! {
    /// One named test a promise of [`DriftDetector`](crate::DriftDetector), on a backend that an
    /// expression makes: a [`Subject`](crate::conformance::drift::Subject).
    drift_conformance, drift: [
        bad_rows_are_named, zero_rows_change_nothing, an_empty_window_is_too_few, drift_is_found_and_only_drift,
        asking_changes_nothing, numbers_are_numbers, a_state_continues, merging_is_exact_where_it_says_so,
        foreign_states_are_refused, reset_empties_the_window,
    ]
}
