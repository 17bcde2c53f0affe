//! From a tracker to a run that this process works on.

use super::{ActiveRun, RunOptions};
use crate::{
    Error, ErrorKind, Result, Tracker,
    page::Search,
    tracker::{CreateExperiment, CreateRun, Experiment, Run},
};
use async_trait::async_trait;
use std::sync::Arc;

/// What everybody does with a tracker.
#[async_trait]
pub trait TrackerExt {
    /// The experiment of this name, created if it is not there. A deleted one is `Conflict`.
    async fn experiment(&self, name: &str) -> Result<Experiment>;

    /// Starts a run of the experiment of this name, which is created if it is not there.
    ///
    /// # Behavior
    /// - a run that the options' key names and that has ended is `Conflict`
    async fn start_run(&self, experiment: &str, options: RunOptions) -> Result<ActiveRun>;
}

#[async_trait]
impl<T: Tracker + ?Sized + 'static> TrackerExt for Arc<T> {
    async fn experiment(&self, name: &str) -> Result<Experiment> {
        if let Some(found) = find(self, name).await? {
            return Ok(found);
        }
        match self.create_experiment(CreateExperiment::new(name)).await {
            // Somebody else was faster, or it is deleted and keeps its name.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let deleted = || Error::conflict(format!("experiment {name:?} is deleted"));
                find(self, name).await?.ok_or_else(deleted)
            }
            created => created,
        }
    }

    async fn start_run(&self, experiment: &str, options: RunOptions) -> Result<ActiveRun> {
        let run = create(self, experiment, &options).await?;
        begin(Arc::new(Self::clone(self)), run, options).await
    }
}

/// A run of the experiment of this name; one that there is already if the options' key names it.
pub(crate) async fn create<T: Tracker + ?Sized + 'static>(
    tracker: &Arc<T>,
    experiment: &str,
    options: &RunOptions,
) -> Result<Run> {
    let experiment = TrackerExt::experiment(tracker, experiment).await?;
    let mut new = CreateRun::new(experiment.id);
    let RunOptions { name, tags, parent, idempotency_key, .. } = options.clone();
    new.tags = tags;
    new.tags.insert("mlops.seed".to_owned(), options.seed.to_string());
    (new.name, new.parent, new.idempotency_key) = (name, parent, idempotency_key);
    new.started = Some(options.clock.now());
    tracker.create_run(new).await
}

/// Works on a run, which must not have ended.
pub(crate) async fn begin(
    tracker: Arc<dyn Tracker>,
    run: Run,
    options: RunOptions,
) -> Result<ActiveRun> {
    if run.status.is_final() {
        return Err(Error::conflict(format!("run {} has ended already", run.id)));
    }
    match tracker.renew_lease(&run.id, options.lease).await {
        Err(error) if error.kind() != ErrorKind::Unsupported => Err(error),
        _ => ActiveRun::begin(tracker, run, options),
    }
}

async fn find<T: Tracker + ?Sized>(tracker: &T, name: &str) -> Result<Option<Experiment>> {
    let mut search = Search::new().with_filter(format!("name = '{}'", name.replace('\'', "''")));
    loop {
        let page = tracker.experiments(search.clone()).await?;
        if let Some(found) = page.items.into_iter().find(|found| found.name.as_ref() == name) {
            return Ok(Some(found));
        }
        match page.next {
            Some(next) => search = search.with_page(Some(next)),
            None => return Ok(None),
        }
    }
}
