//! How often a caller may ask.

use super::Denied;
use mlops_core::{Error, ErrorKind, Result};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many requests of each caller, each of any number of rows.
///
/// A bucket of tokens for each caller: a request takes one, `per_second` of them come back each
/// second, and no more than `burst` are there at a time. Callers are told apart by the name of their
/// [`Principal`](mlops_core::Principal); where nobody is asked for credentials all share one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests a second in the long run; a positive number.
    pub per_second: f64,
    /// Requests at once, after a rest; at least 1.
    pub burst: u32,
    /// Callers that are remembered at a time; another one is `Overloaded` until some have rested.
    pub max_callers: usize,
}

impl RateLimit {
    /// So many a second, as many of them at once (at least 1), for 10,000 callers at a time.
    /// `InvalidInput` if it is not a positive number.
    pub fn new(per_second: f64) -> Result<Self> {
        if !per_second.is_finite() || per_second <= 0.0 {
            let text = format!("a rate of {per_second} requests a second is not a positive number");
            return Err(Error::invalid(text));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive; above the range `as` gives the largest, as meant"
        )]
        let burst = per_second.ceil() as u32;
        Ok(Self { per_second, burst, max_callers: 10_000 })
    }

    /// Requests at once; at least 1.
    #[must_use]
    pub fn with_burst(mut self, burst: u32) -> Self {
        self.burst = burst.max(1);
        self
    }

    /// Callers that are remembered at a time.
    #[must_use]
    pub fn with_max_callers(mut self, callers: usize) -> Self {
        self.max_callers = callers;
        self
    }
}

/// The buckets.
#[derive(Debug)]
pub(in super::super) struct Limiter {
    limit: RateLimit,
    buckets: Mutex<HashMap<Arc<str>, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Limiter {
    pub(in super::super) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: Mutex::default() }
    }

    /// Takes a token of this caller's; `Overloaded` if none is left.
    pub(super) fn take(&self, caller: &str, now: Instant) -> Result<(), Denied> {
        // Nothing panics while it is held.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(caller) {
            bucket.tokens = self.now_in(*bucket, now);
            bucket.at = now;
            if bucket.tokens < 1.0 {
                let wait = (1.0 - bucket.tokens) / self.limit.per_second;
                return Err(too_often(wait));
            }
            bucket.tokens -= 1.0;
            return Ok(());
        }
        if buckets.len() >= self.limit.max_callers {
            // A full bucket is as good as none.
            let full = f64::from(self.limit.burst);
            buckets.retain(|_, bucket| self.now_in(*bucket, now) < full);
        }
        if buckets.len() >= self.limit.max_callers {
            let message = "too many callers ask at the same time";
            return Err(Error::new(ErrorKind::Overloaded, message).into());
        }
        let tokens = f64::from(self.limit.burst) - 1.0;
        buckets.insert(caller.into(), Bucket { tokens, at: now });
        Ok(())
    }

    fn now_in(&self, bucket: Bucket, now: Instant) -> f64 {
        let rest = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + rest * self.limit.per_second).min(f64::from(self.limit.burst))
    }
}

fn too_often(wait: f64) -> Denied {
    let wait = Duration::try_from_secs_f64(wait).map_or(u64::MAX, |wait| wait.as_secs() + 1);
    let message = format!("more requests than this caller may send: again in {wait} s");
    Denied { error: Error::new(ErrorKind::Overloaded, message), wait: Some(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_caller_has_a_bucket_and_rested_ones_are_forgotten() {
        let limit = RateLimit::new(0.5).unwrap().with_burst(2).with_max_callers(2);
        let (limiter, start) = (Limiter::new(limit), Instant::now());
        let take = |caller: &str, seconds: u64| {
            let taken = limiter.take(caller, start + Duration::from_secs(seconds));
            taken.map_err(|denied| denied.error.to_string())
        };
        assert!(take("a", 0).is_ok() && take("a", 0).is_ok() && take("b", 0).is_ok());
        let often = "more requests than this caller may send: again in 3 s";
        assert_eq!(take("a", 0), Err(often.to_owned()));
        assert_eq!(take("c", 0), Err("too many callers ask at the same time".to_owned()));
        assert!(take("a", 2).is_ok() && take("a", 2).is_err());
        assert!(take("c", 3).is_ok(), "b has rested");
        assert!(take("b", 3).is_err());
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(RateLimit::new(rate).is_err());
        }
        assert_eq!(RateLimit::new(0.1).unwrap().burst, 1);
        assert_eq!(RateLimit::new(1e30).unwrap().burst, u32::MAX);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_burst_and_rate(
            waits in prop::collection::vec(0..2000_u64, 1..200),
            rate in 0.5..50.0_f64,
            burst in 1..10_u32,
        ) {
            let limiter = Limiter::new(RateLimit::new(rate).unwrap().with_burst(burst));
            let start = Instant::now();
            let (mut at, mut taken) = (0, Vec::new());
            for wait in waits {
                at += wait;
                if limiter.take("", start + Duration::from_millis(at)).is_ok() {
                    taken.push(at);
                }
            }
            for (first, &from) in taken.iter().enumerate() {
                for (count, &to) in taken[first..].iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                    let (count, seconds) = ((count + 1) as f64, (to - from) as f64 / 1000.0);
                    prop_assert!(count <= f64::from(burst) + seconds * rate + 1e-6);
                }
            }
        }
    }
}
