//! Typed elements: `InferTensorContents`, a field for each kind of number.

use super::wire::{Bytes, Value, varint};
use crate::http::oip::{self, Limits};
use mlops_core::{
    Error, Result,
    arrow::buffer::{ArrowNativeType, Buffer},
    signature::TensorSpec,
    tensor::{DType, Tensor},
};

/// The fields, by number from 1.
const FIELDS: [&str; 8] = [
    "bool_contents",
    "int_contents",
    "int64_contents",
    "uint_contents",
    "uint64_contents",
    "fp32_contents",
    "fp64_contents",
    "bytes_contents",
];

/// What is known of a tensor before its elements are read.
pub(super) struct Plan<'a> {
    pub(super) spec: &'a TensorSpec,
    pub(super) dtype: DType,
    pub(super) shape: &'a [usize],
    /// The product of the axes, within bounds.
    pub(super) count: usize,
    pub(super) nulls: Option<&'a str>,
}

/// Reads the elements; without contents there are none.
pub(super) fn read(
    contents: Option<Bytes<'_>>,
    plan: &Plan<'_>,
    limits: &Limits,
) -> Result<Tensor> {
    let typed = (plan.dtype, plan.shape);
    match plan.dtype {
        DType::Utf8 | DType::Bytes => {
            let items = strings(contents, plan, limits)?;
            oip::read_strings(&items, plan.spec, typed, plan.nulls, limits)
        }
        _ => {
            let bytes = numbers(contents, plan)?;
            oip::read_raw(bytes, plan.spec, typed, plan.nulls, limits)
        }
    }
}

/// Hands on each value of the field that this type has; another field is a mistake.
fn each<'a>(
    contents: Option<Bytes<'a>>,
    plan: &Plan<'_>,
    mut take: impl FnMut(Value<'a>) -> Result<()>,
) -> Result<()> {
    let wanted = FIELDS[field(plan.dtype)?];
    let Some(mut fields) = contents.map(|contents| contents.fields()) else { return Ok(()) };
    while let Some((number, value)) = fields.next()? {
        match usize::try_from(number - 1).ok().and_then(|at| FIELDS.get(at)) {
            None => {}
            Some(name) if *name == wanted => take(value)?,
            Some(name) => {
                let datatype = plan.dtype.oip_name();
                return Err(Error::invalid(format!(
                    "has \"{name}\", and elements of datatype {datatype} stand in \"{wanted}\""
                )));
            }
        }
    }
    Ok(())
}

/// Which of [`FIELDS`] has elements of this type.
fn field(dtype: DType) -> Result<usize> {
    Ok(match dtype {
        DType::Bool => 0,
        DType::I8 | DType::I16 | DType::I32 => 1,
        DType::I64 => 2,
        DType::U8 | DType::U16 | DType::U32 => 3,
        DType::U64 => 4,
        DType::F32 => 5,
        DType::F64 => 6,
        DType::Utf8 | DType::Bytes => 7,
        other => {
            return Err(Error::invalid(format!(
                "elements of datatype {} must stand in \"raw_input_contents\"",
                other.oip_name()
            )));
        }
    })
}

fn strings<'a>(
    contents: Option<Bytes<'a>>,
    plan: &Plan<'_>,
    limits: &Limits,
) -> Result<Vec<&'a [u8]>> {
    let mut items: Vec<&'a [u8]> = Vec::new();
    each(contents, plan, |value| {
        let (at, max) = (items.len(), limits.max_string_bytes);
        match value {
            _ if at == plan.count => Err(too_many(plan)),
            Value::Bytes(bytes) if bytes.len() > max => {
                Err(Error::too_large(format!("element {at} is longer than {max} bytes")))
            }
            Value::Bytes(bytes) => {
                items.push(bytes.slice());
                Ok(())
            }
            _ => Err(no_elements(plan)),
        }
    })?;
    Ok(items)
}

/// The elements as raw bytes; those of fixed length that come in one piece share the message's memory.
fn numbers(contents: Option<Bytes<'_>>, plan: &Plan<'_>) -> Result<Buffer> {
    match plan.dtype {
        DType::F32 | DType::F64 => fixed(contents, plan),
        DType::Bool => varints(contents, plan, |value| Some(u8::from(value != 0))),
        DType::I8 => varints(contents, plan, |value| i8::try_from(value.cast_signed()).ok()),
        DType::I16 => varints(contents, plan, |value| i16::try_from(value.cast_signed()).ok()),
        DType::I32 => varints(contents, plan, |value| i32::try_from(value.cast_signed()).ok()),
        DType::I64 => varints(contents, plan, |value| Some(value.cast_signed())),
        DType::U8 => varints(contents, plan, |value| u8::try_from(value).ok()),
        DType::U16 => varints(contents, plan, |value| u16::try_from(value).ok()),
        DType::U32 => varints(contents, plan, |value| u32::try_from(value).ok()),
        DType::U64 => varints(contents, plan, Some),
        // Says why there is no field for it.
        other => Err(field(other).err().unwrap_or_else(|| no_elements(plan))),
    }
}

fn fixed(contents: Option<Bytes<'_>>, plan: &Plan<'_>) -> Result<Buffer> {
    let size = plan.dtype.size().unwrap_or(1);
    let (mut alone, mut bytes) = (None, Vec::new());
    each(contents, plan, |value| {
        let more = match (value, size) {
            (Value::Bytes(packed), _) if bytes.is_empty() && alone.is_none() => {
                alone = Some(packed);
                return Ok(());
            }
            (Value::Bytes(packed), _) => packed.slice(),
            (Value::Fixed32(one), 4) | (Value::Fixed64(one), 8) => one,
            _ => return Err(no_elements(plan)),
        };
        bytes.extend_from_slice(alone.take().map_or(&[], |packed: Bytes<'_>| packed.slice()));
        bytes.extend_from_slice(more);
        if bytes.len() / size > plan.count { Err(too_many(plan)) } else { Ok(()) }
    })?;
    let buffer = alone.map_or_else(|| Buffer::from_vec(bytes), |packed| packed.buffer());
    if !buffer.len().is_multiple_of(size) {
        return Err(no_elements(plan));
    }
    match buffer.len() / size {
        count if count == plan.count => Ok(buffer),
        count => Err(misfit(&count.to_string(), plan)),
    }
}

fn varints<T: ArrowNativeType>(
    contents: Option<Bytes<'_>>,
    plan: &Plan<'_>,
    convert: impl Fn(u64) -> Option<T>,
) -> Result<Buffer> {
    let bytes = contents.map_or(0, |contents| contents.len());
    let mut elements: Vec<T> = Vec::with_capacity(bytes.min(plan.count));
    let mut push = |value: u64| {
        let at = elements.len();
        if at == plan.count {
            return Err(too_many(plan));
        }
        elements.push(convert(value).ok_or_else(|| {
            let datatype = plan.dtype.oip_name();
            Error::invalid(format!("element {at} is out of the range of datatype {datatype}"))
        })?);
        Ok(())
    };
    each(contents, plan, |value| match value {
        Value::Varint(value) => push(value),
        Value::Bytes(packed) => {
            let mut rest = packed.slice();
            while !rest.is_empty() {
                let (value, length) = varint(rest).ok_or_else(|| no_elements(plan))?;
                push(value)?;
                rest = &rest[length..];
            }
            Ok(())
        }
        _ => Err(no_elements(plan)),
    })?;
    match elements.len() {
        count if count == plan.count => Ok(Buffer::from_vec(elements)),
        count => Err(misfit(&count.to_string(), plan)),
    }
}

fn no_elements(plan: &Plan<'_>) -> Error {
    let datatype = plan.dtype.oip_name();
    Error::invalid(format!("its contents are no elements of datatype {datatype}"))
}

fn too_many(plan: &Plan<'_>) -> Error {
    misfit("more", plan)
}

fn misfit(found: &str, plan: &Plan<'_>) -> Error {
    let (shape, count) = (plan.shape, plan.count);
    Error::invalid(format!("\"contents\" has {found} elements where shape {shape:?} wants {count}"))
}
