//! What stands in for what is not known.

use super::Missing;
use mlops_core::{
    Error, Result,
    features::FeatureView,
    predictor::Parameter,
    signature::TensorSpec,
    tensor::{DType, Element, Tensor},
};

/// What stands in for one feature that is not known: a row of it, or an error.
#[derive(Debug)]
pub(super) struct Filler {
    row: Option<Tensor>,
}

impl Filler {
    /// `InvalidInput` if the feature is not what the model takes, or if nothing of the kind that the rule
    /// says can stand there.
    pub(super) fn new(feature: &TensorSpec, input: &TensorSpec, rule: &Missing) -> Result<Self> {
        check_fits(feature, input)?;
        let row = match rule {
            Missing::Fail => None,
            Missing::Null if input.nullable => Some(FeatureView::unknown(feature, 1)?),
            Missing::Null if feature.dtype.is_float() => {
                Some(constant(feature, &Parameter::Float(f64::NAN))?)
            }
            Missing::Null => {
                let dtype = feature.dtype;
                return Err(Error::invalid(format!(
                    "type {dtype} has no NaN, and the model takes no nulls"
                )));
            }
            Missing::Value(value) => Some(constant(feature, value)?),
        };
        Ok(Self { row })
    }

    /// Whether there is nothing that could stand there.
    pub(super) fn is_none(&self) -> bool {
        self.row.is_none()
    }

    /// One feature, a row for each row of a request: where it stands among what is known, or `None`.
    pub(super) fn fill(&self, known: &Tensor, places: &[Option<usize>]) -> Result<Tensor> {
        let last = known.rows();
        let rows: Vec<usize> = places.iter().map(|place| place.unwrap_or(last)).collect();
        // Rows that hold a null are not taken, and where nulls may be, what stands there is one.
        let keeps_nulls = self.row.as_ref().is_some_and(|row| row.nulls().is_some());
        let known = if keeps_nulls { known.clone() } else { known.clone().with_nulls(None)? };
        match &self.row {
            Some(row) if rows.contains(&last) => Tensor::concat(&[&known, row])?.take_rows(&rows),
            _ => known.take_rows(&rows),
        }
    }
}

/// Whether the model takes this feature there, by itself or as one of its columns.
fn check_fits(feature: &TensorSpec, input: &TensorSpec) -> Result<()> {
    let fits =
        |(axis, wanted): (&Option<usize>, &Option<usize>)| wanted.is_none() || axis == wanted;
    let same_shape = feature.shape.len() == input.shape.len()
        && feature.shape.iter().zip(&input.shape).all(fits);
    let is_column =
        feature.shape.len() == 1 && (!input.columns.is_empty() || input.shape == [None, Some(1)]);
    if feature.dtype == input.dtype && (is_column || (input.columns.is_empty() && same_shape)) {
        return Ok(());
    }
    Err(Error::invalid(format!("the store has {feature}, and the model takes {input}")))
}

/// The shape that a column gets in a model that takes [-1, 1]; none if it stays.
pub(super) fn one_column(input: &TensorSpec, tensor: &Tensor) -> Vec<usize> {
    if tensor.shape().len() == 1 && input.shape == [None, Some(1)] {
        return vec![tensor.rows(), 1];
    }
    Vec::new()
}

/// A row of this value.
fn constant(feature: &TensorSpec, value: &Parameter) -> Result<Tensor> {
    let inner = feature.shape.iter().skip(1).map(|axis| axis.unwrap_or(1));
    let shape: Vec<usize> = std::iter::once(1).chain(inner).collect();
    let count: usize = shape.iter().product();
    let dtype = feature.dtype;
    let wrong = || Error::invalid(format!("a constant is no value of type {dtype}"));
    match (dtype, value) {
        (DType::Bool, Parameter::Bool(value)) => Tensor::from_bools(shape, &vec![*value; count]),
        (DType::Utf8, Parameter::Text(value)) => Tensor::from_strs(shape, &vec![value; count]),
        (DType::Bytes, Parameter::Text(value)) => {
            Tensor::from_byte_strings(shape, &vec![value; count])
        }
        (_, Parameter::Int(value)) if dtype.is_float() => {
            #[expect(clippy::cast_precision_loss, reason = "a constant that people write")]
            let value = *value as f64;
            float(dtype, shape, value, count)
        }
        (_, Parameter::Float(value)) if dtype.is_float() => float(dtype, shape, *value, count),
        (DType::U8, Parameter::Int(value)) => whole::<u8>(shape, *value, count, wrong),
        (DType::U16, Parameter::Int(value)) => whole::<u16>(shape, *value, count, wrong),
        (DType::U32, Parameter::Int(value)) => whole::<u32>(shape, *value, count, wrong),
        (DType::U64, Parameter::Int(value)) => whole::<u64>(shape, *value, count, wrong),
        (DType::I8, Parameter::Int(value)) => whole::<i8>(shape, *value, count, wrong),
        (DType::I16, Parameter::Int(value)) => whole::<i16>(shape, *value, count, wrong),
        (DType::I32, Parameter::Int(value)) => whole::<i32>(shape, *value, count, wrong),
        (DType::I64, Parameter::Int(value)) => whole::<i64>(shape, *value, count, wrong),
        _ => Err(wrong()),
    }
}

fn whole<T: Element + TryFrom<i64>>(
    shape: Vec<usize>,
    value: i64,
    count: usize,
    wrong: impl Fn() -> Error,
) -> Result<Tensor> {
    Tensor::from_vec(shape, vec![T::try_from(value).map_err(|_| wrong())?; count])
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest value of the type is meant")]
fn float(dtype: DType, shape: Vec<usize>, value: f64, count: usize) -> Result<Tensor> {
    match dtype {
        DType::F64 => Tensor::from_vec(shape, vec![value; count]),
        DType::F32 => Tensor::from_vec(shape, vec![value as f32; count]),
        other => Err(Error::unsupported(format!("a constant of type {other}"))),
    }
}
