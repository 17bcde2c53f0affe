//! Tests of a service that asks a model: no database, no weights, no waiting.
//! `cargo test --example testing` runs them, and so does `cargo run --example testing`.

use mlops::predictor::PredictRequest;
use mlops::signature::{ModelSignature, TensorSpec};
use mlops::tensor::{DType, Tensor, Tensors};
use mlops::testing::{FnPredictor, ManualClock, MemoryStore, SequentialIds};
use mlops::tracker::{Batch, CreateExperiment, CreateRun, Metric, MetricQuery, Tracker};
use mlops::{Clock, Error, ErrorKind, Predictor, Result, RunId, Timestamp};
use std::{sync::Arc, time::Duration};

/// Your service. It knows traits only: in production an `Endpoint`, a `SqlStore`, `SystemClock`.
struct Desk {
    model: Arc<dyn Predictor>,
    record: Arc<dyn Tracker>,
    run: RunId,
    clock: Arc<dyn Clock>,
    last: Option<(Timestamp, f64)>,
}

impl Desk {
    /// Today's interest rate, which holds for a minute; each new one is put on record.
    async fn rate(&mut self) -> Result<f64> {
        let now = self.clock.now();
        match self.last {
            Some((at, rate)) if now.since(at) < Duration::from_mins(1) => return Ok(rate),
            _ => {}
        }
        let market = Tensors::one("market", Tensor::from_vec([1], vec![2.0_f64])?);
        let answer = self.model.predict(PredictRequest::new(market)).await?;
        let rate = answer.outputs.require("rate")?.as_slice::<f64>()?[0];
        let batch = Batch::new().with_metrics(vec![Metric::new("rate", rate, 0, now)]);
        self.record.log_batch(&self.run, batch).await?;
        Ok(self.last.insert((now, rate)).1)
    }
}

/// A desk whose model is a closure, whose record is memory, and whose clock its test moves.
async fn desk(
    model: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<(Desk, Arc<ManualClock>, MemoryStore)> {
    let [market, rate] = ["market", "rate"].map(|name| TensorSpec::column(name, DType::F64));
    let signature = ModelSignature::new(vec![market], vec![rate])?;
    let model = FnPredictor::new("rates", signature, move |inputs| {
        Ok(Tensors::one("rate", model(inputs.require("market")?)?))
    });
    let clock = Arc::new(ManualClock::default()); // 2018, and it stands still
    let record = MemoryStore::with_clock_and_ids(clock.clone(), Arc::new(SequentialIds::default()));
    let experiment = record.create_experiment(CreateExperiment::new("desk")).await?;
    let run = record.create_run(CreateRun::new(experiment.id)).await?.id;
    let (model, store) = (Arc::new(model), Arc::new(record.clone()));
    Ok((Desk { model, record: store, run, clock: clock.clone(), last: None }, clock, record))
}

#[cfg_attr(test, tokio::test)]
#[cfg_attr(not(test), tokio::main(flavor = "current_thread"))]
async fn a_rate_holds_for_a_minute_and_is_on_record() -> Result<()> {
    let (mut desk, clock, record) = desk(|market| Ok(market.clone())).await?;
    for seconds in [0, 59, 1, 30] {
        clock.advance(Duration::from_secs(seconds));
        assert!((desk.rate().await? - 2.0).abs() < 1e-12);
    }
    let history = record.metric_history(MetricQuery::new(desk.run, "rate")).await?.items;
    assert_eq!(history.len(), 2, "asked at the start and after a minute, no sooner");
    assert_eq!(history[1].time.since(history[0].time), Duration::from_mins(1));
    Ok(())
}

#[cfg_attr(test, tokio::test)]
#[cfg_attr(not(test), tokio::main(flavor = "current_thread"))]
async fn a_model_that_is_away_gives_no_rate() -> Result<()> {
    let (mut desk, _, _) = desk(|_| Err(Error::unavailable("the model is away"))).await?;
    assert_eq!(desk.rate().await.map_err(|error| error.kind()), Err(ErrorKind::Unavailable));
    Ok(())
}

fn main() -> Result<()> {
    a_rate_holds_for_a_minute_and_is_on_record()?;
    a_model_that_is_away_gives_no_rate()
}
