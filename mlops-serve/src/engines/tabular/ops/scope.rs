//! What a kernel is given for one call: its inputs, the flag that stops it, the memory left.

use super::super::{budget::Budget, onnx::Label};
use mlops_core::{
    Error, Result,
    tensor::{DType, Tensor},
};

use crate::engines::Stop;

/// How many rows are computed between two looks at the flag.
const ROWS_BETWEEN_LOOKS: usize = 256;

/// Bytes that an element of text is taken for before it is made.
const TEXT_BYTES: usize = 16;

/// What a tensor of this shape is taken to need. An axis of no length counts as one, so that
/// whoever walks the others does not walk for ever; `None` is more than can be counted.
pub(crate) fn nominal_bytes(shape: &[usize], dtype: DType) -> Option<u64> {
    let size = u64::try_from(dtype.size().unwrap_or(TEXT_BYTES)).ok()?;
    let mut lengths = shape.iter().map(|&axis| u64::try_from(axis.max(1)).ok());
    lengths.try_fold(size, |bytes, axis| bytes.checked_mul(axis?))
}

/// The surroundings of one kernel in one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    label: &'a Label,
    stop: &'a Stop,
    /// Bytes that its outputs may take.
    room: Budget,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(label: &'a Label, stop: &'a Stop, room: Budget) -> Self {
        Self { label, stop, room }
    }

    /// The flag that stops the call.
    pub(super) fn stop(&self) -> &'a Stop {
        self.stop
    }

    /// What is left for a graph inside of this node.
    pub(super) fn room(&self) -> Budget {
        self.room
    }

    /// `Cancelled` or `TimedOut` if the call is to stop; looks only every few hundred rows.
    pub(super) fn at_row(&self, row: usize) -> Result<()> {
        if row.is_multiple_of(ROWS_BETWEEN_LOOKS) { self.stop.check() } else { Ok(()) }
    }

    /// The number of elements of an output about to be made; `TooLarge` if there is no room.
    pub(super) fn count(&self, shape: &[usize], dtype: DType) -> Result<usize> {
        if nominal_bytes(shape, dtype).is_none_or(|bytes| bytes > self.room.bytes()) {
            return Err(Error::too_large(format!(
                "{}: an output of shape {shape:?} and type {dtype} needs more memory than a call may use",
                self.label
            )));
        }
        Ok(shape.iter().product())
    }

    /// An error about the inputs of this call.
    pub(super) fn invalid(&self, why: impl std::fmt::Display) -> Error {
        Error::invalid(format!("{}: {why}", self.label))
    }

    /// An error about something that the kernel does not do.
    pub(super) fn unsupported(&self, why: impl std::fmt::Display) -> Error {
        Error::unsupported(format!("{}: {why}, which is not supported", self.label))
    }

    /// A tensor of at most two axes as rows of columns. One axis is a single row, as in ONNX
    /// Runtime.
    pub(super) fn rows(&self, tensor: &Tensor) -> Result<(usize, usize)> {
        match *tensor.shape() {
            [columns] => Ok((1, columns)),
            [rows, columns] => Ok((rows, columns)),
            ref shape => Err(self.unsupported(format!("an input of {} axes", shape.len()))),
        }
    }

    /// A negative axis counts from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let bad = || self.invalid(format!("axis {axis} of an input of {rank} axes"));
        from_either_end(axis, rank).ok_or_else(bad)
    }

    /// Positions on an axis of this length, which may count from the end. They are a caller's values: the
    /// message says which is wrong, not what it is.
    pub(super) fn positions(&self, given: &[i64], length: usize) -> Result<Vec<usize>> {
        let one = |(at, &index): (usize, &i64)| {
            from_either_end(index, length).ok_or_else(|| {
                self.invalid(format!("element {at} is no position on an axis of length {length}"))
            })
        };
        given.iter().enumerate().map(one).collect()
    }
}

fn from_either_end(index: i64, length: usize) -> Option<usize> {
    let from_start = if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok()
    };
    from_start.filter(|&index| index < length)
}

/// The inputs of one kernel in one call; how many there may be was checked when it was built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a>(&'a [Option<&'a Tensor>]);

impl<'a> Inputs<'a> {
    pub(crate) fn new(inputs: &'a [Option<&'a Tensor>]) -> Self {
        Self(inputs)
    }

    /// The input at this place.
    pub(super) fn at(&self, place: usize) -> Result<&'a Tensor> {
        // Only optional inputs may be absent, and they are read by `optional`.
        self.optional(place).ok_or_else(|| Error::internal(format!("input {place} is absent")))
    }

    /// The input at this place, unless it is left out.
    pub(super) fn optional(&self, place: usize) -> Option<&'a Tensor> {
        self.0.get(place).copied().flatten()
    }

    /// Every input that is not left out.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Tensor> {
        self.0.iter().copied().flatten()
    }
}
