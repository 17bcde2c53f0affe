//! Repetitions without drift, counted: how often p is at most 5 and 1 percent.

use crate::random::Random;
use mlops_core::Result;

/// The header of the table whose lines [`Wrong::line`] makes.
pub(crate) const HEADER: &str = "\
| test | source | reference rows | window rows | repetitions | too few rows | p ≤ 0.05 | bound | p ≤ 0.01 | bound | within |
|---|---|---|---|---|---|---|---|---|---|---|";

/// Passed one time in a thousand, in each of two columns, by a test that is right.
const DEVIATIONS: f64 = 3.09;

/// What is repeated.
pub(crate) struct Setting<'a> {
    pub(crate) test: &'a str,
    pub(crate) source: &'a str,
    pub(crate) rows: (u32, u32),
    pub(crate) repetitions: u32,
}

impl Setting<'_> {
    /// Whether this is the name, or a part of it, of what to run.
    pub(crate) fn is(&self, part: &str) -> bool {
        format!("{} | {} | {} | {}", self.test, self.source, self.rows.0, self.rows.1)
            .contains(part)
    }
}

/// How often a test was wrong.
#[derive(Default)]
pub(crate) struct Wrong {
    said: u32,
    at_five: u32,
    at_one: u32,
    unsaid: u32,
}

impl Wrong {
    /// Repeats; `p` draws both samples from one law and tests them.
    pub(crate) fn count(
        setting: &Setting<'_>,
        mut p: impl FnMut(&mut Random) -> Result<Option<f64>>,
    ) -> Result<Self> {
        // Each setting has numbers of its own, whichever others run.
        let seed = format!("{} {} {:?}", setting.test, setting.source, setting.rows);
        let seed = seed
            .bytes()
            .fold(7, |seed: u64, byte| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
        let (mut random, mut wrong) = (Random::new(seed), Self::default());
        for _ in 0..setting.repetitions {
            let Some(p) = p(&mut random)? else {
                wrong.unsaid += 1;
                continue;
            };
            wrong.said += 1;
            wrong.at_five += u32::from(p <= 0.05);
            wrong.at_one += u32::from(p <= 0.01);
        }
        Ok(wrong)
    }

    /// Whether both counts are at most so many deviations above what they should be.
    pub(crate) fn within(&self, deviations: f64) -> bool {
        let at_most = |count, level| f64::from(count) <= self.bound(level, deviations);
        at_most(self.at_five, 0.05) && at_most(self.at_one, 0.01)
    }

    /// The most of as many tests that are wrong at this level.
    fn bound(&self, level: f64, deviations: f64) -> f64 {
        let said = f64::from(self.said);
        said * level + deviations * (said * level * (1.0 - level)).sqrt() + 0.5
    }

    pub(crate) fn line(&self, setting: &Setting<'_>) -> String {
        let Setting { test, source, rows: (n, m), repetitions } = setting;
        let said = f64::from(self.said.max(1));
        let share = |count: u32| f64::from(count) / said;
        let bound = |level: f64| self.bound(level, DEVIATIONS) / said;
        format!(
            "| {test} | {source} | {n} | {m} | {repetitions} | {} | {:.4} | {:.4} | {:.4} | {:.4} | {} |",
            self.unsaid,
            share(self.at_five),
            bound(0.05),
            share(self.at_one),
            bound(0.01),
            if self.within(DEVIATIONS) { "yes" } else { "**no**" },
        )
    }
}

/// Sizes from 30 to 10,000 rows, equal and not.
pub(crate) const SIZES: [(u32, u32); 8] = [
    (30, 30),
    (300, 30),
    (100, 100),
    (1000, 100),
    (300, 300),
    (1000, 1000),
    (10_000, 1000),
    (10_000, 10_000),
];

/// Fewer repetitions of many rows: those that take about as long.
pub(crate) fn affordable(repetitions: u32, rows: (u32, u32)) -> u32 {
    match rows.0 + rows.1 {
        0..=600 => repetitions,
        601..=2_000 => (repetitions / 4).max(20),
        2_001..=11_000 => (repetitions / 10).max(20),
        _ => (repetitions / 25).max(20),
    }
}
