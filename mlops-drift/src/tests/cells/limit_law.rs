//! Laws of sums of squares of a Brownian bridge, for many rows.

use super::super::probability;
use std::f64::consts::PI;

/// The law of Σ λⱼ·zⱼ², the z being independent standard normal.
pub(super) trait Law {
    /// 1/λⱼ, ascending, j from 1; `None` behind the last.
    fn inverse(&self, j: usize) -> Option<f64>;
    /// Π (1 − u·λⱼ).
    fn determinant(&self, u: f64) -> f64;
}

/// No more terms are taken; `x` that would need them have a tail of 1.
const MOST_TERMS: usize = 80;
/// Terms below e⁻⁴⁵ of the first are left out.
const SMALLEST_TERM: f64 = 45.0;

/// The probability that the sum is at least `x`, in (0, 1].
///
/// Smirnov's inversion: 1/π · Σₖ (−1)ᵏ⁺¹ ∫ e^(−xu/2) / (u·√|D(u)|) du between the (2k − 1)-th and
/// the 2k-th zero of D (Smirnov, "On the distribution of the ω²-criterion", 1937; Slepian,
/// "Fluctuations of random noise power", Bell System Technical Journal 37, 1958). The first term
/// rules where the tail is small, so it keeps its digits there.
pub(super) fn tail(x: f64, law: &impl Law) -> f64 {
    let Some(first) = law.inverse(1) else {
        // Nothing varies: one value only.
        return 1.0;
    };
    let negligible = |u: f64| x * (u - first) / 2.0 > SMALLEST_TERM;
    let (mut sum, mut sign) = (0.0, 1.0);
    for term in 0..MOST_TERMS / 2 {
        let Some(from) = law.inverse(2 * term + 1) else { return probability(sum / PI) };
        if negligible(from) {
            return probability(sum / PI);
        }
        sum += sign
            * match law.inverse(2 * term + 2) {
                Some(to) => between(x, law, from, to),
                None => beyond(x, law, from),
            };
        sign = -sign;
    }
    1.0
}

/// ∫ between two zeros of D, by Chebyshev's rule: the integrand has a root of either end in its
/// denominator.
fn between(x: f64, law: &impl Law, from: f64, to: f64) -> f64 {
    const NODES: u32 = 256;
    let (middle, half) = (f64::midpoint(from, to), (to - from) / 2.0);
    let node = |at: u32| {
        let angle = (f64::from(at) + 0.5) * PI / f64::from(NODES);
        let u = middle + half * angle.cos();
        half * angle.sin() * integrand(x, law, u)
    };
    (0..NODES).map(node).sum::<f64>() * PI / f64::from(NODES)
}

/// ∫ behind the last zero of D, u = from + 2z²/x.
fn beyond(x: f64, law: &impl Law, from: f64) -> f64 {
    const NODES: u32 = 512;
    const END: f64 = 8.0;
    if x <= 0.0 {
        return PI;
    }
    let step = END / f64::from(NODES);
    let node = |at: u32| {
        let z = (f64::from(at) + 0.5) * step;
        integrand(x, law, from + 2.0 * z * z / x) * 4.0 * z / x
    };
    (0..NODES).map(node).sum::<f64>() * step
}

fn integrand(x: f64, law: &impl Law, u: f64) -> f64 {
    (-x * u / 2.0).exp() / (u * law.determinant(u).abs().sqrt())
}

/// A Brownian bridge B on 0..1 without ties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bridge {
    /// ∫ B²: the limit of Cramér and von Mises.
    Plain,
    /// ∫ B²/(t(1 − t)): that of Anderson and Darling.
    OverDeviation,
}

impl Law for Bridge {
    fn inverse(&self, j: usize) -> Option<f64> {
        let j = f64::from(u32::try_from(j).ok()?);
        Some(match self {
            Self::Plain => (j * PI).powi(2),
            Self::OverDeviation => j * (j + 1.0),
        })
    }

    fn determinant(&self, u: f64) -> f64 {
        match self {
            Self::Plain => u.sqrt().sin() / u.sqrt(),
            Self::OverDeviation => -(PI / 2.0 * (1.0 + 4.0 * u).sqrt()).cos() / (PI * u),
        }
    }
}

/// A bridge looked at where groups of equal values end: Σ weight·B², the last end left out.
///
/// Its covariance, min(s, t) − s·t, is the inverse of a matrix of three diagonals, so the
/// determinant is a string's: y = 0 at the start, a slope of 1, which falls by u·weight·y at each
/// end; the determinant is y at 1.
pub(super) struct Tied {
    shares: Vec<f64>,
    weights: Vec<f64>,
    inverses: Vec<f64>,
}

impl Tied {
    /// The law as far as it is needed for the tail at `x`.
    pub(super) fn new(shares: Vec<f64>, weights: Vec<f64>, x: f64) -> Self {
        let mut law = Self { shares, weights, inverses: Vec::new() };
        for j in 1..=law.weights.len().min(MOST_TERMS) {
            let above = law.inverses.last().copied().unwrap_or(0.0);
            let zero = law.zero(j, above);
            law.inverses.push(zero);
            if x * (zero - law.inverses[0]) / 2.0 > SMALLEST_TERM {
                break;
            }
        }
        law
    }

    /// The j-th zero of the determinant, above the one before.
    fn zero(&self, j: usize, above: f64) -> f64 {
        let (mut low, mut high) = (above, above.max(1.0) * 2.0);
        while self.string(high).1 < j {
            (low, high) = (high, high * 2.0);
        }
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            if self.string(middle).1 < j { low = middle } else { high = middle }
        }
        high
    }

    /// The string's end, and how often it changed its sign, which is how many zeros lie below `u`.
    fn string(&self, u: f64) -> (f64, usize) {
        let (mut y, mut slope, mut signs) = (0.0_f64, 1.0, 0);
        let weights = self.weights.iter().chain([&0.0]);
        for (share, weight) in self.shares.iter().zip(weights) {
            let next = y + slope * share;
            signs += usize::from((next < 0.0) != (y < 0.0));
            y = next;
            slope -= u * weight * y;
        }
        (y, signs)
    }
}

impl Law for Tied {
    fn inverse(&self, j: usize) -> Option<f64> {
        self.inverses.get(j - 1).copied()
    }

    fn determinant(&self, u: f64) -> f64 {
        self.string(u).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF};

    /// Anderson and Darling, "Asymptotic theory of certain goodness of fit criteria", 1952, table 1;
    /// Marsaglia and Marsaglia, "Evaluating the Anderson-Darling distribution", 2004.
    #[test]
    fn the_limits_have_their_published_quantiles() {
        for (x, p) in [(0.347_30, 0.1), (0.461_36, 0.05), (0.743_46, 0.01), (1.167_86, 0.001)] {
            assert!((tail(x, &Bridge::Plain) / p - 1.0).abs() < 2e-4, "{x} {p}");
        }
        for (x, p) in [(1.933, 0.1), (2.4924, 0.05), (3.8781, 0.01)] {
            assert!((tail(x, &Bridge::OverDeviation) / p - 1.0).abs() < 5e-4, "{x} {p}");
        }
        for law in [Bridge::Plain, Bridge::OverDeviation] {
            assert!((tail(1e-4, &law) - 1.0).abs() < 1e-12 && tail(1e4, &law) > 0.0);
        }
    }

    #[derive(serde::Deserialize)]
    struct File {
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        law: String,
        x: f64,
        p: f64,
    }

    /// `scripts/oracles/drift_laws.py` adds up other series for the same laws, to forty digits.
    #[test]
    fn the_limits_are_those_of_the_series_of_others() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path.join("tests/data/limit_laws.json")).unwrap();
        let file: File = serde_json::from_str(&text).unwrap();
        assert_eq!(file.cases.len(), 15);
        for Case { law, x, p } in file.cases {
            let bridge =
                if law == "anderson_darling" { Bridge::OverDeviation } else { Bridge::Plain };
            let ours = tail(x, &bridge);
            assert!((ours / p - 1.0).abs() < 1e-10, "{law} {x}: {ours:e} {p:e}");
        }
    }

    #[test]
    fn two_groups_are_one_square() {
        // λ = weight · s(1 − s).
        let lambda = 0.5 * 0.3 * 0.7;
        let square = ChiSquared::new(1.0).unwrap();
        for x in [0.01, 0.1, 0.4, 2.0] {
            let law = Tied::new(vec![0.3, 0.7], vec![0.5], x);
            let (ours, theirs) = (tail(x, &law), square.sf(x / lambda));
            assert!((ours / theirs - 1.0).abs() < 1e-9, "{x}: {ours} {theirs}");
        }
    }

    #[test]
    fn many_groups_are_the_limit() {
        let shares = vec![1.0 / 500.0; 500];
        for x in [0.05, 0.2, 0.5, 1.5] {
            let law = Tied::new(shares.clone(), vec![1.0 / 500.0; 499], x);
            let (ours, limit) = (tail(x, &law), tail(x, &Bridge::Plain));
            assert!((ours / limit - 1.0).abs() < 1e-3, "{x}: {ours} {limit}");
        }
        let law = Tied::new(vec![0.5, 0.2, 0.3], vec![1.0, 1.0], 0.01);
        assert_eq!((law.inverse(2).is_some(), law.inverse(3)), (true, None));
    }
}
