//! Who runs now, who waits, and who runs together: a state machine that knows neither threads nor
//! time, so that tests can try every order of events.
//!
//! ```text
//!   start ── a permit is free and nobody waits ──→ running
//!   push  ── within the bounds ──→ waiting ── dispatch, when a permit is free ──→ running ── finish
//!                                          └─ nobody wants it, or too late ──→ handed back
//! ```
//!
//! A batch that could hold no more need not wait for a permit: a few are handed on ahead.

use super::BatchingConfig;
use std::{collections::VecDeque, time::Instant};

/// What can wait in a [`Queue`].
pub(super) trait Waits {
    /// How many rows it has.
    fn rows(&self) -> usize;
    /// Memory that it holds while it waits, in bytes.
    fn bytes(&self) -> usize;
    /// Higher goes first.
    fn priority(&self) -> u8;
    /// From then on its answer is worth nothing.
    fn deadline(&self) -> Option<Instant>;
    /// Whether nobody waits for its answer any more.
    fn is_abandoned(&self) -> bool;
    /// Whether it can be computed in one call with the other; all that join one join each other.
    fn joins(&self, other: &Self) -> bool;
}

/// Permits that are taken, and what waits for one: what is more urgent first, then what came first.
#[derive(Debug)]
pub(super) struct Queue<T> {
    config: BatchingConfig,
    running: usize,
    waiting: VecDeque<T>,
    rows: usize,
    bytes: usize,
}

/// What a [`Queue`] let go.
#[derive(Debug)]
pub(super) struct Dispatch<T> {
    /// Each has taken a permit.
    pub(super) batches: Vec<Vec<T>>,
    /// What nobody waits for any more, and what came too late.
    pub(super) dropped: Vec<T>,
}

impl<T: Waits> Queue<T> {
    pub(super) fn new(config: BatchingConfig) -> Self {
        Self { config, running: 0, waiting: VecDeque::new(), rows: 0, bytes: 0 }
    }

    /// Takes a permit for a request that need not wait.
    pub(super) fn start(&mut self, width: usize) -> bool {
        let at_once = self.running < width && self.waiting.is_empty();
        self.running += usize::from(at_once);
        at_once
    }

    /// Gives a permit back. [`dispatch`](Self::dispatch) then says what runs next.
    pub(super) fn finish(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a request wait, behind what is as urgent. One that is over a bound is handed back,
    /// after those were dropped that need not wait any longer.
    pub(super) fn push(&mut self, item: T, now: Instant, dropped: &mut Vec<T>) -> Result<(), T> {
        if !self.has_room_for(&item) {
            self.sweep(now, dropped);
        }
        if !self.has_room_for(&item) {
            return Err(item);
        }
        self.rows += item.rows();
        self.bytes += item.bytes();
        let priority = item.priority();
        let behind = self.waiting.iter().rposition(|other| other.priority() >= priority);
        self.waiting.insert(behind.map_or(0, |at| at + 1), item);
        Ok(())
    }

    /// Forms batches while permits are free and requests wait, and whole ones ahead of that. Up to `most`
    /// rows run together.
    pub(super) fn dispatch(&mut self, width: usize, most: usize, now: Instant) -> Dispatch<T> {
        let most = most.min(self.config.max_batch_rows);
        let mut dispatch = Dispatch { batches: Vec::new(), dropped: Vec::new() };
        if self.has_next(width, most) {
            self.sweep(now, &mut dispatch.dropped);
        }
        while self.has_next(width, most)
            && let Some(first) = self.remove(0)
        {
            self.running += 1;
            dispatch.batches.push(self.gather(first, most));
        }
        dispatch
    }

    fn has_next(&self, width: usize, most: usize) -> bool {
        if self.running < width {
            return !self.waiting.is_empty();
        }
        self.running - width < self.config.ahead && self.is_whole(most)
    }

    /// Whether the next batch would hold as much as one may.
    fn is_whole(&self, most: usize) -> bool {
        let Some(first) = self.waiting.front().filter(|_| self.rows >= most) else { return false };
        let mut rows = first.rows();
        let mut others = self.waiting.iter().skip(1).filter(|other| other.joins(first));
        rows >= most
            || others.any(|other| {
                rows = rows.saturating_add(other.rows());
                rows >= most
            })
    }

    /// The first, and those behind it that can run with it, up to the first that is too many.
    fn gather(&mut self, first: T, most: usize) -> Vec<T> {
        let mut rows = first.rows();
        let (mut batch, mut at) = (vec![first], 0);
        while let Some(other) = self.waiting.get(at) {
            if !other.joins(&batch[0]) {
                at += 1;
                continue;
            }
            rows = rows.saturating_add(other.rows());
            // What does not fit is the first of its kind next time: nobody overtakes it for ever.
            if rows > most {
                break;
            }
            batch.extend(self.remove(at));
        }
        batch
    }

    /// One that is over a bound by itself can wait only alone; it would run, if a permit were free.
    fn has_room_for(&self, item: &T) -> bool {
        if self.waiting.is_empty() {
            return true;
        }
        self.waiting.len() < self.config.max_waiting_requests.max(1)
            && self.rows.saturating_add(item.rows()) <= self.config.max_waiting_rows
            && self.bytes.saturating_add(item.bytes()) <= self.config.max_waiting_bytes
    }

    /// Takes out what nobody waits for any more, and what is too late.
    fn sweep(&mut self, now: Instant, dropped: &mut Vec<T>) {
        let mut at = 0;
        while let Some(item) = self.waiting.get(at) {
            if item.is_abandoned() || item.deadline().is_some_and(|deadline| deadline <= now) {
                dropped.extend(self.remove(at));
            } else {
                at += 1;
            }
        }
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let item = self.waiting.remove(at)?;
        self.rows -= item.rows();
        self.bytes -= item.bytes();
        Some(item)
    }
}

#[cfg(test)]
mod tests;
