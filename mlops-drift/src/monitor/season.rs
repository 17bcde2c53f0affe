//! Seasons: what is usual at this hour, on this weekday.

use super::blocks::Days;
use crate::profile::{OwnRows, Profile};
use mlops_core::{Error, Result, Timestamp, arrow::array::RecordBatch};
use std::{collections::BTreeMap, sync::Arc};

/// What time has to do with what is usual. Hours and days are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Season {
    /// 24 strata: the hour of the day.
    HourOfDay,
    /// 168 strata: the hour of the week, from Monday's first on.
    HourOfWeek,
    /// 7 strata, Monday first.
    Weekday,
}

const HOUR: i64 = 3_600_000;
/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// Days since the epoch.
pub(super) fn day(at: Timestamp) -> i64 {
    at.unix_millis().div_euclid(DAY)
}

impl Season {
    /// The stratum of a time.
    pub fn stratum(self, at: Timestamp) -> u32 {
        // The epoch was a Thursday: three days after a Monday.
        let hours = at.unix_millis().div_euclid(HOUR) + 3 * 24;
        let stratum = match self {
            Self::HourOfDay => hours.rem_euclid(24),
            Self::HourOfWeek => hours.rem_euclid(168),
            Self::Weekday => hours.div_euclid(24).rem_euclid(7),
        };
        u32::try_from(stratum).unwrap_or(0)
    }

    /// The latest day that had, or has by now, hours of this stratum.
    pub(super) fn latest_day(self, stratum: u32, now: Timestamp) -> i64 {
        let (strata, hours) = match self {
            Self::HourOfDay => (24, 1),
            Self::HourOfWeek => (168, 1),
            Self::Weekday => (7, 24),
        };
        let back = (i64::from(self.stratum(now)) - i64::from(stratum)).rem_euclid(strata) * hours;
        (now.unix_millis().div_euclid(HOUR) - back).div_euclid(24)
    }
}

/// A reference by season: a profile of the rows of each hour or weekday, all in the same cells.
///
/// About 40 KiB a numeric column and stratum, and 150 bytes a day (512 at most), by which it is known
/// whether the rows of a day depend on one another: see [`Unit`](super::Unit). Rows at a time of which the reference has none are
/// counted and not judged.
///
/// **What is exact.** Where half of the reference's rows chose the listed values of a column (see
/// [`Profile`]), those rows are left out of it here as they are in the reference: rows that chose a
/// value make it seem more frequent than it is, which would be taken for drift. Which ones they are
/// is known by their order; so the reference's own rows come in the order of its fit
/// ([`update`](Self::update)), and [`Monitor::new`](super::Monitor::new) refuses them if what they
/// add up to is not the reference. Rows that it was not made from need no order
/// ([`update_others`](Self::update_others)).
///
/// ```
/// # use mlops_core::{Timestamp, arrow::array::{ArrayRef, Float64Array, RecordBatch}};
/// # use std::sync::Arc;
/// use mlops_drift::{Profile, ProfileOptions, monitor::{Season, Strata}};
///
/// # fn main() -> mlops_core::Result<()> {
/// # let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0]));
/// # let rows = RecordBatch::try_from_iter([("x", x)]).expect("one column");
/// let all = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default())?;
/// let mut strata = Strata::new(&all, Season::HourOfDay);
/// strata.update(&rows, Timestamp::from_unix_millis(0))?; // rows of the first hour of a day
/// assert_eq!(strata.iter().map(|(hour, part)| (hour, part.rows())).collect::<Vec<_>>(), [(0, 3)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Strata {
    season: Season,
    cells: Arc<Profile>,
    /// For each column, whether only some of the reference's rows chose its values.
    chosen_by_some: Vec<bool>,
    /// The reference's own rows of all strata.
    own: Profile,
    parts: BTreeMap<u32, Profile>,
    days: Days,
}

impl Strata {
    /// No rows yet, in the cells of this reference.
    pub fn new(reference: &Profile, season: Season) -> Self {
        let own = Profile::empty_like(reference);
        let (chosen_by_some, cells) = (reference.chosen_by_some(), Arc::new(own.clone()));
        let (parts, days) = (BTreeMap::new(), Days::default());
        Self { season, cells, chosen_by_some, own, parts, days }
    }

    /// Counts rows of about this time of those that the reference was made from, in the order in
    /// which it was fitted; errors as of [`Profile::update`].
    pub fn update(&mut self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        let numbers: Vec<u64> = (self.own.rows()..).take(rows.num_rows()).collect();
        let mut counted = Profile::empty_like(&self.cells);
        let own = OwnRows { chosen_by_some: &self.chosen_by_some, numbers: &numbers };
        counted.count(rows, Some(own))?;
        self.own.merge(&counted)?;
        self.add(&counted, at)
    }

    /// Counts rows of about this time that the reference was not made from, in any order; errors as
    /// of [`Profile::update`].
    pub fn update_others(&mut self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        let mut counted = Profile::empty_like(&self.cells);
        counted.update(rows)?;
        self.add(&counted, at)
    }

    /// Adds a profile of rows of about this time that the reference was not made from; errors as of
    /// [`Profile::merge`].
    pub fn merge(&mut self, rows: &Profile, at: Timestamp) -> Result<()> {
        self.add(rows, at)
    }

    fn add(&mut self, rows: &Profile, at: Timestamp) -> Result<()> {
        let stratum = self.season.stratum(at);
        self.part(stratum).merge(rows)?;
        self.days.add_reference(day(at), stratum, rows);
        Ok(())
    }

    fn part(&mut self, stratum: u32) -> &mut Profile {
        let cells = &self.cells;
        self.parts.entry(stratum).or_insert_with(|| Profile::empty_like(cells))
    }

    /// What tells its strata apart.
    pub fn season(&self) -> Season {
        self.season
    }

    /// The days that rows were read of.
    pub(super) fn days(&self) -> &Days {
        &self.days
    }

    /// The strata that have rows, and their profiles.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Profile)> {
        self.parts.iter().map(|(stratum, part)| (*stratum, part)).filter(|(_, p)| p.rows() > 0)
    }

    pub(super) fn check(&self, reference: &Profile) -> Result<()> {
        reference.same_cells(&self.cells)?;
        if self.iter().next().is_none() {
            return Err(Error::invalid("strata without rows"));
        }
        if self.own.rows() == 0 {
            return Ok(());
        }
        // Rows in another order would put some that chose values among those that are counted.
        let columns = reference.columns().zip(self.own.columns()).zip(&self.chosen_by_some);
        let other = columns
            .filter(|(_, by_some)| **by_some)
            .find(|((whole, own), _)| whole.counts() != own.counts());
        match other {
            Some(((whole, _), _)) => Err(Error::invalid(format!(
                "column {:?}: the rows of the strata are not all of the reference's in the order of \
                 its fit, by which those that chose its values are known; rows that it was not made \
                 from are counted by Strata::update_others",
                whole.name()
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_come_round() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let monday = at("2018-01-01T05:59:59Z");
        assert_eq!(Season::HourOfDay.stratum(monday), 5);
        assert_eq!(Season::HourOfWeek.stratum(monday), 5);
        assert_eq!(Season::Weekday.stratum(monday), 0);
        let sunday = at("1969-12-28T23:00:00Z");
        assert_eq!(Season::HourOfWeek.stratum(sunday), 167);
        assert_eq!(Season::Weekday.stratum(sunday), 6);
        let latest = |season: Season, stratum, now: &str| {
            Timestamp::from_unix_millis(season.latest_day(stratum, at(now)) * DAY).to_string()
        };
        let now = "2018-01-02T00:10:00Z";
        assert!(latest(Season::HourOfDay, 0, now).starts_with("2018-01-02"));
        assert!(latest(Season::HourOfDay, 23, now).starts_with("2018-01-01"));
        assert!(latest(Season::HourOfWeek, 167, now).starts_with("2017-12-31"));
        assert!(latest(Season::Weekday, 1, now).starts_with("2018-01-02"));
        assert!(latest(Season::Weekday, 2, now).starts_with("2017-12-27"));
    }
}
