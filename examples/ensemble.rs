//! Two models as one: trees that learned from data, and a rule that a person can read. They vote;
//! if one of them fails, the other answers alone, and every answer says so.
//!
//! `cargo run --example ensemble`

use async_trait::async_trait;
use mlops::predictor::{PredictRequest, PredictResponse, PredictorInfo};
use mlops::serve::compose::{Arm, Cached, CachedConfig, Ensemble, EnsembleConfig};
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor};
use mlops::tensor::{Tensor, Tensors};
use mlops::{Clock, Error, IdSource, PredictionId, Predictor, RandomIds, Result, SystemClock};
use std::sync::Arc;

const TREES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");

/// Who is between 18 and 65 has work, four times out of five; of the others one in ten has.
#[derive(Debug)]
struct AgeRule(Arc<PredictorInfo>);

#[async_trait]
impl Predictor for AgeRule {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.0)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.0.check(&request, SystemClock.instant())?;
        let people = request.inputs.require("features")?;
        let mut probabilities = Vec::new();
        for person in people.as_slice::<f32>()?.chunks(people.row_len()) {
            match person[0] {
                age if age.is_nan() => return Err(Error::unavailable("the age is not known")),
                18.0..=65.0 => probabilities.extend([0.2_f32, 0.8]),
                _ => probabilities.extend([0.9, 0.1]),
            }
        }
        let given =
            Tensors::one("probabilities", Tensor::from_vec([people.rows(), 2], probabilities)?);
        let id = PredictionId::from_u128(RandomIds.next(SystemClock.now()));
        Ok(PredictResponse::new(id, &self.0, &request, given))
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<()> {
    let session = TabularEngine::new().load_file(TREES, &LoadOptions::default())?;
    let trees = LocalPredictor::open("trees", "2015", session, &LocalConfig::default())?;
    let mut signature = trees.info().signature.clone();
    signature.outputs.retain(|output| output.name.as_ref() == "probabilities");
    let rule = AgeRule(Arc::new(PredictorInfo::new("rule", "1", signature)));

    // Compositions compose: what the trees were asked before is not computed again.
    let trees = Arc::new(Cached::new(Arc::new(trees), CachedConfig::default()));
    // What both give is combined; the trees count for three. One of the two is enough.
    let arms =
        vec![Arm::new("trees", trees.clone()).with_weight(3.0), Arm::new("rule", Arc::new(rule))];
    let config = EnsembleConfig::default().with_outputs(["probabilities"]).with_quorum(Some(1));
    let together = Ensemble::soft_vote("employment", "1", arms, &config)?;

    for age in [35.0, 80.0, f32::NAN, 35.0] {
        // AGEP and 15 more, as examples/data/README.md has them.
        let rest = [21.0, 1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 4.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0];
        let person = Tensor::from_vec([1, 16], [&[age][..], &rest].concat())?;
        let answer =
            together.predict(PredictRequest::new(Tensors::one("features", person))).await?;
        let employed = answer.outputs.require("probabilities")?.as_slice::<f32>()?[1];
        let who = answer.arm.as_deref().unwrap_or("both");
        println!("{age:>4} years: employed with probability {employed:.3}, says {who}");
    }
    let stats = trees.stats();
    println!("the trees: {} computed, {} known before", stats.misses, stats.hits);
    Ok(())
}
