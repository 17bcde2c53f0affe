//! Tensors that are stored in the file.

use super::{check_axes, element_type, proto::TensorProto};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    tensor::{DType, Element, Tensor},
};

/// The tensor of an initializer or an attribute; `thing` says which, for messages.
///
/// # Behavior
/// - a negative axis, and data whose length is not that of the shape, are `InvalidInput`
/// - memory taken is at most a few times that of the message
/// - data in another file are `Unsupported`
pub(super) fn constant(proto: TensorProto, thing: &dyn Fn() -> String) -> Result<Tensor> {
    if proto.data_location != 0 {
        return Err(Error::unsupported(format!("{} lies in another file", thing())));
    }
    let dtype = element_type(proto.data_type, thing)?;
    check_axes(proto.dims.len(), thing)?;
    let mut shape = Vec::with_capacity(proto.dims.len());
    for &axis in &proto.dims {
        let axis = usize::try_from(axis);
        shape.push(axis.map_err(|_| Error::invalid(format!("{} has a negative axis", thing())))?);
    }
    let tensor = if !proto.raw_data.is_empty() && dtype != DType::Utf8 {
        raw(dtype, shape, proto.raw_data)
    } else {
        typed(dtype, shape, proto)
    };
    // The tensor's own message says what does not fit.
    tensor.map_err(|error| error.context(thing()))
}

fn raw(dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Tensor> {
    if cfg!(target_endian = "big") && dtype.size() != Some(1) {
        return Err(Error::unsupported("raw tensors are little-endian, this machine is not"));
    }
    Tensor::from_buffer(dtype, shape, Buffer::from_vec(bytes))
}

fn typed(dtype: DType, shape: Vec<usize>, proto: TensorProto) -> Result<Tensor> {
    match dtype {
        DType::F32 => Tensor::from_vec(shape, proto.float_data),
        DType::F64 => Tensor::from_vec(shape, proto.double_data),
        DType::I64 => Tensor::from_vec(shape, proto.int64_data),
        DType::U64 => Tensor::from_vec(shape, proto.uint64_data),
        DType::U32 => narrow::<u32, u64>(shape, &proto.uint64_data),
        DType::I32 => Tensor::from_vec(shape, proto.int32_data),
        DType::I16 => narrow::<i16, i32>(shape, &proto.int32_data),
        DType::I8 => narrow::<i8, i32>(shape, &proto.int32_data),
        DType::U16 => narrow::<u16, i32>(shape, &proto.int32_data),
        DType::U8 => narrow::<u8, i32>(shape, &proto.int32_data),
        DType::Bool => {
            let bools: Vec<bool> = proto.int32_data.iter().map(|&value| value != 0).collect();
            Tensor::from_bools(shape, &bools)
        }
        DType::Utf8 => {
            let strings = proto.string_data.into_iter().map(String::from_utf8);
            let strings = strings.collect::<Result<Vec<_>, _>>();
            let strings = strings.map_err(|_| Error::invalid("a text is not UTF-8"))?;
            Tensor::from_strs(shape, &strings)
        }
        other => Err(Error::unsupported(format!("element type {other} is not supported"))),
    }
}

fn narrow<T: Element + TryFrom<S>, S: Copy + std::fmt::Display>(
    shape: Vec<usize>,
    values: &[S],
) -> Result<Tensor> {
    let narrowed = values.iter().map(|&value| {
        let bad = |_| Error::invalid(format!("{value} is no value of type {}", T::DTYPE));
        T::try_from(value).map_err(bad)
    });
    Tensor::from_vec(shape, narrowed.collect::<Result<Vec<_>>>()?)
}
