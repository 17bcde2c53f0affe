//! A predictor whose requests are counted, and the same as an observer.

use super::{Shared, lanes::Lanes};
use crate::profile::{ColumnProfile, Profile, Value};
use async_trait::async_trait;
use mlops_core::{
    Error, Observer, Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use std::{sync::Arc, time::Duration};

/// Where the values of a profile's columns are in a request and its answer.
#[derive(Debug)]
pub(super) struct Plan {
    tensors: Vec<Source>,
    /// The tensor and the place in its row, for each column.
    columns: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    answered: bool,
    width: usize,
}

impl Plan {
    /// A column that is neither an input nor an output, or of a type that cannot be counted as its
    /// profile counts, is `InvalidInput`, named.
    pub(super) fn new(reference: &Profile, signature: &ModelSignature) -> Result<Self> {
        let mut plan = Self { tensors: Vec::new(), columns: Vec::new() };
        let inputs = signature.inputs.iter().map(|spec| (spec, false));
        let specs: Vec<_> =
            inputs.chain(signature.outputs.iter().map(|spec| (spec, true))).collect();
        for column in reference.columns() {
            let name = column.name();
            let found = specs.iter().find_map(|(spec, answered)| {
                let place = spec.features().iter().position(|feature| feature == name)?;
                Some((*spec, *answered, place))
            });
            let Some((spec, answered, place)) = found else {
                return Err(Error::invalid(format!(
                    "column {name:?} of the reference is neither an input nor an output of the model"
                )));
            };
            check_type(&column, spec.dtype)?;
            let tensor = plan.tensor(spec, answered);
            plan.columns.push((tensor, place));
        }
        Ok(plan)
    }

    fn tensor(&mut self, spec: &TensorSpec, answered: bool) -> usize {
        let same = |own: &Source| own.name == spec.name && own.answered == answered;
        self.tensors.iter().position(same).unwrap_or_else(|| {
            let (name, width) = (Arc::clone(&spec.name), spec.features().len());
            self.tensors.push(Source { name, answered, width });
            self.tensors.len() - 1
        })
    }

    /// Counts the rows of a request that was answered.
    fn count(&self, lanes: &Lanes, reference: &Profile, inputs: &Tensors, outputs: &Tensors) {
        let rows = inputs.rows().unwrap_or(0);
        let view = |source: &Source| {
            let tensors = if source.answered { outputs } else { inputs };
            View::of(tensors.get(&source.name)?, rows, source.width)
        };
        let Some(views) = self.tensors.iter().map(view).collect::<Option<Vec<_>>>() else {
            lanes.miss(rows as u64);
            return;
        };
        lanes.count(reference, rows, |row, values| {
            for (tensor, place) in &self.columns {
                values.push(views.get(*tensor)?.value(row, *place)?);
            }
            Some(())
        });
    }
}

/// Whether a tensor of this type has values that the column's profile counts.
fn check_type(column: &ColumnProfile<'_>, dtype: DType) -> Result<()> {
    let (name, counts) = (column.name(), if column.counts_text() { "text" } else { "numbers" });
    let holds = match dtype {
        DType::Utf8 => "text",
        DType::F16 | DType::BF16 | DType::Bytes => {
            return Err(Error::invalid(format!(
                "column {name:?} is {dtype} in the model's signature, which a monitor cannot count"
            )));
        }
        _ => "numbers",
    };
    if holds == counts {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "column {name:?} is {dtype} in the model's signature, and its reference counts {counts}"
    )))
}

/// A tensor's elements by row and place.
struct View<'a> {
    tensor: &'a Tensor,
    values: Values<'a>,
    width: usize,
}

enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U64(&'a [u64]),
    Bools(&'a [u8]),
    Texts(Vec<&'a str>),
    /// Narrow numbers, which a float holds.
    Converted(Vec<f64>),
}

impl<'a> View<'a> {
    /// `None` for another shape than the signature has, and for types that no profile counts.
    fn of(tensor: &'a Tensor, rows: usize, width: usize) -> Option<Self> {
        if tensor.rows() != rows || tensor.row_len() != width {
            return None;
        }
        macro_rules! converted {
            ($element:ty) => {
                Values::Converted(
                    tensor
                        .as_slice::<$element>()
                        .ok()?
                        .iter()
                        .map(|value| f64::from(*value))
                        .collect(),
                )
            };
        }
        let values = match tensor.dtype() {
            DType::F32 => Values::F32(tensor.as_slice().ok()?),
            DType::F64 => Values::F64(tensor.as_slice().ok()?),
            DType::I32 => Values::I32(tensor.as_slice().ok()?),
            DType::I64 => Values::I64(tensor.as_slice().ok()?),
            DType::U64 => Values::U64(tensor.as_slice().ok()?),
            DType::Bool => Values::Bools(tensor.as_bytes()?),
            DType::Utf8 => Values::Texts(tensor.strs().ok()?),
            DType::U8 => converted!(u8),
            DType::U16 => converted!(u16),
            DType::U32 => converted!(u32),
            DType::I8 => converted!(i8),
            DType::I16 => converted!(i16),
            _ => return None,
        };
        Some(Self { tensor, values, width })
    }

    #[inline]
    fn value(&self, row: usize, place: usize) -> Option<Value<'a>> {
        let at = row * self.width + place;
        if self.tensor.nulls().is_some_and(|nulls| nulls.is_null(at)) {
            return Some(Value::Missing);
        }
        #[expect(clippy::cast_precision_loss, reason = "rounding into a float is documented")]
        Some(match &self.values {
            Values::F32(values) => Value::Single(*values.get(at)?),
            Values::F64(values) => Value::Number(*values.get(at)?),
            Values::I32(values) => Value::Number((*values.get(at)?).into()),
            Values::I64(values) => Value::Number(*values.get(at)? as f64),
            Values::U64(values) => Value::Number(*values.get(at)? as f64),
            Values::Bools(values) => Value::Number((*values.get(at)?).into()),
            Values::Texts(values) => Value::Text(values.get(at)?),
            Values::Converted(values) => Value::Number(*values.get(at)?),
        })
    }
}

/// Counts what a model is asked and answers.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) shared: Arc<Shared>,
    pub(super) plan: Plan,
}

impl Watching {
    fn count(&self, inputs: &Tensors, response: &PredictResponse) {
        let Shared { lanes, reference, .. } = &*self.shared;
        self.plan.count(lanes, reference, inputs, &response.outputs);
    }
}

impl Observer for Watching {
    fn observe(
        &self,
        request: &PredictRequest,
        result: Result<&PredictResponse, &Error>,
        _: Duration,
    ) {
        if let Ok(response) = result {
            self.count(&request.inputs, response);
        }
    }
}

/// A predictor that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) inner: Arc<dyn Predictor>,
    pub(super) watching: Watching,
}

#[async_trait]
impl Predictor for Watched {
    fn info(&self) -> Arc<PredictorInfo> {
        self.inner.info()
    }

    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        // Clones share their values.
        let inputs = request.inputs.clone();
        let response = self.inner.predict(request).await?;
        self.watching.count(&inputs, &response);
        Ok(response)
    }

    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        let inputs = request.inputs.clone();
        let response = self.inner.predict_at_once(request)?;
        if let Ok(response) = &response {
            self.watching.count(&inputs, response);
        }
        Some(response)
    }
}
