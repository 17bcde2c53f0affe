//! A predictor that learned what members' answers mean together.

use super::{Given, arm};
use mlops_core::{
    Error, Predictor, Result, ResultExt,
    arrow::{
        array::{ArrayRef, RecordBatch},
        schema::{Field, Schema},
    },
    predictor::PredictRequest,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Stack {
    pub(super) last: Arc<dyn Predictor>,
    /// The outputs of each member.
    members: Vec<Vec<TensorSpec>>,
    /// What they are packed into, with a column for each position.
    input: TensorSpec,
}

impl Stack {
    /// Checks that they fill the one input of the last predictor.
    pub(super) fn new(last: Arc<dyn Predictor>, members: Vec<Vec<TensorSpec>>) -> Result<Self> {
        let info = last.info();
        let [input] = info.signature.inputs.as_slice() else {
            let text = format!("the last predictor {:?} has not exactly one input", info.name);
            return Err(Error::invalid(text));
        };
        let mut width = 0;
        for spec in members.iter().flatten() {
            width += width_of(spec)?;
        }
        let fits = match input.shape.as_slice() {
            [_, Some(wanted)] => *wanted == width,
            [_, None] => true,
            _ => false,
        };
        if !fits || !is_number(input.dtype) {
            let text = format!("{width} numbers a row from members do not fit input {input}");
            return Err(Error::invalid(text));
        }
        let input = TensorSpec::new(Arc::clone(&input.name), input.dtype, [None, Some(width)])
            .with_columns((0..width).map(|at| at.to_string()));
        Ok(Self { last, members, input })
    }

    pub(super) fn asks(&self, member: usize) -> &[TensorSpec] {
        self.members.get(member).map_or(&[], Vec::as_slice)
    }

    /// Asks the last predictor.
    pub(super) async fn combine(
        &self,
        request: &PredictRequest,
        given: &[Given],
    ) -> Result<Tensors> {
        let mut last = request.clone();
        last.inputs = self.pack(given)?;
        let label = &self.last.info().name;
        let answered = arm::call(&*self.last, label, last).await;
        Ok(answered.context(|| "the last predictor of a stack")?.outputs)
    }

    /// All outputs side by side, by the converters that know every type.
    fn pack(&self, given: &[Given]) -> Result<Tensors> {
        let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
        for (specs, given) in self.members.iter().zip(given) {
            for spec in specs {
                for column in columns_of(given.outputs.require(&spec.name)?)?.columns() {
                    let name = columns.len().to_string();
                    fields.push(Field::new(name, column.data_type().clone(), true));
                    columns.push(Arc::clone(column));
                }
            }
        }
        if columns.len() != self.input.columns.len() {
            let (given, wanted) = (columns.len(), self.input.columns.len());
            let text = format!("members gave {given} numbers a row and not {wanted}");
            return Err(Error::internal(text));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        let batch = batch.map_err(|cause| Error::internal(cause.to_string()))?;
        Tensors::from_batch(&batch, std::slice::from_ref(&self.input))
    }
}

/// A column for each position of the last axis.
fn columns_of(tensor: &Tensor) -> Result<RecordBatch> {
    let mut spec = TensorSpec::column("", tensor.dtype());
    if tensor.shape().len() == 2 {
        spec = spec.with_columns((0..tensor.row_len()).map(|at| at.to_string()));
    }
    Tensors::one("", tensor.clone()).to_batch(&[spec])
}

/// Numbers a row.
fn width_of(spec: &TensorSpec) -> Result<usize> {
    let width = match spec.shape.as_slice() {
        [_] => Some(1),
        [_, Some(width)] => Some(*width),
        [_, None] if !spec.columns.is_empty() => Some(spec.columns.len()),
        _ => None,
    };
    let width = width.filter(|_| is_number(spec.dtype));
    width.ok_or_else(|| Error::invalid(format!("output {spec} cannot be stacked: name others")))
}

fn is_number(dtype: DType) -> bool {
    !matches!(dtype, DType::Utf8 | DType::Bytes | DType::BF16 | DType::Bool)
}
