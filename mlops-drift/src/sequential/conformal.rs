//! The conformal test martingale and Shiryaev–Roberts detection on cells.

use super::{
    ConformalConfig,
    bets::{BETS, Bets},
    pool::Pool,
};
use crate::{
    random::Random,
    tests::{MAX_ROWS, real},
};
use mlops_core::{Error, Result, stats::EProcess};
use std::collections::BTreeMap;

/// The stratum of a test that has one.
const ONLY: u32 = 0;
/// The part of the wealth that is spread over all bets anew after each row.
const SPREAD: f64 = 0.001;

/// Evidence, row by row, that a stream is not exchangeable with its reference and its own past.
///
/// **p-values.** Each row is ranked among all rows before it by its cell, ties at random. While
/// reference and stream are exchangeable, these ranks are independent and uniform exactly, whatever
/// the number of cells and however small the reference is (V. Vovk, A. Gammerman, G. Shafer,
/// "Algorithmic learning in a random world", 2005, theorem 2.8).
///
/// **Evidence** that the stream changed at all: a mixture of bets on the ranks, shifts and scales of
/// a normal value and one that learns, whose wealth is a martingale that starts at 1. Part of it
/// is spread over all bets after each row, so that whichever pays after a change takes over (M.
/// Herbster, M. K. Warmuth, "Tracking the best expert", Machine Learning 32, 1998; V. Vovk and
/// others, "Retrain or not retrain: conformal test martingales for change-point detection", COPA
/// 2021, bet on two slopes in this way). It ever reaches 1/α with probability at most α (Ville).
///
/// **Alarms** that it changed *lately*: Shiryaev and Roberts' sum over all possible beginnings, for
/// each bet R ← (R + share)·pay (A. N. Shiryaev, "On optimum methods in quickest detection
/// problems", Theory of Probability & Its Applications 8, 1963). While nothing changes its mean
/// grows by 1 a row, so that it takes `mean_run_length` rows or more on average until it reaches
/// that number; it begins anew after each alarm.
///
/// **Strata.** Seasons break exchangeability: rows of the night differ from those of the day. With a
/// reference a stratum (an hour of the week, say) rows are ranked among those of their own stratum;
/// all that is assumed is exchangeability within each. Rows that depend on one another break the
/// promise none the less, where whole days may keep it: bet once a day, on one number of it (a mean)
/// in cells that are fixed beforehand.
///
/// A change is learned as the new normal over time, since the stream joins its own past.
#[derive(Clone, Debug, PartialEq)]
pub struct ConformalTest {
    pub(super) config: ConformalConfig,
    pub(super) strata: BTreeMap<u32, Pool>,
    pub(super) bets: Bets,
    /// Shares of the wealth; they add up to 1.
    pub(super) shares: [f64; BETS],
    pub(super) evidence: EProcess,
    /// Shiryaev–Roberts sums.
    pub(super) sums: [f64; BETS],
    pub(super) rows: u64,
    pub(super) alarms: u64,
    pub(super) random: Random,
}

impl ConformalTest {
    /// A test beside the reference's counts of cells, which may be all zero.
    pub fn open(config: ConformalConfig, reference: &[u64]) -> Result<Self> {
        Self::open_stratified(config, [(ONLY, reference)])
    }

    /// A test with a reference of its own for each stratum. No stratum, or one that comes twice, is
    /// `InvalidInput`; more strata or cells than the configuration allows are `TooLarge`.
    pub fn open_stratified<'a>(
        config: ConformalConfig,
        references: impl IntoIterator<Item = (u32, &'a [u64])>,
    ) -> Result<Self> {
        config.check()?;
        let mut strata = BTreeMap::new();
        for (stratum, counts) in references {
            if strata.len() == config.max_strata {
                let most = config.max_strata;
                return Err(Error::too_large(format!("over {most} strata")));
            }
            if counts.len() > config.max_cells {
                let (own, most) = (counts.len(), config.max_cells);
                return Err(Error::too_large(format!("{own} cells in a stratum, over {most}")));
            }
            if strata.insert(stratum, Pool::new(counts)?).is_some() {
                return Err(Error::invalid(format!("stratum {stratum} comes twice")));
            }
        }
        if strata.is_empty() {
            return Err(Error::invalid("a test without strata"));
        }
        let share = 1.0 / real(BETS as u64);
        Ok(Self {
            strata,
            bets: Bets::new(),
            shares: [share; BETS],
            evidence: EProcess::new(),
            sums: [0.0; BETS],
            rows: 0,
            alarms: 0,
            random: Random::new(config.seed),
            config,
        })
    }

    /// Takes a row of this cell, where there is one stratum of number 0.
    pub fn update(&mut self, cell: usize) -> Result<()> {
        self.update_in(ONLY, cell)
    }

    /// Takes a row of this cell of a stratum. An unknown stratum or cell is `InvalidInput` and changes
    /// nothing.
    pub fn update_in(&mut self, stratum: u32, cell: usize) -> Result<()> {
        let pool = self.strata.get_mut(&stratum).ok_or_else(|| unknown(stratum))?;
        let p = pool.rank(cell, &mut self.random)?;
        self.bet(p)
    }

    /// Takes what came in a merge interval of a stratum, of which counts alone are known, in an order
    /// drawn from the seeded generator. Another number of cells is `InvalidInput` and changes nothing.
    pub fn update_counts(&mut self, stratum: u32, counts: &[u64]) -> Result<()> {
        let pool = self.strata.get(&stratum).ok_or_else(|| unknown(stratum))?;
        if pool.counts().len() != counts.len() {
            let (own, given) = (pool.counts().len(), counts.len());
            return Err(Error::invalid(format!("{given} cells for a stratum of {own}")));
        }
        let mut left = Pool::new(counts)?;
        if pool.total() + left.total() > MAX_ROWS {
            return Err(Error::too_large(format!("over {MAX_ROWS} rows in stratum {stratum}")));
        }
        while left.total() > 0 {
            let cell = left.take(&mut self.random);
            self.update_in(stratum, cell)?;
        }
        Ok(())
    }

    /// Bets on one p-value.
    fn bet(&mut self, p: f64) -> Result<()> {
        let pays = self.bets.pay(p.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON / 2.0));
        let wealth: f64 = self.shares.iter().zip(&pays).map(|(share, pay)| share * pay).sum();
        self.evidence.update(wealth)?;
        let fresh = 1.0 / real(BETS as u64);
        for (share, pay) in self.shares.iter_mut().zip(&pays) {
            *share = *share * pay / wealth * (1.0 - SPREAD) + SPREAD * fresh;
        }
        for (sum, pay) in self.sums.iter_mut().zip(&pays) {
            *sum = (*sum + fresh) * pay;
        }
        self.rows += 1;
        if self.recent_change() >= self.config.mean_run_length {
            self.alarms += 1;
            self.sums = [0.0; BETS];
        }
        Ok(())
    }

    /// Rows taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The evidence now, as a bet's wealth that began with 1.
    pub fn evidence(&self) -> EProcess {
        self.evidence
    }

    /// Whether the evidence ever reached 1/α: the stream is not exchangeable with its reference.
    pub fn rejects(&self) -> bool {
        self.evidence.rejects(self.config.alpha)
    }

    /// Shiryaev and Roberts' statistic since the last alarm; an alarm is raised when it reaches
    /// `mean_run_length`.
    pub fn recent_change(&self) -> f64 {
        self.sums.iter().sum()
    }

    /// Alarms so far.
    pub fn alarms(&self) -> u64 {
        self.alarms
    }
}

/// The evidence of replicas together: the mean of their wealth, by its natural logarithm. `None`
/// of no replica.
///
/// Replicas share a reference, so that their evidence must never be multiplied; a mean of e-values
/// is one whatever their dependence (V. Vovk, R. Wang, "E-values: calibration, combination and
/// applications", Annals of Statistics 49, 2021). Reject at `-ln(alpha)`: at one look fixed
/// beforehand whatever the replicas' dependence, and at any look if each replica's wealth stays a
/// fair bet for who sees all of them, as it does for replicas that get rows at random.
pub fn averaged_evidence<'a>(replicas: impl IntoIterator<Item = &'a ConformalTest>) -> Option<f64> {
    let logs: Vec<f64> = replicas.into_iter().map(|test| test.evidence.ln_value()).collect();
    let largest = logs.iter().copied().reduce(f64::max)?;
    let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
    Some(largest + (sum / real(logs.len() as u64)).ln())
}

fn unknown(stratum: u32) -> Error {
    Error::invalid(format!("no reference for stratum {stratum}"))
}
