//! Tensors put together from pieces of others, whatever their element type: what `Concat`,
//! `Gather`, `Slice`, `Split`, `Transpose` and `Where` have in common.

use super::Scope;
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    tensor::{DType, Element, Tensor},
};

/// A run of elements of one of the sources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) source: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Piece {
    /// Elements of the only source.
    pub(super) fn of(start: usize, len: usize) -> Self {
        Self { source: 0, start, len }
    }
}

/// The element types that tensors of a graph have.
pub(super) const ALL_TYPES: &[DType] = &[
    DType::Bool,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
    DType::Utf8,
];

/// A tensor of this shape from pieces of sources of one element type.
pub(super) fn assemble(
    sources: &[&Tensor],
    shape: &[usize],
    pieces: impl Iterator<Item = Piece>,
    scope: &Scope<'_>,
) -> Result<Tensor> {
    let dtype = sources.first().map_or(DType::F32, |source| source.dtype());
    let count = scope.count(shape, dtype)?;
    match dtype {
        DType::Bool => {
            let bytes = sources.iter().map(|source| source.as_bytes().unwrap_or_default());
            let bytes = copied(&bytes.collect::<Vec<_>>(), count, pieces)?;
            Tensor::from_buffer(DType::Bool, shape, Buffer::from_vec(bytes))
        }
        DType::U8 => elements::<u8>(sources, shape, count, pieces),
        DType::U16 => elements::<u16>(sources, shape, count, pieces),
        DType::U32 => elements::<u32>(sources, shape, count, pieces),
        DType::U64 => elements::<u64>(sources, shape, count, pieces),
        DType::I8 => elements::<i8>(sources, shape, count, pieces),
        DType::I16 => elements::<i16>(sources, shape, count, pieces),
        DType::I32 => elements::<i32>(sources, shape, count, pieces),
        DType::I64 => elements::<i64>(sources, shape, count, pieces),
        DType::F32 => elements::<f32>(sources, shape, count, pieces),
        DType::F64 => elements::<f64>(sources, shape, count, pieces),
        _ => {
            let texts = sources.iter().map(|source| source.strs()).collect::<Result<Vec<_>>>()?;
            let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
            Tensor::from_strs(shape, &copied(&texts, count, pieces)?)
        }
    }
}

fn elements<T: Element>(
    sources: &[&Tensor],
    shape: &[usize],
    count: usize,
    pieces: impl Iterator<Item = Piece>,
) -> Result<Tensor> {
    let slices = sources.iter().map(|source| source.as_slice::<T>()).collect::<Result<Vec<_>>>()?;
    Tensor::from_vec(shape, copied(&slices, count, pieces)?)
}

fn copied<T: Copy>(
    sources: &[&[T]],
    count: usize,
    pieces: impl Iterator<Item = Piece>,
) -> Result<Vec<T>> {
    let mut copy = Vec::with_capacity(count);
    for Piece { source, start, len } in pieces {
        let end = start.checked_add(len);
        let piece = end.and_then(|end| sources.get(source)?.get(start..end));
        copy.extend_from_slice(piece.ok_or_else(|| Error::internal("a piece beyond its source"))?);
    }
    Ok(copy)
}

/// A shape cut at one axis: how many blocks there are before it, its length, and how many elements
/// lie below one of its positions.
pub(super) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let before = shape[..axis].iter().product();
    let below = shape[axis + 1..].iter().product();
    (before, shape[axis], below)
}
