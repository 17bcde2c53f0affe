//! How well each version did, once outcomes are known.

use super::{
    Outcome, OutcomeValue, columns,
    reader::{LogReader, column, fixed, missing, primitive, structure},
    segment::Gap,
};
use crate::{
    Result, Timestamp,
    setters::setters,
    stats::{Interval, wilson},
};
use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{self, TimestampMicrosecondType, UInt32Type},
};
use arrow_schema::DataType;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Which output is held against which outcome, and how.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PerformanceOptions {
    /// The name of the outcome.
    pub outcome: Arc<str>,
    /// The feature of the outputs that answers it: a class (text, whole number, boolean), the
    /// probability of class 1 (a number), or of each class from 0 (a vector: the greatest wins).
    pub output: Arc<str>,
    /// A probability of at least this is class 1: 0.5.
    pub threshold: f64,
    /// The level of intervals: 0.95.
    pub level: f64,
}

impl PerformanceOptions {
    /// The output of the same name as the outcome.
    pub fn new(outcome: impl Into<Arc<str>>) -> Self {
        let outcome = outcome.into();
        Self { output: Arc::clone(&outcome), outcome, threshold: 0.5, level: 0.95 }
    }
}

setters!(PerformanceOptions {
    /// Says which feature of the outputs answers.
    with_output => output: impl Into<Arc<str>>,
    /// Sets the probability from which on an answer is class 1.
    with_threshold => threshold: f64,
    /// Sets the level of intervals.
    with_level => level: f64,
});

/// How each version did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Performance {
    /// Each version that answered or failed, by model and version.
    pub versions: Vec<VersionPerformance>,
    /// What became of the outcomes.
    pub joins: JoinCounts,
    /// What could not be read of the log.
    pub gaps: Vec<Gap>,
}

/// How one version did. Rows, not requests.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct VersionPerformance {
    /// The model.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Rows that were answered.
    pub answered: u64,
    /// Rows of requests that failed.
    pub failed: u64,
    /// Answered rows whose outcome is known and can be compared.
    pub known: u64,
    /// Answered rows whose outcome is known and of another kind than the answer: a label beside a
    /// number, or an answer that is null or NaN.
    pub incomparable: u64,
    /// Known rows that were answered rightly.
    pub right: u64,
    /// Right of known rows with Wilson's interval; `None` while nothing is known.
    pub accuracy: Option<(f64, Interval)>,
}

/// What became of the outcomes of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinCounts {
    /// As many as were appended.
    pub appended: u64,
    /// Those that came for a row or key that already had one: the last one known counts.
    pub repeated: u64,
    /// Those of predictions or keys that the log does not have.
    pub unknown: u64,
}

impl LogReader {
    /// Joins outcomes to answers and counts what was right, for each version.
    ///
    /// # Behavior
    /// - the order in which outcomes came does not matter, nor whether one came again: of those
    ///   for one row the last one known wins, the last one appended if they were known at once
    /// - an outcome of a key is that of every prediction for the key made before it was known,
    ///   unless the prediction has one of its own
    /// - an outcome of a prediction that the log does not have is counted and changes nothing
    /// - an output that the answers do not have is `NotFound`
    pub fn performance(&self, options: &PerformanceOptions) -> Result<Performance> {
        let (outcomes, mut gaps) = self.outcomes()?;
        let mut known = Known::new(outcomes, &options.outcome);
        let mut versions = BTreeMap::new();
        for segment in self.segments()? {
            let segment = segment?;
            for batch in &segment.batches {
                count(batch, options, &mut known, &mut versions)?;
            }
            gaps.extend(segment.gap);
        }
        let versions = versions.into_iter().map(|((model, version), counted)| {
            let VersionPerformance { known, right, .. } = counted;
            let interval = (known > 0).then(|| wilson(right, known, options.level)).transpose()?;
            let accuracy = interval.map(|interval| (share(right, known), interval));
            Ok(VersionPerformance { model, version, accuracy, ..counted })
        });
        let versions = versions.collect::<Result<_>>()?;
        Ok(Performance { versions, joins: known.counts(), gaps })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The outcomes of one name, the last one known for each row.
struct Known {
    of_row: HashMap<(u128, u32), Latest>,
    of_key: HashMap<(Arc<str>, u32), Latest>,
    appended: u64,
    repeated: u64,
}

struct Latest {
    time: Timestamp,
    value: OutcomeValue,
    joined: bool,
}

impl Known {
    fn new(outcomes: Vec<Outcome>, name: &str) -> Self {
        let (of_row, of_key) = (HashMap::new(), HashMap::new());
        let mut known = Self { of_row, of_key, appended: 0, repeated: 0 };
        for outcome in outcomes.into_iter().filter(|outcome| outcome.name.as_ref() == name) {
            known.appended += 1;
            let Outcome { prediction, key, row, time, value, .. } = outcome;
            let latest = Latest { time, value, joined: false };
            let is_new = match (prediction, key) {
                (Some(id), _) => keep(&mut known.of_row, (id.as_u128(), row), latest),
                (None, Some(key)) => keep(&mut known.of_key, (key, row), latest),
                (None, None) => true,
            };
            known.repeated += u64::from(!is_new);
        }
        known
    }

    /// The outcome of a record, if it is known.
    fn of(
        &mut self,
        id: u128,
        row: u32,
        key: Option<&str>,
        time: Timestamp,
    ) -> Option<&OutcomeValue> {
        if let Some(latest) = self.of_row.get_mut(&(id, row)) {
            latest.joined = true;
            return Some(&latest.value);
        }
        let latest = self.of_key.get_mut(&(Arc::from(key?), row))?;
        latest.joined = true;
        (latest.time >= time).then_some(&latest.value)
    }

    fn counts(&self) -> JoinCounts {
        let all = self.of_row.values().chain(self.of_key.values());
        let unknown = all.filter(|latest| !latest.joined).count() as u64;
        JoinCounts { appended: self.appended, repeated: self.repeated, unknown }
    }
}

/// Keeps the later of two; whether it was the first.
fn keep<K: std::hash::Hash + Eq>(all: &mut HashMap<K, Latest>, key: K, new: Latest) -> bool {
    use std::collections::hash_map::Entry;
    match all.entry(key) {
        Entry::Vacant(place) => {
            place.insert(new);
            true
        }
        Entry::Occupied(mut place) => {
            if new.time >= place.get().time {
                place.insert(new);
            }
            false
        }
    }
}

type Versions = BTreeMap<(Arc<str>, Arc<str>), VersionPerformance>;

/// Counts the records of a batch, all of one version of one model.
fn count(
    batch: &RecordBatch,
    options: &PerformanceOptions,
    known: &mut Known,
    versions: &mut Versions,
) -> Result<()> {
    let text = |name| column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| missing(name));
    let (model, version) = (text(columns::MODEL)?, text(columns::VERSION)?);
    let (key, error) = (text(columns::KEY)?, text(columns::ERROR)?);
    let ids = fixed(batch, columns::PREDICTION)?;
    let rows = primitive::<UInt32Type>(batch, columns::ROW)?;
    let times = primitive::<TimestampMicrosecondType>(batch, columns::TIME)?;
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let name = (Arc::from(model.value(0)), Arc::from(version.value(0)));
    let counted = versions.entry(name).or_default();
    let mut answers = None;
    for at in 0..batch.num_rows() {
        if error.is_valid(at) {
            counted.failed += 1;
            continue;
        }
        counted.answered += 1;
        let id: Option<[u8; 16]> = ids.value(at).try_into().ok();
        let key = key.is_valid(at).then(|| key.value(at));
        let time = Timestamp::from_unix_micros(times.value(at));
        let id = id.map_or(0, u128::from_be_bytes);
        let Some(outcome) = known.of(id, rows.value(at), key, time) else { continue };
        let answers = match answers.take() {
            Some(known) => answers.insert(known),
            None => answers.insert(Answers::of(batch, options)?),
        };
        match answers.is_right(at, outcome) {
            None => counted.incomparable += 1,
            Some(right) => {
                counted.known += 1;
                counted.right += u64::from(right);
            }
        }
    }
    Ok(())
}

/// The column that answers, and how a number in it becomes a class.
struct Answers {
    column: ArrayRef,
    threshold: f64,
}

impl Answers {
    fn of(batch: &RecordBatch, options: &PerformanceOptions) -> Result<Self> {
        let outputs = structure(batch, columns::OUTPUTS)?;
        let column = outputs.column_by_name(&options.output).ok_or_else(|| {
            let names: Vec<_> = outputs.column_names();
            let output = &options.output;
            crate::Error::not_found(format!("answers have no output {output:?}, but {names:?}"))
        })?;
        Ok(Self { column: Arc::clone(column), threshold: options.threshold })
    }

    /// Whether a row was answered rightly; `None` if answer and outcome cannot be compared.
    fn is_right(&self, at: usize, outcome: &OutcomeValue) -> Option<bool> {
        if self.column.is_null(at) {
            return None;
        }
        match (self.column.as_string_opt::<i32>(), outcome) {
            (Some(texts), OutcomeValue::Label(label)) => Some(texts.value(at) == label.as_ref()),
            // A fraction or NaN is no class.
            (None, OutcomeValue::Number(number)) if number.fract() == 0.0 =>
            {
                #[expect(clippy::float_cmp, reason = "classes are whole numbers, exact in f64")]
                self.class(at).map(|class| class == *number)
            }
            _ => None,
        }
    }

    /// The class that a row was given.
    fn class(&self, at: usize) -> Option<f64> {
        let column = &self.column;
        if let Some(bools) = column.as_boolean_opt() {
            return Some(f64::from(u8::from(bools.value(at))));
        }
        if let Some(list) = column.as_fixed_size_list_opt() {
            return greatest(&list.value(at), self.threshold);
        }
        let number = number(column, at)?;
        if column.data_type().is_integer() {
            return Some(number);
        }
        (!number.is_nan()).then(|| f64::from(u8::from(number >= self.threshold)))
    }
}

/// The place of the greatest of several probabilities, the first of equal ones; a single one is
/// that of class 1.
fn greatest(probabilities: &ArrayRef, threshold: f64) -> Option<f64> {
    let values: Option<Vec<f64>> =
        (0..probabilities.len()).map(|at| number(probabilities, at)).collect();
    let values = values?;
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    if let [single] = values.as_slice() {
        return Some(f64::from(u8::from(*single >= threshold)));
    }
    let first =
        values.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    first.and_then(|(at, _)| u32::try_from(at).ok()).map(f64::from)
}

/// An element as a number; `None` if it is null, no number, or a whole number that no class has.
fn number(array: &ArrayRef, at: usize) -> Option<f64> {
    macro_rules! value {
        ($arrow:ident) => {
            array.as_primitive::<types::$arrow>().value(at)
        };
    }
    if array.is_null(at) {
        return None;
    }
    match array.data_type() {
        DataType::Int8 => Some(value!(Int8Type).into()),
        DataType::Int16 => Some(value!(Int16Type).into()),
        DataType::Int32 => Some(value!(Int32Type).into()),
        DataType::Int64 => i32::try_from(value!(Int64Type)).ok().map(f64::from),
        DataType::UInt8 => Some(value!(UInt8Type).into()),
        DataType::UInt16 => Some(value!(UInt16Type).into()),
        DataType::UInt32 => Some(value!(UInt32Type).into()),
        DataType::UInt64 => u32::try_from(value!(UInt64Type)).ok().map(f64::from),
        DataType::Float16 => Some(value!(Float16Type).to_f64()),
        DataType::Float32 => Some(value!(Float32Type).into()),
        DataType::Float64 => Some(value!(Float64Type)),
        _ => None,
    }
}
