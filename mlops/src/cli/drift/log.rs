//! An inference log that grows: its rows once each, hour by hour.

use super::{
    side::inputs,
    times::{asked, hour},
};
use crate::{
    Error, ErrorKind, Result, Timestamp,
    arrow::array::RecordBatch,
    inference_log::{LogReader, Segment},
};
use std::collections::{BTreeMap, VecDeque};

/// What was read of a log, and what of that has not been passed on.
#[derive(Default)]
pub(super) struct Followed {
    /// Rows read of each segment, and whether that is all of them.
    read: BTreeMap<u64, (usize, bool)>,
    waiting: Waiting,
}

/// Rows by the hour in which they were asked, counted from the epoch.
#[derive(Default)]
struct Waiting(BTreeMap<i64, VecDeque<(RecordBatch, Vec<Timestamp>)>>);

impl Followed {
    /// Passes on what is new, older hours first: segments of several versions of a model are written
    /// side by side, and time does not go back. What fails is passed on again the next
    /// time; what is refused as `InvalidInput`, such as rows of a version that lacks a column, is left
    /// out.
    pub(super) fn take(
        &mut self,
        log: &LogReader,
        is_told: impl Fn() -> bool,
        mut each: impl FnMut(&RecordBatch, &[Timestamp]) -> Result<()>,
    ) -> Result<()> {
        let mut refused = Refused::default();
        self.waiting.pass_on(i64::MAX, &mut each, &mut refused)?;
        let done = self.read.iter().filter(|(_, (_, is_all))| *is_all).map(|(number, _)| *number);
        for segment in log.segments_but(&done.collect())? {
            if is_told() {
                return refused.said();
            }
            let segment = segment?;
            let is_begun = self.read.contains_key(&segment.number);
            let first = self.read(&segment)?;
            // Segments come in the order in which they were begun: those after one that is new have
            // nothing older than it.
            if let (Some(first), false) = (first, is_begun) {
                self.waiting.pass_on(first, &mut each, &mut refused)?;
            }
        }
        self.waiting.pass_on(i64::MAX, &mut each, &mut refused)?;
        refused.said()
    }

    /// Lets what is new of a segment wait; the first hour of that.
    fn read(&mut self, segment: &Segment) -> Result<Option<i64>> {
        let (taken, is_all) = self.read.entry(segment.number).or_default();
        let (mut passed, mut first) = (0, None);
        for records in &segment.batches {
            let rows = records.num_rows();
            let known = taken.saturating_sub(passed).min(rows);
            passed += rows;
            if known < rows {
                let new = records.slice(known, rows - known);
                let begun = self.waiting.push(&inputs(&new)?, &asked(&new)?);
                first = [first, begun].into_iter().flatten().min();
            }
            *taken = passed.max(*taken);
        }
        *is_all = segment.is_closed;
        Ok(first)
    }
}

impl Waiting {
    /// Adds rows that were asked at these times, which are nearly in order; their first hour.
    fn push(&mut self, rows: &RecordBatch, times: &[Timestamp]) -> Option<i64> {
        let mut at = 0;
        for times in times.chunk_by(|a, b| hour(*a) == hour(*b)) {
            let rows = rows.slice(at, times.len());
            at += times.len();
            let hour = times.first().map_or(0, |first| hour(*first));
            self.0.entry(hour).or_default().push_back((rows, times.to_vec()));
        }
        times.iter().copied().map(hour).min()
    }

    /// Passes on the rows of the hours before this one.
    fn pass_on(
        &mut self,
        before: i64,
        each: &mut impl FnMut(&RecordBatch, &[Timestamp]) -> Result<()>,
        refused: &mut Refused,
    ) -> Result<()> {
        while let Some(mut hour) = self.0.first_entry().filter(|hour| *hour.key() < before) {
            while let Some((rows, times)) = hour.get().front() {
                match each(rows, times) {
                    Err(error) if error.kind() == ErrorKind::InvalidInput => {
                        refused.rows += times.len();
                        refused.why.get_or_insert(error);
                    }
                    passed => passed?,
                }
                hour.get_mut().pop_front();
            }
            hour.remove();
        }
        Ok(())
    }
}

/// Rows that nobody takes, and why the first of them was refused.
#[derive(Default)]
struct Refused {
    rows: usize,
    why: Option<Error>,
}

impl Refused {
    fn said(self) -> Result<()> {
        let left_out = format!("{} rows are left out", self.rows);
        self.why.map_or(Ok(()), |why| Err(why.context(left_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::array::{ArrayRef, Int64Array, cast::AsArray, types::Int64Type};
    use std::sync::Arc;

    /// Rows that say at which minute each was asked.
    fn rows(minutes: &[i64]) -> (RecordBatch, Vec<Timestamp>) {
        let column: ArrayRef = Arc::new(Int64Array::from(minutes.to_vec()));
        let times = minutes.iter().map(|at| Timestamp::from_unix_millis(at * 60_000)).collect();
        (RecordBatch::try_from_iter([("minute", column)]).unwrap(), times)
    }

    #[test]
    fn rows_of_two_segments_are_passed_on_by_the_hour_and_none_twice() {
        let mut waiting = Waiting::default();
        let mut push = |minutes: &[i64]| {
            let (rows, times) = rows(minutes);
            waiting.push(&rows, &times)
        };
        assert_eq!(push(&[0, 59, 61, 60, 130]), Some(0));
        assert_eq!(push(&[62, 121, 58]), Some(0));
        assert_eq!(push(&[]), None);
        let mut seen = Vec::new();
        let mut each = |rows: &RecordBatch, times: &[Timestamp]| {
            let minutes = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
            assert_eq!(minutes.len(), times.len());
            if minutes.contains(&62) && seen.last() != Some(&-1) {
                seen.push(-1);
                return Err(Error::internal("not now"));
            }
            seen.extend(minutes);
            Ok(())
        };
        let mut pass_on = |before| waiting.pass_on(before, &mut each, &mut Refused::default());
        pass_on(1).unwrap();
        assert!(pass_on(i64::MAX).is_err());
        pass_on(2).unwrap();
        pass_on(i64::MAX).unwrap();
        assert_eq!(seen, [0, 59, 58, 61, 60, -1, 62, 130, 121]);
    }

    #[test]
    fn what_is_refused_is_left_out_and_said_and_the_rest_goes_on() {
        let mut waiting = Waiting::default();
        for minutes in [[0, 1], [2, 61]] {
            let (rows, times) = rows(&minutes);
            waiting.push(&rows, &times);
        }
        let mut seen = 0;
        let mut each = |rows: &RecordBatch, _: &[Timestamp]| {
            seen += rows.num_rows();
            if rows.num_rows() == 2 { Err(Error::invalid("never")) } else { Ok(()) }
        };
        let mut refused = Refused::default();
        waiting.pass_on(i64::MAX, &mut each, &mut refused).unwrap();
        let error = format!("{:?}", refused.said().unwrap_err());
        assert!(error.contains("2 rows are left out"), "{error}");
        waiting.pass_on(i64::MAX, &mut each, &mut Refused::default()).unwrap();
        assert_eq!(seen, 4);
    }
}
