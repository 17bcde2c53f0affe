//! Operators that change the shape and leave the elements as they are, and those that make
//! tensors from shapes.

use super::{Build, Inputs, Kernel, Lowered, Scope, labels::Labels, pieces::ALL_TYPES};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

/// Gives its input on.
#[derive(Debug)]
struct Identity;

pub(super) fn identity(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    Ok(unchanged(build.dtype(0)?))
}

/// The input as it is.
pub(super) fn unchanged(dtype: DType) -> Lowered {
    Lowered::new(Identity, [dtype])
}

impl Kernel for Identity {
    fn run(&self, inputs: &Inputs<'_>, _: &Scope<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![inputs.at(0)?.clone()])
    }

    fn gives_input(&self) -> bool {
        true
    }
}

/// A map from class to score for each row; here the scores as they are, whose columns the classes
/// name: a tensor holds no maps.
#[derive(Debug)]
struct ZipMap {
    classes: usize,
}

pub(super) fn zip_map(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32])?;
    let labels = Labels::read(build, "classlabels_int64s", "classlabels_strings")?;
    let classes = labels.len();
    let mut lowered = Lowered::new(ZipMap { classes }, [DType::F32]);
    lowered.columns = labels.names();
    Ok(lowered)
}

impl Kernel for ZipMap {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let (rows, columns) = scope.rows(tensor)?;
        if columns != self.classes {
            return Err(scope.invalid(format!("{columns} scores for {} classes", self.classes)));
        }
        Ok(vec![tensor.clone().reshape([rows, columns])?])
    }
}

/// To a shape that is given as a tensor; -1 is what is left over, 0 is the input's own axis.
#[derive(Debug)]
struct Reshape {
    /// 0 is a length of zero.
    zero_is_zero: bool,
}

pub(super) fn reshape(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    build.dtype_among(1, &[DType::I64])?;
    let zero_is_zero = build.flag("allowzero", false)?;
    Ok(Lowered::new(Reshape { zero_is_zero }, [dtype]))
}

impl Kernel for Reshape {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (tensor, wanted) = (inputs.at(0)?, inputs.at(1)?.as_slice::<i64>()?);
        let mut shape = Vec::with_capacity(wanted.len());
        let mut open = None;
        for (axis, &length) in wanted.iter().enumerate() {
            shape.push(match usize::try_from(length) {
                Ok(0) if !self.zero_is_zero => {
                    let own = tensor.shape().get(axis).copied();
                    own.ok_or_else(|| scope.invalid(format!("no axis {axis} to keep")))?
                }
                Ok(length) => length,
                Err(_) if length == -1 && open.is_none() => {
                    open = Some(axis);
                    1
                }
                Err(_) => return Err(scope.invalid(format!("shape {wanted:?}"))),
            });
        }
        if let Some(open) = open {
            let others = shape.iter().try_fold(1_usize, |all, &axis| all.checked_mul(axis));
            let left = match others {
                Some(0) => 0,
                others => tensor.len() / others.unwrap_or(usize::MAX),
            };
            shape[open] = left;
        }
        let reshaped = tensor.clone().reshape(shape);
        reshaped.map(|tensor| vec![tensor]).map_err(|error| scope.invalid(error))
    }
}

/// To two axes, cut before one of the input's.
#[derive(Debug)]
struct Flatten(i64);

pub(super) fn flatten(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    Ok(Lowered::new(Flatten(build.int("axis")?.unwrap_or(1)), [dtype]))
}

impl Kernel for Flatten {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rank = tensor.shape().len();
        // The axis may also be the one after the last.
        let beyond = usize::try_from(self.0).is_ok_and(|axis| axis == rank);
        let axis = if beyond { rank } else { scope.axis(self.0, rank)? };
        let (before, below) = tensor.shape().split_at(axis);
        let shape = [before.iter().product(), below.iter().product::<usize>()];
        Ok(vec![tensor.clone().reshape(shape)?])
    }
}

/// Takes axes of length one out, or puts them in: attributes before version 13, an input since.
#[derive(Debug)]
struct Axes {
    axes: Option<Vec<i64>>,
    squeeze: bool,
}

pub(super) fn squeeze(build: &mut Build<'_>) -> Result<Lowered> {
    axes(build, true)
}

pub(super) fn unsqueeze(build: &mut Build<'_>) -> Result<Lowered> {
    axes(build, false)
}

fn axes(build: &mut Build<'_>, squeeze: bool) -> Result<Lowered> {
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    let axes = if build.version < 13 {
        build.arity(1, 1)?;
        let given = build.attributes.has("axes");
        let axes = build.ints("axes")?;
        given.then_some(axes)
    } else {
        build.arity(if squeeze { 1 } else { 2 }, 2)?;
        build.optional_dtype(1, DType::I64)?;
        None
    };
    if build.version < 13 && !squeeze && axes.is_none() {
        return Err(build.invalid("attribute \"axes\" is missing"));
    }
    Ok(Lowered::new(Axes { axes, squeeze }, [dtype]))
}

impl Kernel for Axes {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let given = inputs.optional(1).map(|axes| axes.as_slice::<i64>()).transpose()?;
        let axes = given.or(self.axes.as_deref());
        let shape = match (axes, self.squeeze) {
            (None, _) => tensor.shape().iter().copied().filter(|&length| length != 1).collect(),
            (Some(axes), true) => squeezed(tensor.shape(), axes, scope)?,
            (Some(axes), false) => unsqueezed(tensor.shape(), axes, scope)?,
        };
        Ok(vec![tensor.clone().reshape(shape)?])
    }
}

fn squeezed(shape: &[usize], named: &[i64], scope: &Scope<'_>) -> Result<Vec<usize>> {
    let mut out = vec![false; shape.len()];
    for &axis in named {
        let axis = scope.axis(axis, shape.len())?;
        if shape[axis] != 1 {
            return Err(scope.invalid(format!("axis {axis} of shape {shape:?} is not 1 long")));
        }
        out[axis] = true;
    }
    let kept = shape.iter().zip(out).filter(|(_, out)| !out);
    Ok(kept.map(|(&length, _)| length).collect())
}

fn unsqueezed(shape: &[usize], named: &[i64], scope: &Scope<'_>) -> Result<Vec<usize>> {
    let rank = shape.len() + named.len();
    let mut new = vec![false; rank];
    for &axis in named {
        let axis = scope.axis(axis, rank)?;
        if std::mem::replace(&mut new[axis], true) {
            return Err(scope.invalid(format!("axis {axis} is put in twice")));
        }
    }
    let mut own = shape.iter().copied();
    Ok(new.into_iter().map(|new| if new { 1 } else { own.next().unwrap_or(1) }).collect())
}

/// The shape of its input, or some axes of it.
#[derive(Debug)]
struct Shape {
    start: i64,
    end: Option<i64>,
}

pub(super) fn shape(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let (start, end) = (build.int("start")?.unwrap_or(0), build.int("end")?);
    Ok(Lowered::new(Shape { start, end }, [DType::I64]))
}

impl Kernel for Shape {
    fn run(&self, inputs: &Inputs<'_>, _: &Scope<'_>) -> Result<Vec<Tensor>> {
        let shape = inputs.at(0)?.shape();
        let lengths = shape.iter().map(|&axis| i64::try_from(axis).unwrap_or(i64::MAX));
        let lengths: Vec<i64> = lengths.collect();
        let place = |axis: i64| {
            let back = usize::try_from(axis.unsigned_abs()).unwrap_or(usize::MAX);
            if axis < 0 { shape.len().saturating_sub(back) } else { back.min(shape.len()) }
        };
        let (start, end) = (place(self.start), self.end.map_or(shape.len(), place));
        let lengths = lengths.get(start..end).unwrap_or_default().to_vec();
        Ok(vec![Tensor::from_vec([lengths.len()], lengths)?])
    }
}

/// One value everywhere, in a shape that is given as a tensor.
#[derive(Debug)]
struct ConstantOfShape(Tensor);

pub(super) fn constant_of_shape(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::I64])?;
    let value = match build.tensor("value")? {
        Some(value) => value,
        None => Tensor::from_vec([1], vec![0_f32])?,
    };
    let dtype = value.dtype();
    let known = matches!(dtype, DType::F32 | DType::F64 | DType::I32 | DType::I64);
    if value.len() != 1 || !known {
        return Err(build.unsupported(format!("a value like {value:?}")));
    }
    Ok(Lowered::new(ConstantOfShape(value), [dtype]))
}

impl Kernel for ConstantOfShape {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let lengths = inputs.at(0)?.as_slice::<i64>()?.iter();
        let shape = lengths.map(|&length| usize::try_from(length)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| scope.invalid("a negative length"))?;
        let (count, value) = (scope.count(&shape, self.0.dtype())?, &self.0);
        let filled = match value.dtype() {
            DType::F32 => Tensor::from_vec(shape, vec![value.as_slice::<f32>()?[0]; count]),
            DType::F64 => Tensor::from_vec(shape, vec![value.as_slice::<f64>()?[0]; count]),
            DType::I32 => Tensor::from_vec(shape, vec![value.as_slice::<i32>()?[0]; count]),
            _ => Tensor::from_vec(shape, vec![value.as_slice::<i64>()?[0]; count]),
        };
        Ok(vec![filled?])
    }
}
