//! A request's bytes into tensors that the model can be asked with.

use super::{
    Limits, OutputForms, binary,
    binary::Tail,
    data::{self, Plan},
    envelope::{self, Envelope, RawTensor},
    parameters as params, plain,
};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    predictor::{Parameters, PredictRequest},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};

/// A request as the body says it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Decoded {
    /// What to ask the model. Its deadline is not set: see `timeout`.
    pub request: PredictRequest,
    /// Which outputs the caller wants as raw bytes.
    pub forms: OutputForms,
    /// How long the caller waits: the parameter `timeout`, microseconds.
    pub timeout: Option<Duration>,
}

/// Reads one request to a model of this signature.
///
/// `json_bytes` is the value of the header `Inference-Header-Content-Length`: the JSON's length, after
/// which raw tensors follow; without it the whole body is JSON. Zero says that the body is one raw
/// tensor: the model's only input, of a shape with at most one open axis.
///
/// # Behavior
/// - an input's type is what the request says; BYTES becomes text where the model wants text
/// - data is flat or nested like the shape; nothing else is taken
/// - a tensor's raw bytes share the body's memory if they are aligned, else are copied once
/// - parameters `binary_data_output`, `timeout`, `priority` and `key` are obeyed, others travel on;
///   priority 1, the protocol's highest, becomes 255, 0 stays 0
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit, and names the input or part; no
///   value of the request stands in a message
/// - no bytes, however deep or long, make it panic
pub fn decode_request(
    body: &Buffer,
    json_bytes: Option<usize>,
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<Decoded> {
    let length = json_bytes.unwrap_or(body.len());
    if length > body.len() {
        return Err(Error::invalid(format!(
            "header \"Inference-Header-Content-Length\" says that the JSON has {length} bytes, and the body has {}",
            body.len()
        )));
    }
    if json_bytes == Some(0) {
        return raw(body.clone(), signature, limits);
    }
    if json_bytes.is_none()
        && let Some(request) = plain::read(body, signature, limits)
    {
        return Ok(Decoded { request, forms: OutputForms::default(), timeout: None });
    }
    let envelope = Envelope::parse(&body[..length], "the request", limits)?;
    let mut tail = Tail::new(body.slice(length));
    let mut decoded = without_inputs(&envelope, limits)?;
    let inputs = envelope.inputs.ok_or_else(|| Error::invalid("the request has no \"inputs\""))?;
    for (index, raw) in inputs.iter().enumerate() {
        let (name, tensor) = input(index, raw, signature, &mut tail, limits)?;
        decoded.request.inputs.push(name, tensor).map_err(|error| {
            Error::new(error.kind(), format!("\"inputs\": {}", error.message()))
        })?;
    }
    match tail.left() {
        0 => Ok(decoded),
        left => Err(Error::invalid(format!(
            "{left} bytes of the body belong to no input, those from byte {} on",
            body.len() - left
        ))),
    }
}

/// Everything of the request but its tensors.
fn without_inputs(envelope: &Envelope<'_>, limits: &Limits) -> Result<Decoded> {
    let parameters = params::parse(envelope.parameters, "the request", limits)?;
    let mut request = PredictRequest::default();
    if let Some(id) = envelope.id {
        request.id = Some(envelope::text(id, "\"id\"", limits.max_name_bytes)?.into());
    }
    let (default_binary, timeout) = obey(parameters, &mut request)?;
    let (names, forms) = outputs(envelope, default_binary.unwrap_or(false), limits)?;
    request.outputs = names;
    Ok(Decoded { request, forms, timeout })
}

/// Does what the parameters of a request ask of us; the others travel on. Whether outputs are wanted
/// as raw bytes, and how long the caller waits.
pub(crate) fn obey(
    mut parameters: Parameters,
    request: &mut PredictRequest,
) -> Result<(Option<bool>, Option<Duration>)> {
    let what = "the request";
    let default_binary = params::take_bool(&mut parameters, "binary_data_output", what)?;
    let timeout = params::take_count(&mut parameters, "timeout", what)?;
    let priority = params::take_count(&mut parameters, "priority", what)?.unwrap_or(0);
    params::refuse_unsupported(&parameters, what)?;
    request.key = params::take_text(&mut parameters, "key", what)?.map(Into::into);
    request.priority = match priority {
        0 => 0,
        high => u8::try_from(256_u64.saturating_sub(high)).unwrap_or(1).max(1),
    };
    request.parameters = (!parameters.is_empty()).then(|| Arc::new(parameters));
    // The protocol's zero means: no limit of the caller's.
    let timeout = timeout.filter(|&micros| micros > 0).map(Duration::from_micros);
    Ok((default_binary, timeout))
}

type Names = Option<Vec<Arc<str>>>;

/// The outputs asked for, none for all, and the form of each.
fn outputs(
    envelope: &Envelope<'_>,
    default_binary: bool,
    limits: &Limits,
) -> Result<(Names, OutputForms)> {
    let mut forms = OutputForms::new(default_binary);
    let mut names: Vec<Arc<str>> = Vec::new();
    for (index, RawTensor { name, parameters, .. }) in envelope.outputs.iter().flatten().enumerate()
    {
        let name: Arc<str> = named(*name, "output", index, limits)?.into();
        let what = format!("output {name:?}");
        if names.contains(&name) {
            return Err(Error::invalid(format!("{what} is asked for twice")));
        }
        let mut parameters = params::parse(*parameters, &what, limits)?;
        if let Some(binary) = params::take_bool(&mut parameters, "binary_data", &what)? {
            forms = forms.with_output(Arc::clone(&name), binary);
        }
        params::refuse_unsupported(&parameters, &what)?;
        names.push(name);
    }
    Ok(((!names.is_empty()).then_some(names), forms))
}

pub(super) fn named(
    name: Option<&RawValue>,
    what: &str,
    index: usize,
    limits: &Limits,
) -> Result<String> {
    let what = format!("the name of {what} {index}");
    let name = name.ok_or_else(|| Error::invalid(format!("{what} is missing")))?;
    envelope::text(name, &what, limits.max_name_bytes)
}

fn input(
    index: usize,
    raw: &RawTensor<'_>,
    signature: &ModelSignature,
    tail: &mut Tail,
    limits: &Limits,
) -> Result<(Arc<str>, Tensor)> {
    let name = named(raw.name, "input", index, limits)?;
    let unknown = || Error::invalid(format!("the model has no input {name:?}"));
    let spec = signature.input(&name).ok_or_else(unknown)?;
    let tensor = tensor(raw, spec, tail, limits).map_err(|error| about(spec, &error))?;
    Ok((Arc::clone(&spec.name), tensor))
}

/// The error, with the input's name.
pub(crate) fn about(spec: &TensorSpec, error: &Error) -> Error {
    Error::new(error.kind(), format!("input {:?}: {}", spec.name, error.message()))
}

/// The tensor of an input, or of an output that is given; errors do not name it yet.
pub(super) fn tensor(
    raw: &RawTensor<'_>,
    spec: &TensorSpec,
    tail: &mut Tail,
    limits: &Limits,
) -> Result<Tensor> {
    let mut parameters = params::parse(raw.parameters, "it", limits)?;
    let size = params::take_count(&mut parameters, "binary_data_size", "it")?;
    let non_finite = params::take_text(&mut parameters, "non_finite", "it")?;
    let nulls = params::take_text(&mut parameters, "nulls", "it")?;
    params::refuse_unsupported(&parameters, "it")?;
    let shape = shape(raw.shape, limits)?;
    let dtype = datatype(raw.datatype, spec, limits)?;
    let count = element_count(&shape, dtype, limits)?;
    let plan = Plan { spec, dtype, shape: &shape, count, non_finite };
    match (raw.data, size) {
        (Some(_), Some(_)) => Err(Error::invalid("has both \"data\" and \"binary_data_size\"")),
        (None, None) => Err(Error::invalid("has neither \"data\" nor \"binary_data_size\"")),
        (Some(_), None) if nulls.is_some() => {
            Err(Error::invalid("\"nulls\" says which binary elements are null; in JSON write null"))
        }
        (None, Some(_)) if plan.non_finite.is_some() => {
            Err(Error::invalid("\"non_finite\" is for JSON; binary elements say it themselves"))
        }
        (Some(json), None) => data::read(json.get(), &plan, limits),
        (None, Some(size)) => binary::read(tail.take(size)?, &plan, nulls.as_deref(), limits),
    }
}

/// A tensor of the declared type from a JSON array, flat or nested like the shape; `non_finite` is
/// what the parameter of this name would say.
pub(in super::super) fn read_elements(
    json: &str,
    spec: &TensorSpec,
    shape: &[usize],
    non_finite: Option<String>,
    limits: &Limits,
) -> Result<Tensor> {
    let count = element_count(shape, spec.dtype, limits)?;
    let plan = Plan { spec, dtype: spec.dtype, shape, count, non_finite };
    data::read(json, &plan, limits)
}

/// A tensor of raw bytes, as both encodings of the protocol carry them.
#[cfg(feature = "grpc")]
pub(crate) fn read_raw(
    bytes: Buffer,
    spec: &TensorSpec,
    (dtype, shape): (DType, &[usize]),
    nulls: Option<&str>,
    limits: &Limits,
) -> Result<Tensor> {
    let count = element_count(shape, dtype, limits)?;
    let plan = Plan { spec, dtype, shape, count, non_finite: None };
    binary::read(bytes, &plan, nulls, limits)
}

/// A tensor of elements of any length, each by itself.
#[cfg(feature = "grpc")]
pub(crate) fn read_strings(
    items: &[&[u8]],
    spec: &TensorSpec,
    (dtype, shape): (DType, &[usize]),
    nulls: Option<&str>,
    limits: &Limits,
) -> Result<Tensor> {
    let count = element_count(shape, dtype, limits)?;
    let plan = Plan { spec, dtype, shape, count, non_finite: None };
    binary::of_strings(items, &plan, nulls)
}

fn datatype(json: Option<&RawValue>, spec: &TensorSpec, limits: &Limits) -> Result<DType> {
    let json = json.ok_or_else(|| Error::invalid("has no \"datatype\""))?;
    datatype_of(&envelope::text(json, "\"datatype\"", limits.max_name_bytes)?, spec)
}

/// The type of this name, for the input that the model declares so.
pub(crate) fn datatype_of(name: &str, spec: &TensorSpec) -> Result<DType> {
    let dtype = DType::from_oip_name(name)?;
    // The protocol has one type for text and bytes; the model says which it means.
    let is_text = dtype == DType::Bytes && spec.dtype == DType::Utf8;
    Ok(if is_text { DType::Utf8 } else { dtype })
}

/// The axes: whole numbers, none negative, none over the limit.
fn shape(json: Option<&RawValue>, limits: &Limits) -> Result<Vec<usize>> {
    let json = json.ok_or_else(|| Error::invalid("has no \"shape\""))?;
    let inner = json.get().trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inner = inner.ok_or_else(|| Error::invalid("\"shape\" is not an array"))?.trim();
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let mut axes = Vec::new();
    // Anything but numbers in here, nested commas too, fails to read as a number.
    for (axis, text) in inner.split(',').enumerate() {
        if axis == limits.max_depth {
            let max = limits.max_depth;
            return Err(Error::too_large(format!("\"shape\" has more than {max} axes")));
        }
        axes.push(dimension(axis, text.trim(), limits)?);
    }
    Ok(axes)
}

fn dimension(axis: usize, text: &str, limits: &Limits) -> Result<usize> {
    let wrong = |what: &str| Error::invalid(format!("axis {axis} of its shape {what}"));
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("is not a whole number"));
    }
    if text.starts_with('-') && digits != "0" {
        return Err(wrong("is negative"));
    }
    let length: usize = digits.parse().map_err(|_| wrong("is out of range"))?;
    axis_length(axis, length, limits)
}

/// The length of this axis, if it may be so long.
pub(crate) fn axis_length(axis: usize, length: usize, limits: &Limits) -> Result<usize> {
    if length > limits.max_elements {
        let max = limits.max_elements;
        return Err(Error::too_large(format!("axis {axis} of its shape is longer than {max}")));
    }
    Ok(length)
}

/// The product of the axes, if it is within bounds.
pub(crate) fn element_count(shape: &[usize], dtype: DType, limits: &Limits) -> Result<usize> {
    let product = shape.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis));
    let count = product.ok_or_else(|| {
        Error::invalid(format!("shape {shape:?} holds more elements than memory has bytes"))
    })?;
    let max = if dtype.size().is_some() { limits.max_elements } else { limits.max_strings };
    if count > max {
        let name = dtype.oip_name();
        return Err(Error::too_large(format!(
            "shape {shape:?} holds {count} elements of datatype {name}, over {max}"
        )));
    }
    Ok(count)
}

/// A body that is one tensor and nothing else.
fn raw(body: Buffer, signature: &ModelSignature, limits: &Limits) -> Result<Decoded> {
    let [spec] = &signature.inputs[..] else {
        let count = signature.inputs.len();
        return Err(Error::invalid(format!(
            "a body of raw bytes alone needs a model with one input, and this has {count}"
        )));
    };
    let shape = raw_shape(spec, body.len()).map_err(|error| about(spec, &error))?;
    let read = || {
        let count = element_count(&shape, spec.dtype, limits)?;
        let plan = Plan { spec, dtype: spec.dtype, shape: &shape, count, non_finite: None };
        binary::read(body, &plan, None, limits)
    };
    let tensor = read().map_err(|error| about(spec, &error))?;
    let request = PredictRequest::new(Tensors::one(Arc::clone(&spec.name), tensor));
    Ok(Decoded { request, forms: OutputForms::new(true), timeout: None })
}

/// The declared shape, its one open axis filled in from the body's length.
fn raw_shape(spec: &TensorSpec, bytes: usize) -> Result<Vec<usize>> {
    let size = spec.dtype.size().ok_or_else(|| {
        Error::invalid("elements of datatype BYTES need a JSON header that says their shape")
    })?;
    let open = spec.shape.iter().filter(|axis| axis.is_none()).count();
    let closed = spec.shape.iter().flatten().try_fold(size, |n, &axis| n.checked_mul(axis));
    match closed {
        Some(closed) if open == 1 && closed > 0 && bytes.is_multiple_of(closed) => {
            let fill = bytes / closed;
            Ok(spec.shape.iter().map(|axis| axis.unwrap_or(fill)).collect())
        }
        Some(closed) if open == 0 && closed == bytes => {
            Ok(spec.shape.iter().flatten().copied().collect())
        }
        _ => Err(Error::invalid(format!("{bytes} raw bytes do not fill {spec}"))),
    }
}

impl Decoded {
    #[cfg(feature = "grpc")]
    pub(crate) fn new(
        request: PredictRequest,
        forms: OutputForms,
        timeout: Option<Duration>,
    ) -> Self {
        Self { request, forms, timeout }
    }

    /// The parameters that travel on to the model.
    pub fn parameters(&self) -> Option<&Parameters> {
        self.request.parameters.as_deref()
    }
}
