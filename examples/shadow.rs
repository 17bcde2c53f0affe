//! A new model on real requests, before anybody depends on it: the old one answers, the new one is
//! asked the same where nobody waits, and somebody compares.
//!
//! `cargo run --example shadow`

use mlops::predictor::PredictRequest;
use mlops::serve::compose::{Shadow, ShadowConfig, ShadowObserver, ShadowPair};
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{InferOptions, LocalConfig, LocalPredictor, Session, SessionInfo};
use mlops::tensor::{Tensor, Tensors};
use mlops::{Predictor, Result};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

const TREES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");

/// What has served so far: whoever is between 18 and 65 has work, four times out of five.
#[derive(Debug)]
struct AgeRule(SessionInfo);

impl Session for AgeRule {
    fn info(&self) -> &SessionInfo {
        &self.0
    }

    fn run(&self, inputs: &Tensors, _: &InferOptions<'_>) -> Result<Tensors> {
        let people = inputs.require("features")?;
        let works = |person: &[f32]| {
            if (18.0..=65.0).contains(&person[0]) { [0.2_f32, 0.8] } else { [0.9, 0.1] }
        };
        let rows = people.as_slice::<f32>()?.chunks(people.row_len());
        let probabilities = Tensor::from_vec([people.rows(), 2], rows.flat_map(works).collect())?;
        Ok(Tensors::one("probabilities", probabilities))
    }
}

/// How far apart the two are, over all requests.
#[derive(Debug, Default)]
struct Apart(Mutex<(f64, u32)>);

impl ShadowObserver for Apart {
    fn observe(&self, pair: ShadowPair<'_>) {
        let employed = |outputs: &Tensors| {
            Some(f64::from(*outputs.get("probabilities")?.as_slice::<f32>().ok()?.get(1)?))
        };
        let shadow = pair.shadow.ok().and_then(|shadow| employed(&shadow.outputs));
        if let (Some(champion), Some(shadow)) = (employed(&pair.champion.outputs), shadow) {
            let mut sum = self.0.lock().expect("nothing in it panics");
            *sum = (sum.0 + (champion - shadow).abs(), sum.1 + 1);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<()> {
    let local = LocalConfig::default();
    let trees = TabularEngine::new().load_file(TREES, &LoadOptions::default())?;
    let mut signature = trees.info().signature.clone();
    signature.outputs.retain(|output| output.name.as_ref() == "probabilities");
    let rule = Arc::new(AgeRule(SessionInfo::new(signature, "rule", 0)));
    let champion = Arc::new(LocalPredictor::open("employment", "1", rule, &local)?);
    let challenger = Arc::new(LocalPredictor::open("employment", "2", trees, &local)?);

    // Half of the requests are copied; at most 64 copies wait, and what finds no room is counted.
    let (apart, config) = (Arc::new(Apart::default()), ShadowConfig::default().with_fraction(0.5));
    let served = Shadow::open(champion, challenger, apart.clone(), config)?;
    for age in 0_u8..96 {
        let rest = [21.0, 1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 4.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0];
        let person = Tensor::from_vec([1, 16], [&[f32::from(age)][..], &rest].concat())?;
        let answer = served.predict(PredictRequest::new(Tensors::one("features", person))).await?;
        assert_eq!(answer.version.as_ref(), "1", "callers see the champion alone");
    }
    while served.stats().answered + served.stats().dropped < served.stats().copied {
        sleep(Duration::from_millis(1)).await; // only this program waits for a shadow
    }
    let (sum, pairs) = *apart.0.lock().expect("nothing in it panics");
    println!("{:?}: {:.3} apart on average", served.stats(), sum / f64::from(pairs));
    Ok(())
}
