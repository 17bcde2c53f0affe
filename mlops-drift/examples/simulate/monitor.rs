//! Weeks in which nothing changes, watched by a monitor as it comes: how many alarms it raises.

use crate::{
    null::repeated,
    random::{Random, batch, floats, texts},
};
use mlops_core::{Clock, Result, Timestamp, arrow::array::RecordBatch};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileOptions,
    monitor::{AlarmCause, Season, Strata},
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const HOUR: Duration = Duration::from_hours(1);
const WEEK: u32 = 168;
/// Promised in the tables: one false alarm a week.
const A_YEAR: f64 = 365.25 / 7.0;

/// Rows that come hour by hour, and what the monitor is told of their season.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    rows: fn(&mut Source, u32) -> RecordBatch,
    reference: u32,
    told: Told,
    /// Whether the promise covers it.
    pub(crate) promised: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Told {
    Nothing,
    Strata(Season),
    WholeDays,
}

/// Random numbers, the hour, and a value that drags on.
struct Source {
    random: Random,
    hour: Timestamp,
    level: f64,
}

/// Five kinds of nothing that are covered, and two that the monitor has to notice.
pub(crate) const PROCESSES: [Process; 8] = [
    Process::new("independent: normal, Cauchy, rounded, 5% missing", numbers, Told::Nothing),
    Process {
        reference: 300,
        ..Process::new("the same, a reference of 300 rows", numbers, Told::Nothing)
    },
    Process::new("independent: 3, 20 and 200 levels, 1/rank", categories, Told::Nothing),
    Process::new("days, strata by hour", days, Told::Strata(Season::HourOfDay)),
    Process::new("weekends, strata by weekday", weekends, Told::Strata(Season::Weekday)),
    Process::new("days, windows of a day", days, Told::WholeDays),
    Process { promised: false, ..Process::new("days, not told", days, Told::Nothing) },
    Process {
        promised: false,
        ..Process::new("rows that follow the one before", dragging, Told::Nothing)
    },
];

impl Process {
    const fn new(
        name: &'static str,
        rows: fn(&mut Source, u32) -> RecordBatch,
        told: Told,
    ) -> Self {
        Self { name, rows, reference: 5_000, told, promised: true }
    }
}

fn numbers(source: &mut Source, rows: u32) -> RecordBatch {
    let random = &mut source.random;
    let mut column = |value: fn(&mut Random) -> Option<f64>| {
        floats((0..rows).map(|_| value(random)).collect::<Vec<_>>())
    };
    let normal = column(|random| Some(random.normal()));
    let cauchy = column(|random| Some((std::f64::consts::PI * (random.unit() - 0.5)).tan()));
    let rounded = column(|random| Some((2.0 * random.normal()).round()));
    let gaps = column(|random| (random.unit() > 0.05).then(|| random.unit()));
    batch(vec![("normal", normal), ("cauchy", cauchy), ("rounded", rounded), ("gaps", gaps)])
}

fn categories(source: &mut Source, rows: u32) -> RecordBatch {
    let column = |random: &mut Random, levels: f64| {
        // A rank whose share falls with it.
        let level = |random: &mut Random| levels.powf(random.unit()).floor();
        texts((0..rows).map(|_| Some(format!("level {}", level(random)))).collect::<Vec<_>>())
    };
    let random = &mut source.random;
    batch(vec![
        ("3", column(random, 3.99)),
        ("20", column(random, 20.99)),
        ("200", column(random, 200.99)),
    ])
}

/// Columns of normal values, moved by so much.
fn moved(source: &mut Source, rows: u32, by: f64) -> RecordBatch {
    let mut column =
        |by: f64| floats((0..rows).map(|_| Some(source.random.normal() + by)).collect::<Vec<_>>());
    batch(vec![("steady", column(0.0)), ("seasonal", column(by))])
}

fn days(source: &mut Source, rows: u32) -> RecordBatch {
    let hour = f64::from(Season::HourOfDay.stratum(source.hour));
    moved(source, rows, (hour / 24.0 * std::f64::consts::TAU).sin())
}

fn weekends(source: &mut Source, rows: u32) -> RecordBatch {
    let weekend = Season::Weekday.stratum(source.hour) >= 5;
    moved(source, rows, if weekend { 0.7 } else { 0.0 })
}

fn dragging(source: &mut Source, rows: u32) -> RecordBatch {
    let mut next = || {
        source.level =
            0.95 * source.level + (1.0 - 0.95_f64 * 0.95).sqrt() * source.random.normal();
        Some(source.level)
    };
    batch(vec![("dragging", floats((0..rows).map(|_| next()).collect::<Vec<_>>()))])
}

/// A clock that the simulation moves.
#[derive(Debug)]
struct Hours(Mutex<Timestamp>, Instant);

impl Clock for Hours {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn instant(&self) -> Instant {
        self.1
    }
}

/// Alarms of drift, and whether it was noticed that nothing can be promised.
#[derive(Clone, Copy, Default)]
pub(crate) struct Said {
    pub(crate) alarms: u32,
    pub(crate) unsteady: bool,
}

/// So many hours of 200 rows each, beside a reference of four weeks where it is to have seasons.
pub(crate) fn watch(
    process: &Process,
    seed: u64,
    hours: u32,
    config: MonitorConfig,
) -> Result<Said> {
    let start = Timestamp::from_unix_millis(1_514_764_800_000);
    let mut source = Source { random: Random::new(seed), hour: start, level: 0.0 };
    let clock = Arc::new(Hours(Mutex::new(start), Instant::now()));
    let (reference, strata) = reference(process, &mut source)?;
    source.hour = start;
    let mut config = config.with_clock(clock.clone());
    config.strata = strata;
    if process.told == Told::WholeDays {
        config = config.with_window_rows(u64::MAX).with_window_time(HOUR * 24);
    }
    let monitor = Monitor::new(reference, config)?;
    let mut alarms = monitor.alarms();
    for _ in 0..hours {
        monitor.update(&(process.rows)(&mut source, 200))?;
        // The hour's rows are judged before the next one's come.
        source.hour = source.hour.plus(HOUR);
        *clock.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = source.hour;
        monitor.look()?;
    }
    let mut said = Said::default();
    while let Some(alarm) = alarms.try_next() {
        match alarm.cause() {
            AlarmCause::Unsteady => said.unsteady = true,
            _ => said.alarms += 1,
        }
    }
    Ok(said)
}

fn reference(process: &Process, source: &mut Source) -> Result<(Profile, Option<Strata>)> {
    // Rows at random hours of four weeks would do as well; here each hour has as many.
    let hours = 4 * WEEK;
    let parts = if process.reference < hours { 1 } else { hours };
    let rows: Vec<(Timestamp, RecordBatch)> = (0..parts)
        .map(|_| {
            let at = source.hour;
            let rows = (process.rows)(source, (process.reference / parts).max(1));
            source.hour = source.hour.plus(HOUR);
            (at, rows)
        })
        .collect();
    let batches: Vec<RecordBatch> = rows.iter().map(|(_, rows)| rows.clone()).collect();
    let profile = Profile::fit(&batches, &ProfileOptions::default())?;
    let Told::Strata(season) = process.told else { return Ok((profile, None)) };
    let mut strata = Strata::new(&profile, season);
    for (at, rows) in &rows {
        strata.update(rows, *at)?;
    }
    Ok((profile, Some(strata)))
}

/// The table: a week each, with the margins as they come and with none.
pub(crate) fn every(repetitions: u32, part: &str, print: &mut dyn FnMut(&str)) -> Result<()> {
    print(
        "| rows | margin | weeks | false alarms a week (promised: at most 1) | weeks with any | noticed to be unsteady | within |",
    );
    print("|---|---|---|---|---|---|---|");
    for process in PROCESSES.iter().filter(|process| process.name.contains(part)) {
        for (margin, config) in configs() {
            let (mut alarms, mut any, mut unsteady) = (0, 0, 0);
            let week = |at: u32| watch(process, at.into(), WEEK, config.clone());
            for said in repeated(repetitions, week)? {
                alarms += said.alarms;
                any += u32::from(said.alarms > 0);
                unsteady += u32::from(said.unsteady);
            }
            let share = |count: u32| f64::from(count) / f64::from(repetitions);
            let within = match (process.promised, share(alarms) <= 1.0) {
                (true, true) => "yes",
                (true, false) => "**no**",
                (false, _) => "not promised",
            };
            print(&format!(
                "| {} | {margin} | {repetitions} | {:.4} | {:.4} | {:.4} | {within} |",
                process.name,
                share(alarms),
                share(any),
                share(unsteady),
            ));
        }
    }
    Ok(())
}

fn configs() -> [(&'static str, MonitorConfig); 2] {
    let config = MonitorConfig::default().with_false_alarms_per_year(A_YEAR);
    [("default", config.clone()), ("none", config.with_margin(0.0).with_unusual_margin(0.0))]
}
