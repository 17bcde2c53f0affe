//! Support vector machines: the operators `SVMClassifier` and `SVMRegressor`, in `f32` where ONNX Runtime
//! computes in it.

mod classifier;
mod coupling;
mod regressor;

pub(super) use classifier::classifier;
pub(super) use regressor::regressor;

use super::{Build, Scope, linear::fused};
use mlops_core::{Result, tensor::Tensor};

/// How alike two rows are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Likeness {
    Linear,
    Polynomial,
    Radial,
    Sigmoid,
}

/// A kernel function and its parameters.
#[derive(Clone, Copy, Debug)]
struct KernelFunction {
    likeness: Likeness,
    gamma: f32,
    coef0: f32,
    degree: f32,
}

impl KernelFunction {
    /// Reads `kernel_type` and `kernel_params`, which is gamma, coef0 and degree.
    fn read(build: &mut Build<'_>) -> Result<Self> {
        let likeness = match build.text("kernel_type")?.as_deref() {
            None | Some("LINEAR") => Likeness::Linear,
            Some("POLY") => Likeness::Polynomial,
            Some("RBF") => Likeness::Radial,
            Some("SIGMOID") => Likeness::Sigmoid,
            Some(other) => return Err(build.invalid(format!("kernel_type {other:?}"))),
        };
        let (gamma, coef0, degree) = match build.floats("kernel_params")?[..] {
            [] => (0.0, 0.0, 0.0),
            [gamma, coef0, degree] => (gamma, coef0, degree),
            ref other => {
                return Err(build.invalid(format!("{} kernel_params, not 3", other.len())));
            }
        };
        Ok(Self { likeness, gamma, coef0, degree })
    }

    /// The function of two rows of one length.
    #[expect(clippy::float_cmp, reason = "ONNX Runtime multiplies for exactly these degrees")]
    fn of(&self, row: &[f32], vector: &[f32]) -> f32 {
        let pairs = row.iter().zip(vector);
        if self.likeness == Likeness::Radial {
            let distance = pairs.fold(0.0, |sum, (x, y)| sum + (x - y) * (x - y));
            return (-self.gamma * distance).exp();
        }
        let product = pairs.fold(0.0, |sum, (&x, &y)| fused(x, y, sum));
        let scaled = || fused(self.gamma, product, self.coef0);
        match self.likeness {
            Likeness::Polynomial if self.degree == 2.0 => scaled() * scaled(),
            Likeness::Polynomial if self.degree == 3.0 => scaled() * scaled() * scaled(),
            Likeness::Polynomial => scaled().powf(self.degree),
            Likeness::Sigmoid => scaled().tanh(),
            Likeness::Linear | Likeness::Radial => product,
        }
    }
}

/// Rows to compare others with: support vectors, or the coefficients of a linear machine.
#[derive(Debug)]
struct Vectors {
    values: Vec<f32>,
    /// How long each is, at least 1.
    features: usize,
}

impl Vectors {
    /// So many vectors of one length, from the attribute of this name.
    fn new(build: &Build<'_>, name: &str, values: Vec<f32>, count: usize) -> Result<Self> {
        let given = values.len();
        let features = given.checked_div(count).filter(|features| features * count == given);
        match features.filter(|&features| features > 0) {
            Some(features) => Ok(Self { values, features }),
            None => Err(build.invalid(format!("{given} {name} for {count} vectors"))),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.features)
    }

    /// The number of rows of an input, each as long as these.
    fn check(&self, tensor: &Tensor, scope: &Scope<'_>) -> Result<usize> {
        let (rows, columns) = scope.rows(tensor)?;
        if columns == self.features {
            return Ok(rows);
        }
        Err(scope.invalid(format!("{columns} features, where {} belong", self.features)))
    }

    fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

/// An attribute has as many entries as belong there.
fn check_length(build: &Build<'_>, name: &str, given: usize, wanted: Option<usize>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted == given => Ok(()),
        Some(wanted) => {
            Err(build.invalid(format!("{name} has {given} entries, where {wanted} belong")))
        }
        None => Err(build.invalid(format!("{name} has {given} entries, where far more belong"))),
    }
}
