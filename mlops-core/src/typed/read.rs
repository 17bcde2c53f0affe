//! Tensors into rows.

use super::{Cell, Field, Output, fit};
use crate::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// Where each field is read from.
#[derive(Debug)]
pub(super) struct OutputPlan {
    outputs: Vec<TensorSpec>,
    fields: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    output: usize,
    column: usize,
    is_vector: bool,
}

impl OutputPlan {
    pub(super) fn new(specs: &[TensorSpec], fields: &[Field]) -> Result<Self> {
        let mut plan = Self { outputs: Vec::new(), fields: Vec::new() };
        for field in fields {
            let whole =
                specs.iter().find(|spec| *spec.name == *field.name).map(|spec| (spec, None));
            let column = || {
                let at =
                    |spec: &TensorSpec| spec.columns.iter().position(|own| **own == *field.name);
                specs.iter().find_map(|spec| at(spec).map(|at| (spec, Some(at))))
            };
            let (spec, column) = whole.or_else(column).ok_or_else(|| {
                Error::invalid(format!("field {:?} is no output of the model", field.name))
            })?;
            fit::from_output(field, spec, column.is_some())?;
            let output = plan.output(spec);
            let (column, is_vector) = (column.unwrap_or(0), field.kind.vector.is_some());
            plan.fields.push(Place { output, column, is_vector });
        }
        Ok(plan)
    }

    fn output(&mut self, spec: &TensorSpec) -> usize {
        let known = self.outputs.iter().position(|own| own.name == spec.name);
        known.unwrap_or_else(|| {
            self.outputs.push(spec.clone());
            self.outputs.len() - 1
        })
    }

    /// The outputs that are needed.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.outputs.iter().map(|spec| Arc::clone(&spec.name)).collect()
    }

    pub(super) fn read<O: Output>(&self, outputs: &Tensors) -> Result<Vec<O>> {
        let mut views = Vec::with_capacity(self.outputs.len());
        for spec in &self.outputs {
            let tensor = outputs.require(&spec.name)?;
            // What answers may have been swapped for another since the plan was made.
            if tensor.dtype() != spec.dtype || tensor.shape().len() != spec.shape.len() {
                let name = &spec.name;
                return Err(Error::internal(format!("output {name:?} is not as it was declared")));
            }
            views.push(View::of(tensor)?);
        }
        let rows = outputs.rows()?;
        let mut cells = Vec::with_capacity(self.fields.len());
        let mut read = Vec::with_capacity(rows);
        for row in 0..rows {
            cells.clear();
            cells.extend(self.fields.iter().map(|place| {
                let view = &views[place.output];
                if place.is_vector { view.row(row) } else { view.cell(row, place.column) }
            }));
            let misfit = || Error::internal("an answer does not fit the row that was asked for");
            read.push(O::read(&cells).ok_or_else(misfit)?);
        }
        Ok(read)
    }
}

/// A tensor, its type known.
struct View<'a> {
    tensor: &'a Tensor,
    width: usize,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a [u8]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Text(Vec<&'a str>),
}

impl<'a> View<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self> {
        let values = match tensor.dtype() {
            DType::Bool => Values::Bool(tensor.as_bytes().unwrap_or_default()),
            DType::I8 => Values::I8(tensor.as_slice()?),
            DType::I16 => Values::I16(tensor.as_slice()?),
            DType::I32 => Values::I32(tensor.as_slice()?),
            DType::I64 => Values::I64(tensor.as_slice()?),
            DType::U8 => Values::U8(tensor.as_slice()?),
            DType::U16 => Values::U16(tensor.as_slice()?),
            DType::U32 => Values::U32(tensor.as_slice()?),
            DType::U64 => Values::U64(tensor.as_slice()?),
            DType::F32 => Values::F32(tensor.as_slice()?),
            DType::F64 => Values::F64(tensor.as_slice()?),
            DType::Utf8 => Values::Text(tensor.strs()?),
            other => return Err(Error::internal(format!("no field is of type {other}"))),
        };
        Ok(Self { tensor, width: tensor.row_len(), values })
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'a> {
        let at = row * self.width + column;
        if column >= self.width || self.tensor.nulls().is_some_and(|nulls| nulls.is_null(at)) {
            return Cell::Null;
        }
        match &self.values {
            Values::Bool(values) => Cell::Bool(values[at] != 0),
            Values::I8(values) => Cell::Int(values[at].into()),
            Values::I16(values) => Cell::Int(values[at].into()),
            Values::I32(values) => Cell::Int(values[at].into()),
            Values::I64(values) => Cell::Int(values[at]),
            Values::U8(values) => Cell::UInt(values[at].into()),
            Values::U16(values) => Cell::UInt(values[at].into()),
            Values::U32(values) => Cell::UInt(values[at].into()),
            Values::U64(values) => Cell::UInt(values[at]),
            Values::F32(values) => Cell::F32(values[at]),
            Values::F64(values) => Cell::F64(values[at]),
            Values::Text(values) => Cell::Text(values[at]),
        }
    }

    fn row(&self, row: usize) -> Cell<'a> {
        let rows = row * self.width..(row + 1) * self.width;
        match &self.values {
            Values::F32(values) => Cell::F32s(&values[rows]),
            Values::F64(values) => Cell::F64s(&values[rows]),
            _ => Cell::Null,
        }
    }
}
