//! The layers, and the two ways through them.

use super::{Activation, MlpConfig, random::SplitMix64};
use candle_core::{Device, Result, Tensor, Var};

/// Weights of a perceptron, from the input on.
#[derive(Clone, Debug)]
pub(super) struct Network {
    layers: Vec<Layer>,
    activation: Activation,
}

/// `weight: [outputs, inputs]`, `bias: [outputs]`.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

impl Network {
    pub(super) fn new(layers: Vec<Layer>, activation: Activation) -> Self {
        Self { layers, activation }
    }

    /// Weights to begin training with, and the variables that they are: uniform with a variance of
    /// 2 / inputs (He, Zhang, Ren, Sun: Delving Deep into Rectifiers, 2015), no bias.
    pub(super) fn random(
        config: &MlpConfig,
        random: &mut SplitMix64,
        device: &Device,
    ) -> Result<(Self, Vec<Var>)> {
        let (mut layers, mut variables) = (Vec::new(), Vec::new());
        for (begin, end) in config.layers() {
            #[expect(clippy::cast_precision_loss, reason = "widths are at most 2^16")]
            let limit = (6.0 / begin as f32).sqrt();
            let weights: Vec<f32> = (0..begin * end).map(|_| random.symmetric(limit)).collect();
            let weight = Var::from_vec(weights, (end, begin), device)?;
            let bias = Var::from_vec(vec![0_f32; end], end, device)?;
            let tensors = (weight.as_tensor().clone(), bias.as_tensor().clone());
            layers.push(Layer { weight: tensors.0, bias: tensors.1 });
            variables.extend([weight, bias]);
        }
        Ok((Self::new(layers, config.activation), variables))
    }

    pub(super) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// From `[rows, width]` to `[rows, outputs]` before the softmax, all rows in one product: fast,
    /// and differentiable. A row's last bits may depend on how many rows there are.
    pub(super) fn together(&self, x: &Tensor) -> Result<Tensor> {
        self.through(x.clone(), |layer, x| x.matmul(&layer.weight.t()?)?.broadcast_add(&layer.bias))
    }

    /// From `[rows, width]` to `[rows, outputs]` before the softmax, each row by itself: the same
    /// product of the same shape for every row, so that its bits do not depend on its company.
    pub(super) fn row_by_row(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        let out = self.through(x.unsqueeze(2)?, |layer, x| {
            let (outputs, inputs) = layer.weight.dims2()?;
            // With the repeated matrix on the left candle multiplies once a row; on the right it
            // would fold all rows into one product.
            let weight = layer.weight.broadcast_as((rows, outputs, inputs))?;
            weight.matmul(&x)?.broadcast_add(&layer.bias.unsqueeze(1)?)
        })?;
        out.squeeze(2)
    }

    fn through(
        &self,
        mut x: Tensor,
        linear: impl Fn(&Layer, Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        for (at, layer) in self.layers.iter().enumerate() {
            x = linear(layer, x)?;
            if at + 1 < self.layers.len() {
                x = self.activation.apply(&x)?;
            }
        }
        Ok(x)
    }
}

impl Activation {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu_erf(),
            Self::Silu => x.silu(),
            Self::Tanh => x.tanh(),
        }
    }
}
