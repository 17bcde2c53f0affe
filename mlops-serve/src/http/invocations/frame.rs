//! The JSON of a scoring request: a table in one of four shapes, into the model's inputs.
//!
//! Cells stay raw text until their type is known; then they are read as the Open Inference
//! Protocol's are, so that the same digits give the same bits by either way.

use super::super::oip::{self, Limits};
use mlops_core::{
    Error, Result,
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::{Tensor, Tensors},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// How the answer is to be written: as the question was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A table was asked about: several outputs are its columns, a row an object.
    Table,
    /// Tensors were: several outputs are arrays under their names.
    Tensors,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    dataframe_split: Option<&'a RawValue>,
    #[serde(borrow)]
    dataframe_records: Option<&'a RawValue>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Reads a scoring request in JSON, and how its answer is to be written.
///
/// # Behavior
/// - exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs` is there
/// - a column that the model does not take is left out; one that it takes and that is missing is
///   named; one that some records lack is null there
/// - a packed input is made of the columns that it names; one without named columns, if it is the
///   model's only input, of all columns in their order
/// - `params` travel on with the request
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit, and names the part; no value of the
///   request stands in a message
pub fn decode_request(
    json: &[u8],
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<(PredictRequest, Form)> {
    let body: Body<'_> = parse(json)?;
    let given = [
        ("dataframe_split", body.dataframe_split),
        ("dataframe_records", body.dataframe_records),
        ("instances", body.instances),
        ("inputs", body.inputs),
    ];
    let mut given = given.into_iter().filter_map(|(name, json)| json.map(|json| (name, json)));
    let (Some((name, json)), None) = (given.next(), given.next()) else {
        return Err(Error::invalid(
            "the request holds exactly one of \"dataframe_split\", \"dataframe_records\", \"instances\" and \"inputs\"",
        ));
    };
    let params = oip::parse_parameters(body.params, "\"params\"", limits)?;
    let (frame, form) = match name {
        "dataframe_split" => (Frame::split(json)?, Form::Table),
        "dataframe_records" => (Frame::records(name, json, limits)?, Form::Table),
        "instances" if holds_objects(json) => (Frame::records(name, json, limits)?, Form::Table),
        _ => (Frame::tensors(name, json, signature, limits)?, Form::Tensors),
    };
    let mut request = PredictRequest::new(frame.inputs(signature, limits)?);
    request.parameters = (!params.is_empty()).then(|| Arc::new(params));
    Ok((request, form))
}

/// serde's messages quote values, and values never leave; its places are safe.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|cause| {
        let place = format!("at line {} column {}", cause.line(), cause.column());
        Error::invalid(if cause.is_data() {
            format!("the request is no object of the form that scoring takes, {place}")
        } else {
            format!("the request is not valid JSON {place}")
        })
    })
}

fn part<'a, T: Deserialize<'a>>(name: &str, form: &str, json: &'a RawValue) -> Result<T> {
    serde_json::from_str(json.get()).map_err(|_| Error::invalid(format!("{name:?} is no {form}")))
}

fn holds_objects(json: &RawValue) -> bool {
    let inner = json.get().trim_start().strip_prefix('[').unwrap_or_default();
    inner.trim_start().starts_with('{')
}

/// Cells of JSON under names, a row each.
struct Frame<'a> {
    columns: Vec<String>,
    /// As many cells as columns; what a record lacks is `None`.
    rows: Vec<Vec<Option<&'a RawValue>>>,
}

impl<'a> Frame<'a> {
    /// `{"columns": […], "data": [[…], …]}`
    fn split(json: &'a RawValue) -> Result<Self> {
        #[derive(Deserialize)]
        struct Split<'a> {
            columns: Option<Vec<serde_json::Value>>,
            #[serde(rename = "index")]
            _index: Option<IgnoredAny>,
            #[serde(borrow)]
            data: Vec<Vec<&'a RawValue>>,
        }
        let form = "object of \"columns\", \"data\" and perhaps \"index\"";
        let Split { columns, data, .. } = part("dataframe_split", form, json)?;
        let width = data.first().map_or(0, Vec::len);
        // pandas numbers the columns that have no names.
        let numbers = || (0..width).map(serde_json::Value::from).collect();
        let name = |column: serde_json::Value| match column {
            serde_json::Value::String(name) => name,
            other => other.to_string(),
        };
        let columns: Vec<String> = columns.unwrap_or_else(numbers).into_iter().map(name).collect();
        if let Some(row) = data.iter().position(|row| row.len() != columns.len()) {
            let (cells, wanted) = (data[row].len(), columns.len());
            return Err(Error::invalid(format!(
                "row {row} has {cells} cells for {wanted} columns"
            )));
        }
        let rows = data.into_iter().map(|row| row.into_iter().map(Some).collect()).collect();
        Ok(Self { columns, rows })
    }

    /// `[{"age": 41, …}, …]`
    fn records(name: &str, json: &'a RawValue, limits: &Limits) -> Result<Self> {
        type Record<'a> = BTreeMap<String, &'a RawValue>;
        let records: Vec<&RawValue> = part(name, "array of objects", json)?;
        let Some(first) = records.first() else {
            return Ok(Self { columns: Vec::new(), rows: Vec::new() });
        };
        let columns = oip::members(first, &format!("row 0 of {name:?}"), limits.max_inputs)?;
        let mut columns: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        let mut read: Vec<Record<'_>> = Vec::with_capacity(records.len());
        for (row, record) in records.iter().enumerate() {
            let record: Record<'_> = part(&format!("row {row} of {name}"), "object", record)?;
            if record.len() != columns.len() || columns.iter().any(|own| !record.contains_key(own))
            {
                let more = record.keys().filter(|name| !columns.contains(name)).cloned();
                let more: Vec<String> = more.collect();
                columns.extend(more);
            }
            if columns.len() > limits.max_inputs {
                let max = limits.max_inputs;
                return Err(Error::too_large(format!("{name:?} has more than {max} columns")));
            }
            read.push(record);
        }
        let cells = |record: &Record<'a>| {
            columns.iter().map(|name| record.get(name).copied()).collect::<Vec<_>>()
        };
        let rows = read.iter().map(cells).collect();
        Ok(Self { columns, rows })
    }

    /// `{"x": […], …}`, or the array of the only input
    fn tensors(
        name: &str,
        json: &'a RawValue,
        signature: &ModelSignature,
        limits: &Limits,
    ) -> Result<Self> {
        if json.get().trim_start().starts_with('[') {
            let [only] = signature.inputs.as_slice() else {
                let count = signature.inputs.len();
                return Err(Error::invalid(format!(
                    "{name:?} is an array, and the model has {count} inputs: name them"
                )));
            };
            let rows: Vec<&RawValue> = part(name, "array", json)?;
            let rows = rows.into_iter().map(|cell| vec![Some(cell)]).collect();
            return Ok(Self { columns: vec![only.name.to_string()], rows });
        }
        let members = oip::members(json, &format!("{name:?}"), limits.max_inputs)?;
        let mut columns = Vec::with_capacity(members.len());
        let mut rows: Vec<Vec<Option<&RawValue>>> = Vec::new();
        for (at, (column, json)) in members.into_iter().enumerate() {
            let cells: Vec<&RawValue> = part(&column, "array", json)?;
            if at == 0 {
                rows = cells.iter().map(|_| Vec::new()).collect();
            } else if cells.len() != rows.len() {
                let (given, wanted) = (cells.len(), rows.len());
                return Err(Error::invalid(format!("{column:?} has {given} rows, not {wanted}")));
            }
            rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(Some(cell)));
            columns.push(column);
        }
        Ok(Self { columns, rows })
    }

    fn inputs(&self, signature: &ModelSignature, limits: &Limits) -> Result<Tensors> {
        let mut inputs = Tensors::new();
        for spec in &signature.inputs {
            let tensor = self.input(spec, signature.inputs.len() == 1, limits);
            let about = |error: Error| {
                Error::new(error.kind(), format!("input {:?}: {}", spec.name, error.message()))
            };
            inputs.push(Arc::clone(&spec.name), tensor.map_err(about)?)?;
        }
        Ok(inputs)
    }

    fn input(&self, spec: &TensorSpec, is_only: bool, limits: &Limits) -> Result<Tensor> {
        let position = |name: &str| self.columns.iter().position(|own| own == name);
        if let Some(at) = position(&spec.name) {
            return self.whole(spec, at, limits);
        }
        if !spec.columns.is_empty() {
            let found = spec.columns.iter().map(|name| match position(name) {
                None if !self.rows.is_empty() => {
                    Err(Error::invalid(format!("column {name:?} is missing")))
                }
                at => Ok(at.unwrap_or(0)),
            });
            return self.packed(spec, &found.collect::<Result<Vec<_>>>()?, limits);
        }
        if is_only && crate::rows::packs_unnamed(spec) {
            let width = spec.shape[1].filter(|_| self.rows.is_empty());
            let all: Vec<usize> = (0..width.unwrap_or(self.columns.len())).collect();
            return self.packed(spec, &all, limits);
        }
        if self.rows.is_empty() {
            return self.whole(spec, 0, limits);
        }
        Err(Error::invalid("it is missing"))
    }

    /// Columns side by side.
    fn packed(&self, spec: &TensorSpec, columns: &[usize], limits: &Limits) -> Result<Tensor> {
        let cells = self.rows.iter().flat_map(|row| columns.iter().map(|&at| row[at]));
        oip::read_elements(&array(cells), spec, &[self.rows.len(), columns.len()], limits)
    }

    /// A column whose cells are rows of the tensor.
    fn whole(&self, spec: &TensorSpec, at: usize, limits: &Limits) -> Result<Tensor> {
        let cells = self.rows.iter().map(|row| row[at]);
        let mut shape = vec![self.rows.len()];
        match self.rows.first().and_then(|row| row[at]) {
            Some(cell) => shape.extend(nesting(cell, limits)?),
            None => shape.extend(spec.shape.iter().skip(1).map(|axis| axis.unwrap_or(0))),
        }
        // A column of single numbers is a tensor of one column.
        if shape.len() == 1 && spec.shape.len() == 2 {
            shape.push(1);
        }
        oip::read_elements(&array(cells), spec, &shape, limits)
    }
}

/// An array of these cells; what is missing is null.
fn array<'a>(cells: impl Iterator<Item = Option<&'a RawValue>>) -> String {
    let mut json = String::from("[");
    for cell in cells {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(cell.map_or("null", RawValue::get));
    }
    json.push(']');
    json
}

/// The axes of nested arrays, by the first of each; reading checks the others.
fn nesting(cell: &RawValue, limits: &Limits) -> Result<Vec<usize>> {
    let (mut axes, mut cell) = (Vec::new(), Cow::Borrowed(cell));
    while cell.get().starts_with('[') {
        if axes.len() >= limits.max_depth {
            let max = limits.max_depth;
            return Err(Error::too_large(format!("arrays nest deeper than {max}")));
        }
        let inner: Vec<&RawValue> = part("a cell", "array", &cell)?;
        axes.push(inner.len());
        match inner.first() {
            Some(first) => cell = Cow::Owned((*first).to_owned()),
            None => break,
        }
    }
    Ok(axes)
}
