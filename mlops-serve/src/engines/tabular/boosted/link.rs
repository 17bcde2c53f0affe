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
    /// 1 above zero, else 0.
    Hinge,
    /// The place of the largest sum of a row, the first of several.
    Largest,
    /// A mean as it is, and `exp(2 x)` of the logarithm of a standard deviation: the variance.
    MeanVariance,
}

impl Link {
    /// Makes predictions of the sums of one row, in `f64` whatever they are, in their place.
    pub(super) fn apply<S: Real>(self, sums: &mut [S]) -> &[S] {
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
                for sum in &mut *sums {
                    *sum = S::nearest(1.0 / (1.0 + (-scale * sum.wide()).exp()));
                }
            }
            Self::Softmax => softmax(sums),
            Self::SoftPlus => each(sums, |x| x.exp().ln_1p()),
            Self::Hinge => each(sums, |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Self::Largest => return largest(sums),
            Self::MeanVariance => each(&mut sums[1..], |x| (2.0 * x).exp()),
        }
        sums
    }
}

fn softmax<S: Real>(sums: &mut [S]) {
    let most = sums.iter().fold(f64::NEG_INFINITY, |most, sum| most.max(sum.wide()));
    let total: f64 = sums.iter().map(|sum| (sum.wide() - most).exp()).sum();
    for sum in sums {
        *sum = S::nearest((sum.wide() - most).exp() / total);
    }
}

fn largest<S: Real>(sums: &mut [S]) -> &[S] {
    let mut best = 0;
    for at in 1..sums.len() {
        if sums[at] > sums[best] {
            best = at;
        }
    }
    sums[0] = S::count(best);
    &sums[..1]
}
