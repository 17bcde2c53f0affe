//! Questions that are being asked.

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use mlops_core::{Error, digest::Digest, predictor::PredictResponse};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

pub(super) type Answer = Result<Arc<PredictResponse>, Arc<Error>>;

/// Whoever polls it drives it; it ends when nobody waits any more.
pub(super) type Answering = Shared<BoxFuture<'static, Answer>>;

/// A question that waits for its answer.
pub(super) enum Found<T> {
    /// One that asks the same is in the air, and gives up no later.
    Joined(Answering),
    /// It is the first to ask.
    Begun(Answering),
    /// It need not be asked.
    Known(T),
}

/// Those that are in the air, by what they ask. One that nobody waits for is not held here.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    flights: HashMap<Digest, Flight>,
    last: u64,
}

struct Flight {
    number: u64,
    deadline: Option<Instant>,
    answering: WeakShared<BoxFuture<'static, Answer>>,
}

impl Flights {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins one that asks the same, or lets others join this one until it ends or nobody waits for
    /// it; unless the answer is known. One lock: of those that come together, one alone begins.
    pub(super) fn find<T, A: Future<Output = Answer> + Send + 'static>(
        &self,
        key: Digest,
        deadline: Option<Instant>,
        known_already: impl FnOnce() -> Option<T>,
        asking: impl FnOnce() -> A,
    ) -> Found<T> {
        let mut known = self.known();
        if let Some(answering) = known.flights.get(&key).and_then(|flight| flight.join(deadline)) {
            return Found::Joined(answering);
        }
        // One that has just ended has left its answer before it left this map.
        if let Some(answer) = known_already() {
            return Found::Known(answer);
        }
        known.last += 1;
        let number = known.last;
        let landing = Landing { flights: self.clone(), key, number };
        let asking = asking();
        let answering = async move {
            // Captured, so that it is dropped with the future even if that was never polled.
            let _landing = landing;
            asking.await
        };
        let answering = answering.boxed().shared();
        if let Some(weak) = answering.downgrade() {
            known.flights.insert(key, Flight { number, deadline, answering: weak });
        }
        Found::Begun(answering)
    }
}

impl Flight {
    fn join(&self, deadline: Option<Instant>) -> Option<Answering> {
        let in_time = match (self.deadline, deadline) {
            (_, None) => true,
            (Some(theirs), Some(own)) => theirs <= own,
            (None, Some(_)) => false,
        };
        in_time.then(|| self.answering.upgrade()).flatten()
    }
}

/// Takes a flight out when it is over.
struct Landing {
    flights: Flights,
    key: Digest,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut known = self.flights.known();
        // Another one may have begun since nobody waited for this.
        if known.flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            known.flights.remove(&self.key);
        }
    }
}
