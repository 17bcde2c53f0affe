//! `LinearClassifier` and `LinearRegressor`: coefficients lie in the file as targets × features.

use super::{
    Build, Inputs, Kernel, Lowered, Scope,
    cast::as_f32,
    labels::Labels,
    post::{PostTransform, probit},
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

/// `rows × features` times coefficients, plus one intercept a target.
#[derive(Debug)]
struct Affine {
    /// targets × features.
    coefficients: Vec<f32>,
    /// One a target.
    intercepts: Vec<f32>,
    features: usize,
}

impl Affine {
    fn new(build: &Build<'_>, coefficients: Vec<f32>, intercepts: Vec<f32>) -> Result<Self> {
        let (given, targets) = (coefficients.len(), intercepts.len());
        let features = given.checked_div(targets).filter(|features| features * targets == given);
        let Some(features) = features.filter(|&features| features > 0) else {
            return Err(build.invalid(format!("{given} coefficients for {targets} targets")));
        };
        Ok(Self { coefficients, intercepts, features })
    }

    fn targets(&self) -> usize {
        self.intercepts.len()
    }

    /// Writes the scores of one row, added up in the order of the features, in `f32`.
    fn apply(&self, row: &[f32], scores: &mut [f32]) {
        let targets = self.coefficients.chunks_exact(self.features).zip(&self.intercepts);
        for (score, (coefficients, intercept)) in scores.iter_mut().zip(targets) {
            let products = row.iter().zip(coefficients);
            *score = products.fold(0.0, |sum, (&x, &factor)| fused(x, factor, sum)) + intercept;
        }
    }

    /// The rows of an input, each as wide as the coefficients.
    fn check(&self, tensor: &Tensor, scope: &Scope<'_>) -> Result<usize> {
        let (rows, columns) = scope.rows(tensor)?;
        if columns == self.features {
            return Ok(rows);
        }
        Err(scope.invalid(format!("{columns} features, where {} belong", self.features)))
    }

    fn bytes(&self) -> usize {
        size_of_val(self.coefficients.as_slice()) + size_of_val(self.intercepts.as_slice())
    }
}

/// `x * factor + sum`, rounded once, as ONNX Runtime's fused instructions do.
///
/// A product of two `f32` is exact in `f64`, so this gives the same bits on a machine without such
/// instructions (but for sums so near the middle of two `f32` that rounding twice shows).
#[expect(clippy::cast_possible_truncation, reason = "this is the rounding")]
pub(super) fn fused(x: f32, factor: f32, sum: f32) -> f32 {
    (f64::from(x) * f64::from(factor) + f64::from(sum)) as f32
}

#[derive(Debug)]
struct Regressor {
    affine: Affine,
    post: PostTransform,
}

pub(super) fn regressor(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32])?;
    let targets = build.int("targets")?.unwrap_or(1);
    let coefficients = build.floats("coefficients")?;
    let mut intercepts = build.floats("intercepts")?;
    let post = PostTransform::read(build)?;
    if targets == 1 && !matches!(post, PostTransform::None | PostTransform::Probit) {
        // The specification wants it, ONNX Runtime leaves it out: no answer would be right.
        return Err(build.unsupported(format!("post_transform {post:?} of a single target")));
    }
    let targets = usize::try_from(targets).ok().filter(|&targets| targets <= coefficients.len());
    let targets = targets.ok_or_else(|| build.invalid("more targets than coefficients"))?;
    if intercepts.is_empty() {
        intercepts = vec![0.0; targets];
    } else if intercepts.len() != targets {
        return Err(build.invalid(format!("{} intercepts, {targets} targets", intercepts.len())));
    }
    let affine = Affine::new(build, coefficients, intercepts)?;
    Ok(Lowered::new(Regressor { affine, post }, [DType::F32]))
}

impl Kernel for Regressor {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rows = self.affine.check(tensor, scope)?;
        let targets = self.affine.targets();
        let mut output = vec![0_f32; scope.count(&[rows, targets], DType::F32)?];
        let values = tensor.as_slice::<f32>()?.chunks_exact(self.affine.features);
        for (at, (row, scores)) in values.zip(output.chunks_exact_mut(targets)).enumerate() {
            scope.at_row(at)?;
            self.affine.apply(row, scores);
            match scores {
                [single] if self.post == PostTransform::Probit => *single = probit(*single),
                [_] => {}
                several => self.post.apply(several),
            }
        }
        Ok(vec![Tensor::from_vec([rows, targets], output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.affine.bytes()
    }
}

#[derive(Debug)]
struct Classifier {
    affine: Affine,
    labels: Labels,
    post: PostTransform,
}

pub(super) fn classifier(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32, DType::F64, DType::I64, DType::I32])?;
    // Says how the model was trained; scores are computed in the same way either way.
    build.attributes.ignore("multi_class");
    let labels = Labels::read(build, "classlabels_ints", "classlabels_strings")?;
    let (coefficients, intercepts) = (build.floats("coefficients")?, build.floats("intercepts")?);
    let affine = Affine::new(build, coefficients, intercepts)?;
    let post = PostTransform::read(build)?;
    let (classes, targets) = (labels.len(), affine.targets());
    if targets == 1 && classes != 2 || targets > 1 && classes != targets {
        return Err(build.unsupported(format!("{targets} rows of coefficients, {classes} classes")));
    }
    if targets == 1 && post != PostTransform::None {
        // The specification wants it, ONNX Runtime leaves it out: no answer would be right.
        return Err(build.unsupported(format!("post_transform {post:?} of a single score")));
    }
    let outputs = [labels.dtype(), DType::F32];
    Ok(Lowered::new(Classifier { affine, labels, post }, outputs))
}

impl Kernel for Classifier {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rows = self.affine.check(tensor, scope)?;
        let classes = self.labels.len();
        let mut output = vec![0_f32; scope.count(&[rows, classes], DType::F32)?];
        let values = as_f32(tensor)?;
        let mut winners = Vec::with_capacity(rows);
        let values = values.chunks_exact(self.affine.features);
        for (at, (row, scores)) in values.zip(output.chunks_exact_mut(classes)).enumerate() {
            scope.at_row(at)?;
            self.affine.apply(row, scores);
            winners.push(if self.affine.targets() == 1 {
                let only = scores[0];
                // As ONNX Runtime does, also for margins that are no probabilities.
                scores.copy_from_slice(&[1.0 - only, only]);
                usize::from(only > 0.0)
            } else {
                let winner = winner(scores);
                self.post.apply(scores);
                winner
            });
        }
        Ok(vec![self.labels.tensor(&winners)?, Tensor::from_vec([rows, classes], output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.affine.bytes()
    }
}

/// The place of the greatest score, the first of equals; NaN never wins over what is before it.
fn winner(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |most, at| if scores[at] > scores[most] { at } else { most })
}
