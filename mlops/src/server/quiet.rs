//! Connections whose client asks nothing are shown out, without a timer for each request: to set one and
//! to stop it again is a tenth of what a server of a small model does.

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::Response,
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::{HttpService, Service, service_fn},
};
use hyper_util::service::TowerToHyperService;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::AbortHandle,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::io::InspectWriter;

/// Within the limit all connections are looked at so often: one is closed at most a quarter too late.
const LOOKS: u32 = 4;
/// Connections that ended are forgotten at the next look, or once they may be as many as those that did not.
const FEW: usize = 64;

/// All connections of a port, of which those end that are quiet for too long.
#[derive(Debug)]
pub(super) struct Quiet {
    looks: Interval,
    connections: Vec<Watched>,
    forget_at: usize,
}

#[derive(Debug)]
struct Watched {
    /// Gone with its connection.
    activity: Weak<Activity>,
    /// What it had done when it was last looked at.
    seen: Option<Done>,
    quiet: u32,
}

impl Quiet {
    pub(super) fn new(limit: Duration) -> Self {
        let mut looks = interval((limit / LOOKS).max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { looks, connections: Vec::new(), forget_at: FEW }
    }

    /// Ends this task, in which a connection is served, if no request comes in time.
    pub(super) fn watch(&mut self, activity: &Arc<Activity>, task: AbortHandle) {
        // It ends with its task, which it would otherwise keep.
        activity.state().task = Some(task);
        if self.connections.len() >= self.forget_at {
            self.connections.retain(|one| one.activity.strong_count() > 0);
            self.forget_at = FEW.max(2 * self.connections.len());
        }
        self.connections.push(Watched { activity: Arc::downgrade(activity), seen: None, quiet: 0 });
    }

    /// Looks at all, once it is time to.
    pub(super) async fn look(&mut self) {
        self.looks.tick().await;
        self.connections.retain_mut(Watched::stays);
    }
}

impl Watched {
    fn stays(&mut self) -> bool {
        let Some(activity) = self.activity.upgrade() else { return false };
        let mut state = activity.state();
        let done = activity.done(&state);
        let rests = state.answering == 0 && self.seen == Some(done);
        self.quiet = if rests { self.quiet + 1 } else { 0 };
        self.seen = Some(done);
        // A request that comes from now on is not begun.
        state.is_closed = self.quiet >= LOOKS;
        if let Some(task) = state.task.as_ref().filter(|_| state.is_closed) {
            task.abort();
        }
        !state.is_closed
    }
}

/// What a connection is asked, and answers.
#[derive(Debug, Default)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Bytes.
    written: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    answering: u32,
    is_closed: bool,
    task: Option<AbortHandle>,
}

/// All that a connection has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    begun: u64,
    written: u64,
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, state: &State) -> Done {
        Done { begun: state.begun, written: self.written.load(Ordering::Relaxed) }
    }

    /// `None` once the connection is about to end.
    fn begin(self: &Arc<Self>) -> Option<Answering> {
        let mut state = self.state();
        if state.is_closed {
            return None;
        }
        state.begun += 1;
        state.answering += 1;
        drop(state);
        Some(Answering(Arc::clone(self)))
    }

    /// The router, each of whose requests is one of this connection.
    pub(super) fn around(
        self: Arc<Self>,
        app: Router,
    ) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: Send> {
        let app = TowerToHyperService::new(app);
        service_fn(move |request| {
            let answering = self.begin().map(|answering| (answering, app.call(request)));
            async move {
                match answering {
                    Some((answering, answer)) => {
                        answer.await.map(|answer| answering.until_sent(answer))
                    }
                    None => std::future::pending().await,
                }
            }
        })
    }

    /// The stream, whose written bytes are a sign of life: an answer may take long to send.
    pub(super) fn heard<S: AsyncRead + AsyncWrite + Unpin>(
        self: &Arc<Self>,
        stream: S,
    ) -> impl AsyncRead + AsyncWrite + Unpin + use<S> {
        let own = Arc::clone(self);
        InspectWriter::new(stream, move |bytes| {
            own.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
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
        self.0.state().answering -= 1;
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
        let mut tasks = Vec::new();
        let activities: Vec<Arc<Activity>> = (0..4).map(|_| Arc::default()).collect();
        for activity in &activities {
            let task = tokio::spawn(std::future::pending::<()>());
            quiet.watch(activity, task.abort_handle());
            tasks.push(task);
        }
        // The first says nothing, the second asks now and then, the third has asked for something long,
        // the fourth is sent a long answer.
        let _long = activities[2].begin();
        for _ in 0..LOOKS * 3 {
            drop(activities[1].begin());
            activities[3].written.fetch_add(1, Ordering::Relaxed);
            quiet.look().await;
        }
        assert_eq!(quiet.connections.len(), 3);
        assert!(activities[0].begin().is_none() && activities[3].begin().is_some());
        assert!(tasks.remove(0).await.unwrap_err().is_cancelled());
        assert!(tasks.iter().all(|task| !task.is_finished()));
    }

    #[tokio::test]
    async fn connections_that_ended_are_forgotten_before_they_are_many() {
        let mut quiet = Quiet::new(Duration::from_hours(1));
        let open = Arc::<Activity>::default();
        quiet.watch(&open, tokio::spawn(async {}).abort_handle());
        for _ in 0..100 * FEW {
            quiet.watch(&Arc::default(), tokio::spawn(async {}).abort_handle());
            assert!(quiet.connections.len() <= FEW + 1);
        }
    }
}
