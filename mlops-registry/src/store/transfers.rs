//! Whose turn it is to move bytes.
//!
//! A turn is held only while bytes move: an upload that waits for its sender gives it back, and is given
//! up when nothing has come for too long.

use super::config::StoreConfig;
use crate::ArtifactStore;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mlops_core::{
    Error, ErrorKind, Result,
    artifact::{ArtifactRef, ByteStream},
};
use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of one store.
#[derive(Clone, Debug)]
pub(super) struct Transfers {
    turns: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    stalled_after: Duration,
}

impl Transfers {
    pub(super) fn new(config: &StoreConfig) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(config.transfers.max(1))),
            uploads: Arc::new(Semaphore::new(config.uploads.max(1))),
            stalled_after: config.stalled_after,
        }
    }

    /// Waits for a turn at moving bytes that are all at hand.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        acquired(&self.turns).await
    }

    /// Stores what somebody sends. Belongs on the store's thread, which has a timer.
    pub(super) async fn put(
        &self,
        artifacts: ArtifactStore,
        body: ByteStream,
    ) -> Result<ArtifactRef> {
        let _upload = acquired(&self.uploads).await?;
        // Shared, so that it is held to the end of storing and not only of sending.
        let turn = Turn::default();
        let paced = Paced { body, turn: turn.clone(), transfers: self.clone() };
        let pieces = stream::unfold(paced, async |mut paced| Some((paced.next().await?, paced)));
        let artifact = artifacts.put(Box::pin(pieces)).await;
        turn.give_back();
        artifact
    }
}

async fn acquired(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    permit.map_err(|_| Error::internal("turns never end"))
}

/// A turn that is had or not.
#[derive(Clone, Default)]
struct Turn(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Turn {
    async fn take(&self, turns: &Arc<Semaphore>) -> Result<()> {
        let had = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !had {
            let permit = acquired(turns).await?;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        }
        Ok(())
    }

    fn give_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A body that has a turn whenever it gives something.
struct Paced {
    body: ByteStream,
    turn: Turn,
    transfers: Transfers,
}

impl Paced {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        let at_once = poll_fn(|context| Poll::Ready(self.body.poll_next_unpin(context))).await;
        let piece = match at_once {
            Poll::Ready(piece) => piece,
            Poll::Pending => {
                self.turn.give_back();
                let patience = self.transfers.stalled_after;
                match tokio::time::timeout(patience, self.body.next()).await {
                    Ok(piece) => piece,
                    Err(_) => return Some(Err(stalled(patience))),
                }
            }
        };
        match self.turn.take(&self.transfers.turns).await {
            Ok(()) => piece,
            Err(error) => Some(Err(error)),
        }
    }
}

fn stalled(patience: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!("nothing came for {patience:?}: the upload is given up"),
    )
}
