//! Connections whose client asks nothing are shown out, without a timer for each request: to set one and
//! to stop it again is a tenth of what a server of a small model does.

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::Response,
};
use futures_util::FutureExt;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::{HttpService, Service, service_fn},
};
use hyper_util::service::TowerToHyperService;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Interval, MissedTickBehavior, interval},
};

/// Within the limit all connections are looked at so often: one is closed at most a quarter too late.
const LOOKS: u32 = 4;

/// All connections of a port, of which those end that are quiet for too long.
#[derive(Debug)]
pub(super) struct Quiet {
    looks: Interval,
    connections: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    activity: Arc<Activity>,
    task: AbortHandle,
    /// Requests that had come when it was last looked at.
    seen: Option<u64>,
    quiet: u32,
}

impl Quiet {
    pub(super) fn new(limit: Duration) -> Self {
        let mut looks = interval((limit / LOOKS).max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { looks, connections: Vec::new() }
    }

    /// Ends this task, in which a connection is served, if no request comes in time.
    pub(super) fn watch(&mut self, activity: Arc<Activity>, task: AbortHandle) {
        self.connections.push(Watched { activity, task, seen: None, quiet: 0 });
    }

    /// Looks at all, once it is time to.
    pub(super) async fn look(&mut self) {
        self.looks.tick().await;
        self.connections.retain_mut(Watched::stays);
    }
}

impl Watched {
    fn stays(&mut self) -> bool {
        let seen = self.activity.rests_after();
        self.quiet = if seen.is_some() && seen == self.seen { self.quiet + 1 } else { 0 };
        self.seen = seen;
        if self.quiet >= LOOKS {
            self.task.abort();
        }
        !self.task.is_finished() && self.quiet < LOOKS
    }
}

/// What a connection has been asked.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    /// How many requests have come, if none is being answered.
    fn rests_after(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Acquire) == ended).then_some(ended)
    }

    fn begin(self: &Arc<Self>) -> Answering {
        self.begun.fetch_add(1, Ordering::Release);
        Answering(Arc::clone(self))
    }

    /// The router, each of whose requests is one of this connection.
    pub(super) fn around(
        self: Arc<Self>,
        app: Router,
    ) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: Send> {
        let app = TowerToHyperService::new(app);
        service_fn(move |request| {
            let answering = self.begin();
            app.call(request).map(|answer| answer.map(|answer| answering.until_sent(answer)))
        })
    }
}

/// A request that came; ended when it is dropped.
#[derive(Debug)]
struct Answering(Arc<Activity>);

impl Answering {
    fn until_sent(self, answer: Response<Body>) -> Response<Answer> {
        answer.map(|body| Answer { body, _answering: self })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// An answer's body; dropped once all of it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_rests_for_the_whole_limit_is_shown_out() {
        let mut quiet = Quiet::new(Duration::from_millis(4));
        let tasks: Vec<_> = (0..3).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
        let activities: Vec<Arc<Activity>> = (0..3).map(|_| Arc::default()).collect();
        for (activity, task) in activities.iter().zip(&tasks) {
            quiet.watch(Arc::clone(activity), task.abort_handle());
        }
        // The first says nothing, the second asks now and then, the third has asked for something long.
        let _long = activities[2].begin();
        for _ in 0..LOOKS * 3 {
            drop(activities[1].begin());
            quiet.look().await;
        }
        assert_eq!(quiet.connections.len(), 2);
        for (number, task) in tasks.into_iter().enumerate() {
            let is_asked = number > 0;
            assert_eq!(quiet.connections.iter().any(|one| one.task.id() == task.id()), is_asked);
            if !is_asked {
                assert!(task.await.unwrap_err().is_cancelled());
            }
        }
    }
}
