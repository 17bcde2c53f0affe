//! Seasons: what is usual at this hour, on this weekday.

use super::blocks::Days;
use crate::profile::{OwnRows, Profile};
use arrow_select::take::take_record_batch;
use mlops_core::{
    Error, Result, Timestamp,
    arrow::array::{RecordBatch, UInt64Array},
};
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

/// Hours since the epoch.
pub(super) fn hour(at: Timestamp) -> i64 {
    at.unix_millis().div_euclid(HOUR)
}

/// Days since the epoch.
pub(super) fn day(at: Timestamp) -> i64 {
    at.unix_millis().div_euclid(DAY)
}

impl Season {
    /// The stratum of a time.
    pub fn stratum(self, at: Timestamp) -> u32 {
        // The epoch was a Thursday: three days after a Monday.
        let hours = hour(at) + 3 * 24;
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
        (hour(now) - back).div_euclid(24)
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
/// ([`update`](Self::update), [`update_each`](Self::update_each)), and
/// [`Monitor::new`](super::Monitor::new) refuses them if what they add up to is not the reference.
/// Rows that it was not made from need no order ([`update_others`](Self::update_others)).
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
    chosen_by_some: Arc<[bool]>,
    /// The reference's own rows of all strata.
    own: Profile,
    parts: BTreeMap<u32, Profile>,
    days: Days,
}

/// Whether rows are those that the reference was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Others,
}

/// A stratum of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    day: i64,
    stratum: u32,
}

/// Rows of one stratum, and where they are among those that they came with.
struct Part {
    rows: RecordBatch,
    places: Vec<u64>,
}

impl Part {
    fn all(rows: &RecordBatch) -> Self {
        Self { rows: rows.clone(), places: (0..).take(rows.num_rows()).collect() }
    }

    fn of(rows: &RecordBatch, places: Vec<u64>) -> Result<Self> {
        Ok(Self { rows: taken(rows, places.clone())?, places })
    }
}

/// The rows of these places.
pub(super) fn taken(rows: &RecordBatch, places: Vec<u64>) -> Result<RecordBatch> {
    let taken = take_record_batch(rows, &UInt64Array::from(places));
    taken.map_err(|source| Error::internal("rows could not be taken").with_source(source))
}

impl Strata {
    /// No rows yet, in the cells of this reference.
    pub fn new(reference: &Profile, season: Season) -> Self {
        let own = Profile::empty_like(reference);
        let (chosen_by_some, cells) = (reference.chosen_by_some().into(), Arc::new(own.clone()));
        let (parts, days) = (BTreeMap::new(), Days::default());
        Self { season, cells, chosen_by_some, own, parts, days }
    }

    /// Counts rows of about this time of those that the reference was made from, in the order in
    /// which it was fitted; errors as of [`Profile::update`], and nothing is changed then.
    pub fn update(&mut self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        self.count(rows, vec![(self.place(at), Part::all(rows))], Whose::Own)
    }

    /// As [`update`](Self::update), where each row has a time of its own: a reference that is not
    /// sorted by time comes as it is.
    ///
    /// The counts are those of the rows one by one; but the rows of each stratum are gathered and
    /// counted together, so give it many at once. Another number of times than of rows is
    /// `InvalidInput`; after an error nothing is changed.
    ///
    /// ```
    /// # use mlops_core::{Timestamp, arrow::array::{ArrayRef, Float64Array, RecordBatch}};
    /// # use std::sync::Arc;
    /// # use mlops_drift::{Profile, ProfileOptions, monitor::{Season, Strata}};
    /// # fn main() -> mlops_core::Result<()> {
    /// # let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0]));
    /// # let rows = RecordBatch::try_from_iter([("x", x)]).expect("one column");
    /// # let all = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default())?;
    /// let mut strata = Strata::new(&all, Season::HourOfDay);
    /// let times = [9, 14, 9].map(|hour| Timestamp::from_unix_millis(hour * 3_600_000));
    /// strata.update_each(&rows, &times)?;
    /// let hours: Vec<_> = strata.iter().map(|(hour, part)| (hour, part.rows())).collect();
    /// assert_eq!(hours, [(9, 2), (14, 1)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_each(&mut self, rows: &RecordBatch, times: &[Timestamp]) -> Result<()> {
        self.count(rows, self.by_place(rows, times)?, Whose::Own)
    }

    /// Counts rows of about this time that the reference was not made from, in any order; errors as
    /// of [`Profile::update`], and nothing is changed then.
    pub fn update_others(&mut self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        self.count(rows, vec![(self.place(at), Part::all(rows))], Whose::Others)
    }

    /// As [`update_others`](Self::update_others), where each row has a time of its own; errors as of
    /// [`update_each`](Self::update_each).
    pub fn update_others_each(&mut self, rows: &RecordBatch, times: &[Timestamp]) -> Result<()> {
        self.count(rows, self.by_place(rows, times)?, Whose::Others)
    }

    fn place(&self, at: Timestamp) -> Place {
        Place { day: day(at), stratum: self.season.stratum(at) }
    }

    /// The rows of each day and stratum.
    fn by_place(&self, rows: &RecordBatch, times: &[Timestamp]) -> Result<Vec<(Place, Part)>> {
        if times.len() != rows.num_rows() {
            let (times, rows) = (times.len(), rows.num_rows());
            return Err(Error::invalid(format!("{times} times for {rows} rows: one a row")));
        }
        let mut places: BTreeMap<Place, Vec<u64>> = BTreeMap::new();
        for (row, at) in (0..).zip(times) {
            places.entry(self.place(*at)).or_default().push(row);
        }
        if let (1, Some((place, _))) = (places.len(), places.first_key_value()) {
            return Ok(vec![(*place, Part::all(rows))]);
        }
        // What is not counted need not be copied.
        let rows = self.cells.counted(rows)?;
        let part = |(place, rows_of_it)| Ok((place, Part::of(&rows, rows_of_it)?));
        places.into_iter().map(part).collect()
    }

    /// Counts each part in its stratum and its day: all of them, or none.
    fn count(&mut self, rows: &RecordBatch, parts: Vec<(Place, Part)>, whose: Whose) -> Result<()> {
        for (place, part) in &parts {
            self.parts.get(&place.stratum).unwrap_or(&self.cells).accepts(&part.rows)?;
        }
        let first = self.own.rows();
        let by_some = Arc::clone(&self.chosen_by_some);
        if whose == Whose::Own {
            let numbers: Vec<u64> = (first..).take(rows.num_rows()).collect();
            // The last that can fail: the parts have been checked.
            let own = OwnRows { chosen_by_some: &by_some, numbers: &numbers };
            self.own.count(rows, Some(own))?;
        }
        for (place, part) in parts {
            let numbers: Vec<u64> = part.places.iter().map(|place| first + place).collect();
            let own = OwnRows { chosen_by_some: &by_some, numbers: &numbers };
            let mut counted = Profile::empty_like(&self.cells);
            counted.count(&part.rows, (whose == Whose::Own).then_some(own))?;
            self.add(&counted, place)?;
        }
        Ok(())
    }

    /// Adds a profile of rows of about this time that the reference was not made from; errors as of
    /// [`Profile::merge`].
    pub fn merge(&mut self, rows: &Profile, at: Timestamp) -> Result<()> {
        self.add(rows, self.place(at))
    }

    fn add(&mut self, rows: &Profile, Place { day, stratum }: Place) -> Result<()> {
        self.part(stratum).merge(rows)?;
        self.days.add_reference(day, stratum, rows);
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
        let columns = reference.columns().zip(self.own.columns()).zip(&*self.chosen_by_some);
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
    use crate::{ProfileOptions, monitor::testing::texts, profile::MAX_ROWS};
    use mlops_core::ErrorKind;

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

    #[test]
    fn what_cannot_be_counted_changes_nothing() {
        let rows = texts(&["a", "b"], 2);
        let hour = |hour: i64| Timestamp::from_unix_millis(hour * HOUR);
        let whole = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default()).unwrap();
        let mut strata = Strata::new(&whole, Season::HourOfDay);
        let mut full = Profile::empty_like(&whole);
        full.update(&rows).unwrap();
        while full.rows() < MAX_ROWS {
            full.merge(&full.clone()).unwrap();
        }
        strata.merge(&full, hour(7)).unwrap();
        strata.update(&rows.slice(0, 1), hour(8)).unwrap();
        let before = (strata.own.clone(), strata.parts.clone());
        let unsorted = [8, 7, 9, 8].map(hour);
        let refused = [
            strata.update(&rows, hour(7)),
            strata.update_others(&rows, hour(7)),
            strata.update_each(&rows, &unsorted),
            strata.update_others_each(&rows, &unsorted),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
        }
        let short = strata.update_each(&rows, &unsorted[..3]).unwrap_err();
        assert_eq!(
            (short.kind(), short.to_string().as_str()),
            (ErrorKind::InvalidInput, "3 times for 4 rows: one a row")
        );
        let other = RecordBatch::try_from_iter([("d", rows.column(0).clone())]).unwrap();
        let missing = strata.update_each(&other, &unsorted).unwrap_err();
        assert_eq!(missing.to_string(), "column \"c\" is missing");
        assert!(before == (strata.own, strata.parts));
    }
}
