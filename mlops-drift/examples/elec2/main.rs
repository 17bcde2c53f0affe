//! What autocorrelation does to a promise about false alarms, on the electricity market of New South Wales (Elec2), and
//! how strata keep it that take days for what is judged, not rows.
//!
//! Usage: `zcat elec2.csv.gz | elec2 REPETITIONS`. Half-hours in time order, 48 a day, are read from the standard input;
//! a Markdown table is printed, which `scripts/simulate_elec2` keeps in `mlops-drift/simulations`. The data is not ours
//! to give away: see `shared/data/README.md` of the project's house.
//!
//! Null streams are made of the data by shuffling whole days: nothing then changes from day to day, while every day keeps
//! its course and its rows depend on one another as they do. The first half of the shuffled days is the reference.

#![allow(clippy::print_stdout, reason = "an example speaks to who runs it")]

mod watch;

use mlops_core::{Error, Result};
use mlops_drift::sequential::{ConformalConfig, ConformalTest};
use std::{collections::BTreeMap, env, io};

/// Half-hours of a day.
const DAY: usize = 48;
/// Cells, on quantiles of all days together, which no shuffle changes.
const CELLS: usize = 32;
const COLUMNS: [&str; 5] = ["nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"];
/// Of the first year Victoria's market gave no prices: its columns are constant.
const FIRST_DAY: usize = 365;

fn main() -> Result<()> {
    let repetitions = env::args().nth(1).and_then(|text| text.parse().ok());
    let repetitions: u64 = repetitions.ok_or_else(|| Error::invalid("usage: elec2 REPETITIONS"))?;
    let values = read()?;
    let columns: Vec<_> = values.iter().map(|values| cells(values)).collect();
    println!(
        "| column | as it was, unstratified | as it was, 48 strata | shuffled days, unstratified | shuffled days, 48 strata | \
         shuffled days, 48 strata, one half-hour a day | half-hours shuffled within their stratum, 48 strata | as it was, one bet a \
         day | shuffled days, one bet a day |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, days) in COLUMNS.iter().zip(&columns) {
        let in_order: Vec<usize> = (0..days.len()).collect();
        let once = |way: Way| -> Result<String> {
            let test = run(days, &in_order, way)?;
            Ok(if test.rejects() {
                format!("rejects, 10^{:.0}", test.evidence().ln_value() / 10_f64.ln())
            } else {
                "stands".to_owned()
            })
        };
        let share = |way: Way| -> Result<String> {
            let mut rejected = 0_u32;
            for repetition in 0..repetitions {
                let mut random = Random(repetition + 1);
                let mut shuffled = in_order.clone();
                random.shuffle(&mut shuffled);
                rejected +=
                    u32::from(run(days, &shuffled, Way { seed: repetition, ..way })?.rejects());
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let share = f64::from(rejected) / repetitions as f64;
            Ok(format!("{share:.3}"))
        };
        let plain = Way::default();
        let strata = Way { stratified: true, ..plain };
        let means = Way { rows: Rows::Means, ..plain };
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            once(plain)?,
            once(strata)?,
            share(plain)?,
            share(strata)?,
            share(Way { rows: Rows::OneADay, ..strata })?,
            share(Way { rows: Rows::Apart, ..strata })?,
            once(means)?,
            share(means)?,
        );
    }
    watch::report(&values, repetitions)
}

/// What the rows of a stream of days are.
#[derive(Clone, Copy, Default, PartialEq)]
enum Rows {
    #[default]
    All,
    /// One a day, the half-hours in turn.
    OneADay,
    /// Each half-hour's days are shuffled by themselves, so that a day's rows have nothing to do with one another.
    Apart,
    /// The means of days.
    Means,
}

/// How days are made a stream.
#[derive(Clone, Copy, Default)]
struct Way {
    /// A reference for each half-hour of the day.
    stratified: bool,
    rows: Rows,
    seed: u64,
}

/// The first half of the days as reference, the rest row by row, or day by day.
fn run(days: &[[usize; DAY]], order: &[usize], way: Way) -> Result<ConformalTest> {
    if way.rows == Rows::Means {
        return run_by_days(days, order, way.seed);
    }
    let (reference, stream) = order.split_at(order.len() / 2);
    let orders: Vec<Vec<usize>> = (0..DAY as u64)
        .map(|at| {
            let mut own = order.to_vec();
            if way.rows == Rows::Apart {
                Random(way.seed * DAY as u64 + at + 1).shuffle(&mut own);
            }
            own
        })
        .collect();
    let stratum = |at: usize| if way.stratified { u32::try_from(at).unwrap_or(0) } else { 0 };
    let mut counts: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for row in 0..reference.len() {
        for (at, order) in orders.iter().enumerate() {
            counts.entry(stratum(at)).or_insert_with(|| vec![0; CELLS])[days[order[row]][at]] += 1;
        }
    }
    let config = ConformalConfig::default().with_seed(way.seed);
    let references = counts.iter().map(|(stratum, counts)| (*stratum, counts.as_slice()));
    let mut test = ConformalTest::open_stratified(config, references)?;
    for row in 0..stream.len() {
        for (at, order) in orders.iter().enumerate() {
            if way.rows != Rows::OneADay || at == row % DAY {
                test.update_in(stratum(at), days[order[reference.len() + row]][at])?;
            }
        }
    }
    Ok(test)
}

/// The mean of a day in cells on quantiles of all days' means, which no shuffle changes.
fn run_by_days(days: &[[usize; DAY]], order: &[usize], seed: u64) -> Result<ConformalTest> {
    let sums: Vec<usize> = days.iter().map(|day| day.iter().sum()).collect();
    let mut sorted = sums.clone();
    sorted.sort_unstable();
    let cuts: Vec<usize> = (1..CELLS).map(|cell| sorted[cell * sorted.len() / CELLS]).collect();
    let cell = |day: &usize| cuts.partition_point(|cut| *cut < sums[*day]);
    let (reference, stream) = order.split_at(order.len() / 2);
    let mut counts = vec![0; CELLS];
    for day in reference {
        counts[cell(day)] += 1;
    }
    let mut test = ConformalTest::open(ConformalConfig::default().with_seed(seed), &counts)?;
    stream.iter().try_for_each(|day| test.update(cell(day)))?;
    Ok(test)
}

/// For each column its values, from the first day on that is taken.
fn read() -> Result<Vec<Vec<f64>>> {
    let mut lines = io::stdin().lines();
    let wrong = |line: &str| Error::invalid(format!("{line:?} is no line of Elec2"));
    let mut next =
        || lines.next().transpose().map_err(|source| Error::io("the standard input", source));
    let header = next()?.unwrap_or_default();
    let names: Vec<&str> = header.split(',').collect();
    let places = COLUMNS.iter().map(|name| names.iter().position(|own| own == name));
    let places: Vec<usize> = places.collect::<Option<_>>().ok_or_else(|| wrong(&header))?;
    let mut columns = vec![Vec::new(); COLUMNS.len()];
    while let Some(line) = next()? {
        let fields: Vec<&str> = line.split(',').collect();
        for (column, place) in columns.iter_mut().zip(&places) {
            let value: Option<f64> = fields.get(*place).and_then(|text| text.parse().ok());
            column.push(value.ok_or_else(|| wrong(&line))?);
        }
    }
    let taken = |values: Vec<f64>| values.get(FIRST_DAY * DAY..).unwrap_or_default().to_vec();
    Ok(columns.into_iter().map(taken).collect())
}

/// The cell of each half-hour of each day.
fn cells(values: &[f64]) -> Vec<[usize; DAY]> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..CELLS).map(|cell| sorted[cell * sorted.len() / CELLS]).collect();
    cuts.dedup();
    let cell = |value: &f64| cuts.partition_point(|cut| cut < value);
    let (days, _) = values.as_chunks::<DAY>();
    days.iter().map(|day| std::array::from_fn(|at| cell(&day[at]))).collect()
}

/// Splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }
}
