//! Sentence encoders: texts to embeddings whose cosine says how much they mean the same.
//!
//! What is loaded is a folder as the Python library Sentence Transformers saves it, of a network of
//! the BERT family: `modules.json`, `config.json`, `tokenizer.json`, `model.safetensors`, the config
//! of the pooling and, where they are there, `sentence_bert_config.json` and
//! `config_sentence_transformers.json`. It takes `text: str[-1]` and gives
//! `embedding: float32[-1, width]`.

mod bert;
mod config;
mod files;
mod weights;
mod words;

use super::{CandleEngine, NAME, error::internal};
use crate::engines::{InferOptions, LoadOptions, Session, SessionInfo, Stop};
use bert::Bert;
use candle_core::Device;
use config::{BertConfig, Modules, Pooling, TextConfig};
use files::{CONFIG, Files, MODULES, PROMPTS, TEXT, TOKENIZER, WEIGHTS, joined};
use mlops_core::{
    Error, Result, ResultExt,
    model::{ModelPackage, PackageBuilder},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use rayon::{
    ThreadPool,
    iter::{IntoParallelIterator, ParallelIterator},
    slice::ParallelSlice,
};
use std::{fmt, path::Path, sync::Arc};
use words::{Sentence, Words};

/// How `MLflow` marks a package that holds such a folder, and what the folder is called there.
pub(super) const FLAVOR: &str = "sentence_transformers";
const DATA: &str = "model.sentence_transformer";

/// The names of what it takes and gives.
const TEXTS: &str = "text";
const EMBEDDINGS: &str = "embedding";

/// What the engine decides, whichever encoder it loads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The longest text, in bytes.
    pub(super) max_text_bytes: usize,
    /// How many texts of different lengths are computed in one product, if somebody says.
    pub(super) padded_rows: Option<usize>,
}

/// The same where nobody says: on the processor, where each thread computes a text, and on a device, which has
/// room for many.
const PADDED_ROWS: (usize, usize) = (1, 64);

impl Default for Limits {
    fn default() -> Self {
        Self { max_text_bytes: 1 << 20, padded_rows: None }
    }
}

impl CandleEngine {
    /// Loads a folder of Sentence Transformers.
    ///
    /// # Behavior
    /// - a file that is missing is `NotFound`; a part that is not computed here is `Unsupported`; what
    ///   contradicts itself or the weights is `InvalidInput`; each is named
    /// - a text of more words than the model takes is cut, as the Python library does; one of more
    ///   bytes than [`with_max_text_bytes`](Self::with_max_text_bytes) is `TooLarge`
    pub fn load_encoder(
        &self,
        folder: impl AsRef<Path>,
        options: &LoadOptions,
    ) -> Result<Arc<dyn Session>> {
        let folder = folder.as_ref();
        let within = || format!("loading the encoder in {}", folder.display());
        let session = EncoderSession::load(Files::Folder(folder), self, options);
        Ok(Arc::new(session.context(within)?))
    }

    pub(super) fn load_packaged(
        &self,
        package: &ModelPackage,
        options: &LoadOptions,
    ) -> Result<Arc<dyn Session>> {
        let within = || format!("loading the encoder in {DATA:?}");
        let session = EncoderSession::load(Files::Package(package, DATA), self, options);
        Ok(Arc::new(session.context(within)?))
    }
}

/// A folder of Sentence Transformers as a model package, as `MLflow` lays it out: what a registry
/// takes. Only files that decide the answer are put in.
pub fn encoder_package(folder: impl AsRef<Path>, options: &LoadOptions) -> Result<PackageBuilder> {
    let folder = folder.as_ref();
    let within = || format!("packing the encoder in {}", folder.display());
    packed(Files::Folder(folder), options).context(within)
}

fn packed(files: Files<'_>, options: &LoadOptions) -> Result<PackageBuilder> {
    let modules = Modules::from_json(&files.read(MODULES, options)?).context(|| MODULES)?;
    let network = |name: &str| joined(&modules.transformer, name);
    let config = files.read(&network(CONFIG), options)?;
    let config = BertConfig::from_json(&config).context(|| CONFIG)?;
    let mut builder = PackageBuilder::new()
        .with_flavor(FLAVOR, serde_json::json!({ "pipeline_model_type": "SentenceTransformer" }))?
        .with_signature(&signature(config.hidden_size)?);
    let pooling = joined(&modules.pooling, CONFIG);
    let needed = [network(CONFIG), network(TOKENIZER), network(WEIGHTS), pooling];
    for path in std::iter::once(MODULES.to_owned()).chain(needed) {
        builder = builder.with_file(&joined(DATA, &path), files.read(&path, options)?)?;
    }
    for path in [network(TEXT), PROMPTS.to_owned()] {
        if let Some(bytes) = files.read_if_there(&path, options)? {
            builder = builder.with_file(&joined(DATA, &path), bytes)?;
        }
    }
    Ok(builder)
}

fn signature(width: usize) -> Result<ModelSignature> {
    let texts = TensorSpec::column(TEXTS, DType::Utf8);
    let embeddings = TensorSpec::new(EMBEDDINGS, DType::F32, [None, Some(width)]);
    ModelSignature::new(vec![texts], vec![embeddings])
}

/// A loaded encoder.
struct EncoderSession {
    info: SessionInfo,
    words: Words,
    bert: Bert,
    config: BertConfig,
    padded_rows: usize,
    pool: Arc<ThreadPool>,
    /// Where the network lies.
    device: Device,
    max_working_bytes: u64,
}

impl EncoderSession {
    fn load(files: Files<'_>, engine: &CandleEngine, options: &LoadOptions) -> Result<Self> {
        let limits = engine.limits;
        let modules = Modules::from_json(&files.read(MODULES, options)?).context(|| MODULES)?;
        let network = |name: &str| files.read(&joined(&modules.transformer, name), options);
        let config = BertConfig::from_json(&network(CONFIG)?).context(|| CONFIG)?;
        let pooling = joined(&modules.pooling, CONFIG);
        let read = files.read(&pooling, options)?;
        let pooling = Pooling::from_json(&read, config.hidden_size).context(|| pooling)?;
        if let Some(prompts) = files.read_if_there(PROMPTS, options)? {
            config::check_prompt(&prompts).context(|| PROMPTS)?;
        }
        let text = files.read_if_there(&joined(&modules.transformer, TEXT), options)?;
        let text = text.map_or(Ok(TextConfig::default()), |text| TextConfig::from_json(&text));
        let text = text.context(|| TEXT)?;
        let words = Words::from_json(&network(TOKENIZER)?, &text, &config, limits.max_text_bytes);
        let words = words.context(|| TOKENIZER)?;
        let (device, normalise) = (engine.device()?, modules.normalise);
        let bert = weights::read(&network(WEIGHTS)?, &config, pooling, normalise, &device);
        let bert = bert.context(|| WEIGHTS)?;
        let unsaid = if device.is_cpu() { PADDED_ROWS.0 } else { PADDED_ROWS.1 };
        let padded_rows = limits.padded_rows.unwrap_or(unsaid);
        let info = SessionInfo::new(signature(config.hidden_size)?, NAME, weights::size(&bert));
        let (pool, max_working_bytes) = (engine.pool()?, options.max_working_bytes);
        Ok(Self { info, words, bert, config, padded_rows, pool, device, max_working_bytes })
    }

    /// The words of every text.
    fn cut(&self, texts: &[&str], stop: &Stop) -> Result<Vec<Sentence>> {
        let one = |(row, text): (usize, &&str)| {
            stop.check()?;
            self.words.of(text).context(|| format!("row {row} of input {TEXTS:?}"))
        };
        let numbered: Vec<_> = texts.iter().enumerate().collect();
        self.pool.install(|| numbered.into_par_iter().map(one).collect())
    }

    /// Embeddings, one row after the other. Texts of about one length are computed together: the
    /// longest first, so that no thread begins with them when the others are done.
    fn embed(&self, texts: &[Sentence], stop: &Stop) -> Result<Vec<f32>> {
        let width = self.config.hidden_size;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(texts[*at].ids.len()));
        let one = |block: &[usize]| self.block(block, texts, stop);
        let blocks: Result<Vec<Vec<f32>>> = if self.device.is_cpu() {
            self.pool.install(|| order.par_chunks(self.padded_rows).map(one).collect())
        } else {
            order.chunks(self.padded_rows).map(one).collect()
        };
        let mut all = vec![0_f32; texts.len() * width];
        for (at, row) in order.iter().zip(blocks?.iter().flat_map(|block| block.chunks(width))) {
            all[at * width..(at + 1) * width].copy_from_slice(row);
        }
        Ok(all)
    }

    fn block(&self, rows: &[usize], texts: &[Sentence], stop: &Stop) -> Result<Vec<f32>> {
        let failed = internal("computing an embedding");
        let texts: Vec<&Sentence> = rows.iter().map(|row| &texts[*row]).collect();
        let mut block = self.bert.begin(&texts).map_err(&failed)?;
        for layer in &self.bert.layers {
            stop.check()?;
            block = self.bert.through(layer, block).map_err(&failed)?;
        }
        super::weights::floats(&self.bert.end(&block).map_err(&failed)?)
    }

    /// What a call holds at a time: its answers twice, and on each thread, or on the device, a block between two
    /// layers.
    fn check_size(&self, texts: &[Sentence]) -> Result<()> {
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0) as u64;
        let config = &self.config;
        let (width, wide) = (config.hidden_size as u64, config.intermediate_size as u64);
        let word = 8 * width + 2 * wide + 3 * longest * config.num_attention_heads as u64;
        let rows = self.padded_rows.min(texts.len()) as u64;
        let at_once = if self.device.is_cpu() { self.pool.current_num_threads() } else { 1 };
        let blocks = at_once.min(texts.len()) as u64;
        let needed = (blocks * rows * longest).saturating_mul(word);
        let needed = needed.saturating_add(2 * texts.len() as u64 * width).saturating_mul(4);
        if needed > self.max_working_bytes {
            let rows = texts.len();
            return Err(Error::too_large(format!("{rows} rows need more memory than is allowed")));
        }
        Ok(())
    }
}

impl Session for EncoderSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        let signature = &self.info.signature;
        signature.check_inputs(inputs)?;
        signature.check_outputs(options.outputs.unwrap_or_default())?;
        let texts = self.cut(&inputs.require(TEXTS)?.strs()?, options.stop)?;
        self.check_size(&texts)?;
        let embeddings = self.embed(&texts, options.stop)?;
        if !embeddings.iter().all(|number| number.is_finite()) {
            return Err(Error::invalid("the weights are so large that an answer is not finite"));
        }
        let embeddings = Tensor::from_vec([texts.len(), self.config.hidden_size], embeddings)?;
        let wanted = options.outputs.is_none_or(|outputs| !outputs.is_empty());
        Ok(if wanted { Tensors::one(EMBEDDINGS, embeddings) } else { Tensors::new() })
    }
}

impl fmt::Debug for EncoderSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncoderSession({:?}, {:?})", self.config, self.device.location())
    }
}
