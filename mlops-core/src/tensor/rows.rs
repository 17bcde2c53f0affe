//! Rows put together and taken apart again: what a batcher does to requests and answers.

use super::{Items, Tensor, Tensors, Values};
use crate::{Error, Result};
use arrow_buffer::{MutableBuffer, NullBuffer};
use std::{ops::Range, sync::Arc};

impl Tensor {
    /// The rows of all parts, one after the other, copied. Parts agree on their type and on every
    /// axis but the first, else `InvalidInput`; so is no part at all, and a scalar.
    pub fn concat(parts: &[&Self]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::invalid("no tensors to put together"));
        };
        let mut shape = first.shape.clone();
        for part in parts {
            if !part.stacks_with(first) {
                let (one, other) = (first, part);
                return Err(Error::invalid(format!("{one:?} and {other:?} have no common rows")));
            }
        }
        shape[0] = parts.iter().map(|part| part.shape[0]).sum();
        let joined = match &first.values {
            Values::Fixed(_) => {
                let slices = || parts.iter().filter_map(|part| part.as_bytes());
                // Aligned for every type, which a vector of bytes need not be.
                let mut bytes = MutableBuffer::with_capacity(slices().map(<[u8]>::len).sum());
                slices().for_each(|slice| bytes.extend_from_slice(slice));
                Self::fixed(first.dtype, shape, bytes.into())
            }
            Values::Variable(_) => {
                let mut items = Vec::new();
                for part in parts {
                    items.extend(part.byte_strings()?);
                }
                Self::variable(first.dtype, shape, items.into_iter())
            }
        };
        joined?.with_nulls(joined_nulls(parts))
    }

    /// These rows; of fixed-size elements without a copy. `InvalidInput` if there are not so many,
    /// or for a scalar.
    pub fn slice_rows(&self, rows: Range<usize>) -> Result<Self> {
        let has = self.shape.first().copied();
        if rows.start > rows.end || has.is_none_or(|has| rows.end > has) {
            return Err(Error::invalid(format!("{self:?} has no rows {rows:?}")));
        }
        let width = self.row_len();
        let (start, count) = (rows.start * width, rows.len() * width);
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        let part = match &self.values {
            Values::Fixed(buffer) => {
                let size = self.dtype.size().unwrap_or(1);
                let bytes = buffer.slice_with_length(start * size, count * size);
                Self::fixed(self.dtype, shape, bytes)
            }
            Values::Variable(items) => {
                let Items { offsets, bytes } = &**items;
                // By position: walking there would make slicing row by row quadratic.
                let ends = &offsets[start..=start + count];
                let items = ends.windows(2).map(|pair| {
                    let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
                    &bytes.as_slice()[at(pair[0])..at(pair[1])]
                });
                Self::variable(self.dtype, shape, items)
            }
        };
        part?.with_nulls(self.nulls.as_ref().map(|nulls| nulls.slice(start, count)))
    }

    /// These rows, in this order, each as often as it is named, copied. `InvalidInput` if one is not
    /// there, or for a scalar.
    pub fn take_rows(&self, rows: &[usize]) -> Result<Self> {
        let has = self.shape.first().copied();
        if let Some(at) = rows.iter().find(|&&at| has.is_none_or(|has| at >= has)) {
            return Err(Error::invalid(format!("{self:?} has no row {at}")));
        }
        if has.is_none() {
            return Err(Error::invalid(format!("{self:?} has no rows")));
        }
        let width = self.row_len();
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        let taken = match &self.values {
            Values::Fixed(buffer) => {
                let size = width * self.dtype.size().unwrap_or(1);
                let mut bytes = MutableBuffer::with_capacity(rows.len() * size);
                for at in rows {
                    bytes.extend_from_slice(&buffer[at * size..(at + 1) * size]);
                }
                Self::fixed(self.dtype, shape, bytes.into())
            }
            Values::Variable(items) => {
                let Items { offsets, bytes } = &**items;
                let at = |index: usize| usize::try_from(offsets[index]).unwrap_or(0);
                let of_row = |row: &usize| row * width..(row + 1) * width;
                let taken: Vec<&[u8]> = rows
                    .iter()
                    .flat_map(of_row)
                    .map(|index| &bytes.as_slice()[at(index)..at(index + 1)])
                    .collect();
                Self::variable(self.dtype, shape, taken.into_iter())
            }
        };
        let nulls = self.nulls.as_ref().map(|nulls| {
            let flags = rows.iter().flat_map(|row| row * width..(row + 1) * width);
            flags.map(|at| nulls.is_valid(at)).collect::<Vec<_>>().into()
        });
        taken?.with_nulls(nulls)
    }

    /// Memory that the elements take, in bytes.
    pub fn size_bytes(&self) -> usize {
        match &self.values {
            Values::Fixed(buffer) => buffer.len(),
            Values::Variable(items) => items.bytes.len() + size_of_val(&items.offsets[..]),
        }
    }

    /// Whether rows of the one could follow rows of the other.
    pub fn stacks_with(&self, other: &Self) -> bool {
        self.dtype == other.dtype
            && !self.shape.is_empty()
            && self.shape.get(1..) == other.shape.get(1..)
            && !other.shape.is_empty()
    }
}

fn joined_nulls(parts: &[&Tensor]) -> Option<NullBuffer> {
    parts.iter().any(|part| part.nulls.is_some()).then(|| {
        let valid = parts.iter().flat_map(|part| {
            let nulls = part.nulls.as_deref();
            (0..part.len()).map(move |at| nulls.is_none_or(|nulls| nulls.is_valid(at)))
        });
        valid.collect::<Vec<_>>().into()
    })
}

impl Tensors {
    /// The rows of all parts, one after the other, under the names of the first part and in its
    /// order. `InvalidInput` names the tensor that another part lacks, or that does not fit.
    pub fn concat(parts: &[&Self]) -> Result<Self> {
        let Some(first) = parts.first() else { return Ok(Self::new()) };
        let mut all = Self::new();
        for (name, _) in first.iter() {
            let own: Vec<&Tensor> =
                parts.iter().map(|part| part.require(name)).collect::<Result<_>>()?;
            let joined = Tensor::concat(&own);
            all.push(Arc::clone(name), joined.map_err(|error| error.context(name.to_string()))?)?;
        }
        Ok(all)
    }

    /// These rows of every tensor; `InvalidInput` names one with fewer.
    pub fn slice_rows(&self, rows: Range<usize>) -> Result<Self> {
        let mut some = Self::new();
        for (name, tensor) in self.iter() {
            let part = tensor.slice_rows(rows.clone());
            some.push(Arc::clone(name), part.map_err(|error| error.context(name.to_string()))?)?;
        }
        Ok(some)
    }

    /// These rows of every tensor, in this order; `InvalidInput` names a tensor that lacks one.
    pub fn take_rows(&self, rows: &[usize]) -> Result<Self> {
        let mut some = Self::new();
        for (name, tensor) in self.iter() {
            let part = tensor.take_rows(rows);
            some.push(Arc::clone(name), part.map_err(|error| error.context(name.to_string()))?)?;
        }
        Ok(some)
    }

    /// Memory that the elements take, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.iter().map(|(_, tensor)| tensor.size_bytes()).sum()
    }
}
