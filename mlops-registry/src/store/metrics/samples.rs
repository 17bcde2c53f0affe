//! One metric of several runs at once, as MLflow's charts ask for it.

use super::walk::{Bounds, Walk};
use crate::store::connection::{Connection, Value};
use mlops_core::{Result, RunId, tracker::MetricPoint};
use std::{cmp::Ordering, ops::RangeInclusive};

/// Points of runs with these steps, at most `most` of each run in the order of (step, time, value): the
/// first of so many groups of one size (the first groups have one more where it does not come out
/// even), the last group's being the last point of all. Runs come in the order asked for; one that is
/// not there, or lacks the metric, has none.
///
/// What MLflow 3.17 answers to `get-history-bulk-interval`.
pub(super) async fn sampled(
    db: &mut Connection,
    runs: &[RunId],
    metric: &str,
    steps: Option<RangeInclusive<i64>>,
    most: usize,
) -> Result<Vec<(RunId, MetricPoint)>> {
    let bounds = Bounds { after: None, steps: steps.unwrap_or(i64::MIN..=i64::MAX) };
    let mut found = Vec::new();
    for &id in runs {
        let run = Value::from(id.to_string());
        // Twice through the series rather than all of it in memory.
        let mut total = 0;
        let mut walk = Walk::begin(db, &run, metric, bounds.clone()).await?;
        loop {
            let points = walk.next(db).await?;
            if points.is_empty() {
                break;
            }
            total += points.len();
        }
        let mut wanted = places(total, most).into_iter().peekable();
        let mut walk = Walk::begin(db, &run, metric, bounds.clone()).await?;
        let mut passed = 0;
        while wanted.peek().is_some() {
            let points = walk.next(db).await?;
            if points.is_empty() {
                break;
            }
            while let Some(place) = wanted.next_if(|place| *place < passed + points.len()) {
                found.push((id, points[place - passed]));
            }
            passed += points.len();
        }
    }
    Ok(found)
}

/// Which of so many points are the sample, in order.
fn places(total: usize, most: usize) -> Vec<usize> {
    let groups = most.max(1).min(total);
    if groups == 0 {
        return Vec::new();
    }
    let (size, larger) = (total / groups, total % groups);
    let mut places: Vec<_> = (0..groups).map(|group| group * size + group.min(larger)).collect();
    let last = total - 1;
    if places.last() != Some(&last) {
        if places.len() >= most.max(1) {
            places.pop();
        }
        places.push(last);
    }
    places
}

/// The first points of runs, at most so many in all: run after run in the order of their identities, each
/// run's in the order of (time, step, value).
///
/// What MLflow 3.17 answers to `get-history-bulk`.
pub(super) async fn first_by_time(
    db: &mut Connection,
    runs: &[RunId],
    metric: &str,
    most: usize,
) -> Result<Vec<(RunId, MetricPoint)>> {
    let mut runs = runs.to_vec();
    runs.sort_unstable_by_key(ToString::to_string);
    runs.dedup();
    let mut found = Vec::new();
    for id in runs {
        let left = most - found.len();
        if left == 0 {
            break;
        }
        let run = Value::from(id.to_string());
        let mut walk = Walk::begin(db, &run, metric, Bounds::all()).await?;
        let mut first = Vec::new();
        loop {
            let mut points = walk.next(db).await?;
            let over = points.is_empty();
            first.append(&mut points);
            // The order of times is not the order of steps: all have to be looked at, but not kept.
            if over || first.len() > 2 * left {
                first.sort_by(by_time);
                first.truncate(left);
            }
            if over {
                break;
            }
        }
        found.extend(first.into_iter().map(|point| (id, point)));
    }
    Ok(found)
}

fn by_time(left: &MetricPoint, right: &MetricPoint) -> Ordering {
    left.time.cmp(&right.time).then(left.order(right))
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn groups_are_those_of_ntile() {
        // `ntile(3)` of 8 rows makes groups of 3, 3 and 2; the last row takes the last one's place.
        assert_eq!(places(8, 3), [0, 3, 7]);
        assert_eq!(places(3, 3), [0, 1, 2]);
        assert_eq!(places(2, 3), [0, 1]);
        assert_eq!(places(9, 1), [8]);
        assert!(places(0, 3).is_empty());
    }
}
