//! Cells of a table into the model's inputs: as they come, each is added to the JSON text of the input
//! that takes it, so that a table needs little more memory than its bytes.
//!
//! The texts are read as the Open Inference Protocol's are: the same digits give the same bits by
//! either way.

use super::{super::oip, super::oip::Limits, walk::Cursor};
use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use std::{collections::HashMap, fmt::Write as _, sync::Arc};

/// What the model takes of a table, row by row.
pub(super) struct Table<'s> {
    limits: &'s Limits,
    inputs: Vec<Input<'s>>,
    /// The columns that the model takes; others are left out.
    slots: HashMap<String, usize>,
    /// Whether it takes those of the head, whatever they are called.
    takes_all: bool,
    seen: Vec<bool>,
    rows: usize,
    cells: usize,
    max_cells: usize,
}

/// One input, as far as it is filled.
struct Input<'s> {
    spec: &'s TensorSpec,
    /// The columns it is made of, side by side.
    slots: Vec<usize>,
    /// Whether one column's cells are whole rows of it.
    is_whole: bool,
    /// The axes below a row, by the first cell that is not null.
    inner: Option<Vec<usize>>,
    /// An array, not yet closed.
    json: String,
    elements: usize,
    non_finite: String,
}

impl<'s> Table<'s> {
    /// An empty table under this head: the columns of its rows, or of the first if each row has its
    /// own. `bytes` is the length of the text that the cells come from.
    pub(super) fn new(
        signature: &'s ModelSignature,
        limits: &'s Limits,
        head: &[impl AsRef<str>],
        bytes: usize,
    ) -> Self {
        let (inputs, slots) = (Vec::new(), HashMap::new());
        // Cells that a row leaves out take room as well; more of them than bytes is no honest table.
        let max_cells = bytes.saturating_add(4096);
        let (seen, takes_all) = (Vec::new(), false);
        let mut table =
            Self { limits, inputs, slots, takes_all, seen, rows: 0, cells: 0, max_cells };
        let is_only = signature.inputs.len() == 1;
        for spec in &signature.inputs {
            table.add(spec, is_only, head);
        }
        table
    }

    fn add(&mut self, spec: &'s TensorSpec, is_only: bool, head: &[impl AsRef<str>]) {
        let is_there = head.iter().any(|name| name.as_ref() == &*spec.name);
        let packs_all = is_only && packs_unnamed(spec);
        let slots: Vec<usize> = if !is_there && !spec.columns.is_empty() {
            spec.columns.iter().map(|name| self.slot(name)).collect()
        } else if !is_there && packs_all {
            self.takes_all = true;
            head.iter().map(|name| self.slot(name.as_ref())).collect()
        } else {
            vec![self.slot(&spec.name)]
        };
        let is_whole = is_there || (spec.columns.is_empty() && !packs_all);
        let json = String::from("[");
        let (elements, non_finite) = (0, String::new());
        self.inputs.push(Input { spec, slots, is_whole, inner: None, json, elements, non_finite });
    }

    fn slot(&mut self, name: &str) -> usize {
        let next = self.slots.len();
        let slot = *self.slots.entry(name.to_owned()).or_insert(next);
        self.seen.resize(self.slots.len(), false);
        slot
    }

    /// How many cells of a row the model takes.
    pub(super) fn width(&self) -> usize {
        self.seen.len()
    }

    /// Whether the model takes every column of the head: others are then a mistake.
    pub(super) fn takes_all(&self) -> bool {
        self.takes_all
    }

    /// Where the model takes the column of this name.
    pub(super) fn find(&mut self, name: &str) -> Option<usize> {
        let slot = *self.slots.get(name)?;
        self.seen[slot] = true;
        Some(slot)
    }

    /// Where the model takes each column of this head; one that it takes stands there once.
    pub(super) fn find_all(&mut self, head: &[impl AsRef<str>]) -> Result<Vec<Option<usize>>> {
        let mut taken = vec![false; self.width()];
        let mut one = |name: &str| {
            let slot = self.find(name);
            if slot.is_some_and(|slot| std::mem::replace(&mut taken[slot], true)) {
                return Err(Error::invalid(format!("column {name:?} stands there twice")));
            }
            Ok(slot)
        };
        head.iter().map(|name| one(name.as_ref())).collect()
    }

    /// What the column here is read as.
    pub(super) fn dtype(&self, slot: usize) -> DType {
        let takes = |input: &&Input<'_>| input.slots.contains(&slot);
        self.inputs.iter().find(takes).map_or(DType::Utf8, |input| input.spec.dtype)
    }

    /// Adds a row: the cell of each slot, as valid JSON, or one of the words `NaN`, `Infinity` and
    /// `-Infinity`; what is not there is null.
    pub(super) fn push<'c>(&mut self, cell: impl Fn(usize) -> Option<&'c str>) -> Result<()> {
        for input in &mut self.inputs {
            for at in 0..input.slots.len() {
                input.push(cell(input.slots[at]).unwrap_or("null"), self.limits)?;
            }
            self.cells += input.slots.len();
        }
        self.rows += 1;
        if self.cells > self.max_cells {
            return Err(Error::too_large(
                "the rows leave out more cells than the request has bytes",
            ));
        }
        Ok(())
    }

    /// The inputs; a column that no row had is named.
    pub(super) fn finish(self) -> Result<Tensors> {
        let mut inputs = Tensors::new();
        for input in self.inputs {
            let (spec, rows) = (input.spec, self.rows);
            let missing = input.slots.iter().find(|&&slot| !self.seen[slot] && rows > 0);
            let tensor = match missing {
                Some(&slot) => Err(is_missing(&self.slots, slot)),
                None => input.tensor(rows, self.limits),
            };
            let about = |error: Error| {
                Error::new(error.kind(), format!("input {:?}: {}", spec.name, error.message()))
            };
            inputs.push(Arc::clone(&spec.name), tensor.map_err(about)?)?;
        }
        Ok(inputs)
    }
}

fn is_missing(slots: &HashMap<String, usize>, slot: usize) -> Error {
    let name = slots.iter().find(|(_, own)| **own == slot).map(|(name, _)| name.as_str());
    Error::invalid(format!("column {:?} is missing", name.unwrap_or_default()))
}

/// Whether an input holds several columns that have no names.
pub(super) fn packs_unnamed(spec: &TensorSpec) -> bool {
    spec.columns.is_empty() && spec.shape.len() == 2 && spec.shape[1].is_none_or(|n| n > 1)
}

impl Input<'_> {
    fn push(&mut self, cell: &str, limits: &Limits) -> Result<()> {
        if self.elements > 0 {
            self.json.push(',');
        }
        if matches!(cell, "NaN" | "Infinity" | "-Infinity") {
            let space = if self.non_finite.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(self.non_finite, "{space}{}={cell}", self.elements);
            self.json.push_str("null");
        } else {
            self.json.push_str(cell);
            if self.is_whole && self.inner.is_none() && cell != "null" {
                self.inner = Some(nesting(cell, limits)?);
            }
        }
        self.elements += 1;
        Ok(())
    }

    fn tensor(mut self, rows: usize, limits: &Limits) -> Result<Tensor> {
        self.json.push(']');
        let mut shape = vec![rows];
        if !self.is_whole {
            let declared = self.spec.shape.get(1).copied().flatten().filter(|_| rows == 0);
            shape.push(declared.unwrap_or(self.slots.len()));
        } else if let Some(inner) = self.inner {
            shape.extend(inner);
        } else {
            shape.extend(self.spec.shape.iter().skip(1).map(|axis| axis.unwrap_or(0)));
        }
        // A column of single numbers is a tensor of one column.
        if shape.len() == 1 && self.spec.shape.len() == 2 {
            shape.push(1);
        }
        let marks = Some(self.non_finite).filter(|marks| !marks.is_empty());
        oip::read_elements(&self.json, self.spec, &shape, marks, limits)
    }
}

/// The axes of nested arrays, by the first of each; reading checks the others.
fn nesting(cell: &str, limits: &Limits) -> Result<Vec<usize>> {
    let (mut axes, mut first) = (Vec::new(), Cursor::new(cell));
    while first.enter(b'[') {
        if axes.len() >= limits.max_depth {
            let max = limits.max_depth;
            return Err(Error::too_large(format!("arrays nest deeper than {max}")));
        }
        let (mut all, mut count) = (first.clone(), 0);
        while all.more() {
            all.value();
            count += 1;
        }
        axes.push(count);
        if !first.more() {
            break;
        }
    }
    Ok(axes)
}
