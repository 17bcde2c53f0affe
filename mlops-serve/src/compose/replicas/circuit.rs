//! Which replica is next: counts and times, without waiting and without a clock.

use super::ReplicasConfig;
use crate::breaker::Breaker;
use std::time::Instant;

/// All replicas, and whose turn it is among equals.
#[derive(Debug)]
pub(super) struct State {
    replicas: Vec<Replica>,
    turn: usize,
}

#[derive(Clone, Debug, Default)]
struct Replica {
    /// Requests that it has to answer.
    outstanding: usize,
    breaker: Breaker,
    /// It said so when it was last asked.
    unready: bool,
    asked: Option<Instant>,
}

impl Replica {
    fn word_is_old(&self, now: Instant, config: &ReplicasConfig) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= config.ready_for)
    }
}

impl State {
    pub(super) fn new(count: usize) -> Self {
        Self { replicas: vec![Replica::default(); count], turn: 0 }
    }

    pub(super) fn outstanding(&self) -> impl Iterator<Item = usize> {
        self.replicas.iter().map(|replica| replica.outstanding)
    }

    /// The least outstanding of those that may be asked, beginning with whose turn it is.
    pub(super) fn next(
        &self,
        tried: &[usize],
        now: Instant,
        config: &ReplicasConfig,
    ) -> Option<usize> {
        let count = self.replicas.len();
        let in_turn = (0..count).map(|step| (self.turn + step) % count);
        let may = |at: &usize| {
            let replica = &self.replicas[*at];
            !tried.contains(at) && (!replica.unready || replica.word_is_old(now, config))
        };
        // `min_by_key` gives the first of equals.
        in_turn.filter(may).min_by_key(|&at| {
            let replica = &self.replicas[at];
            (replica.breaker.is_left_alone(now), replica.outstanding)
        })
    }

    /// Gives it a request to answer.
    pub(super) fn begin(
        &mut self,
        tried: &[usize],
        now: Instant,
        config: &ReplicasConfig,
    ) -> Option<usize> {
        let at = self.next(tried, now, config)?;
        self.turn = (at + 1) % self.replicas.len();
        let replica = &mut self.replicas[at];
        replica.outstanding += 1;
        replica.breaker.begin(now);
        Some(at)
    }

    /// Whether it has to be asked if it is ready; from now on somebody does.
    pub(super) fn is_due(&mut self, at: usize, now: Instant, config: &ReplicasConfig) -> bool {
        let replica = &mut self.replicas[at];
        let is_due = replica.word_is_old(now, config);
        if is_due {
            replica.asked = Some(now);
        }
        is_due
    }

    pub(super) fn said(&mut self, at: usize, ready: bool) {
        self.replicas[at].unready = !ready;
    }

    /// It has one request less; `went_well` is `None` if that says nothing of it.
    pub(super) fn end(
        &mut self,
        at: usize,
        went_well: Option<bool>,
        now: Instant,
        config: &ReplicasConfig,
    ) {
        let replica = &mut self.replicas[at];
        replica.outstanding -= 1;
        replica.breaker.end(went_well, now, config.failures, config.cool_down);
    }
}
