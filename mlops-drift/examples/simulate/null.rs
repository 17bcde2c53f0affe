//! Repetitions without drift, counted: how often p is at most 5 and 1 percent.

use crate::random::Random;
use mlops_core::Result;
use std::{num::NonZero, panic::resume_unwind, thread};

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
        format!("{} | {} | {} | {} |", self.test, self.source, self.rows.0, self.rows.1)
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
        p: impl Fn(&mut Random) -> Result<Option<f64>> + Sync,
    ) -> Result<Self> {
        // Each setting has numbers of its own, whichever others run.
        let seed = format!("{} {} {:?}", setting.test, setting.source, setting.rows);
        let seed = seed
            .bytes()
            .fold(7, |seed: u64, byte| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
        let mut wrong = Self::default();
        for p in repeated(setting.repetitions, |at| p(&mut random_of(seed, at)))? {
            let Some(p) = p else {
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

/// Sizes from 30 to a million rows, equal and not.
pub(crate) const SIZES: [(u32, u32); 9] = [
    (30, 30),
    (300, 30),
    (100, 100),
    (1000, 100),
    (300, 300),
    (1000, 1000),
    (10_000, 1000),
    (10_000, 10_000),
    (1_000_000, 1_000_000),
];

/// Of a million rows a fiftieth of the repetitions.
pub(crate) fn affordable(repetitions: u32, rows: (u32, u32)) -> u32 {
    if rows.0 < 1_000_000 { repetitions } else { repetitions.div_ceil(50) }
}

/// Numbers of one repetition's own, whichever thread makes it.
pub(crate) fn random_of(seed: u64, repetition: u32) -> Random {
    Random::new(Random::new(seed ^ u64::from(repetition)).bits())
}

/// What each of so many repetitions gives, made on all processors, in their order.
pub(crate) fn repeated<T: Send>(
    times: u32,
    run: impl Fn(u32) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = times.div_ceil(u32::try_from(threads).unwrap_or(u32::MAX)).max(1);
    let some = |from: u32| (from..times.min(from + share)).map(&run).collect::<Result<Vec<T>>>();
    thread::scope(|scope| {
        let begun = (0..times).step_by(share as usize).map(|from| scope.spawn(move || some(from)));
        let begun: Vec<_> = begun.collect();
        let mut all = Vec::new();
        for thread in begun {
            all.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(all)
    })
}
