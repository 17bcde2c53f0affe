//! A way through a series in order. Of its segments only those are in memory that overlap where it stands.

use super::{
    segment,
    series::{COLUMNS, Series, thing},
    write::put_in_order,
};
use crate::store::connection::{Connection, Row, Value, values};
use mlops_core::{Result, ResultExt, Timestamp, tracker::MetricPoint};
use std::{collections::VecDeque, ops::RangeInclusive};

/// Which points.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Only those after this one.
    pub(super) after: Option<MetricPoint>,
    pub(super) steps: RangeInclusive<i64>,
}

impl Bounds {
    pub(super) fn all() -> Self {
        Self { after: None, steps: i64::MIN..=i64::MAX }
    }

    fn hold(&self, point: &MetricPoint) -> bool {
        self.steps.contains(&point.step)
            && self.after.is_none_or(|after| after.order(point).is_lt())
    }
}

/// Where a segment lies: its identity, and the step and time of its first point.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: i64,
    first: (i64, Timestamp),
}

#[derive(Debug)]
pub(super) struct Walk {
    /// What an error names.
    thing: String,
    bounds: Bounds,
    /// Segments to come, in the order of their first points.
    places: VecDeque<Place>,
    /// Points that something to come may still go between, in order.
    held: Vec<MetricPoint>,
}

impl Walk {
    /// At the beginning of a metric of a run; there is nothing to walk through if it has none.
    pub(super) async fn begin(
        db: &mut Connection,
        run: &Value,
        metric: &str,
        bounds: Bounds,
    ) -> Result<Self> {
        let thing = thing(run, metric);
        let sql =
            format!("select {COLUMNS} from metric_series series where run = $1 and metric = $2");
        let row = db.row(sql, &values![run.clone(), metric]).await?;
        let mut walk = Self { thing, bounds, places: VecDeque::new(), held: Vec::new() };
        if let Some(row) = row {
            let series = Series::read(&row, 0, || walk.thing.clone())?;
            walk.places = walk.places_of(db, &series).await?;
            walk.hold(series.tail);
        }
        Ok(walk)
    }

    async fn places_of(&self, db: &mut Connection, series: &Series) -> Result<VecDeque<Place>> {
        let Bounds { after, steps } = &self.bounds;
        let first = (*steps.start(), Timestamp::from_unix_micros(i64::MIN));
        let (step, time) = after.map_or(first, |after| first.max((after.step, after.time)));
        let sql = "select id, first_step, first_time from metric_segments
            where id >= $1 and id < $2 and (last_step, last_time) >= ($3, $4)
            and first_step <= $5 order by first_step, first_time, id";
        let (from, to) = (series.segment(0)?, series.segment(series.segments)?);
        let rows = db.rows(sql, &values![from, to, step, time, *steps.end()]).await?;
        let place = |row: &Row| Ok(Place { id: row.int(0)?, first: (row.int(1)?, row.time(2)?) });
        rows.iter().map(place).collect()
    }

    /// The next points, in order and each once; none at the end.
    pub(super) async fn next(&mut self, db: &mut Connection) -> Result<Vec<MetricPoint>> {
        while let Some(place) = self.places.front() {
            let before = |point: &MetricPoint| (point.step, point.time) < place.first;
            let settled = self.held.partition_point(before);
            if settled > 0 {
                let rest = self.held.split_off(settled);
                return Ok(std::mem::replace(&mut self.held, rest));
            }
            let sql = "select data from metric_segments where id = $1";
            let row = db.row(sql, &values![place.id]).await?;
            self.places.pop_front();
            // One snapshot: it is there.
            if let Some(row) = row {
                let points = segment::decode(&row.bytes(0)?).context(|| self.thing.clone())?;
                self.hold(points);
            }
        }
        Ok(std::mem::take(&mut self.held))
    }

    fn hold(&mut self, mut points: Vec<MetricPoint>) {
        points.retain(|point| self.bounds.hold(point));
        self.held.append(&mut points);
        put_in_order(&mut self.held);
    }
}
