//! The network: Devlin, Chang, Lee, Toutanova: BERT, 2018, without what it was trained with.

use super::{
    config::{Activation, Pooling},
    words::Sentence,
};
use candle_core::{D, Device, IndexOp, Result, Tensor};

/// Weights of the network, and how its words become a sentence.
pub(super) struct Bert {
    /// `[vocabulary, width]`, `[positions, width]`, `[types, width]`.
    pub(super) words: Tensor,
    pub(super) positions: Tensor,
    pub(super) types: Tensor,
    pub(super) norm: Norm,
    pub(super) layers: Vec<Layer>,
    pub(super) heads: usize,
    pub(super) activation: Activation,
    pub(super) pooling: Pooling,
    pub(super) normalise: bool,
}

/// One layer: words look at each other, then each is thought over by itself.
pub(super) struct Layer {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attended: Linear,
    pub(super) attended_norm: Norm,
    pub(super) wide: Linear,
    pub(super) narrow: Linear,
    pub(super) norm: Norm,
}

/// `weight: [outputs, inputs]`, `bias: [outputs]`.
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

/// Mean 0 and variance 1 along the last axis, then scaled and moved: Ba, Kiros, Hinton, 2016.
pub(super) struct Norm {
    pub(super) scale: Tensor,
    pub(super) shift: Tensor,
    pub(super) epsilon: f32,
}

/// Texts on their way through the network.
pub(super) struct Block {
    /// `[texts, words, width]`.
    x: Tensor,
    /// `None` if all texts are of one length; else 1 where a word is, `[texts, words]`.
    mask: Option<Tensor>,
}

impl Bert {
    /// Looks words up. Texts that are shorter than the longest are filled with words that no other
    /// word looks at.
    pub(super) fn begin(&self, texts: &[&Sentence]) -> Result<Block> {
        let device = self.words.device();
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let filled = |of: fn(&Sentence) -> &[u32]| {
            let row = |text: &&Sentence| {
                let mut row = of(text).to_vec();
                row.resize(longest, 0);
                row
            };
            let filled: Vec<u32> = texts.iter().flat_map(row).collect();
            Tensor::from_vec(filled, texts.len() * longest, device)
        };
        let words = self.words.index_select(&filled(|text| &text.ids)?, 0)?;
        let types = self.types.index_select(&filled(|text| &text.types)?, 0)?;
        let shape = (texts.len(), longest, self.words.dim(1)?);
        let x = (words + types)?.reshape(shape)?;
        let x = x.broadcast_add(&self.positions.i(..longest)?)?;
        Ok(Block { x: self.norm.apply(&x)?, mask: mask(texts, longest, device)? })
    }

    /// One layer further.
    pub(super) fn through(&self, layer: &Layer, block: Block) -> Result<Block> {
        let Block { x, mask } = block;
        let seen = self.attend(layer, &x, mask.as_ref())?;
        let x = layer.attended_norm.apply(&(layer.attended.apply(&seen)? + x)?)?;
        let wide = self.activation.apply(&layer.wide.apply(&x)?)?;
        let x = layer.norm.apply(&(layer.narrow.apply(&wide)? + x)?)?;
        Ok(Block { x, mask })
    }

    /// Each word becomes a mean of all, weighed by how well they fit: one mean a head.
    fn attend(&self, layer: &Layer, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (texts, words, width) = x.dims3()?;
        let size = width / self.heads;
        let split = |linear: &Linear| {
            let heads = linear.apply(x)?.reshape((texts, words, self.heads, size))?;
            heads.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (split(&layer.query)?, split(&layer.key)?, split(&layer.value)?);
        #[expect(clippy::cast_precision_loss, reason = "a head has at most 2^16 units")]
        let scale = 1.0 / (size as f64).sqrt();
        let mut fit = (query.matmul(&key.t()?)? * scale)?;
        if let Some(mask) = mask {
            // Far below anything else: its exponential is 0.
            let away = ((1.0 - mask)? * f64::from(f32::MIN))?;
            fit = fit.broadcast_add(&away.reshape((texts, 1, 1, words))?)?;
        }
        let seen = candle_nn::ops::softmax_last_dim(&fit)?.matmul(&value)?;
        seen.transpose(1, 2)?.reshape((texts, words, width))
    }

    /// An embedding a text: `[texts, width]`.
    pub(super) fn end(&self, block: &Block) -> Result<Tensor> {
        let Block { x, mask } = block;
        let pooled = match (self.pooling, mask) {
            (Pooling::First, _) => x.i((.., 0))?.contiguous()?,
            (Pooling::Mean, None) => x.mean(1)?,
            (Pooling::Max, None) => x.max(1)?,
            (Pooling::Mean, Some(mask)) => {
                let sum = x.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?;
                sum.broadcast_div(&mask.sum_keepdim(1)?)?
            }
            (Pooling::Max, Some(mask)) => {
                let away = ((1.0 - mask)? * f64::from(f32::MIN))?;
                x.broadcast_add(&away.unsqueeze(2)?)?.max(1)?
            }
        };
        if !self.normalise {
            return Ok(pooled);
        }
        let length = pooled.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        pooled.broadcast_div(&length.maximum(1e-12)?)
    }
}

impl Linear {
    /// Over the last axis.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (texts, words, inputs) = x.dims3()?;
        let outputs = self.weight.dim(0)?;
        let flat = x.reshape((texts * words, inputs))?.matmul(&self.weight.t()?)?;
        flat.broadcast_add(&self.bias)?.reshape((texts, words, outputs))
    }
}

impl Norm {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(&x.contiguous()?, &self.scale, &self.shift, self.epsilon)
    }
}

impl Activation {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gelu => x.gelu_erf(),
            Self::GeluTanh => x.gelu(),
            Self::Relu => x.relu(),
        }
    }
}

fn mask(texts: &[&Sentence], longest: usize, device: &Device) -> Result<Option<Tensor>> {
    if texts.iter().all(|text| text.ids.len() == longest) {
        return Ok(None);
    }
    let row = |text: &&Sentence| {
        let words = text.ids.len();
        (0..longest).map(move |at| if at < words { 1_f32 } else { 0.0 })
    };
    let mask: Vec<f32> = texts.iter().flat_map(row).collect();
    Tensor::from_vec(mask, (texts.len(), longest), device).map(Some)
}
