//! Operators that put several tensors together: `Concat`, `FeatureVectorizer`, `Where`.

use super::{
    Build, Inputs, Kernel, Lowered, Scope,
    broadcast::Broadcast,
    cast::as_f32,
    elementwise::truths,
    pieces::{ALL_TYPES, Piece, around, assemble},
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

/// Side by side along one axis.
#[derive(Debug)]
struct Concat(i64);

pub(super) fn concat(build: &mut Build<'_>) -> Result<Lowered> {
    let dtype = build.alike()?;
    build.dtype_among(0, ALL_TYPES)?;
    let axis = build.int("axis")?.ok_or_else(|| build.invalid("attribute \"axis\" is missing"))?;
    Ok(Lowered::new(Concat(axis), [dtype]))
}

impl Kernel for Concat {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let sources: Vec<&Tensor> = inputs.all().collect();
        let mut shape = inputs.at(0)?.shape().to_vec();
        let axis = scope.axis(self.0, shape.len())?;
        shape[axis] = 0;
        for source in &sources {
            let own = source.shape();
            let fits = own.len() == shape.len()
                && (0..shape.len()).all(|other| other == axis || own[other] == shape[other]);
            let length = own.get(axis).and_then(|own| shape[axis].checked_add(*own));
            let Some(length) = length.filter(|_| fits) else {
                return Err(scope.invalid(format!("shapes {shape:?} and {own:?} do not fit")));
            };
            shape[axis] = length;
        }
        let (before, ..) = around(&shape, axis);
        let blocks: Vec<usize> =
            sources.iter().map(|source| source.shape()[axis..].iter().product()).collect();
        let blocks = &blocks;
        let pieces = (0..before).flat_map(|at| {
            let piece =
                move |(source, &len): (usize, &usize)| Piece { source, start: at * len, len };
            blocks.iter().enumerate().map(piece)
        });
        Ok(vec![assemble(&sources, &shape, pieces, scope)?])
    }
}

/// Rows of numbers side by side, each cut or filled with zeros to a given width.
#[derive(Debug)]
struct FeatureVectorizer {
    widths: Vec<usize>,
}

pub(super) fn feature_vectorizer(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(build.inputs.len().max(1), usize::MAX)?;
    for place in 0..build.inputs.len() {
        build.dtype_among(place, &[DType::F32, DType::F64, DType::I64, DType::I32])?;
    }
    let widths = build.ints("inputdimensions")?;
    let widths = widths.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let widths = widths.map_err(|_| build.invalid("a negative width"))?;
    if widths.len() != build.inputs.len() {
        let (given, wanted) = (widths.len(), build.inputs.len());
        return Err(build.invalid(format!("{given} widths for {wanted} inputs")));
    }
    Ok(Lowered::new(FeatureVectorizer { widths }, [DType::F32]))
}

impl Kernel for FeatureVectorizer {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let rows = scope.rows(inputs.at(0)?)?.0;
        let width = self.widths.iter().try_fold(0_usize, |sum, &width| sum.checked_add(width));
        let width = width.ok_or_else(|| scope.invalid("rows too wide"))?;
        let mut output = vec![0_f32; scope.count(&[rows, width], DType::F32)?];
        let mut offset = 0;
        for (source, &own) in inputs.all().zip(&self.widths) {
            let (source_rows, columns) = scope.rows(source)?;
            if source_rows != rows {
                return Err(scope.invalid(format!("inputs of {rows} and {source_rows} rows")));
            }
            let (values, taken) = (as_f32(source)?, own.min(columns));
            for row in 0..rows {
                let from = &values[row * columns..row * columns + taken];
                let start = row * width + offset;
                output[start..start + taken].copy_from_slice(from);
            }
            offset += own;
        }
        Ok(vec![Tensor::from_vec([rows, width], output)?])
    }
}

/// Elements of the second input where the first is true, else of the third.
#[derive(Debug)]
struct Where;

pub(super) fn select(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(3, 3)?;
    build.dtype_among(0, &[DType::Bool])?;
    let dtype = build.dtype_among(1, ALL_TYPES)?;
    if build.dtype(2)? != dtype {
        return Err(build.invalid(format!("branches of types {dtype} and {}", build.dtype(2)?)));
    }
    Ok(Lowered::new(Where, [dtype]))
}

impl Kernel for Where {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (condition, yes, no) = (inputs.at(0)?, inputs.at(1)?, inputs.at(2)?);
        let broadcast = Broadcast::new([condition, yes, no], scope)?;
        let count = scope.count(&broadcast.shape, yes.dtype())?;
        let truths = truths(condition);
        let pieces = broadcast.map(count, |[at, yes, no]| {
            let (source, start) = if truths[at] == 1 { (0, yes) } else { (1, no) };
            Piece { source, start, len: 1 }
        });
        Ok(vec![assemble(&[yes, no], &broadcast.shape, pieces.into_iter(), scope)?])
    }
}
