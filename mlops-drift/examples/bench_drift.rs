//! Our side of `scripts/bench drift`, on one thread.
//!
//! Usage: `bench_drift REFERENCE.f64 WINDOW.f64 COLUMNS ANSWERS.json`. Reads both sides (little-endian float64,
//! column after column, as many columns as said), makes the reference's profile, writes what it says of the window,
//! column by column, then waits for lines `WHAT TIMES MILLISECONDS` on its standard input. After each it does that so
//! many times, again and again for so long, which is all that it does then, and says how often. `WHAT` is
//!
//! - `fit`: makes the reference's profile;
//! - `judge`: counts the window in the reference's cells, then Kolmogorov–Smirnov, Wasserstein, the population stability
//!   index and Jensen–Shannon of each column;
//! - `exact`: the same, and a second pass over the rows of both sides, so that the first two are exact;
//! - `read`: adds up the window's values;
//! - `request`: counts a row of the window, as the path of a request does.

#![allow(clippy::print_stdout, reason = "an example speaks to who runs it")]

use mlops_core::{
    Error, Result,
    arrow::array::{ArrayRef, Float64Array, RecordBatch, cast::AsArray, types::Float64Type},
};
use mlops_drift::{
    Profile, ProfileOptions,
    profile::{ColumnProfile, ProfileShard},
    tests::{
        cells::{Certified, Distance, Divergence, Line, LinePair, jensen_shannon},
        psi,
    },
};
use std::{
    cell::RefCell,
    env, fs,
    hint::black_box,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [reference, window, columns, answers] = arguments.as_slice() else {
        return Err(Error::invalid("usage: bench_drift REFERENCE.f64 WINDOW.f64 COLUMNS ANSWERS"));
    };
    let columns = columns.parse().map_err(|_| Error::invalid("COLUMNS is a number"))?;
    let bench = Bench::new(read(reference, columns)?, read(window, columns)?)?;
    fs::write(answers, bench.answers()?).map_err(|source| Error::io(answers, source))?;
    for line in io::stdin().lines() {
        let line = line.map_err(|source| Error::io("the standard input", source))?;
        let wrong = || Error::invalid(format!("{line:?} is not WHAT TIMES MILLISECONDS"));
        let words: Vec<&str> = line.split(' ').collect();
        let [what, times, milliseconds] = words.as_slice() else { return Err(wrong()) };
        let times: u64 = times.parse().map_err(|_| wrong())?;
        let limit = Duration::from_millis(milliseconds.parse().map_err(|_| wrong())?);
        println!("{}", bench.measure(what, times, limit)?);
    }
    Ok(())
}

/// Columns of numbers from a file.
fn read(path: &str, columns: usize) -> Result<RecordBatch> {
    let bytes = fs::read(path).map_err(|source| Error::io(path, source))?;
    let (values, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || columns == 0 || values.len() % columns != 0 || values.is_empty() {
        return Err(Error::invalid(format!("{path} does not hold {columns} columns of float64")));
    }
    let arrays = values.chunks_exact(values.len() / columns).enumerate().map(|(at, values)| {
        let values = values.iter().map(|bytes| f64::from_le_bytes(*bytes));
        (format!("x{at}"), Arc::new(Float64Array::from_iter_values(values)) as ArrayRef)
    });
    RecordBatch::try_from_iter(arrays).map_err(|error| Error::invalid(error.to_string()))
}

struct Bench {
    rows: [RecordBatch; 2],
    reference: Profile,
    shard: RefCell<ProfileShard>,
    /// The window's first rows, row by row.
    requests: Vec<Vec<f64>>,
}

/// What is said of a column.
struct Answer {
    ks: Certified,
    wasserstein: Certified,
    psi: f64,
    jensen_shannon: Divergence,
}

const REQUESTS: usize = 20_000;

impl Bench {
    fn new(reference: RecordBatch, window: RecordBatch) -> Result<Self> {
        let rows = [reference, window];
        let reference = Profile::fit(&rows[..1], &ProfileOptions::default())?;
        let columns: Vec<_> = (0..rows[1].num_columns()).map(|at| values(&rows[1], at)).collect();
        let row = |row: usize| columns.iter().map(|column| column[row]).collect();
        let requests = (0..rows[1].num_rows().min(REQUESTS)).map(row).collect();
        let shard = RefCell::new(ProfileShard::new(&reference));
        Ok(Self { rows, reference, shard, requests })
    }

    /// How many times this was done so many times within that time.
    fn measure(&self, what: &str, times: u64, limit: Duration) -> Result<u64> {
        let mut requests = self.requests.iter().cycle();
        let (mut shard, began, mut calls) = (self.shard.borrow_mut(), Instant::now(), 0);
        while calls == 0 || began.elapsed() < limit {
            for _ in 0..times {
                match what {
                    "fit" => drop(black_box(Profile::fit(
                        black_box(&self.rows[..1]),
                        &ProfileOptions::default(),
                    )?)),
                    "judge" => drop(black_box(self.judged(black_box(&self.rows[1]), false)?)),
                    "exact" => drop(black_box(self.judged(black_box(&self.rows[1]), true)?)),
                    "read" => (0..self.rows[1].num_columns()).for_each(|at| {
                        black_box(sum(black_box(values(&self.rows[1], at))));
                    }),
                    "request" => {
                        let row = requests.next().map(Vec::as_slice).unwrap_or_default();
                        shard.count_numbers(black_box(row))?;
                    }
                    _ => return Err(Error::invalid(format!("{what:?} is nothing to measure"))),
                }
            }
            calls += 1;
        }
        Ok(calls)
    }

    fn judged(&self, rows: &RecordBatch, again: bool) -> Result<Vec<Answer>> {
        let mut window = Profile::empty_like(&self.reference);
        window.update(rows)?;
        let columns = self.reference.columns().zip(window.columns()).enumerate();
        columns
            .map(|(at, (before, now))| {
                let sides = again.then(|| [0, 1].map(|side| values(&self.rows[side], at)));
                answer(&before, &now, sides)
            })
            .collect()
    }

    fn answers(&self) -> Result<String> {
        let lines = [false, true].map(|again| {
            let judged = self.judged(&self.rows[1], again)?;
            let column = |answer: Answer| {
                let Answer { ks, wasserstein, psi, jensen_shannon } = answer;
                format!(
                    "{{\"ks\": [{:e}, {:e}], \"wasserstein\": [{:e}, {:e}], \"psi\": {psi:e}, \"jensen_shannon\": {:e}}}",
                    ks.low, ks.high, wasserstein.low, wasserstein.high, jensen_shannon.value
                )
            };
            Ok(judged.into_iter().map(column).collect::<Vec<_>>().join(",\n"))
        });
        let [bounds, exact] = lines;
        Ok(format!("{{\"bounds\": [{}],\n\"exact\": [{}]}}\n", bounds?, exact?))
    }
}

/// The four distances of one column; given the rows of both sides, the first two exactly.
fn answer(
    reference: &ColumnProfile<'_>,
    window: &ColumnProfile<'_>,
    sides: Option<[&[f64]; 2]>,
) -> Result<Answer> {
    let none = || Error::invalid("a column without numbers");
    let line = |column: &ColumnProfile<'_>| -> Result<Line> { column.line().ok_or_else(none) };
    let mut pair = LinePair::new(&line(reference)?, &line(window)?)?;
    if let Some([before, now]) = sides {
        let mut again = pair.read_again(&[Distance::Ks, Distance::Wasserstein]);
        again.reference(before);
        again.window(now);
        pair = again.finish()?;
    }
    let (before, now) = (reference.counts(), window.counts());
    Ok(Answer {
        ks: pair.ks().ok_or_else(none)?.statistic,
        wasserstein: pair.wasserstein().ok_or_else(none)?,
        psi: psi(&before, &now)?.ok_or_else(none)?.value,
        jensen_shannon: jensen_shannon(&before, &now)?.ok_or_else(none)?,
    })
}

fn values(rows: &RecordBatch, column: usize) -> &[f64] {
    rows.column(column).as_primitive::<Float64Type>().values()
}

/// Eight sums, so that memory is what is waited for.
fn sum(values: &[f64]) -> f64 {
    let (chunks, _) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum()
}
