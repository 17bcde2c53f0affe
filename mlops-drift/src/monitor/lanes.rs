//! Counters of the request path: a thread's own, so that threads do not wait for one another.

use super::{
    MonitorConfig,
    season::Season,
    segments::{Joint, Segments},
};
use crate::{
    profile::{Profile, ProfileShard, ShardReader, Value},
    random::Random,
};
use mlops_core::{Clock, Result};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// A thread finds its counters by its number. Where two have the same ones, the second takes the
/// next that are free; nobody waits.
#[derive(Debug)]
pub(super) struct Lanes {
    slots: Vec<Slot>,
    segments: Option<Arc<Segments>>,
    seasons: Option<Seasons>,
    sampling: f64,
    /// Rows that found no free counters, or could not be read.
    missed: AtomicU64,
}

/// By which rows are told apart when they are counted: a look may come much later.
#[derive(Debug)]
struct Seasons {
    season: Season,
    clock: Arc<dyn Clock>,
    /// Rows of strata that threads have left since the last look: one profile a stratum, however
    /// many lanes there are. A request only tries to lock it.
    left: Mutex<ByStratum>,
}

/// Rows by stratum.
type ByStratum = BTreeMap<u32, Profile>;

/// On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Slot {
    lane: Mutex<Option<Lane>>,
    reader: OnceLock<ShardReader>,
}

#[derive(Debug)]
struct Lane {
    shard: ProfileShard,
    /// Of the rows in the shard; 0 without seasons.
    stratum: u32,
    /// Rows of strata that were left while another thread put its own away, until the next row or
    /// look: seldom any, and at most one profile a stratum.
    waiting: ByStratum,
    joint: Joint,
    random: Random,
    /// Rows to leave out until the next one is counted.
    skip: u64,
}

impl Lanes {
    pub(super) fn new(config: &MonitorConfig, segments: Option<Arc<Segments>>) -> Self {
        let slot = |_| Slot { lane: Mutex::new(None), reader: OnceLock::new() };
        let slots = (0..config.shards).map(slot).collect();
        let seasons = config.strata.as_ref().map(|strata| Seasons {
            season: strata.season(),
            clock: Arc::clone(&config.clock),
            left: Mutex::default(),
        });
        let (sampling, missed) = (config.sampling, AtomicU64::new(0));
        Self { slots, segments, seasons, sampling, missed }
    }

    /// Counts rows of so many, each written by `row` into the values given, if it can be read.
    pub(super) fn count<'a>(
        &self,
        reference: &Profile,
        rows: usize,
        mut row: impl FnMut(usize, &mut Vec<Value<'a>>) -> Option<()>,
    ) {
        let mut values = Vec::with_capacity(reference.columns().len());
        let stratum = self.seasons.as_ref().map_or(0, Seasons::now);
        let counted = self.with_lane(reference, |lane| {
            let mut missed = self.enter(lane, stratum);
            let mut at = lane.skip;
            while at < rows as u64 {
                values.clear();
                let read = usize::try_from(at).ok().and_then(|at| row(at, &mut values));
                let counted = read.is_some() && lane.shard.count(&values).is_ok();
                missed += u64::from(!counted);
                if let Some(segments) = self.segments.as_ref().filter(|_| counted) {
                    segments.count(&mut lane.joint, &values);
                }
                at += 1 + skip(self.sampling, &mut lane.random);
            }
            lane.skip = at - rows as u64;
            missed
        });
        match counted {
            Some(0) => {}
            Some(missed) => self.miss(missed),
            None => self.miss(rows as u64),
        }
    }

    /// Puts the rows of another stratum away, without waiting for anybody; how many could not be.
    fn enter(&self, lane: &mut Lane, stratum: u32) -> u64 {
        let Some(seasons) = &self.seasons else { return 0 };
        let left = std::mem::replace(&mut lane.stratum, stratum);
        let mut lost = 0;
        if left != stratum
            && let Ok(rows) = lane.shard.reader().take()
        {
            lost = put(&mut lane.waiting, left, rows);
        }
        if !lane.waiting.is_empty()
            && let Some(mut all) = seasons.left_if_free()
        {
            lost += put_all(&mut all, std::mem::take(&mut lane.waiting));
        }
        lost
    }

    pub(super) fn miss(&self, rows: u64) {
        self.missed.fetch_add(rows, Relaxed);
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    fn with_lane<R>(&self, reference: &Profile, count: impl FnOnce(&mut Lane) -> R) -> Option<R> {
        let own = own_number();
        for step in 0..self.slots.len() {
            let at = (own + step) % self.slots.len();
            let slot = self.slots.get(at)?;
            let mut lane = match slot.lane.try_lock() {
                Ok(lane) => lane,
                // A row is counted whole or not at all.
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            let lane = lane.get_or_insert_with(|| {
                let shard = ProfileShard::new(reference);
                let _ = slot.reader.set(shard.reader());
                let mut random = Random::new(at as u64);
                let skip = skip(self.sampling, &mut random);
                let stratum = self.seasons.as_ref().map_or(0, Seasons::now);
                let (waiting, joint) = Default::default();
                Lane { shard, stratum, waiting, joint, random, skip }
            });
            return Some(count(lane));
        }
        None
    }

    /// All rows counted since the last time, by stratum; `None` without seasons.
    pub(super) fn take(&self, reference: &Profile) -> Result<Vec<(Option<u32>, Profile)>> {
        let readers = self.slots.iter().filter_map(|slot| Some((slot, slot.reader.get()?)));
        let Some(seasons) = &self.seasons else {
            let mut rows = Profile::empty_like(reference);
            for (_, reader) in readers {
                rows.merge(&reader.take()?)?;
            }
            return Ok(vec![(None, rows)]);
        };
        for (slot, reader) in readers {
            // It must not enter another stratum meanwhile; whoever counts takes other counters.
            let mut lane = slot.lane.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(lane) = lane.as_mut() else { continue };
            let rows = reader.take()?;
            let mut left = seasons.left();
            let lost = put_all(&mut left, std::mem::take(&mut lane.waiting));
            self.miss(lost + put(&mut left, lane.stratum, rows));
        }
        let left = std::mem::take(&mut *seasons.left());
        Ok(left.into_iter().map(|(stratum, rows)| (Some(stratum), rows)).collect())
    }

    /// Rows by segment since the last time. A thread that counts meanwhile takes other counters.
    pub(super) fn take_joint(&self) -> Joint {
        let mut rows = Joint::default();
        for slot in self.slots.iter().filter(|slot| slot.reader.get().is_some()) {
            let mut lane = slot.lane.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(lane) = lane.as_mut() {
                rows.add(&lane.joint);
                lane.joint.clear();
            }
        }
        rows
    }

    /// Whether anything ever counted here.
    pub(super) fn are_used(&self) -> bool {
        self.slots.iter().any(|slot| slot.reader.get().is_some())
    }
}

impl Seasons {
    fn now(&self) -> u32 {
        self.season.stratum(self.clock.now())
    }

    fn left(&self) -> MutexGuard<'_, ByStratum> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_if_free(&self) -> Option<MutexGuard<'_, ByStratum>> {
        match self.left.try_lock() {
            Ok(left) => Some(left),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Adds rows to those of their stratum; how many were too many for a profile.
fn put(sum: &mut ByStratum, stratum: u32, rows: Profile) -> u64 {
    match sum.entry(stratum) {
        Entry::Occupied(mut own) if rows.rows() > 0 => match own.get_mut().merge(&rows) {
            Ok(()) => 0,
            Err(_) => rows.rows(),
        },
        Entry::Vacant(none) if rows.rows() > 0 => {
            none.insert(rows);
            0
        }
        _ => 0,
    }
}

fn put_all(sum: &mut ByStratum, more: ByStratum) -> u64 {
    more.into_iter().map(|(stratum, rows)| put(sum, stratum, rows)).sum()
}

/// How many rows are left out before the next one, if each is counted with this probability.
fn skip(share: f64, random: &mut Random) -> u64 {
    if share >= 1.0 {
        return 0;
    }
    let left_out = random.unit().ln() / (-share).ln_1p();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let rows = left_out as u64;
    rows.min(1 << 40)
}

/// Each thread that ever counts has another one.
fn own_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = NEXT.fetch_add(1, Relaxed));
    OWN.with(|own| *own)
}

impl Slot {
    #[cfg(test)]
    fn hold(&self) -> MutexGuard<'_, Option<Lane>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProfileOptions, monitor::testing::texts};
    use mlops_core::{Timestamp, testing::ManualClock};
    use std::time::Duration;

    const HOUR: Duration = Duration::from_hours(1);

    fn count(lanes: &Lanes, reference: &Profile, rows: usize) {
        lanes.count(reference, rows, |_, values| {
            values.push(Value::Text("a"));
            Some(())
        });
    }

    /// A reference by hour of the week of a monitor with so many lanes, and its clock.
    fn by_hour(lanes: usize) -> (Profile, Lanes, Arc<ManualClock>) {
        let rows = texts(&["a", "b"], 50);
        let whole = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default()).unwrap();
        let mut strata = super::super::Strata::new(&whole, Season::HourOfWeek);
        strata.update(&rows, Timestamp::from_unix_millis(0)).unwrap();
        let clock = Arc::new(ManualClock::default());
        let config = MonitorConfig::default().with_clock(clock.clone()).with_strata(strata);
        let lanes = Lanes::new(&config.with_shards(lanes), None);
        (whole, lanes, clock)
    }

    fn waiting(lanes: &Lanes) -> usize {
        let of = |slot: &Slot| slot.hold().as_ref().map_or(0, |lane| lane.waiting.len());
        lanes.slots.iter().map(of).sum()
    }

    #[test]
    fn a_request_of_another_hour_does_not_wait_for_who_puts_rows_away() {
        let (reference, lanes, clock) = by_hour(1);
        let (lanes, reference) = (Arc::new(lanes), Arc::new(reference));
        let put_away = lanes.seasons.as_ref().unwrap().left();
        let (done, counted) = std::sync::mpsc::channel();
        let requests = {
            let (lanes, reference) = (Arc::clone(&lanes), Arc::clone(&reference));
            move || {
                for _ in 0..400 {
                    count(&lanes, &reference, 3);
                    clock.advance(HOUR);
                }
                done.send(()).unwrap();
            }
        };
        std::thread::spawn(requests);
        // A minute is not how long it takes, but when this test ends if it does not.
        counted.recv_timeout(Duration::from_mins(1)).expect("requests that wait for nobody");
        assert_eq!(waiting(&lanes), 168, "however long it takes, a profile a stratum");
        drop(put_away);
        count(&lanes, &reference, 1);
        assert_eq!(waiting(&lanes), 0);
        let rows: u64 = lanes.take(&reference).unwrap().iter().map(|(_, rows)| rows.rows()).sum();
        assert_eq!((rows, lanes.missed()), (1_201, 0));
    }

    #[test]
    fn what_waits_for_a_look_is_a_profile_a_stratum_however_many_lanes_there_are() {
        let (reference, lanes, clock) = by_hour(4);
        for _ in 0..400 {
            for free in 0..4 {
                let others = lanes.slots.iter().enumerate().filter(|(at, _)| *at != free);
                let _held: Vec<_> = others.map(|(_, slot)| slot.hold()).collect();
                count(&lanes, &reference, 1);
            }
            clock.advance(HOUR);
        }
        assert!(lanes.seasons.as_ref().unwrap().left().len() <= 168 && waiting(&lanes) == 0);
        let taken = lanes.take(&reference).unwrap();
        let hours: Vec<u32> = taken.iter().filter_map(|(stratum, _)| *stratum).collect();
        assert_eq!(hours, (0..168).collect::<Vec<_>>());
        assert_eq!(taken.iter().map(|(_, rows)| rows.rows()).sum::<u64>(), 1_600);
        assert!(lanes.take(&reference).unwrap().is_empty() && lanes.missed() == 0);
    }

    #[test]
    fn a_share_of_the_rows_is_counted_and_what_finds_no_counters_is_missed() {
        let reference =
            Profile::fit(&[texts(&["a", "b"], 50)], &ProfileOptions::default()).unwrap();
        let lanes = Lanes::new(&MonitorConfig::default().with_sampling(0.1).with_shards(2), None);
        assert!(!lanes.are_used());
        (0..1_000).for_each(|_| count(&lanes, &reference, 20));
        let taken = || lanes.take(&reference).unwrap()[0].1.rows();
        let rows = taken();
        assert!((1_850..2_150).contains(&rows), "{rows}");
        assert_eq!((taken(), lanes.missed()), (0, 0));
        let (first, second) = (lanes.slots[0].hold(), lanes.slots[1].hold());
        count(&lanes, &reference, 20);
        assert_eq!(lanes.missed(), 20);
        drop((first, second));
        lanes.count(&reference, 50, |_, _| None);
        assert!(lanes.missed() > 20, "a row that cannot be read is not counted");
    }
}
