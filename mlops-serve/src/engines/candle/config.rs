//! The shape of a multi-layer perceptron: what lies beside its weights, in JSON.

use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of the form in JSON.
const VERSION: u32 = 1;
/// Bounds on what a file may ask for.
const MOST_LAYERS: usize = 64;
const WIDEST: usize = 1 << 16;

/// The shape of a multi-layer perceptron, and the names of what it takes and gives.
///
/// It takes one packed input, `float32[-1, width]`; a number that is not finite is `InvalidInput`,
/// for it would silently become another one in a rectifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MlpConfig {
    version: u32,
    /// The name of the input.
    pub input: Arc<str>,
    /// How many numbers a row has.
    pub width: usize,
    /// Their names; empty if they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Arc<str>>,
    /// How many units each hidden layer has, from the input on; none makes a linear model.
    pub hidden: Vec<usize>,
    /// What hidden units do with their sum.
    pub activation: Activation,
    /// What it answers.
    pub task: Task,
    /// The names of the outputs, in the order of [`Task`].
    pub outputs: Vec<Arc<str>>,
}

/// What a hidden unit does with its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x Φ(x), with the normal distribution function itself.
    Gelu,
    /// x / (1 + exp(-x)).
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// What a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Task {
    /// One of so many classes: `label: int64[-1]`, the first of the likeliest, and
    /// `probabilities: float32[-1, classes]`, their softmax.
    Classes(usize),
    /// So many numbers: `prediction: float32[-1, numbers]`.
    Numbers(usize),
}

impl MlpConfig {
    /// Takes `x: float32[-1, width]`; two hidden layers of 64 and 32 rectified units.
    pub fn new(width: usize, task: Task) -> Self {
        let outputs: &[&str] = match task {
            Task::Classes(_) => &["label", "probabilities"],
            Task::Numbers(_) => &["prediction"],
        };
        Self {
            version: VERSION,
            input: "x".into(),
            width,
            columns: Vec::new(),
            hidden: vec![64, 32],
            activation: Activation::Relu,
            task,
            outputs: outputs.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    /// Takes what this describes: its name, width and columns. Its type must be `float32`.
    pub fn for_input(spec: &TensorSpec, task: Task) -> Result<Self> {
        let (DType::F32, [_, Some(width)]) = (spec.dtype, &*spec.shape) else {
            return Err(Error::invalid(format!("a perceptron takes float32[-1, n], not {spec}")));
        };
        let config = Self::new(*width, task).with_input_name(Arc::clone(&spec.name));
        Ok(config.with_columns(spec.columns.iter().cloned()))
    }

    /// Names the input.
    #[must_use]
    pub fn with_input_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.input = name.into();
        self
    }

    /// Names the numbers of a row.
    #[must_use]
    pub fn with_columns<S: Into<Arc<str>>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many units each hidden layer has.
    #[must_use]
    pub fn with_hidden(mut self, hidden: impl Into<Vec<usize>>) -> Self {
        self.hidden = hidden.into();
        self
    }

    /// Sets what hidden units do with their sum.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Names the outputs, in the order of [`Task`].
    #[must_use]
    pub fn with_outputs<S: Into<Arc<str>>>(mut self, outputs: impl IntoIterator<Item = S>) -> Self {
        self.outputs = outputs.into_iter().map(Into::into).collect();
        self
    }

    /// What a model of this shape takes and gives; `InvalidInput` if there can be none.
    pub fn signature(&self) -> Result<ModelSignature> {
        self.check()?;
        let x = TensorSpec::new(Arc::clone(&self.input), DType::F32, [None, Some(self.width)]);
        let specs = match self.task {
            Task::Classes(classes) => {
                vec![(DType::I64, vec![None]), (DType::F32, vec![None, Some(classes)])]
            }
            Task::Numbers(numbers) => vec![(DType::F32, vec![None, Some(numbers)])],
        };
        let named = self.outputs.iter().zip(specs);
        let outputs =
            named.map(|(name, (dtype, shape))| TensorSpec::new(name.clone(), dtype, shape));
        let inputs = vec![x.with_columns(self.columns.iter().cloned())];
        ModelSignature::new(inputs, outputs.collect())
    }

    /// Writes JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|cause| Error::internal(format!("model config: {cause}")).with_source(cause))
    }

    /// Reads JSON; another version is `Unsupported`, a mistake is `InvalidInput` and named.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let bad = |cause: serde_json::Error| {
            Error::invalid(format!("model config: {cause}")).with_source(cause)
        };
        let value: serde_json::Value = serde_json::from_slice(text).map_err(bad)?;
        let version = &value["version"];
        if version.is_u64() && *version != VERSION {
            return Err(Error::unsupported(format!(
                "model config: version {version}, not {VERSION}"
            )));
        }
        let config: Self = serde_json::from_value(value).map_err(bad)?;
        config.signature()?;
        Ok(config)
    }

    /// How many numbers go into and come out of each layer.
    pub(super) fn layers(&self) -> Vec<(usize, usize)> {
        let (Task::Classes(last) | Task::Numbers(last)) = self.task;
        let ends = self.hidden.iter().copied().chain([last]);
        let begins = [self.width].into_iter().chain(self.hidden.iter().copied());
        begins.zip(ends).collect()
    }

    /// The most numbers that a row becomes on its way.
    pub(super) fn widest(&self) -> usize {
        self.layers().iter().map(|(begin, end)| *begin.max(end)).max().unwrap_or(0)
    }

    fn check(&self) -> Result<()> {
        if self.hidden.len() >= MOST_LAYERS {
            let message = format!("a perceptron has at most {MOST_LAYERS} layers");
            return Err(Error::invalid(message));
        }
        let odd = |width: &usize| *width == 0 || *width > WIDEST;
        if self.layers().iter().any(|(begin, end)| odd(begin) || odd(end)) {
            return Err(Error::invalid(format!("a layer has from 1 to {WIDEST} units")));
        }
        let wanted = match self.task {
            Task::Classes(1) => return Err(Error::invalid("there are at least two classes")),
            Task::Classes(_) => 2,
            Task::Numbers(_) => 1,
        };
        if self.outputs.len() != wanted {
            let named = self.outputs.len();
            return Err(Error::invalid(format!("{named} outputs are named, there are {wanted}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_it_and_mistakes_are_named() {
        let config = MlpConfig::new(2, Task::Classes(3))
            .with_columns(["age", "income"])
            .with_activation(Activation::Gelu);
        let text = config.to_json().unwrap();
        assert_eq!(MlpConfig::from_json(text.as_bytes()).unwrap(), config);
        assert_eq!(config.layers(), [(2, 64), (64, 32), (32, 3)]);
        let signature = config.signature().unwrap();
        assert_eq!(signature.outputs[1].to_string(), "probabilities: float32[-1, 3]");

        let why = |from: &str, to: &str| {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            MlpConfig::from_json(changed.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(why("\"version\": 1", "\"version\": 2"), "model config: version 2, not 1");
        assert!(why("gelu", "maxout").contains("unknown variant `maxout`"));
        assert!(why("\"width\"", "\"wide\"").contains("unknown field `wide`"));
        assert_eq!(why("64,", "0,"), "a layer has from 1 to 65536 units");
        assert_eq!(why("\"classes\": 3", "\"classes\": 1"), "there are at least two classes");
        assert_eq!(why("\"classes\"", "\"numbers\""), "2 outputs are named, there are 1");
        assert!(why("\"income\"", "\"income\", \"sex\"").contains("3 named columns"));
        assert!(MlpConfig::from_json(b"[").is_err());
    }
}
