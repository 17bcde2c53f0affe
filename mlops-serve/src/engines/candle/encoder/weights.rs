//! Weights of a BERT, as `transformers` names them.

use super::{
    super::weights::tensor,
    bert::{Bert, Layer, Linear, Norm},
    config::{BertConfig, Pooling},
};
use candle_core::Device;
use mlops_core::{Error, Result};
use safetensors::SafeTensors;
use std::{cell::RefCell, collections::BTreeSet};

/// Reads a network of this shape. What is missing, of another shape, not a float or not finite is
/// `InvalidInput`, and so is a layer more than the config says.
pub(super) fn read(
    bytes: &[u8],
    config: &BertConfig,
    pooling: Pooling,
    normalise: bool,
    device: &Device,
) -> Result<Bert> {
    let file = SafeTensors::deserialize(bytes).map_err(|cause| {
        Error::invalid(format!("the weights are no safetensors: {cause}")).with_source(cause)
    })?;
    let reader = Reader::new(&file, config, device);
    let width = config.hidden_size;
    let table = |name: &str, rows: usize| {
        reader.tensor(&format!("embeddings.{name}_embeddings.weight"), &[rows, width])
    };
    let bert = Bert {
        words: table("word", config.vocab_size)?,
        positions: table("position", config.max_position_embeddings)?,
        types: table("token_type", config.type_vocab_size)?,
        norm: reader.norm("embeddings.LayerNorm")?,
        layers: (0..config.num_hidden_layers).map(|at| reader.layer(at)).collect::<Result<_>>()?,
        heads: config.num_attention_heads,
        activation: config.activation()?,
        pooling,
        normalise,
    };
    reader.check_nothing_left()?;
    Ok(bert)
}

/// Bytes that the weights take.
pub(super) fn size(bert: &Bert) -> u64 {
    let tables = [&bert.words, &bert.positions, &bert.types, &bert.norm.scale, &bert.norm.shift];
    let layers = bert.layers.iter().flat_map(|layer| {
        let linear =
            [&layer.query, &layer.key, &layer.value, &layer.attended, &layer.wide, &layer.narrow];
        let norms = [&layer.attended_norm, &layer.norm];
        let linear = linear.into_iter().flat_map(|linear| [&linear.weight, &linear.bias]);
        linear.chain(norms.into_iter().flat_map(|norm| [&norm.scale, &norm.shift]))
    });
    tables.into_iter().chain(layers).map(|tensor| 4 * tensor.elem_count() as u64).sum()
}

struct Reader<'a> {
    file: &'a SafeTensors<'a>,
    /// Before every name in files of models that do more than this one.
    prefix: &'static str,
    config: &'a BertConfig,
    device: &'a Device,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a SafeTensors<'a>, config: &'a BertConfig, device: &'a Device) -> Self {
        let has = file.names().into_iter().any(|name| name.starts_with("bert.embeddings."));
        let prefix = if has { "bert." } else { "" };
        Self { file, prefix, config, device, read: RefCell::default() }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<candle_core::Tensor> {
        let name = format!("{}{name}", self.prefix);
        let read = tensor(self.file, &name, shape, self.device)?;
        self.read.borrow_mut().insert(name);
        Ok(read)
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        let width = self.config.hidden_size;
        #[expect(clippy::cast_possible_truncation, reason = "single precision is what computes")]
        Ok(Norm {
            scale: self.tensor(&format!("{name}.weight"), &[width])?,
            shift: self.tensor(&format!("{name}.bias"), &[width])?,
            epsilon: self.config.layer_norm_eps as f32,
        })
    }

    fn layer(&self, at: usize) -> Result<Layer> {
        let (width, wide) = (self.config.hidden_size, self.config.intermediate_size);
        let own = |name: &str| format!("encoder.layer.{at}.{name}");
        let square = |name: &str| self.linear(&own(name), width, width);
        Ok(Layer {
            query: square("attention.self.query")?,
            key: square("attention.self.key")?,
            value: square("attention.self.value")?,
            attended: square("attention.output.dense")?,
            attended_norm: self.norm(&own("attention.output.LayerNorm"))?,
            wide: self.linear(&own("intermediate.dense"), width, wide)?,
            narrow: self.linear(&own("output.dense"), wide, width)?,
            norm: self.norm(&own("output.LayerNorm"))?,
        })
    }

    /// Heads that a model was trained with stay unused; anything else would change the answer.
    fn check_nothing_left(&self) -> Result<()> {
        let read = self.read.borrow();
        let unused = |name: &str| {
            let own = name.strip_prefix(self.prefix).unwrap_or(name);
            ["pooler.", "cls.", "embeddings.position_ids"].iter().any(|head| own.starts_with(head))
        };
        let names = self.file.names().into_iter();
        match names.filter(|name| !unused(name)).find(|name| !read.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                Err(Error::invalid(format!("the weights hold {name:?}, which the config does not")))
            }
        }
    }
}
