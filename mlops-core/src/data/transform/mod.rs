//! Raw columns into the numbers that a model takes: fitted on training data, saved with the model,
//! applied by the same code in training and in serving.

mod fit;
mod fitted;
mod rule;

pub use fitted::FittedTransform;
pub use rule::{Encoding, Nulls, Rule, TransformSpec};
