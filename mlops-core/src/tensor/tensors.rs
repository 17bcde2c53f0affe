//! Several tensors under their names.

use super::Tensor;
use crate::{Error, Result};
use std::sync::Arc;

/// Named tensors in declared order; names are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(Vec<(Arc<str>, Tensor)>);

impl Tensors {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// None yet, with room for so many.
    pub fn with_capacity(tensors: usize) -> Self {
        Self(Vec::with_capacity(tensors))
    }

    /// A single tensor.
    pub fn one(name: impl Into<Arc<str>>, tensor: Tensor) -> Self {
        Self(vec![(name.into(), tensor)])
    }

    /// Adds a tensor; a name already there is `InvalidInput`.
    pub fn push(&mut self, name: impl Into<Arc<str>>, tensor: Tensor) -> Result<()> {
        let name = name.into();
        if self.get(&name).is_some() {
            return Err(Error::invalid(format!("tensor {name:?} is given twice")));
        }
        self.0.push((name, tensor));
        Ok(())
    }

    /// Adds a tensor and returns the whole, for building in one expression.
    pub fn with(mut self, name: impl Into<Arc<str>>, tensor: Tensor) -> Result<Self> {
        self.push(name, tensor)?;
        Ok(self)
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(own, _)| own.as_ref() == name).map(|(_, tensor)| tensor)
    }

    /// The tensor of this name; `InvalidInput` says that it is missing.
    pub fn require(&self, name: &str) -> Result<&Tensor> {
        self.get(name).ok_or_else(|| Error::invalid(format!("tensor {name:?} is missing")))
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name, tensor))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of rows that all agree on; `InvalidInput` names one that differs.
    #[inline]
    pub fn rows(&self) -> Result<usize> {
        let [(_, first), others @ ..] = self.0.as_slice() else { return Ok(0) };
        let rows = first.rows();
        if others.iter().all(|(_, other)| other.rows() == rows) {
            Ok(rows)
        } else {
            self.uneven(rows)
        }
    }

    /// Out of the way of [`rows`](Self::rows), which each step of a call asks for.
    #[cold]
    fn uneven(&self, rows: usize) -> Result<usize> {
        let others = self.0.iter().map(|(name, tensor)| (name, tensor.rows()));
        let first = self.0.first().map_or("", |(name, _)| name);
        let told = others
            .filter(|(_, own)| *own != rows)
            .take(1)
            .map(|(name, own)| format!("tensor {name:?} has {own} rows, {first:?} has {rows}"));
        Err(Error::invalid(told.collect::<String>()))
    }
}

impl IntoIterator for Tensors {
    type Item = (Arc<str>, Tensor);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
