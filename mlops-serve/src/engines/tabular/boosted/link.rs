//! What the objective makes of the sums of a row.

use super::super::forest::Real;

/// The function from sums to predictions, as the libraries name it after their objectives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Link {
    Identity,
    /// `sign(x) x²`: of a regression on square roots.
    SignedSquare,
    /// Poisson, gamma, Tweedie.
    Exp,
    /// `1 / (1 + exp(-s x))` of each sum.
    Logistic(f64),
    /// Over all sums of a row.
    Softmax,
    /// `ln(1 + exp(x))`.
    SoftPlus,
}

impl Link {
    /// Makes predictions of the sums of one row, in `f64` whatever they are.
    pub(super) fn apply<S: Real>(self, sums: &mut [S]) {
        let each = |sums: &mut [S], f: fn(f64) -> f64| {
            for sum in sums {
                *sum = S::nearest(f(sum.wide()));
            }
        };
        match self {
            Self::Identity => {}
            Self::SignedSquare => each(sums, |x| x.signum() * x * x),
            Self::Exp => each(sums, f64::exp),
            Self::Logistic(scale) => {
                for sum in sums {
                    *sum = S::nearest(1.0 / (1.0 + (-scale * sum.wide()).exp()));
                }
            }
            Self::Softmax => softmax(sums),
            Self::SoftPlus => each(sums, |x| x.exp().ln_1p()),
        }
    }
}

fn softmax<S: Real>(sums: &mut [S]) {
    let most = sums.iter().fold(f64::NEG_INFINITY, |most, sum| most.max(sum.wide()));
    let total: f64 = sums.iter().map(|sum| (sum.wide() - most).exp()).sum();
    for sum in sums {
        *sum = S::nearest((sum.wide() - most).exp() / total);
    }
}
