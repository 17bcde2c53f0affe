//! The monitor over the same days.

use super::{COLUMNS, DAY, Random};
use mlops_core::{
    Clock, Error, Result, Timestamp,
    arrow::array::{ArrayRef, Float64Array, RecordBatch},
    testing::ManualClock,
};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileOptions,
    monitor::{AlarmCause, Season, Strata, Unit},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Rows of an hour.
const HOUR: usize = 2;

/// What a monitor is told.
#[derive(Clone, Copy)]
enum Told {
    Nothing,
    /// The hours, and to judge each row for itself.
    HoursOfRows,
    /// The hours; it sees for itself what days are like.
    Hours,
}

const TOLD: [(&str, Told); 3] = [
    ("without strata", Told::Nothing),
    ("by hour of the day, rows alone", Told::HoursOfRows),
    ("by hour of the day", Told::Hours),
];

/// What a monitor said of a stream.
#[derive(Default)]
struct Said {
    moved: u32,
    unsteady: u32,
    /// Columns judged by days at the end.
    by_days: usize,
    /// The days after which each column was first said to have moved.
    first: BTreeMap<String, i64>,
}

/// What becomes of a stream: after so many days each column is so many of its deviations higher.
#[derive(Clone, Copy)]
struct Moved {
    after: usize,
    by: f64,
}

const NOT_MOVED: Moved = Moved { after: 0, by: 0.0 };

/// Monitors over the days as they were and shuffled, with and without a change in the middle.
pub(crate) fn report(columns: &[Vec<f64>], repetitions: u64) -> Result<()> {
    let order: Vec<usize> = (0..columns.first().map_or(0, Vec::len) / DAY).collect();
    let watched = order.len() - order.len() / 2;
    println!(
        "\n| monitor, all columns | as it was: alarms of columns that moved, of its own promise | columns found, after so many days \
         | shuffled days: columns judged by days | alarms of columns that moved | a year (promised: 1) | within | share of these \
         streams in which it said that its promise does not hold |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, told) in TOLD {
        let once = watch(columns, &order, told, NOT_MOVED)?;
        let (mut moved, mut warned, mut by_days) = (0, 0_u32, BTreeSet::new());
        for repetition in 0..repetitions {
            let said = watch(columns, &shuffled(&order, repetition), told, NOT_MOVED)?;
            moved += said.moved;
            warned += u32::from(said.unsteady > 0);
            by_days.insert(said.by_days);
        }
        let years = real(watched) * real(repetitions) / 365.25;
        // What is promised, and three deviations of Poisson's law.
        let within = f64::from(moved) <= years + 3.0 * years.sqrt();
        let first: Vec<String> =
            once.first.iter().map(|(name, days)| format!("{name} {days}")).collect();
        println!(
            "| {name} | {}, {} | {} | {} | {moved} in {years:.1} years | {:.2} | {} | {:.2} |",
            once.moved,
            once.unsteady,
            first.join(", "),
            by_days.iter().map(usize::to_string).collect::<Vec<_>>().join(" or "),
            f64::from(moved) / years,
            if within { "yes" } else { "**no**" },
            f64::from(warned) / real(repetitions),
        );
    }
    delays(columns, &order, repetitions)
}

/// Days until a change is found that comes into shuffled days.
fn delays(columns: &[Vec<f64>], order: &[usize], repetitions: u64) -> Result<()> {
    println!(
        "\n| shuffled days, all columns higher from the 101st on by | monitor | columns found within 60 days | median days | \
         columns that had an alarm before |"
    );
    println!("|---|---|---|---|---|");
    for by in [0.25, 0.5, 1.0, 2.0] {
        for (name, told) in TOLD {
            let (mut days, mut before, mut all) = (Vec::new(), 0_u32, 0_u32);
            for repetition in 0..repetitions {
                let moved = Moved { after: 100, by };
                let said = watch(columns, &shuffled(order, repetition), told, moved)?;
                for column in COLUMNS {
                    match said.first.get(column) {
                        Some(day) if *day <= 100 => before += 1,
                        found => {
                            all += 1;
                            days.push(found.map_or(i64::MAX, |day| *day - 100));
                        }
                    }
                }
            }
            days.sort_unstable();
            let found = days.iter().filter(|day| **day <= 60).count();
            let median = days.get(days.len() / 2).filter(|day| **day < i64::MAX);
            let median = median.map_or_else(|| "—".to_owned(), i64::to_string);
            println!("| {by} sd | {name} | {found} of {all} | {median} | {before} |");
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn real<N: TryInto<u64>>(count: N) -> f64 {
    count.try_into().unwrap_or(0) as f64
}

fn shuffled(order: &[usize], repetition: u64) -> Vec<usize> {
    let mut shuffled = order.to_vec();
    Random(repetition + 1).shuffle(&mut shuffled);
    shuffled
}

/// The first half of the days as reference, the rest hour by hour.
fn watch(columns: &[Vec<f64>], order: &[usize], told: Told, moved: Moved) -> Result<Said> {
    let (reference, stream) = order.split_at(order.len() / 2);
    let spreads: Vec<f64> = columns.iter().map(|values| spread(values)).collect();
    let all = reference.iter().map(|day| batch(columns, *day, (0, DAY), &[]));
    let all = Profile::fit(&all.collect::<Result<Vec<_>>>()?, &ProfileOptions::default())?;
    let clock = Arc::new(ManualClock::default());
    let mut config = MonitorConfig::default().with_clock(clock.clone());
    if !matches!(told, Told::Nothing) {
        config = config.with_strata(strata(columns, reference, &all)?);
    }
    if matches!(told, Told::HoursOfRows) {
        config = config.with_unit(Unit::Rows);
    }
    let monitor = Monitor::new(all, config)?;
    let (mut alarms, start) = (monitor.alarms(), clock.now());
    for (number, day) in stream.iter().enumerate() {
        let by = if number >= moved.after { moved.by } else { 0.0 };
        let shifts: Vec<f64> = spreads.iter().map(|spread| by * spread).collect();
        for hour in 0..DAY / HOUR {
            monitor.update(&batch(columns, *day, (HOUR * hour, HOUR), &shifts)?)?;
            clock.advance(Duration::from_hours(1));
        }
    }
    let mut said = Said { by_days: monitor.status().by_days.len(), ..Said::default() };
    while let Some(alarm) = alarms.try_next() {
        if alarm.cause() == AlarmCause::Unsteady {
            said.unsteady += 1;
        } else {
            said.moved += 1;
            let hours = alarm.at().since(start).as_secs() / 3600;
            let days = i64::try_from(hours.div_ceil(24)).unwrap_or(i64::MAX);
            said.first.entry(alarm.column().to_string()).or_insert(days);
        }
    }
    Ok(said)
}

/// The reference by hour, each row at its time.
fn strata(columns: &[Vec<f64>], reference: &[usize], all: &Profile) -> Result<Strata> {
    let mut strata = Strata::new(all, Season::HourOfDay);
    let mut at = Timestamp::from_unix_millis(0);
    for day in reference {
        for hour in 0..DAY / HOUR {
            strata.update(&batch(columns, *day, (HOUR * hour, HOUR), &[])?, at)?;
            at = at.plus(Duration::from_hours(1));
        }
    }
    Ok(strata)
}

fn spread(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / real(values.len());
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / real(values.len())).sqrt()
}

/// Rows of a day, so many from the first on, each column higher by so much.
fn batch(
    columns: &[Vec<f64>],
    day: usize,
    (first, rows): (usize, usize),
    shifts: &[f64],
) -> Result<RecordBatch> {
    let of = |(at, values): (usize, &Vec<f64>)| -> ArrayRef {
        let first = day * DAY + first;
        let shift = shifts.get(at).copied().unwrap_or(0.0);
        let values = values[first..first + rows].iter().map(|value| value + shift);
        Arc::new(values.collect::<Float64Array>())
    };
    RecordBatch::try_from_iter(COLUMNS.iter().copied().zip(columns.iter().enumerate().map(of)))
        .map_err(|error| Error::invalid(error.to_string()))
}
