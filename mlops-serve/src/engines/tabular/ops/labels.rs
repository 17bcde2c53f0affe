//! The labels of a classifier: numbers or texts, one a class.

use super::Build;
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};
use std::sync::Arc;

/// One label a class, in order.
#[derive(Debug)]
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// From two attributes of which one may be given.
    pub(super) fn read(build: &mut Build<'_>, numbers: &str, texts: &str) -> Result<Self> {
        let (given_numbers, given_texts) = (build.ints(numbers)?, build.texts(texts)?);
        match (given_numbers.is_empty(), given_texts.is_empty()) {
            (false, false) => Err(build.invalid(format!("both {numbers} and {texts} are given"))),
            (_, false) => Ok(Self::Texts(given_texts)),
            _ => Ok(Self::Numbers(given_numbers)),
        }
    }

    /// How many classes there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// The element type of labels.
    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Numbers(_) => DType::I64,
            Self::Texts(_) => DType::Utf8,
        }
    }

    /// The labels of the classes at these places, each below [`Labels::len`].
    pub(super) fn tensor(&self, winners: &[usize]) -> Result<Tensor> {
        match self {
            Self::Numbers(labels) => {
                let chosen: Vec<i64> = winners.iter().map(|&at| labels[at]).collect();
                Tensor::from_vec([winners.len()], chosen)
            }
            Self::Texts(labels) => {
                let chosen: Vec<&str> = winners.iter().map(|&at| labels[at].as_str()).collect();
                Tensor::from_strs([winners.len()], &chosen)
            }
        }
    }

    /// The labels as text, to name columns by.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        match self {
            Self::Numbers(labels) => labels.iter().map(|label| label.to_string().into()).collect(),
            Self::Texts(labels) => labels.iter().map(|label| label.as_str().into()).collect(),
        }
    }
}
