//! A batch that runs: whoever waits for a part of it drives the whole.

use super::{Permit, Shared, queue::Waits, waiting::Waiting};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared as SharedFuture},
};
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    predictor::{PredictRequest, PredictResponse},
    tensor::Tensors,
};
use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

/// What each member gets; taken once.
type Answers = Mutex<Vec<Option<Result<PredictResponse>>>>;

/// A member's place in a batch. The batch goes on as long as one member is polled, and is given up
/// once all have left.
pub(super) struct Seat {
    answers: SharedFuture<BoxFuture<'static, Arc<Answers>>>,
    number: usize,
}

impl Seat {
    /// Gives each member its own. Nothing runs before one of them is polled.
    pub(super) fn give_out(shared: Arc<Shared>, permit: Permit, mut members: Vec<Waiting>) {
        let replies: Vec<_> = members.iter_mut().map(|member| member.reply.take()).collect();
        let batch = Batch { shared, members };
        let answers = async move {
            let answers = batch.run().await;
            drop(permit);
            answers
        };
        let answers = answers.boxed().shared();
        for (number, reply) in replies.into_iter().enumerate() {
            // Whoever has left meanwhile is seen when the batch begins.
            let _ = reply.map(|reply| reply.send(Ok(Self { answers: answers.clone(), number })));
        }
    }

    pub(super) async fn answer(self) -> Result<PredictResponse> {
        let answers = self.answers.await;
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = answers.get_mut(self.number).and_then(Option::take);
        own.unwrap_or_else(|| Err(Error::internal("a batch has no answer for one of its members")))
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.number)
    }
}

struct Batch {
    shared: Arc<Shared>,
    members: Vec<Waiting>,
}

/// Why members have no answer.
enum Failure {
    /// Perhaps one of them is to blame.
    Error(Error),
    /// What computes panicked; it is not asked again.
    Panic(Error),
}

impl Batch {
    /// Computes everybody's answer: in one call, or, if that fails, in halves, down to whom the
    /// failure belongs to.
    async fn run(self) -> Arc<Answers> {
        let mut answers: Vec<_> = self.members.iter().map(|_| None).collect();
        let mut pending = vec![(0..self.members.len()).collect::<Vec<_>>()];
        while let Some(mut seats) = pending.pop() {
            seats.retain(|&seat| !self.members[seat].is_abandoned());
            if seats.is_empty() {
                continue;
            }
            match self.attempt(&seats).await {
                Ok(responses) => {
                    for (seat, response) in seats.into_iter().zip(responses) {
                        answers[seat] = Some(Ok(response));
                    }
                }
                Err(Failure::Error(error)) if seats.len() > 1 && is_somebodys(&error) => {
                    self.shared.counters.bisected.add(1);
                    let second = seats.split_off(seats.len() / 2);
                    pending.extend([second, seats]);
                }
                Err(Failure::Error(error) | Failure::Panic(error)) => {
                    for seat in seats {
                        answers[seat] = Some(Err(error.copy()));
                    }
                }
            }
        }
        Arc::new(Mutex::new(answers))
    }

    async fn attempt(&self, seats: &[usize]) -> Result<Vec<PredictResponse>, Failure> {
        let members: Vec<&Waiting> = seats.iter().map(|&seat| &self.members[seat]).collect();
        let request = merge(&members).map_err(Failure::Error)?;
        // The host's code: what computes, and where identities come from.
        let computing = async {
            let answer = self.shared.inner.predict(request).await?;
            self.share_out(&members, answer)
        };
        let answered = AssertUnwindSafe(computing).catch_unwind().await.map_err(|_| {
            self.shared.counters.panics.add(1);
            Failure::Panic(Error::internal("what computes a batch panicked"))
        })?;
        answered.map_err(Failure::Error)
    }

    /// To each member its rows, under a name of its own.
    fn share_out(
        &self,
        members: &[&Waiting],
        answer: PredictResponse,
    ) -> Result<Vec<PredictResponse>> {
        if members.len() == 1 {
            return Ok(vec![answer]);
        }
        let total: usize = members.iter().map(|member| member.rows()).sum();
        let given = answer.outputs.rows()?;
        if given != total {
            return Err(Error::internal(format!("a batch of {total} rows was given {given}")));
        }
        let mut from = 0;
        let share = |member: &&Waiting| {
            let rows = from..from + member.rows();
            from = rows.end;
            let mut own = answer.clone();
            own.prediction = self.shared.next_id();
            own.id.clone_from(&member.request.id);
            own.outputs = answer.outputs.slice_rows(rows)?;
            Ok(own)
        };
        members.iter().map(share).collect()
    }
}

/// One request of everybody's rows; that of a single member as it is.
fn merge(members: &[&Waiting]) -> Result<PredictRequest> {
    let mut requests = members.iter().map(|member| &member.request);
    let mut merged = match requests.next() {
        Some(only) if members.len() == 1 => return Ok(only.clone()),
        first => first.cloned().unwrap_or_default(),
    };
    for request in requests {
        // Too late for one is not too late for another.
        merged.deadline = merged.deadline.zip(request.deadline).map(|(one, two)| one.max(two));
        merged.priority = merged.priority.max(request.priority);
    }
    (merged.id, merged.key) = (None, None);
    let inputs: Vec<_> = members.iter().map(|member| &member.request.inputs).collect();
    merged.inputs = Tensors::concat(&inputs)?;
    Ok(merged)
}

/// Whether one request may have caused it; that of the others would then be answered.
fn is_somebodys(error: &Error) -> bool {
    use ErrorKind::{Internal, InvalidInput, TooLarge, Unsupported};
    matches!(error.kind(), InvalidInput | TooLarge | Unsupported | Internal)
}
