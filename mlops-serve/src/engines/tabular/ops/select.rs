//! Operators that take some of the elements of a tensor: `ArrayFeatureExtractor`, `Gather`,
//! `Slice`, `Split`, `Transpose`.

use super::{
    Build, Inputs, Kernel, Lowered, Scope,
    pieces::{ALL_TYPES, Piece, around, assemble},
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

/// Whole numbers of either width.
pub(super) fn indices(tensor: &Tensor) -> Result<Vec<i64>> {
    Ok(match tensor.dtype() {
        DType::I32 => tensor.as_slice::<i32>()?.iter().map(|&index| index.into()).collect(),
        _ => tensor.as_slice::<i64>()?.to_vec(),
    })
}

/// Columns of the last axis; a tensor of one axis becomes a single row.
#[derive(Debug)]
struct ArrayFeatureExtractor;

pub(super) fn array_feature_extractor(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    build.dtype_among(1, &[DType::I64])?;
    Ok(Lowered::new(ArrayFeatureExtractor, [dtype]))
}

impl Kernel for ArrayFeatureExtractor {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (tensor, chosen) = (inputs.at(0)?, inputs.at(1)?.as_slice::<i64>()?);
        let Some(&width) = tensor.shape().last() else {
            return Err(scope.invalid("an input without axes"));
        };
        let columns = chosen.iter().map(|&column| {
            let column = usize::try_from(column).ok().filter(|&column| column < width);
            column.ok_or_else(|| scope.invalid(format!("a column beyond the {width} there are")))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut shape = tensor.shape().to_vec();
        if shape.len() == 1 {
            shape.insert(0, 1);
        }
        let last = shape.len() - 1;
        shape[last] = columns.len();
        let rows: usize = shape[..last].iter().product();
        let columns = &columns;
        let pieces =
            (0..rows).flat_map(|row| columns.iter().map(move |c| Piece::of(row * width + c, 1)));
        Ok(vec![assemble(&[tensor], &shape, pieces, scope)?])
    }
}

/// Positions of one axis, given as a tensor whose shape takes the axis' place.
#[derive(Debug)]
struct Gather(i64);

pub(super) fn gather(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    build.dtype_among(1, &[DType::I64, DType::I32])?;
    Ok(Lowered::new(Gather(build.int("axis")?.unwrap_or(0)), [dtype]))
}

impl Kernel for Gather {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (tensor, chosen) = (inputs.at(0)?, inputs.at(1)?);
        let axis = scope.axis(self.0, tensor.shape().len())?;
        let (before, length, below) = around(tensor.shape(), axis);
        let positions = scope.positions(&indices(chosen)?, length)?;
        let shape = [&tensor.shape()[..axis], chosen.shape(), &tensor.shape()[axis + 1..]].concat();
        let positions = &positions;
        let pieces = (0..before).flat_map(|block| {
            positions.iter().map(move |at| Piece::of((block * length + at) * below, below))
        });
        Ok(vec![assemble(&[tensor], &shape, pieces, scope)?])
    }
}

/// Part of some axes: attributes before version 10, inputs since.
#[derive(Debug)]
struct Slice {
    bounds: Option<Bounds>,
}

/// For each axis that is cut: where it starts and ends, and how far a step goes.
#[derive(Debug)]
struct Bounds {
    starts: Vec<i64>,
    ends: Vec<i64>,
    axes: Vec<i64>,
    steps: Vec<i64>,
}

pub(super) fn slice(build: &mut Build<'_>) -> Result<Lowered> {
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    if build.version >= 10 {
        build.arity(3, 5)?;
        for place in 1..build.inputs.len() {
            let whole = [DType::I64, DType::I32];
            if build.inputs[place].is_some_and(|dtype| !whole.contains(&dtype)) {
                return Err(build.invalid(format!("input {place} holds no whole numbers")));
            }
        }
        return Ok(Lowered::new(Slice { bounds: None }, [dtype]));
    }
    build.arity(1, 1)?;
    let (starts, ends) = (build.ints("starts")?, build.ints("ends")?);
    let bounds = Bounds { starts, ends, axes: build.ints("axes")?, steps: Vec::new() };
    Ok(Lowered::new(Slice { bounds: Some(bounds) }, [dtype]))
}

impl Kernel for Slice {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let given;
        let bounds = if let Some(bounds) = &self.bounds {
            bounds
        } else {
            let list = |place: usize| inputs.optional(place).map_or(Ok(vec![]), indices);
            let (starts, ends) = (list(1)?, list(2)?);
            given = Bounds { starts, ends, axes: list(3)?, steps: list(4)? };
            &given
        };
        let mut cut = tensor.clone();
        let mut done = vec![false; cut.shape().len()];
        for (at, (&start, &end)) in bounds.starts.iter().zip(&bounds.ends).enumerate() {
            let in_order = i64::try_from(at).unwrap_or(i64::MAX);
            let axis = bounds.axes.get(at).copied().unwrap_or(in_order);
            let axis = scope.axis(axis, cut.shape().len())?;
            if std::mem::replace(&mut done[axis], true) {
                return Err(scope.invalid(format!("axis {axis} is cut twice")));
            }
            let step = bounds.steps.get(at).copied().unwrap_or(1);
            let stretch = stretch(start, end, step, cut.shape()[axis], scope)?;
            cut = take(&cut, axis, stretch, scope)?;
        }
        Ok(vec![cut])
    }
}

/// Positions of one axis, a step apart. Not a list of them: an axis may be of any length where
/// another has none.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: i64,
    step: i64,
    count: usize,
}

impl Stretch {
    /// Each position, inside of the axis that it was made for.
    fn positions(self) -> impl Iterator<Item = usize> {
        let at = move |index: usize| {
            let steps = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.step);
            usize::try_from(self.start.saturating_add(steps)).unwrap_or(usize::MAX)
        };
        (0..self.count).map(at)
    }
}

/// Positions of an axis as Python's slices read bounds: negative ones count from the end, and what
/// lies outside is cut off.
fn stretch(start: i64, end: i64, step: i64, length: usize, scope: &Scope<'_>) -> Result<Stretch> {
    let length = i64::try_from(length).map_err(|_| scope.invalid("an axis too long"))?;
    let from_start = |bound: i64| if bound < 0 { bound.saturating_add(length) } else { bound };
    let (start, end) = (from_start(start), from_start(end));
    let (start, distance) = match step {
        0 => return Err(scope.invalid("a step of 0")),
        1.. => {
            let start = start.clamp(0, length);
            (start, end.clamp(0, length) - start)
        }
        _ => {
            let start = start.clamp(-1, length - 1);
            (start, start - end.clamp(-1, length - 1))
        }
    };
    // At most the length, which is a `usize`.
    let distance = u64::try_from(distance).unwrap_or(0);
    let count = usize::try_from(distance.div_ceil(step.unsigned_abs())).unwrap_or(usize::MAX);
    Ok(Stretch { start, step, count })
}

/// The elements at these positions of one axis.
fn take(tensor: &Tensor, axis: usize, stretch: Stretch, scope: &Scope<'_>) -> Result<Tensor> {
    let (before, length, below) = around(tensor.shape(), axis);
    let mut shape = tensor.shape().to_vec();
    shape[axis] = stretch.count;
    let pieces = (0..before).flat_map(|block| {
        stretch.positions().map(move |at| Piece::of((block * length + at) * below, below))
    });
    assemble(&[tensor], &shape, pieces, scope)
}

/// Cuts one axis into several outputs.
#[derive(Debug)]
struct Split {
    axis: i64,
    /// How long each part is; empty for parts of one length.
    lengths: Vec<i64>,
    outputs: usize,
}

pub(super) fn split(build: &mut Build<'_>) -> Result<Lowered> {
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    let axis = build.int("axis")?.unwrap_or(0);
    let mut lengths = Vec::new();
    if build.version < 13 {
        build.arity(1, 1)?;
        lengths = build.ints("split")?;
    } else {
        build.arity(1, 2)?;
        build.optional_dtype(1, DType::I64)?;
    }
    let outputs = build.outputs;
    // Says nothing that the number of names does not say.
    let said = build.int("num_outputs")?;
    if said.is_some_and(|said| usize::try_from(said) != Ok(outputs)) {
        return Err(build.invalid(format!("{outputs} names for {said:?} outputs")));
    }
    Ok(Lowered::new(Split { axis, lengths, outputs }, vec![dtype; outputs]))
}

impl Kernel for Split {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let axis = scope.axis(self.axis, tensor.shape().len())?;
        let length = tensor.shape()[axis];
        let given = inputs.optional(1).map(|lengths| lengths.as_slice::<i64>()).transpose()?;
        let parts = match given.unwrap_or(&self.lengths) {
            [] => {
                // All of one length, the last one shorter if it has to be.
                let part = length.div_ceil(self.outputs.max(1));
                let start = |at: usize| (at * part).min(length);
                (0..self.outputs).map(|at| start(at + 1) - start(at)).collect()
            }
            lengths => {
                let lengths = lengths.iter().map(|&part| usize::try_from(part));
                let lengths = lengths.collect::<Result<Vec<_>, _>>();
                lengths.map_err(|_| scope.invalid("a part of negative length"))?
            }
        };
        let whole = parts.iter().try_fold(0_usize, |sum, &part| sum.checked_add(part));
        if parts.len() != self.outputs || whole != Some(length) {
            return Err(scope.invalid(format!("an axis of {length} cannot be cut into {parts:?}")));
        }
        let mut start = 0;
        let mut outputs = Vec::with_capacity(parts.len());
        for part in parts {
            outputs.push(take(tensor, axis, Stretch { start, step: 1, count: part }, scope)?);
            let end = i64::try_from(part).ok().and_then(|part| start.checked_add(part));
            start = end.ok_or_else(|| scope.invalid("an axis too long"))?;
        }
        Ok(outputs)
    }
}

/// Axes in another order, the reverse if none is said.
#[derive(Debug)]
struct Transpose(Option<Vec<i64>>);

pub(super) fn transpose(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    let given = build.attributes.has("perm");
    let order = build.ints("perm")?;
    Ok(Lowered::new(Transpose(given.then_some(order)), [dtype]))
}

impl Kernel for Transpose {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let own = tensor.shape();
        let order = self.order(own.len(), scope)?;
        let shape: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        let mut strides = vec![1_usize; own.len()];
        for axis in (1..own.len()).rev() {
            strides[axis - 1] = strides[axis] * own[axis];
        }
        let places = (0..scope.count(&shape, tensor.dtype())?).map(|mut at| {
            let mut place = 0;
            for (&axis, &length) in order.iter().zip(&shape).rev() {
                place += at % length * strides[axis];
                at /= length;
            }
            Piece::of(place, 1)
        });
        Ok(vec![assemble(&[tensor], &shape, places, scope)?])
    }
}

impl Transpose {
    fn order(&self, rank: usize, scope: &Scope<'_>) -> Result<Vec<usize>> {
        let Some(order) = &self.0 else { return Ok((0..rank).rev().collect()) };
        let order = order.iter().map(|&axis| scope.axis(axis, rank)).collect::<Result<Vec<_>>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted.into_iter().eq(0..rank) {
            return Ok(order);
        }
        Err(scope.invalid(format!("order {order:?} of {rank} axes")))
    }
}
