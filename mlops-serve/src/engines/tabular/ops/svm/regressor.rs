//! `SVMRegressor`: one number a row, or, of one class, whether the row belongs to it.

use super::{
    super::{Build, Inputs, Kernel, Lowered, Scope, post::PostTransform},
    KernelFunction, Likeness, Vectors, check_length,
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

#[derive(Debug)]
struct Regressor {
    function: KernelFunction,
    vectors: Vectors,
    /// One a vector.
    coefficients: Vec<f32>,
    rho: f32,
    /// 1 for what belongs to the class, -1 for what does not.
    one_class: bool,
}

pub(in super::super) fn regressor(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32])?;
    let mut function = KernelFunction::read(build)?;
    let supports = build.int("n_supports")?.unwrap_or(0);
    let supports = usize::try_from(supports)
        .map_err(|_| build.invalid(format!("n_supports is {supports}")))?;
    let (coefficients, vectors) = (build.floats("coefficients")?, build.floats("support_vectors")?);
    let rho = build.floats("rho")?;
    check_length(build, "rho", rho.len(), Some(1))?;
    let one_class = build.int("one_class")?.is_some_and(|flag| flag != 0);
    let post = PostTransform::read(build)?;
    if post != PostTransform::None {
        // The specification wants it, ONNX Runtime leaves it out: no answer would be right.
        return Err(build.unsupported(format!("post_transform {post:?} of a single target")));
    }
    let (vectors, coefficients) = if supports > 0 {
        check_length(build, "coefficients", coefficients.len(), Some(supports))?;
        (Vectors::new(build, "support_vectors", vectors, supports)?, coefficients)
    } else {
        // A linear machine: its coefficients are the only vector, and count once.
        function.likeness = Likeness::Linear;
        (Vectors::new(build, "coefficients", coefficients, 1)?, vec![1.0])
    };
    let rho = rho.first().copied().unwrap_or_default();
    let kernel = Regressor { function, vectors, coefficients, rho, one_class };
    Ok(Lowered::new(kernel, [DType::F32]))
}

impl Kernel for Regressor {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rows = self.vectors.check(tensor, scope)?;
        let mut output = Vec::with_capacity(scope.count(&[rows, 1], DType::F32)?);
        let values = tensor.as_slice::<f32>()?.chunks_exact(self.vectors.features);
        for (at, row) in values.enumerate() {
            scope.at_row(at)?;
            let sum = self.sum(row);
            output.push(match self.one_class {
                true if sum > 0.0 => 1.0,
                true => -1.0,
                false => sum,
            });
        }
        Ok(vec![Tensor::from_vec([rows, 1], output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.vectors.bytes() + size_of_val(self.coefficients.as_slice())
    }
}

impl Regressor {
    /// ONNX Runtime adds up in blocks of `f32`; in `f64` no order matters.
    #[expect(clippy::cast_possible_truncation, reason = "the operator gives f32")]
    fn sum(&self, row: &[f32]) -> f32 {
        let vectors = self.vectors.iter().zip(&self.coefficients);
        let sum = vectors.fold(f64::from(self.rho), |sum, (vector, &factor)| {
            sum + f64::from(self.function.of(row, vector)) * f64::from(factor)
        });
        sum as f32
    }
}
