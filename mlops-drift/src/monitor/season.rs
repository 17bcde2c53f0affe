//! Seasons: what is usual at this hour, on this weekday.

use crate::profile::Profile;
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
}

/// A reference by season: a profile of the rows of each hour or weekday, all in the same cells.
///
/// About 40 KiB a numeric column and stratum. Rows at a time of which the reference has none are
/// counted and not judged.
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
    parts: BTreeMap<u32, Profile>,
}

impl Strata {
    /// No rows yet, in the cells of this profile.
    pub fn new(cells: &Profile, season: Season) -> Self {
        let cells = Arc::new(Profile::empty_like(cells));
        Self { season, cells, parts: BTreeMap::new() }
    }

    /// Counts rows of about this time; errors as of [`Profile::update`].
    pub fn update(&mut self, rows: &RecordBatch, at: Timestamp) -> Result<()> {
        self.part(self.season.stratum(at)).update(rows)
    }

    /// Adds a profile of rows of about this time; errors as of [`Profile::merge`].
    pub fn merge(&mut self, rows: &Profile, at: Timestamp) -> Result<()> {
        self.part(self.season.stratum(at)).merge(rows)
    }

    fn part(&mut self, stratum: u32) -> &mut Profile {
        let cells = &self.cells;
        self.parts.entry(stratum).or_insert_with(|| Profile::empty_like(cells))
    }

    /// What tells its strata apart.
    pub fn season(&self) -> Season {
        self.season
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
        Ok(())
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
    }
}
