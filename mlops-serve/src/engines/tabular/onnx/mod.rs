//! Reading ONNX: bytes to a checked graph. Everything here may come from a stranger.

mod attributes;
mod constant;
mod graph;
mod proto;

pub(super) use attributes::Attributes;
pub(super) use graph::{Graph, Label, Node, Port, PortType};

use mlops_core::{Error, Result, tensor::DType};

/// The domain of the standard operators, which files write as an empty text.
pub(super) const STANDARD: &str = "ai.onnx";
/// The domain of the operators of classical machine learning.
pub(super) const CLASSICAL: &str = "ai.onnx.ml";

/// The most axes of a tensor, and the most inputs or outputs of a graph: far more than exporters
/// write, and few enough that work quadratic in either is short.
pub(super) const MAX_AXES: usize = 64;
const MAX_PORTS: usize = 4096;

/// More axes than [`MAX_AXES`] are `Unsupported`; the thing named is what has them.
pub(super) fn check_axes(axes: usize, thing: impl FnOnce() -> String) -> Result<()> {
    if axes > MAX_AXES {
        return Err(Error::unsupported(format!(
            "{} has {axes} axes; more than {MAX_AXES} are not supported",
            thing()
        )));
    }
    Ok(())
}

/// Our element type for `TensorProto.DataType`; the thing named is what has it.
fn element_type(code: i32, thing: impl FnOnce() -> String) -> Result<DType> {
    Ok(match code {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        8 => DType::Utf8,
        9 => DType::Bool,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        0 => return Err(Error::invalid(format!("{} has no element type", thing()))),
        _ => {
            let name = match code {
                10 => "float16".to_owned(),
                16 => "bfloat16".to_owned(),
                14 => "complex64".to_owned(),
                15 => "complex128".to_owned(),
                _ => format!("number {code}"),
            };
            return Err(Error::unsupported(format!(
                "{} has element type {name}, which is not supported",
                thing()
            )));
        }
    })
}

/// The element type that a number stands for, as the attribute of `Cast` gives it.
pub(super) fn element_type_of_attribute(code: i64, label: &Label) -> Result<DType> {
    let thing = || format!("attribute \"to\" of {label}");
    element_type(i32::try_from(code).unwrap_or(i32::MAX), thing)
}
