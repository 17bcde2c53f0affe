//! What an ensemble needs of its members.

use std::sync::Arc;

/// What an ensemble needs of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsembleConfig {
    /// The outputs of members that are combined; all if `None`.
    pub outputs: Option<Vec<Arc<str>>>,
    /// How many members have to answer; all if `None`.
    pub quorum: Option<usize>,
}

impl EnsembleConfig {
    /// Sets the outputs of members that are combined.
    #[must_use]
    pub fn with_outputs<S: Into<Arc<str>>>(mut self, outputs: impl IntoIterator<Item = S>) -> Self {
        self.outputs = Some(outputs.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how many members have to answer.
    #[must_use]
    pub fn with_quorum(mut self, quorum: Option<usize>) -> Self {
        self.quorum = quorum;
        self
    }
}
