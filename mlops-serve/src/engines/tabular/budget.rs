//! How much memory the tensors of one run may take.

use super::ops::nominal_bytes;
use mlops_core::{Error, Result, tensor::Tensor};

/// Bytes that the tensors of one run may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Budget {
    /// At any one time.
    AtATime(u64),
    /// All together, those that were let go included: this bounds what a run does, too.
    Together(u64),
}

impl Budget {
    /// How many bytes may still be taken.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::AtATime(bytes) | Self::Together(bytes) => bytes,
        }
    }

    pub(super) fn take(&mut self, tensor: &Tensor) -> Result<()> {
        let (Self::AtATime(room) | Self::Together(room)) = self;
        *room = room.checked_sub(bytes(tensor)).ok_or_else(|| {
            Error::too_large("the tensors of this call need more memory than a call may use")
        })?;
        Ok(())
    }

    /// A tensor was let go.
    pub(super) fn give_back(&mut self, tensor: &Tensor) {
        if let Self::AtATime(room) = self {
            *room = room.saturating_add(bytes(tensor));
        }
    }
}

/// What a tensor takes; its memory may be shared, and is counted all the same.
pub(super) fn bytes(tensor: &Tensor) -> u64 {
    match tensor.as_bytes() {
        Some(bytes) if !bytes.is_empty() => bytes.len() as u64,
        _ => nominal_bytes(tensor.shape(), tensor.dtype()).unwrap_or(u64::MAX),
    }
}
