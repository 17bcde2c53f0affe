//! Rows into tensors.

use super::{Cell, Field, Input, fit};
use crate::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// Which fields each input is made of.
#[derive(Debug)]
pub(super) struct InputPlan(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    spec: TensorSpec,
    fields: Vec<usize>,
    is_vector: bool,
}

impl InputPlan {
    pub(super) fn new(specs: &[TensorSpec], fields: &[Field]) -> Result<Self> {
        let mut used = vec![false; fields.len()];
        let mut find = |name: &str| {
            let at = fields.iter().position(|field| field.name == name)?;
            used[at] = true;
            Some(at)
        };
        let mut planned = Vec::with_capacity(specs.len());
        for spec in specs {
            let own = find(&spec.name);
            let is_column = own.is_none() && !spec.columns.is_empty();
            let names =
                if is_column { &spec.columns[..] } else { std::slice::from_ref(&spec.name) };
            let one = |name: &Arc<str>| {
                let missing = || Error::invalid(format!("no field for the model's input {name:?}"));
                own.or_else(|| find(name)).ok_or_else(missing)
            };
            let found = names.iter().map(one).collect::<Result<Vec<usize>>>()?;
            for &at in &found {
                fit::into_input(&fields[at], spec, is_column)?;
            }
            let is_vector = found.iter().any(|&at| fields[at].kind.vector.is_some());
            planned.push(Planned { spec: spec.clone(), fields: found, is_vector });
        }
        match used.iter().position(|used| !used) {
            None => Ok(Self(planned)),
            Some(at) => {
                let name = fields[at].name;
                Err(Error::invalid(format!("field {name:?} is no input of the model")))
            }
        }
    }

    pub(super) fn encode<I: Input>(&self, rows: &[I]) -> Result<Tensors> {
        let mut inputs = Tensors::new();
        for planned in &self.0 {
            inputs.push(Arc::clone(&planned.spec.name), planned.tensor(rows)?)?;
        }
        Ok(inputs)
    }
}

impl Planned {
    fn tensor<I: Input>(&self, rows: &[I]) -> Result<Tensor> {
        if self.is_vector {
            return self.vectors(rows);
        }
        let cells = rows.iter().flat_map(|row| self.fields.iter().map(|&at| row.cell(at)));
        let mut shape = vec![rows.len()];
        // One element a row may stand on axes of its own.
        shape.resize(self.spec.shape.len(), 1);
        if self.fields.len() > 1 {
            shape.truncate(1);
            shape.push(self.fields.len());
        }
        let tensor = self.scalars(shape, cells.clone())?;
        if !self.spec.nullable || !cells.clone().any(|cell| cell == Cell::Null) {
            return Ok(tensor);
        }
        tensor.with_nulls(Some(cells.map(|cell| cell != Cell::Null).collect()))
    }

    fn scalars<'a>(
        &self,
        shape: Vec<usize>,
        cells: impl Iterator<Item = Cell<'a>>,
    ) -> Result<Tensor> {
        macro_rules! numbers {
            ($rust:ty) => {
                Tensor::from_vec(shape, all::<$rust>(cells)?)
            };
        }
        match self.spec.dtype {
            DType::F32 => numbers!(f32),
            DType::F64 => numbers!(f64),
            DType::I8 => numbers!(i8),
            DType::I16 => numbers!(i16),
            DType::I32 => numbers!(i32),
            DType::I64 => numbers!(i64),
            DType::U8 => numbers!(u8),
            DType::U16 => numbers!(u16),
            DType::U32 => numbers!(u32),
            DType::U64 => numbers!(u64),
            DType::Bool => Tensor::from_bools(shape, &all::<bool>(cells)?),
            DType::Utf8 => {
                let text = |cell| if let Cell::Text(text) = cell { text } else { "" };
                Tensor::from_strs(shape, &cells.map(text).collect::<Vec<_>>())
            }
            other => Err(Error::internal(format!("no field is of type {other}"))),
        }
    }

    fn vectors<I: Input>(&self, rows: &[I]) -> Result<Tensor> {
        let at = self.fields.first().copied().unwrap_or_default();
        let mut width = self.spec.shape.get(1).copied().flatten();
        let (mut single, mut double) = (Vec::new(), Vec::new());
        for (number, row) in rows.iter().enumerate() {
            let length = match row.cell(at) {
                Cell::F32s(values) => {
                    single.extend_from_slice(values);
                    values.len()
                }
                Cell::F64s(values) => {
                    double.extend_from_slice(values);
                    values.len()
                }
                _ => return Err(misfit()),
            };
            let wanted = *width.get_or_insert(length);
            if length != wanted {
                return Err(Error::invalid(format!(
                    "input {:?}: row {number} has {length} elements, not {wanted}",
                    self.spec.name
                )));
            }
        }
        let shape = [rows.len(), width.unwrap_or(0)];
        if self.spec.dtype == DType::F64 {
            return Tensor::from_vec(shape, double);
        }
        Tensor::from_vec(shape, single)
    }
}

/// Whether nulls are flagged is the caller's to say; where one stands there is something.
fn all<'a, T: super::Value + Default>(cells: impl Iterator<Item = Cell<'a>>) -> Result<Vec<T>> {
    let one = |cell| match T::read(cell) {
        Some(value) => Ok(value),
        None if cell == Cell::Null => Ok(T::default()),
        None => Err(misfit()),
    };
    cells.map(one).collect()
}

fn misfit() -> Error {
    Error::internal("a row gave a cell that is not of its field's type")
}
