//! Callers, each of whom asks again as soon as it was answered.

use super::front::Sample;
use crate::{Error, Predictor, Result, predictor::PredictRequest, tensor::Tensors};
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Asks for so long; what was answered, and how long each answer took its caller.
pub(super) async fn ask(
    predictor: &Arc<dyn Predictor>,
    requests: &Arc<[Tensors]>,
    callers: NonZeroUsize,
    lasts: Duration,
) -> Result<Sample> {
    let began = Instant::now();
    // Dropped at an interruption, which ends all of them.
    let mut set = JoinSet::new();
    for first in 0..callers.get() {
        let (predictor, requests) = (Arc::clone(predictor), Arc::clone(requests));
        set.spawn(async move { caller(&*predictor, &requests, first, began + lasts).await });
    }
    let (mut took, mut rows) = (Vec::new(), 0);
    while let Some(ended) = set.join_next().await {
        let one = ended.map_err(|cause| Error::internal("a caller panicked").with_source(cause))?;
        let (times, answered) = one?;
        took.extend(times);
        rows += answered;
    }
    took.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 rows")]
    let rows_per_second = rows as f64 / began.elapsed().as_secs_f64();
    let at = |percent: usize| {
        let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
        took.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    Ok(Sample { rows_per_second, latency_ms_p50: at(50), latency_ms_p99: at(99) })
}

/// At least one answer of each caller counts, however short the time is.
async fn caller(
    predictor: &dyn Predictor,
    requests: &[Tensors],
    first: usize,
    until: Instant,
) -> Result<(Vec<Duration>, usize)> {
    let (mut took, mut rows) = (Vec::new(), 0);
    for request in requests.iter().cycle().skip(first % requests.len().max(1)) {
        // Waiting for a turn on the processor is a part of waiting for the answer.
        let began = Instant::now();
        tokio::task::yield_now().await;
        predictor.predict(PredictRequest::new(request.clone())).await?;
        took.push(began.elapsed());
        rows += request.rows()?;
        if Instant::now() >= until {
            break;
        }
    }
    Ok((took, rows))
}
