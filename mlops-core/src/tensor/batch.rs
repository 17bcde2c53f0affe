//! The only converters between rows (record batches) and tensors.

use super::{DType, Element, Tensor, Tensors};
use crate::{Error, Result, signature::TensorSpec};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeListArray,
    PrimitiveArray, RecordBatch, StringArray, cast::AsArray, types as arrow,
};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;

impl Tensors {
    /// Tensors of these specifications from columns of the same names.
    ///
    /// # Behavior
    /// - a specification with `columns` packs those columns side by side into its last axis
    /// - numbers become the specified type if their value survives; an integer may round into a float
    /// - a number of the specified type keeps its bits, also those of a NaN
    /// - a column of vectors, as [`Tensors::to_batch`] writes it, gets its axes back
    /// - a null becomes NaN in a float tensor, a null flag elsewhere
    /// - a missing column, a wrong type and a value that does not fit are named, the last with its row
    pub fn from_batch(batch: &RecordBatch, specs: &[TensorSpec]) -> Result<Self> {
        let mut tensors = Self::new();
        for spec in specs {
            tensors.push(Arc::clone(&spec.name), tensor(batch, spec)?)?;
        }
        Ok(tensors)
    }

    /// Columns named after the tensors; a vector a row becomes a list column, or the columns that
    /// its specification names.
    pub fn to_batch(&self, specs: &[TensorSpec]) -> Result<RecordBatch> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (name, tensor) in self.iter() {
            let columns = specs.iter().find(|spec| spec.name == *name).map(|spec| &spec.columns);
            let named = columns.filter(|columns| columns.len() == tensor.row_len());
            for (name, array) in named_columns(name, named.map(Vec::as_slice), tensor)? {
                fields.push(Field::new(name.as_ref(), array.data_type().clone(), true));
                arrays.push(array);
            }
        }
        let schema = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, arrays).map_err(|cause| Error::invalid(cause.to_string()))
    }
}

fn tensor(batch: &RecordBatch, spec: &TensorSpec) -> Result<Tensor> {
    let rows = batch.num_rows();
    let columns = spec
        .features()
        .iter()
        .map(|name| {
            let column = batch.column_by_name(name);
            column
                .map(|column| (name.as_ref(), column))
                .ok_or_else(|| Error::invalid(format!("column {name:?} is missing")))
        })
        .collect::<Result<Vec<_>>>()?;
    if let [(name, column)] = columns.as_slice()
        && let Some(list) = column.as_fixed_size_list_opt()
    {
        return from_list(name, list, spec);
    }
    let shape = match spec.shape.len() {
        0 | 1 if columns.len() == 1 => vec![rows],
        _ => vec![rows, columns.len()],
    };
    let (tensor, nulls) = match spec.dtype {
        DType::Utf8 | DType::Bytes => text(spec.dtype, shape, &columns)?,
        DType::Bool => bools(shape, &columns)?,
        _ => numbers(spec.dtype, shape, &columns)?,
    };
    tensor.with_nulls(nulls)
}

/// A vector a row, as [`Tensors::to_batch`] writes it.
fn from_list(name: &str, list: &FixedSizeListArray, spec: &TensorSpec) -> Result<Tensor> {
    if list.null_count() > 0 {
        return Err(Error::invalid(format!("column {name:?} has a row without a vector")));
    }
    let values = RecordBatch::try_from_iter([(name, Arc::clone(list.values()))]);
    let values = values.map_err(|cause| Error::invalid(cause.to_string()))?;
    let flat = tensor(&values, &TensorSpec::column(Arc::clone(&spec.name), spec.dtype))?;
    let width = usize::try_from(list.value_length()).unwrap_or(0);
    let axes = spec.shape.iter().skip(1).copied().collect::<Option<Vec<usize>>>();
    let axes = axes.filter(|axes| axes.iter().product::<usize>() == width);
    let shape: Vec<usize> =
        std::iter::once(list.len()).chain(axes.unwrap_or_else(|| vec![width])).collect();
    flat.reshape(shape)
}

type Named<'a> = (&'a str, &'a ArrayRef);
type Packed = (Tensor, Option<NullBuffer>);

fn text(dtype: DType, shape: Vec<usize>, columns: &[Named<'_>]) -> Result<Packed> {
    let mut readers = Vec::with_capacity(columns.len());
    for (name, column) in columns {
        readers.push(match column.data_type() {
            DataType::Utf8 => Text::Strings(column.as_string::<i32>()),
            DataType::Binary if dtype == DType::Bytes => Text::Bytes(column.as_binary::<i32>()),
            other => return Err(wrong_type(name, other, dtype)),
        });
    }
    let mut items: Vec<&[u8]> = Vec::with_capacity(shape.iter().product());
    for row in 0..shape[0] {
        items.extend(readers.iter().map(|reader| match reader {
            Text::Strings(array) => array.value(row).as_bytes(),
            Text::Bytes(array) => array.value(row),
        }));
    }
    Ok((Tensor::variable(dtype, shape.into(), items.into_iter())?, flags(columns)))
}

enum Text<'a> {
    Strings(&'a StringArray),
    Bytes(&'a BinaryArray),
}

fn bools(shape: Vec<usize>, columns: &[Named<'_>]) -> Result<Packed> {
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, column) in columns {
        let array = column.as_boolean_opt();
        arrays.push(array.ok_or_else(|| wrong_type(name, column.data_type(), DType::Bool))?);
    }
    let rows = 0..shape[0];
    let values: Vec<bool> = rows.flat_map(|row| arrays.iter().map(move |a| a.value(row))).collect();
    Ok((Tensor::from_bools(shape, &values)?, flags(columns)))
}

fn numbers(dtype: DType, shape: Vec<usize>, columns: &[Named<'_>]) -> Result<Packed> {
    let width = columns.len();
    macro_rules! pack {
        ($element:ty, $arrow:ty) => {{
            let mut values = vec![<$element>::default(); shape.iter().product()];
            for (at, (name, column)) in columns.iter().enumerate() {
                match column.as_primitive_opt::<$arrow>() {
                    Some(same) => copy(&mut values, (at, width), same),
                    None => fill::<$element>(&mut values, (at, width), name, column)?,
                }
            }
            Tensor::from_vec(shape, values)?
        }};
    }
    let tensor = match dtype {
        DType::F32 => pack!(f32, arrow::Float32Type),
        DType::F64 => pack!(f64, arrow::Float64Type),
        DType::F16 => pack!(half::f16, arrow::Float16Type),
        DType::I8 => pack!(i8, arrow::Int8Type),
        DType::I16 => pack!(i16, arrow::Int16Type),
        DType::I32 => pack!(i32, arrow::Int32Type),
        DType::I64 => pack!(i64, arrow::Int64Type),
        DType::U8 => pack!(u8, arrow::UInt8Type),
        DType::U16 => pack!(u16, arrow::UInt16Type),
        DType::U32 => pack!(u32, arrow::UInt32Type),
        DType::U64 => pack!(u64, arrow::UInt64Type),
        other => return Err(Error::unsupported(format!("columns cannot become type {other}"))),
    };
    // Floats carry their nulls as NaN; engines know that and nothing else.
    let nulls = if dtype.is_float() { None } else { flags(columns) };
    Ok((tensor, nulls))
}

/// Writes a column of the tensor's own type: every bit of it, also of a NaN.
fn copy<T: FromNumber, A: ArrowPrimitiveType<Native = T>>(
    into: &mut [T],
    (at, width): (usize, usize),
    array: &PrimitiveArray<A>,
) {
    for row in 0..array.len() {
        into[row * width + at] = if array.is_null(row) { T::null() } else { array.value(row) };
    }
}

/// Writes one column into its place, (position, of how many), in each row.
fn fill<T: FromNumber>(
    into: &mut [T],
    place: (usize, usize),
    name: &str,
    column: &ArrayRef,
) -> Result<()> {
    macro_rules! from {
        ($arrow:ty) => {
            fill_from::<T, $arrow>(into, place, name, column.as_primitive::<$arrow>())
        };
    }
    match column.data_type() {
        DataType::Int8 => from!(arrow::Int8Type),
        DataType::Int16 => from!(arrow::Int16Type),
        DataType::Int32 => from!(arrow::Int32Type),
        DataType::Int64 => from!(arrow::Int64Type),
        DataType::UInt8 => from!(arrow::UInt8Type),
        DataType::UInt16 => from!(arrow::UInt16Type),
        DataType::UInt32 => from!(arrow::UInt32Type),
        DataType::UInt64 => from!(arrow::UInt64Type),
        DataType::Float16 => from!(arrow::Float16Type),
        DataType::Float32 => from!(arrow::Float32Type),
        DataType::Float64 => from!(arrow::Float64Type),
        DataType::Boolean => fill_from_bools(into, place, name, column.as_boolean()),
        other => Err(wrong_type(name, other, T::DTYPE)),
    }
}

fn fill_from<T: FromNumber, A: ArrowPrimitiveType>(
    into: &mut [T],
    (at, width): (usize, usize),
    name: &str,
    array: &PrimitiveArray<A>,
) -> Result<()>
where
    A::Native: Into<Number>,
{
    for row in 0..array.len() {
        into[row * width + at] = if array.is_null(row) {
            T::null()
        } else {
            T::from_number(array.value(row).into()).ok_or_else(|| unfit(name, row, T::DTYPE))?
        };
    }
    Ok(())
}

fn fill_from_bools<T: FromNumber>(
    into: &mut [T],
    (at, width): (usize, usize),
    name: &str,
    array: &BooleanArray,
) -> Result<()> {
    for row in 0..array.len() {
        let number = Number::Int(i128::from(array.value(row)));
        let value = if array.is_null(row) { Some(T::null()) } else { T::from_number(number) };
        into[row * width + at] = value.ok_or_else(|| unfit(name, row, T::DTYPE))?;
    }
    Ok(())
}

/// A value on its way between numeric types; both sides hold every source value exactly.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

macro_rules! into_number {
    ($side:ident($wide:ty): $($narrow:ty),*) => {
        $(impl From<$narrow> for Number {
            fn from(value: $narrow) -> Self {
                Self::$side(<$wide>::from(value))
            }
        })*
    };
}
into_number!(Int(i128): i8, i16, i32, i64, u8, u16, u32, u64);
into_number!(Float(f64): half::f16, f32, f64);

trait FromNumber: Element {
    /// `None` if the value does not survive.
    fn from_number(number: Number) -> Option<Self>;
    /// What stands where a null flag, or NaN, says that there is no value.
    fn null() -> Self;
}

macro_rules! from_number {
    (int: $($int:ty),*) => {
        $(impl FromNumber for $int {
            #[expect(clippy::cast_possible_truncation, reason = "the value is whole and in range")]
            fn from_number(number: Number) -> Option<Self> {
                match number {
                    Number::Int(value) => Self::try_from(value).ok(),
                    Number::Float(value) => (value.fract() == 0.0 && value.abs() < 1e30)
                        .then(|| Self::try_from(value as i128).ok())
                        .flatten(),
                }
            }
            fn null() -> Self {
                0
            }
        })*
    };
    (float: $($float:ty),*) => {
        $(impl FromNumber for $float {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_lossless,
                clippy::unnecessary_cast,
                reason = "rounding into a float is documented; one body for both widths"
            )]
            fn from_number(number: Number) -> Option<Self> {
                Some(match number {
                    Number::Int(value) => value as $float,
                    Number::Float(value) => value as $float,
                })
            }
            fn null() -> Self {
                <$float>::NAN
            }
        })*
    };
}
from_number!(int: i8, i16, i32, i64, u8, u16, u32, u64);
from_number!(float: f32, f64);

impl FromNumber for half::f16 {
    fn from_number(number: Number) -> Option<Self> {
        f64::from_number(number).map(Self::from_f64)
    }
    fn null() -> Self {
        Self::NAN
    }
}

fn flags(columns: &[Named<'_>]) -> Option<NullBuffer> {
    let rows = columns.first()?.1.len();
    columns.iter().any(|(_, column)| column.null_count() > 0).then(|| {
        let mut valid = Vec::with_capacity(rows * columns.len());
        for row in 0..rows {
            valid.extend(columns.iter().map(|(_, column)| column.is_valid(row)));
        }
        NullBuffer::from(valid)
    })
}

fn named_columns(
    name: &Arc<str>,
    named: Option<&[Arc<str>]>,
    tensor: &Tensor,
) -> Result<Vec<(Arc<str>, ArrayRef)>> {
    let (rows, width) = (tensor.rows(), tensor.row_len());
    let flat = flat_array(tensor)?;
    if let Some(columns) = named {
        let column = |at| every(tensor, at, width).and_then(|tensor| flat_array(&tensor));
        let pairs = columns.iter().enumerate();
        return pairs.map(|(at, name)| Ok((Arc::clone(name), column(at)?))).collect();
    }
    if tensor.shape().len() < 2 || (width == 1 && tensor.shape().len() == 2) {
        return Ok(vec![(Arc::clone(name), flat)]);
    }
    let item = Arc::new(Field::new("item", flat.data_type().clone(), true));
    let size = i32::try_from(width).map_err(|_| Error::too_large("a list of over 2^31 items"))?;
    let list = FixedSizeListArray::try_new_with_length(item, size, flat, None, rows);
    Ok(vec![(Arc::clone(name), Arc::new(list.map_err(|cause| Error::invalid(cause.to_string()))?))])
}

/// The elements at position `at` of each row of `width` elements.
fn every(tensor: &Tensor, at: usize, width: usize) -> Result<Tensor> {
    let rows = tensor.rows();
    let picked = if let (Some(bytes), Some(size)) = (tensor.as_bytes(), tensor.dtype().size()) {
        let mut column = MutableBuffer::with_capacity(rows * size);
        for row in 0..rows {
            let start = (row * width + at) * size;
            column.extend_from_slice(&bytes[start..start + size]);
        }
        Tensor::from_buffer(tensor.dtype(), [rows], column.into())?
    } else {
        let items: Vec<&[u8]> = tensor.byte_strings()?.skip(at).step_by(width.max(1)).collect();
        Tensor::variable(tensor.dtype(), vec![rows].into(), items.into_iter())?
    };
    let nulls = tensor.nulls().map(|nulls| {
        NullBuffer::from((0..rows).map(|row| nulls.is_valid(row * width + at)).collect::<Vec<_>>())
    });
    picked.with_nulls(nulls)
}

fn flat_array(tensor: &Tensor) -> Result<ArrayRef> {
    let nulls = tensor.nulls().cloned();
    macro_rules! primitive {
        ($arrow:ty) => {{
            let values = tensor.as_slice::<<$arrow as ArrowPrimitiveType>::Native>()?;
            let buffer = ScalarBuffer::from(Buffer::from_slice_ref(values));
            Arc::new(PrimitiveArray::<$arrow>::new(buffer, nulls)) as ArrayRef
        }};
    }
    Ok(match tensor.dtype() {
        DType::I8 => primitive!(arrow::Int8Type),
        DType::I16 => primitive!(arrow::Int16Type),
        DType::I32 => primitive!(arrow::Int32Type),
        DType::I64 => primitive!(arrow::Int64Type),
        DType::U8 => primitive!(arrow::UInt8Type),
        DType::U16 => primitive!(arrow::UInt16Type),
        DType::U32 => primitive!(arrow::UInt32Type),
        DType::U64 => primitive!(arrow::UInt64Type),
        DType::F16 => primitive!(arrow::Float16Type),
        DType::F32 => primitive!(arrow::Float32Type),
        DType::F64 => primitive!(arrow::Float64Type),
        DType::Bool => {
            let bytes = tensor.as_bytes().unwrap_or_default();
            let bits = BooleanBuffer::collect_bool(bytes.len(), |at| bytes[at] != 0);
            Arc::new(BooleanArray::new(bits, nulls))
        }
        DType::Utf8 => {
            let valid = |at| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
            let strs = tensor.strs()?.into_iter().enumerate();
            Arc::new(strs.map(|(at, text)| valid(at).then_some(text)).collect::<StringArray>())
        }
        DType::Bytes => {
            let valid = |at| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
            let items = tensor.byte_strings()?.enumerate();
            Arc::new(items.map(|(at, bytes)| valid(at).then_some(bytes)).collect::<BinaryArray>())
        }
        DType::BF16 => return Err(Error::unsupported("Arrow has no bfloat16 column")),
    })
}

fn wrong_type(name: &str, given: &DataType, wanted: DType) -> Error {
    Error::invalid(format!("column {name:?} has type {given}, which cannot become {wanted}"))
}

fn unfit(name: &str, row: usize, wanted: DType) -> Error {
    Error::invalid(format!("column {name:?}, row {row}: the value does not fit type {wanted}"))
}
