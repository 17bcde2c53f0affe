//! What a kernel is built from: a node, the types of its inputs, and what is known before any call.

use super::{
    super::onnx::{Attributes, Label},
    Inputs, Kernel, Scope,
};
use mlops_core::{
    Error, Result,
    tensor::{DType, Tensor},
};
use std::sync::Arc;

/// A node on its way to a kernel.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    pub(crate) label: &'a Label,
    /// The version of the operator's domain.
    pub(crate) version: i64,
    pub(crate) attributes: &'a mut Attributes,
    /// Element types of the inputs; `None` for one that is left out.
    pub(crate) inputs: &'a [Option<DType>],
    /// How many outputs the node has.
    pub(crate) outputs: usize,
}

/// A node as a kernel.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) kernel: Box<dyn Kernel>,
    /// Element types of the outputs.
    pub(crate) outputs: Vec<DType>,
    /// Names of the columns of the only output, if the operator gives them.
    pub(crate) columns: Vec<Arc<str>>,
}

impl Lowered {
    /// A kernel of outputs of these types.
    pub(super) fn new(kernel: impl Kernel + 'static, outputs: impl Into<Vec<DType>>) -> Self {
        Self { kernel: Box::new(kernel), outputs: outputs.into(), columns: Vec::new() }
    }
}

impl Build<'_> {
    /// A node has at least and at most so many inputs; those from `required` on may be left out.
    pub(super) fn arity(&self, required: usize, most: usize) -> Result<()> {
        let given = self.inputs.len();
        let absent = (0..required).any(|at| self.inputs.get(at).copied().flatten().is_none());
        if absent || given > most {
            return Err(self.invalid(format!("{given} inputs where {required} to {most} belong")));
        }
        Ok(())
    }

    /// Any number of inputs, at least one, none left out; all of one type, which is given back.
    pub(super) fn alike(&self) -> Result<DType> {
        self.arity(1.max(self.inputs.len()), usize::MAX)?;
        let first = self.dtype(0)?;
        match self.inputs.iter().flatten().find(|&&dtype| dtype != first) {
            None => Ok(first),
            Some(other) => Err(self.invalid(format!("inputs of types {first} and {other}"))),
        }
    }

    /// The element type of the input at this place.
    pub(super) fn dtype(&self, place: usize) -> Result<DType> {
        let dtype = self.inputs.get(place).copied().flatten();
        dtype.ok_or_else(|| self.invalid(format!("input {place} is missing")))
    }

    /// The element type of the input at this place, which must be one of these.
    pub(super) fn dtype_among(&self, place: usize, allowed: &[DType]) -> Result<DType> {
        let dtype = self.dtype(place)?;
        if allowed.contains(&dtype) {
            return Ok(dtype);
        }
        Err(self.unsupported(format!("input {place} of type {dtype}")))
    }

    /// An optional input, if it is given, has this type.
    pub(super) fn optional_dtype(&self, place: usize, wanted: DType) -> Result<()> {
        match self.inputs.get(place).copied().flatten() {
            Some(given) if given != wanted => {
                Err(self.unsupported(format!("input {place} of type {given}")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn int(&mut self, name: &str) -> Result<Option<i64>> {
        self.attributes.int(self.label, name)
    }

    pub(super) fn float(&mut self, name: &str) -> Result<Option<f32>> {
        self.attributes.float(self.label, name)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.attributes.text(self.label, name)
    }

    pub(super) fn ints(&mut self, name: &str) -> Result<Vec<i64>> {
        self.attributes.ints(self.label, name)
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Vec<f32>> {
        self.attributes.floats(self.label, name)
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        self.attributes.texts(self.label, name)
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<Tensor>> {
        self.attributes.tensor(self.label, name)
    }

    /// A whole number that is 0 or 1.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(self.invalid(format!("attribute {name:?} is {other}"))),
        }
    }

    /// An error that says what is wrong with the node.
    pub(super) fn invalid(&self, why: impl std::fmt::Display) -> Error {
        Error::invalid(format!("{}: {why}", self.label))
    }

    /// An error that says what of the node is not supported.
    pub(super) fn unsupported(&self, why: impl std::fmt::Display) -> Error {
        Error::unsupported(format!("{}: {why}, which is not supported", self.label))
    }

    /// Every attribute was read.
    pub(super) fn finish(&self) -> Result<()> {
        self.attributes.finish(self.label)
    }
}

/// `Constant`: a tensor that is stored in the node.
#[derive(Debug)]
struct Constant(Tensor);

pub(super) fn constant(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(0, 0)?;
    let tensor = constant_value(build)?;
    let dtype = tensor.dtype();
    Ok(Lowered::new(Constant(tensor), [dtype]))
}

fn constant_value(build: &mut Build<'_>) -> Result<Tensor> {
    if let Some(tensor) = build.tensor("value")? {
        return Ok(tensor);
    }
    if let Some(value) = build.int("value_int")? {
        return Tensor::from_vec([], vec![value]);
    }
    if let Some(value) = build.float("value_float")? {
        return Tensor::from_vec([], vec![value]);
    }
    if let Some(value) = build.text("value_string")? {
        return Tensor::from_strs([], &[value]);
    }
    if build.attributes.has("value_ints") {
        let values = build.ints("value_ints")?;
        return Tensor::from_vec([values.len()], values);
    }
    if build.attributes.has("value_floats") {
        let values = build.floats("value_floats")?;
        return Tensor::from_vec([values.len()], values);
    }
    if build.attributes.has("value_strings") {
        let values = build.texts("value_strings")?;
        return Tensor::from_strs([values.len()], &values);
    }
    Err(build.unsupported("a constant of this kind"))
}

impl Kernel for Constant {
    fn run(&self, _: &Inputs<'_>, _: &Scope<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![self.0.clone()])
    }

    fn weights_bytes(&self) -> usize {
        self.0.as_bytes().map_or(0, <[u8]>::len)
    }
}
