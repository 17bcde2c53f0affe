//! Metrics between the code that measures and the thread that writes.

use super::{spill::Spill, stopped};
use crate::{Result, tracker::Metric};
use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::{Semaphore, TryAcquireError};

/// A bounded queue of metrics: one permit a place.
#[derive(Debug)]
pub(super) struct Buffer {
    places: Semaphore,
    waiting: Mutex<VecDeque<Metric>>,
    lost: AtomicU64,
    panicked: AtomicBool,
    /// Where metrics go that find no place.
    pub(super) spill: Option<Spill>,
}

impl Buffer {
    pub(super) fn new(places: usize, spill: Option<Spill>) -> Self {
        Self {
            places: Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: Mutex::default(),
            lost: AtomicU64::new(0),
            panicked: AtomicBool::new(false),
            spill,
        }
    }

    /// Adds a metric, after waiting for a place; how many wait now.
    pub(super) async fn push(&self, metric: Metric) -> Result<usize> {
        self.places.acquire().await.map_err(|_| stopped())?.forget();
        Ok(self.put(metric))
    }

    /// Adds a metric if there is a place, else spills it or counts it as lost; how many wait now.
    pub(super) fn try_push(&self, metric: Metric) -> Result<usize> {
        match self.places.try_acquire() {
            Ok(place) => {
                place.forget();
                Ok(self.put(metric))
            }
            Err(TryAcquireError::NoPermits) => {
                let spilled = self.spill.as_ref().map(|spill| spill.push(&metric)).transpose();
                if !spilled?.unwrap_or(false) {
                    self.lose(1);
                }
                Ok(0)
            }
            Err(TryAcquireError::Closed) => Err(stopped()),
        }
    }

    fn put(&self, metric: Metric) -> usize {
        let mut waiting = self.waiting();
        waiting.push_back(metric);
        waiting.len()
    }

    /// The first metrics, which stay where they are.
    pub(super) fn first(&self, count: usize) -> Vec<Metric> {
        self.waiting().iter().take(count).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Gives the places of the first metrics free: they are written, or lost.
    pub(super) fn remove(&self, count: usize, lost: bool) {
        let removed = {
            let mut waiting = self.waiting();
            let count = count.min(waiting.len());
            waiting.drain(..count).count()
        };
        if lost {
            self.lose(removed);
        }
        self.places.add_permits(removed);
    }

    pub(super) fn lose(&self, count: usize) {
        self.lost.fetch_add(count as u64, Relaxed);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Nobody takes metrics out any more: whoever waits for a place is told.
    pub(super) fn close(&self) {
        self.places.close();
    }

    pub(super) fn left_by_panic(&self) {
        self.panicked.store(true, Relaxed);
    }

    pub(super) fn was_left_by_panic(&self) -> bool {
        self.panicked.load(Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Metric>> {
        // What a panic elsewhere left is still a queue.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
