//! Evidence that stays valid however often anyone looks.

use super::real_len;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A growing bet against "nothing has changed": the product of e-values, each of expectation at
/// most 1 given all before it. It ever reaches `1 / alpha` with probability at most `alpha`
/// (J. Ville, "Étude critique de la notion de collectif", 1939), so it may be looked at all the time.
///
/// ```
/// use mlops_core::stats::EProcess;
///
/// let mut evidence = EProcess::new();
/// for _ in 0..10 {
///     evidence.update(2.0)?; // each observation twice as likely under the alternative
/// }
/// assert!(evidence.rejects(0.001) && !evidence.rejects(0.0009));
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EProcess {
    /// Natural logarithm of the product now: a product itself would overflow.
    log_now: f64,
    /// Of the largest product so far.
    log_max: f64,
}

impl EProcess {
    /// No evidence yet: 1.
    pub const fn new() -> Self {
        Self { log_now: 0.0, log_max: 0.0 }
    }

    /// Multiplies by an e-value: a number from 0 on; `InvalidInput` for others.
    pub fn update(&mut self, e: f64) -> Result<()> {
        if e.is_nan() || e < 0.0 {
            return Err(Error::invalid(format!("an e-value is at least 0; {e} is not")));
        }
        self.log_now += e.ln();
        self.log_max = self.log_max.max(self.log_now);
        Ok(())
    }

    /// The product now; infinite beyond what a number holds.
    pub fn value(&self) -> f64 {
        self.log_now.exp()
    }

    /// The natural logarithm of the product now.
    pub fn ln_value(&self) -> f64 {
        self.log_now
    }

    /// Whether it ever reached `1 / alpha`.
    pub fn rejects(&self, alpha: f64) -> bool {
        self.log_max >= -alpha.ln()
    }
}

/// Which e-values are discoveries, with an expected share of false ones of at most `alpha`,
/// whatever their dependence.
///
/// R. Wang, A. Ramdas, "False discovery rate control with e-values", J. R. Statist. Soc. B 84 (2022).
pub fn e_benjamini_hochberg(e: &[f64], alpha: f64) -> Result<Vec<bool>> {
    if let Some(at) = e.iter().position(|e| e.is_nan() || *e < 0.0) {
        return Err(Error::invalid(format!("e-value {at} is {}, not at least 0", e[at])));
    }
    let mut descending: Vec<f64> = e.to_vec();
    descending.sort_by(|a, b| b.total_cmp(a));
    let n = real_len(e.len());
    let reached = |(rank, e): (usize, &f64)| (*e * real_len(rank + 1) * alpha >= n).then_some(*e);
    let threshold = descending.iter().enumerate().rev().find_map(reached);
    Ok(e.iter().map(|e| threshold.is_some_and(|threshold| *e >= threshold)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::benjamini_hochberg;
    use proptest::prelude::*;

    proptest! {
        /// At most 1/e is a p-value, by Markov's inequality; of these it is Benjamini and Hochberg's.
        #[test]
        fn discoveries_are_those_of_the_inverses(
            logs in proptest::collection::vec(-3.0..12.0_f64, 0..40),
            alpha in 0.01..0.5_f64,
            scale in 1.0..4.0_f64,
        ) {
            let e: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
            let p: Vec<f64> = e.iter().map(|e| (1.0 / e).min(1.0)).collect();
            let adjusted = benjamini_hochberg(&p).unwrap();
            let found = e_benjamini_hochberg(&e, alpha).unwrap();
            for (found, adjusted) in found.iter().zip(&adjusted) {
                prop_assert!((adjusted - alpha).abs() < 1e-12 || *found == (*adjusted < alpha));
            }
            // More evidence loses no discovery.
            let more: Vec<f64> = e.iter().map(|e| e * scale).collect();
            let then = e_benjamini_hochberg(&more, alpha).unwrap();
            prop_assert!(found.iter().zip(then).all(|(before, after)| !before || after));
        }
    }

    /// Numbers in 0..1 that look random and are the same everywhere (a Weyl sequence, scrambled).
    fn uniform(seed: u64) -> f64 {
        let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((x ^ (x >> 31)) >> 32).expect("32 bits")) / 4_294_967_296.0
    }

    #[test]
    fn looking_always_does_not_raise_the_alarm_rate() {
        // A bet on a fair coin, 1,000 looks, 2,000 times: at most 5% may ever reach 20, plus chance.
        let ever = (0..2_000_u64).filter(|run| {
            let mut evidence = EProcess::new();
            for look in 0..1_000 {
                let heads = uniform(run * 1_000 + look) < 0.5;
                evidence.update(if heads { 1.2 } else { 0.8 }).unwrap();
            }
            evidence.rejects(0.05)
        });
        let share = real_len(ever.count()) / 2_000.0;
        assert!(share <= 0.05 + 3.0 * (0.05 * 0.95 / 2_000.0_f64).sqrt(), "{share}");
    }

    #[test]
    fn discoveries_reach_their_rank() {
        let found = e_benjamini_hochberg(&[100.0, 1.0, 45.0, 0.0], 0.05).unwrap();
        assert_eq!(found, [true, false, true, false]);
        assert_eq!(e_benjamini_hochberg(&[79.0, 1.0, 1.0, 1.0], 0.05).unwrap(), [false; 4]);
        assert!(e_benjamini_hochberg(&[-1.0], 0.05).is_err());
    }
}
