//! When rows came: a column of their table, or what the log says.

use super::side::{Rows, inputs};
use crate::{
    Clock, Error, Result, SystemClock, Timestamp,
    arrow::{
        array::{
            Array, ArrayRef, ArrowPrimitiveType, RecordBatch,
            cast::AsArray,
            types::{
                Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType,
                TimestampNanosecondType, TimestampSecondType,
            },
        },
        schema::{DataType, TimeUnit},
    },
    inference_log::columns,
};
use clap::{Args, ValueEnum};
use mlops_drift::{
    Profile,
    monitor::{Season, Strata},
};
use std::{sync::Arc, time::Duration};

/// How far clocks may be apart, and time zones that were taken for UTC.
const DAY: Duration = Duration::from_hours(24);

/// What is known of the times of rows.
#[derive(Debug, Args)]
pub(super) struct Times {
    /// The column that says when a row came: a time, a date, or a text as 2018-01-01T05:00:00Z;
    /// without it the rows of a file came when it was written. A log knows. Hours stand in
    /// their order in a file; a row older than those of the file before counts as of these
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Compares rows with the reference's of their own hour or weekday, which it tells by --time, and
    /// by whole days what depends on the day; hours and days are those of UTC
    #[arg(long, value_enum)]
    season: Option<SeasonName>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SeasonName {
    HourOfDay,
    HourOfWeek,
    Weekday,
}

impl From<SeasonName> for Season {
    fn from(name: SeasonName) -> Self {
        match name {
            SeasonName::HourOfDay => Self::HourOfDay,
            SeasonName::HourOfWeek => Self::HourOfWeek,
            SeasonName::Weekday => Self::Weekday,
        }
    }
}

impl Times {
    /// Whether rows of files have times of their own.
    pub(super) fn are_known(&self) -> bool {
        self.time.is_some()
    }

    /// Whether that is the column of times, and so nothing to compare.
    pub(super) fn are(&self, column: &str) -> bool {
        self.time.as_deref() == Some(column)
    }

    /// Refuses a file before any of its rows is taken: times that are none, or lie ahead, and rows of
    /// an hour behind those of a later one, which would count as of that.
    pub(super) fn check(&self, rows: &Rows) -> Result<()> {
        let Some(time) = self.time.as_deref() else { return Ok(()) };
        let limit = SystemClock.now().plus(DAY);
        let (mut row, mut latest) = (0, i64::MIN);
        self.each(rows, &[], |_, times| {
            let hours = times.iter().copied().map(hour);
            if hours.clone().min().is_some_and(|first| first < latest) {
                let found = "are older than those before them: sort the file by it";
                return Err(Error::invalid(format!("column {time:?}: rows from {row} on {found}")));
            }
            if let Some(ahead) = times.iter().position(|at| *at > limit) {
                let (row, at) = (row + ahead, times[ahead]);
                return Err(Error::invalid(format!("column {time:?}, row {row}: {at} lies ahead")));
            }
            latest = hours.max().unwrap_or(latest).max(latest);
            row += times.len();
            Ok(())
        })
    }

    /// Refuses files without times for what depends on these.
    pub(super) fn check_files(&self) -> Result<()> {
        if self.season.is_none() || self.time.is_some() {
            return Ok(());
        }
        Err(Error::invalid("--season needs --time COLUMN: a file does not say when its rows came"))
    }

    /// Refuses a profile of the times themselves.
    pub(super) fn check_reference(&self, profile: &Profile) -> Result<()> {
        profile.spec().names().find(|name| self.are(name)).map_or(Ok(()), |name| {
            let found = "describes it: make one of the other columns (--columns)";
            Err(Error::invalid(format!("{name:?} says when rows came, and the profile {found}")))
        })
    }

    /// The reference's rows by season, if that is asked for.
    pub(super) fn strata(&self, rows: &Rows, reference: &Profile) -> Result<Option<Strata>> {
        let Some(season) = self.season else { return Ok(None) };
        let names: Vec<Arc<str>> = reference.spec().names().cloned().collect();
        let mut strata = Strata::new(reference, season.into());
        self.each(rows, &names, |rows, times| strata.update_each(rows, times))?;
        Ok(Some(strata))
    }

    /// Refuses a reference that does not say when its rows came, if that is asked for.
    pub(super) fn need_rows(&self) -> Result<()> {
        match self.season {
            Some(_) => Err(Error::unsupported(
                "--season needs the reference's rows: a profile has no times",
            )),
            None => Ok(()),
        }
    }

    /// Passes on all rows, a piece at a time, with the time of each.
    pub(super) fn each(
        &self,
        rows: &Rows,
        names: &[Arc<str>],
        mut each: impl FnMut(&RecordBatch, &[Timestamp]) -> Result<()>,
    ) -> Result<()> {
        if let Rows::Log(log) = rows {
            for segment in log.segments()? {
                for records in segment?.batches {
                    each(&inputs(&records)?, &asked(&records)?)?;
                }
            }
            return Ok(());
        }
        let Some(time) = self.time.as_deref() else {
            return Err(Error::invalid("a file does not say when its rows came: --time COLUMN"));
        };
        let (mut wanted, mut row) = (names.to_vec(), 0);
        wanted.push(time.into());
        rows.each(Some(&wanted), |batch| {
            let missing = || Error::invalid(format!("column {time:?} is missing"));
            let column = batch.column_by_name(time).ok_or_else(missing)?;
            each(batch, &times(time, row, column)?)?;
            row += batch.num_rows();
            Ok(())
        })
    }
}

/// Hours since the epoch.
pub(super) fn hour(at: Timestamp) -> i64 {
    const HOUR_MS: i64 = 3_600_000;
    at.unix_millis().div_euclid(HOUR_MS)
}

/// When each of these records of a log was asked.
pub(super) fn asked(records: &RecordBatch) -> Result<Vec<Timestamp>> {
    let missing = || Error::corrupt("the log's records have no time");
    times(columns::TIME, 0, records.column_by_name(columns::TIME).ok_or_else(missing)?)
}

/// The times of a column, whose first row is this one of its table; without a zone, of UTC.
fn times(name: &str, first: usize, column: &ArrayRef) -> Result<Vec<Timestamp>> {
    const DAY_US: i64 = 86_400_000_000;
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            whole::<TimestampSecondType>(name, first, column, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            whole::<TimestampMillisecondType>(name, first, column, 1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            whole::<TimestampMicrosecondType>(name, first, column, 1)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each(name, first, column.as_primitive::<TimestampNanosecondType>().iter(), |ns| {
                Ok(Timestamp::from_unix_micros(ns.div_euclid(1_000)))
            })
        }
        DataType::Date32 => whole::<Date32Type>(name, first, column, DAY_US),
        DataType::Date64 => whole::<Date64Type>(name, first, column, 1_000),
        DataType::Utf8 => each(name, first, column.as_string::<i32>().iter(), str::parse),
        DataType::LargeUtf8 => each(name, first, column.as_string::<i64>().iter(), str::parse),
        DataType::Utf8View => each(name, first, column.as_string_view().iter(), str::parse),
        other => Err(Error::invalid(format!("column {name:?} has no times but {other}"))),
    }
}

/// Of whole numbers of so many microseconds each.
fn whole<T: ArrowPrimitiveType<Native: Into<i64>>>(
    name: &str,
    first: usize,
    column: &ArrayRef,
    unit_us: i64,
) -> Result<Vec<Timestamp>> {
    each(name, first, column.as_primitive::<T>().iter(), |value| {
        let micros = value.into().checked_mul(unit_us);
        let far = || Error::invalid("a time beyond what can be counted");
        micros.map(Timestamp::from_unix_micros).ok_or_else(far)
    })
}

fn each<T>(
    name: &str,
    first: usize,
    values: impl Iterator<Item = Option<T>>,
    time: impl Fn(T) -> Result<Timestamp>,
) -> Result<Vec<Timestamp>> {
    let at = |(row, value): (usize, Option<T>)| {
        let named = |error: Error| error.context(format!("column {name:?}, row {}", first + row));
        let none = || Error::invalid("no time");
        value.ok_or_else(none).and_then(&time).map_err(named)
    };
    values.enumerate().map(at).collect()
}
