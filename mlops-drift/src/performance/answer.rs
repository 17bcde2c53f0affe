//! What was answered, as a class that an outcome can be held against.

use crate::profile::rows::{Content, numbers, texts};
use mlops_core::{
    Error, PredictionId, Result, Timestamp,
    arrow::{
        array::{
            Array, ArrayRef, ArrowPrimitiveType, FixedSizeBinaryArray, PrimitiveArray, RecordBatch,
            cast::AsArray,
            types::{TimestampMicrosecondType, UInt32Type},
        },
        schema::DataType,
    },
    inference_log::{OutcomeValue, columns},
};
use std::sync::Arc;

/// The class that one row of a request was given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The answer's name.
    pub prediction: PredictionId,
    /// The row within the request, from 0.
    pub row: u32,
    /// The caller's business key.
    pub key: Option<Arc<str>>,
    /// When it was given.
    pub time: Timestamp,
    /// The version that gave it, as people write it: `employment/3`.
    pub version: Arc<str>,
    /// The class.
    pub value: OutcomeValue,
}

impl Answer {
    /// The answer to a request's first row, without a key.
    pub fn new(
        prediction: PredictionId,
        time: Timestamp,
        version: impl Into<Arc<str>>,
        value: OutcomeValue,
    ) -> Self {
        Self { prediction, row: 0, key: None, time, version: version.into(), value }
    }

    /// Says which row of the request it is.
    #[must_use]
    pub fn with_row(mut self, row: u32) -> Self {
        self.row = row;
        self
    }

    /// Adds the caller's business key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The answers in a batch of the inference log (see
    /// [`record_schema`](mlops_core::inference_log::record_schema)), rows that failed left out.
    ///
    /// The output is a class (text, whole numbers, booleans), the probability of class 1 (floats:
    /// from `threshold` on it is class 1), or a list of the probabilities of class 0, 1 … (the
    /// greatest wins, the first of equal ones; a single one is that of class 1). A missing answer
    /// is a NaN, which no outcome compares with. A batch without the columns of a record, or
    /// without the output, is `InvalidInput`.
    pub fn of_records(records: &RecordBatch, output: &str, threshold: f64) -> Result<Vec<Self>> {
        let text = |name| column(records, name)?.as_string_opt::<i32>().ok_or_else(|| odd(name));
        let (models, versions) = (text(columns::MODEL)?, text(columns::VERSION)?);
        let (keys, errors) = (text(columns::KEY)?, text(columns::ERROR)?);
        let ids = column(records, columns::PREDICTION)?;
        let ids = ids.as_any().downcast_ref::<FixedSizeBinaryArray>();
        let ids = ids.filter(|ids| ids.value_length() == 16);
        let ids = ids.ok_or_else(|| odd(columns::PREDICTION))?;
        let rows = primitive::<UInt32Type>(records, columns::ROW)?;
        let times = primitive::<TimestampMicrosecondType>(records, columns::TIME)?;
        let classes = classes(&answers(records, output)?, output, threshold)?;
        let mut all = Vec::with_capacity(classes.len());
        for (at, value) in classes.into_iter().enumerate() {
            if errors.is_valid(at) {
                continue;
            }
            let id = ids.value(at).try_into().map_err(|_| odd(columns::PREDICTION))?;
            all.push(Self {
                prediction: PredictionId::from_u128(u128::from_be_bytes(id)),
                row: rows.value(at),
                key: keys.is_valid(at).then(|| keys.value(at).into()),
                time: Timestamp::from_unix_micros(times.value(at)),
                version: format!("{}/{}", models.value(at), versions.value(at)).into(),
                value,
            });
        }
        Ok(all)
    }

    /// Whether it was right; `None` if the outcome cannot be compared with it.
    pub(super) fn is_right(&self, outcome: &OutcomeValue) -> Option<bool> {
        match (&self.value, outcome) {
            (OutcomeValue::Label(own), OutcomeValue::Label(other)) => Some(own == other),
            (OutcomeValue::Number(own), OutcomeValue::Number(other)) => {
                // Classes are whole numbers, which floats hold exactly.
                own.partial_cmp(other).map(std::cmp::Ordering::is_eq)
            }
            _ => None,
        }
    }
}

fn column<'a>(records: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let missing = || Error::invalid(format!("records have no column {name:?}"));
    records.column_by_name(name).ok_or_else(missing)
}

fn primitive<'a, T: ArrowPrimitiveType>(
    records: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<T>> {
    column(records, name)?.as_primitive_opt::<T>().ok_or_else(|| odd(name))
}

fn odd(name: &str) -> Error {
    Error::invalid(format!("column {name:?} is not of the type that records have"))
}

/// The column of an output.
fn answers(records: &RecordBatch, output: &str) -> Result<ArrayRef> {
    let outputs = column(records, columns::OUTPUTS)?;
    let outputs = outputs.as_struct_opt().ok_or_else(|| odd(columns::OUTPUTS))?;
    let missing = || Error::invalid(format!("records have no output {output:?}"));
    outputs.column_by_name(output).cloned().ok_or_else(missing)
}

fn classes(answers: &ArrayRef, output: &str, threshold: f64) -> Result<Vec<OutcomeValue>> {
    let none = || OutcomeValue::Number(f64::NAN);
    if matches!(answers.data_type(), DataType::FixedSizeList(..) | DataType::List(_)) {
        let class = |at: usize| greatest(&element(answers, at)?, threshold);
        let all = (0..answers.len()).map(|at| class(at).map_or_else(none, OutcomeValue::Number));
        return Ok(all.collect());
    }
    let mut classes = Vec::with_capacity(answers.len());
    match Content::of(answers.data_type()) {
        Some(Content::Text) => texts(answers, |text| {
            classes.push(text.map_or_else(none, |text| OutcomeValue::Label(text.into())));
        }),
        Some(content) => numbers(answers, |value| {
            let class = match content {
                Content::Float => value.and_then(|p| at_least(p, threshold)),
                _ => value,
            };
            classes.push(class.map_or_else(none, OutcomeValue::Number));
        }),
        None => {
            let found = answers.data_type();
            return Err(Error::invalid(format!("output {output:?} is no class: {found}")));
        }
    }
    Ok(classes)
}

fn element(answers: &ArrayRef, at: usize) -> Option<ArrayRef> {
    if answers.is_null(at) {
        return None;
    }
    let fixed = answers.as_fixed_size_list_opt().map(|lists| lists.value(at));
    fixed.or_else(|| answers.as_list_opt::<i32>().map(|lists| lists.value(at)))
}

/// The place of the greatest probability; a single one is that of class 1.
fn greatest(probabilities: &ArrayRef, threshold: f64) -> Option<f64> {
    let mut values = Vec::with_capacity(probabilities.len());
    numbers(probabilities, |value| values.push(value.unwrap_or(f64::NAN)));
    if let [single] = values.as_slice() {
        return at_least(*single, threshold);
    }
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let first =
        values.iter().zip(0_u32..).reduce(|best, next| if next.0 > best.0 { next } else { best });
    first.map(|(_, class)| f64::from(class))
}

fn at_least(probability: f64, threshold: f64) -> Option<f64> {
    (!probability.is_nan()).then(|| f64::from(probability >= threshold))
}
