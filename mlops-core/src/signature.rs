//! What a model takes and gives: names, types, shapes, and the names of packed columns.

use crate::{
    Error, Result,
    tensor::{DType, Tensor, Tensors},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Inputs and outputs of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelSignature {
    /// What it takes, in order.
    pub inputs: Vec<TensorSpec>,
    /// What it gives, in order.
    pub outputs: Vec<TensorSpec>,
}

/// One named tensor of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TensorSpec {
    /// Its name; unique among the inputs, or the outputs.
    pub name: Arc<str>,
    /// Its element type.
    pub dtype: DType,
    /// The length of each axis; `None` takes any. The first axis is the batch.
    pub shape: Vec<Option<usize>>,
    /// Names of the positions of the last axis, so that a model with one packed input still has
    /// named features; empty if they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Arc<str>>,
    /// Whether elements may be null.
    #[serde(default)]
    pub nullable: bool,
}

impl TensorSpec {
    /// A tensor of this name, type and shape, without nulls.
    ///
    /// ```
    /// use mlops_core::{signature::TensorSpec, tensor::DType};
    ///
    /// let spec = TensorSpec::new("features", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
    /// assert_eq!(spec.to_string(), "features: float32[-1, 2]");
    /// ```
    pub fn new(
        name: impl Into<Arc<str>>,
        dtype: DType,
        shape: impl Into<Vec<Option<usize>>>,
    ) -> Self {
        let (name, shape) = (name.into(), shape.into());
        Self { name, dtype, shape, columns: Vec::new(), nullable: false }
    }

    /// One value a row.
    pub fn column(name: impl Into<Arc<str>>, dtype: DType) -> Self {
        Self::new(name, dtype, [None])
    }

    /// Names the positions of the last axis.
    #[must_use]
    pub fn with_columns<S: Into<Arc<str>>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Says whether elements may be null.
    #[must_use]
    pub fn with_nullable(mut self, nullable: bool) -> Self {
        self.nullable = nullable;
        self
    }

    /// The names of the features that this tensor holds: its columns, or its own name.
    pub fn features(&self) -> &[Arc<str>] {
        if self.columns.is_empty() { std::slice::from_ref(&self.name) } else { &self.columns }
    }

    /// Whether a tensor has this type and shape; the error names what differs.
    pub fn check(&self, tensor: &Tensor) -> Result<()> {
        let name = &self.name;
        if tensor.dtype() != self.dtype {
            let (given, wanted) = (tensor.dtype(), self.dtype);
            return Err(Error::invalid(format!("tensor {name:?} has type {given}, not {wanted}")));
        }
        let fits = |(&given, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|w| w == given);
        let same_rank = tensor.shape().len() == self.shape.len();
        if !same_rank || !tensor.shape().iter().zip(&self.shape).all(fits) {
            let (given, wanted) = (tensor.shape(), ShapeText(&self.shape));
            return Err(Error::invalid(format!(
                "tensor {name:?} has shape {given:?}, not {wanted}"
            )));
        }
        if !self.nullable && tensor.nulls().is_some() {
            return Err(Error::invalid(format!("tensor {name:?} holds nulls, which it may not")));
        }
        Ok(())
    }
}

impl std::fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}{}", self.name, self.dtype, ShapeText(&self.shape))
    }
}

struct ShapeText<'a>(&'a [Option<usize>]);

impl std::fmt::Display for ShapeText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let axes: Vec<String> =
            self.0.iter().map(|axis| axis.map_or("-1".to_owned(), |n| n.to_string())).collect();
        write!(f, "[{}]", axes.join(", "))
    }
}

impl ModelSignature {
    /// A signature; two inputs, or two outputs, of one name are `InvalidInput`.
    pub fn new(inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>) -> Result<Self> {
        for (side, specs) in [("input", &inputs), ("output", &outputs)] {
            for (index, spec) in specs.iter().enumerate() {
                if specs[..index].iter().any(|earlier| earlier.name == spec.name) {
                    return Err(Error::invalid(format!(
                        "{side} {:?} is declared twice",
                        spec.name
                    )));
                }
                check_columns(spec)?;
            }
        }
        Ok(Self { inputs, outputs })
    }

    /// The input of this name.
    pub fn input(&self, name: &str) -> Option<&TensorSpec> {
        self.inputs.iter().find(|spec| spec.name.as_ref() == name)
    }

    /// The output of this name.
    pub fn output(&self, name: &str) -> Option<&TensorSpec> {
        self.outputs.iter().find(|spec| spec.name.as_ref() == name)
    }

    /// Whether inputs are exactly the declared ones, each of its type and shape, all of as many
    /// rows; the error names the first that is missing, unknown or wrong.
    pub fn check_inputs(&self, inputs: &Tensors) -> Result<()> {
        if let Some((name, _)) = inputs.iter().find(|(name, _)| self.input(name).is_none()) {
            return Err(Error::invalid(format!("the model has no input {name:?}")));
        }
        for spec in &self.inputs {
            let tensor = inputs.get(&spec.name);
            let missing = || Error::invalid(format!("input {:?} is missing", spec.name));
            spec.check(tensor.ok_or_else(missing)?)?;
        }
        inputs.rows().map(|_| ())
    }

    /// Whether every name asked for is an output.
    pub fn check_outputs(&self, names: &[Arc<str>]) -> Result<()> {
        match names.iter().find(|name| self.output(name).is_none()) {
            None => Ok(()),
            Some(name) => Err(Error::invalid(format!("the model has no output {name:?}"))),
        }
    }

    /// The names of all features, in order, across inputs.
    pub fn features(&self) -> impl Iterator<Item = &Arc<str>> {
        self.inputs.iter().flat_map(TensorSpec::features)
    }
}

fn check_columns(spec: &TensorSpec) -> Result<()> {
    let (name, named) = (&spec.name, spec.columns.len());
    match spec.shape.last() {
        _ if named == 0 => Ok(()),
        Some(Some(width)) if *width == named => Ok(()),
        Some(None) if spec.shape.len() > 1 => Ok(()),
        _ => Err(Error::invalid(format!(
            "tensor {name:?} of shape {} cannot have {named} named columns",
            ShapeText(&spec.shape)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> ModelSignature {
        let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
        let state = TensorSpec::column("state", DType::Utf8);
        ModelSignature::new(vec![x, state], vec![TensorSpec::column("p", DType::F32)]).unwrap()
    }

    fn inputs(rows: usize) -> Tensors {
        let x = Tensor::from_vec([rows, 2], vec![0.5_f32; rows * 2]).unwrap();
        let state = Tensor::from_strs([rows], &vec!["MA"; rows]).unwrap();
        Tensors::one("x", x).with("state", state).unwrap()
    }

    #[test]
    fn features_are_columns_or_names() {
        let names: Vec<String> = signature().features().map(ToString::to_string).collect();
        assert_eq!(names, ["age", "income", "state"]);
        assert!(signature().check_inputs(&inputs(3)).is_ok());
    }

    #[test]
    fn each_mistake_is_named() {
        let check = |inputs: &Tensors| signature().check_inputs(inputs).unwrap_err().to_string();
        let x =
            |shape: [usize; 2]| Tensor::from_vec(shape, vec![0_f32; shape[0] * shape[1]]).unwrap();
        assert_eq!(check(&Tensors::one("x", x([1, 2]))), "input \"state\" is missing");
        assert_eq!(check(&Tensors::one("y", x([1, 2]))), "the model has no input \"y\"");
        assert_eq!(
            check(&Tensors::one("x", x([1, 3]))),
            "tensor \"x\" has shape [1, 3], not [-1, 2]"
        );
        let wrong = Tensors::one("x", Tensor::from_vec([1, 2], vec![1_i64, 2]).unwrap());
        assert_eq!(check(&wrong), "tensor \"x\" has type int64, not float32");
        let state = Tensor::from_strs([2], &["MA", "NH"]).unwrap();
        let uneven = Tensors::one("x", x([1, 2])).with("state", state).unwrap();
        assert_eq!(check(&uneven), "tensor \"state\" has 2 rows, \"x\" has 1");
    }

    #[test]
    fn a_signature_is_checked_when_made() {
        let twice = vec![TensorSpec::column("a", DType::F32), TensorSpec::column("a", DType::I64)];
        assert!(ModelSignature::new(twice, vec![]).is_err());
        let three = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["a", "b", "c"]);
        let error = ModelSignature::new(vec![three], vec![]).unwrap_err();
        assert_eq!(error.to_string(), "tensor \"x\" of shape [-1, 2] cannot have 3 named columns");
    }
}
