//! Whole days as what is judged, where the rows of a day depend on one another.
//!
//! **Why.** Tests over rows take each row for a draw of its own. Where a row tells what the next is
//! like (weather, a market), a hundred rows of a day say little more than one, and a window differs
//! from its reference more than independent rows could, *within each stratum too*: a stratum takes
//! away what an hour is like, and not what this day is like. What may still be exchangeable is the
//! day. So one number a day is compared, by its rank among the days of the reference.
//!
//! **The number.** For a set of cells, the share of the day's rows in it less the share that the
//! reference has in the strata of these rows: `share − Σ w·a/n`, with w the part of the day's rows
//! in a stratum, and a of n rows of the reference's stratum in the set.
//!
//! **The test** of the last m days beside the n of the reference: in how many of the n·m pairs the
//! later day lies higher (F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics
//! Bulletin 1, 1945; H. B. Mann, D. R. Whitney, 1947), by the exact law (see [`law`]): if days are
//! exchangeable each deal of the n + m numbers is as likely, whatever a day's rows have to do with
//! one another, and whatever law the number has. A tie counts as won by neither, which makes p
//! larger, so that it stays valid. Where every day has its rows in the same strata in the same
//! parts, what the reference says of them is the same for all days and the ranks are exact; else
//! they are so up to the error of the reference's own shares.
//!
//! **The price.** n exchangeable days know nothing rarer than one in C(n + m, m): with a hundred
//! columns' worth of sets to be tested each day, the promise of an alarm a year cannot be kept by
//! whoever judges a single day, however far off it is. With 400 days of reference three days do,
//! with 30 a week.
//!
//! **Bounds.** 512 days of the reference, 28 later ones and those in progress: coarse counts (150
//! bytes a numeric column).

mod dependence;
mod law;
mod size;

pub(super) use size::{Apart, Numbers, contributions};

use super::{
    MonitorConfig, Unit,
    cells::{Column, Counts, Set, add, coarse},
    season::{DAY, Strata},
};
use crate::{profile::Profile, tests::real};
use law::Laws;
use mlops_core::{Error, Result, Timestamp};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::OnceLock,
};

/// Blocks of the reference below which nothing is judged by them: two weeks.
const FEWEST: usize = 14;
/// Days of the reference that are kept: the first ones that it is given.
const MOST: usize = 512;
/// Blocks that are compared together: the latest so many. Two and more of them are whole weeks,
/// in which each weekday has its part.
pub(super) const SPANS: [usize; 4] = [3, 7, 14, 28];
/// Blocks that are kept: the longest span.
pub(super) const KEPT: usize = SPANS[SPANS.len() - 1];
/// What part of the rows of the reference's median day a block has at least: days with fewer are
/// joined.
const PART: f64 = 0.25;
/// Numbers of days that differ by less than one over this are the same: sums of shares are rounded.
const GRAIN: f64 = 1e9;

/// Rows of a whole day, or of several with few rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    first_day: i64,
    /// Rows by stratum.
    rows: BTreeMap<u32, u64>,
    /// By column.
    counts: Vec<Counts>,
}

impl Block {
    fn add(&mut self, stratum: u32, rows: u64, columns: &[Counts]) {
        *self.rows.entry(stratum).or_default() += rows;
        self.counts.resize(columns.len(), Counts::new());
        self.counts.iter_mut().zip(columns).for_each(|(sum, more)| add(sum, more));
    }

    fn join(&mut self, later: &Self) {
        for (stratum, rows) in &later.rows {
            *self.rows.entry(*stratum).or_default() += rows;
        }
        self.counts.iter_mut().zip(&later.counts).for_each(|(sum, more)| add(sum, more));
    }

    fn rows(&self) -> u64 {
        self.rows.values().sum()
    }

    /// When it began.
    fn from(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.first_day.saturating_mul(DAY))
    }

    /// A column's cells, and the shares of them that the reference has in the strata of these rows;
    /// `None` if either has none.
    fn cells(&self, at: usize, column: &Column) -> Option<(&Counts, Vec<f64>)> {
        let own = self.counts.get(at).filter(|counts| counts.iter().any(|count| *count > 0))?;
        let (mut expected, mut weights) = (vec![0.0; own.len()], 0.0);
        for (stratum, rows) in &self.rows {
            let Some(before) = column.reference.get(stratum) else { continue };
            let n = real(before.iter().sum());
            if n > 0.0 {
                let weight = real(*rows);
                weights += weight;
                let shares = before.iter().map(|count| real(*count) / n);
                expected.iter_mut().zip(shares).for_each(|(sum, share)| *sum += weight * share);
            }
        }
        for share in &mut expected {
            *share /= weights;
        }
        (weights > 0.0).then_some((own, expected))
    }

    /// For each set of a column, how far its share is above what the reference says.
    fn apart(&self, at: usize, column: &Column) -> Option<Vec<i64>> {
        let (own, expected) = self.cells(at, column)?;
        let all = real(own.iter().sum());
        let (mut sum, mut sums) = (0.0, vec![0.0]);
        for (count, share) in own.iter().zip(expected) {
            sum += real(*count) / all - share;
            sums.push(sum);
        }
        #[expect(clippy::cast_possible_truncation, reason = "shares lie between -1 and 1")]
        let grains =
            |set: &Set| ((sums[set.cells().end] - sums[set.cells().start]) * GRAIN).round() as i64;
        Some(column.sets.iter().map(grains).collect())
    }
}

/// Days that have not ended, or those of a reference.
#[derive(Clone, Debug, Default)]
pub(super) struct Days(BTreeMap<i64, Block>);

impl Days {
    pub(super) fn add(&mut self, day: i64, stratum: u32, rows: u64, columns: &[Counts]) {
        let fresh = || Block { first_day: day, ..Block::default() };
        self.0.entry(day).or_insert_with(fresh).add(stratum, rows, columns);
    }

    /// Adds rows of a reference, of which so many days are kept.
    pub(super) fn add_reference(&mut self, day: i64, stratum: u32, rows: &Profile) {
        let room = self.0.len() < MOST || self.0.contains_key(&day);
        if room && rows.rows() > 0 {
            let columns: Vec<Counts> = rows.columns().map(|column| coarse(&column)).collect();
            self.add(day, stratum, rows.rows(), &columns);
        }
    }

    /// Takes the days before this one.
    pub(super) fn end_before(&mut self, day: i64) -> Vec<Block> {
        let rest = self.0.split_off(&day);
        std::mem::replace(&mut self.0, rest).into_values().collect()
    }

    /// As blocks of so many rows at least.
    fn joined(&self, least: u64) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for day in self.0.values() {
            match blocks.last_mut().filter(|block| block.rows() < least) {
                Some(block) => block.join(day),
                None => blocks.push(day.clone()),
            }
        }
        blocks
    }

    fn median_rows(&self) -> f64 {
        let mut rows: Vec<u64> = self.0.values().map(Block::rows).collect();
        rows.sort_unstable();
        rows.get(rows.len() / 2).map_or(0.0, |rows| real(*rows))
    }
}

/// The reference's blocks, and the stream's.
#[derive(Debug)]
pub(super) struct Blocks {
    reference: Vec<Block>,
    laws: OnceLock<Laws>,
    /// For each column whether the rows of a reference's day depend on one another.
    dependent: Vec<bool>,
    /// Rows of a block of the stream at least.
    least: u64,
    /// Days with too few rows so far.
    pending: Option<Block>,
    ended: VecDeque<Block>,
    /// Blocks that ever ended.
    pub(super) count: u64,
}

impl Blocks {
    /// `None` where columns are judged by rows whatever they are like; where the reference comes
    /// without days, or with too few, that is so too, or `InvalidInput` if days were asked for.
    pub(super) fn new(columns: &[Column], config: &MonitorConfig) -> Result<Option<Self>> {
        let days = config.strata.as_ref().map(Strata::days).filter(|_| config.unit != Unit::Rows);
        let blocks =
            days.map(|days| (days.median_rows(), days.joined(quarter(days.median_rows()))));
        let enough = blocks.filter(|(_, blocks)| blocks.len() >= FEWEST);
        let Some((median, reference)) = enough else {
            return match config.unit {
                Unit::Days => Err(Error::invalid(format!(
                    "to be judged by days takes strata of a reference of {FEWEST} days at least, \
                     read with their times"
                ))),
                _ => Ok(None),
            };
        };
        let dependent = |(at, column)| {
            config.unit == Unit::Days || dependence::is_there(at, column, &reference)
        };
        Ok(Some(Self {
            dependent: columns.iter().enumerate().map(dependent).collect(),
            laws: OnceLock::new(),
            least: quarter(median * config.sampling),
            reference,
            pending: None,
            ended: VecDeque::with_capacity(KEPT),
            count: 0,
        }))
    }

    /// Whether a column is judged by blocks from the start.
    pub(super) fn are_needed(&self, at: usize) -> bool {
        self.dependent.get(at) == Some(&true)
    }

    /// Takes a day that has ended; whether a block has.
    pub(super) fn take(&mut self, day: Block) -> bool {
        let block = match self.pending.take() {
            None => day,
            Some(mut before) => {
                before.join(&day);
                before
            }
        };
        if block.rows() < self.least {
            self.pending = Some(block);
            return false;
        }
        if self.ended.len() == KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back(block);
        self.count += 1;
        true
    }

    /// A column's numbers: those of the latest blocks, since the one of this number.
    pub(super) fn numbers(&self, at: usize, column: &Column, fresh: u64) -> Numbers {
        let there = usize::try_from(self.count - fresh).unwrap_or(usize::MAX);
        let latest = self.ended.iter().rev().take(there);
        Numbers {
            before: self.reference.iter().filter_map(|block| block.apart(at, column)).collect(),
            latest: latest.map_while(|block| block.apart(at, column)).collect(),
        }
    }

    /// For each set of a column the least probability over the spans, not corrected, if all blocks
    /// are exchangeable with the reference's.
    pub(super) fn probabilities(&self, numbers: &Numbers, sets: usize) -> Vec<f64> {
        let mut least = vec![1.0_f64; sets];
        if numbers.latest.len() < SPANS[0] {
            return least;
        }
        let laws = self.laws.get_or_init(|| Laws::new(self.reference.len(), &SPANS));
        for (set, least) in least.iter_mut().enumerate() {
            let mut before: Vec<i64> = numbers.before.iter().map(|block| block[set]).collect();
            before.sort_unstable();
            let (mut more, mut less) = (0, 0);
            for (block, span) in numbers.latest.iter().zip(1..) {
                more += before.partition_point(|other| *other < block[set]);
                less += before.len() - before.partition_point(|other| *other <= block[set]);
                *least = least.min(laws.probability(before.len(), span, more.max(less)));
            }
        }
        least
    }

    /// When the latest so many blocks began, and their rows.
    pub(super) fn since(&self, blocks: usize) -> (Timestamp, u64) {
        let latest = || self.ended.iter().rev().take(blocks);
        let from = latest().next_back().map_or_else(Timestamp::default, Block::from);
        (from, latest().map(Block::rows).sum())
    }

    /// A column's cells over the latest so many blocks: the shares that the reference has at the
    /// same times, and those of these rows.
    pub(super) fn shares(&self, at: usize, column: &Column, blocks: usize) -> Vec<(f64, f64)> {
        let (mut rows, mut shares) = (0.0, vec![(0.0, 0.0); column.cells.len()]);
        let latest = self.ended.iter().rev().take(blocks);
        for (own, expected) in latest.filter_map(|block| block.cells(at, column)) {
            let all = real(own.iter().sum());
            rows += all;
            for ((sum, count), share) in shares.iter_mut().zip(own).zip(expected) {
                *sum = (sum.0 + share * all, sum.1 + real(*count));
            }
        }
        shares.into_iter().map(|(before, now)| (before / rows, now / rows)).collect()
    }

    /// How many times the weeks of the reference vary as much as exchangeable days would let them,
    /// with its probability; `None` of fewer than four weeks.
    pub(super) fn weeks(&self, at: usize, column: &Column) -> Option<(f64, f64)> {
        let half = column.sets.iter().position(|set| Some(*set) == column.half)?;
        let days = self.reference.iter().filter_map(|block| Some(block.apart(at, column)?[half]));
        dependence::of_weeks(&days.collect::<Vec<_>>())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rows of a day")]
fn quarter(rows: f64) -> u64 {
    (rows * PART).ceil().max(1.0) as u64
}
