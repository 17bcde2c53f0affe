//! Bets against uniform p-values.
//!
//! A bet is a density on (0, 1), chosen before its p-value is known: the factor that it pays has
//! the mean 1 if p is uniform, and grows where p has that density.

use crate::tests::real;
use statrs::distribution::{ContinuousCDF, Normal};

/// Shifts of a normal value, in deviations: δ pays exp(δz − δ²/2) at the normal score
/// z = Φ⁻¹(1 − p), the likelihood ratio of a value moved by δ.
const SHIFTS: [f64; 9] = [0.0, 0.1, -0.1, 0.25, -0.25, 0.6, -0.6, 1.3, -1.3];
/// Scales of a normal value: σ pays exp(z²(1 − 1/σ²)/2)/σ.
const SCALES: [f64; 4] = [1.25, 0.8, 2.0, 0.5];
/// Equal parts of 0..1 of which one bet learns the shares, whatever shape they have: the plug-in
/// bet (V. Fedorova, A. Gammerman, I. Nouretdinov, V. Vovk, "Plug-in martingales for testing
/// exchangeability on-line", ICML 2012).
const PARTS: usize = 16;
/// Rows after which the learned shares have forgotten all but 1/e.
const MEMORY: f64 = 1000.0;
/// Rows that each part is taken to have had.
const PRIOR: f64 = 4.0;

/// How many bets there are.
pub(super) const BETS: usize = SHIFTS.len() + SCALES.len() + 1;

/// The bets at hand; one of them learns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bets {
    normal: Normal,
    /// Recent rows of each part.
    pub(super) parts: Vec<f64>,
}

impl Bets {
    pub(super) fn new() -> Self {
        Self::with_parts(vec![0.0; PARTS])
    }

    pub(super) fn with_parts(parts: Vec<f64>) -> Self {
        Self { normal: Normal::standard(), parts }
    }

    /// Whether these can be the learned shares of a state.
    pub(super) fn can_be_parts(parts: &[f64]) -> bool {
        parts.len() == PARTS && parts.iter().all(|rows| (0.0..=2.0 * MEMORY).contains(rows))
    }

    /// What each bet pays at this p, after which they learn from it.
    pub(super) fn pay(&mut self, p: f64) -> [f64; BETS] {
        let z = -self.normal.inverse_cdf(p);
        let shifts = SHIFTS.iter().map(|shift| (shift * z - shift * shift / 2.0).exp());
        let scale = |scale: &f64| ((1.0 - 1.0 / (scale * scale)) * z * z / 2.0).exp() / scale;
        let mut pays = [0.0; BETS];
        let all = shifts.chain(SCALES.iter().map(scale)).chain([self.learned(p)]);
        pays.iter_mut().zip(all).for_each(|(pay, own)| *pay = own);
        pays
    }

    fn learned(&mut self, p: f64) -> f64 {
        let parts = real(PARTS as u64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of 0..1"
        )]
        let part = ((p * parts) as usize).min(PARTS - 1);
        let rows: f64 = self.parts.iter().sum();
        let pay = parts * (self.parts[part] + PRIOR) / (rows + PRIOR * parts);
        self.parts.iter_mut().for_each(|rows| *rows *= 1.0 - 1.0 / MEMORY);
        self.parts[part] += 1.0;
        pay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bet_pays_one_on_average_over_uniform_p() {
        let mut sums = [0.0; BETS];
        let mut bets = Bets::new();
        (0..50).for_each(|_| _ = bets.pay(0.9));
        // Over normal scores, where the wide bets are smooth.
        let (normal, steps) = (Normal::standard(), 160_000_u32);
        for at in 0..steps {
            let z = (f64::from(at) + 0.5) / 10_000.0 - 8.0;
            let weight = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() / 10_000.0;
            let pays = bets.clone().pay(normal.sf(z));
            sums.iter_mut().zip(pays).for_each(|(sum, pay)| *sum += weight * pay);
        }
        for (bet, mean) in sums.iter().enumerate() {
            assert!((mean - 1.0).abs() < 1e-3, "bet {bet}: {mean}");
        }
        assert!(bets.pay(0.9)[BETS - 1] > 4.0, "the last part was learned");
    }
}
