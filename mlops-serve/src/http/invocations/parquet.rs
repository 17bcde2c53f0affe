//! A table in Parquet into the model's inputs.

use super::{super::oip::Limits, most_columns};
use mlops_core::{
    Error, ErrorKind, Result,
    data::{Dataset, ParquetOptions},
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensors},
};
use std::sync::Arc;

/// Reads a scoring request that is a Parquet file, as pandas, Polars and Spark write them.
///
/// # Behavior
/// - a column that the model does not take is left out, and not decoded; a missing one is named
/// - a packed input is made of the columns that it names; one without named columns, if it is the
///   model's only input, of all columns in their order
/// - numbers become the type of the input if their value survives, into floats they are rounded; a
///   null becomes NaN in a float
/// - columns hold one value a row, uncompressed or by Snappy; decoded they have at most `max_bytes`,
///   which is checked before they are
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit; no value of the table stands in a
///   message; no bytes make it panic
pub fn decode_parquet(
    bytes: Vec<u8>,
    signature: &ModelSignature,
    limits: &Limits,
    max_bytes: usize,
) -> Result<PredictRequest> {
    decode_parquet_within(bytes, signature, limits, max_bytes, |_| Ok(()))
}

/// As [`decode_parquet`]; `room` is asked about the bytes of each part of the table once it is decoded, and
/// its error is the answer.
pub(super) fn decode_parquet_within(
    bytes: Vec<u8>,
    signature: &ModelSignature,
    limits: &Limits,
    max_bytes: usize,
    room: impl FnMut(usize) -> Result<()>,
) -> Result<PredictRequest> {
    let takes_all = match &signature.inputs[..] {
        [only] if super::table::packs_unnamed(only) => Some(only),
        _ => None,
    };
    let mut options = ParquetOptions::new()
        .with_max_bytes(max_bytes)
        .with_max_columns(most_columns(signature, limits));
    if takes_all.is_none() {
        options = options.with_columns(signature.features().cloned());
    }
    let table = Dataset::decode_parquet_within("request", bytes, &options, room);
    let table = table.map_err(refusal)?;
    let specs = match takes_all {
        None => signature.inputs.clone(),
        Some(only) => vec![only.clone().with_columns(table.columns())],
    };
    let inputs = Tensors::from_batch(&table.batch()?, &specs).map_err(refusal)?;
    for spec in &specs {
        within(spec, &inputs, limits)?;
    }
    Ok(PredictRequest::new(inputs))
}

/// The bounds of every request hold for this one, too.
fn within(spec: &TensorSpec, inputs: &Tensors, limits: &Limits) -> Result<()> {
    let is_text = matches!(spec.dtype, DType::Utf8 | DType::Bytes);
    let max = if is_text { limits.max_strings } else { limits.max_elements };
    let count = inputs.require(&spec.name)?.len();
    if count <= max {
        return Ok(());
    }
    let name: &Arc<str> = &spec.name;
    Err(Error::too_large(format!("input {name:?} has {count} elements, over {max}")))
}

/// The error as a caller's mistake. What the decoder says of damaged bytes may quote them.
fn refusal(error: Error) -> Error {
    match error.kind() {
        ErrorKind::TooLarge | ErrorKind::Overloaded => error,
        ErrorKind::InvalidInput => Error::invalid(error.message().to_owned()),
        ErrorKind::Unsupported => Error::invalid(
            "the Parquet file has columns that are nested, of a type that no model takes, or compressed by \
             another way than Snappy",
        ),
        _ => Error::invalid("the request is no Parquet file, or a damaged one"),
    }
}
