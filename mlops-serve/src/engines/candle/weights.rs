//! Weights from safetensors and back.

use super::{
    MlpConfig,
    error::{candle_failed, internal},
    network::{Layer, Network},
};
use candle_core::{DType, Device, Tensor};
use mlops_core::{Error, ErrorKind, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn weight_name(layer: usize) -> String {
    format!("layers.{layer}.weight")
}

fn bias_name(layer: usize) -> String {
    format!("layers.{layer}.bias")
}

/// Reads a network of this shape. What is missing, of another shape, not a float or not finite is
/// `InvalidInput`, and so is a tensor more: a model that has it computes something else.
pub(super) fn read(bytes: &[u8], config: &MlpConfig, device: &Device) -> Result<Network> {
    let file = SafeTensors::deserialize(bytes).map_err(|cause| {
        Error::invalid(format!("the weights are no safetensors: {cause}")).with_source(cause)
    })?;
    let mut layers = Vec::new();
    for (number, (begin, end)) in config.layers().into_iter().enumerate() {
        let weight = tensor(&file, &weight_name(number), &[end, begin], device)?;
        let bias = tensor(&file, &bias_name(number), &[end], device)?;
        layers.push(Layer { weight, bias });
    }
    let known = |name: &str| {
        (0..layers.len()).any(|layer| name == weight_name(layer) || name == bias_name(layer))
    };
    if let Some(name) = file.names().into_iter().find(|name| !known(name)) {
        return Err(Error::invalid(format!(
            "the weights hold {name:?}, which the config does not"
        )));
    }
    Ok(Network::new(layers, config.activation))
}

/// A weight of this shape, in single precision, checked here and moved to the device.
pub(super) fn tensor(
    file: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor> {
    let bad = |why: String| Error::invalid(format!("weight {name:?} {why}"));
    let view =
        file.tensor(name).map_err(|cause| bad("is missing".to_owned()).with_source(cause))?;
    if view.shape() != shape {
        return Err(bad(format!("has shape {:?}, not {shape:?}", view.shape())));
    }
    let tensor = decode(&view).map_err(candle_failed(ErrorKind::InvalidInput, "a weight"))?;
    let tensor =
        tensor.ok_or_else(|| bad(format!("has type {:?}, which is no float", view.dtype())));
    let tensor = tensor?.to_dtype(DType::F32).map_err(internal("a conversion"))?;
    if !floats(&tensor)?.iter().all(|value| value.is_finite()) {
        return Err(bad("holds a number that is not finite".to_owned()));
    }
    let moving = candle_failed(ErrorKind::Unavailable, "moving a weight to its device");
    tensor.to_device(device).map_err(moving)
}

/// `None` if its type is no float.
fn decode(view: &TensorView<'_>) -> candle_core::Result<Option<Tensor>> {
    let dtype = match view.dtype() {
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        _ => return Ok(None),
    };
    Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu).map(Some)
}

/// Writes the layers; the same numbers give the same bytes.
pub(super) fn write(network: &Network) -> Result<Vec<u8>> {
    let mut named = Vec::new();
    for (number, layer) in network.layers().iter().enumerate() {
        for (name, tensor) in
            [(weight_name(number), &layer.weight), (bias_name(number), &layer.bias)]
        {
            let values = floats(tensor)?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            named.push((name, tensor.dims().to_vec(), bytes));
        }
    }
    let failed = |cause: safetensors::SafeTensorError| {
        Error::internal("writing safetensors failed").with_source(cause)
    };
    let views = named.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    safetensors::serialize(views, None).map_err(failed)
}

/// The numbers of a tensor, in order, from wherever it lies.
pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.flatten_all().and_then(|flat| flat.to_vec1());
    flat.map_err(internal("reading a tensor"))
}
