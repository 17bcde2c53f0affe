//! Which types hold every value of which others.

use super::Field;
use crate::{Error, Result, signature::TensorSpec, tensor::DType};

/// Whether every value of the one is a value of the other.
pub(super) fn holds(wide: DType, narrow: DType) -> bool {
    use DType as D;
    wide == narrow
        || match wide {
            D::F32 => matches!(narrow, D::I8 | D::U8 | D::I16 | D::U16),
            D::F64 => {
                matches!(narrow, D::F32 | D::I8 | D::U8 | D::I16 | D::U16 | D::I32 | D::U32)
            }
            D::I64 => matches!(narrow, D::I8 | D::U8 | D::I16 | D::U16 | D::I32 | D::U32),
            D::I32 => matches!(narrow, D::I8 | D::U8 | D::I16 | D::U16),
            D::I16 => matches!(narrow, D::I8 | D::U8),
            D::U64 => matches!(narrow, D::U8 | D::U16 | D::U32),
            D::U32 => matches!(narrow, D::U8 | D::U16),
            D::U16 => narrow == D::U8,
            _ => false,
        }
}

/// Whether a field goes into an input, alone or as a column of it.
pub(super) fn into_input(field: &Field, spec: &TensorSpec, is_column: bool) -> Result<()> {
    let Field { name, kind } = field;
    fits(field, spec, is_column, holds(spec.dtype, kind.dtype))?;
    if kind.optional && !spec.nullable && !spec.dtype.is_float() {
        let text = format!("field {name:?} may be none, and input {:?} takes no nulls", spec.name);
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// Whether an output, or a column of it, goes into a field.
pub(super) fn from_output(field: &Field, spec: &TensorSpec, is_column: bool) -> Result<()> {
    let Field { name, kind } = field;
    fits(field, spec, is_column, holds(kind.dtype, spec.dtype))?;
    if spec.nullable && !kind.optional && !kind.dtype.is_float() {
        let text = format!("output {:?} may be null, and field {name:?} is no Option", spec.name);
        return Err(Error::invalid(text));
    }
    Ok(())
}

fn fits(field: &Field, spec: &TensorSpec, is_column: bool, is_held: bool) -> Result<()> {
    let Field { name, kind } = field;
    if !is_held {
        let (own, theirs) = (kind.dtype, spec.dtype);
        return Err(Error::invalid(format!("field {name:?} is {own}, and {spec} is {theirs}")));
    }
    let is_one = |axis: &Option<usize>| *axis == Some(1);
    let has_shape = match kind.vector {
        // A single element a row, perhaps on an axis of its own.
        None => is_column || spec.shape.iter().skip(1).all(is_one),
        // Elements of such a row are not widened one by one.
        Some(count) => {
            !is_column
                && !kind.optional
                && kind.dtype == spec.dtype
                && spec.shape.len() == 2
                && spec.shape[1].is_none_or(|axis| count.is_none_or(|count| count == axis))
        }
    };
    if has_shape && !spec.shape.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("field {name:?} has not the shape of {spec}")))
}
