//! Dense arrays: what goes into a model and comes out of it.

mod batch;
mod dtype;
mod rows;
mod tensors;

pub use dtype::{DType, Element};
pub use tensors::Tensors;

use crate::{Error, Result};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use smallvec::SmallVec;
use std::fmt;

/// A dense, row-major, immutable array. Cloning shares the memory.
///
/// ```
/// use mlops_core::tensor::{DType, Tensor};
///
/// let tensor = Tensor::from_vec([2, 3], vec![1_f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!((tensor.dtype(), tensor.shape()), (DType::F32, &[2, 3][..]));
/// assert_eq!(tensor.as_slice::<f32>()?[4], 5.0);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: DType,
    shape: Shape,
    values: Values,
    /// Boxed, as texts are, so that the tensors that most models have are small to move.
    nulls: Option<Box<NullBuffer>>,
}

/// The length of each axis. Few tensors have more than four, and a model makes several a call: those take
/// no memory of their own for it.
type Shape = SmallVec<[usize; 4]>;

/// Written so that the compiler leaves out the vector of an array.
#[inline]
fn axes(shape: impl Into<Vec<usize>>) -> Shape {
    Shape::from_slice(&shape.into())
}

#[derive(Clone, PartialEq)]
enum Values {
    /// Little-endian elements at the element's alignment; BOOL is one byte, 0 or 1.
    Fixed(Buffer),
    Variable(Box<Items>),
}

/// Elements of any length: element i is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, PartialEq)]
struct Items {
    offsets: OffsetBuffer<i32>,
    bytes: Buffer,
}

impl Tensor {
    /// Takes the vector over without a copy.
    #[inline]
    pub fn from_vec<T: Element>(shape: impl Into<Vec<usize>>, values: Vec<T>) -> Result<Self> {
        Self::fixed(T::DTYPE, axes(shape), Buffer::from_vec(values))
    }

    /// Booleans, one byte each.
    pub fn from_bools(shape: impl Into<Vec<usize>>, values: &[bool]) -> Result<Self> {
        let bytes: Vec<u8> = values.iter().map(|&value| u8::from(value)).collect();
        Self::fixed(DType::Bool, axes(shape), Buffer::from_vec(bytes))
    }

    /// Text, in row-major order.
    pub fn from_strs<S: AsRef<str>>(shape: impl Into<Vec<usize>>, values: &[S]) -> Result<Self> {
        let items = values.iter().map(|value| value.as_ref().as_bytes());
        Self::variable(DType::Utf8, axes(shape), items)
    }

    /// Byte strings, in row-major order.
    pub fn from_byte_strings<S: AsRef<[u8]>>(
        shape: impl Into<Vec<usize>>,
        values: &[S],
    ) -> Result<Self> {
        Self::variable(DType::Bytes, axes(shape), values.iter().map(AsRef::as_ref))
    }

    /// Little-endian elements from somewhere else.
    ///
    /// # Behavior
    /// - shares the buffer if it starts at the element's alignment, else copies it once
    /// - a length that does not fit the shape is `InvalidInput`, as is a BOOL byte above 1
    pub fn from_buffer(dtype: DType, shape: impl Into<Vec<usize>>, bytes: Buffer) -> Result<Self> {
        let aligned = match dtype.size() {
            None => {
                return Err(Error::invalid(format!("elements of type {dtype} have no fixed size")));
            }
            // Arrow panics on misaligned bytes; a caller may send them, so we look first.
            Some(size) if bytes.as_ptr().align_offset(size) == 0 => bytes,
            Some(_) => Buffer::from(bytes.as_slice()),
        };
        if dtype == DType::Bool
            && let Some(at) = aligned.iter().position(|&byte| byte > 1)
        {
            return Err(Error::invalid(format!("element {at} is neither 0 nor 1, in type bool")));
        }
        Self::fixed(dtype, axes(shape), aligned)
    }

    fn fixed(dtype: DType, shape: Shape, values: Buffer) -> Result<Self> {
        let count = element_count(&shape)?;
        let size = dtype.size().unwrap_or(1);
        let wanted = count.checked_mul(size).ok_or_else(|| too_many(&shape))?;
        if wanted == values.len() {
            return Ok(Self { dtype, shape, values: Values::Fixed(values), nulls: None });
        }
        Err(Error::invalid(format!(
            "shape {shape:?} holds {count} elements of type {dtype}, {wanted} bytes, not {} bytes",
            values.len()
        )))
    }

    fn variable<'a>(
        dtype: DType,
        shape: Shape,
        items: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<Self> {
        let (count, given) = (element_count(&shape)?, items.len());
        if count != given {
            return Err(Error::invalid(format!(
                "shape {shape:?} holds {count} elements of type {dtype}, not {given}"
            )));
        }
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        for item in items {
            bytes.extend_from_slice(item);
            let end = i32::try_from(bytes.len());
            offsets.push(end.map_err(|_| Error::too_large("a text tensor holds at most 2 GiB"))?);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let values = Values::Variable(Box::new(Items { offsets, bytes: Buffer::from_vec(bytes) }));
        Ok(Self { dtype, shape, values, nulls: None })
    }

    /// Marks elements as null: one flag an element, `true` where it is valid.
    pub fn with_nulls(mut self, nulls: Option<NullBuffer>) -> Result<Self> {
        if let Some(nulls) = &nulls
            && nulls.len() != self.len()
        {
            let (given, wanted) = (nulls.len(), self.len());
            return Err(Error::invalid(format!("{given} null flags for {wanted} elements")));
        }
        self.nulls = nulls.filter(|nulls| nulls.null_count() > 0).map(Box::new);
        Ok(self)
    }

    /// The same elements under another shape of the same size.
    pub fn reshape(mut self, shape: impl Into<Vec<usize>>) -> Result<Self> {
        let shape = axes(shape);
        if element_count(&shape)? != self.len() {
            return Err(Error::invalid(format!("shape {:?} cannot become {shape:?}", self.shape)));
        }
        self.shape = shape;
        Ok(self)
    }

    /// The element type.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The length of each axis; empty for a scalar.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of the first axis: the number of rows of a batch. A scalar has one.
    #[inline]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements in one row; the product of all axes but the first.
    #[inline]
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Which elements are null, if any is.
    #[inline]
    pub fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_deref()
    }

    /// The elements, without a copy.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        match &self.values {
            Values::Fixed(buffer) if self.dtype == T::DTYPE => Ok(buffer.typed_data::<T>()),
            _ => Err(self.wrong_type(T::DTYPE)),
        }
    }

    /// Little-endian bytes of fixed-size elements; BOOL is one byte each.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.values {
            Values::Fixed(buffer) => Some(buffer.as_slice()),
            Values::Variable(_) => None,
        }
    }

    /// Elements of any length, as bytes.
    pub fn byte_strings(&self) -> Result<impl ExactSizeIterator<Item = &[u8]> + '_> {
        match &self.values {
            Values::Variable(items) => Ok(items.offsets.windows(2).map(|pair| {
                let [start, end] = [pair[0], pair[1]].map(|at| usize::try_from(at).unwrap_or(0));
                &items.bytes.as_slice()[start..end]
            })),
            Values::Fixed(_) => Err(self.wrong_type(DType::Bytes)),
        }
    }

    /// Text elements; `InvalidInput` names the first that is not UTF-8.
    pub fn strs(&self) -> Result<Vec<&str>> {
        let checked = self.byte_strings()?.enumerate().map(|(at, bytes)| {
            std::str::from_utf8(bytes).map_err(|cause| {
                Error::invalid(format!("element {at} is not UTF-8")).with_source(cause)
            })
        });
        checked.collect()
    }

    fn wrong_type(&self, wanted: DType) -> Error {
        Error::invalid(format!("elements have type {}, not {wanted}", self.dtype))
    }
}

/// The number of elements of a shape; `TooLarge` if it does not fit the address space.
pub(crate) fn element_count(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1_usize, |count, &axis| count.checked_mul(axis))
        .ok_or_else(|| too_many(shape))
}

fn too_many(shape: &[usize]) -> Error {
    Error::too_large(format!("shape {shape:?} holds more elements than memory has bytes"))
}

impl fmt::Debug for Tensor {
    /// Type and shape, never the values: inputs stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?})", self.dtype, self.shape)
    }
}
