//! A few things that many want in turn: first come, first served.

use super::watch::EVERY;
use crate::engines::Stop;
use mlops_core::{Error, ErrorKind, Result};
use std::{
    collections::VecDeque,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Holds what nobody uses at the moment.
pub(super) struct Pool<T> {
    state: Mutex<State<T>>,
    returned: Condvar,
    max_waiting: usize,
}

struct State<T> {
    free: Vec<T>,
    /// Tickets of those who wait, in the order in which they came.
    waiting: VecDeque<u64>,
    next_ticket: u64,
}

impl<T> Pool<T> {
    pub(super) fn new(free: Vec<T>, max_waiting: usize) -> Self {
        let state = State { free, waiting: VecDeque::new(), next_ticket: 0 };
        Self { state: Mutex::new(state), returned: Condvar::new(), max_waiting }
    }

    /// Takes one, once everybody who came before has had one. `Overloaded` if too many wait; what
    /// `stop` says if it is told to stop meanwhile.
    pub(super) fn take(&self, stop: &Stop) -> Result<Taken<'_, T>> {
        let mut state = self.state();
        if state.waiting.is_empty()
            && let Some(one) = state.free.pop()
        {
            return Ok(Taken { pool: self, one: Some(one) });
        }
        if state.waiting.len() >= self.max_waiting {
            let message = format!("{} calls wait for a session of the model", self.max_waiting);
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            if state.waiting.front() == Some(&ticket)
                && let Some(one) = state.free.pop()
            {
                self.leave(&mut state, ticket);
                return Ok(Taken { pool: self, one: Some(one) });
            }
            if let Err(why) = stop.check() {
                self.leave(&mut state, ticket);
                return Err(why);
            }
            let waited = self.returned.wait_timeout(state, EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits no more; the next may have its turn.
    fn leave(&self, state: &mut State<T>, ticket: u64) {
        state.waiting.retain(|other| *other != ticket);
        if !state.free.is_empty() && !state.waiting.is_empty() {
            self.returned.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "Pool({} free, {} waiting)", state.free.len(), state.waiting.len())
    }
}

/// One of a pool; goes back when dropped.
pub(super) struct Taken<'a, T> {
    pool: &'a Pool<T>,
    /// There until it is dropped.
    one: Option<T>,
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.one.as_ref().expect("it goes back only when dropped")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.one.as_mut().expect("it goes back only when dropped")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.free.extend(self.one.take());
        if !state.waiting.is_empty() {
            self.pool.returned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    /// Until this many wait.
    fn until(pool: &Pool<u8>, waiting: usize) {
        while pool.state().waiting.len() != waiting {
            thread::yield_now();
        }
    }

    #[test]
    fn who_came_first_has_the_first_turn() {
        let pool = Pool::new(vec![7_u8], 8);
        let (stop, (told, turns)) = (Stop::new(), mpsc::channel());
        let first = pool.take(&stop).unwrap();
        thread::scope(|scope| {
            for number in 0..4 {
                let (told, pool, stop) = (told.clone(), &pool, &stop);
                scope.spawn(move || {
                    let taken = pool.take(stop).unwrap();
                    told.send((number, *taken)).unwrap();
                });
                until(pool, number + 1);
            }
            drop(first);
        });
        let turns: Vec<_> = turns.try_iter().collect();
        assert_eq!(turns, [(0, 7), (1, 7), (2, 7), (3, 7)]);
    }

    #[test]
    fn who_leaves_does_not_hold_up_the_others() {
        let pool = Pool::new(vec![7_u8], 8);
        let (stop, gone) = (Stop::new(), Stop::new());
        let first = pool.take(&stop).unwrap();
        thread::scope(|scope| {
            let leaving = scope.spawn(|| pool.take(&gone).map(|taken| *taken));
            until(&pool, 1);
            let waiting = scope.spawn(|| pool.take(&stop).map(|taken| *taken));
            until(&pool, 2);
            gone.stop();
            assert_eq!(leaving.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
            drop(first);
            assert_eq!(waiting.join().unwrap().unwrap(), 7);
        });
    }

    #[test]
    fn no_more_wait_than_may() {
        let pool = Pool::new(vec![7_u8], 0);
        let stop = Stop::new();
        let first = pool.take(&stop).unwrap();
        assert_eq!(pool.take(&stop).map(|_| ()).unwrap_err().kind(), ErrorKind::Overloaded);
        drop(first);
        assert!(pool.take(&stop).is_ok());
    }
}
