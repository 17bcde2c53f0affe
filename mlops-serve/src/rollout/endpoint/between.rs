//! What answers while there is no model: the old one has gone, and the new one is not there yet.

use async_trait::async_trait;
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

type Next = Option<Arc<dyn Predictor>>;

/// Lets requests wait for the model to come; what still waits when its [`Door`] is dropped is
/// `Unavailable`.
pub(super) struct Between {
    old: Arc<PredictorInfo>,
    next: watch::Receiver<Next>,
    waiting: AtomicUsize,
    most: usize,
}

/// Opened for the model that has come.
pub(super) struct Door(watch::Sender<Next>);

impl Door {
    pub(super) fn open(self, predictor: Arc<dyn Predictor>) {
        self.0.send_replace(Some(predictor));
    }
}

impl Between {
    /// After this model; so many requests may wait.
    pub(super) fn new(old: Arc<PredictorInfo>, most: usize) -> (Self, Door) {
        let (door, next) = watch::channel(None);
        (Self { old, next, waiting: AtomicUsize::new(0), most }, Door(door))
    }

    /// The model that has come.
    async fn next(&self) -> Result<Arc<dyn Predictor>> {
        let mut next = self.next.clone();
        let come = next.wait_for(Option::is_some).await.map(|next| next.clone());
        come.ok().flatten().ok_or_else(|| self.exchanging(ErrorKind::Unavailable, "none is loaded"))
    }

    fn exchanging(&self, kind: ErrorKind, why: &str) -> Error {
        Error::new(kind, format!("model {:?} is being exchanged: {why}", self.old.name))
    }
}

/// One that waits; it counts until it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Between({} waiting)", self.waiting.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Predictor for Between {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.old)
    }

    async fn ready(&self) -> Result<()> {
        Err(self.exchanging(ErrorKind::Unavailable, "none is ready"))
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.waiting);
        if before >= self.most {
            return Err(self.exchanging(ErrorKind::Overloaded, "too many requests wait"));
        }
        let next = self.next().await?;
        drop(place);
        next.predict(request).await
    }
}
