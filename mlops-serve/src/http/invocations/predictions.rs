//! The JSON of an answer: `{"predictions": …}`.

use super::{super::oip, Form};
use mlops_core::{
    Result,
    tensor::{Tensor, Tensors},
};

/// Writes an answer, in the form that the question had.
///
/// # Behavior
/// - one output stands alone, as an array of rows; several stand as the question did: as objects a
///   row for a table, as arrays under their names for tensors
/// - numbers are written as the Open Inference Protocol's are; one that is not finite is null
pub fn encode_outputs(outputs: &Tensors, form: Form) -> Result<Vec<u8>> {
    let mut json = b"{\"predictions\":".to_vec();
    match (outputs.iter().next(), outputs.len(), form) {
        (Some((_, only)), 1, _) => nested(only, &mut json)?,
        (_, _, Form::Tensors) => object(outputs, &mut json, nested)?,
        (_, _, Form::Table) => between(*b"[]", 0..outputs.rows()?, &mut json, |row, json| {
            object(outputs, json, |tensor, json| element(tensor, row, json))
        })?,
    }
    json.push(b'}');
    Ok(json)
}

/// Each output under its name.
fn object(
    outputs: &Tensors,
    json: &mut Vec<u8>,
    write: impl Fn(&Tensor, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    between(*b"{}", outputs.iter(), json, |(name, tensor), json| {
        oip::push_json(json, &**name);
        json.push(b':');
        write(tensor, json)
    })
}

/// Arrays as deep as the shape.
fn nested(tensor: &Tensor, json: &mut Vec<u8>) -> Result<()> {
    if tensor.shape().len() == 1 {
        json.push(b'[');
        oip::push_elements(tensor, json)?;
        json.push(b']');
        return Ok(());
    }
    between(*b"[]", 0..tensor.rows(), json, |row, json| element(tensor, row, json))
}

/// One row; a single element stands for itself.
fn element(tensor: &Tensor, row: usize, json: &mut Vec<u8>) -> Result<()> {
    let Some((_, inner)) = tensor.shape().split_first() else {
        return oip::push_elements(tensor, json);
    };
    let one = tensor.slice_rows(row..row + 1)?;
    if inner.is_empty() {
        return oip::push_elements(&one, json);
    }
    nested(&one.reshape(inner)?, json)
}

fn between<T>(
    [open, close]: [u8; 2],
    items: impl Iterator<Item = T>,
    json: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    json.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            json.push(b',');
        }
        write(item, json)?;
    }
    json.push(close);
    Ok(())
}
