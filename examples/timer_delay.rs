//! How late a timer of 1 ms is on a thread that also serves a model of 100 ms.
//!
//! `cargo run --release --example timer_delay`; the peer calls the model right where it is asked for.

use mlops::predictor::PredictRequest;
use mlops::serve::{InferOptions, LocalConfig, LocalPredictor, Session, SessionInfo};
use mlops::signature::{ModelSignature, TensorSpec};
use mlops::tensor::{DType, Tensor, Tensors};
use mlops::{Predictor, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(1);
const MODEL: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(5);

/// Computes for 100 ms: it keeps a core busy, as a model does.
#[derive(Debug)]
struct Slow(SessionInfo);

impl Session for Slow {
    fn info(&self) -> &SessionInfo {
        &self.0
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        let until = Instant::now() + MODEL;
        while Instant::now() < until {
            options.stop.check()?;
        }
        Ok(Tensors::one("y", inputs.require("x")?.clone()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let [x, y] = ["x", "y"].map(|name| TensorSpec::column(name, DType::F64));
    let info = SessionInfo::new(ModelSignature::new(vec![x], vec![y])?, "slow", 0);
    let config = LocalConfig::default().with_threads(1);
    let model = LocalPredictor::open("slow", "1", Arc::new(Slow(info)), &config)?;
    let request = PredictRequest::new(Tensors::one("x", Tensor::from_vec([1], vec![1.0_f64])?));

    measure("beside nothing", async { Ok(0) }).await?;
    let served = asked(|| model.predict(request.clone()));
    measure("beside a LocalPredictor of 100 ms", served).await?;
    let inline = asked(|| async { model.predict_now(&request) });
    measure("peer: called on the runtime itself", inline).await
}

/// Asks again and again; how often it was answered.
async fn asked<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<usize> {
    let (began, mut answers) = (Instant::now(), 0);
    while began.elapsed() < LASTS {
        ask().await?;
        answers += 1;
        tokio::task::yield_now().await; // or a model called here would let nothing else run at all
    }
    Ok(answers)
}

/// Prints how late ticks are on this thread while something else is done on it, too.
#[expect(clippy::print_stdout, reason = "it is what this program is for")]
async fn measure(name: &str, beside: impl Future<Output = Result<usize>>) -> Result<()> {
    let ticks = async {
        let (began, mut late) = (Instant::now(), Vec::new());
        while began.elapsed() < LASTS {
            let before = Instant::now();
            tokio::time::sleep(TICK).await;
            late.push(before.elapsed().saturating_sub(TICK));
        }
        late.sort_unstable();
        late
    };
    let (late, answers) = tokio::join!(tokio::spawn(ticks), beside);
    let late = late.expect("nothing in it panics");
    let at = |share: usize| late[(late.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{name:<34} p50 {:.2} p99 {:.2} max {:.2} ms late", at(50), at(99), at(100));
    println!("{:<34} {} ticks, {} answers", "", late.len(), answers?);
    Ok(())
}
