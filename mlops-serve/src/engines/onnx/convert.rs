//! Our tensors as ONNX Runtime's, and back.

use super::refusal;
use half::{bf16, f16};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    tensor::{DType, Tensor},
};
use ort::{
    session::SessionInputValue,
    value::{DynValue, PrimitiveTensorElementType, TensorElementType, TensorRef},
};
use std::fmt::Debug;
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// The type of ours that is the same; `None` if there is none.
pub(super) fn dtype(of: TensorElementType) -> Option<DType> {
    Some(match of {
        TensorElementType::Bool => DType::Bool,
        TensorElementType::Int8 => DType::I8,
        TensorElementType::Int16 => DType::I16,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Uint16 => DType::U16,
        TensorElementType::Uint32 => DType::U32,
        TensorElementType::Uint64 => DType::U64,
        TensorElementType::Float16 => DType::F16,
        TensorElementType::Bfloat16 => DType::BF16,
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float64 => DType::F64,
        TensorElementType::String => DType::Utf8,
        _ => return None,
    })
}

/// Does the same for each type whose elements are bytes.
macro_rules! each_fixed {
    ($dtype:expr, $what:ident, $($argument:expr),*; $or:expr) => {
        match $dtype {
            DType::Bool => $what::<bool>($($argument),*),
            DType::I8 => $what::<i8>($($argument),*),
            DType::I16 => $what::<i16>($($argument),*),
            DType::I32 => $what::<i32>($($argument),*),
            DType::I64 => $what::<i64>($($argument),*),
            DType::U8 => $what::<u8>($($argument),*),
            DType::U16 => $what::<u16>($($argument),*),
            DType::U32 => $what::<u32>($($argument),*),
            DType::U64 => $what::<u64>($($argument),*),
            DType::F16 => $what::<f16>($($argument),*),
            DType::BF16 => $what::<bf16>($($argument),*),
            DType::F32 => $what::<f32>($($argument),*),
            DType::F64 => $what::<f64>($($argument),*),
            _ => $or,
        }
    };
}

/// A view of the elements, without a copy; texts are copied, for C wants them to end in a zero.
pub(super) fn input<'a>(name: &str, tensor: &'a Tensor) -> Result<SessionInputValue<'a>> {
    each_fixed!(tensor.dtype(), view, tensor; texts(name, tensor))
}

fn view<T>(tensor: &Tensor) -> Result<SessionInputValue<'_>>
where
    T: PrimitiveTensorElementType + TryFromBytes + Immutable + Debug + Clone + 'static,
{
    // Every tensor is aligned to its elements, and booleans were checked when it was made.
    let elements = tensor.as_bytes().and_then(|bytes| <[T]>::try_ref_from_bytes(bytes).ok());
    let elements = elements.ok_or_else(|| Error::internal("a tensor's elements are misaligned"))?;
    let value = TensorRef::from_array_view((tensor.shape(), elements));
    value.map(Into::into).map_err(refusal::internal("reading an input"))
}

fn texts<'a>(name: &str, tensor: &'a Tensor) -> Result<SessionInputValue<'a>> {
    let texts = tensor.strs()?;
    if let Some(at) = texts.iter().position(|text| text.contains('\0')) {
        return Err(Error::invalid(format!(
            "element {at} of input {name:?} holds a zero character, which ONNX Runtime cannot take"
        )));
    }
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    let value = ort::value::Tensor::from_string_array((tensor.shape(), texts.as_slice()));
    value.map(Into::into).map_err(refusal::internal("copying texts"))
}

/// A copy of the elements.
pub(super) fn output(name: &str, dtype: DType, value: &DynValue) -> Result<Tensor> {
    if !value.dtype().is_tensor() {
        return Err(Error::unsupported(format!("the model gave no tensor for output {name:?}")));
    }
    each_fixed!(dtype, copied, dtype, value; text_copied(value))
}

fn copied<T>(dtype: DType, tensor: &DynValue) -> Result<Tensor>
where
    T: PrimitiveTensorElementType + IntoBytes + Immutable + Debug,
{
    let extracted = tensor.try_extract_tensor::<T>();
    let (shape, elements) = extracted.map_err(refusal::internal("reading an output"))?;
    let bytes = elements.as_bytes();
    let buffer = match dtype {
        // Whoever wrote a file may have put other bytes into its booleans.
        DType::Bool => Buffer::from_vec(bytes.iter().map(|byte| u8::from(*byte != 0)).collect()),
        _ => Buffer::from_slice_ref(bytes),
    };
    Tensor::from_buffer(dtype, lengths(shape)?, buffer)
}

fn text_copied(tensor: &DynValue) -> Result<Tensor> {
    let (shape, texts) =
        tensor.try_extract_strings().map_err(refusal::internal("reading texts"))?;
    Tensor::from_strs(lengths(shape)?, &texts)
}

fn lengths(shape: &[i64]) -> Result<Vec<usize>> {
    let length = |axis: &i64| usize::try_from(*axis);
    let lengths: Result<Vec<usize>, _> = shape.iter().map(length).collect();
    lengths.map_err(|_| Error::internal("an output has an axis of negative length"))
}
