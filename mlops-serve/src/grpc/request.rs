//! `ModelInferRequest` into tensors that the model can be asked with.

use super::{
    contents::{self, Plan},
    parameters::Entries,
    wire::{Bytes, Fields, Value, varint},
};
use crate::http::oip::{self, Decoded, Limits, OutputForms};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    predictor::{Parameters, PredictRequest},
    signature::{ModelSignature, TensorSpec},
    tensor::Tensor,
};
use std::sync::Arc;

/// The outer parts of one `ModelInferRequest`: which model it is for, and its tensors not yet read.
///
/// # Behavior
/// - of a field that is given twice the last counts, and unknown fields are skipped, as protobuf says
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit, and names the input or part; no
///   value of the request stands in a message
/// - no bytes make it panic, or take memory that the limits and the message's own length do not bound
///
/// ```
/// use mlops_core::{arrow::buffer::Buffer, signature::ModelSignature};
/// use mlops_serve::{grpc::InferMessage, http::oip::Limits};
///
/// // Field 1, a text of four bytes: the model's name.
/// let bytes = Buffer::from(b"\x0a\x04risk".as_slice());
/// let message = InferMessage::read(&bytes, &Limits::default())?;
/// assert_eq!((message.model(), message.version()), ("risk", None));
/// let decoded = message.decode(&ModelSignature::default(), &Limits::default())?;
/// assert!(decoded.request.inputs.is_empty());
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Debug)]
pub struct InferMessage<'a> {
    model: &'a str,
    version: &'a str,
    id: &'a str,
    parameters: Parameters,
    inputs: Vec<Bytes<'a>>,
    outputs: Vec<Bytes<'a>>,
    raw: Vec<Bytes<'a>>,
}

impl<'a> InferMessage<'a> {
    /// Splits a message into its parts.
    pub fn read(message: &'a Buffer, limits: &Limits) -> Result<Self> {
        let (mut model, mut version, mut id) = ("", "", "");
        let mut parameters = Entries::new("the request");
        let (mut inputs, mut outputs, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => model = text(&value, "\"model_name\"", limits)?,
                2 => version = text(&value, "\"model_version\"", limits)?,
                3 => id = text(&value, "\"id\"", limits)?,
                4 => parameters.push(&value, limits)?,
                5 => push(&mut inputs, &value, "\"inputs\"", limits)?,
                6 => push(&mut outputs, &value, "\"outputs\"", limits)?,
                7 => push(&mut raw, &value, "\"raw_input_contents\"", limits)?,
                _ => {}
            }
        }
        let parameters = parameters.read;
        Ok(Self { model, version, id, parameters, inputs, outputs, raw })
    }

    /// The model that is asked.
    pub fn model(&self) -> &'a str {
        self.model
    }

    /// The version that must answer; any if `None`.
    pub fn version(&self) -> Option<&'a str> {
        Some(self.version).filter(|version| !version.is_empty())
    }

    /// The request, for a model of this signature.
    ///
    /// # Behavior
    /// - an input's type is what the request says; BYTES becomes text where the model wants text
    /// - with `raw_input_contents` there is one for each input, in order, and none has `contents`
    /// - raw bytes share the message's memory if they are aligned, else are copied once
    /// - parameters are obeyed as [`decode_request`](crate::http::oip::decode_request) says
    pub fn decode(self, signature: &ModelSignature, limits: &Limits) -> Result<Decoded> {
        let mut request = PredictRequest::default();
        if !self.id.is_empty() {
            request.id = Some(self.id.into());
        }
        let (_, timeout) = oip::obey(self.parameters, &mut request)?;
        request.outputs = outputs(&self.outputs, limits)?;
        let (inputs, raw) = (self.inputs.len(), self.raw.len());
        if raw != 0 && raw != inputs {
            return Err(Error::invalid(format!(
                "\"raw_input_contents\" has {raw} elements for {inputs} inputs"
            )));
        }
        for (index, bytes) in self.inputs.iter().enumerate() {
            let input = RawTensor::read("input", index, bytes, limits)?;
            let unknown = || Error::invalid(format!("the model has no input {:?}", input.name));
            let spec = signature.input(input.name).ok_or_else(unknown)?;
            let raw = self.raw.get(index).copied();
            let tensor =
                input.tensor(spec, raw, limits).map_err(|error| oip::about(spec, &error))?;
            request.inputs.push(Arc::clone(&spec.name), tensor).map_err(|error| {
                Error::new(error.kind(), format!("\"inputs\": {}", error.message()))
            })?;
        }
        Ok(Decoded::new(request, OutputForms::new(true), timeout))
    }
}

/// One input, or one output that is given, its elements not yet read.
pub(super) struct RawTensor<'a> {
    pub(super) name: &'a str,
    datatype: &'a str,
    shape: Vec<usize>,
    parameters: Parameters,
    contents: Option<Bytes<'a>>,
}

impl<'a> RawTensor<'a> {
    pub(super) fn read(
        side: &str,
        index: usize,
        bytes: &Bytes<'a>,
        limits: &Limits,
    ) -> Result<Self> {
        let what = format!("{side} {index}");
        let wrong = |error: Error| Error::new(error.kind(), format!("{what}: {}", error.message()));
        let mut input = RawTensor {
            name: "",
            datatype: "",
            shape: Vec::new(),
            parameters: Parameters::new(),
            contents: None,
        };
        let mut parameters = Entries::new(&what);
        let mut fields = bytes.fields();
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => input.name = text(&value, &format!("the name of {what}"), limits)?,
                2 => input.datatype = text(&value, &format!("{what}: \"datatype\""), limits)?,
                3 => push_axes(&mut input.shape, &value, limits).map_err(wrong)?,
                4 => parameters.push(&value, limits)?,
                5 => input.contents = Some(bytes_of(&value, &format!("{what}: \"contents\""))?),
                _ => {}
            }
        }
        if input.name.is_empty() {
            return Err(Error::invalid(format!("the name of {what} is missing")));
        }
        input.parameters = parameters.read;
        Ok(input)
    }

    /// Its tensor; errors do not name it yet.
    pub(super) fn tensor(
        mut self,
        spec: &TensorSpec,
        raw: Option<Bytes<'a>>,
        limits: &Limits,
    ) -> Result<Tensor> {
        let nulls = oip::take_text(&mut self.parameters, "nulls", "it")?;
        if self.parameters.contains_key("non_finite") {
            return Err(Error::invalid(
                "\"non_finite\" is for JSON; elements here say it themselves",
            ));
        }
        oip::refuse_unsupported(&self.parameters, "it")?;
        if self.datatype.is_empty() {
            return Err(Error::invalid("has no \"datatype\""));
        }
        let dtype = oip::datatype_of(self.datatype, spec)?;
        let shape = &self.shape[..];
        let count = oip::element_count(shape, dtype, limits)?;
        let Some(raw) = raw else {
            let plan = Plan { spec, dtype, shape, count, nulls: nulls.as_deref() };
            return contents::read(self.contents, &plan, limits);
        };
        if self.contents.is_some() {
            return Err(Error::invalid("has \"contents\" beside \"raw_input_contents\""));
        }
        oip::read_raw(raw.buffer(), spec, (dtype, shape), nulls.as_deref(), limits)
    }
}

/// Adds the axes of one field: one number, or several packed.
fn push_axes(shape: &mut Vec<usize>, value: &Value<'_>, limits: &Limits) -> Result<()> {
    let mut push = |value: u64| {
        let axis = shape.len();
        if axis == limits.max_depth {
            return Err(Error::too_large(format!("\"shape\" has more than {axis} axes")));
        }
        let wrong = |what| Error::invalid(format!("axis {axis} of its shape {what}"));
        let length = u64::try_from(value.cast_signed()).map_err(|_| wrong("is negative"))?;
        let length = usize::try_from(length).map_err(|_| wrong("is out of range"))?;
        shape.push(oip::axis_length(axis, length, limits)?);
        Ok(())
    };
    let no_numbers = || Error::invalid("\"shape\" is no list of whole numbers");
    match value {
        Value::Varint(value) => push(*value),
        Value::Bytes(packed) => {
            let mut rest = packed.slice();
            while !rest.is_empty() {
                let (value, length) = varint(rest).ok_or_else(no_numbers)?;
                push(value)?;
                rest = &rest[length..];
            }
            Ok(())
        }
        _ => Err(no_numbers()),
    }
}

/// The outputs asked for, none for all.
fn outputs(asked: &[Bytes<'_>], limits: &Limits) -> Result<Option<Vec<Arc<str>>>> {
    let mut names: Vec<Arc<str>> = Vec::with_capacity(asked.len());
    for (index, bytes) in asked.iter().enumerate() {
        let what = format!("output {index}");
        let (mut name, mut parameters) = ("", Entries::new(&what));
        let mut fields = bytes.fields();
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => name = text(&value, &format!("the name of {what}"), limits)?,
                2 => parameters.push(&value, limits)?,
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(Error::invalid(format!("the name of {what} is missing")));
        }
        let what = format!("output {name:?}");
        oip::refuse_unsupported(&parameters.read, &what)?;
        if names.iter().any(|earlier| **earlier == *name) {
            return Err(Error::invalid(format!("{what} is asked for twice")));
        }
        names.push(name.into());
    }
    Ok((!names.is_empty()).then_some(names))
}

pub(super) fn push<'a>(
    into: &mut Vec<Bytes<'a>>,
    value: &Value<'a>,
    what: &str,
    limits: &Limits,
) -> Result<()> {
    let max = limits.max_inputs;
    if into.len() == max {
        return Err(Error::too_large(format!("{what} has more than {max} elements")));
    }
    into.push(bytes_of(value, what)?);
    Ok(())
}

/// The bytes of a field that must have some.
pub(super) fn bytes_of<'a>(value: &Value<'a>, what: &str) -> Result<Bytes<'a>> {
    match value {
        Value::Bytes(bytes) => Ok(*bytes),
        _ => Err(Error::invalid(format!("{what} does not have the form that the protocol says"))),
    }
}

/// A text of at most as many bytes as a name may have.
pub(super) fn text<'a>(value: &Value<'a>, what: &str, limits: &Limits) -> Result<&'a str> {
    let (bytes, max) = (bytes_of(value, what)?.slice(), limits.max_name_bytes);
    if bytes.len() > max {
        return Err(Error::too_large(format!("{what} is longer than {max} bytes")));
    }
    std::str::from_utf8(bytes).map_err(|_| Error::invalid(format!("{what} is not UTF-8")))
}
