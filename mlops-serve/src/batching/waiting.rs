//! A request that waits, and whoever waits for its answer.

use super::{batch::Seat, queue::Waits};
use mlops_core::{
    Result,
    predictor::{PredictRequest, PredictorInfo},
    signature::TensorSpec,
};
use std::{
    sync::{Arc, Weak},
    time::Instant,
};
use tokio::sync::oneshot;

/// One request in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: PredictRequest,
    /// When it came.
    pub(super) since: Instant,
    rows: usize,
    bytes: usize,
    /// Whether rows of other requests may stand beside its own.
    is_mergeable: bool,
    /// Gone once its caller is.
    caller: Weak<Caller>,
    /// Taken when it has a seat.
    pub(super) reply: Option<oneshot::Sender<Result<Seat>>>,
}

/// Held by whoever waits for an answer.
#[derive(Debug)]
pub(super) struct Caller;

impl Waiting {
    /// A request that was checked against what `info` describes, and what its caller holds.
    pub(super) fn new(
        request: PredictRequest,
        info: &PredictorInfo,
        since: Instant,
    ) -> Result<(Self, Arc<Caller>, oneshot::Receiver<Result<Seat>>)> {
        let (rows, bytes) = (request.inputs.rows()?, request.inputs.size_bytes());
        let signature = &info.signature;
        let is_mergeable = signature.inputs.iter().chain(&signature.outputs).all(has_free_rows);
        let caller = Arc::new(Caller);
        let (reply, seat) = oneshot::channel();
        let weak = Arc::downgrade(&caller);
        let reply = Some(reply);
        Ok((Self { request, since, rows, bytes, is_mergeable, caller: weak, reply }, caller, seat))
    }
}

/// Whether a tensor has as many rows as it is given.
fn has_free_rows(spec: &TensorSpec) -> bool {
    spec.shape.first() == Some(&None)
}

impl Waits for Waiting {
    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn priority(&self) -> u8 {
        self.request.priority
    }

    fn deadline(&self) -> Option<Instant> {
        self.request.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.caller.strong_count() == 0
    }

    fn joins(&self, other: &Self) -> bool {
        let (one, two) = (&self.request, &other.request);
        let fits = |(name, tensor): (&Arc<str>, &mlops_core::tensor::Tensor)| {
            two.inputs.get(name).is_some_and(|other| tensor.stacks_with(other))
        };
        self.is_mergeable
            && other.is_mergeable
            && one.outputs == two.outputs
            && one.parameters == two.parameters
            && one.inputs.len() == two.inputs.len()
            && one.inputs.iter().all(fits)
    }
}
