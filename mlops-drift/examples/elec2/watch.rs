//! The monitor over the same days.

use super::{COLUMNS, DAY, Random};
use mlops_core::{
    Error, Result, Timestamp,
    arrow::array::{ArrayRef, Float64Array, RecordBatch},
    testing::ManualClock,
};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileOptions,
    monitor::{AlarmCause, Season, Strata},
};
use std::{sync::Arc, time::Duration};

/// Rows of an hour.
const HOUR: usize = 2;

/// What a monitor said of a stream.
#[derive(Default)]
struct Said {
    moved: u32,
    unsteady: u32,
}

/// A default monitor without strata and with one reference for each hour, over the days as they were and shuffled.
pub(crate) fn report(columns: &[Vec<f64>], repetitions: u64) -> Result<()> {
    let days = columns.first().map_or(0, Vec::len) / DAY;
    println!(
        "\n| monitor, all columns | as it was: alarms of columns that moved, of unsteady columns | shuffled days: alarms of \
         columns that moved a year (promised: 1) | share of these streams in which it said that its promise does not hold |"
    );
    println!("|---|---|---|---|");
    for (name, stratified) in [("without strata", false), ("by hour of the day", true)] {
        let order: Vec<usize> = (0..days).collect();
        let once = watch(columns, &order, stratified)?;
        let (mut moved, mut warned) = (0, 0_u32);
        for repetition in 0..repetitions {
            let mut shuffled = order.clone();
            Random(repetition + 1).shuffle(&mut shuffled);
            let said = watch(columns, &shuffled, stratified)?;
            moved += said.moved;
            warned += u32::from(said.unsteady > 0);
        }
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let (years, streams) =
            ((days - days / 2) as f64 * repetitions as f64 / 365.0, repetitions as f64);
        let (moved, warned) = (f64::from(moved) / years, f64::from(warned) / streams);
        println!("| {name} | {}, {} | {moved:.2} | {warned:.2} |", once.moved, once.unsteady);
    }
    Ok(())
}

/// The first half of the days as reference, the rest hour by hour.
fn watch(columns: &[Vec<f64>], order: &[usize], stratified: bool) -> Result<Said> {
    let (reference, stream) = order.split_at(order.len() / 2);
    let start = ManualClock::default();
    let all = reference.iter().map(|day| batch(columns, *day, 0, DAY));
    let all = Profile::fit(&all.collect::<Result<Vec<_>>>()?, &ProfileOptions::default())?;
    let clock = Arc::new(start);
    let mut config = MonitorConfig::default().with_clock(clock.clone());
    if stratified {
        let mut strata = Strata::new(&all, Season::HourOfDay);
        // Two rows an hour.
        let time = |row: i64| Timestamp::from_unix_millis(1_800_000 * row);
        let times: Vec<Timestamp> = (0..).take(DAY).map(time).collect();
        for day in reference {
            strata.update_each(&batch(columns, *day, 0, DAY)?, &times)?;
        }
        config = config.with_strata(strata);
    }
    let monitor = Monitor::new(all, config)?;
    let mut alarms = monitor.alarms();
    for day in stream {
        for hour in 0..DAY / HOUR {
            monitor.update(&batch(columns, *day, HOUR * hour, HOUR)?)?;
            clock.advance(Duration::from_hours(1));
        }
    }
    let mut said = Said::default();
    while let Some(alarm) = alarms.try_next() {
        if alarm.cause() == AlarmCause::Unsteady {
            said.unsteady += 1;
        } else {
            said.moved += 1;
        }
    }
    Ok(said)
}

/// Rows of a day.
fn batch(columns: &[Vec<f64>], day: usize, first: usize, rows: usize) -> Result<RecordBatch> {
    let of = |values: &Vec<f64>| -> ArrayRef {
        let first = day * DAY + first;
        Arc::new(Float64Array::from(values[first..first + rows].to_vec()))
    };
    RecordBatch::try_from_iter(COLUMNS.iter().copied().zip(columns.iter().map(of)))
        .map_err(|error| Error::invalid(error.to_string()))
}
