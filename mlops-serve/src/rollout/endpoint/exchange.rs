//! One model goes before another comes, for where no two fit in memory.

use super::{Shared, attendant::Attendant, between::Between, follow::Source, status::Live};
use mlops_core::{Error, ErrorKind, Result, registry::ModelVersion};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What exchanges have taught.
#[derive(Debug, Default)]
pub(super) struct Exchanges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Answered last.
    good: Option<ModelVersion>,
    /// Did not come up, and why. Trying it costs the callers of the old model their time.
    bad: Option<(ModelVersion, Error)>,
}

impl Exchanges {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this version is not tried again.
    fn refusal(&self, version: &ModelVersion) -> Option<Error> {
        let known = self.known();
        let (bad, why) = known.bad.as_ref()?;
        (bad.id == version.id && bad.manifest == version.manifest).then(|| why.copy())
    }
}

impl Source {
    /// Frees the old model before the new one is loaded; whoever asks meanwhile waits. If the new one
    /// does not come up the old one comes back, and the new one is not tried again before the registry
    /// has named another.
    pub(super) async fn exchange(
        &self,
        shared: &Shared,
        old: Arc<Live>,
        new: ModelVersion,
    ) -> Result<()> {
        // Without a version there is no model either, and nothing to lose.
        if old.version.is_some()
            && let Some(refusal) = self.exchanges.refusal(&new)
        {
            return Err(refusal);
        }
        let info = old.predictor.info();
        // What can be refused before is refused while the old one answers.
        if let Some(declared) = &new.signature {
            self.loading.admits(Some(&info.signature), declared)?;
        }
        self.have(&new).await?;
        let most = self.config.max_waiting_requests;
        let (between, door) = Between::new(Arc::clone(&info), most);
        shared.put(Arc::new(Live::new(Arc::new(between), None, self.config.clock.now())));
        if let Err((busy, late)) = self.drain(old).await {
            door.open(Arc::clone(&busy.predictor));
            shared.put(busy);
            return Err(late);
        }
        let problem = match self.bring_up(new.clone(), Some(&info.signature)).await {
            Ok(live) => {
                self.exchanges.known().bad = None;
                door.open(Arc::clone(&live.predictor));
                shared.swap(live);
                return Ok(());
            }
            Err(problem) => problem,
        };
        self.exchanges.known().bad = Some((new, problem.copy()));
        let good = self.exchanges.known().good.clone();
        // Without any model, who waits and who comes is `Unavailable` until the next attempt.
        let Some(good) = good else { return Err(problem) };
        let live = self.bring_up(good, None).await?;
        door.open(Arc::clone(&live.predictor));
        shared.put(Arc::new(live));
        Err(problem)
    }

    /// Waits until a model that gets no new requests has finished those it has, and is out of memory.
    async fn drain(&self, live: Arc<Live>) -> Result<(), (Arc<Live>, Error)> {
        let (mut live, mut patience) = (live, self.patience());
        let last = loop {
            match Arc::try_unwrap(live) {
                Ok(last) => break last,
                Err(busy) => live = busy,
            }
            if let Err(late) = patience.wait(&self.attendant).await {
                return Err((live, late));
            }
        };
        if last.version.is_some() {
            self.exchanges.known().good.clone_from(&last.version);
        }
        let loaded = last.loaded();
        // Freeing a model takes a while, and is nothing for the host's threads.
        let free = move || {
            drop(last);
            Ok(())
        };
        if let Err(error) = self.attendant.run(free).await {
            tracing::warn!(%error, "freeing a model failed");
        }
        while loaded.strong_count() > 0 {
            if let Err(late) = patience.wait(&self.attendant).await {
                // Its threads compute for callers who have left: nobody can have it back.
                tracing::warn!(%late, "a model is still in memory");
                break;
            }
        }
        Ok(())
    }

    fn patience(&self) -> Patience {
        let limit = self.config.drain_limit;
        Patience { began: Instant::now(), limit, pause: Duration::from_millis(1) }
    }

    /// Has the package on this machine, verified.
    async fn have(&self, version: &ModelVersion) -> Result<()> {
        let (cache, wanted) = (self.cache.clone(), version.clone());
        let is_here = self.attendant.run(move || Ok(cache.package(&wanted)?.is_some())).await?;
        if is_here { Ok(()) } else { self.fetch(version).await }
    }
}

/// Short waits that become longer, up to a limit together.
struct Patience {
    began: Instant,
    limit: Duration,
    pause: Duration,
}

impl Patience {
    async fn wait(&mut self, attendant: &Attendant) -> Result<()> {
        if self.began.elapsed() >= self.limit {
            let limit = self.limit;
            let text = format!("the old model did not finish its requests within {limit:?}");
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        attendant.pause(self.pause).await?;
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
        Ok(())
    }
}
