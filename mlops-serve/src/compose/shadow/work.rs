//! Where a shadow is asked.

use super::{Copied, Counters, ShadowObserver, ShadowPair, add};
use crate::compose::arm;
use futures_util::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream,
};
use mlops_core::{Clock, Predictor};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{mpsc, oneshot};

/// What asks the shadow, for the host to spawn on any executor. It ends when its [`Shadow`](super::Shadow) is
/// dropped. While nobody polls it, copies fill the queue.
#[must_use = "nobody asks the shadow unless this is polled"]
pub struct ShadowWork(BoxFuture<'static, ()>);

impl ShadowWork {
    pub(super) fn new(
        asking: Asking,
        copies: mpsc::Receiver<Copied>,
        ended: oneshot::Receiver<()>,
        at_once: usize,
    ) -> Self {
        let work = asking.run(copies, at_once);
        // Nothing is ever sent: it ends by the work, or because the other end is gone.
        Self(future::select(work.boxed(), ended).map(|_| ()).boxed())
    }
}

impl Future for ShadowWork {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for ShadowWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShadowWork")
    }
}

/// What the shadow's side needs.
pub(super) struct Asking {
    pub(super) shadow: Arc<dyn Predictor>,
    pub(super) observer: Arc<dyn ShadowObserver>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Asking {
    async fn run(self, mut copies: mpsc::Receiver<Copied>, at_once: usize) {
        let copies = stream::poll_fn(move |context| copies.poll_recv(context));
        copies.for_each_concurrent(at_once, |copied| self.ask(copied)).await;
    }

    async fn ask(&self, copied: Copied) {
        let Copied { request, champion, took, room } = copied;
        // What is asked waits no longer.
        drop(room);
        let began = self.clock.instant();
        let result = arm::call(&*self.shadow, "the shadow", request.clone()).await;
        let shadow_took = self.clock.instant().saturating_duration_since(began);
        let shadow = result.as_ref();
        let (request, champion, champion_took) = (&request, &champion, took);
        let pair = ShadowPair { request, champion, champion_took, shadow, shadow_took };
        if catch_unwind(AssertUnwindSafe(|| self.observer.observe(pair))).is_err() {
            tracing::warn!("the observer of a shadow panicked");
        }
        // Last, so that whoever has seen it counted knows that it was observed.
        add(if result.is_ok() { &self.counters.answered } else { &self.counters.failed });
        give_way().await;
    }
}

/// Lets the executor do something else: requests may come faster than a shadow that computes where
/// it is polled can be asked.
async fn give_way() {
    let mut gave_way = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
