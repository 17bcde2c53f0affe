//! The Open Inference Protocol v2 as plain functions: bytes in, a request out; a response in, bytes out;
//! and for who asks another server the other way round.
//!
//! Nothing here knows a server. A request is one JSON object; with Triton's binary extension the raw
//! tensors follow it, in the order of the inputs, and a header says how long the JSON is.
//!
//! | datatype | in JSON | in binary |
//! |---|---|---|
//! | BOOL | `true`, `false` | one byte, 0 or 1 |
//! | INT8 … INT64, UINT8 … UINT64 | whole numbers, exact; out of range is refused | little-endian |
//! | FP32, FP64 | numbers, read to the nearest value of the type | little-endian |
//! | FP16, BF16 | numbers too, which the protocol leaves out | little-endian |
//! | BYTES | text | each element after its length, a little-endian `u32` |
//!
//! Three parameters of ours say what plain JSON and plain binary cannot, in requests and in responses:
//!
//! - `non_finite` of a JSON tensor: JSON has no NaN and no infinity, so such an element is `null` and
//!   listed here by its row-major position: `"2=NaN 5=Infinity 7=-Infinity"`. Of a NaN only that it is
//!   one survives; binary tensors carry every bit.
//! - `nulls` of a binary tensor: the positions of nulls, `"3 8"`.
//! - a `null` that `non_finite` does not list is a null if the model takes nulls, else NaN in a float
//!   tensor, else an error.

mod answered;
mod asking;
mod binary;
mod configuration;
mod data;
mod elements;
mod envelope;
mod marks;
mod metadata;
mod numbers;
mod parameters;
mod plain;
mod request;
mod response;

pub use answered::{Answered, decode_response};
pub use asking::encode_request;
pub use configuration::{ModelConfiguration, model_configuration};
pub use metadata::{Described, decode_model_metadata, model_metadata, server_metadata};
pub use request::{Decoded, decode_request};
pub use response::{Encoded, OutputForms, encode_response};

pub(super) use data::closing_quote;
pub(super) use parameters::parse as parse_parameters;
pub(super) use request::read_elements;
pub(super) use response::{push_elements, push_json};
#[cfg(feature = "remote")]
pub(crate) use {
    answered::about as about_output, asking::parameters as request_parameters,
    metadata::DescribedTensor,
};
#[cfg(feature = "grpc")]
pub(crate) use {
    binary::write as write_raw,
    metadata::{EXTENSIONS, PLATFORM, TEXT, axes},
    parameters::{LISTS, refuse_unsupported, take_text},
    request::{about, axis_length, datatype_of, element_count, obey, read_raw, read_strings},
    response::{null_positions, parameters as response_parameters},
};

/// Bounds on what one request may ask for; over one is `TooLarge`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Elements of one tensor, and the length of any one axis.
    pub max_elements: usize,
    /// Elements of one BYTES tensor: each costs more memory than a number.
    pub max_strings: usize,
    /// Bytes of one BYTES element.
    pub max_string_bytes: usize,
    /// Axes of a shape, and so the depth of nested data; 64 at most.
    pub max_depth: usize,
    /// Inputs, and outputs asked for.
    pub max_inputs: usize,
    /// Parameters of the request, of an input or of an output.
    pub max_parameters: usize,
    /// Bytes of a name, a request's id, or a parameter's text, unless it lists positions.
    pub max_name_bytes: usize,
}

impl Default for Limits {
    /// 2²⁵ elements, 2²⁰ strings of 16 MiB, 32 axes, 1024 inputs, 256 parameters, names of 4 KiB.
    fn default() -> Self {
        Self {
            max_elements: 1 << 25,
            max_strings: 1 << 20,
            max_string_bytes: 16 << 20,
            max_depth: 32,
            max_inputs: 1024,
            max_parameters: 256,
            max_name_bytes: 4096,
        }
    }
}

impl Limits {
    /// Elements of one tensor, and the length of any one axis.
    #[must_use]
    pub fn with_max_elements(mut self, elements: usize) -> Self {
        self.max_elements = elements;
        self
    }

    /// Elements of one BYTES tensor.
    #[must_use]
    pub fn with_max_strings(mut self, strings: usize) -> Self {
        self.max_strings = strings;
        self
    }

    /// Bytes of one BYTES element.
    #[must_use]
    pub fn with_max_string_bytes(mut self, bytes: usize) -> Self {
        self.max_string_bytes = bytes;
        self
    }

    /// Axes of a shape, 64 at most: reading nested data takes a stack frame an axis.
    #[must_use]
    pub fn with_max_depth(mut self, axes: usize) -> Self {
        self.max_depth = axes.min(64);
        self
    }

    /// Inputs, and outputs asked for.
    #[must_use]
    pub fn with_max_inputs(mut self, inputs: usize) -> Self {
        self.max_inputs = inputs;
        self
    }

    /// Parameters of the request, of an input or of an output.
    #[must_use]
    pub fn with_max_parameters(mut self, parameters: usize) -> Self {
        self.max_parameters = parameters;
        self
    }

    /// Bytes of a name, an id, or a parameter's text.
    #[must_use]
    pub fn with_max_name_bytes(mut self, bytes: usize) -> Self {
        self.max_name_bytes = bytes;
        self
    }
}
