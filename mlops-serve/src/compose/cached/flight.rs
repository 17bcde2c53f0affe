//! Questions that are being asked.

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use mlops_core::{Error, ErrorKind, digest::Digest, predictor::PredictResponse};
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

pub(super) type Answer = Result<Arc<PredictResponse>, Arc<Failure>>;

/// Whoever polls it drives it; it ends when nobody waits any more.
pub(super) type Answering = Shared<BoxFuture<'static, Answer>>;

/// An error that several callers get: the first the error itself, the others copies.
pub(super) struct Failure {
    kind: ErrorKind,
    message: Cow<'static, str>,
    error: Mutex<Option<Error>>,
}

impl Failure {
    pub(super) fn new(error: Error) -> Arc<Self> {
        let (kind, message) = (error.kind(), error.to_string().into());
        Arc::new(Self { kind, message, error: Mutex::new(Some(error)) })
    }

    pub(super) fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(super) fn take(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn copy(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
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

    /// One that asks the same and gives up no later.
    pub(super) fn join(&self, key: &Digest, deadline: Option<Instant>) -> Option<Answering> {
        let known = self.known();
        let flight = known.flights.get(key)?;
        let in_time = match (flight.deadline, deadline) {
            (_, None) => true,
            (Some(theirs), Some(own)) => theirs <= own,
            (None, Some(_)) => false,
        };
        in_time.then(|| flight.answering.upgrade()).flatten()
    }

    /// Lets others join until it ends, or until nobody waits for it.
    pub(super) fn begin(
        &self,
        key: Digest,
        deadline: Option<Instant>,
        asking: impl Future<Output = Answer> + Send + 'static,
    ) -> Answering {
        let mut known = self.known();
        known.last += 1;
        let number = known.last;
        let landing = Landing { flights: self.clone(), key, number };
        let answering = async move {
            // Captured, so that it is dropped with the future even if that was never polled.
            let _landing = landing;
            asking.await
        };
        let answering = answering.boxed().shared();
        if let Some(weak) = answering.downgrade() {
            known.flights.insert(key, Flight { number, deadline, answering: weak });
        }
        answering
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
