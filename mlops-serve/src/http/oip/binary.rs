//! Tensors as raw bytes: Triton's binary extension.

use super::{Limits, data::Plan, data::with_nulls, marks};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    tensor::{DType, Tensor},
};

/// Takes tensors off the bytes that follow the JSON, in order.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Buffer,
    at: usize,
}

impl Tail {
    pub(super) fn new(bytes: Buffer) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes nobody has taken.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `size` bytes; they share the body's memory.
    pub(super) fn take(&mut self, size: u64) -> Result<Buffer> {
        match usize::try_from(size) {
            Ok(size) if size <= self.left() => {
                let taken = self.bytes.slice_with_length(self.at, size);
                self.at += size;
                Ok(taken)
            }
            _ => Err(Error::invalid(format!(
                "\"binary_data_size\" is {size}, and {} bytes are left in the body",
                self.left()
            ))),
        }
    }
}

/// A tensor of these bytes; misaligned ones are copied once. The error does not name the tensor.
pub(super) fn read(
    bytes: Buffer,
    plan: &Plan<'_>,
    nulls: Option<&str>,
    limits: &Limits,
) -> Result<Tensor> {
    let nulls = positions(nulls, plan)?;
    let tensor = match plan.dtype.size() {
        Some(_) => with_nans(Tensor::from_buffer(plan.dtype, plan.shape, bytes)?, &nulls, plan)?,
        None => tensor_of(&strings(&bytes, plan, limits)?, plan)?,
    };
    with_nulls(tensor, &nulls, plan)
}

/// A tensor of elements of any length that something else has told apart.
#[cfg(feature = "grpc")]
pub(super) fn of_strings(items: &[&[u8]], plan: &Plan<'_>, nulls: Option<&str>) -> Result<Tensor> {
    let nulls = positions(nulls, plan)?;
    with_nulls(tensor_of(items, plan)?, &nulls, plan)
}

fn positions(nulls: Option<&str>, plan: &Plan<'_>) -> Result<Vec<usize>> {
    let nulls = marks::parse_positions(nulls.unwrap_or_default())?;
    match nulls.iter().find(|&&at| at >= plan.count) {
        None => Ok(nulls),
        Some(at) => Err(Error::invalid(format!("there is no element {at} to be null"))),
    }
}

/// A float that is null is NaN, whatever bytes the caller put there.
fn with_nans(tensor: Tensor, nulls: &[usize], plan: &Plan<'_>) -> Result<Tensor> {
    let nan = nan(plan.dtype);
    if nan.is_empty() || nulls.is_empty() {
        return Ok(tensor);
    }
    let mut bytes = tensor.as_bytes().unwrap_or_default().to_vec();
    let mut elements: Vec<&mut [u8]> = bytes.chunks_exact_mut(nan.len()).collect();
    for &at in nulls {
        elements[at].copy_from_slice(&nan);
    }
    Tensor::from_buffer(plan.dtype, plan.shape, Buffer::from_vec(bytes))
}

/// Elements of any length, each after its length.
fn strings<'a>(bytes: &'a [u8], plan: &Plan<'_>, limits: &Limits) -> Result<Vec<&'a [u8]>> {
    let mut items: Vec<&[u8]> = Vec::with_capacity(plan.count.min(bytes.len() / 4));
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let at = items.len();
        if length > limits.max_string_bytes {
            let max = limits.max_string_bytes;
            return Err(Error::too_large(format!("element {at} is longer than {max} bytes")));
        }
        if at == plan.count {
            return Err(count_differs(plan, "more"));
        }
        let Some((item, after)) = after.split_at_checked(length) else {
            return Err(Error::invalid(format!(
                "element {at} says it has {length} bytes, and {} are left",
                after.len()
            )));
        };
        items.push(item);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Error::invalid(format!("{} bytes trail the last element", rest.len())));
    }
    Ok(items)
}

fn tensor_of(items: &[&[u8]], plan: &Plan<'_>) -> Result<Tensor> {
    if items.len() != plan.count {
        return Err(count_differs(plan, &items.len().to_string()));
    }
    match plan.dtype {
        DType::Utf8 => Tensor::from_strs(plan.shape, &utf8(items)?),
        _ => Tensor::from_byte_strings(plan.shape, items),
    }
}

fn count_differs(plan: &Plan<'_>, found: &str) -> Error {
    let (shape, count) = (plan.shape, plan.count);
    Error::invalid(format!("the body has {found} elements where shape {shape:?} wants {count}"))
}

fn utf8<'a>(items: &[&'a [u8]]) -> Result<Vec<&'a str>> {
    let one = |(at, bytes): (usize, &&'a [u8])| {
        std::str::from_utf8(bytes).map_err(|_| {
            Error::invalid(format!("element {at} is not UTF-8, and the model wants text"))
        })
    };
    items.iter().enumerate().map(one).collect()
}

/// Adds a tensor's bytes; NaN stands where a float is null. Returns how many were added.
pub(crate) fn write(tensor: &Tensor, into: &mut Vec<u8>) -> Result<usize> {
    let start = into.len();
    if let Some(bytes) = tensor.as_bytes() {
        into.extend_from_slice(bytes);
        put_nan_at_nulls(tensor, &mut into[start..]);
    } else {
        for item in tensor.byte_strings()? {
            let length = u32::try_from(item.len())
                .map_err(|_| Error::too_large("an element is longer than a u32 can say"))?;
            into.extend_from_slice(&length.to_le_bytes());
            into.extend_from_slice(item);
        }
    }
    Ok(into.len() - start)
}

fn put_nan_at_nulls(tensor: &Tensor, bytes: &mut [u8]) {
    let nan = nan(tensor.dtype());
    let Some(nulls) = tensor.nulls().filter(|_| !nan.is_empty()) else { return };
    for (element, valid) in bytes.chunks_exact_mut(nan.len()).zip(nulls.iter()) {
        if !valid {
            element.copy_from_slice(&nan);
        }
    }
}

/// The bytes of a NaN; none if the type has none.
fn nan(dtype: DType) -> Vec<u8> {
    match dtype {
        DType::F16 => half::f16::NAN.to_le_bytes().to_vec(),
        DType::BF16 => half::bf16::NAN.to_le_bytes().to_vec(),
        DType::F32 => f32::NAN.to_le_bytes().to_vec(),
        DType::F64 => f64::NAN.to_le_bytes().to_vec(),
        _ => Vec::new(),
    }
}
