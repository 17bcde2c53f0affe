//! What becomes of the scores of a model: the post-transforms of `ai.onnx.ml`, computed in `f32`
//! with ONNX Runtime's formulas, approximations included.

use super::Build;
use mlops_core::Result;

/// The `post_transform` of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PostTransform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl PostTransform {
    /// Reads the attribute; none if it is absent.
    pub(super) fn read(build: &mut Build<'_>) -> Result<Self> {
        let name = build.text("post_transform")?;
        Ok(match name.as_deref() {
            None | Some("NONE") => Self::None,
            Some("SOFTMAX") => Self::Softmax,
            Some("LOGISTIC") => Self::Logistic,
            Some("SOFTMAX_ZERO") => Self::SoftmaxZero,
            Some("PROBIT") => Self::Probit,
            Some(other) => return Err(build.invalid(format!("post_transform {other:?}"))),
        })
    }

    /// Transforms the scores of one row, of two classes or targets at least.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(scores),
            Self::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::SoftmaxZero => softmax_zero(scores),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }
}

/// `1 / (1 + exp(-x))`, without a large exponent on either side.
pub(super) fn logistic(x: f32) -> f32 {
    let upper = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - upper } else { upper }
}

/// The quantile of the normal distribution by Winitzki's approximation of the inverse error
/// function (a = 0.147), which is what ONNX Runtime computes.
pub(super) fn probit(x: f32) -> f32 {
    std::f32::consts::SQRT_2 * inverse_erf(2.0 * x - 1.0)
}

fn inverse_erf(x: f32) -> f32 {
    let sign = if x < 0.0 { -1.0 } else { 1.0 };
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let scaled = 1.0 / 0.147 * log;
    sign * (-half + (half * half - scaled).sqrt()).sqrt()
}

fn softmax(scores: &mut [f32]) {
    let most = largest(scores);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - most).exp();
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

/// Scores that are zero (within 1e-7) stay out of the sum.
fn softmax_zero(scores: &mut [f32]) {
    let most = largest(scores);
    let scale = (-most).exp();
    let mut sum = 0.0;
    for score in &mut *scores {
        if score.abs() > 1e-7 {
            *score = (*score - most).exp();
            sum += *score;
        } else {
            *score *= scale;
        }
    }
    for score in scores {
        *score /= sum;
    }
}

/// NaN is never the largest: no comparison with it holds.
fn largest(scores: &[f32]) -> f32 {
    scores.iter().fold(f32::MIN, |most, &score| if score > most { score } else { most })
}
