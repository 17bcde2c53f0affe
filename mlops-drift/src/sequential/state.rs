//! A conformal test as bytes, and back.

use super::{
    ConformalConfig, ConformalTest,
    bets::{BETS, Bets},
};
use crate::random::Random;
use mlops_core::{Error, Result, drift::DetectorState, stats::EProcess};
use serde::{Deserialize, Serialize};

/// The name under which states are kept.
const NAME: &str = "conformal";
/// The version of states that this build writes.
const VERSION: u32 = 1;

/// Everything that the next row depends on.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    config: ConformalConfig,
    strata: Vec<(u32, Vec<u64>)>,
    parts: Vec<f64>,
    shares: Vec<f64>,
    evidence: EProcess,
    sums: Vec<f64>,
    rows: u64,
    alarms: u64,
    random: Random,
}

impl ConformalTest {
    /// The whole test, reference included: counts, no raw rows. What is restored from it goes on as
    /// if never interrupted, bit by bit.
    pub fn state(&self) -> Result<DetectorState> {
        let strata = self.strata.iter().map(|(key, pool)| (*key, pool.counts().to_vec()));
        let saved = Saved {
            config: self.config.clone(),
            strata: strata.collect(),
            parts: self.bets.parts.clone(),
            shares: self.shares.to_vec(),
            evidence: self.evidence,
            sums: self.sums.to_vec(),
            rows: self.rows,
            alarms: self.alarms,
            random: self.random,
        };
        let bytes = serde_json::to_vec(&saved).map_err(|_| Error::internal("a state is JSON"))?;
        Ok(DetectorState::new(NAME, VERSION, bytes))
    }

    /// The test of a state. One of another detector is `InvalidInput`, of a later version
    /// `Unsupported`, one that is damaged `Corrupt`.
    pub fn restore(state: &DetectorState) -> Result<Self> {
        let bytes = state.open(NAME, VERSION)?;
        let saved: Saved = serde_json::from_slice(bytes)
            .map_err(|_| Error::corrupt("a state of a conformal test that cannot be read"))?;
        let damaged = || Error::corrupt("a state of a conformal test that none can have");
        let references = saved.strata.iter().map(|(key, counts)| (*key, counts.as_slice()));
        let mut test = Self::open_stratified(saved.config, references).map_err(|_| damaged())?;
        let shares = <[f64; BETS]>::try_from(saved.shares).map_err(|_| damaged())?;
        let sums = <[f64; BETS]>::try_from(saved.sums).map_err(|_| damaged())?;
        let whole: f64 = shares.iter().sum();
        let positive = |values: &[f64; BETS]| values.iter().all(|value| *value >= 0.0);
        let sound = positive(&shares) && positive(&sums) && (whole - 1.0).abs() < 1e-6;
        if !sound || !Bets::can_be_parts(&saved.parts) {
            return Err(damaged());
        }
        test.bets = Bets::with_parts(saved.parts);
        (test.shares, test.sums, test.evidence) = (shares, sums, saved.evidence);
        (test.rows, test.alarms, test.random) = (saved.rows, saved.alarms, saved.random);
        Ok(test)
    }
}
